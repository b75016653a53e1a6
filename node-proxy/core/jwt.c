// SPDX-License-Identifier: GPL-3.0-or-later
// JWT parsing and claim checks; see jwt.h. JSON by yyjson over the caller's arena.
#include "core/jwt.h"

#include <stdio.h>
#include <yyjson.h>

#define SEGMENT_BYTES_MAX 12288

struct jwt_claims {
	yyjson_val *root;
};

const char *jwt_refusal_name(enum jwt_refusal r)
{
	static const char *const names[JWT_REFUSAL_COUNT] = {
		[JWT_OK] = "ok",
		[JWT_MISSING] = "missing",
		[JWT_MALFORMED] = "malformed",
		[JWT_TOO_LARGE] = "too_large",
		[JWT_ALGORITHM] = "algorithm",
		[JWT_NO_KEY] = "no_key",
		[JWT_SIGNATURE] = "signature",
		[JWT_EXPIRED] = "expired",
		[JWT_NOT_YET_VALID] = "not_yet_valid",
		[JWT_ISSUER] = "issuer",
		[JWT_AUDIENCE] = "audience",
	};

	return (unsigned int)r < JWT_REFUSAL_COUNT ? names[r] : "invalid";
}

// ---- base64url (RFC 4648 5, without padding, RFC 7515 2) ---------------------------------------

static int base64url_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool jwt_base64url(struct slice text, struct arena *a, struct slice *out)
{
	size_t tail = text.len % 4;
	size_t bytes = text.len / 4 * 3 + (tail > 0 ? tail - 1 : 0);
	uint8_t *to = arena_alloc(a, 1, bytes + 1);
	uint32_t bits = 0;
	size_t n = 0;

	if (!to || tail == 1)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int v = base64url_value(text.ptr[i]);

		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
		if (i % 4 != 0)
			to[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	// Bits that no byte takes have to be zero: one value, one spelling.
	if ((tail == 2 && (bits & 15)) || (tail == 3 && (bits & 3)))
		return false;
	*out = slice_make(to, bytes);
	return true;
}

// ---- JSON --------------------------------------------------------------------------------------

static bool key_repeats(yyjson_val *object)
{
	yyjson_obj_iter outer = yyjson_obj_iter_with(object);
	yyjson_val *key;

	while ((key = yyjson_obj_iter_next(&outer))) {
		yyjson_obj_iter inner = outer;
		yyjson_val *other;

		while ((other = yyjson_obj_iter_next(&inner))) {
			if (yyjson_equals_strn(other, yyjson_get_str(key), yyjson_get_len(key)))
				return true;
		}
	}
	return false;
}

// Depth and duplicates, everywhere, without recursion: readers that take the first or the last of
// two equal names would see different tokens (RFC 7519 4).
static bool json_is_plain(yyjson_val *root)
{
	struct {
		yyjson_val *container;
		yyjson_obj_iter object;
		yyjson_arr_iter array;
	} stack[JWT_DEPTH_MAX];
	int depth = -1;
	yyjson_val *v = root;

	for (;;) {
		if (v && yyjson_is_ctn(v)) {
			if (++depth == JWT_DEPTH_MAX || yyjson_get_len(v) > JWT_CLAIMS_MAX)
				return false;
			stack[depth].container = v;
			if (yyjson_is_obj(v)) {
				if (key_repeats(v))
					return false;
				stack[depth].object = yyjson_obj_iter_with(v);
			} else {
				stack[depth].array = yyjson_arr_iter_with(v);
			}
		}
		for (v = NULL; depth >= 0 && !v; depth -= !v) {
			if (yyjson_is_obj(stack[depth].container)) {
				yyjson_val *key = yyjson_obj_iter_next(&stack[depth].object);

				v = key ? yyjson_obj_iter_get_val(key) : NULL;
			} else {
				v = yyjson_arr_iter_next(&stack[depth].array);
			}
		}
		if (!v)
			return true;
	}
}

static yyjson_val *json_parse(struct slice text, struct arena *a)
{
	size_t bytes = yyjson_read_max_memory_usage(text.len, YYJSON_READ_NOFLAG);
	void *memory = arena_alloc(a, 1, bytes);
	yyjson_doc *doc;
	yyjson_alc alc;

	if (!memory || !yyjson_alc_pool_init(&alc, memory, bytes))
		return NULL;
	doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, YYJSON_READ_NOFLAG, &alc,
			       NULL);
	yyjson_val *root = doc ? yyjson_doc_get_root(doc) : NULL;

	return root && yyjson_is_obj(root) && json_is_plain(root) ? root : NULL;
}

