// SPDX-License-Identifier: GPL-3.0-or-later
// The first bytes of protocols, whole and as they come: more bytes never change an answer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/detect.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define BYTES(s)    SLICE_LIT(s)
#define A64	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void test_protocols(void **state)
{
	const struct {
		struct slice bytes;
		enum detect_protocol protocol;
	} rows[] = {
		{BYTES("GET / HTTP/1.1\r\n"), DETECT_HTTP1},
		{BYTES("M-SEARCH * HTTP/1.1\r\n"), DETECT_HTTP1},
		{BYTES("UPDATEREDIRECTREF / HTTP/1.1\r\n"), DETECT_HTTP1},
		{BYTES("BREW_COFFEE /pot HTTP/1.1\r\n"), DETECT_HTTP1},
		{BYTES("P / HTTP/1.1\r\n"), DETECT_HTTP1},
		{BYTES("get / HTTP/1.1\r\n"), DETECT_HTTP1}, // any token is a method
		{BYTES("!#$%&'*+-.^_`|~9z / HTTP/1.1\r\n"), DETECT_HTTP1},
		{BYTES("PRINT / HTTP/1.1\r\n"), DETECT_HTTP1}, // begins as the preface does
		{BYTES("PRI * HTTP/1.1\r\n\r\n"), DETECT_HTTP1},
		{BYTES("\r\nGET / HTTP/1.1\r\n"), DETECT_HTTP1},
		{BYTES(" \t\r\n\nGET / HTTP/1.1\r\n"), DETECT_HTTP1}, // malformed, and HTTP
		{BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), DETECT_HTTP2},
		{BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4"), DETECT_HTTP2},
		{BYTES("\x16\x03\x01\x02\x00\x01"), DETECT_TLS},
		{BYTES("\x16\x03\x04"), DETECT_TLS},
		{BYTES("\x16\x02\x01"), DETECT_UNKNOWN},
		{BYTES("\x16\x03\x05"), DETECT_UNKNOWN},
		{BYTES("\x15\x03\x01"), DETECT_UNKNOWN}, // a TLS alert begins no connection
		{BYTES("SSH-2.0-OpenSSH_9.2\r\n"), DETECT_UNKNOWN},
		{BYTES("G\0T / HTTP/1.1\r\n"), DETECT_UNKNOWN},
		{BYTES("GET\r\n"), DETECT_UNKNOWN},
		{BYTES("\0\0\0\x08\x04\xd2\x16\x2f"), DETECT_UNKNOWN}, // PostgreSQL
		{BYTES("*1\r\n$4\r\nPING\r\n"), DETECT_UNKNOWN},       // RESP
		{BYTES("A" A64 A64 A64 A64 " / HTTP/1.1\r\n"), DETECT_UNKNOWN},
		{BYTES(""), DETECT_NEED_MORE},
		{BYTES("G"), DETECT_NEED_MORE},
		{BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r"), DETECT_NEED_MORE},
		{BYTES("\x16\x03"), DETECT_NEED_MORE},
		{BYTES("\r\n\r\n"), DETECT_NEED_MORE},
		{BYTES(A64 A64 A64 A64), DETECT_NEED_MORE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum detect_protocol whole = detect_first_bytes(rows[i].bytes);

		if (whole != rows[i].protocol)
			fail_msg("row %zu: %s", i, detect_name(whole));
		for (size_t n = 0; n < rows[i].bytes.len; n++) {
			enum detect_protocol part =
				detect_first_bytes(slice_make(rows[i].bytes.ptr, n));

			if (part != DETECT_NEED_MORE && part != whole)
				fail_msg("row %zu, %zu bytes: %s", i, n, detect_name(part));
		}
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(detect_name(DETECT_UNKNOWN), "unknown");
	assert_string_equal(detect_name(DETECT_NEED_MORE), "incomplete");
	assert_string_equal(detect_name(DETECT_HTTP1), "http/1");
	assert_string_equal(detect_name(DETECT_HTTP2), "http/2");
	assert_string_equal(detect_name(DETECT_TLS), "tls");
	assert_string_equal(detect_name((enum detect_protocol)99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
