// SPDX-License-Identifier: GPL-3.0-or-later
// Keys and tokens for tests: the RFCs' examples and what jws_vectors.py signed.
#pragma once

#include <assert.h>
#include "common/arena.h"
#include "core/jwt.h"

#define NOW_UNIX_S 1700000000ll // when the tokens are good

struct jwk_text {
	enum jwk_type type;
	const char *kid, *crv, *n, *e, *x, *y; // base64url, or NULL
};

struct jws_vector {
	const char *name;
	enum jwt_alg alg;
	enum err verdict; // of crypto_verify_jws
	struct jwk_text key;
	const char *token;
};

#ifdef HAVE_ED448
#define ED448_VERDICT ERR_OK
#else
#define ED448_VERDICT ERR_UNSUPPORTED
#endif

static inline struct slice jws_decode(struct arena *a, const char *text)
{
	struct slice out = {0};

	if (text && !jwt_base64url(slice_str(text), a, &out))
		assert(false);
	return out;
}

static inline struct ss_jwk jws_key(struct arena *a, const struct jwk_text *k)
{
	return (struct ss_jwk){
		.type = k->type,
		.kid = k->kid ? slice_str(k->kid) : (struct slice){0},
		.crv = k->crv ? slice_str(k->crv) : (struct slice){0},
		.n = jws_decode(a, k->n),
		.e = jws_decode(a, k->e),
		.x = jws_decode(a, k->x),
		.y = jws_decode(a, k->y),
	};
}

// What is signed, and the signature, of a compact token.
static inline void jws_split(struct arena *a, const char *token, struct slice *input,
			     struct slice *signature)
{
	const char *dot = strrchr(token, '.');

	assert(dot);
	*input = slice_make(token, (size_t)(dot - token));
	*signature = jws_decode(a, dot + 1);
}

#include "support/jws_vectors.inc"
