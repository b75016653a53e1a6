// SPDX-License-Identifier: GPL-3.0-or-later
// The cache of verified tokens by itself: it gives back what was put, compares everything, and forgets the
// oldest, whatever sizes come in whatever order.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "decide/token_cache.h"
#include "support/token.h"

#define ENTRIES 64

static struct ss_policy policy_of(struct slice *ids, uint32_t count)
{
	return (struct ss_policy){.provider_ids = ids, .provider_count = count};
}

static struct slice token_text(uint32_t n, uint32_t padding, char *text)
{
	int len = sprintf(text, "token-%u-", n);

	memset(text + len, 'a' + n % 26, padding);
	return slice_make(text, (size_t)len + padding);
}

static bool holds(const struct token_cache *c, const struct token_key *key,
		  struct token_verified *v)
{
	struct jwt_values it;
	struct slice sub;

	if (!token_cache_find(c, key, v))
		return false;
	// Its claims are its own.
	assert_true(jwt_values_begin(v->jwt, SLICE_LIT("sub"), &it));
	assert_true(jwt_values_next(&it, &sub));
	assert_true(slice_starts(key->token, sub));
	return true;
}

static void put(struct token_cache *c, const struct token_key *key, uint64_t verified)
{
	char payload[128];
	struct token_verified v = {.asked = 7, .verified = verified};
	struct jwt jwt;
	size_t dash = slice_find(slice_make(key->token.ptr + 6, key->token.len - 6), '-');

	sprintf(payload, "{\"sub\":\"%.*s\"}", (int)(dash + 7), key->token.ptr);
	assert_int_equal(parse_payload(payload, &jwt), JWT_OK);
	v.jwt = &jwt;
	token_cache_put(c, key, &v);
}

static void test_compares_everything(void **state)
{
	struct slice ids[] = {SLICE_LIT("a/b/c"), SLICE_LIT("d")};
	struct slice merged[] = {SLICE_LIT("a/b/cd")}, swapped[] = {ids[1], ids[0]};
	struct ss_policy two = policy_of(ids, 2), one = policy_of(ids, 1);
	struct ss_policy merged_policy = policy_of(merged, 1), other_order = policy_of(swapped, 2);
	struct token_cache *c = token_cache_new(ENTRIES, 5);
	struct token_key key = {.token = SLICE_LIT("token-1-x"), .policy = &two};
	struct token_key other;
	struct token_verified v;

	(void)state;
	assert_false(token_cache_find(c, &key, &v));
	put(c, &key, 2);
	assert_true(holds(c, &key, &v));
	assert_int_equal(v.asked, 7);
	assert_int_equal(v.verified, 2);
	other = key;
	other.token = SLICE_LIT("token-1-y");
	assert_false(token_cache_find(c, &other, &v));
	other.token = SLICE_LIT("token-1-");
	assert_false(token_cache_find(c, &other, &v));
	other = key;
	other.providers_sha256[31] = 1;
	assert_false(token_cache_find(c, &other, &v));
	other = key;
	other.policy = &one;
	assert_false(token_cache_find(c, &other, &v));
	other.policy = &merged_policy;
	assert_false(token_cache_find(c, &other, &v));
	other.policy = &other_order;
	assert_false(token_cache_find(c, &other, &v));
	// Another policy with the same providers shares the entry.
	struct ss_policy same = policy_of((struct slice[]){ids[0], ids[1]}, 2);

	other.policy = &same;
	assert_true(holds(c, &other, &v));
	// Put again: in place.
	put(c, &key, 3);
	assert_true(holds(c, &key, &v));
	assert_int_equal(v.verified, 3);
	token_cache_free(c);
	token_cache_free(NULL);
}

// One token under several provider sets does not push itself out.
static void test_one_token_many_policies(void **state)
{
	struct token_cache *c = token_cache_new(ENTRIES, 5);
	struct slice ids[3][1] = {{SLICE_LIT("a")}, {SLICE_LIT("b")}, {SLICE_LIT("c")}};
	struct token_verified v;

	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		struct ss_policy p = policy_of(ids[i], 1);
		struct token_key key = {.token = SLICE_LIT("token-1-x"), .policy = &p};

		put(c, &key, i);
	}
	for (uint64_t i = 0; i < 3; i++) {
		struct ss_policy p = policy_of(ids[i], 1);
		struct token_key key = {.token = SLICE_LIT("token-1-x"), .policy = &p};

		assert_true(holds(c, &key, &v));
		assert_int_equal(v.verified, i);
	}
	token_cache_free(c);
}

// Tokens of all sizes, many times round the ring: what is found is always right, the last one put is
// always found, and a fair part of the recent ones.
static void test_forgets_the_oldest(void **state)
{
	static char text[JWT_BYTES_MAX + 64];
	struct token_cache *c = token_cache_new(ENTRIES, 5);
	struct slice id = SLICE_LIT("p");
	struct ss_policy p = policy_of(&id, 1);
	uint32_t recent = 0;

	(void)state;
	for (uint32_t n = 0; n < 20000; n++) {
		uint32_t padding = n * 7919 % (n % 64 == 0 ? JWT_BYTES_MAX - 32 : 1500);
		struct token_key key = {.token = token_text(n, padding, text), .policy = &p};
		struct token_verified v;

		put(c, &key, n);
		assert_true(holds(c, &key, &v));
		assert_int_equal(v.verified, n);
		if (n < 40 || n % 64 == 8)
			continue;
		uint32_t old = n - 8;

		padding = old * 7919 % (old % 64 == 0 ? JWT_BYTES_MAX - 32 : 1500);
		key.token = token_text(old, padding, text);
		recent += holds(c, &key, &v);
		key.token = token_text(n + 1, 10, text);
		assert_false(token_cache_find(c, &key, &v));
	}
	assert_true(recent > 17000);
	token_cache_free(c);
	// What does not fit is left out and takes nothing else's place.
	c = token_cache_new(1, 5);
	struct token_key small = {.token = SLICE_LIT("token-1-x"), .policy = &p};
	struct token_key large = {.token = token_text(2, JWT_BYTES_MAX - 32, text), .policy = &p};
	struct token_verified v;

	put(c, &small, 1);
	put(c, &large, 2);
	assert_false(token_cache_find(c, &large, &v));
	assert_true(holds(c, &small, &v));
	token_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compares_everything),
		cmocka_unit_test(test_one_token_many_policies),
		cmocka_unit_test(test_forgets_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
