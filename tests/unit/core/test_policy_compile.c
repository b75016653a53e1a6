// SPDX-License-Identifier: GPL-3.0-or-later
// core/policy_compile: the tables themselves (which rules leave which attribute open, what has to be looked
// up at all), every limit to the one, and memory that may end anywhere. What the tables mean is tested
// through core/policy.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/policy_table.h"

#define L(text) SLICE_LIT(text)

static struct arena arena;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 512u << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_deinit(&arena);
	return 0;
}

static enum err compile(const struct ss_policy *p, const struct policy **out)
{
	*out = NULL;
	arena_reset(&arena);
	return policy_compile(p, &arena, out);
}

static const struct policy *compiled(const struct ss_policy *p)
{
	const struct policy *c;

	assert_int_equal(compile(p, &c), ERR_OK);
	assert_non_null(c);
	return c;
}

// Its only set of rules.
static const struct policy_set *compiled_set(const struct ss_policy *p)
{
	const struct policy *c = compiled(p);

	assert_int_equal(c->part_count, 1);
	return c->parts[0].set;
}

// The rules of a set, as a mask of the first 64.
static uint64_t rules(const struct rule_set *set)
{
	return set->live & 1 ? set->words[0] : 0;
}

static void each_attribute_has_its_column(void **state)
{
	struct ss_source source = {SOURCE_NODE, {0}, {0}};
	struct cidr net = {addr_from_v4(0x0a000000), 104};
	struct slice text = L("x");
	struct ss_path_match path = {PATH_EXACT, L("/x")};
	uint16_t port = 80;
	struct ss_group group = {.target = L("t")};
	struct ss_rule list[] = {
		{.sources = &source, .source_count = 1},
		{.client_cidrs = &net, .client_cidr_count = 1},
		{.ports = &port, .port_count = 1},
		{.methods = &text, .method_count = 1},
		{.paths = &path, .path_count = 1},
		{.hosts = &text, .host_count = 1},
		{.jwt_provider = L("issuer")},
		{.name = L("all open")},
	};
	struct ss_policy p = {.groups = &group, .group_count = 1, .rules = list, .rule_count = 8};
	const struct policy_set *c = compiled_set(&p);

	(void)state;
	for (int column = 0; column < COLUMN_COUNT; column++) {
		assert_int_equal(rules(&c->open[column]), 0xff & ~(1u << column));
		assert_true(c->used[column]);
	}
	assert_int_equal(rules(&c->every), 0xff);
	assert_int_equal(rules(&c->reads_request), 0x78); // method, path, host, token
	p.rules = &list[7];
	p.rule_count = 1;
	c = compiled_set(&p);
	for (int column = 0; column < COLUMN_COUNT; column++)
		assert_false(c->used[column]);
	assert_int_equal(c->source_kinds, 0);
	assert_int_equal(c->account_kinds, 0);
	assert_int_equal(c->cidr_bits_count, 0);
	assert_int_equal(c->prefix_len_max, 0);
	assert_int_equal(c->suffix_len_max, 0);
}

