// SPDX-License-Identifier: GPL-3.0-or-later
// common/snapshot_tables: what the codec trusts its tables for. A member that is named twice, lies outside
// its struct or was forgotten would be a silent hole in the contract.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/msgpack_read.h"
#include "common/snapshot_tables.h"

static const struct {
	const struct table *table;
	size_t size;
	uint32_t fields;
} all[] = {
	{&snapshot_meta_table, sizeof(struct ss_meta), 9},
	{&snapshot_node_table, sizeof(struct ss_node), 7},
	{&snapshot_port_policy_table, sizeof(struct ss_port_policy), 2},
	{&snapshot_workload_table, sizeof(struct ss_workload), 9},
	{&snapshot_endpoint_table, sizeof(struct ss_endpoint), 7},
	{&snapshot_service_port_table, sizeof(struct ss_service_port), 6},
	{&snapshot_service_table, sizeof(struct ss_service), 10},
	{&snapshot_source_table, sizeof(struct ss_source), 3},
	{&snapshot_path_table, sizeof(struct ss_path_match), 2},
	{&snapshot_claim_table, sizeof(struct ss_claim_match), 2},
	{&snapshot_header_table, sizeof(struct ss_header_match), 2},
	{&snapshot_rule_table, sizeof(struct ss_rule), 15},
	{&snapshot_group_table, sizeof(struct ss_group), 7},
	{&snapshot_rule_set_table, sizeof(struct ss_rule_set), 2},
	{&snapshot_set_ref_table, sizeof(struct ss_set_ref), 3},
	{&snapshot_policy_table, sizeof(struct ss_policy), 12},
	{&snapshot_jwk_table, sizeof(struct ss_jwk), 8},
	{&snapshot_header_source_table, sizeof(struct ss_header_source), 2},
	{&snapshot_provider_table, sizeof(struct ss_provider), 7},
	{&snapshot_limit_table, sizeof(struct ss_limit), 13},
	{&snapshot_trust_root_table, sizeof(struct ss_trust_root), 1},
};
#define TABLES (sizeof(all) / sizeof(all[0]))

static bool is_single(const struct field *f)
{
	return f->kind == FIELD_ADDRS && f->count_offset == f->offset;
}

// Bytes of the struct that a member takes at its own place.
static size_t place_bytes(const struct field *f)
{
	switch (f->kind) {
	case FIELD_BOOL:
		return sizeof(bool);
	case FIELD_U16:
		return sizeof(uint16_t);
	case FIELD_ENUM:
	case FIELD_HINT:
	case FIELD_U32:
		return sizeof(uint32_t);
	case FIELD_U64:
		return sizeof(uint64_t);
	case FIELD_BYTES:
		return sizeof(struct slice);
	case FIELD_ADDRS:
	case FIELD_CIDRS:
	case FIELD_TEXTS:
	case FIELD_U16S:
	case FIELD_STRUCTS:
		return is_single(f) ? sizeof(struct addr) : sizeof(void *);
	}
	return 0;
}

static void take(uint8_t *used, size_t size, size_t at, size_t bytes, const struct field *f)
{
	assert_true(at + bytes <= size);
	for (size_t i = at; i < at + bytes; i++) {
		if (used[i])
			fail_msg("key %u: a byte of another member", f->key);
		used[i] = 1;
	}
}

static void members_lie_apart_and_inside(void **state)
{
	(void)state;
	for (size_t t = 0; t < TABLES; t++) {
		uint8_t used[512] = {0};
		size_t taken = 0;

		assert_int_equal(all[t].table->size, all[t].size);
		assert_true(all[t].size <= sizeof(used));
		for (uint32_t i = 0; i < all[t].table->field_count; i++) {
			const struct field *f = &all[t].table->fields[i];

			take(used, all[t].size, f->offset, place_bytes(f), f);
			if (f->kind > FIELD_BYTES && !is_single(f))
				take(used, all[t].size, f->count_offset, sizeof(uint32_t), f);
		}
		for (size_t i = 0; i < all[t].size; i++)
			taken += used[i];
		// What no member takes is padding, less than a word for each member.
		assert_true(all[t].size - taken < 8 * all[t].table->field_count);
	}
}

// Keys are the wire's: a member more is a line more here, and a number that was used is never another's.
static void keys_ascend_from_one(void **state)
{
	(void)state;
	for (size_t t = 0; t < TABLES; t++) {
		assert_int_equal(all[t].table->field_count, all[t].fields);
		for (uint32_t i = 0; i < all[t].fields; i++)
			assert_int_equal(all[t].table->fields[i].key, i + 1);
	}
}

static void everything_that_grows_has_a_limit(void **state)
{
	(void)state;
	for (size_t t = 0; t < TABLES; t++) {
		for (uint32_t i = 0; i < all[t].fields; i++) {
			const struct field *f = &all[t].table->fields[i];

			if (f->kind >= FIELD_BYTES || f->kind == FIELD_ENUM ||
			    f->kind == FIELD_HINT)
				assert_in_range(f->limit, 1, SNAPSHOT_RECORD_BYTES_MAX);
			assert_true((f->kind == FIELD_STRUCTS) == (f->table != NULL));
		}
	}
}

static int depth_of(const struct table *t, int bound)
{
	int deepest = 0;

	assert_int_not_equal(bound, 0); // a table within itself would never end
	for (uint32_t i = 0; i < t->field_count; i++) {
		int d = t->fields[i].table ? depth_of(t->fields[i].table, bound - 1) + 1
					   : t->fields[i].kind > FIELD_BYTES;

		deepest = d > deepest ? d : deepest;
	}
	return deepest + 1;
}

static void nesting_is_what_a_reader_skips(void **state)
{
	(void)state;
	// An older reader has to be able to skip a record of ours: an array a level beside the map.
	for (size_t t = 0; t < TABLES; t++)
		assert_true(2 * depth_of(all[t].table, 6) < MSGPACK_DEPTH_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_lie_apart_and_inside),
		cmocka_unit_test(keys_ascend_from_one),
		cmocka_unit_test(everything_that_grows_has_a_limit),
		cmocka_unit_test(nesting_is_what_a_reader_skips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
