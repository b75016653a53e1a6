// SPDX-License-Identifier: GPL-3.0-or-later
// common/buf: a writer that stops at its bound and says so, a reader that never runs over, and JSON
// strings that no byte of anybody's can break out of.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <yyjson.h>
#include "common/buf.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void a_fixed_buffer_fills_and_stays(void **state)
{
	uint8_t bytes[8] = {0};
	struct buf b;

	(void)state;
	buf_init_fixed(&b, bytes, 7);
	buf_put_str(&b, "1234567");
	assert_int_equal(b.err, ERR_OK);
	assert_true(slice_eq_str(buf_slice(&b), "1234567"));
	buf_put(&b, NULL, 0); // nothing always fits
	assert_int_equal(b.err, ERR_OK);
	buf_put_u8(&b, '8');
	assert_int_equal(b.err, ERR_FULL);
	assert_int_equal(bytes[7], 0);
	assert_int_equal(b.len, 7); // what was there is still whole
	buf_reset(&b);
	buf_put_str(&b, "12345678");
	assert_int_equal(b.err, ERR_FULL);
	assert_int_equal(b.len, 0); // all or nothing
	buf_put_u8(&b, '1');
	assert_int_equal(b.len, 0); // the first failure stays
	assert_null(buf_reserve(&b, 1));
	buf_deinit(&b);
	assert_int_equal(bytes[0], '1'); // the caller's memory is the caller's
}

static void a_growing_buffer_grows_to_its_bound(void **state)
{
	struct buf b;

	(void)state;
	buf_init_growing(&b, 1000);
	for (int i = 0; i < 1000; i++)
		buf_put_u8(&b, (uint8_t)i);
	assert_int_equal(b.err, ERR_OK);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(b.ptr[i], (uint8_t)i);
	assert_true(b.cap <= 1000);
	buf_put_u8(&b, 0);
	assert_int_equal(b.err, ERR_TOO_LARGE);
	assert_int_equal(b.len, 1000);
	buf_reset(&b);
	assert_null(buf_reserve(&b, 1001));
	buf_reset(&b);
	assert_null(buf_reserve(&b, SIZE_MAX));
	buf_reset(&b);
	assert_non_null(buf_reserve(&b, 1000));
	buf_deinit(&b);
	assert_null(b.ptr);
}

static void numbers_are_big_endian(void **state)
{
	uint8_t bytes[15];
	struct cursor c;
	struct buf b;

	(void)state;
	buf_init_fixed(&b, bytes, sizeof(bytes));
	buf_put_u8(&b, 0x01);
	buf_put_be16(&b, 0x0203);
	buf_put_be32(&b, 0x04050607);
	buf_put_be64(&b, 0x08090a0b0c0d0e0full);
	assert_int_equal(b.err, ERR_OK);
	for (int i = 0; i < 15; i++)
		assert_int_equal(bytes[i], i + 1);
	cursor_init(&c, buf_slice(&b));
	assert_int_equal(cursor_u8(&c), 0x01);
	assert_int_equal(cursor_be16(&c), 0x0203);
	assert_int_equal(cursor_be32(&c), 0x04050607);
	assert_int_equal(cursor_be64(&c), 0x08090a0b0c0d0e0full);
	assert_int_equal(cursor_left(&c), 0);
	assert_int_equal(c.err, ERR_OK);
}

static void a_cursor_stops_at_the_end(void **state)
{
	static const uint8_t bytes[] = {1, 2, 3};
	struct cursor c;

	(void)state;
	cursor_init(&c, slice_make(bytes, 3));
	assert_int_equal(cursor_be16(&c), 0x0102);
	assert_int_equal(cursor_be16(&c), 0); // one byte is not two
	assert_int_equal(c.err, ERR_MALFORMED);
	assert_int_equal(cursor_u8(&c), 0); // though there is one: the first failure stays
	assert_int_equal(cursor_left(&c), 1);
	cursor_init(&c, slice_make(bytes, 3));
	assert_int_equal(cursor_take(&c, 3).len, 3);
	assert_int_equal(cursor_take(&c, 0).len, 0);
	assert_int_equal(c.err, ERR_OK);
	assert_null(cursor_take(&c, SIZE_MAX).ptr);
	assert_int_equal(c.err, ERR_MALFORMED);
	cursor_init(&c, (struct slice){0});
	assert_int_equal(cursor_left(&c), 0);
	assert_int_equal(cursor_be64(&c), 0);
	assert_int_equal(c.err, ERR_MALFORMED);
}

