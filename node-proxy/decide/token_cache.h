// SPDX-License-Identifier: GPL-3.0-or-later
// Tokens whose signature has been verified: a second request with the same token costs a hash and a
// comparison. Bounded; one worker's. An entry belongs to one provider of one snapshot generation
// (keys may have gone since) and never outlives the token.
#pragma once

#include "decide/decide.h"

struct token_entry {
	uint64_t hash;
	struct generation generation;
	uint64_t provider; // hash of its id
	int64_t expires_unix_s;	   // with skew
	int64_t not_before_unix_s; // with skew
	uint32_t len;
	uint32_t cap;
	uint8_t *bytes;
};

// The live entry of this very token, or NULL.
const struct token_entry *token_cache_find(struct token_cache *c, struct slice token,
					   uint64_t provider, struct generation g);
void token_cache_put(struct token_cache *c, struct slice token, uint64_t provider,
		     struct generation g, int64_t expires_unix_s, int64_t not_before_unix_s);
