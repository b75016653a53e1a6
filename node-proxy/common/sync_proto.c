// SPDX-License-Identifier: GPL-3.0-or-later
// Frames of the config wire; see sync_proto.h. One table of members serves every message: a message
// writes the members that are set, and a reader takes those it knows.
#include "common/sync_proto.h"

#include <msgpack.h>
#include "common/msgpack_read.h"

enum member {
	MEMBER_VERSION = 1,
	MEMBER_SCHEMA_MIN,
	MEMBER_SCHEMA_MAX,
	MEMBER_NODE,
	MEMBER_TOKEN,
	MEMBER_PUBLIC_KEY,
	MEMBER_EPOCH,
	MEMBER_COUNTER,
	MEMBER_REFS,
	MEMBER_REASON,
	MEMBER_CHAIN_PEM,
	MEMBER_TRUST_PEM,
	MEMBER_NOT_AFTER,
	MEMBER_RENEW_AT,
	MEMBER_SECTION,
	MEMBER_FROM_SHA256,
	MEMBER_SHA256,
	MEMBER_BYTES,
	MEMBER_CAPTURE,
};

struct writer {
	msgpack_packer pk;
	uint32_t members;
	bool counting;
};

static int pack_write(void *context, const char *bytes, size_t len)
{
	buf_put(context, bytes, len);
	return 0;
}

static bool begin(struct writer *w, enum member m)
{
	if (w->counting) {
		w->members++;
		return false;
	}
	msgpack_pack_uint8(&w->pk, (uint8_t)m);
	return true;
}

static void put_number(struct writer *w, enum member m, uint64_t v)
{
	if (v != 0 && begin(w, m))
		msgpack_pack_uint64(&w->pk, v);
}

static void put_binary(struct writer *w, const void *ptr, size_t len)
{
	msgpack_pack_bin(&w->pk, len);
	if (len > 0)
		msgpack_pack_bin_body(&w->pk, ptr, len);
}

static void put_bytes(struct writer *w, enum member m, struct slice s)
{
	if (s.len > 0 && begin(w, m))
		put_binary(w, s.ptr, s.len);
}

static void put_digest(struct writer *w, enum member m, const uint8_t digest[32])
{
	static const uint8_t none[32];

	if (memcmp(digest, none, 32) != 0 && begin(w, m))
		put_binary(w, digest, 32);
}

static void put_section_name(struct writer *w, struct section_name name)
{
	char text[SECTION_NAME_MAX];

	section_name_format(name, text);
	put_binary(w, text, strlen(text));
}

static void put_refs(struct writer *w, const struct section_ref *refs, uint32_t count)
{
	if (count == 0 || !begin(w, MEMBER_REFS))
		return;
	msgpack_pack_array(&w->pk, count);
	for (uint32_t i = 0; i < count; i++) {
		msgpack_pack_array(&w->pk, 3);
		put_section_name(w, refs[i].name);
		put_binary(w, refs[i].sha256, 32);
		msgpack_pack_uint32(&w->pk, refs[i].bytes);
	}
}

static void put_members(struct writer *w, const struct sync_message *m)
{
	put_number(w, MEMBER_VERSION, m->version);
	put_number(w, MEMBER_SCHEMA_MIN, m->schema_min);
	put_number(w, MEMBER_SCHEMA_MAX, m->schema_max);
	put_bytes(w, MEMBER_NODE, m->node);
	put_bytes(w, MEMBER_TOKEN, m->token);
	put_bytes(w, MEMBER_PUBLIC_KEY, m->public_key);
	put_number(w, MEMBER_EPOCH, m->generation.epoch);
	put_number(w, MEMBER_COUNTER, m->generation.counter);
	put_refs(w, m->refs, m->ref_count);
	put_bytes(w, MEMBER_REASON, m->reason);
	put_bytes(w, MEMBER_CHAIN_PEM, m->chain_pem);
	put_bytes(w, MEMBER_TRUST_PEM, m->trust_pem);
	put_number(w, MEMBER_NOT_AFTER, m->not_after_unix_s);
	put_number(w, MEMBER_RENEW_AT, m->renew_at_unix_s);
	if (m->section.kind != SECTION_NONE && begin(w, MEMBER_SECTION))
		put_section_name(w, m->section);
	put_digest(w, MEMBER_FROM_SHA256, m->from_sha256);
	put_digest(w, MEMBER_SHA256, m->sha256);
	put_bytes(w, MEMBER_BYTES, m->bytes);
	put_number(w, MEMBER_CAPTURE, m->capture);
}

void sync_encode(struct buf *out, const struct sync_message *m)
{
	size_t start = out->len;
	struct writer w = {.counting = true};

	buf_put_be32(out, 0);
	buf_put_u8(out, (uint8_t)m->type);
	put_members(&w, m);
	w.counting = false;
	msgpack_packer_init(&w.pk, out, pack_write);
	msgpack_pack_map(&w.pk, w.members);
	put_members(&w, m);
	size_t bytes = out->len - start - SYNC_FRAME_HEADER_BYTES;

	if (out->err != ERR_OK)
		return;
	if (bytes > SYNC_FRAME_BYTES_MAX) {
		out->err = ERR_TOO_LARGE;
		return;
	}
	for (int i = 0; i < 4; i++)
		out->ptr[start + (size_t)i] = (uint8_t)(bytes >> (24 - 8 * i));
}

