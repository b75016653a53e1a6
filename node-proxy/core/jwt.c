// SPDX-License-Identifier: GPL-3.0-or-later
// JWT parsing and claim checks; see jwt.h. JSON by yyjson over the caller's arena; what is kept of
// a payload is a flat list of claims that a cache can copy (jwt_clone). Signatures: io/crypto; which
// provider and which key: decide/decide.
#include "core/jwt.h"

#include <stdio.h>
#include <yyjson.h>

#define DATE_MAX 1e15 // beyond it a date is "never": doubles count seconds exactly up to 9e15

enum claim_type {
	CLAIM_OPAQUE = 0, // null or a number that is no integer: equals nothing
	CLAIM_TEXT,	  // string
	CLAIM_WORD,	  // integer or boolean, as JSON writes it
	CLAIM_OBJECT,
	CLAIM_ARRAY,
};

struct claim {
	struct slice name; // of a member; empty for an array's element and for the root
	struct slice text; // CLAIM_TEXT, CLAIM_WORD
	uint32_t next;	   // index behind this value and all that it holds
	enum claim_type type;
};

// Values in the order of the document; [0] is the payload's object.
struct jwt_claims {
	uint32_t count;
	struct claim values[];
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
	// yyjson reads in place and wants zeros behind.
	uint8_t *to = arena_alloc(a, 1, bytes + YYJSON_PADDING_SIZE);
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

static struct slice json_text(yyjson_val *v)
{
	return slice_make(yyjson_get_str(v), yyjson_get_len(v));
}

static bool key_repeats(yyjson_val *object)
{
	yyjson_obj_iter outer = yyjson_obj_iter_with(object);
	yyjson_val *key;

	while ((key = yyjson_obj_iter_next(&outer))) {
		yyjson_obj_iter inner = outer;
		yyjson_val *other;

		while ((other = yyjson_obj_iter_next(&inner))) {
			if (slice_eq(json_text(other), json_text(key)))
				return true;
		}
	}
	return false;
}

struct walk {
	yyjson_val *container;
	yyjson_obj_iter object;
	yyjson_arr_iter array;
	uint32_t at; // the container's place among the claims
};

// The next value of the innermost container that has one left; closes those that have not.
static yyjson_val *walk_next(struct walk *stack, int *depth, struct jwt_claims *claims,
			     struct slice *name)
{
	for (; *depth >= 0; (*depth)--) {
		struct walk *w = &stack[*depth];
		yyjson_val *v;

		*name = (struct slice){0};
		if (yyjson_is_obj(w->container)) {
			yyjson_val *key = yyjson_obj_iter_next(&w->object);

			v = key ? yyjson_obj_iter_get_val(key) : NULL;
			if (key)
				*name = json_text(key);
		} else {
			v = yyjson_arr_iter_next(&w->array);
		}
		if (v)
			return v;
		claims->values[w->at].next = claims->count;
	}
	return NULL;
}

static bool claim_set(struct claim *c, yyjson_val *v, struct arena *a)
{
	char *word;

	if (yyjson_is_str(v)) {
		c->type = CLAIM_TEXT;
		c->text = json_text(v);
		return true;
	}
	if (yyjson_is_bool(v)) {
		c->type = CLAIM_WORD;
		c->text = yyjson_get_bool(v) ? SLICE_LIT("true") : SLICE_LIT("false");
		return true;
	}
	if (!yyjson_is_int(v))
		return true;
	c->type = CLAIM_WORD;
	word = arena_alloc(a, 1, 24);
	if (!word)
		return false;
	if (yyjson_is_uint(v))
		snprintf(word, 24, "%llu", (unsigned long long)yyjson_get_uint(v));
	else
		snprintf(word, 24, "%lld", (long long)yyjson_get_sint(v));
	c->text = slice_str(word);
	return true;
}

// Every value as a claim, without recursion. Refuses depth, too many members, and two members of
// one name anywhere: readers that take the first or the last would see different tokens (RFC 7519 4).
static enum jwt_refusal json_flatten(yyjson_val *root, struct arena *a, struct jwt_claims *claims)
{
	struct walk stack[JWT_DEPTH_MAX];
	struct slice name = {0};
	uint32_t members = 0;
	int depth = -1;

