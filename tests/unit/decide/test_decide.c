// SPDX-License-Identifier: GPL-3.0-or-later
// The decision as the data path asks it: what comes first, what each refusal says, limits, Audit. Tokens:
// test_decide_token.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/decide_world.h"

static void check(struct decision d, enum verdict verdict, enum decide_reason reason,
		  const char *policy, const char *rule)
{
	if (d.verdict != verdict || d.reason != reason || !slice_eq_str(d.policy, policy) ||
	    !slice_eq_str(d.rule, rule))
		fail_msg("%s %s %.*s %.*s (jwt %s)", verdict_name(d.verdict),
			 decide_reason_name(d.reason), SLICE_ARG(d.policy), SLICE_ARG(d.rule),
			 jwt_refusal_name(d.jwt));
}

static void add_rule(struct world *w, const char *name, enum rule_action action)
{
	w->rules[w->policy.rule_count++] = (struct ss_rule){
		.policy = SLICE_LIT("SecurityPolicy/shop/p"),
		.name = slice_str(name),
		.action = action,
		.groups = 1,
	};
}

static void add_limit(struct world *w, const char *id, uint64_t requests, uint32_t unit_s)
{
	uint32_t i = w->policy.limit_count++;

	w->limits[i] = (struct ss_limit){
		.id = slice_str(id),
		.policy = SLICE_LIT("RateLimitPolicy/shop/l"),
		.rule = slice_str(id),
		.key = LIMIT_KEY_CLIENT_ADDR,
		.requests = requests,
		.unit_s = unit_s,
	};
	w->limit_ids[i] = w->limits[i].id;
}

static uint32_t admitted(struct world *w, uint32_t tries)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < tries; i++)
		n += world_request(w).verdict == VERDICT_ALLOW;
	return n;
}

static void test_names(void **state)
{
	static const uint16_t statuses[VERDICT_COUNT] = {
		[VERDICT_DENY] = 403,	[VERDICT_UNAUTHENTICATED] = 401, [VERDICT_LIMITED] = 429,
		[VERDICT_BROKEN] = 500, [VERDICT_NEEDS_L7] = 403,	 [VERDICT_MALFORMED] = 400,
	};

	(void)state;
	for (enum verdict v = 0; v < VERDICT_COUNT; v++) {
		struct decision d = {.verdict = v};

		assert_int_equal(decide_status(&d), statuses[v]);
		for (enum verdict k = 0; k < v; k++)
			assert_string_not_equal(verdict_name(v), verdict_name(k));
	}
	for (enum decide_reason r = 0; r < DECIDE_REASON_COUNT; r++) {
		for (enum decide_reason k = 0; k < r; k++)
			assert_string_not_equal(decide_reason_name(r), decide_reason_name(k));
	}
}

static void test_no_policy(void **state)
{
	struct world *w = *state;

	world_link(w);
	w->subject.policy = NULL;
	check(world_connection(w), VERDICT_ALLOW, DECIDE_NO_POLICY, "", "");
	check(world_request(w), VERDICT_ALLOW, DECIDE_NO_POLICY, "", "");
	w->source.type = PRINCIPAL_UNKNOWN;
	check(world_connection(w), VERDICT_DENY, DECIDE_UNKNOWN_SOURCE, "", "");
	check(world_request(w), VERDICT_DENY, DECIDE_UNKNOWN_SOURCE, "", "");
}

static void test_unknown_source(void **state)
{
	struct world *w = *state;

	w->policy.needs_l7 = false;
	world_link(w);
	w->source.type = PRINCIPAL_UNKNOWN;
	check(world_connection(w), VERDICT_DENY, DECIDE_UNKNOWN_SOURCE, "", "");
	check(world_request(w), VERDICT_DENY, DECIDE_UNKNOWN_SOURCE, "", "");
}

static void test_broken(void **state)
{
	struct world *w = *state;

	w->policy.broken = SLICE_LIT("cannot be resolved");
	w->policy.broken_policy = SLICE_LIT("SecurityPolicy/shop/bad");
	add_rule(w, "allow", RULE_ALLOW);
	world_link(w);
	check(world_connection(w), VERDICT_NEEDS_L7, DECIDE_NONE, "", "");
	check(world_request(w), VERDICT_BROKEN, DECIDE_POLICY_INVALID, "SecurityPolicy/shop/bad",
	      "");
	w->policy.needs_l7 = false;
	world_link(w);
	check(world_connection(w), VERDICT_BROKEN, DECIDE_POLICY_INVALID, "SecurityPolicy/shop/bad",
	      "");
}

