// SPDX-License-Identifier: GPL-3.0-or-later
// path/fair: a line keeps its order, lines take turns, whoever leaves the midst of a line tears no hole into it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "path/fair.h"

static void a_flood_waits_behind_itself(void **state)
{
	struct fair_queue q = {0};
	struct fair_item flood[100], one, other;

	(void)state;
	for (int i = 0; i < 100; i++)
		fair_put(&q, 7, &flood[i]);
	fair_put(&q, 9, &one);
	fair_put(&q, 3, &other);
	struct fair_item *expected[] = {&other, &flood[0], &one, &flood[1], &flood[2]};

	for (int i = 0; i < 5; i++)
		assert_ptr_equal(fair_take(&q), expected[i]);
	for (int i = 3; i < 100; i++)
		assert_ptr_equal(fair_take(&q), &flood[i]);
	assert_null(fair_take(&q));
}

static void the_first_line_and_the_last_take_turns(void **state)
{
	struct fair_queue q = {0};
	struct fair_item a[2], b[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		fair_put(&q, FAIR_SHARED, &a[i]);
		fair_put(&q, FAIR_FLOWS - 1, &b[i]);
	}
	assert_ptr_equal(fair_take(&q), &a[0]);
	assert_ptr_equal(fair_take(&q), &b[0]);
	assert_ptr_equal(fair_take(&q), &a[1]);
	assert_ptr_equal(fair_take(&q), &b[1]);
	assert_int_equal(q.waiting, 0);
}

// Against a plain list of who stands where.
static void any_order_of_comings_and_goings(void **state)
{
	enum { ITEMS = 64, LINES = 5 };
	struct fair_item items[ITEMS];
	uint8_t line[ITEMS];
	uint64_t since[ITEMS] = {0}, now = 0; // 0: in no line
	struct fair_queue q = {0};

	(void)state;
	srand(4);
	for (int round = 0; round < 100000; round++) {
		int i = rand() % ITEMS;

		if (!since[i]) {
			line[i] = (uint8_t)(rand() % LINES);
			since[i] = ++now;
			fair_put(&q, line[i], &items[i]);
		} else if (rand() % 2) {
			fair_remove(&q, line[i], &items[i]);
			since[i] = 0;
		} else {
			int taken = (int)(fair_take(&q) - items);

			assert_in_range(taken, 0, ITEMS - 1);
			for (int k = 0; k < ITEMS; k++) // nobody of its line stood before it
				assert_false(since[k] && line[k] == line[taken] &&
					     since[k] < since[taken]);
			since[taken] = 0;
		}
		uint64_t waiting = 0;

		for (int k = 0; k < ITEMS; k++)
			waiting |= since[k] ? UINT64_C(1) << line[k] : 0;
		assert_int_equal(q.waiting, waiting);
	}
}

static void sources_spread_and_none_has_the_shared_line(void **state)
{
	uint64_t seen = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct addr a = {.bytes = {[10] = 0xff,
					   [11] = 0xff,
					   [12] = 10,
					   [14] = (uint8_t)(i >> 8),
					   [15] = (uint8_t)i}};

		assert_in_range(fair_flow(a), FAIR_SHARED + 1, FAIR_FLOWS - 1);
		seen |= UINT64_C(1) << fair_flow(a);
	}
	assert_int_equal(seen, UINT64_MAX << 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_waits_behind_itself),
		cmocka_unit_test(the_first_line_and_the_last_take_turns),
		cmocka_unit_test(any_order_of_comings_and_goings),
		cmocka_unit_test(sources_spread_and_none_has_the_shared_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
