// SPDX-License-Identifier: GPL-3.0-or-later
// iptables/render: the frame round the rules, and that the largest configuration fits into the buffers.
// The rules themselves are compared whole in tests/golden/rules.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "iptables/render.h"

static void config_of(const char *text, struct rules_config *out)
{
	struct reason why = {""};

	if (rules_config_parse(slice_str(text), out, &why) != ERR_OK)
		fail_msg("%s", why.text);
}

static void test_old_jumps_go_first(void **state)
{
	static struct rules_config config;
	char bytes[8192];
	struct buf b;

	(void)state;
	config_of("uplinks = eth0\ncapture_cidrs = 10.0.0.0/8\n", &config);
	buf_init_fixed(&b, bytes, sizeof(bytes));
	render_table(&config, FAMILY_V4, TABLE_NAT, SLICE_LIT("-D PREROUTING -j OLD\n"), &b);
	buf_put_u8(&b, 0);
	assert_int_equal(b.err, ERR_OK);
	assert_non_null(strstr(bytes, "-D PREROUTING -j OLD\n-I PREROUTING 1 "));
}

static void test_without_backstop(void **state)
{
	static struct rules_config config;
	char bytes[16384];
	struct buf b;

	(void)state;
	config_of("uplinks = eth0\ncapture_cidrs = 10.0.0.0/8\nbackstop = off\n", &config);
	buf_init_fixed(&b, bytes, sizeof(bytes));
	render_table(&config, FAMILY_V4, TABLE_MANGLE, (struct slice){0}, &b);
	buf_put_u8(&b, 0);
	assert_null(strstr(bytes, "DROP"));
	assert_null(strstr(bytes, "-I FORWARD"));
}

static void test_largest_configuration_fits(void **state)
{
	static struct rules_config config;
	static char text[65536];
	size_t len = (size_t)snprintf(text, sizeof(text), "uplinks =");

	(void)state;
	for (int i = 0; i < RULES_CONFIG_UPLINKS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, " interface-%04d", i);
	len += (size_t)snprintf(text + len, sizeof(text) - len, "\ncapture_cidrs =");
	for (int i = 0; i < RULES_CONFIG_NETWORKS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					" 2001:db8:%x:1111:2222:3333:4444:0/112", 0x1000 + i);
	for (int i = 0; i < RULES_CONFIG_EXCLUDES_MAX; i++)
		len += (size_t)snprintf(
			text + len, sizeof(text) - len,
			"\nexclude = [2001:db8:1111:2222:3333:4444:5555:%x]:10000-20000",
			0x1000 + i);
	config_of(text, &config);
	for (int t = 0; t < TABLE_COUNT; t++) {
		struct buf b;

		buf_init_growing(&b, RENDER_TABLE_BYTES_MAX);
		render_table(&config, FAMILY_V6, (enum table)t, (struct slice){0}, &b);
		assert_int_equal(b.err, ERR_OK);
		buf_deinit(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old_jumps_go_first),
		cmocka_unit_test(test_without_backstop),
		cmocka_unit_test(test_largest_configuration_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
