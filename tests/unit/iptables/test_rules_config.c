// SPDX-License-Identifier: GPL-3.0-or-later
// iptables/rules_config: what a configuration may say, and how each mistake is named.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "iptables/rules_config.h"

#define LEAST "uplinks = eth0\ncapture_cidrs = 10.0.0.0/8\n"

static struct rules_config config;

static enum err parse(const char *text, struct reason *why)
{
	return rules_config_parse(slice_str(text), &config, why);
}

static void accepts(const char *text)
{
	struct reason why = {""};

	if (parse(text, &why) != ERR_OK)
		fail_msg("refused: %s", why.text);
}

// The sentence must hold part: an operator corrects what it names.
static void refuses(const char *text, const char *part)
{
	struct reason why = {""};

	assert_int_equal(parse(text, &why), ERR_CONFIG);
	if (!strstr(why.text, part))
		fail_msg("\"%s\" does not say \"%s\"", why.text, part);
}

static void test_defaults(void **state)
{
	(void)state;
	accepts(LEAST);
	assert_int_equal(config.capture_port, 15001);
	assert_int_equal(config.tunnel_port, 14443);
	assert_int_equal(config.routing.mark, 0x00500000);
	assert_int_equal(config.routing.mark_mask, 0x00f00000);
	assert_int_equal(config.node_port_count, 1);
	assert_int_equal(config.node_ports[0].min, 30000);
	assert_int_equal(config.node_ports[0].max, 32767);
	assert_true(config.backstop);
	assert_int_equal(config.backend, BACKEND_AUTO);
}

static void test_every_key(void **state)
{
	(void)state;
	accepts("# a comment\n"
		"\n"
		"  capture_port = 16001   # with a comment behind\n"
		"tunnel_port=1444\n"
		"mark = 0x01000000\nmark_mask = 0x0f000000\n"
		"route_table = 777\nrule_pref = 40\npoll_ms = 500\n"
		"backend = legacy\nbackstop = off\n"
		"run_dir = /tmp/x\ncni_dir = /tmp/y\n"
		"uplinks = eth0, cali+\nuplinks = bond0.7\n"
		"capture_cidrs = 10.0.0.0/8 fd00::/48\n"
		"node_cidrs = 192.168.0.0/24\nexternal_cidrs = 203.0.113.7\n"
		"exclude = 10.96.0.1:443 fd00::1 [fd00::2]:80-90\nexclude = node:30999\n"
		"node_ports = 80 30000-32767\n");
	assert_int_equal(config.capture_port, 16001);
	assert_int_equal(config.routing.mark, 0x01000000);
	assert_int_equal(config.routing.route_table, 777);
	assert_int_equal(config.backend, BACKEND_LEGACY);
	assert_false(config.backstop);
	assert_int_equal(config.uplink_count, 3);
	assert_string_equal(config.uplinks[1], "cali+");
	assert_string_equal(config.uplinks[2], "bond0.7");
	assert_int_equal(config.capture.count, 2);
	assert_int_equal(rules_config_family_of(config.capture.items[1]), FAMILY_V6);
	assert_int_equal(config.external.items[0].bits, 128);
	assert_int_equal(config.exclude_count, 4);
	assert_int_equal(config.excludes[0].ports.max, 443);
	assert_int_equal(config.excludes[1].ports.min, 0);
	assert_int_equal(config.excludes[2].ports.min, 80);
	assert_int_equal(config.excludes[2].ports.max, 90);
	assert_int_equal(rules_config_family_of(config.excludes[2].network), FAMILY_V6);
	assert_true(config.excludes[3].node);
	assert_int_equal(config.node_port_count, 2);
}

static void test_mistakes_are_named(void **state)
{
	(void)state;
	refuses("", "uplinks is missing");
	refuses("uplinks = eth0\n", "capture_cidrs is missing");
	refuses(LEAST "colour = red\n", "line 3: no key is called colour");
	refuses(LEAST "mark\n", "line 3: want key = value");
	refuses(LEAST "mark =\n", "line 3: mark: no value");
	refuses(LEAST "mark = 1\nmark = 2\n", "line 4: mark: given twice");
	refuses(LEAST "capture_port = 0\n", "0 is not a number from 1 to 65535");
	refuses(LEAST "capture_port = 65536\n", "65536");
	refuses(LEAST "capture_port = -1\n", "-1");
	refuses(LEAST "capture_port = 12x\n", "12x");
	refuses(LEAST "capture_port = 14443\n", "capture_port and tunnel_port");
	refuses(LEAST "mark = 0x1\n", "must lie within mark_mask");
	refuses(LEAST "mark = 1\nmark_mask = 0xffffffff\n", "leave bits to others");
	refuses(LEAST "route_table = 254\n", "kernel's own");
	refuses(LEAST "rule_pref = 32766\n", "after the main table");
	refuses(LEAST "backend = ebpf\n", "none of auto, nft, legacy");
	refuses(LEAST "backstop = yes\n", "neither on nor off");
	refuses(LEAST "run_dir = here\n", "absolute path");
	refuses(LEAST "node_ports = 40000-30000\n", "30000");
	refuses(LEAST "exclude = node\n", "node is no network");
	refuses(LEAST "exclude = *:80\n", "* is no network");
	refuses(LEAST "exclude = [fd00::1]\n", "want [network]:port");
	refuses(LEAST "exclude = 10.0.0.1:99999\n", "99999");
	refuses("uplinks = eth0\ncapture_cidrs = 10.0.0.1/8\n", "10.0.0.1/8 is no network");
	refuses("uplinks = eth0\ncapture_cidrs = 10.0.0.0/33\n", "10.0.0.0/33");
}

// An interface's name goes into iptables' input: nothing in it may end the line or begin an option.
static void test_interface_names(void **state)
{
	(void)state;
	refuses("uplinks = -j\ncapture_cidrs = 10.0.0.0/8\n", "no interface name");
	refuses("uplinks = a\"b\ncapture_cidrs = 10.0.0.0/8\n", "no interface name");
	refuses("uplinks = a+b\ncapture_cidrs = 10.0.0.0/8\n", "no interface name");
	refuses("uplinks = +\ncapture_cidrs = 10.0.0.0/8\n", "no interface name");
	refuses("uplinks = sixteen-letters1\ncapture_cidrs = 10.0.0.0/8\n", "no interface name");
}

static void test_limits(void **state)
{
	static char text[16384];
	struct reason why = {""};
	size_t len;

	(void)state;
	len = (size_t)snprintf(text, sizeof(text), LEAST "exclude =");
	for (int i = 0; i < RULES_CONFIG_EXCLUDES_MAX + 1; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, " 10.1.%d.%d", i / 256,
					i % 256);
	refuses(text, "more than 256 excludes");
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = 0;
	refuses(text, "too long");
	assert_int_equal(rules_config_parse(slice_make(LEAST "\0mark = 1\n",
						       sizeof(LEAST "\0mark = 1\n") - 1),
					    &config, &why),
			 ERR_CONFIG);
	refuses(LEAST "node_ports = 1 2 3 4 5 6 7 8\n", "more than 7 ranges");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_mistakes_are_named),
		cmocka_unit_test(test_interface_names),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
