// SPDX-License-Identifier: GPL-3.0-or-later
// common/slice: comparison and search of borrowed bytes; the empty run and bytes above 127 included.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/slice.h"

#define S(text) SLICE_LIT(text)

static void equality(void **state)
{
	static const struct slice none;

	(void)state;
	assert_true(slice_eq(none, S("")));
	assert_true(slice_eq(S("a\0b"), S("a\0b")));
	assert_false(slice_eq(S("a\0b"), S("a\0c")));
	assert_false(slice_eq(S("a"), S("ab")));
	assert_false(slice_eq(S("ab"), S("a")));
	assert_true(slice_eq_str(S("abc"), "abc"));
	assert_false(slice_eq_str(S("abc\0"), "abc"));
	assert_true(slice_starts(S("abc"), S("ab")));
	assert_true(slice_starts(S("abc"), S("abc")));
	assert_true(slice_starts(S("abc"), none));
	assert_true(slice_starts(none, none));
	assert_false(slice_starts(S("ab"), S("abc")));
	assert_false(slice_starts(S("xbc"), S("ab")));
}

static void case_of_ascii_only(void **state)
{
	(void)state;
	assert_true(slice_eq_nocase(S("Content-LENGTH"), S("content-length")));
	assert_true(slice_eq_nocase(S(""), S("")));
	assert_false(slice_eq_nocase(S("a"), S("ab")));
	assert_false(slice_eq_nocase(S("["), S("{"))); // differ by the same bit as letters do
	assert_false(slice_eq_nocase(S("@"), S("`")));
	assert_false(
		slice_eq_nocase(S("\xc9"), S("\xe9"))); // Latin-1's letters are no letters here
	assert_true(slice_eq_nocase(S("\xe9"), S("\xe9")));
	assert_true(slice_eq_nocase(S("AZ"), S("az")));
}

static void order_is_by_bytes(void **state)
{
	static const struct slice ascending[] = {{0},	 S("\0"), S("\0a"),  S("A"),	S("AB"),
						 S("B"), S("a"),  S("\x7f"), S("\x80"), S("\xff")};

	(void)state;
	for (size_t i = 0; i < sizeof(ascending) / sizeof(ascending[0]); i++) {
		for (size_t k = 0; k < sizeof(ascending) / sizeof(ascending[0]); k++)
			assert_int_equal(slice_cmp(ascending[i], ascending[k]), i < k ? -1 : i > k);
	}
}

static void finding(void **state)
{
	(void)state;
	assert_int_equal(slice_find(S("a/b/c"), '/'), 1);
	assert_int_equal(slice_find(S("abc"), '/'), 3);
	assert_int_equal(slice_find((struct slice){0}, '/'), 0);
	assert_int_equal(slice_find(S("ab\0c"), 0), 2);
	assert_int_equal(slice_find(slice_make("abc/", 3), '/'), 3); // not beyond the end
	assert_int_equal(slice_find(S("\x80\xff"), 0xff), 1);
}

static void white_space_of_http_fields(void **state)
{
	(void)state;
	assert_true(slice_eq_str(slice_trim_ows(S(" \t a b\t ")), "a b"));
	assert_true(slice_eq_str(slice_trim_ows(S("a")), "a"));
	assert_int_equal(slice_trim_ows(S(" \t ")).len, 0);
	assert_int_equal(slice_trim_ows((struct slice){0}).len, 0);
	// Only SP and HTAB: a line feed or a vertical tab is the value's.
	assert_true(slice_eq_str(slice_trim_ows(S("\na\v")), "\na\v"));
	assert_true(slice_eq_str(slice_trim_ows(S("\xa0"
						  "a")),
				 "\xa0"
				 "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equality),
		cmocka_unit_test(case_of_ascii_only),
		cmocka_unit_test(order_is_by_bytes),
		cmocka_unit_test(finding),
		cmocka_unit_test(white_space_of_http_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
