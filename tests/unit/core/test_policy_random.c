// SPDX-License-Identifier: GPL-3.0-or-later
// Random policies and inputs: core/policy answers as the reference does, which evaluates the prose rule by
// rule; and so it does where the same rules lie in sets that policies share, a level each. Values come from small sets, so that rules meet, overlap and nearly match.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "support/policy_reference.h"
#include "support/token.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define POLICIES    24000
#define INPUTS	    6 // of each
#define RULES_MAX   150
#define LARGE_EVERY 40 // policies: one that takes several words of a set
#define TOKENS	    7
#define LIST_MAX    3
#define LEVELS_MAX  5

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 11) % n);
}

#define PICK(list) ((list)[below(COUNT(list))])

static const char *const methods[] = {"GET", "POST", "PUT", "get"};
static const char *const paths[] = {"/",     "/a",     "/a/",	"/a/b",	  "/ab",    "/a/b/c",
				    "/b",    "/admin", "*",	"/a;x",	  "/a;x/b", "/A",
				    "/a/B/", "/a%2Fb", "//a/b", "/a/./b", "/a%20",  "/a/b//"};
static const char *const hosts[] = {"a.example", "b.a.example", "example",
				    "other",	 "*.example",	"*.a.example"};
static const char *const header_names[] = {"x-a", "x-b"};
static const char *const texts[] = {"alice", "bob", "core", "ops", "true", "3"};
static const char *const claim_names[] = {"sub", "teams", "team.name", "admin"};
static const char *const scopes[] = {"read", "write", "admin"};
static const char *const providers[] = {"idp", "other"};
static const char *const cidrs[] = {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0",
				    "::/0",	  "fd00::/8",	 "fd00:1::/32", "10.1.2.0/23"};
static const char *const clients[] = {"10.1.2.3",  "10.2.0.1",	  "192.0.2.1",
				      "fd00:1::5", "2001:db8::1", ""};
static const uint16_t ports[] = {80, 8080, 443};

static const struct ss_source sources[] = {
	{SOURCE_SERVICE_ACCOUNT, {(const uint8_t *)"shop", 4}, {(const uint8_t *)"cart", 4}},
	{SOURCE_SERVICE_ACCOUNT, {(const uint8_t *)"shop", 4}, {(const uint8_t *)"*", 1}},
	{SOURCE_SERVICE_ACCOUNT, {(const uint8_t *)"bank", 4}, {(const uint8_t *)"cart", 4}},
	{SOURCE_SPIFFE, {0}, {(const uint8_t *)"spiffe://td/ns/shop/sa/cart", 27}},
	{SOURCE_SPIFFE, {0}, {(const uint8_t *)"spiffe://td/ns/shop/*", 21}},
	{SOURCE_SPIFFE, {0}, {(const uint8_t *)"spiffe://td/*", 13}},
	{SOURCE_SPIFFE, {0}, {(const uint8_t *)"spiffe://*", 10}},
	{SOURCE_SPIFFE, {0}, {(const uint8_t *)"spiffe://td2/ns/shop/sa/cart", 28}},
	{SOURCE_SPIFFE, {0}, {(const uint8_t *)"malformed", 9}},
	{.type = SOURCE_GATEWAY},
	{.type = SOURCE_NODE},
	{.type = SOURCE_UNAUTHENTICATED},
};

static const struct principal principals[] = {
	{PRINCIPAL_WORKLOAD,
	 {(const uint8_t *)"td", 2},
	 {(const uint8_t *)"shop", 4},
	 {(const uint8_t *)"cart", 4},
	 {0},
	 {0}},
	{PRINCIPAL_WORKLOAD,
	 {(const uint8_t *)"td", 2},
	 {(const uint8_t *)"shop", 4},
	 {(const uint8_t *)"pay", 3},
	 {0},
	 {0}},
	{PRINCIPAL_WORKLOAD,
	 {(const uint8_t *)"td2", 3},
	 {(const uint8_t *)"bank", 4},
	 {(const uint8_t *)"cart", 4},
	 {0},
	 {0}},
	{.type = PRINCIPAL_GATEWAY},
	{.type = PRINCIPAL_NODE},
	{.type = PRINCIPAL_UNAUTHENTICATED},
	{.type = PRINCIPAL_UNKNOWN},
};

