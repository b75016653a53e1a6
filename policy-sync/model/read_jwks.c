// SPDX-License-Identifier: GPL-3.0-or-later
// JSON Web Key Sets (RFC 7517) to the snapshot's keys. A key that is not understood, or verifies nothing, is left
// out with a warning, as section 5 has it: providers add kinds of keys without asking. A set without any
// usable one is an error where it is written, not a surprise where it is used.
#include "model/read.h"

#include <yyjson.h>
#include "core/jwt.h"
#include "io/crypto.h"

#define JWKS_BYTES_MAX (1u << 20)
#define KEYS_MAX       64
#define KEYS_READ_MAX  1024 // those that are left out too

static bool text_of(yyjson_val *key, const char *name, struct arena *a, struct slice *out)
{
	yyjson_val *v = yyjson_obj_get(key, name);

	*out = (struct slice){0};
	if (!v)
		return true;
	if (!yyjson_is_str(v))
		return false;
	*out = arena_copy(a, slice_make(yyjson_get_str(v), yyjson_get_len(v)));
	return out->ptr != NULL;
}

static bool number_of(yyjson_val *key, const char *name, struct arena *a, struct slice *out)
{
	struct slice text;

	return text_of(key, name, a, &text) && text.len > 0 && jwt_base64url(text, a, out);
}

// NULL: its members are there; else what is missing. Whether they make a key is io/crypto's to say.
static const char *read_members(yyjson_val *key, struct slice type, struct arena *a,
				struct ss_jwk *out)
{
	if (slice_eq_str(type, "RSA")) {
		out->type = JWK_RSA;
		if (!number_of(key, "n", a, &out->n) || !number_of(key, "e", a, &out->e))
			return "an RSA key needs n and e in base64url";
	} else if (slice_eq_str(type, "EC")) {
		out->type = JWK_EC;
		if (!text_of(key, "crv", a, &out->crv) || !number_of(key, "x", a, &out->x) ||
		    !number_of(key, "y", a, &out->y))
			return "an EC key needs crv, and x and y in base64url";
	} else if (slice_eq_str(type, "OKP")) {
		out->type = JWK_OKP;
		if (!text_of(key, "crv", a, &out->crv) || !number_of(key, "x", a, &out->x))
			return "an OKP key needs crv, and x in base64url";
	} else {
		return "kty has to be RSA, EC or OKP (shared secrets are not accepted)";
	}
	return NULL;
}

static bool ops_has_verify(yyjson_val *ops)
{
	size_t index, max;
	yyjson_val *op;

	yyjson_arr_foreach(ops, index, max, op)
	{
		if (yyjson_equals_str(op, "verify"))
			return true;
	}
	return false;
}

// RFC 7517 4.2 to 4.4: providers publish keys for encryption beside those for signatures.
static const char *other_purpose(yyjson_val *key, struct slice alg)
{
	static const char *const encryption[] = {"RSA-OAEP", "RSA1_5", "ECDH-ES"};
	yyjson_val *use = yyjson_obj_get(key, "use"), *ops = yyjson_obj_get(key, "key_ops");

	if (use && !yyjson_equals_str(use, "sig"))
		return "its use is not sig";
	if (ops && !ops_has_verify(ops))
		return "its key_ops do not include verify";
	for (size_t i = 0; i < sizeof(encryption) / sizeof(encryption[0]); i++) {
		if (slice_starts(alg, slice_str(encryption[i])))
			return "its alg is one of encryption";
	}
	return NULL;
}

// Is there an algorithm by which the data path would try it?
static bool fits_any_token(const struct ss_jwk *key)
{
	for (enum jwt_alg alg = JWT_RS256; alg <= JWT_EDDSA; alg++) {
		struct jwt token = {.alg = alg};

		if (jwt_key_fits(&token, key))
			return true;
	}
	return false;
}

struct key_reading {
	const struct view *at;
	uint32_t number; // from 1
	uint32_t usable; // so far
	struct ss_provider *to;
};