static void test_connection(void **state)
{
	struct world *w = *state;
	struct ss_source x = {SOURCE_SERVICE_ACCOUNT, SLICE_LIT("y"), SLICE_LIT("x")};
	struct cidr net;

	assert_int_equal(cidr_parse(SLICE_LIT("10.1.0.0/16"), false, &net), ERR_OK);
	w->policy.needs_l7 = false;
	w->group.default_action = RULE_DENY;
	world_link(w);
	struct decision d = world_connection(w);

	check(d, VERDICT_DENY, DECIDE_DEFAULT_DENY, "SecurityPolicy/shop/p", "");
	assert_true(slice_eq_str(d.target, "Namespace/shop"));
	add_rule(w, "x", RULE_ALLOW);
	w->rules[0].sources = &x;
	w->rules[0].source_count = 1;
	world_link(w);
	check(world_connection(w), VERDICT_ALLOW, DECIDE_RULE_ALLOW, "SecurityPolicy/shop/p", "x");
	add_rule(w, "net", RULE_DENY);
	w->rules[1].client_cidrs = &net;
	w->rules[1].client_cidr_count = 1;
	world_link(w);
	check(world_connection(w), VERDICT_DENY, DECIDE_CIDR_DENY, "SecurityPolicy/shop/p", "net");
	w->rules[1].sources = &x;
	w->rules[1].source_count = 1;
	world_link(w);
	check(world_connection(w), VERDICT_DENY, DECIDE_RULE_DENY, "SecurityPolicy/shop/p", "net");
	w->policy.rule_count = 0;
	w->group.default_action = RULE_ALLOW;
	world_link(w);
	check(world_connection(w), VERDICT_ALLOW, DECIDE_DEFAULT_ALLOW, "SecurityPolicy/shop/p",
	      "");
}

// A rule that reads requests in a policy that says it reads none: nothing of the request is known,
// and what the caller left in its input does not count.
static void test_connection_knows_no_request(void **state)
{
	struct world *w = *state;
	struct slice get = SLICE_LIT("GET");

	w->policy.needs_l7 = false;
	add_rule(w, "get", RULE_DENY);
	w->rules[0].methods = &get;
	w->rules[0].method_count = 1;
	world_link(w);
	w->in.method = SLICE_LIT("PUT");
	check(world_connection(w), VERDICT_DENY, DECIDE_RULE_DENY, "SecurityPolicy/shop/p", "get");
}

// What is certain of a connection whose request is not kept, one policy a row. A rule of the row is for
// the caller, its network or its method, or for a caller that is another.
enum at_best_rule { NO_RULE, OF_SOURCE, OF_NETWORK, OF_METHOD, OF_ANOTHER };
enum at_best_state { WHOLE, BROKEN, NO_KEYS, NO_KEYS_ASKED };

static const struct at_best {
	enum rule_action fallback;
	enum at_best_rule rule;
	enum rule_action action;
	enum at_best_state state;
	enum verdict verdict;
} at_best[] = {
	{RULE_ALLOW, NO_RULE, RULE_DENY, WHOLE, VERDICT_ALLOW},
	{RULE_DENY, NO_RULE, RULE_DENY, WHOLE, VERDICT_DENY},
	{RULE_ALLOW, OF_SOURCE, RULE_DENY, WHOLE, VERDICT_DENY},
	{RULE_ALLOW, OF_NETWORK, RULE_DENY, WHOLE, VERDICT_DENY},
	{RULE_ALLOW, OF_METHOD, RULE_DENY, WHOLE, VERDICT_ALLOW}, // the request's may be another
	{RULE_ALLOW, OF_ANOTHER, RULE_DENY, WHOLE, VERDICT_ALLOW},
	{RULE_DENY, OF_SOURCE, RULE_ALLOW, WHOLE, VERDICT_ALLOW},
	{RULE_DENY, OF_NETWORK, RULE_ALLOW, WHOLE, VERDICT_ALLOW},
	{RULE_DENY, OF_METHOD, RULE_ALLOW, WHOLE, VERDICT_ALLOW},
	{RULE_DENY, OF_ANOTHER, RULE_ALLOW, WHOLE, VERDICT_DENY},
	{RULE_ALLOW, NO_RULE, RULE_DENY, BROKEN, VERDICT_BROKEN},
	{RULE_ALLOW, NO_RULE, RULE_DENY, NO_KEYS, VERDICT_ALLOW}, // optional
	{RULE_ALLOW, NO_RULE, RULE_DENY, NO_KEYS_ASKED, VERDICT_BROKEN},
};

