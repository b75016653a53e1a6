// SPDX-License-Identifier: GPL-3.0-or-later
// What a token's claims are judged by, how rules find them, and that a copy says the same.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/jwt.h"
#include "support/token.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void test_check_claims(void **state)
{
	static struct slice audiences[] = {{(const uint8_t *)"shop", 4},
					   {(const uint8_t *)"mall", 4}};
	static const struct {
		const char *payload;
		int64_t now;
		enum jwt_refusal refusal;
	} rows[] = {
		{"{\"iss\":\"me\",\"aud\":\"shop\",\"exp\":1000,\"nbf\":500}", 700, JWT_OK},
		{"{\"iss\":\"me\",\"aud\":[\"x\",\"mall\"],\"exp\":1000}", 700, JWT_OK},
		{"{\"iss\":\"me\",\"aud\":\"shop\"}", 700, JWT_OK},
		{"{\"iss\":\"Me\",\"aud\":\"shop\"}", 700, JWT_ISSUER},
		{"{\"aud\":\"shop\"}", 700, JWT_ISSUER},
		{"{\"iss\":\"me\"}", 700, JWT_AUDIENCE},
		{"{\"iss\":\"me\",\"aud\":[]}", 700, JWT_AUDIENCE},
		{"{\"iss\":\"me\",\"aud\":\"shops\"}", 700, JWT_AUDIENCE},
		{"{\"iss\":\"me\",\"aud\":\"shop mall\"}", 700, JWT_AUDIENCE},
		// exp is the first second at which it is no longer good; ten seconds of skew.
		{"{\"iss\":\"me\",\"aud\":\"shop\",\"exp\":1000}", 1009, JWT_OK},
		{"{\"iss\":\"me\",\"aud\":\"shop\",\"exp\":1000}", 1010, JWT_EXPIRED},
		{"{\"iss\":\"me\",\"aud\":\"shop\",\"nbf\":500}", 490, JWT_OK},
		{"{\"iss\":\"me\",\"aud\":\"shop\",\"nbf\":500}", 489, JWT_NOT_YET_VALID},
		{"{\"iss\":\"me\",\"aud\":\"shop\",\"exp\":0}", 700, JWT_EXPIRED},
	};
	struct ss_provider p = {.issuer = SLICE_LIT("me"),
				.audiences = audiences,
				.audience_count = 2,
				.clock_skew_s = 10};
	struct jwt t;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(parse_payload(rows[i].payload, &t), JWT_OK);
		enum jwt_refusal r = jwt_check_claims(&t, &p, rows[i].now);

		if (r != rows[i].refusal)
			fail_msg("%s at %lld: %s", rows[i].payload, (long long)rows[i].now,
				 jwt_refusal_name(r));
	}
	// A provider that names neither does not ask.
	struct ss_provider open = {0};

	assert_int_equal(parse_payload("{}", &t), JWT_OK);
	assert_int_equal(jwt_check_claims(&t, &open, 700), JWT_OK);
}

static bool claim(const struct jwt *t, const char *name, const char *value)
{
	struct slice v = slice_str(value);
	struct ss_claim_match m = {slice_str(name), &v, 1};

	return jwt_claim_matches(t, &m);
}

static const char claims[] =
	"{\"sub\":\"alice\",\"n\":3,\"neg\":-4,\"big\":18446744073709551615,\"real\":1.5,\"yes\":"
	"true,"
	"\"no\":false,\"null\":null,\"list\":[\"a\",\"b c\",7,null,[\"deep\"],{\"x\":\"y\"}],"
	"\"empty\":[],\"o\":{\"p\":{\"q\":\"r\",\"list\":[\"s\"]},\"p.q\":\"dotted\"},"
	"\"https://example.com/roles\":[\"owner\"],\"kubernetes.io\":{\"namespace\":\"shop\"},"
	"\"o.p\":\"not an object\",\"esc\\u0061pe\":\"\\u00e4\\n\"}";

