// SPDX-License-Identifier: GPL-3.0-or-later
// Which tokens of a request are good, and for which providers. For decide.c only.
#pragma once

#include "decide/token_cache.h"

#define DECIDE_TOKENS_MAX   4 // of one request; providers may read different headers
#define DECIDE_ACCEPTED_MAX 8 // (token, provider) pairs
#define DECIDE_SIGNATURES_MAX                                                                      \
	4 // checks that one request may cost: keys without kid are tried in turn

struct decide_token {
	struct slice text;
	uint64_t providers; // bit i: the policy's provider i reads it
	struct token_verified verified;
	struct jwt parsed;
	bool fresh; // verified now: worth to be kept
};

struct decide_tokens {
	struct decide_token found[DECIDE_TOKENS_MAX];
	uint32_t found_count;
	struct policy_token accepted[DECIDE_ACCEPTED_MAX];
	uint32_t accepted_count;
	enum jwt_refusal refusal; // why nothing was accepted: that of the token that got furthest
	uint32_t signatures;
	// By the policy's providers, bit i or place i.
	uint32_t accepted_by;
	uint32_t unavailable;			// sent a token, but has no keys to judge it by
	uint8_t refusals[POLICY_PROVIDERS_MAX]; // enum jwt_refusal, of what it was sent
};

// Finds and verifies. Accepted tokens borrow from the arena and from the cache: nothing may be put there
// before the decision has been made.
void decide_tokens_verify(const struct decide_context *c, const struct ss_policy *p,
			  const struct policy_input *in, struct decide_tokens *t);
// Why none of these providers (bits) accepted a token: of several refusals the furthest.
enum jwt_refusal decide_tokens_refusal(const struct decide_tokens *t, const struct ss_policy *p,
				       uint32_t providers);
// Afterwards: what was verified now goes into the cache.
void decide_tokens_keep(const struct decide_context *c, const struct ss_policy *p,
			const struct decide_tokens *t);
