// SPDX-License-Identifier: GPL-3.0-or-later
// common/section: names, records in order, and patches that give the new bytes back exactly, whoever wrote
// them and whatever was changed on the way.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "common/section.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define MAP	    slice_make("\x81\x01\x05", 3) // {1: 5}

static void names_come_back(void **state)
{
	char text[SECTION_NAME_MAX];
	struct section_name n;

	(void)state;
	for (enum section_kind k = SECTION_META; k < SECTION_KIND_COUNT; k++) {
		for (int shard = 0; shard < (section_kind_is_sharded(k) ? SECTION_SHARDS : 1);
		     shard++) {
			section_name_format((struct section_name){k, (uint8_t)shard}, text);
			assert_int_equal(section_name_parse(slice_str(text), &n), ERR_OK);
			assert_int_equal(n.kind, k);
			assert_int_equal(n.shard, shard);
		}
	}
	assert_string_equal(section_name_format((struct section_name){SECTION_WORKLOADS, 0xa5},
						text),
			    "workloads/a5");
	assert_string_equal(section_name_format((struct section_name){SECTION_META, 0xa5}, text),
			    "meta");
	assert_string_equal(section_name_format((struct section_name){SECTION_KIND_COUNT, 0}, text),
			    "none");
}

static void what_is_no_name(void **state)
{
	static const struct {
		const char *text;
		enum err err;
	} rows[] = {
		{"", ERR_UNSUPPORTED},
		{"none", ERR_UNSUPPORTED},
		{"Meta", ERR_UNSUPPORTED},
		{"metas", ERR_UNSUPPORTED},
		{"gateways/00", ERR_UNSUPPORTED}, // a later version's
		{"meta/00", ERR_MALFORMED},
		{"meta/", ERR_MALFORMED},
		{"workloads", ERR_MALFORMED},
		{"workloads/", ERR_MALFORMED},
		{"workloads/0", ERR_MALFORMED},
		{"workloads/000", ERR_MALFORMED},
		{"workloads/0G", ERR_MALFORMED},
		{"workloads/AB", ERR_MALFORMED},
		{"workloads/-1", ERR_MALFORMED},
		{"workloads/0/", ERR_MALFORMED},
	};
	struct section_name n;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (section_name_parse(slice_str(rows[i].text), &n) != rows[i].err)
			fail_msg("'%s'", rows[i].text);
	}
}

static void put(struct buf *b, const char *key)
{
	section_put(b, slice_str(key), MAP);
}

static enum err walk(struct slice section, uint32_t *count)
{
	struct section_iterator it;
	struct slice key, value, record;

	*count = 0;
	section_iterate(&it, section);
	while (section_next(&it, &key, &value, &record)) {
		assert_true(record.ptr >= section.ptr);
		assert_true(record.ptr + record.len <= section.ptr + section.len);
		assert_true(value.ptr + value.len == record.ptr + record.len);
		(*count)++;
	}
	return it.err;
}

static void records_are_walked_in_order(void **state)
{
	struct section_iterator it;
	struct slice key, value, record;
	uint32_t count;
	struct buf b;

	(void)state;
	buf_init_growing(&b, 1024);
	assert_int_equal(walk(buf_slice(&b), &count), ERR_OK);
	assert_int_equal(count, 0);
	put(&b, ""); // a key may be empty; it comes first
	put(&b, "a");
	put(&b, "a\x01");
	put(&b, "b");
	section_iterate(&it, buf_slice(&b));
	assert_true(section_next(&it, &key, &value, &record));
	assert_int_equal(key.len, 0);
	assert_true(section_next(&it, &key, &value, &record));
	assert_true(slice_eq_str(key, "a"));
	assert_true(slice_eq(value, MAP));
	assert_int_equal(walk(buf_slice(&b), &count), ERR_OK);
	assert_int_equal(count, 4);
	buf_deinit(&b);
}

static void disorder_is_malformed(void **state)
{
	static const char *const pairs[][2] = {{"a", "a"}, {"b", "a"}, {"", ""}, {"ab", "a"}};
	uint32_t count;
	struct buf b;

	(void)state;
	buf_init_growing(&b, 1024);
	for (size_t i = 0; i < COUNT(pairs); i++) {
		buf_reset(&b);
		put(&b, pairs[i][0]);
		put(&b, pairs[i][1]);
		put(&b, "z");
		assert_int_equal(walk(buf_slice(&b), &count), ERR_MALFORMED);
		assert_int_equal(count, 1);
	}
	buf_deinit(&b);
}