static void check_claims(const struct jwt *t)
{
	static const struct {
		const char *name, *value;
		bool matches;
	} rows[] = {
		{"sub", "alice", true},
		{"sub", "Alice", false},
		{"sub", "alic", false},
		{"su", "alice", false},
		{"n", "3", true},
		{"n", "3.0", false},
		{"neg", "-4", true},
		{"big", "18446744073709551615", true},
		{"big", "-1", false},
		{"real", "1.5", false},
		{"yes", "true", true},
		{"no", "false", true},
		{"no", "true", false},
		{"null", "null", false},
		{"null", "", false},
		{"list", "a", true},
		{"list", "b c", true},
		{"list", "b", false},
		{"list", "7", true},
		{"list", "deep", false},
		{"list", "y", false},
		{"empty", "", false},
		{"o", "r", false},
		{"o.p", "not an object", true},
		{"o.p.q", "dotted", true}, // the longest member name
		{"o.p.list", "s", true},
		{"https://example.com/roles", "owner", true},
		{"kubernetes.io.namespace", "shop", true},
		{"kubernetes.io", "shop", false},
		{"escape", "\xc3\xa4\n", true},
		{"x", "y", false},
		{"list.x", "y", false},
		{"", "", false},
		{".", "", false},
		{"o.", "", false},
		{"absent", "", false},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		if (claim(t, rows[i].name, rows[i].value) != rows[i].matches)
			fail_msg("%s %s", rows[i].name, rows[i].value);
	}
}

static void test_claims(void **state)
{
	struct ss_claim_match present = {SLICE_LIT("null"), NULL, 0};
	struct slice both[] = {SLICE_LIT("x"), SLICE_LIT("alice")};
	struct ss_claim_match any = {SLICE_LIT("sub"), both, 2};
	struct jwt t;

	(void)state;
	assert_int_equal(parse_payload(claims, &t), JWT_OK);
	check_claims(&t);
	assert_true(jwt_claim_matches(&t, &present));
	present.name = SLICE_LIT("nil");
	assert_false(jwt_claim_matches(&t, &present));
	assert_true(jwt_claim_matches(&t, &any));
}

static void test_scopes(void **state)
{
	static const struct {
		const char *payload;
		const char *scope;
		bool has;
	} rows[] = {
		{"{\"scope\":\"read write\"}", "read", true},
		{"{\"scope\":\"read write\"}", "write", true},
		{"{\"scope\":\"read  write \"}", "write", true},
		{"{\"scope\":\"read write\"}", "writ", false},
		{"{\"scope\":\"read write\"}", "read write", false},
		{"{\"scope\":\"read write\"}", "", false},
		{"{\"scope\":\"\"}", "", false},
		{"{\"scp\":[\"read\",\"write\"]}", "write", true},
		{"{\"scp\":\"read write\"}", "write", true},
		{"{\"scope\":[\"read\"],\"scp\":\"write\"}", "write", true},
		{"{\"scope\":\"read\",\"scp\":[\"write\"]}", "read", true},
		{"{\"scope\":{\"read\":true}}", "read", false},
		{"{\"scopes\":\"read\"}", "read", false},
		{"{}", "read", false},
	};
	struct jwt t;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(parse_payload(rows[i].payload, &t), JWT_OK);
		if (jwt_has_scope(&t, slice_str(rows[i].scope)) != rows[i].has)
			fail_msg("%s %s", rows[i].payload, rows[i].scope);
	}
}

// A copy says the same when what it was made of has gone.
static void test_clone(void **state)
{
	struct jwt t, *copy;
	void *memory;

	(void)state;
	assert_int_equal(parse_payload(claims, &t), JWT_OK);
	memory = malloc(jwt_clone_bytes(&t)); // exactly: a sanitizer sees one byte more
	copy = jwt_clone(&t, memory);
	memset(scratch, 0xa5, sizeof(scratch));
	memset(token, 0xa5, sizeof(token));
	check_claims(copy);
	assert_int_equal(copy->alg, JWT_ES256);
	assert_int_equal(copy->signature.len, 0);
	assert_int_equal(copy->signing_input.len, 0);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_claims),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_scopes),
		cmocka_unit_test(test_clone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
