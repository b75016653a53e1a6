// SPDX-License-Identifier: GPL-3.0-or-later
// JSON Web Key Sets (RFC 7517) to the snapshot's keys. Keys that cannot verify anything are errors where
// they are written, not surprises where they are used.
#include "model/read.h"

#include <yyjson.h>
#include "core/jwt.h"

#define JWKS_BYTES_MAX (1u << 20)
#define KEYS_MAX 64
#define RSA_BYTES_MIN 256

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

static struct slice without_zeros(struct slice s)
{
	while (s.len > 0 && s.ptr[0] == 0) {
		s.ptr++;
		s.len--;
	}
	return s;
}

// NULL: the key is good; else what is wrong with it.
static const char *read_rsa(yyjson_val *key, struct arena *a, struct ss_jwk *out)
{
	out->type = JWK_RSA;
	if (!number_of(key, "n", a, &out->n) || !number_of(key, "e", a, &out->e))
		return "an RSA key needs n and e in base64url";
	out->n = without_zeros(out->n);
	out->e = without_zeros(out->e);
	return out->n.len < RSA_BYTES_MIN ? "RSA keys below 2048 bits are not accepted" : NULL;
}

static const char *read_ec(yyjson_val *key, struct arena *a, struct ss_jwk *out)
{
	size_t bytes;

	out->type = JWK_EC;
	if (!text_of(key, "crv", a, &out->crv) || !number_of(key, "x", a, &out->x) ||
	    !number_of(key, "y", a, &out->y))
		return "an EC key needs crv, and x and y in base64url";
	bytes = slice_eq_str(out->crv, "P-256")	  ? 32
		: slice_eq_str(out->crv, "P-384") ? 48
		: slice_eq_str(out->crv, "P-521") ? 66
						  : 0;
	if (bytes == 0)
		return "crv has to be P-256, P-384 or P-521";
	return out->x.len == bytes && out->y.len == bytes ? NULL
							   : "x and y have to be as long as the curve says";
}

static const char *read_okp(yyjson_val *key, struct arena *a, struct ss_jwk *out)
{
	out->type = JWK_OKP;
	if (!text_of(key, "crv", a, &out->crv) || !number_of(key, "x", a, &out->x))
		return "an OKP key needs crv, and x in base64url";
	if (!slice_eq_str(out->crv, "Ed25519"))
		return "crv has to be Ed25519";
	return out->x.len == 32 ? NULL : "x has to be 32 bytes";
}

static const char *read_key(yyjson_val *key, struct arena *a, struct ss_jwk *out)
{
	struct slice type;

	if (!yyjson_is_obj(key) || !text_of(key, "kty", a, &type) ||
	    !text_of(key, "kid", a, &out->kid) || !text_of(key, "alg", a, &out->alg))
		return "is no JSON Web Key";
	if (slice_eq_str(type, "RSA"))
		return read_rsa(key, a, out);
	if (slice_eq_str(type, "EC"))
		return read_ec(key, a, out);
	if (slice_eq_str(type, "OKP"))
		return read_okp(key, a, out);
	return "kty has to be RSA, EC or OKP (shared secrets are not accepted)";
}

bool read_jwks(const struct view *at, struct slice json, struct ss_provider *out)
{
	yyjson_doc *doc = json.len <= JWKS_BYTES_MAX
				  ? yyjson_read((const char *)json.ptr, json.len, 0)
				  : NULL;
	yyjson_val *keys = yyjson_obj_get(yyjson_doc_get_root(doc), "keys"), *key;
	size_t index, max;
	const char *wrong = NULL;

	if (!yyjson_is_arr(keys) || yyjson_arr_size(keys) == 0 || yyjson_arr_size(keys) > KEYS_MAX) {
		view_error(at, "is no JSON Web Key Set with 1 to %d keys", KEYS_MAX);
		yyjson_doc_free(doc);
		return false;
	}
	out->keys = arena_alloc(at->arena, yyjson_arr_size(keys), sizeof(*out->keys));
	yyjson_arr_foreach(keys, index, max, key)
	{
		wrong = out->keys ? read_key(key, at->arena, &out->keys[out->key_count++])
				  : "too large";
		if (wrong)
			break;
	}
	if (wrong)
		view_error(at, "key %u: %s", out->key_count, wrong);
	yyjson_doc_free(doc);
	return !wrong;
}
