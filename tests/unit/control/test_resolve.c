// SPDX-License-Identifier: GPL-3.0-or-later
// control/resolve: HOST:PORT in its forms, and look-ups that nobody waits for.
#include <setjmp.h>
#include <stdarg.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "control/resolve.h"

static void forms(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} good[] = {
		{"policy-sync.portcullis:9443", "policy-sync.portcullis", 9443},
		{"192.0.2.1:1", "192.0.2.1", 1},
		{"[2001:db8::1]:65535", "2001:db8::1", 65535},
		{"h:00080", "h", 80},
	};
	static const char *const bad[] = {"",	    ":",       "h",	   "h:",      ":1",
					  "h:0",    "h:65536", "h:1a",	   "h:-1",    "h: 1",
					  "::1:80", "[]:1",    "h:999999", "[::1]80", "[::1]"};
	struct resolve_target t;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(resolve_parse(slice_str(good[i].text), &t), ERR_OK);
		assert_string_equal(t.host, good[i].host);
		assert_int_equal(t.port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(resolve_parse(slice_str(bad[i]), &t), ERR_MALFORMED);
}

static enum err look_up(const char *text, struct addr_port *out)
{
	struct resolve_target t;
	struct resolve_job *j;
	struct pollfd p = {.events = POLLIN};
	enum err e;

	assert_int_equal(resolve_parse(slice_str(text), &t), ERR_OK);
	assert_int_equal(resolve_start(&t, &j), ERR_OK);
	p.fd = resolve_fd(j);
	assert_int_equal(poll(&p, 1, 30000), 1);
	e = resolve_result(j, out);
	resolve_end(j);
	return e;
}

static void addresses_and_names(void **state)
{
	struct addr_port a;
	char text[ADDR_PORT_TEXT_MAX];

	(void)state;
	assert_int_equal(look_up("192.0.2.1:9443", &a), ERR_OK);
	assert_string_equal(addr_port_format(a, text), "192.0.2.1:9443");
	assert_int_equal(look_up("[2001:db8::1]:9443", &a), ERR_OK);
	assert_string_equal(addr_port_format(a, text), "[2001:db8::1]:9443");
	assert_int_equal(look_up("localhost:80", &a), ERR_OK);
	assert_true(addr_is_loopback(a.addr));
	assert_int_equal(a.port, 80);
	assert_int_equal(look_up("no..name:80", &a), ERR_NOT_FOUND);
}

// Abandoned while it runs: its thread frees what is left.
static void abandoned(void **state)
{
	struct resolve_target t;
	struct resolve_job *j;

	(void)state;
	assert_int_equal(resolve_parse(SLICE_LIT("localhost:80"), &t), ERR_OK);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(resolve_start(&t, &j), ERR_OK);
		resolve_end(j);
	}
	resolve_end(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(addresses_and_names),
		cmocka_unit_test(abandoned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
