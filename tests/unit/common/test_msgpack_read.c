// SPDX-License-Identifier: GPL-3.0-or-later
// common/msgpack_read: every form of the format, lies about lengths, and nesting that never ends.
// Written by msgpack-c, read by us.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <msgpack.h>
#include "common/msgpack_read.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define BYTES(...)                                                                                 \
	slice_make(((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__}))

static int pack_write(void *context, const char *bytes, size_t len)
{
	buf_put(context, bytes, len);
	return 0;
}

static void unsigned_numbers_of_any_width(void **state)
{
	static const uint64_t numbers[] = {0,	       1,	   127,	       128,
					   255,	       256,	   UINT16_MAX, 65536,
					   UINT32_MAX, 1ull << 32, 1ull << 63, UINT64_MAX};
	msgpack_packer pk;
	struct cursor c;
	struct buf b;

	(void)state;
	buf_init_growing(&b, 1024);
	msgpack_packer_init(&pk, &b, pack_write);
	for (size_t i = 0; i < COUNT(numbers); i++)
		msgpack_pack_uint64(&pk, numbers[i]);
	msgpack_pack_true(&pk);
	msgpack_pack_false(&pk);
	cursor_init(&c, buf_slice(&b));
	for (size_t i = 0; i < COUNT(numbers); i++)
		assert_true(msgpack_read_uint(&c) == numbers[i]);
	assert_int_equal(msgpack_read_uint(&c), 1);
	assert_int_equal(msgpack_read_uint(&c), 0);
	assert_int_equal(c.err, ERR_OK);
	assert_int_equal(cursor_left(&c), 0);
	buf_deinit(&b);
}

static void what_is_no_unsigned_number(void **state)
{
	static const uint8_t forms[] = {0x80, 0x90, 0xa0, 0xc0, 0xc1, 0xc4, 0xca, 0xcb,
					0xd0, 0xd1, 0xd2, 0xd3, 0xd9, 0xe0, 0xff};
	struct cursor c;

	(void)state;
	for (size_t i = 0; i < COUNT(forms); i++) {
		uint8_t bytes[10] = {forms[i], 1, 1, 1, 1, 1, 1, 1, 1, 1};

		cursor_init(&c, slice_make(bytes, sizeof(bytes)));
		assert_int_equal(msgpack_read_uint(&c), 0);
		assert_int_equal(c.err, ERR_MALFORMED);
	}
	cursor_init(&c, BYTES(0xcf, 1, 2, 3, 4, 5, 6, 7)); // a byte short
	assert_int_equal(msgpack_read_uint(&c), 0);
	assert_int_equal(c.err, ERR_MALFORMED);
	cursor_init(&c, (struct slice){0});
	assert_int_equal(msgpack_read_uint(&c), 0);
	assert_int_equal(c.err, ERR_MALFORMED);
}

static void runs_of_bytes_of_any_width(void **state)
{
	static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
	static uint8_t body[65536];
	msgpack_packer pk;
	struct cursor c;
	struct buf b;

	(void)state;
	memset(body, 'x', sizeof(body));
	buf_init_growing(&b, 1u << 20);
	msgpack_packer_init(&pk, &b, pack_write);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		buf_reset(&b);
		msgpack_pack_str_with_body(&pk, body, lengths[i]);
		msgpack_pack_bin_with_body(&pk, body, lengths[i]);
		cursor_init(&c, buf_slice(&b));
		assert_int_equal(msgpack_read_bytes(&c).len, lengths[i]);
		assert_int_equal(msgpack_read_bytes(&c).len, lengths[i]);
		assert_int_equal(c.err, ERR_OK);
		assert_int_equal(cursor_left(&c), 0);
		// One byte less than it says.
		cursor_init(&c, slice_make(b.ptr, b.len - 1));
		assert_int_equal(msgpack_read_bytes(&c).len, lengths[i]);
		assert_int_equal(msgpack_read_bytes(&c).len, 0);
		assert_int_equal(c.err, ERR_MALFORMED);
	}
	cursor_init(&c, BYTES(0x05));
	assert_null(msgpack_read_bytes(&c).ptr);
	assert_int_equal(c.err, ERR_MALFORMED);
	buf_deinit(&b);
}

