// SPDX-License-Identifier: GPL-3.0-or-later
// path/holder: who has his share is refused, whoever holds nothing is not; what was given back is as if it had
// never been taken, whatever the order (against a plain table of who holds what).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "path/holder.h"
#include "path/limits.h"

static struct holder_table table;

static void begin(uint32_t limit)
{
	uint32_t limits[HOLDER_RESOURCES];

	for (int r = 0; r < HOLDER_RESOURCES; r++)
		limits[r] = limit;
	holder_table_init(&table, limits, 7);
}

static struct holder_set set_of(uint64_t source, uint64_t node, uint64_t destination)
{
	uint64_t keys[HOLDER_ROLES] = {source, node, destination};
	struct holder_set s = {0};

	for (int role = 0; role < HOLDER_ROLES; role++)
		s.by[role] = keys[role] ? holder_use(&table, keys[role]) : NULL;
	return s;
}

// All that he may take, one after another.
static uint32_t take_all(struct holder_set *s, enum holder_resource r)
{
	uint32_t n = 0;

	while (holder_refuses(&table, s, r) == HOLDER_NOBODY) {
		holder_take(&table, s, r);
		n++;
	}
	return n;
}

// What a source gets of so many: it stops where it holds a share of what is left.
static uint32_t share_of(uint32_t limit)
{
	return (limit * HOLDER_SOURCE_SHARE + HOLDER_SOURCE_SHARE) / (HOLDER_SOURCE_SHARE + 1);
}

static void one_leaves_something(void **state)
{
	(void)state;
	begin(1000);
	struct holder_set crowd = set_of(1, 0, 0), other = set_of(2, 0, 0);

	assert_int_equal(take_all(&crowd, HOLDER_EXCHANGES), share_of(1000));
	assert_int_equal(holder_refuses(&table, &crowd, HOLDER_EXCHANGES), HOLDER_SOURCE);
	assert_int_equal(holder_refuses(&table, &other, HOLDER_EXCHANGES), HOLDER_NOBODY);
	assert_int_equal(holder_refuses(&table, &crowd, HOLDER_DESCRIPTORS), HOLDER_NOBODY);
	assert_int_equal(take_all(&other, HOLDER_EXCHANGES), share_of(1000 - share_of(1000)));
	holder_table_deinit(&table);
}

static void a_crowded_workload_does_not_shut_out_its_node_nor_its_pod(void **state)
{
	(void)state;
	begin(1000);
	struct holder_set crowd = set_of(1, 10, 20), neighbour = set_of(2, 10, 20);

	assert_int_equal(take_all(&crowd, HOLDER_EXCHANGES), share_of(1000));
	assert_int_equal(holder_refuses(&table, &neighbour, HOLDER_EXCHANGES), HOLDER_NOBODY);
	holder_table_deinit(&table);
}

static void a_node_of_many_names_leaves_something(void **state)
{
	struct holder_set others = {0};
	uint32_t taken = 0;

	(void)state;
	begin(1000);
	for (uint64_t name = 100; name < 5000; name++) {
		struct holder_set s = set_of(name, 10, 0);

		if (holder_refuses(&table, &s, HOLDER_OPENS) == HOLDER_NOBODY) {
			holder_take(&table, &s, HOLDER_OPENS);
			taken++;
		}
		holder_set_let_go(&table, &s);
	}
	assert_int_equal(taken, 1000 * HOLDER_NODE_SHARE / (HOLDER_NODE_SHARE + 1));
	others = set_of(1, 11, 0);
	assert_int_equal(holder_refuses(&table, &others, HOLDER_OPENS), HOLDER_NOBODY);
	holder_table_deinit(&table);
}

static void nothing_left_is_everybodys(void **state)
{
	struct holder_set nobody = {0}, one;

	(void)state;
	begin(10);
	for (int i = 0; i < 10; i++)
		holder_take(&table, &nobody, HOLDER_TUNNELS);
	one = set_of(1, 0, 0);
	assert_int_equal(holder_refuses(&table, &one, HOLDER_TUNNELS), HOLDER_EVERYBODY);
	assert_int_equal(holder_refuses(&table, &nobody, HOLDER_TUNNELS), HOLDER_EVERYBODY);
	holder_table_deinit(&table);
}

