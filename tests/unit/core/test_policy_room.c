// SPDX-License-Identifier: GPL-3.0-or-later
// What a compiled policy takes: a value takes its place in the index however few bytes it has in its record, and
// a Deny rule's path has up to RULE_READINGS_MAX of them. No rule that the schema allows is refused for that,
// and the sum is bounded.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "common/snapshot_codec.h"
#include "core/reading.h"
#include "core/snapshot_section.h"
#include "support/snapshot_build.h"

#define L(text)	  SLICE_LIT(text)
#define PATHS_MAX 64

static const char *const forms[] = {
	"/a%%20%u",	 "/a%u;x",   "//a%u",		 "/@s%%2Fp%u",	   "/%%7euser%u",
	"/api/q/%%2F/q%u", "/b/g%u%%2Fp", "/v4/projects/g%u%%2Fp", "/q/%%2F/c/%u/;x", "/a/./b%u",
	"/a%u\\b",	 "/plain%u",
};

static struct ss_path_match paths[PATHS_MAX];
static char texts[PATHS_MAX][64];

static void write_paths(const char *form, enum path_match_type type)
{
	for (uint32_t i = 0; i < PATHS_MAX; i++) {
		snprintf(texts[i], sizeof(texts[i]), form, i);
		paths[i] = (struct ss_path_match){type, slice_str(texts[i])};
	}
}

static enum err check(struct ss_rule *rules, uint32_t count, struct reason *why)
{
	struct ss_rule_set set = {.id = L("s"), .rules = rules, .rule_count = count};
	struct buf b;
	enum err err;

	*why = (struct reason){0};
	buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
	snapshot_encode_rule_set(&b, &set);
	err = b.err ? b.err : snapshot_check_record(SECTION_RULE_SETS, buf_slice(&b), why);
	buf_deinit(&b);
	return err;
}

static void odd_paths_break_no_rule(void **state)
{
	struct slice hosts[] = {L("a.example"), L("*.b.example")}, methods[] = {L("GET"), L("PUT")};
	uint16_t ports[] = {80, 443, 8080};
	struct reason why;

	(void)state;
	for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
		for (int with = 0; with < 16; with++) {
			write_paths(forms[f], with & 8 ? PATH_PREFIX : PATH_EXACT);
			for (uint32_t n = 1; n <= PATHS_MAX; n++) {
				struct ss_rule r = {
					.paths = paths,
					.path_count = n,
					.hosts = hosts,
					.host_count = with & 1 ? 2 : 0,
					.ports = ports,
					.port_count = with & 2 ? 3 : 0,
					.methods = methods,
					.method_count = with & 4 ? 2 : 0,
				};

				if (check(&r, 1, &why) != ERR_OK)
					fail_msg("%u of %s, %d: %s", n, forms[f], with, why.text);
			}
		}
	}
}

// What is shortest: one byte a value in its record.
static void short_values_break_no_rule(void **state)
{
	uint16_t ports[127];
	struct slice methods[26];
	char letters[26];
	struct reason why;

	(void)state;
	for (uint32_t i = 0; i < 127; i++)
		ports[i] = (uint16_t)(i + 1);
	for (uint32_t i = 0; i < 26; i++) {
		letters[i] = (char)('A' + i);
		methods[i] = slice_make(&letters[i], 1);
	}
	for (int action = RULE_DENY; action <= RULE_ALLOW; action++) {
		struct ss_rule r = {
			.action = (enum rule_action)action, .ports = ports, .port_count = 127};
		struct ss_rule m = {.action = (enum rule_action)action,
				    .methods = methods,
				    .method_count = 26};
		struct ss_rule all[64];

		assert_int_equal(check(&r, 1, &why), ERR_OK);
		for (int i = 0; i < 64; i++)
			all[i] = i % 2 ? r : m;
		assert_int_equal(check(all, 64, &why), ERR_OK);
	}
}

// As many as one record has room for; its section has no more than a multiple of what is written.
static void the_bound_holds(void **state)
{
	enum { RULES = 1024 };
	struct ss_rule *rules = calloc(RULES, sizeof(*rules));
	struct ss_policy p = {.id = L("p"), .rules = rules};
	struct build b = {0};
	struct reason why;
	struct ss_group group = {.target = L("t")};
	uint32_t last = 0;

	(void)state;
	assert_non_null(rules);
	write_paths("/q/%%2F/c/%u/;x", PATH_PREFIX);
	for (uint32_t i = 0; i < RULES; i++)
		rules[i] = (struct ss_rule){.groups = 1, .paths = paths, .path_count = PATHS_MAX};
	for (uint32_t n = 1; n <= RULES; n *= 2) {
		enum err err = check(rules, n, &why);

		if (err != ERR_OK) {
			assert_int_equal(err, ERR_TOO_LARGE);
			break;
		}
		last = n;
	}
	assert_in_range(last, 128, RULES / 2); // 8192 paths at least, and an end
	p.groups = &group;
	p.group_count = 1;
	p.rule_count = last;
	assert_int_equal(build_policy(&b, 0, &p, 1), ERR_OK);
	assert_true(b.sections[0]->arena.bytes_used <=
		    256 * snapshot_section_bytes(b.sections[0]).len + (1u << 16));
	build_free(&b);
	free(rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_paths_break_no_rule),
		cmocka_unit_test(short_values_break_no_rule),
		cmocka_unit_test(the_bound_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
