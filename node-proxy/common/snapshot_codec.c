// SPDX-License-Identifier: GPL-3.0-or-later
// msgpack of the snapshot's records; see snapshot_codec.h. One table a struct names every field once:
// key, kind, place, limit. Encoder and decoder walk the same tables, so they cannot disagree.
#include "common/snapshot_codec.h"

#include <msgpack.h>
#include <stdio.h>
#include "common/msgpack_read.h"
#include "common/snapshot_tables.h"

static const uint8_t *field_at(const struct field *f, const void *object)
{
	return (const uint8_t *)object + f->offset;
}

// An array's count lies beside its pointer; a single address (endpoint) has no count.
static bool field_is_single(const struct field *f)
{
	return f->kind == FIELD_ADDRS && f->count_offset == f->offset;
}

static uint32_t field_count(const struct field *f, const void *object)
{
	uint32_t count;

	memcpy(&count, (const uint8_t *)object + f->count_offset, sizeof(count));
	return count;
}

static const void *field_pointer(const struct field *f, const void *object)
{
	const void *pointer;

	memcpy(&pointer, field_at(f, object), sizeof(pointer));
	return pointer;
}

static uint64_t field_number(const struct field *f, const void *object)
{
	const uint8_t *at = field_at(f, object);
	uint64_t v64;
	uint32_t v32;
	uint16_t v16;

	switch (f->kind) {
	case FIELD_BOOL:
		return *(const bool *)at;
	case FIELD_U16:
		memcpy(&v16, at, sizeof(v16));
		return v16;
	case FIELD_ENUM:
	case FIELD_HINT:
	case FIELD_U32:
		memcpy(&v32, at, sizeof(v32));
		return v32;
	case FIELD_U64:
		memcpy(&v64, at, sizeof(v64));
		return v64;
	case FIELD_BYTES:
	case FIELD_ADDRS:
	case FIELD_CIDRS:
	case FIELD_TEXTS:
	case FIELD_U16S:
	case FIELD_STRUCTS:
		break;
	}
	return 0;
}

static bool field_is_set(const struct field *f, const void *object)
{
	if (f->kind == FIELD_BYTES)
		return ((const struct slice *)field_at(f, object))->len > 0;
	if (field_is_single(f))
		return !addr_is_none(*(const struct addr *)field_at(f, object));
	if (f->kind > FIELD_BYTES)
		return field_count(f, object) > 0;
	return field_number(f, object) != 0;
}

// ---- encoding ----------------------------------------------------------------------------------

static int pack_write(void *context, const char *bytes, size_t len)
{
	buf_put(context, bytes, len);
	return 0;
}

static void put_bytes(msgpack_packer *pk, const void *ptr, size_t len)
{
	msgpack_pack_bin(pk, len);
	if (len > 0)
		msgpack_pack_bin_body(pk, ptr, len);
}

static void put_text(msgpack_packer *pk, struct slice s)
{
	msgpack_pack_str(pk, s.len);
	if (s.len > 0)
		msgpack_pack_str_body(pk, s.ptr, s.len);
}

static void encode_table(msgpack_packer *pk, const struct table *t, const void *object);

static void encode_cidr(msgpack_packer *pk, const struct cidr *c)
{
	uint8_t bytes[17];

	memcpy(bytes, c->addr.bytes, 16);
	bytes[16] = c->bits;
	put_bytes(pk, bytes, sizeof(bytes));
}

static void encode_array(msgpack_packer *pk, const struct field *f, const void *object)
{
	uint32_t count = field_count(f, object);
	const uint8_t *items = field_pointer(f, object);

	msgpack_pack_array(pk, count);
	for (uint32_t i = 0; i < count; i++) {
		if (f->kind == FIELD_ADDRS)
			put_bytes(pk, ((const struct addr *)(const void *)items)[i].bytes, 16);
		else if (f->kind == FIELD_CIDRS)
			encode_cidr(pk, &((const struct cidr *)(const void *)items)[i]);
		else if (f->kind == FIELD_TEXTS)
			put_text(pk, ((const struct slice *)(const void *)items)[i]);
		else if (f->kind == FIELD_U16S)
			msgpack_pack_uint16(pk, ((const uint16_t *)(const void *)items)[i]);
		else
			encode_table(pk, f->table, items + i * f->table->size);
	}
}

