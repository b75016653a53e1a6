// SPDX-License-Identifier: GPL-3.0-or-later
// Rate limits: GCRA in one atomic word (tag and time) a bucket, in one fixed table shared by all
// workers (and by the old and the new process during an upgrade: it may lie in shared memory, and
// holds no pointers). No lock. "N a minute" is N, not N times the workers.
#pragma once

#include "common/err.h"
#include "common/slice.h"

struct ratelimit_table;

// Bytes that a table of so many buckets (rounded up to a power of two) needs.
size_t ratelimit_table_bytes(uint32_t buckets);
// Lays a table out in zeroed memory (64-byte aligned), or adopts the one already there
// (another process made it, with a seed that stays). seed keeps attackers from aiming at a bucket.
// ERR_VERSION: the memory holds something else. ERR_RANGE: too small.
enum err must_check ratelimit_table_init(void *memory, size_t bytes, uint64_t seed,
					 struct ratelimit_table **out);

// The table's seed, for who hashes key material: the same in every process that uses the table.
uint64_t ratelimit_seed(const struct ratelimit_table *t);

struct ratelimit_verdict {
	bool allowed;
	uint64_t retry_after_ns; // until one more would be admitted; 0 if allowed
	uint64_t remaining;
	bool overflow; // no bucket could be had: the set is full of active keys; counted, and the
		       // key shares its set's most used bucket (fail closed, never a reset)
};

// How much is admitted, as the table counts it: worked out once, not for every event.
struct ratelimit_rate {
	uint64_t interval_ns; // that one event costs; 0: nothing is admitted
	uint64_t
		window_ns; // how far it may be spent ahead; of what admits nothing: when to ask again
};

// requests per unit_s with burst (0: requests). requests 0 admits nothing.
struct ratelimit_rate ratelimit_rate_of(uint64_t requests, uint32_t unit_s, uint64_t burst);

// One event for key (a hash of limit id and key material, seeded); exact over all threads. now_ns
// monotonic, from one clock for all users of the table. Tokens are integral: an idle key is admitted burst
// times at once, then once every unit_s / requests (rounded up to a nanosecond). Evicting never resets an
// active key: only buckets whose time has fully passed are taken over.
struct ratelimit_verdict ratelimit_take(struct ratelimit_table *t, uint64_t key,
					struct ratelimit_rate rate, uint64_t now_ns);
// What ratelimit_take would say now; changes nothing. A token is never given back, as times that only grow are
// what keeps one key in one bucket: who needs several limits asks all before it takes one.
struct ratelimit_verdict ratelimit_ask(struct ratelimit_table *t, uint64_t key,
				       struct ratelimit_rate rate, uint64_t now_ns);