	for (yyjson_val *v = root; v; v = walk_next(stack, &depth, claims, &name)) {
		uint32_t at = claims->count++;
		struct claim *c = &claims->values[at];

		c->name = name;
		c->next = claims->count;
		if (!yyjson_is_ctn(v)) {
			if (!claim_set(c, v, a))
				return JWT_TOO_LARGE;
			continue;
		}
		if (++depth == JWT_DEPTH_MAX)
			return JWT_MALFORMED;
		stack[depth] = (struct walk){.container = v, .at = at};
		c->type = CLAIM_ARRAY;
		if (yyjson_is_arr(v)) {
			stack[depth].array = yyjson_arr_iter_with(v);
			continue;
		}
		members += (uint32_t)yyjson_obj_size(v);
		if (members > JWT_CLAIMS_MAX)
			return JWT_TOO_LARGE;
		if (key_repeats(v))
			return JWT_MALFORMED;
		c->type = CLAIM_OBJECT;
		stack[depth].object = yyjson_obj_iter_with(v);
	}
	return JWT_OK;
}

// text (from jwt_base64url: writable, zeros behind) is read in place.
static enum jwt_refusal json_parse(struct slice text, struct arena *a, yyjson_val **root,
				   struct jwt_claims **claims)
{
	size_t bytes = yyjson_read_max_memory_usage(text.len, YYJSON_READ_INSITU);
	void *memory = arena_alloc(a, 1, bytes);
	yyjson_doc *doc;
	yyjson_alc alc;

	if (!memory || !yyjson_alc_pool_init(&alc, memory, bytes))
		return JWT_TOO_LARGE;
	doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, YYJSON_READ_INSITU, &alc,
			       NULL);
	*root = doc ? yyjson_doc_get_root(doc) : NULL;
	if (!yyjson_is_obj(*root))
		return JWT_MALFORMED;
	size_t count = yyjson_doc_get_val_count(doc); // keys and values

	if (count > JWT_VALUES_MAX + JWT_CLAIMS_MAX)
		return JWT_TOO_LARGE;
	*claims = arena_alloc(a, 1, sizeof(**claims) + count * sizeof((*claims)->values[0]));
	return *claims ? json_flatten(*root, a, *claims) : JWT_TOO_LARGE;
}

static bool member_text(yyjson_val *object, const char *name, struct slice *out)
{
	yyjson_val *v = yyjson_obj_get(object, name);

	*out = (struct slice){0};
	if (!v)
		return true;
	if (!yyjson_is_str(v))
		return false;
	*out = json_text(v);
	return true;
}

// NumericDate (RFC 7519 2): seconds, perhaps with a fraction, which is rounded up or down: to the
// side on which the token is good for less long.
static bool member_date(yyjson_val *object, const char *name, bool up, int64_t absent, int64_t *out)
{
	yyjson_val *v = yyjson_obj_get(object, name);
	double seconds = yyjson_get_num(v);

	*out = absent;
	if (!v)
		return true;
	if (!yyjson_is_num(v))
		return false;
	if (seconds > DATE_MAX)
		seconds = DATE_MAX;
	else if (seconds < -DATE_MAX)
		seconds = -DATE_MAX;
	*out = (int64_t)seconds;
	if (up && (double)*out < seconds)
		*out += 1;
	else if (!up && (double)*out > seconds)
		*out -= 1;
	return true;
}

// A string or an array of strings (RFC 7519 4.1.3).
static bool audience_is_valid(yyjson_val *root)
{
	yyjson_val *aud = yyjson_obj_get(root, "aud"), *one;
	yyjson_arr_iter it = yyjson_arr_iter_with(aud);

	if (!aud || yyjson_is_str(aud))
		return true;
	while ((one = yyjson_arr_iter_next(&it))) {
		if (!yyjson_is_str(one))
			return false;
	}
	return yyjson_is_arr(aud);
}

// ---- the token ---------------------------------------------------------------------------------

static const struct {
	const char *name;
	enum jwt_alg alg;
} algorithms[] = {
	{"RS256", JWT_RS256}, {"RS384", JWT_RS384}, {"RS512", JWT_RS512},   {"PS256", JWT_PS256},
	{"PS384", JWT_PS384}, {"PS512", JWT_PS512}, {"ES256", JWT_ES256},   {"ES384", JWT_ES384},
	{"ES512", JWT_ES512}, {"EdDSA", JWT_EDDSA}, {"Ed25519", JWT_EDDSA}, // RFC 9864
};

static enum jwt_alg alg_parse(struct slice name)
{
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
		if (slice_eq_str(name, algorithms[i].name))
			return algorithms[i].alg;
	}
	return JWT_ALG_NONE;
}

static enum jwt_refusal parse_header(struct slice json, struct arena *a, struct jwt *out)
{
	struct jwt_claims *members;
	yyjson_val *header;
	struct slice alg;
	enum jwt_refusal r = json_parse(json, a, &header, &members);

