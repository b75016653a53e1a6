// SPDX-License-Identifier: GPL-3.0-or-later
// Tokens in requests: which are good and why not, where they are looked for, which provider accepts them,
// what the cache keeps and when it forgets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/decide_world.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define ISSUER	    "https://issuer.example"
#define OTHER	    "https://other.example"

static void check(struct world *w, enum jwt_refusal refusal)
{
	struct decision d = world_request(w);
	enum verdict verdict = refusal == JWT_OK ? VERDICT_ALLOW : VERDICT_UNAUTHENTICATED;

	if (d.verdict != verdict || d.jwt != refusal)
		fail_msg("%s %s %s", verdict_name(d.verdict), decide_reason_name(d.reason),
			 jwt_refusal_name(d.jwt));
	if (refusal == JWT_OK)
		return;
	assert_int_equal(d.reason, DECIDE_JWT);
	assert_true(slice_eq_str(d.policy, "SecurityPolicy/shop/jwt"));
	assert_int_equal(decide_status(&d), 401);
}

static const struct {
	const char *name, *token;
	enum jwt_refusal refusal;
} rows[] = {
	{"good", TOKEN_GOOD, JWT_OK},
	{"RS256", TOKEN_GOOD_RS256, JWT_OK},
	{"EdDSA", TOKEN_GOOD_EDDSA, JWT_OK},
	{"no kid", TOKEN_GOOD_NO_KID, JWT_OK},
	{"no exp", TOKEN_GOOD_NO_EXP, JWT_OK},
	{"large", TOKEN_GOOD_LARGE, JWT_OK},
	{"just expired, within skew", TOKEN_EXPIRED_JUST, JWT_OK},
	{"expired", TOKEN_EXPIRED, JWT_EXPIRED},
	{"not yet valid", TOKEN_EARLY, JWT_NOT_YET_VALID},
	{"issuer", TOKEN_ISSUER, JWT_ISSUER},
	{"no issuer", TOKEN_NO_ISSUER, JWT_ISSUER},
	{"audience", TOKEN_AUDIENCE, JWT_AUDIENCE},
	{"no audience", TOKEN_NO_AUDIENCE, JWT_AUDIENCE},
	{"wrong key", TOKEN_STRANGER, JWT_SIGNATURE},
	{"unknown key", TOKEN_STRANGER_KID, JWT_NO_KEY},
	{"crit", TOKEN_CRIT, JWT_MALFORMED},
	{"none", TOKEN_NONE, JWT_ALGORITHM},
	{"HS256 with the public key", TOKEN_HS256, JWT_ALGORITHM},
	{"another issuer's", TOKEN_OTHER, JWT_ISSUER},
	{"rubbish", "rubbish", JWT_MALFORMED},
	{"two", TOKEN_GOOD "," TOKEN_GOOD, JWT_MALFORMED},
	{"cut", "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIn0.eyJpc3MiOiJ4In0", JWT_MALFORMED},
	{"missing", "", JWT_MISSING},
};

static void check_all(struct world *w)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		world_bearer(w, rows[i].token);
		check(w, rows[i].refusal);
	}
}

// Without a cache, with a cold one, with a warm one: the same answers.
static void test_tokens(void **state)
{
	struct world *w = *state;

	world_provider(w, 0, "idp", ISSUER);
	world_link(w);
	check_all(w);
	w->context.tokens = token_cache_new(64, 1);
	check_all(w);
	check_all(w);
	check_all(w);
}

static void test_tampered(void **state)
{
	static char text[2048];
	struct world *w = *state;
	size_t len = strlen(TOKEN_GOOD);

	world_provider(w, 0, "idp", ISSUER);
	world_link(w);
	w->context.tokens = token_cache_new(64, 1);
	world_bearer(w, TOKEN_GOOD);
	check(w, JWT_OK);
	for (size_t i = 0; i < len; i++) {
		strcpy(text, TOKEN_GOOD);
		text[i] = text[i] == 'A' ? 'B' : 'A';
		world_bearer(w, text);
		struct decision d = world_request(w);

		// The cache does not help a token that is almost the one it holds.
		assert_int_equal(d.verdict, VERDICT_UNAUTHENTICATED);
	}
}