static const char *const payloads[TOKENS] = {
	"{}",
	"{\"sub\":\"alice\",\"scope\":\"read write\",\"admin\":true}",
	"{\"sub\":\"bob\",\"teams\":[\"core\",\"ops\",3],\"scp\":[\"read\"]}",
	"{\"teams\":\"core\",\"team\":{\"name\":\"ops\"},\"scope\":\"admin\"}",
	"{\"sub\":[\"alice\",\"bob\"],\"team\":{\"name\":[\"core\",\"alice\"]},\"admin\":3}",
	"{\"sub\":\"core\",\"teams\":[],\"team.name\":\"bob\",\"scp\":\"write admin\"}",
	"{\"sub\":{\"sub\":\"bob\"},\"teams\":[true,\"alice\"],\"admin\":\"true\",\"scp\":\"\"}",
};

// ---- random policies ---------------------------------------------------------------------------

struct lists {
	struct ss_source sources[LIST_MAX];
	struct cidr cidrs[LIST_MAX];
	uint16_t ports[LIST_MAX];
	struct slice methods[LIST_MAX], hosts[LIST_MAX], scopes[LIST_MAX];
	struct ss_path_match paths[LIST_MAX];
	struct ss_header_match headers[LIST_MAX];
	struct ss_claim_match claims[LIST_MAX];
	struct slice values[2 * LIST_MAX][LIST_MAX];
};

static struct ss_rule rules[RULES_MAX];
static struct lists lists[RULES_MAX];
static struct ss_group groups[4];
static char names[RULES_MAX][16];
static uint32_t density; // of 16: how often a rule has an attribute

// How many of a list a rule has; mostly none.
static uint32_t some(void)
{
	return below(16) < density ? 1 + below(LIST_MAX) : 0;
}

static uint32_t fill_texts(struct slice *to, const char *const *from, uint32_t count, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] = slice_str(from[below(count)]);
	return n;
}

static void random_connection_part(struct ss_rule *r, struct lists *l)
{
	r->source_count = some();
	for (uint32_t i = 0; i < r->source_count; i++)
		l->sources[i] = PICK(sources);
	r->client_cidr_count = some();
	for (uint32_t i = 0; i < r->client_cidr_count; i++)
		assert_int_equal(cidr_parse(slice_str(PICK(cidrs)), true, &l->cidrs[i]), ERR_OK);
	r->port_count = some();
	for (uint32_t i = 0; i < r->port_count; i++)
		l->ports[i] = PICK(ports);
	r->sources = l->sources;
	r->client_cidrs = l->cidrs;
	r->ports = l->ports;
}

static void random_request_part(struct ss_rule *r, struct lists *l)
{
	r->method_count = fill_texts(l->methods, methods, COUNT(methods), some());
	r->host_count = fill_texts(l->hosts, hosts, COUNT(hosts), some());
	r->path_count = some();
	for (uint32_t i = 0; i < r->path_count; i++)
		l->paths[i] = (struct ss_path_match){below(2) ? PATH_PREFIX : PATH_EXACT,
						     slice_str(PICK(paths))};
	r->header_count = some();
	for (uint32_t i = 0; i < r->header_count; i++) {
		uint32_t n = fill_texts(l->values[i], texts, COUNT(texts), below(LIST_MAX + 1));

		l->headers[i] =
			(struct ss_header_match){slice_str(PICK(header_names)), l->values[i], n};
	}
	r->methods = l->methods;
	r->hosts = l->hosts;
	r->paths = l->paths;
	r->headers = l->headers;
}

static void random_token_part(struct ss_rule *r, struct lists *l)
{
	r->jwt_provider = slice_str(PICK(providers));
	r->claim_count = below(LIST_MAX + 1);
	for (uint32_t i = 0; i < r->claim_count; i++) {
		struct slice *values = l->values[LIST_MAX + i];
		uint32_t n = fill_texts(values, texts, COUNT(texts), below(LIST_MAX + 1));

		l->claims[i] = (struct ss_claim_match){slice_str(PICK(claim_names)), values, n};
	}
	r->scope_count = fill_texts(l->scopes, scopes, COUNT(scopes), below(2) * below(LIST_MAX));
	r->claims = l->claims;
	r->scopes = l->scopes;
}

