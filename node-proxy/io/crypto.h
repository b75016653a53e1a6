// SPDX-License-Identifier: GPL-3.0-or-later
// The cryptography that is not TLS: digests, signature checks for JWT, random bytes, constant-time
// comparison. wolfCrypt behind it, no wolfSSL type in front. Thread-safe (no shared state).
#pragma once

#include "common/snapshot_schema.h"
#include "common/jwt_alg.h"

// data up to 4 GiB.
void crypto_sha256(struct slice data, uint8_t out[32]);
// From the kernel; may block once, early at boot. ERR_IO.
enum err must_check crypto_random(void *out, size_t len);
// In constant time for equal lengths; lengths are no secret.
bool crypto_equal(struct slice a, struct slice b);
// Could a key of this type verify anything, whatever the algorithm? For whoever takes keys in, so that a bad
// one is found there and not at the first token: RSA from 2048 to 4096 bits with a sound exponent, points
// that are on their curve. ERR_UNSUPPORTED with why; ERR_CRYPTO: out of memory.
enum err must_check crypto_check_jwk(const struct ss_jwk *key, struct reason *why);
// ERR_SIGNATURE: does not match; ERR_UNSUPPORTED: key and algorithm do not go together, or the
// key is too weak (RSA < 2048 bits), too large (RSA > 4096 bits) or malformed; ERR_CRYPTO: out of memory.
// RFC 7518 3.3-3.5, RFC 8037 (Ed448 where wolfSSL has it).
enum err must_check crypto_verify_jws(enum jwt_alg alg, const struct ss_jwk *key,
				      struct slice signing_input, struct slice signature);