static void test_optional(void **state)
{
	struct world *w = *state;

	world_provider(w, 0, "idp", ISSUER);
	w->policy.jwt_optional = true;
	world_link(w);
	struct decision d = world_request(w);

	assert_int_equal(d.verdict, VERDICT_ALLOW);
	assert_int_equal(d.jwt, JWT_MISSING);
	// Optional means that it may be absent, not that it may be bad.
	world_bearer(w, TOKEN_EXPIRED);
	check(w, JWT_EXPIRED);
	world_bearer(w, TOKEN_GOOD);
	check(w, JWT_OK);
	// Another scheme is no token at all.
	w->header_values[0] = "Basic YTpi";
	assert_int_equal(world_request(w).verdict, VERDICT_ALLOW);
}

static void test_header_forms(void **state)
{
	static char text[2048];
	struct world *w = *state;
	static const char *const good[] = {"Bearer %s", "bearer %s", "BEARER %s", "Bearer   %s",
					   "Bearer %s "};
	static const char *const missing[] = {"Bearer", "Bearer ", "Token %s", "%s", "Bearer\t%s"};

	world_provider(w, 0, "idp", ISSUER);
	world_link(w);
	w->header_names[0] = "authorization";
	w->header_values[0] = text;
	for (size_t i = 0; i < COUNT(good); i++) {
		sprintf(text, good[i], TOKEN_GOOD);
		check(w, JWT_OK);
	}
	for (size_t i = 0; i < COUNT(missing); i++) {
		sprintf(text, missing[i], TOKEN_GOOD);
		check(w, JWT_MISSING);
	}
	w->header_names[0] = "proxy-authorization";
	sprintf(text, good[0], TOKEN_GOOD);
	check(w, JWT_MISSING);
	w->in.header = NULL; // nothing can be read
	check(w, JWT_MISSING);
}

static void test_header_sources(void **state)
{
	struct world *w = *state;
	struct ss_header_source sources[] = {{SLICE_LIT("x-token"), {0}},
					     {SLICE_LIT("x-auth"), SLICE_LIT("JWT ")}};

	world_provider(w, 0, "idp", ISSUER);
	w->providers[0].headers = sources;
	w->providers[0].header_count = 2;
	world_link(w);
	world_bearer(w, TOKEN_GOOD);
	check(w, JWT_MISSING);
	w->header_names[1] = "x-token";
	w->header_values[1] = TOKEN_GOOD;
	check(w, JWT_OK);
	w->header_names[1] = "x-auth";
	w->header_values[1] = "JWT " TOKEN_GOOD;
	check(w, JWT_OK);
}

// Any provider of the policy may accept; the refusal is that of the one that got furthest.
static void test_two_providers(void **state)
{
	struct world *w = *state;

	world_provider(w, 0, "idp", ISSUER);
	world_provider(w, 1, "other", OTHER);
	w->keys[1][0] = jws_key(&w->arena, &KEY_OTHER);
	w->providers[1].key_count = 1;
	w->context.tokens = token_cache_new(64, 1);
	world_link(w);
	for (int i = 0; i < 3; i++) {
		world_bearer(w, TOKEN_GOOD);
		check(w, JWT_OK);
		world_bearer(w, TOKEN_OTHER);
		check(w, JWT_OK);
		world_bearer(w, TOKEN_EXPIRED);
		check(w, JWT_EXPIRED);
		world_bearer(w, TOKEN_STRANGER);
		check(w, JWT_SIGNATURE);
		world_bearer(w, TOKEN_ISSUER);
		check(w, JWT_ISSUER);
	}
}

static void rule_needs(struct world *w, const char *provider, const char *subject)
{
	static struct slice value;
	static struct ss_claim_match claim = {{(const uint8_t *)"sub", 3}, &value, 1};

	uint32_t i = 0;

	while (i + 1 < w->provider_count && !slice_eq_str(w->providers[i].name, provider))
		i++;
	value = slice_str(subject);
	w->rules[0] = (struct ss_rule){
		.policy = SLICE_LIT("p"),
		.name = SLICE_LIT("r"),
		.action = RULE_ALLOW,
		.groups = 1,
		.jwt_provider = w->providers[i].id,
		.claims = &claim,
		.claim_count = 1,
	};
	w->policy.rule_count = 1;
	w->group.default_action = RULE_DENY;
	world_link(w);
}

