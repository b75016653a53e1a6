// SPDX-License-Identifier: GPL-3.0-or-later
// check and compile: what a pipeline runs before anything is applied; and what may be written at all.
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/clock.h"
#include "common/snapshot_file.h"
#include "compile/compile.h"
#include "io/crypto.h"
#include "model/load.h"
#include "model/words.h"
#include "verbs/verbs.h"

#define OUTPUT_BYTES_MAX (SNAPSHOT_BYTES_MAX + (1u << 20))

static void print_findings(struct diagnostics *d, FILE *to)
{
	struct buf b;

	diagnostics_sort(d);
	buf_init_growing(&b, 16u << 20);
	diagnostics_print(d, &b);
	if (b.len > 0)
		fwrite(b.ptr, 1, b.len, to);
	buf_deinit(&b);
}

static enum err load_and_compile(const char *directory, struct diagnostics *d,
				 struct compiled **out)
{
	struct model *m = NULL;
	enum err err = load_directory(directory, d, &m);

	if (err == ERR_OK)
		err = compile_model(m, d, out);
	model_free(m);
	return err;
}

static int check_usage(void)
{
	fprintf(stderr, "usage: policy-sync check [--strict] DIR\n"
			"  exit status: 0 nothing wrong, 1 errors (with --strict: or warnings)\n");
	return 2;
}

int verb_check(int argc, char **argv)
{
	static const struct option options[] = {{"strict", no_argument, NULL, 's'}, {0}};
	struct compiled *c = NULL;
	struct diagnostics d;
	bool strict = false;
	uint32_t warnings;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 's')
			return check_usage();
		strict = true;
	}
	if (optind + 1 != argc)
		return check_usage();
	diagnostics_init(&d);
	enum err err = load_and_compile(argv[optind], &d, &c);

	print_findings(&d, stdout);
	warnings = d.count + d.left_out - d.errors - d.notes;
	printf("%u errors, %u warnings\n", d.errors, warnings);
	if (err != ERR_OK && d.errors == 0)
		fprintf(stderr, "policy-sync: cannot compile: %s\n", err_name(err));
	int status = err != ERR_OK || d.errors > 0 || (strict && warnings > 0);

	compiled_free(c);
	diagnostics_deinit(&d);
	return status;
}

static bool write_file(const char *path, struct slice bytes)
{
	int fd = strcmp(path, "-") == 0
			 ? STDOUT_FILENO
			 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool good = fd >= 0;

	while (good && bytes.len > 0) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);

		good = n > 0;
		if (good) {
			bytes.ptr += n;
			bytes.len -= (size_t)n;
		}
	}
	if (fd > STDERR_FILENO)
		good = close(fd) == 0 && good;
	return good;
}

static enum err encode_file(const struct compiled *c, struct buf *out)
{
	struct section_ref refs[SNAPSHOT_SECTIONS_MAX];
	struct slice bytes[SNAPSHOT_SECTIONS_MAX];
	struct snapshot_file f = {
		.schema = SNAPSHOT_SCHEMA_VERSION,
		.generation = {.epoch = clock_unix_ms() / 1000, .counter = 1},
		.count = c->count,
		.refs = refs,
		.sections = bytes,
	};

	for (uint32_t i = 0; i < c->count; i++) {
		bytes[i] = c->sections[i].bytes;
		refs[i].name = c->sections[i].name;
		refs[i].bytes = (uint32_t)bytes[i].len;
		crypto_sha256(bytes[i], refs[i].sha256);
	}
	snapshot_file_encode(out, &f);
	return out->err;
}

int verb_compile(int argc, char **argv)
{
	struct compiled *c = NULL;
	struct diagnostics d;
	struct buf out;

	if (argc != 4 || strcmp(argv[2], "-o") != 0) {
		fprintf(stderr, "usage: policy-sync compile DIR -o FILE\n");
		return 2;
	}
	diagnostics_init(&d);
	buf_init_growing(&out, OUTPUT_BYTES_MAX);
	enum err err = load_and_compile(argv[1], &d, &c);

	print_findings(&d, stderr);
	if (err == ERR_OK)
		err = encode_file(c, &out);
	if (err != ERR_OK)
		fprintf(stderr, "policy-sync: cannot compile: %s\n", err_name(err));
	else if (!write_file(argv[3], buf_slice(&out)))
		fprintf(stderr, "policy-sync: cannot write %s\n", argv[3]);
	else
		err = d.errors > 0 ? ERR_CONFIG : ERR_OK;
	buf_deinit(&out);
	compiled_free(c);
	diagnostics_deinit(&d);
	return err != ERR_OK;
}

int verb_reference(int argc, char **argv)
{
	struct buf out;

	(void)argv;
	if (argc != 1) {
		fprintf(stderr, "usage: policy-sync reference\n");
		return 2;
	}
	buf_init_growing(&out, 1u << 20);
	words_print(&out);
	bool good = out.err == ERR_OK && write_file("-", buf_slice(&out));

	buf_deinit(&out);
	return !good;
}
