// SPDX-License-Identifier: GPL-3.0-or-later
// Tokens whose signature has been verified: a second request with the same token costs a hash, a
// comparison and a look at its claims. Bounded in entries and bytes; one worker's; what is oldest
// goes first. Issuer, audience and dates are not judged here: the caller asks them again each time,
// so an entry cannot outlive exp.
#pragma once

#include "decide/decide.h"

// What a verification depends on: the token, the providers that a policy names (in its order), and the
// records of all providers, by the digest of their section, so that keys that have gone stop counting at
// once while changes elsewhere in a snapshot cost nothing.
struct token_key {
	struct slice token;
	const struct ss_policy *policy;
	uint8_t providers_sha256[32];
};

struct token_verified {
	const struct jwt *jwt; // without signature; valid until the next put
	uint64_t asked;	       // bit i: the policy's provider i was asked
	uint64_t verified;     // bit i: its issuer and one of its keys fit
};

bool token_cache_find(const struct token_cache *c, const struct token_key *key,
		      struct token_verified *out);
// Copies. A token too large to be kept is left out.
void token_cache_put(struct token_cache *c, const struct token_key *key,
		     const struct token_verified *v);