// Rules read the token of the provider that they name, also when it comes from the cache, and when
// a request carries a second token.
static void test_claims(void **state)
{
	struct world *w = *state;
	struct ss_header_source header = {SLICE_LIT("x-token"), {0}};

	world_provider(w, 0, "idp", ISSUER);
	world_provider(w, 1, "other", OTHER);
	w->keys[1][0] = jws_key(&w->arena, &KEY_OTHER);
	w->providers[1].headers = &header;
	w->providers[1].header_count = 1;
	w->context.tokens = token_cache_new(64, 1);
	for (int i = 0; i < 3; i++) {
		rule_needs(w, "idp", "alice");
		world_bearer(w, TOKEN_GOOD);
		assert_int_equal(world_request(w).verdict, VERDICT_ALLOW);
		world_bearer(w, TOKEN_GOOD_BOB);
		assert_int_equal(world_request(w).verdict, VERDICT_DENY);
		rule_needs(w, "other", "carol");
		assert_int_equal(world_request(w).verdict, VERDICT_DENY);
		w->header_names[1] = "x-token";
		w->header_values[1] = TOKEN_OTHER;
		assert_int_equal(world_request(w).verdict, VERDICT_ALLOW);
		rule_needs(w, "idp", "bob");
		assert_int_equal(world_request(w).verdict, VERDICT_ALLOW);
		rule_needs(w, "idp", "carol");
		assert_int_equal(world_request(w).verdict, VERDICT_DENY);
		// One that is bad beside one that is good is as if it were not there.
		w->header_values[1] = TOKEN_STRANGER;
		assert_int_equal(world_request(w).verdict, VERDICT_DENY);
		rule_needs(w, "idp", "bob");
		assert_int_equal(world_request(w).verdict, VERDICT_ALLOW);
		w->header_names[1] = NULL;
	}
}

// What the caller left in its input as a token does not count.
static void test_given_token_is_ignored(void **state)
{
	struct world *w = *state;
	static uint8_t block[65536];
	struct arena a;
	struct jwt forged;

	arena_init_fixed(&a, block, sizeof(block));
	assert_int_equal(jwt_parse(slice_str(TOKEN_STRANGER), &a, &forged), JWT_OK);
	world_provider(w, 0, "idp", ISSUER);
	w->policy.jwt_optional = true;
	rule_needs(w, "idp", "alice");
	struct policy_token more = {.jwt = &forged, .provider = w->providers[0].id};

	w->in.token = &forged;
	w->in.token_provider = w->providers[0].id;
	w->in.more_tokens = &more;
	w->in.more_token_count = 1;
	assert_int_equal(world_request(w).verdict, VERDICT_DENY);
}

// Two Services select the pod, and each asks for a token of its own: one is not enough, whichever it is, and
// what refuses is named.
static void test_every_group_gets_its_token(void **state)
{
	struct world *w = *state;
	struct ss_header_source header = {SLICE_LIT("x-token"), {0}};
	struct ss_group groups[2] = {w->group, w->group};
	struct decision d;

	world_provider(w, 0, "idp", ISSUER);
	world_provider(w, 1, "other", OTHER);
	w->keys[1][0] = jws_key(&w->arena, &KEY_OTHER);
	w->providers[1].headers = &header;
	w->providers[1].header_count = 1;
	w->policy.groups = groups;
	w->policy.group_count = 2;
	for (uint32_t i = 0; i < 2; i++) {
		groups[i].providers = 1u << i;
		groups[i].jwt_policy = i ? SLICE_LIT("P/b") : SLICE_LIT("P/a");
	}
	w->context.tokens = token_cache_new(64, 1);
	world_link(w);
	for (int i = 0; i < 2; i++) { // the second time from the cache
		w->header_names[0] = w->header_names[1] = NULL;
		d = world_request(w);
		assert_int_equal(d.verdict, VERDICT_UNAUTHENTICATED);
		assert_int_equal(d.jwt, JWT_MISSING);
		assert_true(slice_eq_str(d.policy, "P/a"));
		world_bearer(w, TOKEN_GOOD);
		d = world_request(w);
		assert_int_equal(d.verdict, VERDICT_UNAUTHENTICATED);
		assert_int_equal(d.jwt, JWT_MISSING);
		assert_true(slice_eq_str(d.policy, "P/b"));
		w->header_names[1] = "x-token";
		w->header_values[1] = TOKEN_STRANGER;
		d = world_request(w);
		assert_int_equal(d.verdict, VERDICT_UNAUTHENTICATED);
		assert_int_not_equal(d.jwt,
				     JWT_MISSING); // the second one's refusal, not the first's
		assert_true(slice_eq_str(d.policy, "P/b"));
		w->header_values[1] = TOKEN_OTHER;
		assert_int_equal(world_request(w).verdict, VERDICT_ALLOW);
		w->header_names[0] = NULL;
		d = world_request(w);
		assert_int_equal(d.verdict, VERDICT_UNAUTHENTICATED);
		assert_true(slice_eq_str(d.policy, "P/a"));
	}
	// One that is optional may be missing, and may not be bad.
	groups[1].jwt_optional = true;
	world_link(w);
	world_bearer(w, TOKEN_GOOD);
	w->header_names[1] = NULL;
	assert_int_equal(world_request(w).verdict, VERDICT_ALLOW);
	w->header_names[1] = "x-token";
	w->header_values[1] = TOKEN_STRANGER;
	assert_int_equal(world_request(w).verdict, VERDICT_UNAUTHENTICATED);
	// A group that asks for nothing leaves it to the others.
	groups[0].providers = 0;
	w->header_names[0] = w->header_names[1] = NULL;
	world_link(w);
	assert_int_equal(world_request(w).verdict, VERDICT_ALLOW);
	groups[1].jwt_optional = false;
	world_link(w);
	assert_int_equal(world_request(w).verdict, VERDICT_UNAUTHENTICATED);
}