static void encode_field(msgpack_packer *pk, const struct field *f, const void *object)
{
	if (f->kind == FIELD_BYTES) {
		const struct slice *s = (const void *)field_at(f, object);

		put_text(pk, *s);
	} else if (field_is_single(f)) {
		put_bytes(pk, field_at(f, object), 16);
	} else if (f->kind > FIELD_BYTES) {
		encode_array(pk, f, object);
	} else {
		msgpack_pack_uint64(pk, field_number(f, object));
	}
}

// Keys ascending, members that are zero left out: equal objects, equal bytes. The depth is that of
// the tables, which do not nest in themselves.
static void encode_table(msgpack_packer *pk, const struct table *t, const void *object)
{
	uint32_t set = 0;

	for (uint32_t i = 0; i < t->field_count; i++)
		set += field_is_set(&t->fields[i], object);
	msgpack_pack_map(pk, set);
	for (uint32_t i = 0; i < t->field_count; i++) {
		if (!field_is_set(&t->fields[i], object))
			continue;
		msgpack_pack_uint8(pk, t->fields[i].key);
		encode_field(pk, &t->fields[i], object);
	}
}

static void encode(struct buf *out, const struct table *t, const void *object)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, out, pack_write);
	encode_table(&pk, t, object);
}

// ---- decoding ----------------------------------------------------------------------------------

struct decoder {
	struct cursor c;
	struct arena *arena;
	struct reason *why;
	enum err err; // beyond the grammar: limits, memory
};

static void decode_table(struct decoder *d, const struct table *t, void *object);

static void decode_fail(struct decoder *d, enum err e)
{
	if (d->err == ERR_OK)
		d->err = e;
}

// The first failure, as a sentence without its subject.
static void decode_fail_at(struct decoder *d, enum err e, const struct field *f, const char *what)
{
	if (d->err == ERR_OK)
		d->err = err_because(e, d->why, "%s %s", f->name, what);
}

static void decode_fail_limit(struct decoder *d, const struct field *f, size_t has)
{
	char what[80];

	snprintf(what, sizeof(what), "has %zu %s, the limit is %u", has,
		 f->kind == FIELD_BYTES ? "bytes" : "entries", f->limit);
	decode_fail_at(d, ERR_TOO_LARGE, f, what);
}

static bool decode_ok(const struct decoder *d)
{
	return d->err == ERR_OK && d->c.err == ERR_OK;
}

static void decode_number(struct decoder *d, const struct field *f, void *at)
{
	uint64_t v = msgpack_read_uint(&d->c);
	uint64_t max = f->kind == FIELD_BOOL   ? 1
		       : f->kind == FIELD_ENUM ? f->limit - 1u
		       : f->kind == FIELD_HINT ? UINT64_MAX
		       : f->kind == FIELD_U16  ? UINT16_MAX
		       : f->kind == FIELD_U32  ? UINT32_MAX
					       : UINT64_MAX;
	uint32_t v32 = f->kind == FIELD_HINT && v >= f->limit ? 0 : (uint32_t)v;
	uint16_t v16 = (uint16_t)v;

	if (v > max && f->kind == FIELD_ENUM) {
		decode_fail_at(d, ERR_UNSUPPORTED, f,
			       "has a value that this version does not know");
		return;
	}
	if (v > max) {
		decode_fail(d, ERR_MALFORMED);
		return;
	}
	if (f->kind == FIELD_BOOL)
		*(bool *)at = v != 0;
	else if (f->kind == FIELD_U16)
		memcpy(at, &v16, sizeof(v16));
	else if (f->kind == FIELD_U64)
		memcpy(at, &v, sizeof(v));
	else
		memcpy(at, &v32, sizeof(v32));
}

static void decode_addr(struct decoder *d, struct addr *out)
{
	struct slice s = msgpack_read_bytes(&d->c);

	if (s.len == sizeof(out->bytes))
		memcpy(out->bytes, s.ptr, sizeof(out->bytes));
	else
		decode_fail(d, ERR_MALFORMED);
}

