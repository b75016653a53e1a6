// SPDX-License-Identifier: GPL-3.0-or-later
// The form of tokens and their limits. Claims: test_jwt_claims.c; signatures: unit/io/test_crypto.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/jwt.h"
#include "support/jws.h"
#include "support/token.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
static void check_payload(const char *payload, enum jwt_refusal wanted)
{
	struct jwt t;
	enum jwt_refusal r = parse_payload(payload, &t);

	if (r != wanted)
		fail_msg("%.80s: %s instead of %s", payload, jwt_refusal_name(r),
			 jwt_refusal_name(wanted));
}

static void check_header(const char *header, enum jwt_refusal wanted)
{
	struct jwt t;
	enum jwt_refusal r = parse(make(header, "{}", 2), &t);

	if (r != wanted)
		fail_msg("%s: %s instead of %s", header, jwt_refusal_name(r),
			 jwt_refusal_name(wanted));
}

static void test_rfc7515_a3(void **state)
{
	struct jwt t;

	(void)state;
	assert_string_equal(jws_good[1].name, "RFC 7515 A.3");
	assert_int_equal(parse(slice_str(jws_good[1].token), &t), JWT_OK);
	assert_int_equal(t.alg, JWT_ES256);
	assert_int_equal(t.kid.len, 0);
	assert_true(slice_eq_str(t.issuer, "joe"));
	assert_int_equal(t.expires_unix_s, 1300819380);
	assert_int_equal(t.not_before_unix_s, INT64_MIN);
	assert_int_equal(t.signature.len, 64);
	assert_int_equal(t.signature.ptr[0], 14);
	assert_int_equal(t.signature.ptr[63], 213);
	assert_ptr_equal(t.signing_input.ptr, jws_good[1].token);
	assert_int_equal(t.signing_input.len, strrchr(jws_good[1].token, '.') - jws_good[1].token);
}

// All that verify parse, but for the RFCs whose payload is no JSON.
static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(jws_good); i++) {
		const struct jws_vector *v = &jws_good[i];
		struct jwt t;
		enum jwt_refusal r = parse(slice_str(v->token), &t);

		if (strncmp(v->name, "RFC 7520", 8) == 0 || strcmp(v->name, "RFC 8037 A.4") == 0 ||
		    strcmp(v->name, "RFC 7515 A.4") == 0) {
			assert_int_equal(r, JWT_MALFORMED);
			continue;
		}
		assert_int_equal(r, JWT_OK);
		assert_int_equal(t.alg, v->alg);
		struct ss_jwk key = jws_key(&arena, &v->key);

		assert_true(jwt_key_fits(&t, &key));
	}
}