static void printf_knows_its_bound(void **state)
{
	char long_text[1100];
	struct buf b;

	(void)state;
	memset(long_text, 'x', sizeof(long_text));
	long_text[1023] = 0;
	buf_init_growing(&b, 1u << 16);
	buf_printf(&b, "%s", long_text);
	assert_int_equal(b.err, ERR_OK);
	assert_int_equal(b.len, 1023);
	long_text[1023] = 'x';
	long_text[1024] = 0;
	buf_printf(&b, "%s", long_text);
	assert_int_equal(b.err, ERR_TOO_LARGE); // never a cut text
	assert_int_equal(b.len, 1023);
	buf_printf(&b, "%d", 1);
	assert_int_equal(b.len, 1023);
	buf_deinit(&b);
}

static void check_json(struct slice in, const char *expected)
{
	uint8_t bytes[512];
	struct buf b;

	buf_init_fixed(&b, bytes, sizeof(bytes));
	buf_put_json_string(&b, in);
	assert_int_equal(b.err, ERR_OK);
	if (!slice_eq_str(buf_slice(&b), expected))
		fail_msg("%.*s, not %s", SLICE_ARG(buf_slice(&b)), expected);
}

static void json_strings(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"", "\"\""},
		{"plain text", "\"plain text\""},
		{"a\"b\\c/d", "\"a\\\"b\\\\c/d\""},
		{"\",\"forged\":\"", "\"\\\",\\\"forged\\\":\\\"\""},
		{"a\nb\rc\td", "\"a\\u000ab\\u000dc\\u0009d\""},
		{"\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""},
		{"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		 "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
		{"\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf",
		 "\"\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\""},
		// C1 controls (CSI), right-to-left override, line separator, no width, tags.
		{"\xc2\x80\xc2\x9b"
		 "31m\xc2\x9f",
		 "\"\\u0080\\u009b31m\\u009f\""},
		{"a\xe2\x80\xae"
		 "b\xe2\x80\xa8"
		 "c\xe2\x80\xa9",
		 "\"a\\u202eb\\u2028c\\u2029\""},
		{"\xe2\x81\xa6\xe2\x80\x8b\xef\xbb\xbf\xd8\x9c",
		 "\"\\u2066\\u200b\\ufeff\\u061c\""},
		{"\xf3\xa0\x81\x81\xf3\xa0\x82\x80", "\"\\udb40\\udc41\xf3\xa0\x82\x80\""},
		// Not UTF-8 (RFC 3629): overlong, surrogates, beyond, cut, stray.
		{"\xc0\xaf", "\"\\ufffd\\ufffd\""},
		{"\xc1\xbf", "\"\\ufffd\\ufffd\""},
		{"\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\""},
		{"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
		{"\xf0\x80\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
		{"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
		{"\xf8\x88\x80\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""},
		{"\xff\xfe", "\"\\ufffd\\ufffd\""},
		{"\x80", "\"\\ufffd\""},
		{"\xe2\x82", "\"\\ufffd\\ufffd\""},
		{"\xe2\x82\"", "\"\\ufffd\\ufffd\\\"\""}, // what follows is read for itself
		{"\xc3\n", "\"\\ufffd\\u000a\""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_json(slice_str(rows[i].in), rows[i].out);
	check_json(slice_make("a\0b", 3), "\"a\\u0000b\"");
}

// Whatever bytes come, a reader of JSON reads one string; and where they were UTF-8, the same one.
static void any_bytes_are_one_json_string(void **state)
{
	uint8_t in[64];
	struct buf b;

	(void)state;
	srand(1);
	buf_init_growing(&b, 1024);
	for (int round = 0; round < 20000; round++) {
		size_t len = (size_t)rand() % sizeof(in);
		yyjson_doc *doc;
		yyjson_val *root;

		for (size_t i = 0; i < len; i++)
			in[i] = (uint8_t)(rand() % 3 ? rand()
						     : "\"\\\xe2\xf0\xc2\x80\xed\xa0"[rand() % 8]);
		buf_reset(&b);
		buf_put_json_string(&b, slice_make(in, len));
		assert_int_equal(b.err, ERR_OK);
		doc = yyjson_read((const char *)b.ptr, b.len, 0);
		root = yyjson_doc_get_root(doc);
		assert_true(yyjson_is_str(root));
		for (size_t i = 0; i + 1 < b.len; i++) // no C1 control as it is
			assert_false(b.ptr[i] == 0xc2 && b.ptr[i + 1] < 0xa0);
		if (!memmem(b.ptr, b.len, "\\ufffd", 6))
			assert_true(slice_eq(slice_make(yyjson_get_str(root), yyjson_get_len(root)),
					     slice_make(in, len)));
		yyjson_doc_free(doc);
	}
	buf_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fixed_buffer_fills_and_stays),
		cmocka_unit_test(a_growing_buffer_grows_to_its_bound),
		cmocka_unit_test(numbers_are_big_endian),
		cmocka_unit_test(a_cursor_stops_at_the_end),
		cmocka_unit_test(printf_knows_its_bound),
		cmocka_unit_test(json_strings),
		cmocka_unit_test(any_bytes_are_one_json_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
