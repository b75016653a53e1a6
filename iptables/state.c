// SPDX-License-Identifier: GPL-3.0-or-later
// The files of run_dir; see state.h. rules.state is text, one `word word … number` line a fact, so
// that a person can read it; it is ours alone (root's directory), and is still checked.
#include "iptables/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/clock.h"
#include "common/file.h"

#define STATE_VERSION	1
#define STATE_BYTES_MAX 8192
#define STATE_PATH_MAX	(RULES_CONFIG_PATH_MAX + 32)

static void path_of(const char *run_dir, const char *name, char out[STATE_PATH_MAX])
{
	snprintf(out, STATE_PATH_MAX, "%s/%s", run_dir, name);
}

static bool table_from(const char *family, const char *table, enum family *f, enum table *t)
{
	for (int i = 0; i < FAMILY_COUNT; i++) {
		for (int j = 0; j < TABLE_COUNT; j++) {
			if (strcmp(family, family_name((enum family)i)) == 0 &&
			    strcmp(table, table_name((enum table)j)) == 0) {
				*f = (enum family)i;
				*t = (enum table)j;
				return true;
			}
		}
	}
	return false;
}

static bool take_fact(const char *line, struct state *s)
{
	char family[8], table[8], word[8];
	uint64_t a, b;
	uint32_t hooks;
	enum family f;
	enum table t;

	if (sscanf(line, "backend %7s", word) == 1) {
		s->backend = strcmp(word, "nft") == 0	   ? BACKEND_NFT
			     : strcmp(word, "legacy") == 0 ? BACKEND_LEGACY
							   : BACKEND_AUTO;
		return true;
	}
	if (strcmp(line, "found") == 0)
		return s->found_known = true;
	if (sscanf(line, "found %7s %7s %" SCNx32, family, table, &hooks) == 3 &&
	    table_from(family, table, &f, &t)) {
		s->found.tables[f][t] = (struct nft_presence){true, hooks};
		return true;
	}
	if (sscanf(line, "routing %" SCNx32 " %" SCNx32 " %" SCNu32 " %" SCNu32, &s->routing.mark,
		   &s->routing.mark_mask, &s->routing.route_table, &s->routing.rule_pref) == 4)
		return true;
	if (sscanf(line, "put %7s %7s %" SCNx64 " %" SCNx64, family, table, &a, &b) == 4 &&
	    table_from(family, table, &f, &t)) {
		s->rendered[f][t] = a;
		s->kernel[f][t] = b;
		return true;
	}
	if (sscanf(line, "binding %7s %" SCNx64, family, &a) == 2 &&
	    table_from(family, "raw", &f, &t)) {
		s->binding[f] = a;
		return true;
	}
	return false;
}

static enum err take_text(char *text, struct state *out)
{
	char *save = NULL, *line = strtok_r(text, "\n", &save);
	unsigned version;

	if (!line || sscanf(line, "portcullis-rules state %u", &version) != 1)
		return ERR_MALFORMED;
	if (version != STATE_VERSION)
		return ERR_VERSION;
	while ((line = strtok_r(NULL, "\n", &save))) {
		if (!take_fact(line, out))
			return ERR_MALFORMED;
	}
	return ERR_OK;
}

enum err state_load(const char *run_dir, struct state *out)
{
	char path[STATE_PATH_MAX];
	struct buf text;
	enum err err;

	*out = (struct state){0};
	path_of(run_dir, "rules.state", path);
	buf_init_growing(&text, STATE_BYTES_MAX);
	err = file_read(path, STATE_BYTES_MAX - 1, &text);
	buf_put_u8(&text, 0);
	if (err == ERR_OK)
		err = text.err;
	if (err == ERR_OK)
		err = take_text((char *)text.ptr, out);
	if (err != ERR_OK)
		*out = (struct state){0};
	buf_deinit(&text);
	return err;
}

enum err state_save(const char *run_dir, const struct state *s)
{
	uint8_t bytes[STATE_BYTES_MAX];
	char path[STATE_PATH_MAX];
	struct buf b;

	buf_init_fixed(&b, bytes, sizeof(bytes));
	buf_printf(&b, "portcullis-rules state %d\nbackend %s\n", STATE_VERSION,
		   backend_name(s->backend));
	if (s->found_known)
		buf_put_str(&b, "found\n");
	buf_printf(&b, "routing %" PRIx32 " %" PRIx32 " %" PRIu32 " %" PRIu32 "\n", s->routing.mark,
		   s->routing.mark_mask, s->routing.route_table, s->routing.rule_pref);
	for (int f = 0; f < FAMILY_COUNT; f++) {
		const char *family = family_name((enum family)f);

		for (int t = 0; t < TABLE_COUNT; t++) {
			const char *table = table_name((enum table)t);

			if (s->found.tables[f][t].exists)
				buf_printf(&b, "found %s %s %" PRIx32 "\n", family, table,
					   s->found.tables[f][t].hooks);
			buf_printf(&b, "put %s %s %" PRIx64 " %" PRIx64 "\n", family, table,
				   s->rendered[f][t], s->kernel[f][t]);
		}
		buf_printf(&b, "binding %s %" PRIx64 "\n", family, s->binding[f]);
	}
	path_of(run_dir, "rules.state", path);
	return b.err != ERR_OK ? b.err : file_write(path, 0600, buf_slice(&b));
}

enum err state_forget(const char *run_dir)
{
	char path[STATE_PATH_MAX];

	path_of(run_dir, "rules.state", path);
	return unlink(path) == 0 || errno == ENOENT ? ERR_OK : ERR_IO;
}

enum err state_lock(const char *run_dir, int *out, int *holder)
{
	char path[STATE_PATH_MAX], text[16] = "";
	int fd;

	*holder = 0;
	if (mkdir(run_dir, 0700) < 0 && errno != EEXIST)
		return ERR_IO;
	path_of(run_dir, "rules.lock", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ERR_IO;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (pread(fd, text, sizeof(text) - 1, 0) > 0)
			*holder = atoi(text);
		close(fd);
		return ERR_EXISTS;
	}
	int len = snprintf(text, sizeof(text), "%d\n", getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len) {
		close(fd);
		return ERR_IO;
	}
	*out = fd;
	return ERR_OK;
}

enum err state_report(const char *run_dir, enum backend backend, const char *error)
{
	uint8_t bytes[1024];
	char path[STATE_PATH_MAX];
	struct buf b;

	buf_init_fixed(&b, bytes, sizeof(bytes));
	buf_printf(&b, "{\"verified\":%s,\"at_unix_ms\":%" PRIu64 ",\"backend\":\"%s\",\"error\":",
		   *error ? "false" : "true", clock_unix_ms(), backend_name(backend));
	buf_put_json_string(&b, slice_str(error));
	buf_put_str(&b, "}\n");
	path_of(run_dir, "rules.json", path);
	return b.err != ERR_OK ? b.err : file_write(path, 0644, buf_slice(&b));
}
