// SPDX-License-Identifier: GPL-3.0-or-later
// JSON Web Key Sets (RFC 7517) to the snapshot's keys. Keys that cannot verify anything are errors where
// they are written, not surprises where they are used.
#include "model/read.h"

#include <yyjson.h>
#include "core/jwt.h"
#include "io/crypto.h"

#define JWKS_BYTES_MAX (1u << 20)
#define KEYS_MAX       64

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
	return !yyjson_is_arr(ops);
}

// RFC 7517 4.2 to 4.4: providers publish keys for encryption beside those for signatures.
static const char *other_purpose(yyjson_val *key, struct slice alg)
{
	static const char *const encryption[] = {"RSA-OAEP", "RSA1_5", "ECDH-ES"};
	yyjson_val *use = yyjson_obj_get(key, "use");

	if (use && !yyjson_equals_str(use, "sig"))
		return "its use is not sig";
	if (!ops_has_verify(yyjson_obj_get(key, "key_ops")))
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

// False: a finding that breaks the policy.
static bool read_key(const struct key_reading *r, yyjson_val *key)
{
	struct ss_jwk *out = &r->to->keys[r->to->key_count];
	struct reason why = {0};
	struct slice type;
	const char *wrong, *other;

	*out = (struct ss_jwk){0};
	if (!yyjson_is_obj(key) || !text_of(key, "kty", r->at->arena, &type) ||
	    !text_of(key, "kid", r->at->arena, &out->kid) ||
	    !text_of(key, "alg", r->at->arena, &out->alg)) {
		view_error(r->at, "key %u: is no JSON Web Key", r->number);
		return false;
	}
	other = other_purpose(key, out->alg);
	if (other) {
		view_warn(r->at, "key %u: %s: it is left out", r->number, other);
		return true;
	}
	wrong = read_members(key, type, r->at->arena, out);
	if (!wrong && (out->kid.len > 512 || out->n.len > 2048 || out->e.len > 16))
		wrong = "a member is too long";
	if (!wrong && crypto_check_jwk(out, &why) != ERR_OK)
		wrong = why.text;
	if (wrong) {
		view_error(r->at, "key %u: %s", r->number, wrong);
		return false;
	}
	if (!fits_any_token(out)) {
		view_error(r->at, "key %u: alg %.*s does not go with this key", r->number,
			   SLICE_ARG(out->alg));
		return false;
	}
	if (yyjson_obj_get(key, "d"))
		view_warn(r->at, "key %u: the private part is in it: whoever reads this can sign",
			  r->number);
	if (repeats_kid(r->to, out->kid))
		view_warn(r->at, "key %u: kid %.*s is there twice", r->number, SLICE_ARG(out->kid));
	r->to->key_count++;
	return true;
}

bool read_jwks(const struct view *at, struct slice json, struct ss_provider *out)
{
	yyjson_doc *doc = json.len <= JWKS_BYTES_MAX
				  ? yyjson_read((const char *)json.ptr, json.len, 0)
				  : NULL;
	yyjson_val *keys = yyjson_obj_get(yyjson_doc_get_root(doc), "keys"), *key;
	bool good = yyjson_is_arr(keys) && yyjson_arr_size(keys) > 0 &&
		    yyjson_arr_size(keys) <= KEYS_MAX;
	struct key_reading r = {.at = at, .to = out};
	size_t index, max;

	if (!good)
		view_error(at, "is no JSON Web Key Set with 1 to %d keys", KEYS_MAX);
	out->keys = good ? arena_alloc(at->arena, yyjson_arr_size(keys), sizeof(*out->keys)) : NULL;
	if (out->keys) {
		yyjson_arr_foreach(keys, index, max, key)
		{
			r.number++;
			good = good && read_key(&r, key);
		}
		if (good && out->key_count == 0) {
			view_error(at, "has no key that could verify a token");
			good = false;
		}
	}
	yyjson_doc_free(doc);
	return good && out->keys;
}
