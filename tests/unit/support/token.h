// SPDX-License-Identifier: GPL-3.0-or-later
// Tokens out of the texts of header and payload, for tests of what needs no good signature.
#pragma once

#include <stdio.h>
#include "core/jwt.h"

#define TOKEN_HEADER "{\"alg\":\"ES256\"}"

static uint8_t scratch[JWT_ARENA_BYTES];
static char token[4 * JWT_BYTES_MAX];
static struct arena arena;

static inline size_t encode(const void *data, size_t len, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const uint8_t *p = data;
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t bits = (uint32_t)p[i] << 16 | (i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0) |
				(i + 2 < len ? p[i + 2] : 0);

		for (size_t k = 0; k < 4 && k <= len - i; k++)
			out[n++] = digits[bits >> (18 - 6 * k) & 63];
	}
	out[n] = 0;
	return n;
}

// A token of these texts with some signature.
static inline struct slice make(const char *header, const char *payload, size_t payload_len)
{
	size_t n = encode(header, strlen(header), token);

	token[n++] = '.';
	n += encode(payload, payload_len, token + n);
	memcpy(token + n, ".c2ln", 6);
	return slice_make(token, n + 5);
}

static inline enum jwt_refusal parse(struct slice text, struct jwt *out)
{
	arena_init_fixed(&arena, scratch, sizeof(scratch));
	return jwt_parse(text, &arena, out);
}

static inline enum jwt_refusal parse_payload(const char *payload, struct jwt *out)
{
	return parse(make(TOKEN_HEADER, payload, strlen(payload)), out);
}
