// SPDX-License-Identifier: GPL-3.0-or-later
// common/hash: seeds matter, every bit matters, and the index finds all that was put in and nothing else.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "common/arena.h"
#include "common/hash.h"

static void every_bit_and_the_seed_matter(void **state)
{
	uint8_t key[64] = {0};
	uint64_t h = hash_bytes(slice_make(key, sizeof(key)), 1);

	(void)state;
	assert_int_equal(hash_bytes(slice_make(key, sizeof(key)), 1), h);
	assert_true(hash_bytes(slice_make(key, sizeof(key)), 2) != h);
	assert_true(hash_bytes(slice_make(key, sizeof(key) - 1), 1) != h);
	for (size_t bit = 0; bit < sizeof(key) * 8; bit++) {
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(hash_bytes(slice_make(key, sizeof(key)), 1) != h);
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(hash_bytes((struct slice){0}, 7), hash_bytes(slice_make("", 0), 7));
	h = hash_u64(0, 1);
	assert_true(hash_u64(0, 2) != h);
	for (int bit = 0; bit < 64; bit++) {
		uint64_t other = hash_u64(1ull << bit, 1);

		assert_true(other != h);
		// A look-up table uses the low bits: they change with every bit of the key.
		assert_in_range(__builtin_popcountll(other ^ h), 12, 52);
	}
}

static uint32_t found(const struct hash_index *h, uint64_t hash, uint32_t wanted)
{
	uint32_t at = UINT32_MAX, value, times = 0;

	while (hash_index_next(h, hash, &at, &value))
		times += value == wanted;
	return times;
}

static void the_index_finds_what_was_put_in(void **state)
{
	static const uint32_t counts[] = {0, 1, 4, 5, 1000, 65536};
	struct hash_index h;
	struct arena a;

	(void)state;
	arena_init(&a, 8u << 20);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		arena_reset(&a);
		assert_true(hash_index_init(&h, &a, counts[i]));
		assert_true(h.mask + 1 >= 2 * counts[i]); // always a free slot: a search ends
		for (uint32_t k = 0; k < counts[i]; k++)
			hash_index_insert(&h, hash_u64(k, 3), k);
		for (uint32_t k = 0; k < counts[i]; k++)
			assert_int_equal(found(&h, hash_u64(k, 3), k), 1);
		for (uint32_t k = counts[i]; k < counts[i] + 1000; k++)
			assert_int_equal(found(&h, hash_u64(k, 3), k), 0);
	}
	arena_deinit(&a);
}

// All keys in one chain, and the highest value: both are the caller's to compare.
static void one_hash_many_values(void **state)
{
	struct hash_index h;
	struct arena a;
	uint32_t at = UINT32_MAX, value, seen = 0;

	(void)state;
	arena_init(&a, 1u << 20);
	assert_true(hash_index_init(&h, &a, 100));
	for (uint32_t k = 0; k < 50; k++) {
		hash_index_insert(&h, UINT64_MAX, k);
		hash_index_insert(&h, 0x00000000ffffffffull, 1000 + k); // same place, another hash
	}
	while (hash_index_next(&h, UINT64_MAX, &at, &value)) {
		assert_int_equal(value, seen); // in the order they came
		seen++;
	}
	assert_int_equal(seen, 50);
	hash_index_insert(&h, 42, UINT32_MAX - 1);
	assert_int_equal(found(&h, 42, UINT32_MAX - 1), 1);
	hash_index_insert(&h, 0, 7);
	assert_int_equal(found(&h, 0, 7), 1); // a hash of zero is no free slot
	arena_deinit(&a);
}

static void no_room_no_index(void **state)
{
	struct hash_index h = {0};
	uint32_t at = UINT32_MAX, value;
	struct arena a;

	(void)state;
	assert_false(hash_index_next(&h, 1, &at, &value)); // never made: nothing is in it
	arena_init(&a, 1000);
	assert_false(hash_index_init(&h, &a, 100));
	assert_false(hash_index_next(&h, 1, &at, &value));
	assert_false(hash_index_init(&h, &a, UINT32_MAX));
	arena_deinit(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bit_and_the_seed_matter),
		cmocka_unit_test(the_index_finds_what_was_put_in),
		cmocka_unit_test(one_hash_many_values),
		cmocka_unit_test(no_room_no_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