static void effects_are_sets(void **state)
{
	struct cidr net = {addr_from_v4(0x0a000000), 104};
	struct slice text = L("x");
	struct ss_group group = {.target = L("t0")};
	struct ss_rule list[] = {
		{.action = RULE_DENY},
		{.action = RULE_DENY, .mode = MODE_AUDIT},
		{.action = RULE_ALLOW},
		{.action = RULE_ALLOW, .mode = MODE_AUDIT},
		{.action = RULE_ALLOW},
		{.action = RULE_DENY, .client_cidrs = &net, .client_cidr_count = 1},
		{.action = RULE_DENY,
		 .client_cidrs = &net,
		 .client_cidr_count = 1,
		 .mode = MODE_AUDIT},
		{.action = RULE_DENY,
		 .client_cidrs = &net,
		 .client_cidr_count = 1,
		 .methods = &text,
		 .method_count = 1},
		{.action = RULE_ALLOW, .client_cidrs = &net, .client_cidr_count = 1},
	};
	struct ss_policy p = {.groups = &group, .group_count = 1, .rules = list, .rule_count = 9};
	const struct policy_set *c = compiled_set(&p);

	(void)state;
	assert_int_equal(rules(&c->deny), 0xa1);
	assert_int_equal(rules(&c->deny_audit), 0x42);
	assert_int_equal(rules(&c->deny_all), 0xe3);
	assert_int_equal(rules(&c->allow), 0x114);
	assert_int_equal(rules(&c->allow_all), 0x11c);
	assert_int_equal(rules(&c->address), 0x20); // nothing but CIDRs, and enforced
	assert_true(c->has_address);
	assert_true(c->audits);
	p.rule_count = 1;
	c = compiled_set(&p);
	assert_false(c->audits);
	assert_false(c->has_address);
	group.default_mode = MODE_AUDIT;
	assert_true(compiled(&p)->audits);
	group.default_mode = MODE_ENFORCE;
}

// Rules that follow each other and belong to the same groups are asked at once.
static void groups_make_parts(void **state)
{
	struct ss_group groups[2] = {{.target = L("t0")}, {.target = L("t1")}};
	struct ss_header_match field = {.name = L("a-b")}, other = {.name = L("c")};
	struct ss_rule list[] = {{.groups = 1},
				 {.groups = 1, .headers = &other, .header_count = 1},
				 {.groups = 3},
				 {.groups = 1}};
	struct ss_rule shared[] = {{.name = L("s"), .headers = &field, .header_count = 1}};
	struct ss_set_ref ref = {L("set"), 2, 0};
	struct ss_policy p = {.groups = groups,
			      .group_count = 2,
			      .rules = list,
			      .rule_count = 4,
			      .sets = &ref,
			      .set_count = 1};
	const struct policy *own = compiled(&p), *c = NULL;
	const struct policy_set *set = NULL;

	(void)state;
	assert_int_equal(own->part_count, 3);
	assert_int_equal(own->parts[0].set->count, 2);
	assert_int_equal(own->parts[1].groups, 3);
	assert_int_equal(policy_set_compile(shared, 1, &arena, &set), ERR_OK);
	assert_int_equal(policy_link(own, &set, &arena, &c), ERR_OK);
	assert_int_equal(c->part_count, 4);
	assert_ptr_equal(c->parts[3].set, set); // not a copy
	assert_int_equal(c->parts[3].groups, 2);
	assert_true(c->parts[3].by_name);
	assert_ptr_equal(policy_rule(c, 3), &list[3]);
	assert_ptr_equal(policy_rule(c, 4), &shared[0]);
	assert_null(policy_rule(c, 5));
	assert_true(policy_reads_field(c, http1_name(L("A_B"))));
	assert_true(policy_reads_field(c, http1_name(L("c"))));
	assert_false(policy_reads_field(own, http1_name(L("a-b"))));
	ref.groups = 4;
	assert_int_equal(compile(&p, &own), ERR_MALFORMED);
	ref = (struct ss_set_ref){L("set"), 1, 1};
	assert_int_equal(compile(&p, &own), ERR_MALFORMED);
	ref.providers = 0;
	p.set_count = SNAPSHOT_SETS_PER_POLICY_MAX + 1; // never read: refused by its count
	assert_int_equal(compile(&p, &own), ERR_TOO_LARGE);
}

static void conditions_by_position(void **state)
{
	struct ss_header_match headers[] = {{.name = L("a")}, {.name = L("b")}, {.name = L("a")}};
	struct ss_group group = {.target = L("t")};
	struct ss_rule list[] = {
		{.headers = headers, .header_count = 2},     // a, b
		{.headers = headers + 2, .header_count = 1}, // a
		{.name = L("none")},
	};
	struct ss_policy p = {.groups = &group, .group_count = 1, .rules = list, .rule_count = 3};
	const struct policy_set *c = compiled_set(&p);

	(void)state;
	assert_int_equal(c->header_count, 2);
	assert_int_equal(c->headers[0].count, 1); // "a" once, though two rules name it
	assert_true(slice_eq_str(c->headers[0].list[0].name, "a"));
	assert_int_equal(rules(&c->headers[0].open), 4);
	assert_int_equal(c->headers[1].count, 1);
	assert_true(slice_eq_str(c->headers[1].list[0].name, "b"));
	assert_int_equal(rules(&c->headers[1].open), 6);
}

