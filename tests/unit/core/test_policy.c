// SPDX-License-Identifier: GPL-3.0-or-later
// Examples of what a policy means: the one of the design, groups that have to agree, Audit, tokens, and
// what cannot be compiled. Each attribute, known and unknown: test_policy_attributes.c; random policies
// against a reference: test_policy_random.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/policy.h"
#include "support/policy_world.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void check(struct world *w, const struct ss_policy *p, enum rule_action action,
		  const char *policy, const char *rule, const char *target)
{
	struct policy_answer a = ask(w, p);

	assert_int_equal(a.action, action);
	if (!slice_eq_str(a.policy, policy) || !slice_eq_str(a.rule, rule) ||
	    !slice_eq_str(a.target, target))
		fail_msg("%.*s %.*s %.*s", SLICE_ARG(a.policy), SLICE_ARG(a.rule),
			 SLICE_ARG(a.target));
}

// policy.md: nobody may call into shop, but y/x may call service z.
static void test_shop(void **state)
{
	struct world *w = *state;
	struct ss_source x = {SOURCE_SERVICE_ACCOUNT, SLICE_LIT("y"), SLICE_LIT("x")};
	struct ss_rule from_x = {.policy = SLICE_LIT("SecurityPolicy/shop/z"),
				 .name = SLICE_LIT("from-x"),
				 .action = RULE_ALLOW,
				 .groups = 1,
				 .sources = &x,
				 .source_count = 1};
	struct ss_group group = {.target = SLICE_LIT("Namespace/shop"),
				 .default_policy = SLICE_LIT("SecurityPolicy/shop/deny")};
	struct ss_policy others = {.groups = &group, .group_count = 1};
	struct ss_policy z = {
		.groups = &group, .group_count = 1, .rules = &from_x, .rule_count = 1};

	check(w, &others, RULE_DENY, "SecurityPolicy/shop/deny", "", "Namespace/shop");
	group.target = SLICE_LIT("Service/shop/z");
	check(w, &z, RULE_ALLOW, "SecurityPolicy/shop/z", "from-x", "");
	w->in.l7 = false;
	check(w, &z, RULE_ALLOW, "SecurityPolicy/shop/z", "from-x", "");
	w->source.service_account = SLICE_LIT("other");
	check(w, &z, RULE_DENY, "SecurityPolicy/shop/deny", "", "Service/shop/z");
	w->source.type = PRINCIPAL_UNAUTHENTICATED;
	check(w, &z, RULE_DENY, "SecurityPolicy/shop/deny", "", "Service/shop/z");
}

static void test_deny_wins(void **state)
{
	struct world *w = *state;
	struct slice get = SLICE_LIT("GET");
	struct ss_rule rules[] = {
		rule_of("allow", RULE_ALLOW),
		rule_of("deny-1", RULE_DENY),
		rule_of("deny-2", RULE_DENY),
	};
	struct ss_policy p = policy_of(rules, 3, RULE_ALLOW);

	rules[1].methods = rules[2].methods = &get;
	rules[1].method_count = rules[2].method_count = 1;
	check(w, &p, RULE_DENY, "SecurityPolicy/shop/p", "deny-1", "");
	w->in.method = SLICE_LIT("get"); // methods have case, and servers that forget it
	check(w, &p, RULE_DENY, "SecurityPolicy/shop/p", "deny-1", "");
	w->in.method = SLICE_LIT("POST");
	check(w, &p, RULE_ALLOW, "SecurityPolicy/shop/p", "allow", "");
	// A Deny that belongs to no group still denies.
	rules[1].groups = 0;
	w->in.method = get;
	check(w, &p, RULE_DENY, "SecurityPolicy/shop/p", "deny-1", "");
}

static void test_defaults(void **state)
{
	struct world *w = *state;
	struct ss_policy p = policy_of(NULL, 0, RULE_ALLOW);

	check(w, &p, RULE_ALLOW, "SecurityPolicy/shop/p", "", "");
	p.groups[0].default_action = RULE_DENY;
	check(w, &p, RULE_DENY, "SecurityPolicy/shop/p", "", "Namespace/shop");
	p.group_count = 0;
	check(w, &p, RULE_ALLOW, "", "", "");
}

