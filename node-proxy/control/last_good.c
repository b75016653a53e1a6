// SPDX-License-Identifier: GPL-3.0-or-later
// The last good snapshot as a file. No section holds a secret: keys travel apart and never come
// here.
#include "control/last_good.h"

#include <errno.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/snapshot_file.h"

#define HEADER_BYTES_MAX (128u << 10)
#define ARENA_BYTES	 (1u << 20)

enum err last_good_save(const char *path, const struct holdings *h)
{
	struct snapshot_file f = {.schema = SNAPSHOT_SCHEMA_VERSION,
				  .generation = holdings_generation(h),
				  .count = holdings_count(h)};
	enum err e = ERR_NOMEM;
	struct buf out;

	buf_init_growing(&out, SNAPSHOT_BYTES_MAX + HEADER_BYTES_MAX);
	f.refs = calloc(f.count + 1, sizeof(*f.refs));
	f.sections = calloc(f.count + 1, sizeof(*f.sections));
	if (!f.refs || !f.sections)
		goto out;
	for (uint32_t i = 0; i < f.count; i++) {
		f.refs[i] = *snapshot_section_id(holdings_section(h, i));
		f.sections[i] = snapshot_section_bytes(holdings_section(h, i));
	}
	snapshot_file_encode(&out, &f);
	e = out.err;
	if (!e)
		e = file_write(path, 0600, buf_slice(&out));
out:
	free(f.refs);
	free(f.sections);
	buf_deinit(&out);
	return e;
}

enum err last_good_load(const char *path, struct holdings *h, struct slice self,
			struct snapshot **out, struct reason *why)
{
	struct snapshot_file f;
	struct arena arena;
	struct buf bytes;
	enum err e;

	buf_init_growing(&bytes, SNAPSHOT_BYTES_MAX + HEADER_BYTES_MAX);
	arena_init(&arena, ARENA_BYTES);
	e = file_read(path, SNAPSHOT_BYTES_MAX + HEADER_BYTES_MAX, &bytes);
	if (e && e != ERR_NOT_FOUND)
		err_because(e, why, "cannot read %s: %s", path, strerror(errno));
	if (!e)
		e = snapshot_file_decode(buf_slice(&bytes), &arena, &f, why);
	if (!e)
		e = holdings_restore(h, f.generation, f.refs, f.sections, f.count, self, out, why);
	arena_deinit(&arena);
	buf_deinit(&bytes);
	return e;
}