static void at_best_set(struct world *w, const struct at_best *c)
{
	static struct slice get = {(const uint8_t *)"GET", 3};
	static struct ss_source source;
	static struct cidr net;

	assert_int_equal(cidr_parse(SLICE_LIT("10.1.0.0/16"), false, &net), ERR_OK);
	source = (struct ss_source){SOURCE_SERVICE_ACCOUNT, SLICE_LIT("y"),
				    c->rule == OF_ANOTHER ? SLICE_LIT("z") : SLICE_LIT("x")};
	w->policy.rule_count = 0;
	w->group.default_action = c->fallback;
	if (c->rule != NO_RULE)
		add_rule(w, "rule", c->action);
	w->rules[0].sources = &source;
	w->rules[0].source_count = c->rule == OF_SOURCE || c->rule == OF_ANOTHER;
	w->rules[0].client_cidrs = &net;
	w->rules[0].client_cidr_count = c->rule == OF_NETWORK;
	w->rules[0].methods = &get;
	w->rules[0].method_count = c->rule == OF_METHOD;
	w->policy.broken = c->state == BROKEN ? SLICE_LIT("why") : (struct slice){0};
	w->policy.jwt_optional = c->state == NO_KEYS;
	if (c->state >= NO_KEYS)
		world_provider(w, 0, "idp", "https://issuer.example");
	w->providers[0].key_count = 0;
}

static void test_at_best(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(at_best) / sizeof(at_best[0]); i++) {
		struct decision d;

		at_best_set(w, &at_best[i]);
		world_link(w);
		decide_at_best(&w->context, &w->subject, &w->in, &d);
		if (d.verdict != at_best[i].verdict)
			fail_msg("row %zu: %s", i, verdict_name(d.verdict));
		if (d.verdict == VERDICT_DENY && at_best[i].fallback == RULE_ALLOW)
			assert_true(slice_eq_str(d.rule, "rule"));
	}
}

// CIDR Deny, limit, JWT, authorization: each is reached only where those before it let pass, and
// what a limit takes it takes even from requests that are refused later.
static void test_order(void **state)
{
	struct world *w = *state;
	struct slice get = SLICE_LIT("GET");
	struct cidr net;

	assert_int_equal(cidr_parse(SLICE_LIT("10.1.0.0/16"), false, &net), ERR_OK);
	world_provider(w, 0, "idp", "https://issuer.example");
	add_rule(w, "get", RULE_DENY);
	w->rules[0].methods = &get;
	w->rules[0].method_count = 1;
	add_rule(w, "net", RULE_DENY);
	w->rules[1].client_cidrs = &net;
	w->rules[1].client_cidr_count = 1;
	add_limit(w, "three", 3, 60);
	world_link(w);
	check(world_connection(w), VERDICT_NEEDS_L7, DECIDE_NONE, "", "");
	for (int i = 0; i < 10; i++)
		check(world_request(w), VERDICT_DENY, DECIDE_CIDR_DENY, "SecurityPolicy/shop/p",
		      "net");
	w->in.client = addr_from_v4(0x0b000001);
	check(world_request(w), VERDICT_UNAUTHENTICATED, DECIDE_JWT, "SecurityPolicy/shop/jwt", "");
	world_bearer(w, TOKEN_EXPIRED);
	check(world_request(w), VERDICT_UNAUTHENTICATED, DECIDE_JWT, "SecurityPolicy/shop/jwt", "");
	world_bearer(w, TOKEN_GOOD);
	check(world_request(w), VERDICT_DENY, DECIDE_RULE_DENY, "SecurityPolicy/shop/p", "get");
	check(world_request(w), VERDICT_LIMITED, DECIDE_RATE_LIMIT, "RateLimitPolicy/shop/l",
	      "three");
}