// A count can be trusted for an allocation: it never promises more than there are bytes.
static void counts_do_not_lie(void **state)
{
	static const struct {
		uint8_t bytes[16];
		size_t len;
		bool map;
		uint32_t count;
		enum err err;
	} rows[] = {
		{{0x90}, 1, false, 0, ERR_OK},
		{{0x92, 1, 2}, 3, false, 2, ERR_OK},
		{{0x92, 1}, 2, false, 0, ERR_MALFORMED},
		{{0x9f}, 1, false, 0, ERR_MALFORMED},
		{{0xdc, 0, 2, 1, 2}, 5, false, 2, ERR_OK},
		{{0xdc, 0xff, 0xff, 1}, 4, false, 0, ERR_MALFORMED},
		{{0xdd, 0, 0, 0, 1, 1}, 6, false, 1, ERR_OK},
		{{0xdd, 0xff, 0xff, 0xff, 0xff, 1}, 6, false, 0, ERR_MALFORMED},
		{{0xdd, 0, 0, 0}, 4, false, 0, ERR_MALFORMED},
		{{0x80}, 1, true, 0, ERR_OK},
		{{0x81, 1, 1}, 3, true, 1, ERR_OK},
		{{0x81, 1}, 2, true, 0, ERR_MALFORMED}, // a member takes two bytes
		{{0xde, 0, 1, 1, 1}, 5, true, 1, ERR_OK},
		{{0xdf, 0, 0, 0, 1, 1, 1}, 7, true, 1, ERR_OK},
		{{0xdf, 0x80, 0, 0, 0, 1, 1}, 7, true, 0, ERR_MALFORMED},
		{{0x90}, 1, true, 0, ERR_MALFORMED}, // the other kind
		{{0x80}, 1, false, 0, ERR_MALFORMED},
		{{0xdc, 0, 0}, 3, true, 0, ERR_MALFORMED},
		{{0xde, 0, 0}, 3, false, 0, ERR_MALFORMED},
		{{0xc0}, 1, false, 0, ERR_MALFORMED},
		{{0}, 0, false, 0, ERR_MALFORMED},
	};
	struct cursor c;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		cursor_init(&c, slice_make(rows[i].bytes, rows[i].len));
		uint32_t count = rows[i].map ? msgpack_read_map(&c) : msgpack_read_array(&c);

		if (count != rows[i].count || c.err != rows[i].err)
			fail_msg("row %zu: %u, %s", i, count, err_name(c.err));
	}
}

static void pack_random(msgpack_packer *pk, int depth)
{
	static const char body[300];
	size_t n = (size_t)rand() % 4;

	switch (rand() % (depth > 0 ? 14 : 11)) {
	case 0:
		msgpack_pack_nil(pk);
		break;
	case 1:
		msgpack_pack_true(pk);
		break;
	case 2:
		msgpack_pack_uint64(pk, (uint64_t)rand() << (rand() % 33));
		break;
	case 3:
		msgpack_pack_int64(pk, -((int64_t)rand() << (rand() % 33)));
		break;
	case 4:
		msgpack_pack_float(pk, 1.5f);
		break;
	case 5:
		msgpack_pack_double(pk, 2.5);
		break;
	case 6:
		msgpack_pack_str_with_body(pk, body, (size_t)rand() % sizeof(body));
		break;
	case 7:
		msgpack_pack_bin_with_body(pk, body, (size_t)rand() % sizeof(body));
		break;
	case 8:
		msgpack_pack_ext_with_body(pk, body, 1u << rand() % 5, 3);
		break; // fixext
	case 9:
		msgpack_pack_ext_with_body(pk, body, (size_t)rand() % sizeof(body), 3);
		break;
	case 10:
		msgpack_pack_timestamp(pk, &(msgpack_timestamp){.tv_sec = rand()});
		break;
	case 11:
	case 12:
		msgpack_pack_array(pk, n);
		for (size_t i = 0; i < n; i++)
			pack_random(pk, depth - 1);
		break;
	default:
		msgpack_pack_map(pk, n);
		for (size_t i = 0; i < 2 * n; i++)
			pack_random(pk, depth - 1);
	}
}