// Two Services select the pod: both have to agree.
static void test_groups_agree(void **state)
{
	struct world *w = *state;
	struct ss_rule rules[] = {rule_of("one", RULE_ALLOW), rule_of("two", RULE_ALLOW)};
	struct ss_group groups[] = {
		{.target = SLICE_LIT("Service/shop/a"), .default_policy = SLICE_LIT("A")},
		{.target = SLICE_LIT("Service/shop/b"), .default_policy = SLICE_LIT("B")},
	};
	struct ss_policy p = {.groups = groups, .group_count = 2, .rules = rules, .rule_count = 2};

	rules[1].groups = 2;
	check(w, &p, RULE_ALLOW, "SecurityPolicy/shop/p", "one", "");
	p.rule_count = 1;
	check(w, &p, RULE_DENY, "B", "", "Service/shop/b");
	groups[1].default_action = RULE_ALLOW;
	check(w, &p, RULE_ALLOW, "SecurityPolicy/shop/p", "one", "");
	rules[0].groups = 0; // grants nothing
	check(w, &p, RULE_DENY, "A", "", "Service/shop/a");
	rules[0].groups = 3;
	groups[1].default_action = RULE_DENY;
	check(w, &p, RULE_ALLOW, "SecurityPolicy/shop/p", "one", "");
}

// Several conditions of a kind all have to hold; several values of one are alternatives.
static void test_conditions(void **state)
{
	struct world *w = *state;
	struct slice subjects[] = {SLICE_LIT("bob"), SLICE_LIT("alice")}, core = SLICE_LIT("core");
	struct ss_claim_match both[] = {{SLICE_LIT("sub"), subjects, 2},
					{SLICE_LIT("teams"), &core, 1}};
	struct ss_rule rule = rule_of("r", RULE_ALLOW);
	struct ss_policy p = policy_of(&rule, 1, RULE_DENY);

	rule.jwt_provider = SLICE_LIT("idp");
	rule.claims = both;
	rule.claim_count = 2;
	w->in.token = &w->token;
	w->in.token_provider = SLICE_LIT("idp");
	assert_int_equal(parse_payload("{\"sub\":\"alice\",\"teams\":[\"x\",\"core\"]}", &w->token),
			 JWT_OK);
	assert_int_equal(ask(w, &p).action, RULE_ALLOW);
	assert_int_equal(parse_payload("{\"sub\":\"alice\",\"teams\":[\"x\"]}", &w->token), JWT_OK);
	assert_int_equal(ask(w, &p).action, RULE_DENY);
	assert_int_equal(parse_payload("{\"sub\":\"carol\",\"teams\":[\"core\"]}", &w->token),
			 JWT_OK);
	assert_int_equal(ask(w, &p).action, RULE_DENY);
	// The same texts, swapped.
	assert_int_equal(parse_payload("{\"sub\":\"core\",\"teams\":[\"alice\"]}", &w->token),
			 JWT_OK);
	assert_int_equal(ask(w, &p).action, RULE_DENY);
}

// Tokens of two providers in one request: each rule asks its own.
static void test_two_tokens(void **state)
{
	struct world *w = *state;
	static uint8_t other_scratch[16384];
	struct arena other;
	struct jwt second;
	struct policy_token more = {.jwt = &second, .provider = SLICE_LIT("b")};
	struct slice carol = SLICE_LIT("carol");
	struct ss_claim_match claim = {SLICE_LIT("sub"), &carol, 1};
	struct ss_rule rule = rule_of("r", RULE_DENY);
	struct ss_policy p = policy_of(&rule, 1, RULE_ALLOW);

	assert_int_equal(parse_payload("{\"sub\":\"alice\"}", &w->token), JWT_OK);
	arena_init_fixed(&other, other_scratch, sizeof(other_scratch));
	assert_int_equal(jwt_parse(make(TOKEN_HEADER, "{\"sub\":\"carol\"}", 15), &other, &second),
			 JWT_OK);
	w->in.token = &w->token;
	w->in.token_provider = SLICE_LIT("a");
	w->in.more_tokens = &more;
	w->in.more_token_count = 1;
	rule.claims = &claim;
	rule.claim_count = 1;
	rule.jwt_provider = SLICE_LIT("b");
	assert_int_equal(ask(w, &p).action, RULE_DENY);
	rule.jwt_provider = SLICE_LIT("a");
	assert_int_equal(ask(w, &p).action, RULE_ALLOW);
	rule.jwt_provider = SLICE_LIT("c");
	assert_int_equal(ask(w, &p).action, RULE_ALLOW);
	rule.claim_count = 0;
	rule.jwt_provider = SLICE_LIT("b");
	assert_int_equal(ask(w, &p).action, RULE_DENY);
}

