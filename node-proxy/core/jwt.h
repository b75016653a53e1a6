// SPDX-License-Identifier: GPL-3.0-or-later
// JSON Web Tokens (RFC 7519, JWS compact serialization RFC 7515), in two phases because core does
// no cryptography: jwt_parse checks form and limits and returns what is to be verified; the caller
// (decide) picks the key, verifies with io/crypto, then jwt_check_claims judges the claims.
#pragma once

#include "common/arena.h"
#include "common/jwt_alg.h"
#include "common/snapshot_schema.h"

#define JWT_BYTES_MAX 16384
#define JWT_CLAIMS_MAX 128
#define JWT_DEPTH_MAX 8

// Why a token is refused, in the words of the log and of WWW-Authenticate's error_description.
enum jwt_refusal {
	JWT_OK = 0,
	JWT_MISSING,
	JWT_MALFORMED,
	JWT_TOO_LARGE,
	JWT_ALGORITHM, // none, symmetric, unknown, or not the key's
	JWT_NO_KEY,    // no key of any provider fits kid and alg
	JWT_SIGNATURE,
	JWT_EXPIRED,
	JWT_NOT_YET_VALID,
	JWT_ISSUER,
	JWT_AUDIENCE,
	JWT_REFUSAL_COUNT
};

struct jwt_claims; // parsed JSON, in the arena

struct jwt {
	enum jwt_alg alg;
	struct slice kid;
	struct slice signing_input; // of the token's own bytes
	struct slice signature;	    // decoded
	struct slice issuer;
	int64_t expires_unix_s;	   // INT64_MAX: no exp
	int64_t not_before_unix_s; // INT64_MIN: no nbf
	const struct jwt_claims *claims;
};

const char *jwt_refusal_name(enum jwt_refusal r);
// Strict base64url without padding into the arena; policy-sync reads JWKs with it too.
bool jwt_base64url(struct slice text, struct arena *a, struct slice *out);
// Duplicate members anywhere in header or payload, "crit", non-canonical base64url, trailing
// bytes and excess depth are refused.
enum jwt_refusal must_check jwt_parse(struct slice token, struct arena *a, struct jwt *out);
// Does a key fit (type, curve, kid where both have one, alg where the key has one)?
bool jwt_key_fits(const struct jwt *t, const struct ss_jwk *key);
// Issuer, audience, exp and nbf with the provider's skew.
enum jwt_refusal must_check jwt_check_claims(const struct jwt *t, const struct ss_provider *p,
					     int64_t now_unix_s);
// Does the claim exist and equal any of the values (or, as an array, contain one)?
bool jwt_claim_matches(const struct jwt *t, const struct ss_claim_match *m);
// "scope" (space-separated) or "scp" (array) holds it.
bool jwt_has_scope(const struct jwt *t, struct slice scope);