static void random_rule(uint32_t i, uint32_t group_count)
{
	struct ss_rule *r = &rules[i];

	snprintf(names[i], sizeof(names[i]), "r%u", i);
	*r = (struct ss_rule){
		.policy = i % 3 ? SLICE_LIT("p1") : SLICE_LIT("p2"),
		.name = slice_str(names[i]),
		.action = below(3) ? RULE_ALLOW : RULE_DENY,
		.mode = below(5) ? MODE_ENFORCE : MODE_AUDIT,
		.groups = below(1u << group_count),
	};
	random_connection_part(r, &lists[i]);
	if (below(16) < density)
		random_request_part(r, &lists[i]);
	if (below(24) < density)
		random_token_part(r, &lists[i]);
}

static struct ss_policy random_policy(uint32_t n)
{
	static const char *const targets[] = {"g0", "g1", "g2", "g3"};
	static const char *const defaults[] = {"d0", "d1", "d2", "d3"};
	bool large = n % LARGE_EVERY == 0;
	struct ss_policy p = {.rules = rules, .groups = groups};

	density = large ? 8 + below(4) : 2 + below(8);
	p.group_count = below(COUNT(groups) + 1);
	p.rule_count = large ? 60 + below(RULES_MAX - 60) : below(8);
	for (uint32_t i = 0; i < p.group_count; i++)
		groups[i] = (struct ss_group){.target = slice_str(targets[i]),
					      .default_action = below(2) ? RULE_ALLOW : RULE_DENY,
					      .default_policy = slice_str(defaults[i]),
					      .default_mode = below(4) ? MODE_ENFORCE : MODE_AUDIT};
	for (uint32_t i = 0; i < p.rule_count; i++)
		random_rule(i, p.group_count);
	return p;
}

// ---- the same in levels ------------------------------------------------------------------------

// Rules as a set has them: without groups, and with a name where the joined policy has the id that this
// means there.
struct levels {
	struct ss_rule rules[RULES_MAX];
	struct ss_set_ref refs[LEVELS_MAX];
	const struct policy_set *sets[LEVELS_MAX];
};

// Gives the rules of p to levels: from then on it is what those say joined.
static const struct policy *random_levels(struct ss_policy *p, struct levels *to, struct arena *a)
{
	struct slice ids[] = {slice_str(providers[0]), slice_str(providers[1])};
	struct ss_policy *of = arena_alloc(a, 1, sizeof(*of));
	const struct policy *own = NULL, *linked = NULL;
	uint32_t first = 0, count = 1 + below(LEVELS_MAX);

	*of = *p;
	of->rule_count = 0;
	of->sets = to->refs;
	of->set_count = count;
	of->provider_ids = ids;
	of->provider_count = COUNT(ids);
	for (uint32_t n = 0; n < count; n++) {
		uint32_t end =
			n + 1 == count ? p->rule_count : first + below(p->rule_count - first + 1);
		uint32_t mask = below(1u << p->group_count), meant = below(COUNT(ids));

		to->refs[n] = (struct ss_set_ref){.groups = mask, .providers = 1u << meant};
		for (uint32_t i = first; i < end; i++) {
			p->rules[i].groups = mask;
			to->rules[i] = p->rules[i];
			to->rules[i].groups = 0;
			if (p->rules[i].jwt_provider.len == 0)
				continue;
			p->rules[i].jwt_provider = ids[meant];
			to->rules[i].jwt_provider = SLICE_LIT("name");
		}
		assert_int_equal(policy_set_compile(&to->rules[first], end - first, a,
						    &to->sets[n]),
				 ERR_OK);
		first = end;
	}
	assert_int_equal(policy_compile(of, a, &own), ERR_OK);
	assert_int_equal(policy_link(own, to->sets, a, &linked), ERR_OK);
	return linked;
}

// ---- random inputs -----------------------------------------------------------------------------

static const char *const odd_values[] = {"alice, bob", "\"bob\"",   "core;q=1,\"ops\"", "true ,",
					 "",	       "\", alice", "\"x, core;y, z\"", "x\";bob"};
