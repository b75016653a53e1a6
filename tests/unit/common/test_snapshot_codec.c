// SPDX-License-Identifier: GPL-3.0-or-later
// common/snapshot_codec: every member of every record comes back, equal objects are equal bytes, limits
// hold to the element, and no change of any byte does more than be refused or be another record. Objects are
// filled by walking the tables, so that a member that is added is tested by being added.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "common/msgpack_read.h"
#include "common/snapshot_codec.h"
#include "common/snapshot_tables.h"

#define VALUE_BYTES_MAX (1u << 22)

typedef void encode_function(struct buf *out, const void *v);
typedef enum err decode_function(struct slice value, struct arena *a, void *out);

#define RECORD(name, type)                                                                         \
	static void encode_##name(struct buf *out, const void *v)                                  \
	{                                                                                          \
		snapshot_encode_##name(out, (const struct type *)v);                               \
	}                                                                                          \
	static enum err decode_##name(struct slice value, struct arena *a, void *out)              \
	{                                                                                          \
		return snapshot_decode_##name(value, a, (struct type *)out);                       \
	}
RECORD(meta, ss_meta)
RECORD(node, ss_node)
RECORD(workload, ss_workload)
RECORD(service, ss_service)
RECORD(policy, ss_policy)
RECORD(rule_set, ss_rule_set)
RECORD(provider, ss_provider)
RECORD(limit, ss_limit)
RECORD(trust_root, ss_trust_root)

static const struct record {
	const char *name;
	encode_function *encode;
	decode_function *decode;
	const struct table *table;
} records[] = {
	{"meta", encode_meta, decode_meta, &snapshot_meta_table},
	{"node", encode_node, decode_node, &snapshot_node_table},
	{"workload", encode_workload, decode_workload, &snapshot_workload_table},
	{"service", encode_service, decode_service, &snapshot_service_table},
	{"policy", encode_policy, decode_policy, &snapshot_policy_table},
	{"rule_set", encode_rule_set, decode_rule_set, &snapshot_rule_set_table},
	{"provider", encode_provider, decode_provider, &snapshot_provider_table},
	{"limit", encode_limit, decode_limit, &snapshot_limit_table},
	{"trust_root", encode_trust_root, decode_trust_root, &snapshot_trust_root_table},
};
#define RECORDS (sizeof(records) / sizeof(records[0]))

union any {
	struct ss_meta meta;
	struct ss_node node;
	struct ss_workload workload;
	struct ss_service service;
	struct ss_policy policy;
	struct ss_rule_set rule_set;
	struct ss_provider provider;
	struct ss_limit limit;
	struct ss_trust_root root;
};

// ---- filling and comparing, by table -----------------------------------------------------------

struct filler {
	struct arena *arena;
	uint32_t count; // of the elements of every array
	uint32_t next;	// so that no two values are the same
};

static void fill(struct filler *x, const struct table *t, void *object);

static bool is_single(const struct field *f)
{
	return f->kind == FIELD_ADDRS && f->count_offset == f->offset;
}

static struct slice fill_text(struct filler *x, uint32_t limit)
{
	uint8_t text[32];
	size_t len = limit < 8 ? limit : 8;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(1 + (x->next * 7 + i) % 255);
	x->next++;
	return arena_copy(x->arena, slice_make(text, len));
}

static struct addr fill_addr(struct filler *x)
{
	return addr_from_v4(++x->next);
}

static size_t item_bytes(const struct field *f)
{
	return f->kind == FIELD_ADDRS	? sizeof(struct addr)
	       : f->kind == FIELD_CIDRS ? sizeof(struct cidr)
	       : f->kind == FIELD_TEXTS ? sizeof(struct slice)
	       : f->kind == FIELD_U16S	? sizeof(uint16_t)
					: f->table->size;
}

static void fill_item(struct filler *x, const struct field *f, void *item)
{
	struct addr a;
	struct slice s;
	uint16_t n;

	if (f->kind == FIELD_ADDRS) {
		a = fill_addr(x);
		memcpy(item, &a, sizeof(a));
	} else if (f->kind == FIELD_CIDRS) {
		*(struct cidr *)item = (struct cidr){fill_addr(x), (uint8_t)(x->next % 129)};
	} else if (f->kind == FIELD_TEXTS) {
		s = fill_text(x, 8);
		memcpy(item, &s, sizeof(s));
	} else if (f->kind == FIELD_U16S) {
		n = (uint16_t)++x->next;
		memcpy(item, &n, sizeof(n));
	} else {
		fill(x, f->table, item);
	}
}