static void test_limit(void **state)
{
	struct world *w = *state;
	struct decision d;

	add_limit(w, "ten", 10, 60);
	world_link(w);
	for (uint32_t i = 0; i < 10; i++) {
		d = world_request(w);
		check(d, VERDICT_ALLOW, DECIDE_DEFAULT_ALLOW, "SecurityPolicy/shop/p", "");
		assert_int_equal(d.limit_requests, 10);
		assert_int_equal(d.limit_unit_s, 60);
		assert_int_equal(d.limit_remaining, 9 - i);
	}
	d = world_request(w);
	check(d, VERDICT_LIMITED, DECIDE_RATE_LIMIT, "RateLimitPolicy/shop/l", "ten");
	assert_int_equal(d.retry_after_ns, 6 * NS_PER_S);
	assert_int_equal(d.limit_remaining, 0);
	assert_int_equal(d.limit_requests, 10);
	// Another address has its own ten.
	w->in.client = addr_from_v4(0x0a010204);
	assert_int_equal(admitted(w, 20), 10);
	w->in.client = addr_from_v4(0x0a010203);
	w->context.now_ns += 12 * NS_PER_S;
	assert_int_equal(admitted(w, 20), 2);
	// A new generation of the same limit is the same limit; one that was edited starts anew.
	world_link(w);
	assert_int_equal(admitted(w, 20), 0);
	w->limits[0].requests = 7;
	world_link(w);
	assert_int_equal(admitted(w, 20), 7);
	// Without a table nothing is taken (explain).
	w->context.limits = NULL;
	assert_int_equal(admitted(w, 20), 20);
}

static void test_limit_by_network(void **state)
{
	struct world *w = *state;

	add_limit(w, "five", 5, 3600);
	world_link(w);
	assert_int_equal(addr_parse(SLICE_LIT("2001:db8::1"), &w->in.client), ERR_OK);
	assert_int_equal(admitted(w, 3), 3);
	assert_int_equal(addr_parse(SLICE_LIT("2001:db8::ffff:ffff:ffff:2"), &w->in.client),
			 ERR_OK);
	assert_int_equal(admitted(w, 9), 2);
	assert_int_equal(addr_parse(SLICE_LIT("2001:db8:0:1::1"), &w->in.client), ERR_OK);
	assert_int_equal(admitted(w, 9), 5);
	w->limits[0].key = LIMIT_KEY_NONE;
	w->limits[0].id = w->limit_ids[0] = SLICE_LIT("together");
	world_link(w);
	assert_int_equal(admitted(w, 3), 3);
	w->in.client = addr_from_v4(0x0a010204);
	assert_int_equal(admitted(w, 9), 2);
}

// A pod has one address, and the pods of a node share a /64: no neighbour spends for it.
static void test_limit_of_pods(void **state)
{
	struct world *w = *state;

	add_limit(w, "two", 2, 3600);
	world_link(w);
	assert_int_equal(addr_parse(SLICE_LIT("fd00:1:2:3::1"), &w->in.client), ERR_OK);
	assert_int_equal(admitted(w, 5), 2);
	assert_int_equal(addr_parse(SLICE_LIT("fd00:1:2:3::2"), &w->in.client), ERR_OK);
	assert_int_equal(admitted(w, 5), 2); // nobody's that we know: the /64's
	assert_int_equal(addr_parse(SLICE_LIT("fd00:1:2:3::3"), &w->in.client), ERR_OK);
	assert_int_equal(admitted(w, 5), 0);
}

