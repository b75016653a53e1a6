// SPDX-License-Identifier: GPL-3.0-or-later
// core/rule_index: a key brings the rules that were added under exactly it, of 4,096, and the words that it
// does not touch are never read.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/rule_index.h"

static struct arena arena;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 64u << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_deinit(&arena);
	return 0;
}

static bool has(const struct rule_bits *b, uint32_t rule)
{
	return (b->live & (1ull << rule / 64)) && (b->words[rule / 64] & (1ull << rule % 64));
}

static struct rule_bits look_up(const struct rule_index *x, struct rule_key key)
{
	struct rule_bits bits;

	memset(&bits, 0xff, sizeof(bits)); // words that are not live hold anything
	bits.live = 0;
	rule_index_look_up(x, &key, &bits);
	return bits;
}

static struct rule_key key_of(enum rule_space space, uint32_t number, const char *a, const char *b,
			      const char *c)
{
	return (struct rule_key){space, number, {slice_str(a), slice_str(b), slice_str(c)}};
}

static void a_key_is_all_of_it(void **state)
{
	struct rule_key keys[] = {
		key_of(SPACE_PATH, 0, "/a", "", ""),
		key_of(SPACE_PREFIX, 0, "/a", "", ""),
		key_of(SPACE_PATH, 1, "/a", "", ""),
		key_of(SPACE_PATH, 0, "/b", "", ""),
		key_of(SPACE_PATH, 0, "", "/a", ""),
		key_of(SPACE_PATH, 0, "", "", "/a"),
		key_of(SPACE_PATH, 0, "", "", ""),
		key_of(SPACE_CLAIM, 0, "a", "b", "c"),
		key_of(SPACE_CLAIM, 0, "ab", "", "c"),
		key_of(SPACE_CLAIM, 0, "", "ab", "c"),
		key_of(SPACE_CLAIM, 0, "a", "c", "b"),
		key_of(SPACE_PORT, 80, "", "", ""),
		key_of(SPACE_PORT, 80 + (1 << 16), "", "", ""),
	};
	const uint32_t count = sizeof(keys) / sizeof(keys[0]);
	struct rule_index x;

	(void)state;
	assert_int_equal(rule_index_init(&x, &arena, count), ERR_OK);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(rule_index_add(&x, &keys[i], i * 60), ERR_OK);
	for (uint32_t i = 0; i < count; i++) {
		struct rule_bits bits = look_up(&x, keys[i]);

		for (uint32_t k = 0; k < count; k++)
			assert_int_equal(has(&bits, k * 60), i == k);
	}
	assert_int_equal(look_up(&x, key_of(SPACE_PATH, 0, "/c", "", "")).live, 0);
	assert_int_equal(look_up(&x, key_of(SPACE_NONE, 0, "/a", "", "")).live, 0);
}

static void sets_are_sparse_and_exact(void **state)
{
	static bool expected[300][SNAPSHOT_RULES_PER_POLICY_MAX];
	char names[300][8];
	struct rule_index x;
	uint32_t pairs = 0;

	(void)state;
	srand(11);
	memset(expected, 0, sizeof(expected));
	for (int k = 0; k < 300; k++)
		snprintf(names[k], sizeof(names[k]), "k%d", k);
	assert_int_equal(rule_index_init(&x, &arena, 40000), ERR_OK);
	for (uint32_t rule = 0; rule < SNAPSHOT_RULES_PER_POLICY_MAX; rule++) {
		for (int n = rand() % 8; n > 0; n--) {
			int k = rand() % 300;
			struct rule_key key = key_of(SPACE_HOST, 0, names[k], "", "");

			assert_int_equal(rule_index_add(&x, &key, rule), ERR_OK);
			expected[k][rule] = true;
			pairs++;
		}
	}
	assert_true(x.cell_count < pairs); // rules of a word share a cell
	for (int k = 0; k < 300; k++) {
		struct rule_bits bits = look_up(&x, key_of(SPACE_HOST, 0, names[k], "", ""));

		for (uint32_t rule = 0; rule < SNAPSHOT_RULES_PER_POLICY_MAX; rule++)
			assert_int_equal(has(&bits, rule), expected[k][rule]);
	}
}

static void look_ups_join(void **state)
{
	struct rule_key a = key_of(SPACE_HOST, 0, "a", "", ""),
			b = key_of(SPACE_HOST, 0, "b", "", "");
	struct rule_index x;
	struct rule_bits bits;

	(void)state;
	assert_int_equal(rule_index_init(&x, &arena, 4), ERR_OK);
	assert_int_equal(rule_index_add(&x, &a, 1), ERR_OK);
	assert_int_equal(rule_index_add(&x, &b, 2), ERR_OK);
	assert_int_equal(rule_index_add(&x, &b, 4095), ERR_OK);
	bits = look_up(&x, a);
	rule_index_look_up(&x, &b, &bits);
	assert_int_equal(bits.words[0], 6);
	assert_int_equal(bits.words[63], 1ull << 63);
	assert_true(bits.live == (1ull << 63 | 1));
}

static void promises_are_kept(void **state)
{
	struct rule_key a = key_of(SPACE_HOST, 0, "a", "", ""),
			b = key_of(SPACE_HOST, 0, "b", "", "");
	struct rule_index x;
	struct arena small;

	(void)state;
	assert_int_equal(rule_index_init(&x, &arena, 2), ERR_OK);
	assert_int_equal(rule_index_add(&x, &a, 0), ERR_OK);
	assert_int_equal(rule_index_add(&x, &b, 64), ERR_OK);
	assert_int_equal(rule_index_add(&x, &a, 128), ERR_FULL);
	assert_false(look_up(&x, a).live & 4); // nothing half done
	assert_int_equal(rule_index_init(&x, &arena, 0), ERR_OK);
	assert_int_equal(look_up(&x, a).live, 0);
	for (size_t bytes = 0; bytes < 1000; bytes += 100) {
		arena_init(&small, bytes);
		assert_int_equal(rule_index_init(&x, &small, 100), ERR_NOMEM);
		arena_deinit(&small);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_key_is_all_of_it, setup, teardown),
		cmocka_unit_test_setup_teardown(sets_are_sparse_and_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(look_ups_join, setup, teardown),
		cmocka_unit_test_setup_teardown(promises_are_kept, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