// ---- decoding ----------------------------------------------------------------------------------

static void take_digest(struct cursor *c, uint8_t out[32])
{
	struct slice s = msgpack_read_bytes(c);

	if (s.len == 32)
		memcpy(out, s.ptr, 32);
	else
		c->err = ERR_MALFORMED;
}

// A number that would lose its upper half is no small one.
static uint32_t take_u32(struct cursor *c)
{
	uint64_t v = msgpack_read_uint(c);

	if (v > UINT32_MAX && c->err == ERR_OK)
		c->err = ERR_MALFORMED;
	return (uint32_t)v;
}

static void take_section_name(struct cursor *c, struct section_name *out)
{
	struct slice s = msgpack_read_bytes(c);

	if (c->err == ERR_OK)
		c->err = section_name_parse(s, out);
}

static void take_refs(struct cursor *c, struct arena *a, struct sync_message *out)
{
	uint32_t count = msgpack_read_array(c);

	if (count > SNAPSHOT_SECTIONS_MAX) {
		c->err = ERR_TOO_LARGE;
		return;
	}
	out->refs = arena_alloc(a, count, sizeof(*out->refs));
	if (!out->refs) {
		c->err = ERR_NOMEM;
		return;
	}
	for (uint32_t i = 0; i < count && c->err == ERR_OK; i++) {
		struct section_ref *r = &out->refs[i];

		if (msgpack_read_array(c) != 3)
			c->err = c->err == ERR_OK ? ERR_MALFORMED : c->err;
		take_section_name(c, &r->name);
		take_digest(c, r->sha256);
		r->bytes = take_u32(c);
	}
	out->ref_count = count;
}

// False: not one of the numbers.
static bool take_number(struct cursor *c, uint64_t member, struct sync_message *out)
{
	switch (member) {
	case MEMBER_VERSION:
		out->version = take_u32(c);
		return true;
	case MEMBER_SCHEMA_MIN:
		out->schema_min = take_u32(c);
		return true;
	case MEMBER_SCHEMA_MAX:
		out->schema_max = take_u32(c);
		return true;
	case MEMBER_EPOCH:
		out->generation.epoch = msgpack_read_uint(c);
		return true;
	case MEMBER_COUNTER:
		out->generation.counter = msgpack_read_uint(c);
		return true;
	case MEMBER_NOT_AFTER:
		out->not_after_unix_s = msgpack_read_uint(c);
		return true;
	case MEMBER_RENEW_AT:
		out->renew_at_unix_s = msgpack_read_uint(c);
		return true;
	case MEMBER_CAPTURE:
		out->capture = take_u32(c);
		return true;
	default:
		return false;
	}
}

static void take_member(struct cursor *c, struct arena *a, uint64_t member,
			struct sync_message *out)
{
	switch (member) {
	case MEMBER_NODE:
		out->node = msgpack_read_bytes(c);
		return;
	case MEMBER_TOKEN:
		out->token = msgpack_read_bytes(c);
		return;
	case MEMBER_PUBLIC_KEY:
		out->public_key = msgpack_read_bytes(c);
		return;
	case MEMBER_REFS:
		take_refs(c, a, out);
		return;
	case MEMBER_REASON:
		out->reason = msgpack_read_bytes(c);
		return;
	case MEMBER_CHAIN_PEM:
		out->chain_pem = msgpack_read_bytes(c);
		return;
	case MEMBER_TRUST_PEM:
		out->trust_pem = msgpack_read_bytes(c);
		return;
	case MEMBER_SECTION:
		take_section_name(c, &out->section);
		return;
	case MEMBER_FROM_SHA256:
		take_digest(c, out->from_sha256);
		return;
	case MEMBER_SHA256:
		take_digest(c, out->sha256);
		return;
	case MEMBER_BYTES:
		out->bytes = msgpack_read_bytes(c);
		return;
	default:
		if (!take_number(c, member, out))
			msgpack_skip(c); // a later version's
	}
}

enum err sync_decode(struct slice in, struct arena *a, struct sync_message *out, size_t *used)
{
	struct cursor c;

	memset(out, 0, sizeof(*out));
	cursor_init(&c, in);
	uint32_t bytes = cursor_be32(&c);
	uint8_t type = cursor_u8(&c);

	if (c.err != ERR_OK)
		return ERR_AGAIN;
	if (bytes > SYNC_FRAME_BYTES_MAX)
		return ERR_TOO_LARGE;
	if (type == SYNC_NONE || type >= SYNC_FRAME_COUNT)
		return ERR_MALFORMED;
	if (cursor_left(&c) < bytes)
		return ERR_AGAIN;
	out->type = (enum sync_frame)type;
	*used = SYNC_FRAME_HEADER_BYTES + bytes;
	cursor_init(&c, slice_make(c.ptr, bytes));
	uint32_t members = msgpack_read_map(&c);

	for (uint32_t i = 0; i < members && c.err == ERR_OK; i++) {
		uint64_t member = msgpack_read_uint(&c);

		take_member(&c, a, member, out);
	}
	if (c.err != ERR_OK)
		return c.err;
	return cursor_left(&c) == 0 ? ERR_OK : ERR_MALFORMED;
}