// A provider that the policy does not have: such a snapshot is refused.
static void test_groups_ask_for_what_there_is(void **state)
{
	struct world *w = *state;
	const struct policy *compiled;

	world_provider(w, 0, "idp", ISSUER);
	w->group.providers = 1;
	assert_int_equal(policy_compile(&w->policy, &w->arena, &compiled), ERR_OK);
	w->group.providers = 2;
	assert_int_equal(policy_compile(&w->policy, &w->arena, &compiled), ERR_MALFORMED);
}

static void test_no_keys(void **state)
{
	struct world *w = *state;

	world_provider(w, 0, "idp", ISSUER);
	w->providers[0].key_count = 0;
	world_link(w);
	// No token: 401. A token that nobody can judge: that is our fault, not the client's.
	check(w, JWT_MISSING);
	world_bearer(w, TOKEN_GOOD);
	struct decision d = world_request(w);

	assert_int_equal(d.verdict, VERDICT_BROKEN);
	assert_int_equal(d.reason, DECIDE_POLICY_INVALID);
	assert_true(slice_eq_str(d.policy, "SecurityPolicy/shop/jwt"));
	// Another provider's good word is enough.
	world_provider(w, 1, "second", ISSUER);
	world_link(w);
	check(w, JWT_OK);
}

// One request costs four signature checks at most.
static void test_signature_budget(void **state)
{
	struct world *w = *state;

	world_provider(w, 0, "idp", ISSUER);
	for (uint32_t wrong = 0; wrong < 6; wrong++) {
		for (uint32_t i = 0; i < wrong; i++) {
			w->keys[0][i] = jws_key(&w->arena, &KEY_OTHER);
			w->keys[0][i].kid = (struct slice){0};
		}
		w->keys[0][wrong] = jws_key(&w->arena, &KEY_ES256);
		w->keys[0][wrong].kid = (struct slice){0};
		w->providers[0].key_count = wrong + 1;
		world_link(w);
		world_bearer(w, TOKEN_GOOD_NO_KID);
		check(w, wrong < 4 ? JWT_OK : JWT_SIGNATURE);
	}
	// The one that bears the token's kid is tried first.
	w->keys[0][5].kid = SLICE_LIT("k1");
	world_link(w);
	world_bearer(w, TOKEN_GOOD);
	check(w, JWT_OK);
}

static void test_small_arena(void **state)
{
	struct world *w = *state;

	world_provider(w, 0, "idp", ISSUER);
	world_link(w);
	world_bearer(w, TOKEN_GOOD);
	arena_init_fixed(&w->scratch_arena, w->scratch, 1024);
	check(w, JWT_TOO_LARGE);
}

// ---- the cache ---------------------------------------------------------------------------------