static bool member_text(yyjson_val *object, const char *name, struct slice *out)
{
	yyjson_val *v = yyjson_obj_get(object, name);

	*out = (struct slice){0};
	if (!v)
		return true;
	if (!yyjson_is_str(v))
		return false;
	*out = slice_make(yyjson_get_str(v), yyjson_get_len(v));
	return true;
}

// NumericDate (RFC 7519 2): seconds, perhaps with a fraction.
static bool member_date(yyjson_val *object, const char *name, int64_t absent, int64_t *out)
{
	yyjson_val *v = yyjson_obj_get(object, name);

	*out = absent;
	if (!v)
		return true;
	if (!yyjson_is_num(v))
		return false;
	double seconds = yyjson_get_num(v);

	if (!(seconds >= -1e15 && seconds <= 1e15))
		return false;
	*out = (int64_t)seconds;
	return true;
}

// ---- the token ---------------------------------------------------------------------------------

static enum jwt_alg alg_parse(struct slice name)
{
	static const struct {
		const char *name;
		enum jwt_alg alg;
	} rows[] = {
		{"RS256", JWT_RS256}, {"RS384", JWT_RS384}, {"RS512", JWT_RS512},
		{"PS256", JWT_PS256}, {"PS384", JWT_PS384}, {"PS512", JWT_PS512},
		{"ES256", JWT_ES256}, {"ES384", JWT_ES384}, {"ES512", JWT_ES512},
		{"EdDSA", JWT_EDDSA},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (slice_eq_str(name, rows[i].name))
			return rows[i].alg;
	}
	return JWT_ALG_NONE;
}

static enum jwt_refusal parse_header(struct slice json, struct arena *a, struct jwt *out)
{
	yyjson_val *header = json_parse(json, a);
	struct slice alg;

	if (!header || !member_text(header, "alg", &alg) || !member_text(header, "kid", &out->kid))
		return JWT_MALFORMED;
	// An extension that we would have to understand (RFC 7515 4.1.11), and do not.
	if (yyjson_obj_get(header, "crit"))
		return JWT_MALFORMED;
	out->alg = alg_parse(alg);
	return out->alg == JWT_ALG_NONE ? JWT_ALGORITHM : JWT_OK;
}

static enum jwt_refusal parse_claims(struct slice json, struct arena *a, struct jwt *out)
{
	struct jwt_claims *claims = arena_alloc(a, 1, sizeof(*claims));
	yyjson_val *root = json_parse(json, a);

	if (!claims || !root || !member_text(root, "iss", &out->issuer) ||
	    !member_date(root, "exp", INT64_MAX, &out->expires_unix_s) ||
	    !member_date(root, "nbf", INT64_MIN, &out->not_before_unix_s))
		return JWT_MALFORMED;
	claims->root = root;
	out->claims = claims;
	return JWT_OK;
}

enum jwt_refusal jwt_parse(struct slice token, struct arena *a, struct jwt *out)
{
	struct slice part[3], decoded[3];
	struct slice rest = token;

	memset(out, 0, sizeof(*out));
	if (token.len == 0)
		return JWT_MISSING;
	if (token.len > JWT_BYTES_MAX)
		return JWT_TOO_LARGE;
	for (int i = 0; i < 3; i++) {
		size_t dot = slice_find(rest, '.');

		if ((dot == rest.len) != (i == 2) || dot == 0)
			return JWT_MALFORMED;
		part[i] = slice_make(rest.ptr, dot);
		if (i < 2)
			rest = slice_make(rest.ptr + dot + 1, rest.len - dot - 1);
		if (part[i].len > SEGMENT_BYTES_MAX)
			return JWT_TOO_LARGE;
		if (!jwt_base64url(part[i], a, &decoded[i]))
			return JWT_MALFORMED;
	}
	out->signing_input = slice_make(token.ptr, part[0].len + 1 + part[1].len);
	out->signature = decoded[2];
	enum jwt_refusal r = parse_header(decoded[0], a, out);

	return r == JWT_OK ? parse_claims(decoded[1], a, out) : r;
}