static void test_base64url(void **state)
{
	static const struct {
		const char *text;
		const char *bytes; // NULL: refused
	} rows[] = {
		{"", ""},
		{"Zg", "f"},
		{"Zm8", "fo"},
		{"Zm9v", "foo"},
		{"Zm9vYg", "foob"},
		{"-_-_", "\xfb\xff\xbf"},
		{"Zg==", NULL},
		{"Zm8=", NULL},
		{"Z", NULL},
		{"Zm9vY", NULL},
		{"Zh", NULL},
		{"Zm9", NULL},
		{"Zm9v\n", NULL},
		{" Zm9v", NULL},
		{"Zm9+", NULL},
		{"Zm9/", NULL},
		{"Zm 9v", NULL},
		{"Zm9.", NULL},
		{"\xc3\xa4zz", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice out;

		arena_init_fixed(&arena, scratch, sizeof(scratch));
		bool good = jwt_base64url(slice_str(rows[i].text), &arena, &out);

		if (good != (rows[i].bytes != NULL))
			fail_msg("%s", rows[i].text);
		if (good)
			assert_true(slice_eq_str(out, rows[i].bytes));
	}
}

static void test_shape(void **state)
{
	static const struct {
		const char *text;
		enum jwt_refusal refusal;
	} rows[] = {
		{"", JWT_MISSING},
		{".", JWT_MALFORMED},
		{"..", JWT_MALFORMED},
		{"eyJhbGciOiJFUzI1NiJ9", JWT_MALFORMED},
		{"eyJhbGciOiJFUzI1NiJ9.", JWT_MALFORMED},
		{"eyJhbGciOiJFUzI1NiJ9.e30", JWT_MALFORMED},
		{"eyJhbGciOiJFUzI1NiJ9.e30.", JWT_MALFORMED},
		{"eyJhbGciOiJFUzI1NiJ9.e30.c2ln", JWT_OK},
		{"eyJhbGciOiJFUzI1NiJ9.e30.c2ln.", JWT_MALFORMED},
		{"eyJhbGciOiJFUzI1NiJ9.e30.c2ln.c2ln", JWT_MALFORMED},
		{".e30.c2ln", JWT_MALFORMED},
		{"eyJhbGciOiJFUzI1NiJ9..c2ln", JWT_MALFORMED},
		{"eyJhbGciOiJFUzI1NiJ9.e30.c2ln ", JWT_MALFORMED},
		{" eyJhbGciOiJFUzI1NiJ9.e30.c2ln", JWT_MALFORMED},
		{"eyJhbGciOiJFUzI1NiJ9.e30.c2ln,eyJhbGciOiJFUzI1NiJ9.e30.c2ln", JWT_MALFORMED},
		{"eyJhbGciOiJFUzI1NiJ9.e30=.c2ln", JWT_MALFORMED},
		{"eyJhbGciOiJFUzI1NiJ9.e31.c2ln", JWT_MALFORMED}, // bits behind the last byte
		{TOKEN_NONE, JWT_ALGORITHM},
		{"eyJhbGciOiJub25lIn0.e30.c2ln", JWT_ALGORITHM},
		{TOKEN_HS256, JWT_ALGORITHM},
		{TOKEN_CRIT, JWT_MALFORMED},
	};
	struct jwt t;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum jwt_refusal r = parse(slice_str(rows[i].text), &t);

		if (r != rows[i].refusal)
			fail_msg("%s: %s", rows[i].text, jwt_refusal_name(r));
	}
}

static void test_header(void **state)
{
	(void)state;
	check_header("{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"a\"}", JWT_OK);
	check_header(
		"{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"x5t\":\"zzz\",\"jwk\":{\"kty\":\"RSA\"}}",
		JWT_OK);
	check_header("{\"alg\":\"Ed25519\"}", JWT_OK);
	check_header("{}", JWT_ALGORITHM);
	check_header("{\"alg\":\"none\"}", JWT_ALGORITHM);
	check_header("{\"alg\":\"None\"}", JWT_ALGORITHM);
	check_header("{\"alg\":\"NONE\"}", JWT_ALGORITHM);
	check_header("{\"alg\":\"rs256\"}", JWT_ALGORITHM);
	check_header("{\"alg\":\"HS512\"}", JWT_ALGORITHM);
	check_header("{\"alg\":\"RS256 \"}", JWT_ALGORITHM);
	check_header("{\"alg\":\"RS256\\u0000\"}", JWT_ALGORITHM);
	check_header("{\"alg\":\"\"}", JWT_ALGORITHM);
	check_header("{\"alg\":null}", JWT_MALFORMED);
	check_header("{\"alg\":[\"RS256\"]}", JWT_MALFORMED);
	check_header("{\"alg\":\"RS256\",\"kid\":1}", JWT_MALFORMED);
	check_header("{\"alg\":\"RS256\",\"crit\":[]}", JWT_MALFORMED);
	check_header("{\"alg\":\"RS256\",\"crit\":[\"b64\"],\"b64\":false}", JWT_MALFORMED);
	check_header("{\"alg\":\"RS256\",\"alg\":\"RS256\"}", JWT_MALFORMED);
	check_header("{\"alg\":\"RS256\",\"\\u0061lg\":\"none\"}", JWT_MALFORMED);
	check_header("[\"alg\",\"RS256\"]", JWT_MALFORMED);
	check_header("\"RS256\"", JWT_MALFORMED);
	check_header("{\"alg\":\"RS256\"}x", JWT_MALFORMED);
	check_header("{\"alg\":\"RS256\",}", JWT_MALFORMED);
	check_header("{'alg':'RS256'}", JWT_MALFORMED);
	check_header("", JWT_MALFORMED);
}