static void test_cache_keeps(void **state)
{
	struct world *w = *state;
	uint8_t digest[32];

	world_provider(w, 0, "idp", ISSUER);
	w->context.tokens = token_cache_new(64, 1);
	world_link(w);
	world_bearer(w, TOKEN_GOOD);
	check(w, JWT_OK);
	memcpy(digest, snapshot_section_of(w->snapshot, SECTION_PROVIDERS)->sha256, 32);
	// Another key under the same digest, which cannot be: that it is still accepted shows that no
	// signature was checked.
	w->keys[0][0] = jws_key(&w->arena, &KEY_OTHER);
	w->keys[0][0].kid = SLICE_LIT("k1");
	w->providers_sha256 = digest;
	world_link(w);
	check(w, JWT_OK);
	// And without the cache it is not.
	struct token_cache *kept = w->context.tokens;

	w->context.tokens = NULL;
	check(w, JWT_SIGNATURE);
	w->context.tokens = kept;
	// With the digest that it really has, the entry does not count.
	w->providers_sha256 = NULL;
	world_link(w);
	check(w, JWT_SIGNATURE);
}

static void test_cache_asks_the_rest_again(void **state)
{
	struct world *w = *state;
	struct slice mall = SLICE_LIT("mall");

	world_provider(w, 0, "idp", ISSUER);
	w->context.tokens = token_cache_new(64, 1);
	world_link(w);
	world_bearer(w, TOKEN_GOOD);
	check(w, JWT_OK);
	w->context.now_unix_s = 2000000059; // exp and 59 s
	check(w, JWT_OK);
	w->context.now_unix_s = 2000000060;
	check(w, JWT_EXPIRED);
	w->context.now_unix_s = 1599999000;
	check(w, JWT_NOT_YET_VALID);
	w->context.now_unix_s = NOW_UNIX_S;
	w->providers[0].audiences = &mall;
	world_link(w);
	check(w, JWT_AUDIENCE);
}

// The same token in the header that another provider reads: what was not asked then is asked now.
static void test_cache_knows_whom_it_asked(void **state)
{
	struct world *w = *state;
	struct ss_header_source header = {SLICE_LIT("x-token"), {0}};

	world_provider(w, 0, "idp", ISSUER);
	world_provider(w, 1, "second", ISSUER);
	w->providers[1].headers = &header;
	w->providers[1].header_count = 1;
	w->context.tokens = token_cache_new(64, 1);
	rule_needs(w, "second", "alice");
	for (int i = 0; i < 3; i++) {
		world_bearer(w, TOKEN_GOOD);
		w->header_names[1] = NULL;
		assert_int_equal(world_request(w).verdict, VERDICT_DENY);
		w->header_names[0] = NULL;
		w->header_names[1] = "x-token";
		w->header_values[1] = TOKEN_GOOD;
		assert_int_equal(world_request(w).verdict, VERDICT_ALLOW);
	}
}

// What one policy's providers accept says nothing about another policy's.
static void test_cache_knows_providers(void **state)
{
	struct world *w = *state;

	world_provider(w, 0, "idp", ISSUER);
	world_provider(w, 1, "other", ISSUER); // same issuer, but a key of its own
	w->keys[1][0] = jws_key(&w->arena, &KEY_OTHER);
	w->keys[1][0].kid = SLICE_LIT("k1");
	w->context.tokens = token_cache_new(64, 1);
	w->policy.provider_count = 1;
	world_link(w);
	world_bearer(w, TOKEN_GOOD);
	check(w, JWT_OK);
	check(w, JWT_OK);
	w->provider_ids[0] = w->providers[1].id;
	world_link(w); // the providers' section has not changed
	check(w, JWT_SIGNATURE);
	w->provider_ids[0] = w->providers[0].id;
	w->provider_ids[1] = w->providers[1].id;
	w->policy.provider_count = 2;
	world_link(w);
	check(w, JWT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tokens, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_tampered, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_optional, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_header_forms, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_header_sources, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_two_providers, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_claims, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_given_token_is_ignored, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_every_group_gets_its_token, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_groups_ask_for_what_there_is, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_no_keys, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_signature_budget, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_small_arena, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_cache_keeps, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_cache_asks_the_rest_again, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_cache_knows_whom_it_asked, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_cache_knows_providers, world_setup,
						world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