static const char *const odd_names[] = {"X_A", "x_b", "X-B"};

struct request {
	const char *headers[COUNT(header_names)]; // NULL: absent
	const char *odd_name, *odd_value;	  // one more field, by a name that is none of these
};

static struct jwt tokens[TOKENS];

static bool request_header(const void *headers, struct slice name, struct slice *value)
{
	const struct request *r = headers;

	for (size_t i = 0; i < COUNT(header_names); i++) {
		if (!r->headers[i] || !slice_eq_str(name, header_names[i]))
			continue;
		*value = slice_str(r->headers[i]);
		return true;
	}
	return false;
}

static bool request_field(const void *headers, uint32_t i, struct slice *name, struct slice *value)
{
	const struct request *r = headers;

	if (i > COUNT(header_names))
		return false;
	*name = slice_str(i < COUNT(header_names) ? header_names[i] : r->odd_name);
	*value = slice_str(i == COUNT(header_names) ? r->odd_value
			   : r->headers[i]	    ? r->headers[i]
						    : "");
	if (i < COUNT(header_names) && !r->headers[i])
		*name = slice_str("absent");
	return true;
}

static struct slice text_or_unknown(const char *text)
{
	return below(12) ? slice_str(text) : (struct slice){0};
}

static void random_input(struct policy_input *in, struct request *r, struct policy_token *more)
{
	const char *client = PICK(clients);

	*in = (struct policy_input){
		.source = &PICK(principals),
		.port = below(12) ? PICK(ports) : 0,
		.l7 = below(8) != 0,
		.method = text_or_unknown(PICK(methods)),
		.path = text_or_unknown(PICK(paths)),
		.host = text_or_unknown(hosts[below(4)]),
		.headers = r,
		.header = below(12) ? request_header : NULL,
		.field = below(12) ? request_field : NULL,
	};
	if (*client)
		assert_int_equal(addr_parse(slice_str(client), &in->client), ERR_OK);
	for (size_t i = 0; i < COUNT(header_names); i++)
		r->headers[i] = below(3) ? below(3) ? PICK(texts) : PICK(odd_values) : NULL;
	r->odd_name = PICK(odd_names);
	r->odd_value = below(2) ? PICK(texts) : PICK(odd_values);
	// No token, one, or one of each provider.
	uint32_t count = below(3);

	if (count > 0) {
		in->token = &PICK(tokens);
		in->token_provider = slice_str(providers[0]);
		in->token_name = SLICE_LIT("name");
	}
	if (count > 1) {
		*more = (struct policy_token){&PICK(tokens), slice_str(providers[1]),
					      SLICE_LIT("name"), 1};
		in->more_tokens = more;
		in->more_token_count = 1;
	}
}

// ---- comparison --------------------------------------------------------------------------------

static bool answers_equal(const struct policy_answer *a, const struct policy_answer *b)
{
	return a->action == b->action && slice_eq(a->policy, b->policy) &&
	       slice_eq(a->rule, b->rule) && slice_eq(a->target, b->target) &&
	       a->would_deny == b->would_deny && slice_eq(a->audit_policy, b->audit_policy) &&
	       slice_eq(a->audit_rule, b->audit_rule);
}

struct tally {
	uint32_t allowed, denied, by_rule, by_default, audited, by_address, hopeless;
};

// The prose of "at best": Deny rules that read nothing of the request count, and of Allow rules what they say of
// the connection.
static bool reference_hopeless(const struct ss_policy *p, const struct policy_input *in)
{
	static struct ss_rule kept[RULES_MAX];
	struct ss_policy best = *p;
	struct policy_answer a;

	best.rules = kept;
	best.rule_count = 0;
	for (uint32_t i = 0; i < p->rule_count; i++) {
		const struct ss_rule *r = &p->rules[i];
		struct ss_rule *k = &kept[best.rule_count];
		bool reads = r->jwt_provider.len || r->claim_count || r->scope_count ||
			     r->header_count || r->method_count || r->path_count || r->host_count;

		if (reads && r->action == RULE_DENY)
			continue;
		*k = *r;
		k->jwt_provider = (struct slice){0};
		k->claim_count = k->scope_count = k->header_count = 0;
		k->method_count = k->path_count = k->host_count = 0;
		best.rule_count++;
	}
	reference_evaluate(&best, in, &a);
	return a.action == RULE_DENY;
}

