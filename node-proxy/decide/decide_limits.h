// SPDX-License-Identifier: GPL-3.0-or-later
// The limits on a request's way. Those of a client address are asked before anybody's signature is checked and
// spent by whoever asks, also in vain; shared ones are asked last and spent only by what is let in. A request that
// a limit refuses spends nothing of any: all are asked before one is taken.
#pragma once

#include "decide/decide.h"

enum limits_turn { LIMITS_OF_ADDRESS = 0, LIMITS_SHARED, LIMITS_TURNS };

// A limit that selects the request.
struct limit_use {
	const struct limit *limit;
	uint64_t key; // of its bucket
};

struct decide_limits {
	const struct decide_context *context;
	struct limit_use *list; // in the policy's order; in the context's arena
	uint32_t count;
	uint32_t of_turn[LIMITS_TURNS]; // how many of them
};

// Does a limit of the policy ask for paths? shadow_too: also one that refuses nothing.
bool decide_limits_read_paths(const struct decide_context *c, const struct ss_policy *p,
			      bool shadow_too);
// Which limits select the request. False: there is no memory to know it by, so it is refused.
bool decide_limits_find(struct decide_limits *l, const struct decide_context *c,
			const struct ss_policy *p, const struct policy_input *in,
			struct decision *out);
// Would those of this turn admit one more? False: refused, out says by which. Spends nothing.
bool decide_limits_ask(const struct decide_limits *l, enum limits_turn turn, struct decision *out);
// Those of this turn take their token, as far as they have one.
void decide_limits_spend(const struct decide_limits *l, enum limits_turn turn);
// A limit in shadow mode would have to read what cannot be read.
void decide_limits_unreadable(const struct decide_context *c, const struct ss_policy *p,
			      struct decision *out);
// All take theirs; refuses only where another worker took the last one since the limit was asked.
void decide_limits_take(const struct decide_limits *l, struct decision *out);