	if (r != JWT_OK)
		return r;
	if (!member_text(header, "alg", &alg) || !member_text(header, "kid", &out->kid))
		return JWT_MALFORMED;
	// An extension that we would have to understand (RFC 7515 4.1.11), and do not.
	if (yyjson_obj_get(header, "crit"))
		return JWT_MALFORMED;
	out->alg = alg_parse(alg);
	return out->alg == JWT_ALG_NONE ? JWT_ALGORITHM : JWT_OK;
}

static enum jwt_refusal parse_claims(struct slice json, struct arena *a, struct jwt *out)
{
	struct jwt_claims *claims;
	yyjson_val *root;
	enum jwt_refusal r = json_parse(json, a, &root, &claims);

	if (r != JWT_OK)
		return r;
	if (!member_text(root, "iss", &out->issuer) || !audience_is_valid(root) ||
	    !member_date(root, "exp", false, INT64_MAX, &out->expires_unix_s) ||
	    !member_date(root, "nbf", true, INT64_MIN, &out->not_before_unix_s))
		return JWT_MALFORMED;
	out->claims = claims;
	return JWT_OK;
}

enum jwt_refusal jwt_parse(struct slice token, struct arena *a, struct jwt *out)
{
	struct slice header, payload, rest;
	size_t dot = slice_find(token, '.');
	enum jwt_refusal r;

	memset(out, 0, sizeof(*out));
	if (token.len == 0)
		return JWT_MISSING;
	if (token.len > JWT_BYTES_MAX)
		return JWT_TOO_LARGE;
	if (dot == token.len || !jwt_base64url(slice_make(token.ptr, dot), a, &header))
		return JWT_MALFORMED;
	// First, so that "none" is called by its name, though it has no signature either.
	r = parse_header(header, a, out);
	if (r != JWT_OK)
		return r;
	rest = slice_make(token.ptr + dot + 1, token.len - dot - 1);
	dot = slice_find(rest, '.');
	// A third dot is no base64url.
	if (dot + 1 >= rest.len || !jwt_base64url(slice_make(rest.ptr, dot), a, &payload) ||
	    !jwt_base64url(slice_make(rest.ptr + dot + 1, rest.len - dot - 1), a, &out->signature))
		return JWT_MALFORMED;
	out->signing_input = slice_make(token.ptr, (size_t)(rest.ptr - token.ptr) + dot);
	return parse_claims(payload, a, out);
}

bool jwt_key_fits(const struct jwt *t, const struct ss_jwk *key)
{
	static const struct {
		enum jwk_type type;
		const char *curves[2];
	} rows[] = {
		[JWT_RS256] = {JWK_RSA, {0}},	   [JWT_RS384] = {JWK_RSA, {0}},
		[JWT_RS512] = {JWK_RSA, {0}},	   [JWT_PS256] = {JWK_RSA, {0}},
		[JWT_PS384] = {JWK_RSA, {0}},	   [JWT_PS512] = {JWK_RSA, {0}},
		[JWT_ES256] = {JWK_EC, {"P-256"}}, [JWT_ES384] = {JWK_EC, {"P-384"}},
		[JWT_ES512] = {JWK_EC, {"P-521"}}, [JWT_EDDSA] = {JWK_OKP, {"Ed25519", "Ed448"}},
	};
	const char *const *curves = rows[t->alg].curves;

	if (t->alg == JWT_ALG_NONE || key->type != rows[t->alg].type)
		return false;
	if (curves[0] && !slice_eq_str(key->crv, curves[0]) &&
	    !(curves[1] && slice_eq_str(key->crv, curves[1])))
		return false;
	if (key->alg.len > 0 && alg_parse(key->alg) != t->alg)
		return false;
	return t->kid.len == 0 || key->kid.len == 0 || slice_eq(t->kid, key->kid);
}

// ---- claims ------------------------------------------------------------------------------------

// The member that has the longest name which is name, or a part of it up to a dot. Whole names come
// first as some contain dots ("https://example.com/roles"), then "kubernetes.io" of
// "kubernetes.io.namespace", where only an object can be gone into. 0: none.
static uint32_t member_find(const struct jwt_claims *claims, uint32_t object, struct slice name)
{
	uint32_t best = 0;

	for (uint32_t i = object + 1; i < claims->values[object].next; i = claims->values[i].next) {
		const struct claim *c = &claims->values[i];

		if (slice_eq(c->name, name))
			return i;
		if (c->type == CLAIM_OBJECT && c->name.len < name.len &&
		    name.ptr[c->name.len] == '.' && slice_starts(name, c->name) &&
		    (best == 0 || c->name.len > claims->values[best].name.len))
			best = i;
	}
	return best;
}

