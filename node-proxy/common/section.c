// SPDX-License-Identifier: GPL-3.0-or-later
// Sections: sorted runs of [key, map], their difference and its application; see section.h. A patch is
// a run of [key, map] (put) and [key, nil] (delete) in the same order.
#include "common/section.h"

#include <msgpack.h>
#include <stdio.h>
#include "common/msgpack_read.h"

static const char *const kind_names[SECTION_KIND_COUNT] = {
	[SECTION_NONE] = "none",	   [SECTION_META] = "meta",
	[SECTION_NODES] = "nodes",	   [SECTION_WORKLOADS] = "workloads",
	[SECTION_SERVICES] = "services",   [SECTION_POLICIES] = "policies",
	[SECTION_PROVIDERS] = "providers", [SECTION_LIMITS] = "limits",
	[SECTION_TRUST] = "trust",	   [SECTION_RULE_SETS] = "rule_sets",
};

bool section_kind_is_sharded(enum section_kind kind)
{
	return kind == SECTION_WORKLOADS || kind == SECTION_SERVICES || kind == SECTION_POLICIES ||
	       kind == SECTION_RULE_SETS;
}

char *section_name_format(struct section_name n, char text[SECTION_NAME_MAX])
{
	if (section_kind_is_sharded(n.kind))
		snprintf(text, SECTION_NAME_MAX, "%s/%02x", kind_names[n.kind], n.shard);
	else
		snprintf(text, SECTION_NAME_MAX, "%s",
			 n.kind < SECTION_KIND_COUNT ? kind_names[n.kind] : "none");
	return text;
}

static bool hex_digit(uint8_t c, uint8_t *v)
{
	if (c >= '0' && c <= '9')
		*v = (uint8_t)(c - '0');
	else if (c >= 'a' && c <= 'f')
		*v = (uint8_t)(c - 'a' + 10);
	else
		return false;
	return true;
}

enum err section_name_parse(struct slice text, struct section_name *out)
{
	size_t slash = slice_find(text, '/');
	struct slice name = slice_make(text.ptr, slash);
	uint8_t high, low;

	for (enum section_kind k = SECTION_META; k < SECTION_KIND_COUNT; k++) {
		if (!slice_eq_str(name, kind_names[k]))
			continue;
		*out = (struct section_name){.kind = k};
		if (!section_kind_is_sharded(k))
			return slash == text.len ? ERR_OK : ERR_MALFORMED;
		if (text.len != slash + 3 || !hex_digit(text.ptr[slash + 1], &high) ||
		    !hex_digit(text.ptr[slash + 2], &low))
			return ERR_MALFORMED;
		out->shard = (uint8_t)(high << 4 | low);
		return ERR_OK;
	}
	return ERR_UNSUPPORTED;
}

static int pack_write(void *context, const char *bytes, size_t len)
{
	buf_put(context, bytes, len);
	return 0;
}

static void put_record_head(struct buf *out, struct slice key)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, out, pack_write);
	msgpack_pack_array(&pk, 2);
	msgpack_pack_str(&pk, key.len);
	if (key.len > 0)
		msgpack_pack_str_body(&pk, key.ptr, key.len);
}

void section_put(struct buf *out, struct slice key, struct slice value)
{
	put_record_head(out, key);
	buf_put_slice(out, value);
}

static void section_put_deleted(struct buf *out, struct slice key)
{
	put_record_head(out, key);
	buf_put_u8(out, 0xc0); // nil
}

void section_iterate(struct section_iterator *it, struct slice section)
{
	*it = (struct section_iterator){.rest = section};
}

// One record of a section or a patch, whatever its value is.
static bool next_record(struct section_iterator *it, struct slice *key, struct slice *value,
			struct slice *record)
{
	struct cursor c;

	if (it->err != ERR_OK || it->rest.len == 0)
		return false;
	cursor_init(&c, it->rest);
	if (cursor_u8(&c) != 0x92)
		c.err = ERR_MALFORMED;
	*key = msgpack_read_bytes(&c);
	value->ptr = c.ptr;
	msgpack_skip(&c);
	value->len = (size_t)(c.ptr - value->ptr);
	*record = slice_make(it->rest.ptr, (size_t)(c.ptr - it->rest.ptr));
	if (c.err != ERR_OK || record->len > SNAPSHOT_RECORD_BYTES_MAX ||
	    (it->last_key.ptr && slice_cmp(it->last_key, *key) >= 0)) {
		it->err = ERR_MALFORMED;
		return false;
	}
	it->last_key = *key;
	it->rest = slice_make(c.ptr, cursor_left(&c));
	return true;
}

static bool value_is_map(struct slice value)
{
	uint8_t form = value.len > 0 ? value.ptr[0] : 0xc0;

	return (form & 0xf0) == 0x80 || form == 0xde || form == 0xdf;
}

static bool value_is_nil(struct slice value)
{
	return value.len == 1 && value.ptr[0] == 0xc0;
}

bool section_next(struct section_iterator *it, struct slice *key, struct slice *value,
		  struct slice *record)
{
	if (!next_record(it, key, value, record))
		return false;
	if (!value_is_map(*value))
		it->err = ERR_MALFORMED;
	return it->err == ERR_OK;
}

struct side {
	struct section_iterator it;
	struct slice key, value, record;
	bool more;
};

static void side_init(struct side *s, struct slice bytes)
{
	section_iterate(&s->it, bytes);
	s->more = next_record(&s->it, &s->key, &s->value, &s->record);
}

static void side_next(struct side *s)
{
	s->more = next_record(&s->it, &s->key, &s->value, &s->record);
}

// Which of the two comes first: -1 a, 1 b, 0 both have the key.
static int side_order(const struct side *a, const struct side *b)
{
	if (!a->more || !b->more)
		return a->more ? -1 : 1;
	return slice_cmp(a->key, b->key);
}

static enum err sides_error(const struct side *a, const struct side *b, const struct buf *out)
{
	if (a->it.err != ERR_OK)
		return a->it.err;
	return b->it.err != ERR_OK ? b->it.err : out->err;
}

enum err section_diff(struct slice old, struct slice new, struct buf *patch)
{
	struct side a, b;

	side_init(&a, old);
	side_init(&b, new);
	while (a.more || b.more) {
		int order = side_order(&a, &b);

		if (order < 0)
			section_put_deleted(patch, a.key);
		else if (order > 0 || !slice_eq(a.record, b.record))
			buf_put_slice(patch, b.record);
		if (order <= 0)
			side_next(&a);
		if (order >= 0)
			side_next(&b);
	}
	return sides_error(&a, &b, patch);
}

enum err section_patch(struct slice old, struct slice patch, struct buf *new)
{
	struct side a, b;

	side_init(&a, old);
	side_init(&b, patch);
	while (a.more || b.more) {
		int order = side_order(&a, &b);

		if (order < 0)
			buf_put_slice(new, a.record);
		else if (value_is_map(b.value))
			buf_put_slice(new, b.record);
		else if (order > 0 || !value_is_nil(b.value))
			return ERR_MALFORMED; // deletes what is not there, or is no record
		if (order <= 0)
			side_next(&a);
		if (order >= 0)
			side_next(&b);
	}
	return sides_error(&a, &b, new);
}