// Over exactly one value, whatever it is; cut anywhere, it is an error and no read beyond.
static void one_value_is_skipped(void **state)
{
	msgpack_packer pk;
	struct cursor c;
	struct buf b;

	(void)state;
	srand(2);
	buf_init_growing(&b, 1u << 20);
	msgpack_packer_init(&pk, &b, pack_write);
	for (int round = 0; round < 3000; round++) {
		buf_reset(&b);
		pack_random(&pk, 5);
		size_t len = b.len;

		buf_put_u8(&b, 0x2a);
		cursor_init(&c, buf_slice(&b));
		msgpack_skip(&c);
		assert_int_equal(c.err, ERR_OK);
		assert_int_equal(cursor_left(&c), 1);
		assert_int_equal(cursor_u8(&c), 0x2a);
		for (int i = 0; i < 5; i++) {
			size_t cut = (size_t)rand() % len;
			uint8_t *copy = malloc(cut ? cut : 1); // the sanitizer sees its end

			memcpy(copy, b.ptr, cut);
			cursor_init(&c, slice_make(copy, cut));
			msgpack_skip(&c);
			assert_int_equal(c.err, ERR_MALFORMED);
			free(copy);
		}
	}
	buf_deinit(&b);
}

static void nesting_has_a_bound(void **state)
{
	uint8_t arrays[MSGPACK_DEPTH_MAX + 8], maps[2 * MSGPACK_DEPTH_MAX + 8];
	struct cursor c;

	(void)state;
	memset(arrays, 0x91, sizeof(arrays));
	arrays[MSGPACK_DEPTH_MAX - 1] = 0x01;
	cursor_init(&c, slice_make(arrays, MSGPACK_DEPTH_MAX));
	msgpack_skip(&c); // 15 arrays and a number
	assert_int_equal(c.err, ERR_OK);
	arrays[MSGPACK_DEPTH_MAX - 1] = 0x91;
	arrays[MSGPACK_DEPTH_MAX] = 0x01;
	cursor_init(&c, slice_make(arrays, MSGPACK_DEPTH_MAX + 1));
	msgpack_skip(&c);
	assert_int_equal(c.err, ERR_MALFORMED);
	memset(maps, 0x81, sizeof(maps)); // maps whose key is a map whose key ...
	cursor_init(&c, slice_make(maps, sizeof(maps)));
	msgpack_skip(&c);
	assert_int_equal(c.err, ERR_MALFORMED);
}

static void the_unused_form_and_old_errors(void **state)
{
	struct cursor c;

	(void)state;
	cursor_init(&c, BYTES(0xc1));
	msgpack_skip(&c);
	assert_int_equal(c.err, ERR_MALFORMED);
	cursor_init(&c, (struct slice){0});
	msgpack_skip(&c);
	assert_int_equal(c.err, ERR_MALFORMED);
	cursor_init(&c, BYTES(0x01));
	c.err = ERR_TOO_LARGE; // somebody's before: stays, and nothing moves
	msgpack_skip(&c);
	assert_int_equal(msgpack_read_uint(&c), 0);
	assert_int_equal(msgpack_read_map(&c), 0);
	assert_int_equal(c.err, ERR_TOO_LARGE);
	assert_int_equal(cursor_left(&c), 1);
}

// Bytes from nobody: never a crash, never more than there is.
static void garbage(void **state)
{
	struct cursor c;

	(void)state;
	srand(3);
	for (int round = 0; round < 100000; round++) {
		size_t len = (size_t)rand() % 40;
		uint8_t *bytes = malloc(len ? len : 1);

		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)rand();
		cursor_init(&c, slice_make(bytes, len));
		msgpack_skip(&c);
		assert_true(cursor_left(&c) <= len);
		cursor_init(&c, slice_make(bytes, len));
		assert_true(msgpack_read_array(&c) <= len);
		cursor_init(&c, slice_make(bytes, len));
		assert_true(msgpack_read_bytes(&c).len <= len);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unsigned_numbers_of_any_width),
		cmocka_unit_test(what_is_no_unsigned_number),
		cmocka_unit_test(runs_of_bytes_of_any_width),
		cmocka_unit_test(counts_do_not_lie),
		cmocka_unit_test(one_value_is_skipped),
		cmocka_unit_test(nesting_has_a_bound),
		cmocka_unit_test(the_unused_form_and_old_errors),
		cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