bool jwt_values_begin(const struct jwt *t, struct slice name, struct jwt_values *it)
{
	const struct jwt_claims *claims = t->claims;
	uint32_t at = 0;

	for (int depth = 0; depth < JWT_DEPTH_MAX; depth++) {
		const struct claim *c;

		at = member_find(claims, at, name);
		c = &claims->values[at];
		if (at == 0)
			return false;
		if (c->name.len < name.len) {
			name = slice_make(name.ptr + c->name.len + 1, name.len - c->name.len - 1);
			continue;
		}
		it->claims = claims;
		it->at = c->type == CLAIM_ARRAY ? at + 1 : at;
		it->end = c->next; // of an object nothing is a text
		return true;
	}
	return false;
}

bool jwt_values_next(struct jwt_values *it, struct slice *text)
{
	while (it->at < it->end) {
		const struct claim *c = &it->claims->values[it->at];

		it->at = c->next;
		if (c->type == CLAIM_TEXT || c->type == CLAIM_WORD) {
			*text = c->text;
			return true;
		}
	}
	return false;
}

static bool audience_fits(const struct jwt *t, const struct ss_provider *p)
{
	struct jwt_values it;
	struct slice one;

	if (p->audience_count == 0)
		return true;
	if (!jwt_values_begin(t, SLICE_LIT("aud"), &it))
		return false;
	while (jwt_values_next(&it, &one)) {
		for (uint32_t i = 0; i < p->audience_count; i++) {
			if (slice_eq(p->audiences[i], one))
				return true;
		}
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

bool jwt_claim_matches(const struct jwt *t, const struct ss_claim_match *m)
{
	struct jwt_values it;
	struct slice text;

	if (!jwt_values_begin(t, m->name, &it))
		return false;
	if (m->value_count == 0)
		return true;
	while (jwt_values_next(&it, &text)) {
		for (uint32_t i = 0; i < m->value_count; i++) {
			if (slice_eq(text, m->values[i]))
				return true;
		}
	}
	return false;
}

void jwt_scopes_begin(const struct jwt *t, struct jwt_scopes *it)
{
	*it = (struct jwt_scopes){.token = t};
	jwt_values_begin(t, SLICE_LIT("scope"), &it->values);
}

bool jwt_scopes_next(struct jwt_scopes *it, struct slice *scope)
{
	for (;;) {
		size_t end = slice_find(it->rest, ' ');

		if (it->rest.len > 0) {
			*scope = slice_make(it->rest.ptr, end);
			end += end < it->rest.len;
			it->rest = slice_make(it->rest.ptr + end, it->rest.len - end);
			if (scope->len > 0)
				return true;
			continue;
		}
		if (jwt_values_next(&it->values, &it->rest))
			continue;
		if (it->second || !jwt_values_begin(it->token, SLICE_LIT("scp"), &it->values))
			return false;
		it->second = true;
	}
}

bool jwt_has_scope(const struct jwt *t, struct slice scope)
{
	struct jwt_scopes it;
	struct slice one;

	jwt_scopes_begin(t, &it);
	while (jwt_scopes_next(&it, &one)) {
		if (slice_eq(one, scope))
			return true;
	}
	return false;
}

// ---- copies ------------------------------------------------------------------------------------

size_t jwt_clone_bytes(const struct jwt *t)
{
	const struct jwt_claims *claims = t->claims;
	size_t bytes = sizeof(*t) + sizeof(*claims) + claims->count * sizeof(claims->values[0]) +
		       t->issuer.len + t->kid.len;

	for (uint32_t i = 0; i < claims->count; i++)
		bytes += claims->values[i].name.len + claims->values[i].text.len;
	return bytes;
}

static struct slice clone_text(uint8_t **to, struct slice s)
{
	struct slice copy = slice_make(*to, s.len);

	if (s.len > 0)
		memcpy(*to, s.ptr, s.len);
	*to += s.len;
	return copy;
}

struct jwt *jwt_clone(const struct jwt *t, void *memory)
{
	size_t table = sizeof(*t->claims) + t->claims->count * sizeof(t->claims->values[0]);
	struct jwt *copy = memory;
	struct jwt_claims *claims = (struct jwt_claims *)(copy + 1);
	uint8_t *to = (uint8_t *)claims + table;

	*copy = *t;
	memcpy(claims, t->claims, table);
	copy->claims = claims;
	copy->signing_input = (struct slice){0};
	copy->signature = (struct slice){0};
	copy->issuer = clone_text(&to, t->issuer);
	copy->kid = clone_text(&to, t->kid);
	for (uint32_t i = 0; i < claims->count; i++) {
		claims->values[i].name = clone_text(&to, claims->values[i].name);
		claims->values[i].text = clone_text(&to, claims->values[i].text);
	}
	return copy;
}
