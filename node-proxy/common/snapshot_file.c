// SPDX-License-Identifier: GPL-3.0-or-later
// Layout, big endian:
//   8 bytes  "PCSNAPSH"
//   u32      schema
//   u64 u64  epoch, counter
//   u32      number of sections
//   each     u8 kind, u8 shard, sha256, u32 bytes
//   u64      checksum of all of the above (hash_bytes, seed 0)
//   the sections' bytes, in the same order, to the end of the file
#include "common/snapshot_file.h"

#include "common/hash.h"

static const char magic[8] = {'P', 'C', 'S', 'N', 'A', 'P', 'S', 'H'};

void snapshot_file_encode(struct buf *out, const struct snapshot_file *f)
{
	size_t start = out->len;

	buf_put(out, magic, sizeof(magic));
	buf_put_be32(out, f->schema);
	buf_put_be64(out, f->generation.epoch);
	buf_put_be64(out, f->generation.counter);
	buf_put_be32(out, f->count);
	for (uint32_t i = 0; i < f->count; i++) {
		buf_put_u8(out, (uint8_t)f->refs[i].name.kind);
		buf_put_u8(out, f->refs[i].name.shard);
		buf_put(out, f->refs[i].sha256, sizeof(f->refs[i].sha256));
		buf_put_be32(out, f->refs[i].bytes);
	}
	if (out->err)
		return;
	buf_put_be64(out, hash_bytes(slice_make(out->ptr + start, out->len - start), 0));
	for (uint32_t i = 0; i < f->count; i++)
		buf_put_slice(out, f->sections[i]);
}

static void snapshot_file_take_ref(struct cursor *c, struct section_ref *out)
{
	struct slice digest;

	out->name.kind = (enum section_kind)cursor_u8(c);
	out->name.shard = cursor_u8(c);
	digest = cursor_take(c, sizeof(out->sha256));
	if (digest.len == sizeof(out->sha256))
		memcpy(out->sha256, digest.ptr, digest.len);
	out->bytes = cursor_be32(c);
}

static enum err must_check snapshot_file_take_header(struct cursor *c, struct arena *a,
						     struct snapshot_file *out, struct reason *why)
{
	if (!slice_eq(cursor_take(c, sizeof(magic)), slice_make(magic, sizeof(magic))))
		return err_because(ERR_MALFORMED, why, "not a snapshot file");
	out->schema = cursor_be32(c);
	out->generation.epoch = cursor_be64(c);
	out->generation.counter = cursor_be64(c);
	out->count = cursor_be32(c);
	if (c->err)
		return err_because(ERR_MALFORMED, why, "the file is truncated");
	if (out->count > SNAPSHOT_SECTIONS_MAX)
		return err_because(ERR_TOO_LARGE, why, "%u sections, limit is %u", out->count,
				   SNAPSHOT_SECTIONS_MAX);
	out->refs = arena_alloc(a, out->count + 1, sizeof(*out->refs));
	out->sections = arena_alloc(a, out->count + 1, sizeof(*out->sections));
	if (!out->refs || !out->sections)
		return err_because(ERR_NOMEM, why, "out of memory");
	for (uint32_t i = 0; i < out->count; i++)
		snapshot_file_take_ref(c, &out->refs[i]);
	return ERR_OK;
}

enum err snapshot_file_decode(struct slice bytes, struct arena *a, struct snapshot_file *out,
			      struct reason *why)
{
	struct cursor c;
	size_t header;
	enum err e;

	memset(out, 0, sizeof(*out));
	cursor_init(&c, bytes);
	e = snapshot_file_take_header(&c, a, out, why);
	if (e)
		return e;
	header = bytes.len - cursor_left(&c);
	if (cursor_be64(&c) != hash_bytes(slice_make(bytes.ptr, header), 0) || c.err)
		return err_because(ERR_MALFORMED, why, "the header is truncated or damaged");
	// Only now: a damaged version number is damage.
	if (out->schema < SNAPSHOT_SCHEMA_OLDEST || out->schema > SNAPSHOT_SCHEMA_VERSION)
		return err_because(ERR_VERSION, why, "snapshot schema %u, we read %d to %d",
				   out->schema, SNAPSHOT_SCHEMA_OLDEST, SNAPSHOT_SCHEMA_VERSION);
	for (uint32_t i = 0; i < out->count; i++)
		out->sections[i] = cursor_take(&c, out->refs[i].bytes);
	if (c.err || cursor_left(&c) > 0)
		return err_because(ERR_MALFORMED, why, "the sections' bytes are not %s",
				   c.err ? "all there" : "the end of the file");
	return ERR_OK;
}