static void only_what_is_named_is_looked_up(void **state)
{
	struct cidr nets[] = {{addr_from_v4(0x0a0b0c0d), 104},
			      {addr_from_v4(0x0a000000), 112},
			      {addr_from_v4(0x0b0b0c0d), 104}};
	struct ss_path_match paths[] = {{PATH_PREFIX, L("/a/bcd/")}, {PATH_EXACT, L("/a/longer")}};
	struct slice hosts[] = {L("*.example.com"), L("a.example.com")};
	struct ss_group group = {.target = L("t")};
	struct ss_rule rule = {.client_cidrs = nets,
			       .client_cidr_count = 3,
			       .paths = paths,
			       .path_count = 2,
			       .hosts = hosts,
			       .host_count = 2};
	struct ss_policy p = {.groups = &group, .group_count = 1, .rules = &rule, .rule_count = 1};
	const struct policy_set *c = compiled_set(&p);
	const struct policy *none;
	struct rule_bits bits = {0};
	struct addr masked = addr_from_v4(0x0a000000);

	(void)state;
	assert_int_equal(c->cidr_bits_count, 2); // lengths, each once
	assert_int_equal(c->prefix_len_max, strlen("/a/bcd") + 1);
	assert_int_equal(c->path_len_max, strlen("/a/longer"));
	assert_int_equal(c->suffix_len_max, strlen(".example.com"));
	// Host bits of a network are cleared, or it would never be found.
	rule_index_look_up(&c->index,
			   &(struct rule_key){SPACE_CIDR, 104, {slice_make(masked.bytes, 16)}},
			   &bits);
	assert_int_equal(bits.live, 1);
	nets[2].bits = 129;
	assert_int_equal(compile(&p, &none), ERR_RANGE);
	assert_null(none);
}

static void limits_hold_to_the_one(void **state)
{
	static struct ss_header_match headers[POLICY_CONDITIONS_MAX + 1];
	static struct ss_claim_match claims[POLICY_CONDITIONS_MAX + 1];
	static struct slice texts[SNAPSHOT_RULES_PER_POLICY_MAX];
	static struct ss_rule list[SNAPSHOT_RULES_PER_POLICY_MAX + 1];
	static struct ss_group groups[SNAPSHOT_GROUPS_PER_POLICY_MAX + 1];
	struct ss_policy p = {.groups = groups, .group_count = 1, .rules = list, .rule_count = 1};
	const struct policy *c;

	(void)state;
	for (uint32_t over = 0; over < 2; over++) {
		enum err expected = over ? ERR_TOO_LARGE : ERR_OK;

		list[0] = (struct ss_rule){.headers = headers,
					   .header_count = POLICY_CONDITIONS_MAX + over};
		assert_int_equal(compile(&p, &c), expected);
		list[0] = (struct ss_rule){.jwt_provider = L("i"),
					   .claims = claims,
					   .claim_count = POLICY_CONDITIONS_MAX + over};
		assert_int_equal(compile(&p, &c), expected);
		list[0] = (struct ss_rule){.jwt_provider = L("i"),
					   .scopes = texts,
					   .scope_count = POLICY_CONDITIONS_MAX + over};
		assert_int_equal(compile(&p, &c), expected);
		list[0] = (struct ss_rule){0};
		p.rule_count = SNAPSHOT_RULES_PER_POLICY_MAX + over;
		assert_int_equal(compile(&p, &c), expected);
		p.rule_count = 1;
		p.group_count = SNAPSHOT_GROUPS_PER_POLICY_MAX + over;
		assert_int_equal(compile(&p, &c), expected);
		p.group_count = 1;
		p.provider_count = POLICY_PROVIDERS_MAX + over;
		p.provider_ids = texts;
		assert_int_equal(compile(&p, &c), expected);
		p.provider_count = 0;
	}
}

