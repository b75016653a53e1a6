// SPDX-License-Identifier: GPL-3.0-or-later
// common/pool: a hard limit, objects that do not overlap, and a steady state that allocates nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "common/pool.h"

#define OBJECTS 1000

static void objects_are_apart_up_to_the_limit(void **state)
{
	static const size_t sizes[] = {1, 8, 15, 16, 17, 63, 64, 65, 4096};
	static uint8_t *objects[OBJECTS];

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct pool p;

		pool_init(&p, sizes[s], 7, OBJECTS); // 1000 is no multiple of 7
		for (uint32_t i = 0; i < OBJECTS; i++) {
			objects[i] = pool_get(&p);
			assert_non_null(objects[i]);
			assert_int_equal((uintptr_t)objects[i] % (sizes[s] < 64 ? 16 : 64), 0);
			for (size_t k = 0; k < sizes[s]; k++)
				assert_int_equal(objects[i][k], 0);
			memset(objects[i], (int)(i % 251 + 1), sizes[s]);
		}
		assert_null(pool_get(&p));
		assert_null(pool_get_raw(&p));
		assert_int_equal(p.used, OBJECTS);
		assert_int_equal(p.made, OBJECTS);
		for (uint32_t i = 0; i < OBJECTS; i++) {
			assert_int_equal(objects[i][0], i % 251 + 1);
			assert_int_equal(objects[i][sizes[s] - 1], i % 251 + 1);
		}
		pool_deinit(&p);
		assert_int_equal(p.used, 0);
		assert_null(pool_get(&p)); // gone: its limit is zero
	}
}

static void what_was_given_back_comes_first(void **state)
{
	struct pool p;
	uint8_t *a, *b;

	(void)state;
	pool_init(&p, 100, 4, 8);
	a = pool_get(&p);
	b = pool_get(&p);
	memset(a, 0xff, 100);
	pool_put(&p, a);
	assert_int_equal(p.used, 1);
	assert_int_equal(p.peak, 2);
	a[50] = 0x77; // what a raw one held before is its new owner's to overwrite
	assert_ptr_equal(pool_get_raw(&p), a);
	assert_int_equal(a[50], 0x77);
	pool_put(&p, a);
	assert_ptr_equal(pool_get(&p), a);
	for (int i = 0; i < 100; i++)
		assert_int_equal(a[i], 0);
	pool_put(&p, b);
	pool_put(&p, a);
	assert_int_equal(p.used, 0);
	assert_int_equal(p.peak, 2);
	pool_deinit(&p);
}

static void a_steady_state_makes_nothing(void **state)
{
	struct pool p;
	void *held[10];

	(void)state;
	pool_init(&p, 64, 16, 100);
	for (int round = 0; round < 1000; round++) {
		for (int i = 0; i < 10; i++)
			held[i] = pool_get(&p);
		for (int i = 0; i < 10; i++)
			pool_put(&p, held[i]);
	}
	assert_int_equal(p.made, 16);
	assert_int_equal(p.peak, 10);
	pool_deinit(&p);
}

static void a_limit_of_zero_gives_nothing(void **state)
{
	struct pool p;

	(void)state;
	pool_init(&p, 64, 16, 0);
	assert_null(pool_get(&p));
	pool_deinit(&p);
	pool_init(&p, 64, 16, 1);
	assert_non_null(pool_get(&p));
	assert_null(pool_get(&p));
	assert_int_equal(p.made, 1);
	pool_deinit(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_apart_up_to_the_limit),
		cmocka_unit_test(what_was_given_back_comes_first),
		cmocka_unit_test(a_steady_state_makes_nothing),
		cmocka_unit_test(a_limit_of_zero_gives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