static void fill_array(struct filler *x, const struct field *f, uint8_t *object)
{
	uint32_t count = x->count < f->limit ? x->count : f->limit;
	uint8_t *items = arena_alloc(x->arena, count, item_bytes(f));

	assert_non_null(items);
	for (uint32_t i = 0; i < count; i++)
		fill_item(x, f, items + i * item_bytes(f));
	memcpy(object + f->offset, &items, sizeof(items));
	memcpy(object + f->count_offset, &count, sizeof(count));
}

static void fill(struct filler *x, const struct table *t, void *object)
{
	for (uint32_t i = 0; i < t->field_count; i++) {
		const struct field *f = &t->fields[i];
		uint8_t *at = (uint8_t *)object + f->offset;
		uint64_t v64 = (uint64_t)(x->next + 1) << 33 | 1;
		bool word = f->kind == FIELD_ENUM || f->kind == FIELD_HINT;
		uint32_t v32 = word ? f->limit - 1 : UINT32_MAX - x->next;
		uint16_t v16 = (uint16_t)(UINT16_MAX - x->next % 60000);
		struct slice s;

		if (f->kind == FIELD_BOOL) {
			*(bool *)at = true;
		} else if (f->kind == FIELD_U16) {
			memcpy(at, &v16, sizeof(v16));
		} else if (f->kind == FIELD_U64) {
			memcpy(at, &v64, sizeof(v64));
		} else if (word || f->kind == FIELD_U32) {
			memcpy(at, &v32, sizeof(v32));
		} else if (f->kind == FIELD_BYTES) {
			s = fill_text(x, f->limit);
			memcpy(at, &s, sizeof(s));
		} else if (is_single(f)) {
			fill_item(x, f, at);
		} else {
			fill_array(x, f, object);
		}
		x->next++;
	}
}

static void check_equal(const struct table *t, const void *left, const void *right);

static void check_items(const struct field *f, const uint8_t *left, const uint8_t *right)
{
	struct slice a, b;

	if (f->kind == FIELD_STRUCTS) {
		check_equal(f->table, left, right);
	} else if (f->kind == FIELD_TEXTS) {
		memcpy(&a, left, sizeof(a));
		memcpy(&b, right, sizeof(b));
		assert_true(slice_eq(a, b));
	} else {
		assert_memory_equal(left, right, item_bytes(f));
	}
}

static void check_array(const struct field *f, const uint8_t *left, const uint8_t *right)
{
	uint32_t count, other;
	const uint8_t *a, *b;

	memcpy(&count, left + f->count_offset, sizeof(count));
	memcpy(&other, right + f->count_offset, sizeof(other));
	memcpy(&a, left + f->offset, sizeof(a));
	memcpy(&b, right + f->offset, sizeof(b));
	assert_int_equal(count, other);
	for (uint32_t i = 0; i < count; i++)
		check_items(f, a + i * item_bytes(f), b + i * item_bytes(f));
}

static void check_equal(const struct table *t, const void *left, const void *right)
{
	for (uint32_t i = 0; i < t->field_count; i++) {
		const struct field *f = &t->fields[i];
		const uint8_t *a = (const uint8_t *)left + f->offset;
		const uint8_t *b = (const uint8_t *)right + f->offset;

		if (f->kind == FIELD_BYTES)
			check_items(&(struct field){.kind = FIELD_TEXTS}, a, b);
		else if (is_single(f))
			assert_memory_equal(a, b, sizeof(struct addr));
		else if (f->kind > FIELD_BYTES)
			check_array(f, left, right);
		else if (f->kind == FIELD_BOOL)
			assert_int_equal(*(const bool *)a, *(const bool *)b);
		else
			assert_memory_equal(a, b,
					    f->kind == FIELD_U16   ? 2
					    : f->kind == FIELD_U64 ? 8
								   : 4);
	}
}

// ---- tests -------------------------------------------------------------------------------------

struct test {
	struct arena arena;
	struct buf b;
};

static int setup(void **state)
{
	static struct test t;

	arena_init(&t.arena, 1u << 28);
	buf_init_growing(&t.b, VALUE_BYTES_MAX);
	*state = &t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	arena_deinit(&t->arena);
	buf_deinit(&t->b);
	return 0;
}