// A shared limit is spent by what is let in, a client's own by all that it asks.
static void test_limit_is_spent_by_whom(void **state)
{
	struct world *w = *state;
	struct slice get = SLICE_LIT("GET");

	add_rule(w, "no-get", RULE_DENY);
	w->rules[0].methods = &get;
	w->rules[0].method_count = 1;
	add_limit(w, "own", 8, 3600);
	add_limit(w, "shared", 3, 3600);
	w->limits[1].key = LIMIT_KEY_NONE;
	world_link(w);
	for (int i = 0; i < 4; i++)
		check(world_request(w), VERDICT_DENY, DECIDE_RULE_DENY, "SecurityPolicy/shop/p",
		      "no-get");
	w->in.method = SLICE_LIT("PUT");
	assert_int_equal(admitted(w, 3), 3); // none of the four was the shared limit's
	check(world_request(w), VERDICT_LIMITED, DECIDE_RATE_LIMIT, "RateLimitPolicy/shop/l",
	      "shared");
	w->in.method = get;
	check(world_request(w), VERDICT_DENY, DECIDE_RULE_DENY, "SecurityPolicy/shop/p", "no-get");
	check(world_request(w), VERDICT_LIMITED, DECIDE_RATE_LIMIT, "RateLimitPolicy/shop/l",
	      "own");
}

// What one limit refuses costs nothing of those before it or behind it.
static void test_limit_gives_back(void **state)
{
	struct world *w = *state;

	add_limit(w, "a", 5, 3600);
	add_limit(w, "b", 2, 3600);
	add_limit(w, "c", 9, 3600);
	world_link(w);
	assert_int_equal(admitted(w, 20), 2);
	w->policy.limit_count = 1;
	world_link(w);
	assert_int_equal(admitted(w, 20), 3);
	w->limits[0] = w->limits[2];
	w->limit_ids[0] = w->limit_ids[2];
	world_link(w);
	assert_int_equal(admitted(w, 20), 7);
}

static void test_limit_selectors(void **state)
{
	struct world *w = *state;
	struct slice post = SLICE_LIT("POST"), value = SLICE_LIT("1");
	struct ss_path_match path = {PATH_PREFIX, SLICE_LIT("/pay")};
	struct ss_header_match header = {SLICE_LIT("x-a"), &value, 1};
	struct cidr net;

	assert_int_equal(cidr_parse(SLICE_LIT("10.1.0.0/16"), false, &net), ERR_OK);
	add_limit(w, "none", 1, 60);
	w->limits[0].methods = &post;
	w->limits[0].method_count = 1;
	w->limits[0].paths = &path;
	w->limits[0].path_count = 1;
	w->limits[0].headers = &header;
	w->limits[0].header_count = 1;
	w->limits[0].client_cidrs = &net;
	w->limits[0].client_cidr_count = 1;
	world_link(w);
	w->in.method = post;
	w->in.path = SLICE_LIT("/pay/now");
	w->header_names[1] = "x-a";
	w->header_values[1] = "1";
	assert_int_equal(admitted(w, 5), 1);
	w->in.path = SLICE_LIT("/pay;x/now"); // what some servers read as the same
	assert_int_equal(admitted(w, 5), 0);
	// One thing different and it does not select.
	w->in.method = SLICE_LIT("GET");
	assert_int_equal(admitted(w, 5), 5);
	w->in.method = post;
	w->in.path = SLICE_LIT("/payment");
	assert_int_equal(admitted(w, 5), 5);
	w->in.path = SLICE_LIT("/pay");
	w->header_values[1] = "2";
	assert_int_equal(admitted(w, 5), 5);
	w->header_names[1] = NULL;
	assert_int_equal(admitted(w, 5), 5);
	w->header_names[1] = "x-a";
	w->header_values[1] = "1";
	w->in.client = addr_from_v4(0x0a020304);
	assert_int_equal(admitted(w, 5), 5);
	// What cannot be read does not help to escape.
	w->in.client = addr_from_v4(0x0a010203);
	w->in.path = w->in.method = (struct slice){0};
	assert_int_equal(admitted(w, 5), 0);
}

static void test_limits_together(void **state)
{
	struct world *w = *state;
	struct decision d;

	add_limit(w, "a", 100, 60);
	add_limit(w, "b", 3, 60);
	add_limit(w, "c", 50, 60);
	world_link(w);
	d = world_request(w);
	assert_int_equal(d.limit_requests, 3); // the tightest
	assert_int_equal(d.limit_remaining, 2);
	assert_int_equal(admitted(w, 10), 2);
	check(world_request(w), VERDICT_LIMITED, DECIDE_RATE_LIMIT, "RateLimitPolicy/shop/l", "b");
}