static void decode_cidr(struct decoder *d, struct cidr *out)
{
	struct slice s = msgpack_read_bytes(&d->c);

	if (s.len != 17 || s.ptr[16] > 128) {
		decode_fail(d, ERR_MALFORMED);
		return;
	}
	memcpy(out->addr.bytes, s.ptr, 16);
	out->bits = s.ptr[16];
}

static size_t item_bytes(const struct field *f)
{
	switch (f->kind) {
	case FIELD_ADDRS:
		return sizeof(struct addr);
	case FIELD_CIDRS:
		return sizeof(struct cidr);
	case FIELD_TEXTS:
		return sizeof(struct slice);
	case FIELD_U16S:
		return sizeof(uint16_t);
	case FIELD_STRUCTS:
		return f->table->size;
	case FIELD_BOOL:
	case FIELD_ENUM:
	case FIELD_HINT:
	case FIELD_U16:
	case FIELD_U32:
	case FIELD_U64:
	case FIELD_BYTES:
		break;
	}
	return 0;
}

static void decode_item(struct decoder *d, const struct field *f, void *item)
{
	if (f->kind == FIELD_ADDRS)
		decode_addr(d, item);
	else if (f->kind == FIELD_CIDRS)
		decode_cidr(d, item);
	else if (f->kind == FIELD_TEXTS)
		*(struct slice *)item = msgpack_read_bytes(&d->c);
	else if (f->kind == FIELD_U16S)
		decode_number(d, &(struct field){.kind = FIELD_U16}, item);
	else
		decode_table(d, f->table, item);
}

static void decode_array(struct decoder *d, const struct field *f, void *object)
{
	uint32_t count = msgpack_read_array(&d->c);
	size_t bytes = item_bytes(f);
	uint8_t *items;

	if (count > f->limit && decode_ok(d)) {
		decode_fail_limit(d, f, count);
		return;
	}
	if (count == 0 || !decode_ok(d))
		return;
	items = arena_alloc(d->arena, count, bytes);
	if (!items) {
		decode_fail(d, ERR_NOMEM);
		return;
	}
	for (uint32_t i = 0; i < count && decode_ok(d); i++)
		decode_item(d, f, items + i * bytes);
	memcpy((uint8_t *)object + f->offset, &items, sizeof(items));
	memcpy((uint8_t *)object + f->count_offset, &count, sizeof(count));
}

static void decode_field(struct decoder *d, const struct field *f, void *object)
{
	uint8_t *at = (uint8_t *)object + f->offset;

	if (f->kind == FIELD_BYTES) {
		struct slice s = msgpack_read_bytes(&d->c);

		if (s.len > f->limit)
			decode_fail_limit(d, f, s.len);
		memcpy(at, &s, sizeof(s));
	} else if (field_is_single(f)) {
		decode_addr(d, (void *)at);
	} else if (f->kind > FIELD_BYTES) {
		decode_array(d, f, object);
	} else {
		decode_number(d, f, at);
	}
}

static const struct field *find_field(const struct table *t, uint64_t key)
{
	for (uint32_t i = 0; i < t->field_count; i++) {
		if (t->fields[i].key == key)
			return &t->fields[i];
	}
	return NULL;
}

static bool addr_is_host(struct addr a)
{
	return !addr_is_none(a) && !addr_is_loopback(a) && !addr_is_multicast(a) &&
	       !(addr_is_v4(a) && addr_to_v4(a) == 0);
}

static bool items_equal(const struct field *f, const uint8_t *a, const uint8_t *b)
{
	const struct field *by = f->table ? find_field(f->table, f->once) : NULL;

	return by ? field_number(by, a) == field_number(by, b) : memcmp(a, b, item_bytes(f)) == 0;
}

// Lists with this rule are short: pairs are cheaper than a table.
static bool items_differ(const struct field *f, const void *object)
{
	const uint8_t *items = field_pointer(f, object);
	uint32_t count = field_count(f, object);
	size_t bytes = item_bytes(f);

	for (uint32_t i = 1; i < count; i++) {
		for (uint32_t k = 0; k < i; k++) {
			if (items_equal(f, items + i * bytes, items + k * bytes))
				return false;
		}
	}
	return true;
}

