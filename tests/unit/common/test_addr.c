// SPDX-License-Identifier: GPL-3.0-or-later
// common/addr: one form for both families; what is no address, what is no network, and who is inside.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/addr.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static struct addr address(const char *text)
{
	struct addr a;

	if (addr_parse(slice_str(text), &a) != ERR_OK)
		fail_msg("%s is refused", text);
	return a;
}

static struct cidr network(const char *text)
{
	struct cidr c;

	if (cidr_parse(slice_str(text), false, &c) != ERR_OK)
		fail_msg("%s is refused", text);
	return c;
}

static void texts_come_back_canonical(void **state)
{
	static const char *const pairs[][2] = {
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"10.1.2.3", "10.1.2.3"},
		{"::ffff:10.1.2.3", "10.1.2.3"}, // the same address, whoever spells it
		{"::FFFF:0a01:0203", "10.1.2.3"},
		{"::", "::"},
		{"::1", "::1"},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
		{"2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};
	char text[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		assert_string_equal(addr_format(address(pairs[i][0]), text), pairs[i][1]);
}

// RFC 6943, 3.1.1: forms that other programs read as other addresses are read by nobody here.
static void what_is_no_address(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"10.1.2",
		"10.1.2.3.4",
		"10.1.2.256",
		"010.1.2.3",
		"10.01.2.3",
		"0x0a.1.2.3",
		"10.1.2.3 ",
		" 10.1.2.3",
		"10.1.2.-3",
		"167838211",
		"10.1.2.3\n",
		"fe80::1%eth0",
		":::",
		"1::2::3",
		"12345::",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"g::",
		"[::1]",
		"localhost",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000", // longer than an address can be
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (addr_parse(slice_str(bad[i]), &a) != ERR_MALFORMED)
			fail_msg("'%s' is taken for an address", bad[i]);
	}
	// A NUL within ends no text.
	assert_int_equal(addr_parse(slice_make("10.1.2.3\0x", 10), &a), ERR_MALFORMED);
	assert_int_equal(addr_parse(slice_make("10.1.2.3xx", 8), &a), ERR_OK); // nor is one needed
}

static void kinds(void **state)
{
	static const struct {
		const char *text;
		bool v4, loopback, link_local, multicast;
	} rows[] = {
		{"127.0.0.1", true, true, false, false},
		{"127.255.255.255", true, true, false, false},
		{"126.255.255.255", true, false, false, false},
		{"128.0.0.1", true, false, false, false},
		{"::1", false, true, false, false},
		{"::2", false, false, false, false},
		{"::ffff:127.0.0.1", true, true, false, false},
		{"::127.0.0.1", false, false, false, false},
		{"169.254.0.0", true, false, true, false},
		{"169.254.255.255", true, false, true, false},
		{"169.253.255.255", true, false, false, false},
		{"169.255.0.0", true, false, false, false},
		{"fe80::1", false, false, true, false},
		{"febf:ffff::1", false, false, true, false},
		{"fec0::1", false, false, false, false},
		{"fe7f::1", false, false, false, false},
		{"223.255.255.255", true, false, false, false},
		{"224.0.0.1", true, false, false, true},
		{"239.255.255.255", true, false, false, true},
		{"240.0.0.0", true, false, false, false},
		{"ff02::1", false, false, false, true},
		{"fe02::1", false, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct addr a = address(rows[i].text);

		if (addr_is_v4(a) != rows[i].v4 || addr_is_loopback(a) != rows[i].loopback ||
		    addr_is_link_local(a) != rows[i].link_local ||
		    addr_is_multicast(a) != rows[i].multicast)
			fail_msg("%s", rows[i].text);
	}
	assert_true(addr_is_none(address("::")));
	assert_true(addr_is_none((struct addr){0}));
	assert_false(addr_is_none(address("0.0.0.0"))); // an address, though nobody's
	assert_false(addr_is_none(address("::1")));
}

static void numbers_of_ipv4(void **state)
{
	static const uint32_t numbers[] = {0, 1, 0x7f000001, 0x80000000, 0x0a010203, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++)
		assert_int_equal(addr_to_v4(addr_from_v4(numbers[i])), numbers[i]);
	assert_true(addr_eq(addr_from_v4(0x0a010203), address("10.1.2.3")));
	assert_false(addr_eq(addr_from_v4(0x0a010203), address("10.1.2.4")));
}

static void networks(void **state)
{
	static const struct {
		const char *text, *canonical;
		uint8_t bits;
	} good[] = {
		{"0.0.0.0/0", "0.0.0.0/0", 96},
		{"10.0.0.0/8", "10.0.0.0/8", 104},
		{"10.1.2.3/32", "10.1.2.3/32", 128},
		{"10.1.2.3", "10.1.2.3/32", 128},
		{"10.1.2.2/31", "10.1.2.2/31", 127},
		{"::/0", "::/0", 0},
		{"2001:db8::/32", "2001:db8::/32", 32},
		{"2001:db8::1", "2001:db8::1/128", 128},
		{"8000::/1", "8000::/1", 1},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8", 104}, // in IPv6's spelling: of 128 bits
		{"::ffff:0:0/96", "0.0.0.0/0", 96},
	};
	char text[ADDR_TEXT_MAX + 4];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct cidr c = network(good[i].text);

		assert_string_equal(cidr_format(c, text), good[i].canonical);
		assert_int_equal(c.bits, good[i].bits);
	}
}

static void what_is_no_network(void **state)
{
	static const struct {
		const char *text;
		enum err err, lenient; // strict, and with host bits allowed
	} bad[] = {
		{"10.0.0.0/33", ERR_RANGE, ERR_RANGE},
		{"::/129", ERR_RANGE, ERR_RANGE},
		{"10.0.0.0/999", ERR_RANGE, ERR_RANGE},
		{"10.0.0.1/8", ERR_RANGE, ERR_OK},
		{"2001:db8::1/64", ERR_RANGE, ERR_OK},
		{"10.0.0.1/31", ERR_RANGE, ERR_OK},
		{"0.0.0.1/0", ERR_RANGE, ERR_OK},
		{"10.0.0.0/", ERR_MALFORMED, ERR_MALFORMED},
		{"10.0.0.0/08", ERR_MALFORMED, ERR_MALFORMED},
		{"10.0.0.0/+8", ERR_MALFORMED, ERR_MALFORMED},
		{"10.0.0.0/-8", ERR_MALFORMED, ERR_MALFORMED},
		{"10.0.0.0/8 ", ERR_MALFORMED, ERR_MALFORMED},
		{"10.0.0.0/8/8", ERR_MALFORMED, ERR_MALFORMED},
		{"10.0.0.0/0x8", ERR_MALFORMED, ERR_MALFORMED},
		{"10.0.0.0/00000008", ERR_MALFORMED, ERR_MALFORMED},
		{"10.0.0.0/255.0.0.0", ERR_MALFORMED, ERR_MALFORMED},
		{"10.0/16", ERR_MALFORMED, ERR_MALFORMED},
		{"/8", ERR_MALFORMED, ERR_MALFORMED},
		{"", ERR_MALFORMED, ERR_MALFORMED},
	};
	struct cidr c;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (cidr_parse(slice_str(bad[i].text), false, &c) != bad[i].err ||
		    cidr_parse(slice_str(bad[i].text), true, &c) != bad[i].lenient)
			fail_msg("'%s'", bad[i].text);
	}
	assert_int_equal(cidr_parse(SLICE_LIT("10.9.8.7/12"), true, &c), ERR_OK);
	assert_true(addr_eq(c.addr, address("10.0.0.0"))); // cleared, not kept
}

