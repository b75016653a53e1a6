// SPDX-License-Identifier: GPL-3.0-or-later
// Sets of networks: the edges of each, networks that touch and overlap, both families apart, and random
// sets against a look at every network.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "core/cidr.h"

#define COUNT(list)  (sizeof(list) / sizeof((list)[0]))
#define NETWORKS_MAX 40
#define SETS	     2000
#define LOOKS	     200

static struct cidr network(const char *text)
{
	struct cidr c;

	if (cidr_parse(slice_str(text), false, &c) != ERR_OK)
		fail_msg("no network: %s", text);
	return c;
}

static struct addr address(const char *text)
{
	struct addr a;

	if (addr_parse(slice_str(text), &a) != ERR_OK)
		fail_msg("no address: %s", text);
	return a;
}

static const struct cidr_set *build(struct arena *a, const struct cidr *list, uint32_t count)
{
	struct cidr_set *s = NULL;

	assert_int_equal(cidr_set_build(a, list, count, &s), ERR_OK);
	return s;
}

static void test_edges(void **state)
{
	static const struct {
		const char *networks[4];
		const char *in[5], *out[5];
	} rows[] = {
		{{"10.1.0.0/16"},
		 {"10.1.0.0", "10.1.255.255"},
		 {"10.0.255.255", "10.2.0.0", "::", "::10.1.0.1"}},
		{{"192.0.2.7/32"}, {"192.0.2.7"}, {"192.0.2.6", "192.0.2.8"}},
		{{"0.0.0.0/0"}, {"0.0.0.1", "255.255.255.255"}, {"::1", "fd00::1"}},
		{{"::/0"}, {"::1", "fd00::1", "ffff::"}, {"10.0.0.1", "255.255.255.255"}},
		{{"fd00:245:1::/64"},
		 {"fd00:245:1::", "fd00:245:1:0:ffff:ffff:ffff:ffff"},
		 {"fd00:245:2::", "fd00:245:0:ffff::"}},
		{{"fd00::1/128"}, {"fd00::1"}, {"fd00::", "fd00::2"}},
		{{"10.0.0.0/9", "10.128.0.0/9"},
		 {"10.0.0.0", "10.127.255.255", "10.128.0.0", "10.255.255.255"},
		 {"9.255.255.255", "11.0.0.0"}},
		{{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24"},
		 {"10.0.0.1", "10.1.2.3", "10.255.0.0"},
		 {"11.0.0.0"}},
		{{"10.1.2.0/24", "10.0.0.0/8", "10.1.2.0/24"},
		 {"10.0.0.1", "10.1.2.3", "10.255.0.0"},
		 {"11.0.0.0"}},
		{{"10.0.0.0/24", "10.0.2.0/24"},
		 {"10.0.0.255", "10.0.2.0"},
		 {"10.0.1.0", "10.0.1.255"}},
		{{"10.0.0.0/8", "fd00::/8"}, {"10.1.1.1", "fd12::1"}, {"11.0.0.1", "fe00::1"}},
	};
	struct arena a;

	(void)state;
	arena_init(&a, 1u << 16);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct cidr list[4];
		uint32_t count = 0;

		while (count < 4 && rows[i].networks[count]) {
			list[count] = network(rows[i].networks[count]);
			count++;
		}
		const struct cidr_set *s = build(&a, list, count);

		assert_false(cidr_set_is_empty(s));
		for (size_t k = 0; k < 5 && rows[i].in[k]; k++) {
			if (!cidr_set_contains(s, address(rows[i].in[k])))
				fail_msg("%s is not in %s", rows[i].in[k], rows[i].networks[0]);
		}
		for (size_t k = 0; k < 5 && rows[i].out[k]; k++) {
			if (cidr_set_contains(s, address(rows[i].out[k])))
				fail_msg("%s is in %s", rows[i].out[k], rows[i].networks[0]);
		}
	}
	arena_deinit(&a);
}

static void test_empty(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 1u << 12);
	const struct cidr_set *s = build(&a, NULL, 0);

	assert_true(cidr_set_is_empty(s));
	assert_false(cidr_set_contains(s, address("10.0.0.1")));
	assert_false(cidr_set_contains(s, address("::1")));
	assert_false(cidr_set_contains(s, (struct addr){0}));
	arena_deinit(&a);
}

static void test_arena_full(void **state)
{
	static _Alignas(16) uint8_t block[64];
	struct cidr list[4];
	struct cidr_set *s;
	struct arena a;

	(void)state;
	for (int i = 0; i < 4; i++)
		list[i] = network("10.0.0.0/8");
	arena_init_fixed(&a, block, sizeof(block));
	assert_int_equal(cidr_set_build(&a, list, 4, &s), ERR_NOMEM);
}

// Few bits, so that networks touch and overlap and addresses hit.
static struct addr random_address(void)
{
	struct addr a = {0};

	if (rand() % 2)
		return addr_from_v4(0x0a000000u | ((uint32_t)rand() % 64 << 18) |
				    (uint32_t)rand() % 4);
	a.bytes[0] = 0xfd;
	a.bytes[1] = (uint8_t)(rand() % 4);
	a.bytes[15] = (uint8_t)(rand() % 4);
	return a;
}

static struct cidr random_network(void)
{
	struct cidr c = {.addr = random_address()};

	c.bits = addr_is_v4(c.addr) ? (uint8_t)(96 + rand() % 33) : (uint8_t)(rand() % 129);
	for (uint32_t bit = c.bits; bit < 128; bit++)
		c.addr.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return c;
}

static void test_random(void **state)
{
	struct cidr list[NETWORKS_MAX];
	struct arena a;

	(void)state;
	srand(1);
	for (int round = 0; round < SETS; round++) {
		uint32_t count = (uint32_t)rand() % NETWORKS_MAX;

		arena_init(&a, 1u << 16);
		for (uint32_t i = 0; i < count; i++)
			list[i] = random_network();
		const struct cidr_set *s = build(&a, list, count);

		for (int look = 0; look < LOOKS; look++) {
			struct addr one = random_address();
			bool any = false;

			for (uint32_t i = 0; i < count; i++)
				any |= cidr_contains(list[i], one);
			assert_int_equal(cidr_set_contains(s, one), any);
		}
		arena_deinit(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_arena_full),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
