// SPDX-License-Identifier: GPL-3.0-or-later
// common/arena: alignment, zeroes, and a bound that holds to the byte.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/arena.h"

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i])
			return false;
	}
	return true;
}

static void memory_is_aligned_zeroed_and_apart(void **state)
{
	uint8_t *last = NULL;
	struct arena a;

	(void)state;
	arena_init(&a, 1u << 20);
	for (size_t n = 0; n < 300; n++) {
		uint8_t *p = arena_alloc(&a, 1, n);

		assert_non_null(p); // also for nothing: NULL means that there was no room
		assert_int_equal((uintptr_t)p % 16, 0);
		assert_true(all_zero(p, n));
		assert_ptr_not_equal(p, last);
		memset(p, 0xff, n); // whoever overlaps is seen by the next
		last = p;
	}
	arena_deinit(&a);
}

static void the_bound_holds(void **state)
{
	struct arena a;
	size_t got = 0;

	(void)state;
	arena_init(&a, 10000);
	assert_null(arena_alloc(&a, 1, 10001));
	assert_null(arena_alloc(&a, 10001, 1));
	while (arena_alloc(&a, 1, 16))
		got += 16;
	assert_in_range(got, 9000, 10000);
	assert_true(a.bytes_used <= a.bytes_max);
	assert_null(arena_alloc(&a, 1, 1));
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 1, 9000)); // all of it again, in one piece
	assert_null(arena_alloc(&a, 1, 9000));
	arena_deinit(&a);
}

static void sizes_from_outside_do_not_wrap(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, SIZE_MAX);
	assert_null(arena_alloc(&a, SIZE_MAX, 2));
	assert_null(arena_alloc(&a, SIZE_MAX / 2 + 1, 2));
	assert_null(arena_alloc(&a, 1, SIZE_MAX)); // nor when it is rounded up
	assert_null(arena_alloc(&a, 1, SIZE_MAX - 14));
	assert_null(arena_copy(&a, slice_make("x", SIZE_MAX)).ptr);
	assert_non_null(arena_alloc(&a, 1, 1));
	arena_deinit(&a);
}

static void large_and_small_share_it(void **state)
{
	struct arena a;
	uint8_t *small, *large;

	(void)state;
	arena_init(&a, 8u << 20);
	small = arena_alloc(&a, 1, 8);
	large = arena_alloc(&a, 1u << 10, 1u << 10);
	assert_non_null(small);
	assert_non_null(large);
	memset(large, 0xee, 1u << 20);
	assert_true(all_zero(small, 8));
	// Blocks grow with it: a thousand small ones take few.
	for (int i = 0; i < 100000; i++)
		assert_non_null(arena_alloc(&a, 1, 16));
	assert_true(a.bytes_used < 6u << 20);
	arena_deinit(&a);
	assert_int_equal(a.bytes_used, 0);
	arena_deinit(&a); // twice is once
}

static void a_fixed_one_keeps_to_its_block(void **state)
{
	_Alignas(16) uint8_t block[256 + 16];
	struct arena a;

	(void)state;
	for (size_t off = 0; off < 16; off++) {
		size_t got = 0;
		uint8_t *p;

		memset(block, 0xaa, sizeof(block));
		arena_init_fixed(&a, block + off, 256 - off);
		while ((p = arena_alloc(&a, 1, 16)) != NULL) {
			assert_true(p >= block + off && p + 16 <= block + 256);
			assert_true(all_zero(p, 16)); // whatever the block held
			got += 16;
		}
		assert_int_equal(got, off == 0 ? 256 : 240);
		assert_true(block[256] == 0xaa);
		assert_null(arena_alloc(&a, 1, 1));
		arena_reset(&a);
		assert_non_null(arena_alloc(&a, 1, 200));
		arena_deinit(&a);
	}
}

// A block that has no room for one aligned object has none at all.
static void a_fixed_one_may_be_too_small(void **state)
{
	_Alignas(16) uint8_t block[32];
	struct arena a;

	(void)state;
	for (size_t bytes = 0; bytes < 15; bytes++) {
		arena_init_fixed(&a, block + 1, bytes);
		assert_null(arena_alloc(&a, 1, 1));
		assert_null(arena_alloc(&a, 0, 1));
		arena_reset(&a);
		assert_null(arena_alloc(&a, 1, 1));
	}
}

static void copies_end_with_nul(void **state)
{
	struct arena a;
	struct slice s;

	(void)state;
	arena_init(&a, 4096);
	s = arena_copy(&a, SLICE_LIT("abc"));
	assert_int_equal(s.len, 3);
	assert_string_equal((const char *)s.ptr, "abc");
	s = arena_copy(&a, (struct slice){0});
	assert_int_equal(s.len, 0);
	assert_non_null(s.ptr);
	s = arena_copy(&a, slice_make("sixteen bytes!!!", 16));
	assert_int_equal(s.ptr[16], 0);
	arena_deinit(&a);
	arena_init(&a, 16);
	assert_null(arena_copy(&a, slice_make("sixteen bytes!!!", 16)).ptr); // no room for the NUL
	arena_deinit(&a);
}

// What is granted has no part in the bound, and goes with the rest.
static void grants_are_beyond_the_bound(void **state)
{
	uint8_t block[64];
	struct arena a;
	uint8_t *large;

	(void)state;
	arena_init(&a, 256);
	large = arena_grant(&a, 10000);
	assert_non_null(large);
	assert_int_equal((uintptr_t)large % ARENA_ALIGN, 0);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(large[i], 0);
	assert_int_equal(a.bytes_used, 10000);
	assert_non_null(arena_alloc(&a, 1, 256));
	assert_null(arena_alloc(&a, 1, 1));
	assert_null(arena_grant(&a, SIZE_MAX));
	arena_reset(&a);
	assert_null(arena_alloc(&a, 1, 257));
	assert_non_null(arena_alloc(&a, 1, 256));
	arena_deinit(&a);
	arena_init_fixed(&a, block, sizeof(block));
	assert_null(arena_grant(&a, sizeof(block) + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_aligned_zeroed_and_apart),
		cmocka_unit_test(the_bound_holds),
		cmocka_unit_test(sizes_from_outside_do_not_wrap),
		cmocka_unit_test(large_and_small_share_it),
		cmocka_unit_test(a_fixed_one_keeps_to_its_block),
		cmocka_unit_test(a_fixed_one_may_be_too_small),
		cmocka_unit_test(copies_end_with_nul),
		cmocka_unit_test(grants_are_beyond_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