static void who_is_inside(void **state)
{
	static const struct {
		const char *net, *addr;
		bool inside;
	} rows[] = {
		{"10.0.0.0/8", "10.0.0.0", true},
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "9.255.255.255", false},
		{"10.1.2.2/31", "10.1.2.3", true},
		{"10.1.2.2/31", "10.1.2.4", false},
		{"10.1.2.3/32", "10.1.2.3", true},
		{"10.1.2.3/32", "10.1.2.2", false},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"0.0.0.0/0", "::1", false},
		{"0.0.0.0/0", "::ffff:1.2.3.4", true},
		{"::/0", "2001:db8::1", true},
		{"::/0", "::", true},
		{"::/0", "10.0.0.1", false}, // all of IPv6 is no IPv4
		{"::/1", "10.0.0.1", false},
		{"::/95", "10.0.0.1", false},
		{"2001:db8::/32", "2001:db8:ffff::", true},
		{"2001:db8::/32", "2001:db9::", false},
		{"8000::/1", "7fff::", false},
		{"8000::/1", "ffff::", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (cidr_contains(network(rows[i].net), address(rows[i].addr)) != rows[i].inside)
			fail_msg("%s and %s", rows[i].net, rows[i].addr);
	}
	assert_true(cidr_is_v4(network("0.0.0.0/0")));
	assert_false(cidr_is_v4(network("::/0")));
	// Within the mapped range but wider than it: a network of IPv6.
	assert_false(cidr_is_v4((struct cidr){addr_from_v4(0), 95}));
}

static void endpoints(void **state)
{
	char text[ADDR_PORT_TEXT_MAX];

	(void)state;
	assert_string_equal(addr_port_format((struct addr_port){address("10.1.2.3"), 80}, text),
			    "10.1.2.3:80");
	assert_string_equal(
		addr_port_format((struct addr_port){address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:"
							    "ffff"),
						    UINT16_MAX},
				 text),
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_come_back_canonical),
		cmocka_unit_test(what_is_no_address),
		cmocka_unit_test(kinds),
		cmocka_unit_test(numbers_of_ipv4),
		cmocka_unit_test(networks),
		cmocka_unit_test(what_is_no_network),
		cmocka_unit_test(who_is_inside),
		cmocka_unit_test(endpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
