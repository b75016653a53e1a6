// SPDX-License-Identifier: GPL-3.0-or-later
// The tunnel's frames: byte for byte as written down, there and back, a later version's keys skipped, and
// everything that is cut, too large or not what it says refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/tunnel_proto.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static uint8_t bytes[8192];
static struct buf out;

static void begin(void)
{
	buf_init_fixed(&out, bytes, sizeof(bytes));
}

// The frame that was encoded: its header as expected, its payload returned.
static struct slice payload_of(enum tunnel_frame type, uint32_t stream)
{
	struct tunnel_header h;

	assert_int_equal(out.err, ERR_OK);
	assert_int_equal(tunnel_decode_header(buf_slice(&out), &h), ERR_OK);
	assert_int_equal(h.type, type);
	assert_int_equal(h.stream, stream);
	assert_int_equal(h.bytes + TUNNEL_HEADER_BYTES, out.len);
	return slice_make(bytes + TUNNEL_HEADER_BYTES, h.bytes);
}

// ---- headers and numbers -----------------------------------------------------------------------

static void test_header(void **state)
{
	static const uint8_t data[] = {5, 0x00, 0x12, 0x34, 0xab, 0xcd, 0xef, 0x01};
	uint8_t encoded[TUNNEL_HEADER_BYTES];
	struct tunnel_header h;

	(void)state;
	tunnel_encode_header(encoded, TUNNEL_DATA, 0x1234, 0xabcdef01);
	assert_memory_equal(encoded, data, sizeof(data));
	assert_int_equal(tunnel_decode_header(slice_make(data, sizeof(data)), &h), ERR_OK);
	assert_int_equal(h.type, TUNNEL_DATA);
	assert_int_equal(h.bytes, 0x1234);
	assert_int_equal(h.stream, 0xabcdef01);
	assert_int_equal(TUNNEL_SLOT(h.stream), 0xef01);
	for (size_t n = 0; n < sizeof(data); n++)
		assert_int_equal(tunnel_decode_header(slice_make(data, n), &h), ERR_AGAIN);
}

static void test_header_limits(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t bytes;
		enum err err;
	} rows[] = {
		{TUNNEL_NONE, 0, ERR_MALFORMED},
		{TUNNEL_DATA, 0, ERR_OK},
		{TUNNEL_DATA, TUNNEL_DATA_MAX, ERR_OK},
		{TUNNEL_DATA, TUNNEL_DATA_MAX + 1, ERR_TOO_LARGE},
		{200, TUNNEL_SKIP_MAX, ERR_OK}, // a later version's, to be skipped
		{200, TUNNEL_SKIP_MAX + 1, ERR_TOO_LARGE},
		{255, 0xffffff, ERR_TOO_LARGE},
	};
	uint8_t encoded[TUNNEL_HEADER_BYTES];
	struct tunnel_header h;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		tunnel_encode_header(encoded, (enum tunnel_frame)rows[i].type, rows[i].bytes, 1);
		assert_int_equal(tunnel_decode_header(slice_make(encoded, sizeof(encoded)), &h),
				 rows[i].err);
	}
}

