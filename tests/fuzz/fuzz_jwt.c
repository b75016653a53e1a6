// SPDX-License-Identifier: GPL-3.0-or-later
// core/jwt. Any bytes as a token; and, as base64url hides JSON from a fuzzer, header and payload as
// texts: what begins with '{' is "header \0 payload", encoded here. What parses is asked everything,
// and its copy has to answer the same.
#include <stdlib.h>
#include "core/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t encode(struct slice s, uint8_t *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t n = 0;

	for (size_t i = 0; i < s.len; i += 3) {
		uint32_t bits = (uint32_t)s.ptr[i] << 16 |
				(i + 1 < s.len ? (uint32_t)s.ptr[i + 1] << 8 : 0) |
				(i + 2 < s.len ? s.ptr[i + 2] : 0);

		for (size_t k = 0; k < 4 && k <= s.len - i; k++)
			out[n++] = (uint8_t)digits[bits >> (18 - 6 * k) & 63];
	}
	return n;
}

static struct slice token_of(struct slice texts)
{
	static uint8_t token[4 * JWT_BYTES_MAX];
	size_t zero = slice_find(texts, 0), n;

	if (texts.len > JWT_BYTES_MAX)
		return texts;
	n = encode(slice_make(texts.ptr, zero), token);
	token[n++] = '.';
	if (zero < texts.len)
		n += encode(slice_make(texts.ptr + zero + 1, texts.len - zero - 1), token + n);
	memcpy(token + n, ".c2ln", 5);
	return slice_make(token, n + 5);
}

// Everything that a rule can ask, as one number.
static uint64_t ask(const struct jwt *t)
{
	static const char *const names[] = {"a", "a.b", "a.b.c", "sub", "", "."};
	struct slice value = SLICE_LIT("x");
	struct ss_provider provider = {.issuer = SLICE_LIT("i"), .clock_skew_s = 5};
	struct jwt_scopes scopes;
	struct slice text;
	uint64_t sum = (uint64_t)jwt_check_claims(t, &provider, 1000);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct ss_claim_match m = {slice_str(names[i]), &value, 1};
		struct jwt_values values;

		sum = sum * 3 + jwt_claim_matches(t, &m);
		if (!jwt_values_begin(t, m.name, &values))
			continue;
		while (jwt_values_next(&values, &text)) {
			for (size_t k = 0; k < text.len; k++)
				sum = sum * 31 + text.ptr[k];
		}
	}
	jwt_scopes_begin(t, &scopes);
	while (jwt_scopes_next(&scopes, &text)) {
		if (text.len == 0 || slice_find(text, ' ') != text.len || !jwt_has_scope(t, text))
			abort();
		sum = sum * 31 + text.ptr[0];
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t scratch[JWT_ARENA_BYTES];
	struct slice token = slice_make(data, size);
	struct jwt t, *copy;
	struct arena a;
	uint64_t sum;

	if (size > 0 && data[0] == '{')
		token = token_of(token);
	arena_init_fixed(&a, scratch, sizeof(scratch));
	if (jwt_parse(token, &a, &t) != JWT_OK)
		return 0;
	if (t.alg == JWT_ALG_NONE || t.signing_input.ptr != token.ptr ||
	    t.signing_input.len >= token.len || t.signature.len == 0)
		abort();
	sum = ask(&t);
	copy = jwt_clone(&t, malloc(jwt_clone_bytes(&t)));
	memset(scratch, 0xa5, sizeof(scratch));
	if (ask(copy) != sum)
		abort();
	free(copy);
	return 0;
}