static void what_is_no_record(void **state)
{
	static const struct {
		uint8_t bytes[12];
		size_t len;
	} rows[] = {
		{{0x91, 0xa1, 'a'}, 3},			  // one element
		{{0x93, 0xa1, 'a', 0x80, 0x80}, 5},	  // three
		{{0x92, 0xa1, 'a'}, 3},			  // no value
		{{0x92, 0x01, 0x80}, 3},		  // the key is a number
		{{0x92, 0xa1, 'a', 0xc0}, 4},		  // nil: only in patches
		{{0x92, 0xa1, 'a', 0x90}, 4},		  // an array
		{{0x92, 0xa1, 'a', 0x81, 0x01}, 5},	  // half a map
		{{0x82, 0xa1, 'a', 0x80, 0x01, 0x01}, 6}, // a map of two
		{{0xdc, 0x00, 0x02, 0xa1, 'a', 0x80}, 6}, // two, but not in the shortest form
		{{0xc0}, 1},
	};
	uint32_t count;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (walk(slice_make(rows[i].bytes, rows[i].len), &count) != ERR_MALFORMED || count)
			fail_msg("row %zu", i);
	}
}

static void a_record_has_a_bound(void **state)
{
	uint8_t *body = calloc(1, SNAPSHOT_RECORD_BYTES_MAX);
	uint32_t count;
	struct buf b;

	(void)state;
	assert_non_null(body);
	buf_init_growing(&b, 2 * SNAPSHOT_RECORD_BYTES_MAX);
	for (int over = 0; over < 2; over++) {
		// [ "a" {1: bin32} ]: 1 + 2 + 2 + 5 bytes beside the body.
		size_t len = SNAPSHOT_RECORD_BYTES_MAX - 10 + (size_t)over;

		buf_reset(&b);
		buf_put(&b,
			"\x92\xa1"
			"a\x81\x01\xc6",
			6);
		buf_put_be32(&b, (uint32_t)len);
		buf_put(&b, body, len);
		assert_int_equal(b.len, SNAPSHOT_RECORD_BYTES_MAX + (size_t)over);
		assert_int_equal(walk(buf_slice(&b), &count), over ? ERR_MALFORMED : ERR_OK);
	}
	buf_deinit(&b);
	free(body);
}

// A section of random keys, each with a value that depends on version.
static void random_section(struct buf *b, int density, int version)
{
	buf_reset(b);
	for (int k = 0; k < 60; k++) {
		char key[8];
		uint8_t value[3] = {0x81, 0x01, (uint8_t)(rand() % 4 ? 0 : version)};

		if (rand() % 100 >= density)
			continue;
		snprintf(key, sizeof(key), "k%02d", k);
		section_put(b, slice_str(key), slice_make(value, 3));
	}
}

static void patches_give_the_bytes_back(void **state)
{
	struct buf old, new, patch, made;

	(void)state;
	srand(4);
	buf_init_growing(&old, 1u << 16);
	buf_init_growing(&new, 1u << 16);
	buf_init_growing(&patch, 1u << 16);
	buf_init_growing(&made, 1u << 16);
	for (int round = 0; round < 2000; round++) {
		random_section(&old, rand() % 101, 1);
		random_section(&new, rand() % 101, 2);
		buf_reset(&patch);
		buf_reset(&made);
		assert_int_equal(section_diff(buf_slice(&old), buf_slice(&new), &patch), ERR_OK);
		assert_int_equal(section_patch(buf_slice(&old), buf_slice(&patch), &made), ERR_OK);
		assert_true(slice_eq(buf_slice(&made), buf_slice(&new)));
	}
	// The same is no patch; one record's change is one record's bytes.
	buf_reset(&patch);
	assert_int_equal(section_diff(buf_slice(&old), buf_slice(&old), &patch), ERR_OK);
	assert_int_equal(patch.len, 0);
	buf_deinit(&old);
	buf_deinit(&new);
	buf_deinit(&patch);
	buf_deinit(&made);
}