static union any encode_full(struct test *t, const struct record *r, uint32_t count)
{
	struct filler x = {.arena = &t->arena, .count = count, .next = 1};
	union any object;

	memset(&object, 0, sizeof(object));
	buf_reset(&t->b);
	fill(&x, r->table, &object);
	r->encode(&t->b, &object);
	assert_int_equal(t->b.err, ERR_OK);
	return object;
}

static void every_member_comes_back(void **state)
{
	struct test *t = *state;

	for (size_t i = 0; i < RECORDS; i++) {
		for (uint32_t count = 0; count < 4; count++) {
			union any object = encode_full(t, &records[i], count), back;

			memset(&back, 0xff, sizeof(back));
			assert_int_equal(records[i].decode(buf_slice(&t->b), &t->arena, &back),
					 ERR_OK);
			check_equal(records[i].table, &object, &back);
		}
	}
}

static bool needs_something(const struct table *t)
{
	bool any = false;

	for (uint32_t i = 0; i < t->field_count; i++)
		any |= (t->fields[i].rules & RULE_NOT_ZERO) != 0;
	return any;
}

static void equal_objects_are_equal_bytes(void **state)
{
	struct test *t = *state;
	struct buf again;

	buf_init_growing(&again, VALUE_BYTES_MAX);
	for (size_t i = 0; i < RECORDS; i++) {
		union any back;

		encode_full(t, &records[i], 2);
		assert_int_equal(records[i].decode(buf_slice(&t->b), &t->arena, &back), ERR_OK);
		buf_reset(&again);
		records[i].encode(&again, &back);
		assert_true(slice_eq(buf_slice(&again), buf_slice(&t->b)));
		// And what is zero is nothing at all.
		memset(&back, 0, sizeof(back));
		buf_reset(&again);
		records[i].encode(&again, &back);
		assert_true(slice_eq(buf_slice(&again), slice_make("\x80", 1)));
		assert_int_equal(records[i].decode(buf_slice(&again), &t->arena, &back),
				 needs_something(records[i].table) ? ERR_RANGE : ERR_OK);
	}
	buf_deinit(&again);
}

// The bytes themselves: nodes of another version read them.
static void the_form_is_fixed(void **state)
{
	struct test *t = *state;
	struct addr addr = addr_from_v4(0x0a000001);
	struct ss_node node = {.name = SLICE_LIT("n1"),
			       .addrs = &addr,
			       .addr_count = 1,
			       .tunnel_port = 14443,
			       .ingress = true};
	struct ss_meta meta = {.trust_domain = SLICE_LIT("td"), .created_unix_ms = 1ull << 40};
	static const uint8_t node_bytes[] = {0x84, 0x01, 0xa2, 'n',  '1',  0x02, 0x91, 0xc4,
					     0x10, 0,	 0,    0,    0,	   0,	 0,    0,
					     0,	   0,	 0,    0xff, 0xff, 10,	 0,    0,
					     1,	   0x03, 0xcd, 0x38, 0x6b, 0x06, 0x01};
	static const uint8_t meta_bytes[] = {0x82, 0x01, 0xa2, 't', 'd', 0x02, 0xcf, 0,
					     0,	   1,	 0,    0,   0,	 0,    0};

	snapshot_encode_node(&t->b, &node);
	assert_true(slice_eq(buf_slice(&t->b), slice_make(node_bytes, sizeof(node_bytes))));
	buf_reset(&t->b);
	snapshot_encode_meta(&t->b, &meta);
	assert_true(slice_eq(buf_slice(&t->b), slice_make(meta_bytes, sizeof(meta_bytes))));
}

// Decodes from memory that ends where the bytes do: the sanitizer sees a read beyond.
static enum err decode_exactly(struct test *t, const struct record *r, struct slice bytes)
{
	uint8_t *copy = malloc(bytes.len ? bytes.len : 1);
	union any back;
	enum err err;

	assert_non_null(copy);
	memcpy(copy, bytes.ptr, bytes.len);
	arena_reset(&t->arena);
	err = r->decode(slice_make(copy, bytes.len), &t->arena, &back);
	free(copy);
	return err;
}

