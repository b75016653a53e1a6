// SPDX-License-Identifier: GPL-3.0-or-later
// control/config: the flags of `node-proxy run`; every mistake is one sentence that names the flag.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <getopt.h>
#include <string.h>
#include <cmocka.h>
#include "control/config.h"

#define NEEDED                                                                                     \
	"--node", "n1", "--run-dir", "/run/p", "--sync", "10.0.0.1:9443", "--token-file", "t",     \
		"--trust-file", "ca.pem"

static struct config c;
static struct reason why;

static enum err parse(char **argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	optind = 0; // getopt begins anew
	memset(&c, 0xff, sizeof(c));
	why.text[0] = 0;
	return config_parse(argc, argv, &c, &why);
}
#define PARSE(...) parse((char *[]){"run", __VA_ARGS__, NULL})

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(PARSE(NEEDED), ERR_OK);
	assert_string_equal(c.node, "n1");
	assert_string_equal(c.sync, "10.0.0.1:9443");
	assert_string_equal(c.token_file, "t");
	assert_string_equal(c.trust_file, "ca.pem");
	assert_string_equal(c.access_log, "-");
	assert_int_equal(c.capture_port, 15001);
	assert_int_equal(c.tunnel_port, 14443);
	assert_int_equal(c.admin_port, 15020);
	assert_int_equal(c.workers, 1);
	assert_int_equal(c.drain_s, 30);
	assert_int_equal(c.mark, 0);
	assert_int_equal(c.uplink_count, 0);
	assert_true(addr_is_none(c.tunnel_addr));
	assert_int_equal(c.log_level, LOG_INFO);
	assert_false(c.takeover);
}

static void everything(void **state)
{
	(void)state;
	assert_int_equal(PARSE(NEEDED, "--uplink", "eth0", "--uplink=eth1", "--capture-port", "1",
			       "--tunnel-port", "65535", "--admin-port", "0x3b0c", "--workers",
			       "64", "--drain-s", "0", "--mark", "0xffffffff", "--access-log",
			       "off", "--tunnel-addr", "fd00::1", "--log-level", "debug",
			       "--takeover"),
			 ERR_OK);
	assert_int_equal(c.uplink_count, 2);
	assert_string_equal(c.uplinks[1], "eth1");
	assert_int_equal(c.capture_port, 1);
	assert_int_equal(c.tunnel_port, 65535);
	assert_int_equal(c.admin_port, 15116);
	assert_int_equal(c.workers, 64);
	assert_int_equal(c.drain_s, 0);
	assert_int_equal(c.mark, UINT32_MAX);
	assert_string_equal(c.access_log, "off");
	assert_int_equal(c.tunnel_addr.bytes[0], 0xfd);
	assert_int_equal(c.log_level, LOG_DEBUG);
	assert_true(c.takeover);
	assert_int_equal(PARSE(NEEDED, "--workers", "2", "--workers", "3"), ERR_OK);
	assert_int_equal(c.workers, 3); // the last one holds
}

static void what_is_needed(void **state)
{
	char *argv[] = {"run", NEEDED, NULL};

	(void)state;
	for (int missing = 1; missing < 11; missing += 2) {
		char *some[12] = {"run"};
		int n = 1;

		for (int i = 1; i < 11; i += 2) {
			if (i == missing)
				continue;
			some[n++] = argv[i];
			some[n++] = argv[i + 1];
		}
		some[n] = NULL;
		assert_int_equal(parse(some), ERR_CONFIG);
		assert_non_null(strstr(why.text, argv[missing]));
	}
}

static void bad_values_are_named(void **state)
{
	static const struct {
		char *flag, *value;
	} bad[] = {
		{"--workers", "0"},
		{"--workers", "65"},
		{"--workers", ""},
		{"--workers", "1x"},
		{"--workers", " 1"},
		{"--workers", "+1"},
		{"--workers", "-1"},
		{"--workers", "many"},
		{"--capture-port", "65536"},
		{"--capture-port", "0"},
		{"--tunnel-port", "-1"},
		{"--tunnel-port", "0"},
		{"--admin-port", "0"},
		{"--admin-port", "1.5"},
		{"--drain-s", "86401"},
		{"--mark", "0x100000000"},
		{"--mark", "0x"},
		{"--mark", " -18446744073709551615"}, // wraps to 1
		{"--mark", "99999999999999999999999999"},
		{"--tunnel-addr", "host"},
		{"--tunnel-addr", "10.0.0.0/8"},
		{"--log-level", "loud"},
		{"--log-level", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (PARSE(NEEDED, bad[i].flag, bad[i].value) != ERR_CONFIG)
			fail_msg("%s '%s' is taken", bad[i].flag, bad[i].value);
		// A port or number of workers of zero is told with the others.
		if (!strstr(why.text, bad[i].flag) && strcmp(bad[i].value, "0") != 0)
			fail_msg("%s '%s': %s", bad[i].flag, bad[i].value, why.text);
	}
}

static void what_is_no_flag(void **state)
{
	(void)state;
	assert_int_equal(PARSE(NEEDED, "--colour", "blue"), ERR_CONFIG);
	assert_non_null(strstr(why.text, "--colour"));
	assert_int_equal(PARSE(NEEDED, "--workers"), ERR_CONFIG); // without its value
	assert_non_null(strstr(why.text, "--workers"));
	assert_int_equal(PARSE(NEEDED, "extra"), ERR_CONFIG);
	assert_non_null(strstr(why.text, "extra"));
	assert_int_equal(PARSE(NEEDED, "-x"), ERR_CONFIG);
	assert_int_equal(PARSE(NEEDED, "--takeover=yes"), ERR_CONFIG);
}

static void lists_and_names_have_bounds(void **state)
{
	char *argv[2 * (CONFIG_UPLINKS_MAX + 1) + 16] = {"run", NEEDED};
	static char name[255];
	int n = 11;

	(void)state;
	for (int i = 0; i < CONFIG_UPLINKS_MAX; i++) {
		argv[n++] = "--uplink";
		argv[n++] = "eth0";
	}
	assert_int_equal(parse(argv), ERR_OK);
	assert_int_equal(c.uplink_count, CONFIG_UPLINKS_MAX);
	argv[n++] = "--uplink";
	argv[n++] = "eth0";
	assert_int_equal(parse(argv), ERR_CONFIG);
	memset(name, 'n', 254);
	assert_int_equal(PARSE(NEEDED, "--node", name), ERR_CONFIG); // longer than a node's can be
	name[253] = 0;
	assert_int_equal(PARSE(NEEDED, "--node", name), ERR_OK);
}

static void the_usage_names_every_flag(void **state)
{
	static const char *const flags[] = {
		"--node",	 "--run-dir",	 "--sync",	   "--token-file",
		"--trust-file",	 "--uplink",	 "--capture-port", "--tunnel-addr",
		"--tunnel-port", "--admin-port", "--workers",	   "--access-log",
		"--drain-s",	 "--mark",	 "--log-level",	   "--takeover",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		assert_non_null(strstr(config_usage, flags[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(everything),
		cmocka_unit_test(what_is_needed),
		cmocka_unit_test(bad_values_are_named),
		cmocka_unit_test(what_is_no_flag),
		cmocka_unit_test(lists_and_names_have_bounds),
		cmocka_unit_test(the_usage_names_every_flag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