static void check_audit(struct world *w, const struct ss_policy *p, enum rule_action action,
			bool would_deny, const char *policy, const char *rule)
{
	struct policy_answer a = ask(w, p);

	assert_int_equal(a.action, action);
	assert_int_equal(a.would_deny, would_deny);
	assert_true(slice_eq_str(a.audit_policy, policy));
	assert_true(slice_eq_str(a.audit_rule, rule));
}

static void test_audit(void **state)
{
	struct world *w = *state;
	struct ss_rule rules[] = {rule_of("watch", RULE_DENY), rule_of("grant", RULE_ALLOW)};
	struct ss_policy p = policy_of(rules, 1, RULE_ALLOW);

	rules[0].mode = MODE_AUDIT;
	rules[0].policy = SLICE_LIT("audit");
	check_audit(w, &p, RULE_ALLOW, true, "audit", "watch");
	// Denied anyway: nothing would have been different.
	p.groups[0].default_action = RULE_DENY;
	check_audit(w, &p, RULE_DENY, false, "", "");
	// An Audit policy's default is not enforced either.
	p.groups[0].default_mode = MODE_AUDIT;
	p.rule_count = 0;
	check_audit(w, &p, RULE_ALLOW, true, "SecurityPolicy/shop/p", "");
	// Its Allow rules help its own default, and grant nothing that is enforced.
	rules[0] = rules[1];
	rules[0].mode = MODE_AUDIT;
	p.rule_count = 1;
	check_audit(w, &p, RULE_ALLOW, false, "", "");
	p.groups[0].default_mode = MODE_ENFORCE;
	check_audit(w, &p, RULE_DENY, false, "", "");
}

static enum err compile(struct world *w, const struct ss_policy *p)
{
	const struct policy *c;

	return policy_compile(p, &w->arena, &c);
}

static void test_compile_refuses(void **state)
{
	struct world *w = *state;
	static struct ss_rule many[SNAPSHOT_RULES_PER_POLICY_MAX + 1];
	struct ss_path_match regex = {PATH_REGEX, SLICE_LIT("/a.*")};
	struct ss_rule rule = rule_of("r", RULE_ALLOW);
	struct ss_policy p = policy_of(&rule, 1, RULE_DENY);
	struct slice scopes[] = {SLICE_LIT("read"), SLICE_LIT("write")};
	struct arena small;
	const struct policy *c;

	rule.paths = &regex;
	rule.path_count = 1;
	assert_int_equal(compile(w, &p), ERR_UNSUPPORTED);
	rule.path_count = 0;
	rule.groups = 2;
	assert_int_equal(compile(w, &p), ERR_MALFORMED);
	rule.groups = 1;
	rule.scopes = scopes;
	rule.scope_count = 2;
	assert_int_equal(compile(w, &p), ERR_MALFORMED);
	rule.jwt_provider = SLICE_LIT("idp");
	rule.scope_count = POLICY_CONDITIONS_MAX + 1;
	assert_int_equal(compile(w, &p), ERR_TOO_LARGE);
	rule.scope_count = 2;
	assert_int_equal(compile(w, &p), ERR_OK);
	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = rule_of("r", RULE_DENY);
	p.rules = many;
	p.rule_count = COUNT(many);
	assert_int_equal(compile(w, &p), ERR_TOO_LARGE);
	p.rule_count = SNAPSHOT_RULES_PER_POLICY_MAX;
	assert_int_equal(compile(w, &p), ERR_OK);
	// At every size too small an arena is an error and not a crash.
	for (size_t bytes = 0; bytes < 65536; bytes += 64) {
		static uint8_t block[65536];

		p.rule_count = 100;
		arena_init_fixed(&small, block, bytes);
		enum err err = policy_compile(&p, &small, &c);

		assert_true(err == ERR_OK || err == ERR_NOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deny_wins, setup, teardown),

		cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups_agree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conditions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_audit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compile_refuses, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