static bool repeats_kid(const struct ss_provider *p, struct slice kid)
{
	for (uint32_t i = 0; kid.len > 0 && i < p->key_count; i++) {
		if (slice_eq(p->keys[i].kid, kid))
			return true;
	}
	return false;
}

// Why it is left out; NULL: it is a key that can verify.
static const char *unusable(const struct key_reading *r, yyjson_val *key, struct ss_jwk *out,
			    struct reason *why)
{
	struct arena *a = r->at->arena;
	const char *wrong;
	struct slice type;

	if (!yyjson_is_obj(key))
		return "is no object";
	if (!text_of(key, "kty", a, &type))
		return "kty has to be a text";
	if (!text_of(key, "kid", a, &out->kid))
		return "kid has to be a text";
	if (!text_of(key, "alg", a, &out->alg))
		return "alg has to be a text";
	wrong = other_purpose(key, out->alg);
	if (!wrong)
		wrong = read_members(key, type, a, out);
	if (!wrong && (out->kid.len > 512 || out->n.len > 2048 || out->e.len > 16))
		wrong = "a member is too long";
	if (!wrong && crypto_check_jwk(out, why) != ERR_OK)
		wrong = why->text;
	if (!wrong && !fits_any_token(out)) {
		(void)err_because(ERR_UNSUPPORTED, why, "alg %.*s does not go with this key",
				  out->alg.len < 32 ? (int)out->alg.len : 32,
				  (const char *)out->alg.ptr);
		wrong = why->text;
	}
	return wrong;
}

// RFC 7518 6.2.2, 6.3.2, RFC 8037 2, and of kinds to come.
static bool has_private_part(yyjson_val *key)
{
	static const char *const members[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "priv"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (yyjson_obj_get(key, members[i]))
			return true;
	}
	return false;
}

static void read_key(struct key_reading *r, yyjson_val *key)
{
	struct ss_jwk one = {0};
	struct reason why = {0};
	const char *wrong = unusable(r, key, &one, &why);

	if (wrong) {
		view_warn(r->at, "key %u: %s: it is left out", r->number, wrong);
		return;
	}
	if (has_private_part(key))
		view_warn(r->at, "key %u: the private part is in it: whoever reads this can sign",
			  r->number);
	if (repeats_kid(r->to, one.kid))
		view_warn(r->at, "key %u: kid %.*s is there twice", r->number, SLICE_ARG(one.kid));
	if (r->usable++ < KEYS_MAX)
		r->to->keys[r->to->key_count++] = one;
}

static bool read_keys(const struct view *at, yyjson_val *keys, struct ss_provider *out)
{
	struct key_reading r = {.at = at, .to = out};
	size_t index, max,
		room = yyjson_arr_size(keys) < KEYS_MAX ? yyjson_arr_size(keys) : KEYS_MAX;
	yyjson_val *key;

	out->keys = arena_alloc(at->arena, room, sizeof(*out->keys));
	if (!out->keys) {
		view_error(at, "there is too much in this file");
		return false;
	}
	yyjson_arr_foreach(keys, index, max, key)
	{
		r.number++;
		read_key(&r, key);
	}
	if (r.usable == 0)
		view_error(at, "has no key that could verify a token");
	if (r.usable > KEYS_MAX)
		view_error(at, "has %u keys that could verify a token, the limit is %d", r.usable,
			   KEYS_MAX);
	return r.usable > 0 && r.usable <= KEYS_MAX;
}

bool read_jwks(const struct view *at, struct slice json, struct ss_provider *out)
{
	yyjson_doc *doc = json.len <= JWKS_BYTES_MAX
				  ? yyjson_read((const char *)json.ptr, json.len, 0)
				  : NULL;
	yyjson_val *keys = yyjson_obj_get(yyjson_doc_get_root(doc), "keys");
	bool good = yyjson_is_arr(keys) && yyjson_arr_size(keys) > 0 &&
		    yyjson_arr_size(keys) <= KEYS_READ_MAX;

	if (!good)
		view_error(at, "is no JSON Web Key Set with 1 to %d keys", KEYS_READ_MAX);
	good = good && read_keys(at, keys, out);
	yyjson_doc_free(doc);
	return good;
}