// The sum over all rules is bounded too, and does not wrap.
static void pairs_have_a_sum(void **state)
{
	enum { EACH = POLICY_PAIRS_MAX / 4 };
	struct slice *methods = calloc(EACH, sizeof(*methods));
	struct ss_group group = {.target = L("t")};
	static struct ss_rule list[5];
	struct ss_policy p = {.groups = &group, .group_count = 1, .rules = list, .rule_count = 4};
	const struct policy *c;

	(void)state;
	assert_non_null(methods);
	for (int i = 0; i < 5; i++) {
		list[i].methods = methods;
		list[i].method_count = EACH - 1; // and one for the rule itself
	}
	assert_int_equal(compile(&p, &c), ERR_OK);
	list[0].method_count++;
	assert_int_equal(compile(&p, &c), ERR_TOO_LARGE);
	list[0].method_count = UINT32_MAX; // never read: refused by its count
	assert_int_equal(compile(&p, &c), ERR_TOO_LARGE);
	free(methods);
}

static void groups_that_are_not_there(void **state)
{
	static struct ss_group groups[SNAPSHOT_GROUPS_PER_POLICY_MAX];
	struct ss_rule rule = {.groups = 1};
	struct ss_policy p = {.groups = groups, .rules = &rule, .rule_count = 1};
	const struct policy *c;

	(void)state;
	for (uint32_t count = 0; count <= SNAPSHOT_GROUPS_PER_POLICY_MAX; count++) {
		p.group_count = count;
		for (uint32_t bit = 0; bit < 32; bit++) {
			rule.groups = 1u << bit;
			assert_int_equal(compile(&p, &c), bit < count ? ERR_OK : ERR_MALFORMED);
		}
	}
}

// However little memory there is: an error, never half a table.
static void memory_may_end_anywhere(void **state)
{
	struct ss_header_match header = {.name = L("a")};
	struct cidr net = {addr_from_v4(0), 96};
	struct slice text = L("x");
	static struct ss_group groups[3];
	struct ss_rule list[] = {
		{.headers = &header, .header_count = 1, .groups = 7, .action = RULE_ALLOW},
		{.client_cidrs = &net, .client_cidr_count = 1},
		{.jwt_provider = L("i"), .scopes = &text, .scope_count = 1},
	};
	struct ss_policy p = {.groups = groups, .group_count = 3, .rules = list, .rule_count = 3};
	enum err last = ERR_NOMEM;
	size_t tried = 0;

	(void)state;
	for (size_t bytes = 0; last != ERR_OK; bytes += 16) {
		const struct policy *c = NULL;
		uint8_t *block = aligned_alloc(16, bytes ? bytes : 16);
		struct arena small;

		arena_init_fixed(&small, block, bytes);
		last = policy_compile(&p, &small, &c);
		assert_true(last == ERR_OK || last == ERR_NOMEM);
		assert_int_equal(c != NULL, last == ERR_OK);
		free(block);
		assert_true(tried++ < 2000);
	}
	assert_true(tried > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_attribute_has_its_column, setup, teardown),
		cmocka_unit_test_setup_teardown(effects_are_sets, setup, teardown),
		cmocka_unit_test_setup_teardown(groups_make_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(conditions_by_position, setup, teardown),
		cmocka_unit_test_setup_teardown(only_what_is_named_is_looked_up, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_hold_to_the_one, setup, teardown),
		cmocka_unit_test_setup_teardown(pairs_have_a_sum, setup, teardown),
		cmocka_unit_test_setup_teardown(groups_that_are_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_may_end_anywhere, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
