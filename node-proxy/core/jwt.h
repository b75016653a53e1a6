// SPDX-License-Identifier: GPL-3.0-or-later
// JSON Web Tokens (RFC 7519, JWS compact serialization RFC 7515), in two phases because core does
// no cryptography: jwt_parse checks form and limits and returns what is to be verified; the caller
// (decide) picks the key, verifies with io/crypto, then jwt_check_claims judges the claims.
#pragma once

#include "common/arena.h"
#include "common/jwt_alg.h"
#include "common/snapshot_schema.h"

#define JWT_BYTES_MAX  16384
#define JWT_CLAIMS_MAX 128  // members of all objects of a header or payload
#define JWT_VALUES_MAX 1024 // values, elements of arrays included
#define JWT_DEPTH_MAX  8
// What jwt_parse takes of its arena for a token of JWT_BYTES_MAX, at most.
#define JWT_ARENA_BYTES (232u << 10)

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

struct jwt_claims; // the payload, in the arena

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
// Checks the form only. Duplicate members anywhere in header or payload, "crit", non-canonical
// base64url, trailing bytes, excess depth, an iss that is no string, an aud that is neither string nor
// strings, and dates that are no numbers are JWT_MALFORMED; algorithms that we do not verify, "none"
// among them, JWT_ALGORITHM; above a limit, or above what the arena can take, JWT_TOO_LARGE. *out
// borrows from token and arena.
enum jwt_refusal must_check jwt_parse(struct slice token, struct arena *a, struct jwt *out);
// Does a key fit (type, curve, kid where both have one, alg where the key has one)?
bool jwt_key_fits(const struct jwt *t, const struct ss_jwk *key);
// Issuer, audience, exp and nbf with the provider's skew. A provider without issuer or audiences does
// not ask for them; a token without exp does not expire.
enum jwt_refusal must_check jwt_check_claims(const struct jwt *t, const struct ss_provider *p,
					     int64_t now_unix_s);
// Does the claim exist and equal any of the values (or, as an array, contain one)? Integers and booleans
// equal the text that JSON has for them; null, other numbers and objects equal nothing. Without
// values the claim only has to be there.
bool jwt_claim_matches(const struct jwt *t, const struct ss_claim_match *m);
// "scope" or "scp" holds it: a string of words between spaces (RFC 8693 4.2) or an array.
bool jwt_has_scope(const struct jwt *t, struct slice scope);

// A claim's texts one by one: the value itself, or an array's elements. name is dotted for nested
// members; the longest member name that fits is gone into. False: there is no such claim.
struct jwt_values {
	const struct jwt_claims *claims;
	uint32_t at, end;
};
bool jwt_values_begin(const struct jwt *t, struct slice name, struct jwt_values *it);
bool jwt_values_next(struct jwt_values *it, struct slice *text);

// All scopes of a token.
struct jwt_scopes {
	const struct jwt *token;
	struct jwt_values values;
	struct slice rest;
	bool second; // "scp"
};
void jwt_scopes_begin(const struct jwt *t, struct jwt_scopes *it);
bool jwt_scopes_next(struct jwt_scopes *it, struct slice *scope);

// A copy without signature that borrows nothing, for who keeps a verified token: memory is
// aligned for any type, has jwt_clone_bytes, and is freed by its owner at once.
size_t jwt_clone_bytes(const struct jwt *t);
struct jwt *jwt_clone(const struct jwt *t, void *memory);