static void test_shadow(void **state)
{
	struct world *w = *state;
	struct decision d;

	add_limit(w, "shadow", 2, 60);
	w->limits[0].shadow = true;
	world_link(w);
	d = world_request(w);
	assert_false(d.would_deny);
	assert_int_equal(d.limit_unit_s, 0); // nothing to tell the client
	world_request(w);
	d = world_request(w);
	check(d, VERDICT_ALLOW, DECIDE_DEFAULT_ALLOW, "SecurityPolicy/shop/p", "");
	assert_true(d.would_deny);
	assert_true(slice_eq_str(d.audit_policy, "RateLimitPolicy/shop/l"));
	assert_true(slice_eq_str(d.audit_rule, "shadow"));
}

static void test_audit(void **state)
{
	struct world *w = *state;

	add_rule(w, "watch", RULE_DENY);
	w->rules[0].mode = MODE_AUDIT;
	world_link(w);
	struct decision d = world_request(w);

	check(d, VERDICT_ALLOW, DECIDE_DEFAULT_ALLOW, "SecurityPolicy/shop/p", "");
	assert_true(d.would_deny);
	assert_true(slice_eq_str(d.audit_rule, "watch"));
	assert_true(slice_eq_str(d.audit_policy, "SecurityPolicy/shop/p"));
}

static struct decision observed(struct world *w, bool readable)
{
	struct decision d;

	arena_reset(&w->scratch_arena);
	w->in.l7 = readable;
	(readable ? decide_observed : decide_unreadable)(&w->context, &w->subject, &w->in, &d);
	return d;
}

// Where only what is on trial reads requests the port is opaque: its connections are let in, and of each request
// it is known who would refuse it.
static void test_observed(void **state)
{
	struct world *w = *state;
	struct slice put = SLICE_LIT("PUT");
	struct decision d;

	w->policy.needs_l7 = false;
	w->policy.audits_l7 = true;
	add_rule(w, "watch", RULE_DENY);
	w->rules[0].mode = MODE_AUDIT;
	w->rules[0].methods = &put;
	w->rules[0].method_count = 1;
	world_link(w);
	d = world_connection(w);
	check(d, VERDICT_ALLOW, DECIDE_DEFAULT_ALLOW, "SecurityPolicy/shop/p", "");
	assert_false(d.would_deny);
	assert_false(observed(w, true).would_deny);
	w->in.method = put;
	d = observed(w, true);
	assert_true(d.would_deny && slice_eq_str(d.audit_rule, "watch"));
	d = observed(w, false);
	assert_true(d.would_deny && slice_eq_str(d.audit_rule, "watch"));
	// Where enforced rules read requests too, they are judged instead.
	w->policy.needs_l7 = true;
	world_link(w);
	assert_false(decide_observes(w->subject.policy));
	assert_false(observed(w, true).would_deny || observed(w, false).would_deny);
}

// A limit in shadow mode is spent by what is seen; where others are enforced nobody looks on.
static void test_observed_limits(void **state)
{
	struct world *w = *state;
	struct decision d;

	w->policy.needs_l7 = false;
	w->policy.audits_l7 = true;
	add_limit(w, "a", 2, 60);
	w->limits[0].shadow = true;
	world_link(w);
	assert_false(observed(w, true).would_deny);
	d = observed(w, false); // spends nothing
	assert_true(d.would_deny && slice_eq_str(d.audit_rule, "a"));
	assert_false(observed(w, true).would_deny);
	d = observed(w, true);
	assert_true(d.would_deny && slice_eq_str(d.audit_policy, "RateLimitPolicy/shop/l"));
	add_limit(w, "b", 1, 60);
	w->policy.needs_l7 = true;
	world_link(w);
	for (int i = 0; i < 3; i++)
		assert_false(observed(w, true).would_deny);
	assert_int_equal(admitted(w, 3), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_no_policy, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_unknown_source, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_broken, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_connection, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_connection_knows_no_request, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_at_best, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_order, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_limit, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_limit_by_network, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_limit_of_pods, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_limit_is_spent_by_whom, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_limit_gives_back, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_limit_selectors, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_limits_together, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_shadow, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_audit, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_observed, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_observed_limits, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
