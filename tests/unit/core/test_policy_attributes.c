// SPDX-License-Identifier: GPL-3.0-or-later
// Each attribute that a rule can name: satisfied, not satisfied, and unknown, for Allow and for Deny;
// and the rules that are judged by address alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/policy.h"
#include "support/policy_world.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

// Every attribute in turn: satisfied, not satisfied, unknown.
struct attribute_row {
	const char *name;
	void (*require)(struct ss_rule *r);
	void (*miss)(struct world *w);
	void (*hide)(struct world *w);
};

static void require_source(struct ss_rule *r)
{
	static struct ss_source s = {
		SOURCE_SPIFFE, {0}, {(const uint8_t *)"spiffe://td/ns/y/sa/x", 21}};

	r->sources = &s;
	r->source_count = 1;
}

static void miss_source(struct world *w)
{
	w->source.namespace = SLICE_LIT("z");
}

static void hide_source(struct world *w)
{
	w->source.type = PRINCIPAL_UNKNOWN;
}

static void require_cidr(struct ss_rule *r)
{
	static struct cidr c;

	assert_int_equal(cidr_parse(SLICE_LIT("10.0.0.0/8"), false, &c), ERR_OK);
	r->client_cidrs = &c;
	r->client_cidr_count = 1;
}

static void miss_cidr(struct world *w)
{
	w->in.client = addr_from_v4(0x0b000001);
}

static void hide_cidr(struct world *w)
{
	w->in.client = (struct addr){0};
}

static void require_port(struct ss_rule *r)
{
	static uint16_t port = 8080;

	r->ports = &port;
	r->port_count = 1;
}

static void miss_port(struct world *w)
{
	w->in.port = 8081;
}

static void hide_port(struct world *w)
{
	w->in.port = 0;
}

static void hide_request(struct world *w)
{
	w->in.l7 = false;
}

static void require_method(struct ss_rule *r)
{
	static struct slice method = {(const uint8_t *)"GET", 3};

	r->methods = &method;
	r->method_count = 1;
}

static void miss_method(struct world *w)
{
	w->in.method = SLICE_LIT("PUT");
}

static void hide_method(struct world *w)
{
	w->in.method = (struct slice){0};
}

static void require_path(struct ss_rule *r)
{
	static struct ss_path_match path = {PATH_PREFIX, {(const uint8_t *)"/a/", 3}};

	r->paths = &path;
	r->path_count = 1;
}

static void miss_path(struct world *w)
{
	w->in.path = SLICE_LIT("/ab");
}

static void hide_path(struct world *w)
{
	w->in.path = (struct slice){0};
}

static void require_host(struct ss_rule *r)
{
	static struct slice host = {(const uint8_t *)"*.example", 9};

	r->hosts = &host;
	r->host_count = 1;
}

static void miss_host(struct world *w)
{
	w->in.host = SLICE_LIT("example");
}

static void hide_host(struct world *w)
{
	w->in.host = (struct slice){0};
}

static void require_header(struct ss_rule *r)
{
	static struct slice value = {(const uint8_t *)"1", 1};
	static struct ss_header_match header = {{(const uint8_t *)"x-a", 3}, &value, 1};

	r->headers = &header;
	r->header_count = 1;
}

static void miss_header(struct world *w)
{
	w->header_value = SLICE_LIT("2");
}

static void hide_header(struct world *w)
{
	w->in.header = NULL;
}

static void require_claim(struct ss_rule *r)
{
	static struct slice value = {(const uint8_t *)"alice", 5};
	static struct ss_claim_match claim = {{(const uint8_t *)"sub", 3}, &value, 1};

	r->jwt_provider = SLICE_LIT("idp");
	r->claims = &claim;
	r->claim_count = 1;
}

static void require_scope(struct ss_rule *r)
{
	static struct slice scopes[] = {{(const uint8_t *)"read", 4},
					{(const uint8_t *)"write", 5}};

	r->jwt_provider = SLICE_LIT("idp");
	r->scopes = scopes;
	r->scope_count = 2;
}

static void miss_token(struct world *w)
{
	w->in.token = NULL; // that there is none is known
}

static void miss_provider(struct world *w)
{
	w->in.token_provider = SLICE_LIT("other");
}