static void test_numbers(void **state)
{
	uint16_t u16;
	uint32_t u32;

	(void)state;
	begin();
	tunnel_encode_u16(&out, TUNNEL_RESET, 7, 0xbeef);
	struct slice p = payload_of(TUNNEL_RESET, 7);

	assert_int_equal(tunnel_decode_u16(p, &u16), ERR_OK);
	assert_int_equal(u16, 0xbeef);
	assert_int_equal(tunnel_decode_u16(slice_make(p.ptr, 1), &u16), ERR_MALFORMED);
	assert_int_equal(tunnel_decode_u16(slice_make(p.ptr, 0), &u16), ERR_MALFORMED);
	assert_int_equal(tunnel_decode_u32(p, &u32), ERR_MALFORMED);
	begin();
	tunnel_encode_u32(&out, TUNNEL_CREDIT, 8, 0xdeadbeef);
	p = payload_of(TUNNEL_CREDIT, 8);
	assert_int_equal(tunnel_decode_u32(p, &u32), ERR_OK);
	assert_int_equal(u32, 0xdeadbeef);
	assert_int_equal(tunnel_decode_u16(p, &u16), ERR_MALFORMED);
	begin();
	tunnel_encode_u64(&out, TUNNEL_PING, 0x0123456789abcdef);
	assert_memory_equal(payload_of(TUNNEL_PING, 0).ptr, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
	begin();
	tunnel_encode_empty(&out, TUNNEL_FIN, 9);
	assert_int_equal(payload_of(TUNNEL_FIN, 9).len, 0);
}

// An earlier version says no time, a later one may say more; half of a number is neither.
static void test_goaway(void **state)
{
	uint32_t within_ms = 1;
	uint16_t reason;

	(void)state;
	begin();
	tunnel_encode_goaway(&out, TUNNEL_REASON_SHUTDOWN, 70000);
	struct slice p = payload_of(TUNNEL_GOAWAY, 0);

	assert_int_equal(tunnel_decode_goaway(p, &reason, &within_ms), ERR_OK);
	assert_int_equal(reason, TUNNEL_REASON_SHUTDOWN);
	assert_int_equal(within_ms, 70000);
	assert_int_equal(tunnel_decode_goaway(slice_make(p.ptr, p.len + 3), &reason, &within_ms),
			 ERR_OK);
	assert_int_equal(within_ms, 70000);
	assert_int_equal(tunnel_decode_goaway(slice_make(p.ptr, 2), &reason, &within_ms), ERR_OK);
	assert_int_equal(within_ms, 0);
	for (size_t len = 0; len < p.len; len++) {
		if (len != 2)
			assert_int_not_equal(tunnel_decode_goaway(slice_make(p.ptr, len), &reason,
								  &within_ms),
					     ERR_OK);
	}
}

// ---- HELLO and OPEN ----------------------------------------------------------------------------

static struct tunnel_open an_open(void)
{
	struct tunnel_open v = {
		.kind = TUNNEL_SOURCE_WORKLOAD,
		.client = {addr_from_v4(0x0af5010a), 40000},
		.source_uid = SLICE_LIT("uid-client"),
		.source_namespace = SLICE_LIT("shop"),
		.source_account = SLICE_LIT("client"),
		.destination_uid = SLICE_LIT("uid-server"),
		.destination = {addr_from_v4(0x0af50214), 8080},
		.generation = {0x1122334455667788, 300},
		.credit = 20000,
	};

	return v;
}

static void test_hello(void **state)
{
	struct tunnel_hello v = {.version = TUNNEL_PROTO_VERSION,
				 .group = "0123456789abcde",
				 .bulk = true,
				 .resets_on_bulk = true,
				 .generation = {1ull << 40, UINT64_MAX}},
			    got;

	(void)state;
	begin();
	tunnel_encode_hello(&out, &v);
	struct slice p = payload_of(TUNNEL_HELLO, 0);

	assert_int_equal(tunnel_decode_hello(p, &got), ERR_OK);
	assert_int_equal(got.version, v.version);
	assert_memory_equal(got.group, v.group, sizeof(v.group));
	assert_true(got.bulk);
	assert_true(got.resets_on_bulk);
	assert_int_equal(got.generation.epoch, v.generation.epoch);
	assert_int_equal(got.generation.counter, v.generation.counter);
	for (size_t n = 0; n < p.len; n++)
		assert_int_equal(tunnel_decode_hello(slice_make(p.ptr, n), &got), ERR_MALFORMED);
	// More behind the map is no HELLO either.
	assert_int_equal(tunnel_decode_hello(slice_make(p.ptr, p.len + 1), &got), ERR_MALFORMED);
}

static void test_open(void **state)
{
	struct tunnel_open v = an_open(), got;

	(void)state;
	begin();
	tunnel_encode_open(&out, 0x00020001, &v);
	struct slice p = payload_of(TUNNEL_OPEN, 0x00020001);

	assert_int_equal(tunnel_decode_open(p, &got), ERR_OK);
	assert_int_equal(got.kind, v.kind);
	assert_true(addr_eq(got.client.addr, v.client.addr) && got.client.port == v.client.port);
	assert_true(slice_eq(got.source_uid, v.source_uid));
	assert_true(slice_eq(got.source_namespace, v.source_namespace));
	assert_true(slice_eq(got.source_account, v.source_account));
	assert_true(slice_eq(got.destination_uid, v.destination_uid));
	assert_true(addr_eq(got.destination.addr, v.destination.addr));
	assert_int_equal(got.destination.port, v.destination.port);
	assert_int_equal(got.generation.epoch, v.generation.epoch);
	assert_int_equal(got.generation.counter, v.generation.counter);
	assert_int_equal(got.credit, v.credit);
	for (size_t n = 0; n < p.len; n++)
		assert_int_equal(tunnel_decode_open(slice_make(p.ptr, n), &got), ERR_MALFORMED);
	assert_int_equal(tunnel_decode_open(slice_make(p.ptr, p.len + 1), &got), ERR_MALFORMED);
}

static enum err open_with(const struct tunnel_open *v)
{
	struct tunnel_open got;

	begin();
	tunnel_encode_open(&out, 1, v);
	return tunnel_decode_open(payload_of(TUNNEL_OPEN, 1), &got);
}

// What an OPEN must not leave out.
static void test_open_incomplete(void **state)
{
	struct tunnel_open v;

	(void)state;
	v = an_open();
	v.kind = TUNNEL_SOURCE_NONE;
	assert_int_equal(open_with(&v), ERR_MALFORMED);
	v.kind = TUNNEL_SOURCE_COUNT;
	assert_int_equal(open_with(&v), ERR_MALFORMED);
	v = an_open();
	v.client.addr = (struct addr){0};
	assert_int_equal(open_with(&v), ERR_MALFORMED);
	v = an_open();
	v.client.port = 0;
	assert_int_equal(open_with(&v), ERR_MALFORMED);
	v = an_open();
	v.destination.addr = (struct addr){0};
	assert_int_equal(open_with(&v), ERR_MALFORMED);
	v = an_open();
	v.destination.port = 0;
	assert_int_equal(open_with(&v), ERR_MALFORMED);
	v = an_open();
	v.destination_uid = (struct slice){0};
	assert_int_equal(open_with(&v), ERR_MALFORMED);
	// A node's own process and a client from outside have no pod.
	v = an_open();
	v.kind = TUNNEL_SOURCE_NODE;
	v.source_uid = v.source_namespace = v.source_account = SLICE_LIT("");
	assert_int_equal(open_with(&v), ERR_OK);
	v.kind = TUNNEL_SOURCE_EXTERNAL;
	assert_int_equal(open_with(&v), ERR_OK);
}

// The window that the other side opens with: never none, never more than a stream may have; a version that
// says nothing means the usual one.
static void test_open_credit(void **state)
{
	struct tunnel_open v = an_open(), got;

	(void)state;
	v.credit = 0;
	assert_int_equal(open_with(&v), ERR_MALFORMED);
	v.credit = 1;
	assert_int_equal(open_with(&v), ERR_OK);
	v.credit = TUNNEL_CREDIT_MAX;
	assert_int_equal(open_with(&v), ERR_OK);
	v.credit = TUNNEL_CREDIT_MAX + 1;
	assert_int_equal(open_with(&v), ERR_MALFORMED);
	// The same map without its last key, which is the credit (cd and two bytes).
	v.credit = 20000;
	begin();
	tunnel_encode_open(&out, 1, &v);
	struct slice p = payload_of(TUNNEL_OPEN, 1);

	bytes[TUNNEL_HEADER_BYTES]--;
	assert_int_equal(tunnel_decode_open(slice_make(p.ptr, p.len - 4), &got), ERR_OK);
	assert_int_equal(got.credit, TUNNEL_CREDIT_INITIAL);
}

static void test_open_too_long(void **state)
{
	static uint8_t text[256];
	struct tunnel_open v = an_open();

	(void)state;
	memset(text, 'a', sizeof(text));
	v.source_uid = slice_make(text, 255);
	assert_int_equal(open_with(&v), ERR_OK);
	v.source_uid = slice_make(text, 256);
	begin();
	tunnel_encode_open(&out, 1, &v);
	assert_int_equal(out.err, ERR_TOO_LARGE);
	// Nor does it write beyond a buffer that is too small.
	v = an_open();
	for (size_t room = 0; room < 100; room++) {
		buf_init_fixed(&out, bytes, room);
		tunnel_encode_open(&out, 1, &v);
		assert_int_not_equal(out.err, ERR_OK);
		assert_true(out.len <= room);
	}
}

// Maps as other hands write them: {1: version, 9: ...}.
static void test_maps(void **state)
{
	static const struct {
		struct slice map;
		enum err err;
	} rows[] = {
		{SLICE_LIT("\x81\x01\x01"), ERR_OK},
		{SLICE_LIT("\x81\x01\xcc\x01"), ERR_OK}, // any form of a number
		{SLICE_LIT("\x81\x01\xcd\x00\x01"), ERR_OK},
		{SLICE_LIT("\x81\x01\xce\x00\x00\x00\x01"), ERR_OK},
		{SLICE_LIT("\x81\x01\xcf\x00\x00\x00\x00\x00\x00\x00\x01"), ERR_OK},
		// A later version's keys, of every scalar form, are skipped.
		{SLICE_LIT("\x88\x01\x01\x20\x05\x21\xa2hi\x22\xc0\x23\xc3\x24\xc4\x01x\x25\xd9\x01"
			   "x\x26\xda\x00\x01x"),
		 ERR_OK},
		{SLICE_LIT("\x82\x01\x01\x20\xc5\x00\x02xy"), ERR_OK},
		// Containers, extensions, floats and negative numbers are not.
		{SLICE_LIT("\x82\x01\x01\x20\x90"), ERR_MALFORMED},
		{SLICE_LIT("\x82\x01\x01\x20\x80"), ERR_MALFORMED},
		{SLICE_LIT("\x82\x01\x01\x20\xd4\x01\x01"), ERR_MALFORMED},
		{SLICE_LIT("\x82\x01\x01\x20\xca\x00\x00\x00\x00"), ERR_MALFORMED},
		{SLICE_LIT("\x82\x01\x01\x20\xff"), ERR_MALFORMED},
		{SLICE_LIT("\x82\x01\x01\xa1k\x01"), ERR_MALFORMED}, // a key is a number
		{SLICE_LIT("\x82\x01\x01"), ERR_MALFORMED},	     // cut
		{SLICE_LIT("\x81\x01\x01\x00"), ERR_MALFORMED},	     // more behind it
		{SLICE_LIT("\x82\x01\x01\x20\xc4\xff"), ERR_MALFORMED},
		{SLICE_LIT("\x80"), ERR_MALFORMED}, // no version
		{SLICE_LIT("\x81\x01\x00"), ERR_MALFORMED},
		{SLICE_LIT("\x82\x01\x01\x02\xc4\x01x"), ERR_MALFORMED}, // a group of one byte
		{SLICE_LIT("\x91\x01"), ERR_MALFORMED},			 // no map
		{SLICE_LIT("\xde\x00\x01\x01\x01"), ERR_MALFORMED},	 // a map of another form
		{SLICE_LIT(""), ERR_MALFORMED},
	};
	struct tunnel_hello got;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum err err = tunnel_decode_hello(rows[i].map, &got);

		if (err != rows[i].err || (err == ERR_OK && got.version != 1))
			fail_msg("row %zu: %s", i, err_name(err));
	}
	// A version that does not fit is a later one, not 0.
	assert_int_equal(tunnel_decode_hello(
				 SLICE_LIT("\x81\x01\xcf\x00\x00\x00\x01\x00\x00\x00\x00"), &got),
			 ERR_OK);
	assert_int_equal(got.version, UINT32_MAX);
}

static void test_reason_names(void **state)
{
	(void)state;
	for (int i = 0; i < TUNNEL_REASON_COUNT; i++) {
		assert_non_null(tunnel_reason_name((enum tunnel_reason)i));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(tunnel_reason_name((enum tunnel_reason)i),
						tunnel_reason_name((enum tunnel_reason)k));
	}
	assert_string_equal(tunnel_reason_name(TUNNEL_REASON_COUNT), "invalid");
	assert_string_equal(tunnel_reason_name((enum tunnel_reason)60000), "invalid");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_header_limits),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_goaway),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_open_incomplete),
		cmocka_unit_test(test_open_too_long),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_reason_names),
		cmocka_unit_test(test_open_credit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