static void the_oldest_stands_first(void **state)
{
	struct holder_place places[3] = {0};

	(void)state;
	begin(10);
	struct holder *h = holder_use(&table, 5);

	for (int i = 0; i < 3; i++)
		holder_enter(&places[i], h);
	assert_ptr_equal(h->oldest, &places[0]);
	holder_renew(&places[0]);
	assert_ptr_equal(h->oldest, &places[1]);
	holder_leave(&table, &places[1]);
	holder_leave(&table, &places[1]); // idempotent
	assert_ptr_equal(h->oldest, &places[2]);
	holder_leave(&table, &places[2]);
	assert_ptr_equal(h->oldest, &places[0]);
	holder_leave(&table, &places[0]);
	assert_null(h->oldest);
	holder_let_go(&table, h);
	assert_int_equal(table.pool.used, 0);
	holder_table_deinit(&table);
}

static void any_order_of_takes_and_gives(void **state)
{
	enum { THINGS = 200, KEYS = 9, LIMIT = 60 };
	struct holder_set sets[THINGS];
	bool taken[THINGS] = {0};
	uint64_t keys[THINGS][HOLDER_ROLES];
	uint32_t held[3 * KEYS + 1] = {0}, used = 0;
	static const uint32_t share[] = {HOLDER_SOURCE_SHARE, HOLDER_NODE_SHARE,
					 HOLDER_DESTINATION_SHARE};

	(void)state;
	begin(LIMIT);
	srand(11);
	for (int round = 0; round < 200000; round++) {
		int i = rand() % THINGS;

		if (taken[i]) {
			holder_give(&table, &sets[i], HOLDER_HEADS_LARGE);
			for (int role = 0; role < HOLDER_ROLES; role++)
				held[keys[i][role]]--;
			used--;
			taken[i] = false;
			continue;
		}
		enum holder_role expected = used < LIMIT ? HOLDER_NOBODY : HOLDER_EVERYBODY;

		for (int role = HOLDER_ROLES - 1; role >= 0; role--) {
			keys[i][role] = (uint64_t)(1 + role * KEYS + rand() % KEYS);
			uint32_t has = held[keys[i][role]];

			if (has > 0 && has >= (LIMIT - used) * share[role])
				expected = (enum holder_role)role;
		}
		struct holder_set s = set_of(keys[i][0], keys[i][1], keys[i][2]);

		assert_int_equal(holder_refuses(&table, &s, HOLDER_HEADS_LARGE), expected);
		if (expected == HOLDER_NOBODY) {
			holder_take(&table, &s, HOLDER_HEADS_LARGE);
			sets[i] = s;
			taken[i] = true;
			used++;
			for (int role = 0; role < HOLDER_ROLES; role++)
				held[keys[i][role]]++;
		}
		holder_set_let_go(&table, &s);
		assert_int_equal(table.used[HOLDER_HEADS_LARGE], used);
	}
	for (int i = 0; i < THINGS; i++) {
		if (taken[i])
			holder_give(&table, &sets[i], HOLDER_HEADS_LARGE);
	}
	assert_int_equal(table.pool.used, 0); // nobody is left who holds nothing
	holder_table_deinit(&table);
}

static void an_outside_address_is_a_network(void **state)
{
	struct addr a, b, c, d;

	(void)state;
	begin(10);
	assert_int_equal(addr_parse(SLICE_LIT("2001:db8:1:2::1"), &a), ERR_OK);
	assert_int_equal(addr_parse(SLICE_LIT("2001:db8:1:2:ffff::9"), &b), ERR_OK);
	assert_int_equal(addr_parse(SLICE_LIT("192.0.2.1"), &c), ERR_OK);
	assert_int_equal(addr_parse(SLICE_LIT("192.0.2.2"), &d), ERR_OK);
	assert_true(holder_key_of_addr(&table, a) == holder_key_of_addr(&table, b));
	assert_false(holder_key_of_addr(&table, c) == holder_key_of_addr(&table, d));
	holder_table_deinit(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_leaves_something),
		cmocka_unit_test(a_crowded_workload_does_not_shut_out_its_node_nor_its_pod),
		cmocka_unit_test(a_node_of_many_names_leaves_something),
		cmocka_unit_test(nothing_left_is_everybodys),
		cmocka_unit_test(the_oldest_stands_first),
		cmocka_unit_test(any_order_of_takes_and_gives),
		cmocka_unit_test(an_outside_address_is_a_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