static const struct attribute_row attributes[] = {
	{"source", require_source, miss_source, hide_source},
	{"cidr", require_cidr, miss_cidr, hide_cidr},
	{"port", require_port, miss_port, hide_port},
	{"method", require_method, miss_method, hide_method},
	{"method at L4", require_method, miss_method, hide_request},
	{"path", require_path, miss_path, hide_path},
	{"path at L4", require_path, miss_path, hide_request},
	{"host", require_host, miss_host, hide_host},
	{"host at L4", require_host, miss_host, hide_request},
	{"header", require_header, miss_header, hide_header},
	{"header at L4", require_header, miss_header, hide_request},
	{"claim", require_claim, miss_token, hide_request},
	{"claim of another", require_claim, miss_provider, hide_request},
	{"scopes", require_scope, miss_token, hide_request},
};

static void fill(struct world *w)
{
	static const char payload[] = "{\"sub\":\"alice\",\"scope\":\"write read\"}";

	assert_int_equal(parse_payload(payload, &w->token), JWT_OK);
	w->in.token = &w->token;
	w->in.token_provider = SLICE_LIT("idp");
	w->header_name = SLICE_LIT("x-a");
	w->header_value = SLICE_LIT("1");
}

static enum rule_action single(struct world *w, const struct attribute_row *row,
			       enum rule_action action)
{
	struct ss_rule rule = rule_of("r", action);
	struct ss_policy p = policy_of(&rule, 1, action == RULE_ALLOW ? RULE_DENY : RULE_ALLOW);

	row->require(&rule);
	return ask(w, &p).action;
}

static void test_attributes(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < COUNT(attributes); i++) {
		const struct attribute_row *row = &attributes[i];
		static const enum rule_action wanted[3][2] = {
			// of an Allow rule, of a Deny rule
			{RULE_ALLOW, RULE_DENY},
			{RULE_DENY, RULE_ALLOW},
			{RULE_DENY, RULE_DENY}, // unknown: the Allow does not match, the Deny does
		};

		for (int what = 0; what < 3; what++) {
			setup(state);
			fill(w);
			if (what == 1)
				row->miss(w);
			if (what == 2)
				row->hide(w);
			if (single(w, row, RULE_ALLOW) != wanted[what][0] ||
			    single(w, row, RULE_DENY) != wanted[what][1])
				fail_msg("%s, %d", row->name, what);
			teardown(state);
		}
	}
	setup(state);
}

static void test_address(void **state)
{
	struct world *w = *state;
	struct ss_rule rules[] = {rule_of("method", RULE_DENY), rule_of("net", RULE_DENY)};
	struct ss_policy p = policy_of(rules, 2, RULE_ALLOW);
	const struct policy *c = NULL;
	struct policy_answer a;

	require_cidr(&rules[0]);
	require_method(&rules[0]);
	require_cidr(&rules[1]);
	require_port(&rules[1]);
	assert_int_equal(policy_compile(&p, &w->arena, &c), ERR_OK);
	assert_true(policy_denies_address(c, &w->in, &a));
	assert_int_equal(a.action, RULE_DENY);
	assert_true(slice_eq_str(a.rule, "net"));
	w->in.port = 1;
	assert_false(policy_denies_address(c, &w->in, &a));
	w->in.port = 8080;
	miss_cidr(w);
	assert_false(policy_denies_address(c, &w->in, &a));
	hide_cidr(w);
	assert_true(policy_denies_address(c, &w->in, &a));
	rules[1].mode = MODE_AUDIT;
	assert_int_equal(policy_compile(&p, &w->arena, &c), ERR_OK);
	assert_false(policy_denies_address(c, &w->in, &a));
}

// Host bits that a record should not have had say nothing.
static void test_cidr_host_bits(void **state)
{
	struct world *w = *state;
	struct cidr net = {addr_from_v4(0x0a636363), 104};
	struct ss_rule rule = rule_of("r", RULE_DENY);
	struct ss_policy p = policy_of(&rule, 1, RULE_ALLOW);

	rule.client_cidrs = &net;
	rule.client_cidr_count = 1;
	assert_int_equal(ask(w, &p).action, RULE_DENY);
	miss_cidr(w);
	assert_int_equal(ask(w, &p).action, RULE_ALLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cidr_host_bits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