static bool addrs_are_hosts(const struct field *f, const void *object)
{
	const struct addr *list =
		field_is_single(f) ? (const void *)field_at(f, object) : field_pointer(f, object);
	uint32_t count = field_is_single(f) ? 1 : field_count(f, object);

	for (uint32_t i = 0; i < count; i++) {
		if (!addr_is_host(list[i]))
			return false;
	}
	return true;
}

static void check_rules(struct decoder *d, const struct table *t, const void *object)
{
	for (uint32_t i = 0; i < t->field_count && decode_ok(d); i++) {
		const struct field *f = &t->fields[i];

		if (f->rules == 0)
			continue;
		if ((f->rules & RULE_NOT_ZERO) && !field_is_set(f, object))
			decode_fail_at(d, ERR_RANGE, f, "must not be zero");
		if ((f->rules & RULE_EACH_ONCE) && !items_differ(f, object))
			decode_fail_at(d, ERR_EXISTS, f, "names one twice");
		if ((f->rules & RULE_HOST) && !addrs_are_hosts(f, object))
			decode_fail_at(d, ERR_RANGE, f, "has an address that no host can have");
	}
}

static void decode_table(struct decoder *d, const struct table *t, void *object)
{
	uint32_t members = msgpack_read_map(&d->c);
	uint64_t last = 0;

	for (uint32_t i = 0; i < members && decode_ok(d); i++) {
		uint64_t key = msgpack_read_uint(&d->c);

		// Ascending, so that no member comes twice.
		if (key <= last) {
			decode_fail(d, ERR_MALFORMED);
			return;
		}
		last = key;
		const struct field *f = find_field(t, key);

		if (f)
			decode_field(d, f, object);
		else
			msgpack_skip(&d->c); // a later version's
	}
	check_rules(d, t, object);
}

static enum err decode(struct slice value, struct arena *a, const struct table *t, void *out,
		       struct reason *why)
{
	struct decoder d = {.arena = a, .why = why};

	memset(out, 0, t->size);
	cursor_init(&d.c, value);
	decode_table(&d, t, out);
	if (d.c.err == ERR_OK && cursor_left(&d.c) > 0)
		decode_fail(&d, ERR_MALFORMED);
	return d.err != ERR_OK ? d.err : d.c.err == ERR_OK ? ERR_OK : ERR_MALFORMED;
}

enum err snapshot_decode_record(enum section_kind kind, struct slice value, struct arena *a,
				void *out, struct reason *why)
{
	static const struct table *const tables[SECTION_KIND_COUNT] = {
		[SECTION_META] = &snapshot_meta_table,
		[SECTION_NODES] = &snapshot_node_table,
		[SECTION_WORKLOADS] = &snapshot_workload_table,
		[SECTION_SERVICES] = &snapshot_service_table,
		[SECTION_POLICIES] = &snapshot_policy_table,
		[SECTION_PROVIDERS] = &snapshot_provider_table,
		[SECTION_LIMITS] = &snapshot_limit_table,
		[SECTION_TRUST] = &snapshot_trust_root_table,
		[SECTION_RULE_SETS] = &snapshot_rule_set_table,
	};

	return kind < SECTION_KIND_COUNT && tables[kind]
		       ? decode(value, a, tables[kind], out, why)
		       : err_because(ERR_UNSUPPORTED, why, "there is no such kind of record");
}

#define CODEC(name, type)                                                                          \
	void snapshot_encode_##name(struct buf *out, const struct type *v)                         \
	{                                                                                          \
		encode(out, &snapshot_##name##_table, v);                                          \
	}                                                                                          \
	enum err snapshot_decode_##name(struct slice value, struct arena *a, struct type *out)     \
	{                                                                                          \
		return decode(value, a, &snapshot_##name##_table, out, NULL);                      \
	}

CODEC(meta, ss_meta)
CODEC(node, ss_node)
CODEC(workload, ss_workload)
CODEC(service, ss_service)
CODEC(policy, ss_policy)
CODEC(rule_set, ss_rule_set)
CODEC(provider, ss_provider)
CODEC(limit, ss_limit)
CODEC(trust_root, ss_trust_root)