static void test_json(void **state)
{
	(void)state;
	check_payload("{}", JWT_OK);
	check_payload(" {\t\"a\" : 1 }\r\n", JWT_OK);
	check_payload("{\"a\":{\"a\":{\"a\":1}}}", JWT_OK);
	check_payload("[]", JWT_MALFORMED);
	check_payload("null", JWT_MALFORMED);
	check_payload("{}{}", JWT_MALFORMED);
	check_payload("{\"a\":1,\"a\":1}", JWT_MALFORMED);
	check_payload("{\"a\":{\"b\":1,\"b\":2}}", JWT_MALFORMED);
	check_payload("{\"a\":[0,{\"b\":1,\"\\u0062\":2}]}", JWT_MALFORMED);
	check_payload("{\"a\":[1,2,{\"c\":[{\"x\":1,\"y\":2,\"x\":3}]}]}", JWT_MALFORMED);
	check_payload("{\"\":1,\"\":2}", JWT_MALFORMED);
	check_payload("{\"a\":NaN}", JWT_MALFORMED);
	check_payload("{\"a\":1e999}", JWT_MALFORMED);
	check_payload("{\"a\":01}", JWT_MALFORMED);
	check_payload("{\"a\":\"\xff\"}", JWT_MALFORMED);
	check_payload("{\"a\":\"\\ud800\"}", JWT_MALFORMED);
	check_payload("{\"a\":\"\n\"}", JWT_MALFORMED);
	check_payload("{/**/}", JWT_MALFORMED);
	check_payload("{\"a\":1", JWT_MALFORMED);
	check_payload("\xef\xbb\xbf{}", JWT_MALFORMED);
	// Depth: the object itself is the first level.
	check_payload("{\"a\":[[[[[[[]]]]]]]}", JWT_OK);
	check_payload("{\"a\":[[[[[[[[]]]]]]]]}", JWT_MALFORMED);
	check_payload("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}", JWT_OK);
	check_payload("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}",
		      JWT_MALFORMED);
}

static void test_registered_claims(void **state)
{
	static const struct {
		const char *payload;
		int64_t expires, not_before;
	} rows[] = {
		{"{\"exp\":100,\"nbf\":50}", 100, 50},
		{"{\"exp\":100.9,\"nbf\":50.1}", 100, 51},
		{"{\"exp\":-0.5,\"nbf\":-0.5}", -1, 0},
		{"{\"exp\":1e2,\"nbf\":5E1}", 100, 50},
		{"{\"exp\":-100}", -100, INT64_MIN},
		{"{\"exp\":1e300,\"nbf\":-1e300}", 1000000000000000, -1000000000000000},
		{"{\"exp\":18446744073709551615}", 1000000000000000, INT64_MIN},
		{"{}", INT64_MAX, INT64_MIN},
	};
	struct jwt t;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(parse_payload(rows[i].payload, &t), JWT_OK);
		assert_int_equal(t.expires_unix_s, rows[i].expires);
		assert_int_equal(t.not_before_unix_s, rows[i].not_before);
	}
	check_payload("{\"exp\":\"100\"}", JWT_MALFORMED);
	check_payload("{\"exp\":null}", JWT_MALFORMED);
	check_payload("{\"nbf\":[1]}", JWT_MALFORMED);
	check_payload("{\"iss\":1}", JWT_MALFORMED);
	check_payload("{\"iss\":[\"a\"]}", JWT_MALFORMED);
	check_payload("{\"aud\":1}", JWT_MALFORMED);
	check_payload("{\"aud\":[\"a\",1]}", JWT_MALFORMED);
	check_payload("{\"aud\":{\"a\":\"a\"}}", JWT_MALFORMED);
	check_payload("{\"aud\":[]}", JWT_OK);
	check_payload("{\"aud\":\"a\"}", JWT_OK);
}

