// SPDX-License-Identifier: GPL-3.0-or-later
// path/links: identity is pinned to (address, interface, pod). What is not exactly that is not that pod.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "path/links.h"

static void only_the_pinned_three_match(void **state)
{
	struct addr a = addr_from_v4(0x0af50109), b = addr_from_v4(0x0af5010a), v6 = {{0xfd, 1}};
	struct link_pin pins[] = {
		{b, SLICE_LIT("uid-b"), 0}, // its interface has gone
		{v6, SLICE_LIT("uid-a"), 9},
		{a, SLICE_LIT("uid-a"), 9},
	};
	struct links *l;

	(void)state;
	assert_int_equal(links_new(pins, 3, &l), ERR_OK);
	assert_int_equal(links_count(l), 3);
	assert_int_equal(links_check(l, a, SLICE_LIT("uid-a"), 9), LINK_MATCHES);
	assert_int_equal(links_check(l, v6, SLICE_LIT("uid-a"), 9), LINK_MATCHES);
	assert_int_equal(links_check(l, a, SLICE_LIT("uid-a"), 10), LINK_DIFFERS);
	assert_int_equal(links_check(l, a, SLICE_LIT("uid-a"), 0), LINK_DIFFERS); // not said
	assert_int_equal(links_check(l, a, SLICE_LIT("uid-b"), 9), LINK_UNKNOWN); // another pod
	assert_int_equal(links_check(l, a, SLICE_LIT("uid-"), 9), LINK_UNKNOWN);
	assert_int_equal(links_check(l, a, (struct slice){0}, 9), LINK_UNKNOWN);
	assert_int_equal(links_check(l, b, SLICE_LIT("uid-b"), 9), LINK_DIFFERS);
	assert_int_equal(links_check(l, b, SLICE_LIT("uid-b"), 0), LINK_DIFFERS); // 0 is no match
	assert_int_equal(links_check(l, addr_from_v4(0x0af5010b), SLICE_LIT("uid-a"), 9),
			 LINK_UNKNOWN);
	links_free(l);
}

static void only_what_surely_is_no_local_pod_leads_outside(void **state)
{
	struct addr out = addr_from_v4(1), local = addr_from_v4(2), pod = addr_from_v4(3),
		    dead = addr_from_v4(4);
	struct link_pin pins[] = {
		{out, {0}, 0},
		{local, {0}, 9},
		{pod, SLICE_LIT("uid"), 9},
		{dead, SLICE_LIT("uid-d"), 0},
	};
	struct links *l;

	(void)state;
	assert_int_equal(links_new(pins, 4, &l), ERR_OK);
	assert_true(links_lead_outside(l, out));
	assert_false(links_lead_outside(l, local));
	assert_false(links_lead_outside(l, pod));
	assert_false(links_lead_outside(l, dead));
	assert_false(links_lead_outside(l, addr_from_v4(5))); // nobody has asked yet
	assert_false(links_lead_outside(NULL, out));
	assert_int_equal(links_check(l, local, (struct slice){0}, 9), LINK_UNKNOWN);
	links_free(l);
}

static void no_table_knows_nobody(void **state)
{
	struct links *l;

	(void)state;
	assert_int_equal(links_check(NULL, addr_from_v4(1), SLICE_LIT("u"), 1), LINK_UNKNOWN);
	assert_null(links_find(NULL, addr_from_v4(1)));
	assert_int_equal(links_count(NULL), 0);
	links_free(NULL);
	assert_int_equal(links_new(NULL, 0, &l), ERR_OK);
	assert_int_equal(links_count(l), 0);
	assert_null(links_find(l, addr_from_v4(1)));
	links_free(l);
	assert_int_equal(LINK_UNKNOWN, 0); // zero is the safe answer
}

// What was given is copied: its memory is its giver's again at once.
static void pins_are_copies(void **state)
{
	char *uid = strdup("uid");
	struct link_pin pin = {addr_from_v4(5), slice_str(uid), 1};
	struct links *l;

	(void)state;
	assert_int_equal(links_new(&pin, 1, &l), ERR_OK);
	memset(uid, 'x', 3);
	free(uid);
	assert_int_equal(links_check(l, addr_from_v4(5), SLICE_LIT("uid"), 1), LINK_MATCHES);
	links_free(l);
}

static void all_of_many_are_found(void **state)
{
	static struct link_pin pins[5000];
	static char uids[5000][16];
	struct links *l;

	(void)state;
	srand(7);
	for (uint32_t i = 0; i < 5000; i++) {
		struct addr a = {{0}};

		a = i % 2 ? addr_from_v4(i * 2654435761u) : a;
		if (i % 2 == 0)
			memcpy(a.bytes + 4, &i, sizeof(i));
		a.bytes[0] = i % 2 ? a.bytes[0] : 0xfd;
		snprintf(uids[i], sizeof(uids[i]), "uid-%u", i);
		pins[i] = (struct link_pin){a, slice_str(uids[i]), i + 1};
	}
	assert_int_equal(links_new(pins, 5000, &l), ERR_OK);
	for (uint32_t i = 0; i < 5000; i++) {
		assert_int_equal(links_check(l, pins[i].addr, pins[i].uid, i + 1), LINK_MATCHES);
		assert_int_equal(links_find(l, pins[i].addr)->ifindex, i + 1);
	}
	links_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_pinned_three_match),
		cmocka_unit_test(only_what_surely_is_no_local_pod_leads_outside),
		cmocka_unit_test(no_table_knows_nobody),
		cmocka_unit_test(pins_are_copies),
		cmocka_unit_test(all_of_many_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