// With what was found before, of the request with another path, the answer is the same.
static void check_rest(const struct policy *compiled, const struct policy_input *in,
		       const struct policy_answer *wanted)
{
	static uint8_t block[64 << 10];
	struct policy_input other = *in;
	struct policy_answer got;
	struct arena a;

	arena_init_fixed(&a, block, sizeof(block));
	other.path = slice_str(PICK(paths));
	other.rest = policy_rest_of(compiled, &other, &a);
	assert_non_null(other.rest);
	other.path = in->path;
	policy_evaluate(compiled, &other, &got);
	assert_true(answers_equal(&got, wanted));
}

static void compare(const struct ss_policy *p, const struct policy *compiled, uint32_t n,
		    struct tally *t)
{
	struct policy_answer got, wanted;
	struct policy_token more;
	struct policy_input in;
	struct request r;

	random_input(&in, &r, &more);
	policy_evaluate(compiled, &in, &got);
	reference_evaluate(p, &in, &wanted);
	if (!answers_equal(&got, &wanted))
		fail_msg("policy %u: %s by %.*s/%.*s/%.*s instead of %s by %.*s/%.*s/%.*s", n,
			 got.action ? "allow" : "deny", SLICE_ARG(got.policy), SLICE_ARG(got.rule),
			 SLICE_ARG(got.target), wanted.action ? "allow" : "deny",
			 SLICE_ARG(wanted.policy), SLICE_ARG(wanted.rule),
			 SLICE_ARG(wanted.target));
	if (in.l7)
		check_rest(compiled, &in, &got);
	const struct ss_rule *address = reference_address(p, &in);
	struct policy_answer by_address;

	assert_int_equal(policy_denies_address(compiled, &in, &by_address), address != NULL);
	if (address)
		assert_true(slice_eq(by_address.rule, address->name));
	struct policy_answer best;

	policy_evaluate_at_best(compiled, &in, &best);
	assert_int_equal(best.action == RULE_DENY, reference_hopeless(p, &in));
	if (best.action == RULE_DENY)
		assert_int_equal(got.action, RULE_DENY); // whatever was asked
	t->hopeless += best.action == RULE_DENY;
	t->by_address += address != NULL;
	t->allowed += got.action == RULE_ALLOW;
	t->denied += got.action == RULE_DENY;
	t->by_rule += got.rule.len > 0;
	t->by_default += got.rule.len == 0;
	t->audited += got.would_deny;
}

static void test_random(void **state)
{
	static uint8_t token_scratch[TOKENS][8192];
	static struct levels levels;
	struct tally t = {0};

	(void)state;
	for (int i = 0; i < TOKENS; i++) {
		struct arena a;

		arena_init_fixed(&a, token_scratch[i], sizeof(token_scratch[i]));
		assert_int_equal(jwt_parse(make(TOKEN_HEADER, payloads[i], strlen(payloads[i])), &a,
					   &tokens[i]),
				 JWT_OK);
	}
	for (uint32_t n = 0; n < POLICIES; n++) {
		const struct policy *compiled = NULL;
		struct arena a;

		seed = 0x9e3779b97f4a7c15ull * (n + 1);
		struct ss_policy p = random_policy(n);

		arena_init(&a, 16u << 20);
		assert_int_equal(policy_compile(&p, &a, &compiled), ERR_OK);
		for (int i = 0; i < INPUTS; i++)
			compare(&p, compiled, n, &t);
		compiled = random_levels(&p, &levels, &a);
		for (int i = 0; i < INPUTS; i++)
			compare(&p, compiled, n, &t);
		arena_deinit(&a);
	}
	// The random world is one in which everything happens often.
	assert_true(t.allowed > POLICIES / 4 && t.denied > POLICIES / 4);
	assert_true(t.by_rule > POLICIES / 4 && t.by_default > POLICIES / 4);
	assert_true(t.hopeless > POLICIES / 10 && t.hopeless < t.denied);
	assert_true(t.audited > POLICIES / 20 && t.by_address > POLICIES / 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