static void test_limits(void **state)
{
	static char big[4 * JWT_BYTES_MAX];
	struct jwt t;
	size_t n;

	(void)state;
	// As many members as there may be, then one more.
	for (int members = JWT_CLAIMS_MAX; members <= JWT_CLAIMS_MAX + 1; members++) {
		n = (size_t)sprintf(big, "{");
		for (int i = 0; i < members; i++)
			n += (size_t)sprintf(big + n, "%s\"m%d\":%d", i ? "," : "", i, i);
		n += (size_t)sprintf(big + n, "}");
		assert_int_equal(parse(make(TOKEN_HEADER, big, n), &t),
				 members == JWT_CLAIMS_MAX ? JWT_OK : JWT_TOO_LARGE);
	}
	n = (size_t)sprintf(big, "{\"a\":[");
	for (int i = 0; i < 2 * JWT_VALUES_MAX; i++)
		n += (size_t)sprintf(big + n, "%s1", i ? "," : "");
	n += (size_t)sprintf(big + n, "]}");
	assert_int_equal(parse(make(TOKEN_HEADER, big, n), &t), JWT_TOO_LARGE);
	// The largest token fits the arena that is promised, whatever it is made of.
	static const char *const fills[] = {"1,", "\"a\",", "[],", "\"aaaaaaaaaaaaaaaaaaaaaaa\",",
					    "{},"};

	for (size_t f = 0; f < COUNT(fills); f++) {
		size_t unit = strlen(fills[f]);
		int count = 0;

		n = (size_t)sprintf(big, "{\"a\":[");
		for (; count < JWT_VALUES_MAX - 2 && (n + unit + 8) * 4 / 3 < JWT_BYTES_MAX - 40;
		     count++)
			n += (size_t)sprintf(big + n, "%s", fills[f]);
		n += (size_t)sprintf(big + n, "0]%*s}", (int)((JWT_BYTES_MAX - 40) * 3 / 4 - n - 4),
				     "");
		struct slice text = make(TOKEN_HEADER, big, n);

		assert_in_range(text.len, JWT_BYTES_MAX - 64, JWT_BYTES_MAX);
		assert_int_equal(parse(text, &t), JWT_OK);
	}
	memset(big, 'a', sizeof(big));
	assert_int_equal(parse(slice_make(big, JWT_BYTES_MAX + 1), &t), JWT_TOO_LARGE);
	assert_int_equal(parse(slice_make(big, JWT_BYTES_MAX), &t), JWT_MALFORMED);
}

// An arena that is too small refuses, at every size.
static void test_small_arena(void **state)
{
	struct jwt t;

	(void)state;
	for (size_t bytes = 0; bytes < 4096; bytes += 16) {
		arena_init_fixed(&arena, scratch, bytes);
		assert_int_not_equal(jwt_parse(slice_str(TOKEN_GOOD), &arena, &t), JWT_OK);
	}
	assert_int_equal(parse(slice_str(TOKEN_GOOD), &t), JWT_OK);
}

