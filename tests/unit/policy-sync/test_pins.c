// SPDX-License-Identifier: GPL-3.0-or-later
// publish/pins: which keys are pinned, for how long, and that a damaged file stops instead of forgetting.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "publish/pins.h"

struct test {
	char path[64];
	struct pins *pins;
};

static void pin_of(uint8_t pin[NODE_PIN_BYTES], uint8_t fill)
{
	memset(pin, fill, NODE_PIN_BYTES);
}

static bool add(struct test *t, const char *node, uint8_t fill, int64_t not_after)
{
	uint8_t pin[NODE_PIN_BYTES];
	bool changed = false;

	pin_of(pin, fill);
	assert_int_equal(pins_add(t->pins, slice_str(node), pin, not_after, &changed), ERR_OK);
	return changed;
}

// The first bytes of a node's pins, in order.
static const char *shown(const struct test *t, const char *node, char out[8])
{
	struct slice s = pins_of(t->pins, slice_str(node));
	size_t n = 0;

	for (size_t at = 0; at < s.len; at += NODE_PIN_BYTES)
		out[n++] = (char)s.ptr[at];
	out[n] = 0;
	return out;
}

static void reopen(struct test *t)
{
	struct reason why;

	assert_int_equal(pins_save(t->pins), ERR_OK);
	pins_free(t->pins);
	assert_int_equal(pins_open(t->path, &t->pins, &why), ERR_OK);
}

static int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));
	struct reason why;

	assert_non_null(t);
	snprintf(t->path, sizeof(t->path), "/tmp/portcullis-pins-%d", getpid());
	assert_int_equal(pins_open(t->path, &t->pins, &why), ERR_OK);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	pins_free(t->pins);
	unlink(t->path);
	free(t);
	return 0;
}

static void newest_first_and_four_at_most(void **state)
{
	struct test *t = *state;
	char s[8];

	assert_true(add(t, "b", 'x', 100));
	for (char c = 'a'; c <= 'e'; c++)
		assert_true(add(t, "n", (uint8_t)c, 100));
	assert_string_equal(shown(t, "n", s), "edcb");
	assert_false(add(t, "n", 'c', 200)); // known: stays where it is
	assert_string_equal(shown(t, "n", s), "edcb");
	assert_string_equal(shown(t, "b", s), "x");
	assert_string_equal(shown(t, "nobody", s), "");
	reopen(t);
	assert_string_equal(shown(t, "n", s), "edcb");
	assert_string_equal(shown(t, "b", s), "x");
}

static void keys_end_with_their_certificates(void **state)
{
	struct test *t = *state;
	char s[8];

	add(t, "n", 'a', 100);
	add(t, "n", 'b', 300);
	add(t, "n", 'c', 200);
	add(t, "m", 'z', 100);
	assert_false(pins_expire(t->pins, 99));
	assert_true(pins_expire(t->pins, 100));
	assert_string_equal(shown(t, "n", s), "cb");
	assert_string_equal(shown(t, "m", s), "");
	assert_false(add(t, "n", 'c', 150)); // an earlier end does not shorten it
	assert_false(pins_expire(t->pins, 199));
	reopen(t);
	assert_true(pins_expire(t->pins, 200));
	assert_string_equal(shown(t, "n", s), "b");
}

static bool keep_b(void *context, struct slice node)
{
	(*(int *)context)++;
	return slice_eq_str(node, "b");
}

static void removed_nodes_lose_theirs(void **state)
{
	struct test *t = *state;
	int asked = 0;
	char s[8];

	add(t, "a", 'a', 100);
	add(t, "b", 'b', 100);
	add(t, "c", 'c', 100);
	pins_filter(t->pins, keep_b, &asked);
	assert_int_equal(asked, 3);
	assert_string_equal(shown(t, "a", s), "");
	assert_string_equal(shown(t, "b", s), "b");
	pins_remove(t->pins, SLICE_LIT("b"));
	pins_remove(t->pins, SLICE_LIT("b"));
	reopen(t);
	assert_string_equal(shown(t, "b", s), "");
}

static void damaged_files_are_errors(void **state)
{
	struct test *t = *state;
	static const char *const bad[] = {
		"n\n",
		"n abc 100\n",
		"n 0000000000000000000000000000000000000000000000000000000000000000\n",
		"n 000000000000000000000000000000000000000000000000000000000000000g 1\n",
		"N 0000000000000000000000000000000000000000000000000000000000000000 1\n",
		"../n 0000000000000000000000000000000000000000000000000000000000000000 1\n",
		"n 0000000000000000000000000000000000000000000000000000000000000000 1 2\n",
		"n 0000000000000000000000000000000000000000000000000000000000000000 1", // no end
		"\n",
	};
	struct pins *p;
	struct reason why;
	uint8_t pin[NODE_PIN_BYTES] = {0};
	bool changed;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(file_write(t->path, 0600, slice_str(bad[i])), ERR_OK);
		assert_int_equal(pins_open(t->path, &p, &why), ERR_MALFORMED);
		assert_non_null(strstr(why.text, "line 1: not a key pin"));
	}
	assert_int_equal(pins_add(t->pins, SLICE_LIT("not a name"), pin, 1, &changed),
			 ERR_MALFORMED);
}

// A node's keys are taken away: all of them, each for as long as it was pinned.
static void keys_are_taken_away(void **state)
{
	struct test *t = *state;
	struct pins *revoked;
	struct reason why;
	uint8_t pin[NODE_PIN_BYTES];
	char path[80], text[8];

	snprintf(path, sizeof(path), "%s-revoked", t->path);
	assert_int_equal(pins_open(path, &revoked, &why), ERR_OK);
	add(t, "n1", 'a', 1000);
	add(t, "n1", 'b', 2000);
	add(t, "n2", 'c', 3000);
	assert_int_equal(pins_move(t->pins, revoked, SLICE_LIT("n3")), ERR_NOT_FOUND);
	assert_int_equal(pins_move(t->pins, revoked, SLICE_LIT("n1")), ERR_OK);
	assert_string_equal(shown(t, "n1", text), "");
	assert_string_equal(shown(t, "n2", text), "c");
	assert_int_equal(pins_save(revoked), ERR_OK);
	pins_free(revoked);
	assert_int_equal(pins_open(path, &revoked, &why), ERR_OK);
	pin_of(pin, 'a');
	assert_true(pins_has(revoked, SLICE_LIT("n1"), pin));
	assert_false(pins_has(revoked, SLICE_LIT("n2"), pin));
	pins_expire(revoked, 1500);
	assert_false(pins_has(revoked, SLICE_LIT("n1"), pin));
	pin_of(pin, 'b');
	assert_true(pins_has(revoked, SLICE_LIT("n1"), pin));
	pins_free(revoked);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys_are_taken_away, setup, teardown),
		cmocka_unit_test_setup_teardown(newest_first_and_four_at_most, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_end_with_their_certificates, setup, teardown),
		cmocka_unit_test_setup_teardown(removed_nodes_lose_theirs, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_files_are_errors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