bool jwt_key_fits(const struct jwt *t, const struct ss_jwk *key)
{
	static const struct {
		enum jwk_type type;
		const char *alg;
		const char *crv;
	} rows[] = {
		[JWT_RS256] = {JWK_RSA, "RS256", ""},	  [JWT_RS384] = {JWK_RSA, "RS384", ""},
		[JWT_RS512] = {JWK_RSA, "RS512", ""},	  [JWT_PS256] = {JWK_RSA, "PS256", ""},
		[JWT_PS384] = {JWK_RSA, "PS384", ""},	  [JWT_PS512] = {JWK_RSA, "PS512", ""},
		[JWT_ES256] = {JWK_EC, "ES256", "P-256"}, [JWT_ES384] = {JWK_EC, "ES384", "P-384"},
		[JWT_ES512] = {JWK_EC, "ES512", "P-521"}, [JWT_EDDSA] = {JWK_OKP, "EdDSA", "Ed25519"},
	};

	if (t->alg == JWT_ALG_NONE || key->type != rows[t->alg].type)
		return false;
	if (key->type != JWK_RSA && !slice_eq_str(key->crv, rows[t->alg].crv))
		return false;
	if (key->alg.len > 0 && !slice_eq_str(key->alg, rows[t->alg].alg))
		return false;
	return t->kid.len == 0 || key->kid.len == 0 || slice_eq(t->kid, key->kid);
}

static bool value_is(yyjson_val *v, struct slice text)
{
	return yyjson_equals_strn(v, (const char *)text.ptr, text.len);
}

// A string equal to text, or an array that holds one.
static bool value_has(yyjson_val *v, struct slice text)
{
	yyjson_arr_iter it;
	yyjson_val *one;

	if (yyjson_is_str(v))
		return value_is(v, text);
	if (!yyjson_is_arr(v))
		return false;
	it = yyjson_arr_iter_with(v);
	while ((one = yyjson_arr_iter_next(&it))) {
		if (value_is(one, text))
			return true;
	}
	return false;
}

static bool audience_fits(const struct jwt *t, const struct ss_provider *p)
{
	yyjson_val *aud = yyjson_obj_get(t->claims->root, "aud");

	if (p->audience_count == 0)
		return true;
	for (uint32_t i = 0; aud && i < p->audience_count; i++) {
		if (value_has(aud, p->audiences[i]))
			return true;
	}
	return false;
}

enum jwt_refusal jwt_check_claims(const struct jwt *t, const struct ss_provider *p,
				  int64_t now_unix_s)
{
	int64_t skew = p->clock_skew_s;

	if (p->issuer.len > 0 && !slice_eq(t->issuer, p->issuer))
		return JWT_ISSUER;
	if (!audience_fits(t, p))
		return JWT_AUDIENCE;
	if (t->expires_unix_s != INT64_MAX && now_unix_s - skew >= t->expires_unix_s)
		return JWT_EXPIRED;
	if (t->not_before_unix_s != INT64_MIN && now_unix_s + skew < t->not_before_unix_s)
		return JWT_NOT_YET_VALID;
	return JWT_OK;
}

// The whole name first (claims such as "https://example.com/roles" contain dots), then its parts.
static yyjson_val *claim_find(yyjson_val *root, struct slice name)
{
	yyjson_val *v = yyjson_obj_getn(root, (const char *)name.ptr, name.len);

	for (int depth = 0; !v && root && depth < JWT_DEPTH_MAX; depth++) {
		size_t dot = slice_find(name, '.');

		root = yyjson_obj_getn(root, (const char *)name.ptr, dot);
		if (dot == name.len)
			return root;
		name = slice_make(name.ptr + dot + 1, name.len - dot - 1);
	}
	return v;
}

static bool claim_equals(yyjson_val *v, struct slice wanted)
{
	if (yyjson_is_bool(v))
		return slice_eq_str(wanted, yyjson_get_bool(v) ? "true" : "false");
	if (yyjson_is_int(v)) {
		char text[24];
		int n = snprintf(text, sizeof(text), "%lld", (long long)yyjson_get_sint(v));

		return slice_eq(wanted, slice_make(text, (size_t)n));
	}
	return value_has(v, wanted);
}

bool jwt_claim_matches(const struct jwt *t, const struct ss_claim_match *m)
{
	yyjson_val *v = claim_find(t->claims->root, m->name);

	for (uint32_t i = 0; v && i < m->value_count; i++) {
		if (claim_equals(v, m->values[i]))
			return true;
	}
	return v && m->value_count == 0;
}

bool jwt_has_scope(const struct jwt *t, struct slice scope)
{
	yyjson_val *list = yyjson_obj_get(t->claims->root, "scp");
	yyjson_val *text = yyjson_obj_get(t->claims->root, "scope");
	struct slice rest;

	if (list && value_has(list, scope))
		return true;
	if (!text || !yyjson_is_str(text))
		return false;
	rest = slice_make(yyjson_get_str(text), yyjson_get_len(text));
	while (rest.len > 0) {
		size_t end = slice_find(rest, ' ');

		if (slice_eq(slice_make(rest.ptr, end), scope))
			return true;
		rest = slice_make(rest.ptr + end + (end < rest.len),
				  rest.len - end - (end < rest.len));
	}
	return false;
}