static void test_key_fits(void **state)
{
	static const struct {
		enum jwt_alg alg;
		enum jwk_type type;
		const char *crv;
		const char *key_alg;
		const char *kid, *key_kid;
		bool fits;
	} rows[] = {
		{JWT_RS256, JWK_RSA, "", "", "", "", true},
		{JWT_RS256, JWK_RSA, "", "RS256", "a", "a", true},
		{JWT_RS256, JWK_RSA, "", "", "a", "", true},
		{JWT_RS256, JWK_RSA, "", "", "", "a", true},
		{JWT_RS256, JWK_RSA, "", "", "a", "b", false},
		{JWT_RS256, JWK_RSA, "", "RS384", "", "", false},
		{JWT_RS256, JWK_RSA, "", "PS256", "", "", false},
		{JWT_RS256, JWK_RSA, "", "RSA-OAEP", "", "", false},
		{JWT_PS512, JWK_RSA, "", "PS512", "", "", true},
		{JWT_RS256, JWK_EC, "P-256", "", "", "", false},
		{JWT_ES256, JWK_EC, "P-256", "", "", "", true},
		{JWT_ES256, JWK_EC, "P-384", "", "", "", false},
		{JWT_ES256, JWK_EC, "", "", "", "", false},
		{JWT_ES384, JWK_EC, "P-384", "ES384", "", "", true},
		{JWT_ES512, JWK_EC, "P-521", "", "", "", true},
		{JWT_ES512, JWK_EC, "P-512", "", "", "", false},
		{JWT_ES256, JWK_OKP, "Ed25519", "", "", "", false},
		{JWT_EDDSA, JWK_OKP, "Ed25519", "", "", "", true},
		{JWT_EDDSA, JWK_OKP, "Ed25519", "EdDSA", "", "", true},
		{JWT_EDDSA, JWK_OKP, "Ed25519", "Ed25519", "", "", true},
		{JWT_EDDSA, JWK_OKP, "Ed448", "", "", "", true},
		{JWT_EDDSA, JWK_OKP, "X25519", "", "", "", false},
		{JWT_EDDSA, JWK_EC, "P-256", "", "", "", false},
		{JWT_ALG_NONE, JWK_NONE, "", "", "", "", false},
		{JWT_ALG_NONE, JWK_RSA, "", "", "", "", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct jwt t = {.alg = rows[i].alg, .kid = slice_str(rows[i].kid)};
		struct ss_jwk key = {.type = rows[i].type,
				     .crv = slice_str(rows[i].crv),
				     .alg = slice_str(rows[i].key_alg),
				     .kid = slice_str(rows[i].key_kid)};

		if (jwt_key_fits(&t, &key) != rows[i].fits)
			fail_msg("row %zu", i);
	}
}

// No byte of a token is without meaning: flipped, removed or doubled, it is refused or it reads
// differently, and nothing reads out of bounds.
static void test_tampered(void **state)
{
	char text[1024];
	const char *whole = TOKEN_GOOD;
	size_t len = strlen(whole);
	struct jwt good, t;

	(void)state;
	assert_int_equal(parse(slice_str(TOKEN_GOOD), &good), JWT_OK);
	struct slice signature = slice_make(malloc(good.signature.len), good.signature.len);

	memcpy((uint8_t *)(uintptr_t)signature.ptr, good.signature.ptr, signature.len);
	assert_true(len < sizeof(text));
	for (size_t i = 0; i < len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			memcpy(text, whole, len);
			text[i] = (char)(text[i] ^ (1 << bit));
			if (parse(slice_make(text, len), &t) != JWT_OK)
				continue;
			bool same_input =
				t.signing_input.len == good.signing_input.len &&
				memcmp(t.signing_input.ptr, whole, t.signing_input.len) == 0;

			assert_false(same_input && slice_eq(t.signature, signature));
		}
		memcpy(text, whole, i);
		memcpy(text + i, whole + i + 1, len - i - 1);
		if (parse(slice_make(text, len - 1), &t) == JWT_OK)
			assert_true(t.signature.len != signature.len ||
				    memcmp(text, whole, t.signing_input.len) != 0);
	}
	free((void *)(uintptr_t)signature.ptr);
}

static void test_names(void **state)
{
	(void)state;
	for (enum jwt_refusal r = JWT_OK; r < JWT_REFUSAL_COUNT; r++) {
		assert_non_null(jwt_refusal_name(r));
		for (enum jwt_refusal k = JWT_OK; k < r; k++)
			assert_string_not_equal(jwt_refusal_name(r), jwt_refusal_name(k));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc7515_a3),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_base64url),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_registered_claims),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_small_arena),
		cmocka_unit_test(test_key_fits),
		cmocka_unit_test(test_tampered),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