static void truncations_are_malformed(void **state)
{
	struct test *t = *state;

	for (size_t i = 0; i < RECORDS; i++) {
		encode_full(t, &records[i], 1);
		for (size_t len = 0; len < t->b.len; len++)
			assert_int_equal(decode_exactly(t, &records[i], slice_make(t->b.ptr, len)),
					 ERR_MALFORMED);
		buf_put_u8(&t->b, 0); // and nothing may follow
		assert_int_equal(decode_exactly(t, &records[i], buf_slice(&t->b)), ERR_MALFORMED);
	}
}

static void flips_are_survived(void **state)
{
	struct test *t = *state;
	uint32_t refused = 0, taken = 0;

	for (size_t i = 0; i < RECORDS; i++) {
		encode_full(t, &records[i], 1);
		for (size_t at = 0; at < t->b.len * 8; at++) {
			t->b.ptr[at / 8] ^= (uint8_t)(1 << at % 8);
			if (decode_exactly(t, &records[i], buf_slice(&t->b)) == ERR_OK)
				taken++;
			else
				refused++;
			t->b.ptr[at / 8] ^= (uint8_t)(1 << at % 8);
		}
	}
	assert_true(refused > 1000 && taken > 1000); // both happen, or this would show nothing
}

static void unknown_members_are_skipped_known_ones_come_once(void **state)
{
	struct test *t = *state;
	struct ss_node node;
	static const struct {
		const char *bytes;
		size_t len;
		enum err err;
	} rows[] = {
		{"\x82\x01\xa1x\x63\x91\x81\x01\x02", 9, ERR_OK}, // key 99: something nested
		{"\x82\x01\xa1x\xcd\x01\x00\xc0", 8, ERR_OK},
		{"\x82\x01\xa1x\x01\xa1y", 7, ERR_MALFORMED}, // twice
		{"\x82\x03\x05\x01\xa1y", 6, ERR_MALFORMED},  // descending
		{"\x81\x00\xa1x", 4, ERR_MALFORMED},	      // zero is no key
		{"\x81\xa1x\xa1x", 5, ERR_MALFORMED},
		{"\x81\xff\xa1x", 4, ERR_MALFORMED},
		{"\x90", 1, ERR_MALFORMED},
		{"\xc0", 1, ERR_MALFORMED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (snapshot_decode_node(slice_make(rows[i].bytes, rows[i].len), &t->arena,
					 &node) != rows[i].err)
			fail_msg("row %zu", i);
		if (rows[i].err == ERR_OK)
			assert_true(slice_eq_str(node.name, "x"));
	}
}

// A scalar that is beyond its type, its enum or its limit.
static void values_have_limits(void **state)
{
	struct test *t = *state;
	struct ss_node node;
	struct ss_rule rule = {.action = RULE_ALLOW, .mode = MODE_AUDIT};
	struct ss_policy policy = {.rules = &rule, .rule_count = 1}, back;
	struct ss_service_port port = {.port = 1, .protocol = APP_PROTOCOL_COUNT};
	struct ss_service service = {.ports = &port, .port_count = 1}, hinted;
	uint8_t text[600] = {0};

#define NODE(bytes) snapshot_decode_node(slice_make(bytes, sizeof(bytes) - 1), &t->arena, &node)
	assert_int_equal(NODE("\x81\x03\xcd\xff\xff"), ERR_OK);
	assert_int_equal(node.tunnel_port, 65535);
	assert_int_equal(NODE("\x81\x03\xce\x00\x01\x00\x00"), ERR_MALFORMED); // port 65536
	assert_int_equal(NODE("\x81\x06\xc3"), ERR_OK);
	assert_int_equal(node.ingress, true);
	assert_int_equal(NODE("\x81\x06\x02"), ERR_MALFORMED); // neither true nor false
	assert_int_equal(NODE("\x81\x02\x91\xc4\x0f"
			      "123456789012345"),
			 ERR_MALFORMED); // 15 bytes
	assert_int_equal(NODE("\x81\x02\x91\xc4\x11"
			      "12345678901234567"),
			 ERR_MALFORMED);
	assert_int_equal(NODE("\x81\x02\x91\x01"), ERR_MALFORMED);
	// Enums: the last value is one, the next is none.
	snapshot_encode_policy(&t->b, &policy);
	assert_int_equal(snapshot_decode_policy(buf_slice(&t->b), &t->arena, &back), ERR_OK);
	rule.action = (enum rule_action)(RULE_ALLOW + 1);
	buf_reset(&t->b);
	snapshot_encode_policy(&t->b, &policy);
	assert_int_equal(snapshot_decode_policy(buf_slice(&t->b), &t->arena, &back),
			 ERR_UNSUPPORTED);
	// A hint from a later version is none.
	buf_reset(&t->b);
	snapshot_encode_service(&t->b, &service);
	assert_int_equal(snapshot_decode_service(buf_slice(&t->b), &t->arena, &hinted), ERR_OK);
	assert_int_equal(hinted.ports[0].protocol, APP_PROTOCOL_UNKNOWN);
	// Texts: a name of 253 bytes is one, of 254 none.
	for (size_t len = 253; len <= 254; len++) {
		struct ss_node long_one = {.name = slice_make(text, len)};

		buf_reset(&t->b);
		snapshot_encode_node(&t->b, &long_one);
		assert_int_equal(snapshot_decode_node(buf_slice(&t->b), &t->arena, &node),
				 len == 253 ? ERR_OK : ERR_TOO_LARGE);
	}
}

static void networks_have_at_most_128_bits(void **state)
{
	struct test *t = *state;
	struct cidr net = {addr_from_v4(0), 128};
	struct ss_service v = {.source_ranges = &net, .source_range_count = 1}, back;

	for (int bits = 128; bits <= 129; bits++) {
		net.bits = (uint8_t)bits;
		buf_reset(&t->b);
		snapshot_encode_service(&t->b, &v);
		assert_int_equal(snapshot_decode_service(buf_slice(&t->b), &t->arena, &back),
				 bits == 128 ? ERR_OK : ERR_MALFORMED);
	}
}

// Exactly as many elements as the table says, and one more, for every array that is small enough to make.
static void arrays_have_limits(void **state)
{
	struct test *t = *state;
	uint32_t tried = 0;

	for (size_t i = 0; i < RECORDS; i++) {
		for (uint32_t k = 0; k < records[i].table->field_count; k++) {
			const struct field *f = &records[i].table->fields[k];
			union any object, back;

			if (f->kind <= FIELD_BYTES || is_single(f) || f->limit > 5000)
				continue;
			for (uint32_t over = 0; over < 2; over++) {
				uint32_t count = f->limit + over;
				uint8_t *items = calloc(count, item_bytes(f));

				assert_non_null(items);
				memset(&object, 0, sizeof(object));
				arena_reset(&t->arena);
				struct filler x = {.arena = &t->arena, .count = 1};

				fill(&x, records[i].table, &object);
				for (uint32_t n = 0; n < count; n++)
					fill_item(&x, f, items + n * item_bytes(f));
				memcpy((uint8_t *)&object + f->offset, &items, sizeof(items));
				memcpy((uint8_t *)&object + f->count_offset, &count, sizeof(count));
				buf_reset(&t->b);
				records[i].encode(&t->b, &object);
				assert_int_equal(t->b.err, ERR_OK);
				if (records[i].decode(buf_slice(&t->b), &t->arena, &back) !=
				    (over ? ERR_TOO_LARGE : ERR_OK))
					fail_msg("%s %u: %u", records[i].name, f->key, count);
				free(items);
				tried++;
			}
		}
	}
	assert_true(tried > 20);
}

static void memory_has_a_bound(void **state)
{
	struct test *t = *state;

	for (size_t i = 0; i < RECORDS; i++) {
		enum err last = ERR_NOMEM;

		encode_full(t, &records[i], 3);
		for (size_t bytes = 0; bytes < 20000 && last != ERR_OK; bytes += 16) {
			struct arena small;
			union any back;

			arena_init(&small, bytes);
			last = records[i].decode(buf_slice(&t->b), &small, &back);
			assert_true(last == ERR_OK || last == ERR_NOMEM);
			arena_deinit(&small);
		}
		assert_int_equal(last, ERR_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_member_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(equal_objects_are_equal_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(the_form_is_fixed, setup, teardown),
		cmocka_unit_test_setup_teardown(truncations_are_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(flips_are_survived, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_members_are_skipped_known_ones_come_once,
						setup, teardown),
		cmocka_unit_test_setup_teardown(values_have_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(networks_have_at_most_128_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(arrays_have_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_has_a_bound, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}