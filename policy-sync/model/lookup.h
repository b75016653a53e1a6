// SPDX-License-Identifier: GPL-3.0-or-later
// lookup: a growing index from a 64-bit hash to a number, for tables that are still being filled
// (common/hash has the fixed one). The caller compares keys.
#pragma once

#include "common/err.h"
#include "common/hash.h"

struct lookup_slot {
	uint64_t hash;
	uint32_t value; // plus one; 0: free
};

// Zero is an empty one.
struct lookup {
	struct lookup_slot *slots;
	uint32_t mask;
	uint32_t count;
};

void lookup_deinit(struct lookup *l);
// Room for so many from the start; only of an empty one. ERR_NOMEM.
enum err must_check lookup_reserve(struct lookup *l, uint32_t count);
// The same hash may be put many times. ERR_NOMEM.
enum err must_check lookup_put(struct lookup *l, uint64_t hash, uint32_t value);
// Values of a hash: start with *at = UINT32_MAX; false when there are no more.
bool lookup_next(const struct lookup *l, uint64_t hash, uint32_t *at, uint32_t *value);

static inline uint64_t lookup_hash_pair(struct slice a, struct slice b)
{
	return hash_bytes(b, hash_bytes(a, 0) + a.len);
}