static void hostile_patches(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{"\x92\xa1z\xc0", 4}, // deletes what is not there
		{"\x92\xa1z\x01", 4}, // neither a record nor a deletion
		{"\x92\xa1"
		 "b\x01",
		 4}, // likewise, of one that is there
		{"\x92\xa1"
		 "b\x90",
		 4},
		{"\x92\xa1"
		 "b",
		 3}, // cut
		{"\x92\xa1"
		 "b\xc0\x92\xa1"
		 "b\xc0",
		 8}, // twice
		{"\x92\xa1"
		 "b\xc0\x92\xa1"
		 "a\xc0",
		 8}, // out of order
		{"\xff", 1},
	};
	struct buf old, made;

	(void)state;
	buf_init_growing(&old, 1024);
	buf_init_growing(&made, 1024);
	put(&old, "a");
	put(&old, "b");
	for (size_t i = 0; i < COUNT(bad); i++) {
		buf_reset(&made);
		if (section_patch(buf_slice(&old), slice_make(bad[i].bytes, bad[i].len), &made) !=
		    ERR_MALFORMED)
			fail_msg("row %zu", i);
	}
	// What we hold ourselves may be broken too.
	buf_reset(&made);
	assert_int_equal(section_patch(slice_make("\xff", 1), (struct slice){0}, &made),
			 ERR_MALFORMED);
	buf_reset(&made);
	assert_int_equal(section_diff(slice_make("\xff", 1), buf_slice(&old), &made),
			 ERR_MALFORMED);
	assert_int_equal(section_diff(buf_slice(&old), slice_make("\xff", 1), &made),
			 ERR_MALFORMED);
	buf_deinit(&old);
	buf_deinit(&made);
}

static void results_have_a_bound(void **state)
{
	struct buf old, new, small;

	(void)state;
	buf_init_growing(&old, 1024);
	buf_init_growing(&new, 1024);
	buf_init_growing(&small, 10);
	put(&old, "a");
	put(&old, "b");
	put(&new, "c");
	assert_int_equal(section_diff(buf_slice(&old), buf_slice(&new), &small), ERR_TOO_LARGE);
	buf_reset(&small);
	assert_int_equal(section_patch(buf_slice(&old), buf_slice(&new), &small), ERR_TOO_LARGE);
	buf_deinit(&old);
	buf_deinit(&new);
	buf_deinit(&small);
}

// Any byte of a section or patch changed: an error, or another section. Never a read beyond.
static void every_flip_is_survived(void **state)
{
	struct buf old, new, patch, made;
	uint32_t count;

	(void)state;
	srand(5);
	buf_init_growing(&old, 1u << 16);
	buf_init_growing(&new, 1u << 16);
	buf_init_growing(&patch, 1u << 16);
	buf_init_growing(&made, 1u << 16);
	random_section(&old, 30, 1);
	random_section(&new, 30, 2);
	assert_int_equal(section_diff(buf_slice(&old), buf_slice(&new), &patch), ERR_OK);
	for (size_t i = 0; i < patch.len; i++) {
		uint8_t *copy = malloc(patch.len - i);

		memcpy(copy, patch.ptr, patch.len - i);
		buf_reset(&made);
		(void)!section_patch(buf_slice(&old), slice_make(copy, patch.len - i), &made);
		for (int bit = 0; bit < 8; bit++) {
			patch.ptr[i] ^= (uint8_t)(1 << bit);
			buf_reset(&made);
			if (section_patch(buf_slice(&old), buf_slice(&patch), &made) == ERR_OK)
				assert_int_equal(walk(buf_slice(&made), &count), ERR_OK);
			patch.ptr[i] ^= (uint8_t)(1 << bit);
		}
		free(copy);
	}
	buf_deinit(&old);
	buf_deinit(&new);
	buf_deinit(&patch);
	buf_deinit(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_come_back),
		cmocka_unit_test(what_is_no_name),
		cmocka_unit_test(records_are_walked_in_order),
		cmocka_unit_test(disorder_is_malformed),
		cmocka_unit_test(what_is_no_record),
		cmocka_unit_test(a_record_has_a_bound),
		cmocka_unit_test(patches_give_the_bytes_back),
		cmocka_unit_test(hostile_patches),
		cmocka_unit_test(results_have_a_bound),
		cmocka_unit_test(every_flip_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
