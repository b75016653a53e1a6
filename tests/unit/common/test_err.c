// SPDX-License-Identifier: GPL-3.0-or-later
// common/err: every failure has a name of its own, and a reason is a bounded sentence.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "common/err.h"

static void names_are_tokens_and_differ(void **state)
{
	(void)state;
	assert_int_equal(ERR_OK, 0);
	for (int i = 0; i < ERR_COUNT; i++) {
		const char *name = err_name((enum err)i);

		assert_non_null(name);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		assert_int_not_equal(strlen(name), 0);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(name, err_name((enum err)k));
	}
	assert_string_equal(err_name(ERR_COUNT), "invalid");
	assert_string_equal(err_name((enum err) - 1), "invalid");
	assert_string_equal(err_name((enum err)1000), "invalid");
}

static void reasons_are_bounded(void **state)
{
	struct {
		struct reason why;
		char behind;
	} r = {.behind = 'x'};
	char text[2 * REASON_BYTES_MAX];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(err_because(ERR_DENIED, &r.why, "%s %d", "port", 80), ERR_DENIED);
	assert_string_equal(r.why.text, "port 80");
	assert_int_equal(err_because(ERR_IO, &r.why, "%s", text), ERR_IO);
	assert_int_equal(strlen(r.why.text), REASON_BYTES_MAX - 1);
	assert_int_equal(r.behind, 'x');
	assert_int_equal(err_because(ERR_STALE, NULL, "%s", text), ERR_STALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_tokens_and_differ),
		cmocka_unit_test(reasons_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
