// SPDX-License-Identifier: GPL-3.0-or-later
// GCRA (ITU-T I.371) over a shared table of atomic buckets; see ratelimit.h.
//
// A line of 64 bytes is a set of four buckets, each a tag (the key's hash) and its theoretical
// arrival time. A bucket whose time has passed is as good as new, so only such are taken over:
// evicting never resets an active key.
#include "core/ratelimit.h"

#include <stdatomic.h>
#include "common/clock.h"

#define WAYS 4
#define TABLE_MAGIC 0x706f7274726c0001ull
// Taking over a bucket in use by another thread at the same moment is tried again so often.
#define TRIES_MAX 64

struct bucket {
	_Atomic uint64_t tag; // 0: free
	_Atomic uint64_t time_ns; // theoretical arrival time
};

struct set {
	_Alignas(64) struct bucket ways[WAYS];
};

struct ratelimit_table {
	_Alignas(64) uint64_t magic;
	uint64_t seed;
	uint64_t sets; // power of two
	_Alignas(64) struct set set[];
};

_Static_assert(sizeof(struct set) == 64, "one cache line");

static uint64_t sets_for(uint32_t buckets)
{
	uint64_t sets = 1;

	while (sets * WAYS < buckets)
		sets *= 2;
	return sets;
}

size_t ratelimit_table_bytes(uint32_t buckets)
{
	return sizeof(struct ratelimit_table) + sets_for(buckets) * sizeof(struct set);
}

enum err ratelimit_table_init(void *memory, size_t bytes, uint64_t seed,
			      struct ratelimit_table **out)
{
	struct ratelimit_table *t = memory;

	if (bytes < sizeof(*t) + sizeof(struct set))
		return ERR_RANGE;
	uint64_t sets = 1;

	while (sizeof(*t) + sets * 2 * sizeof(struct set) <= bytes)
		sets *= 2;
	if (t->magic != 0 && (t->magic != TABLE_MAGIC || t->sets != sets))
		return ERR_VERSION;
	if (t->magic == 0) {
		t->seed = seed;
		t->sets = sets;
		t->magic = TABLE_MAGIC;
	}
	*out = t;
	return ERR_OK;
}

// splitmix64's finalizer over the table's seed: nobody outside can aim at a set.
static uint64_t mix(uint64_t v, uint64_t seed)
{
	v += seed + 0x9e3779b97f4a7c15ull;
	v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ (v >> 27)) * 0x94d049bb133111ebull;
	return (v ^ (v >> 31)) | 1; // a tag is never 0
}

static struct bucket *find(struct set *s, uint64_t tag)
{
	for (int i = 0; i < WAYS; i++) {
		if (atomic_load_explicit(&s->ways[i].tag, memory_order_acquire) == tag)
			return &s->ways[i];
	}
	return NULL;
}

// A bucket for a new key: a free one or one whose time has passed. All threads look at the ways in
// the same order and look for the tag first, so two that bring the same key meet in one bucket.
static struct bucket *claim(struct set *s, uint64_t tag, uint64_t now_ns)
{
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		struct bucket *b = find(s, tag);
		bool lost = false;

		if (b)
			return b;
		for (int i = 0; i < WAYS && !lost; i++) {
			b = &s->ways[i];
			uint64_t old = atomic_load_explicit(&b->tag, memory_order_acquire);
			uint64_t time = atomic_load_explicit(&b->time_ns, memory_order_acquire);

			if (old != 0 && time > now_ns)
				continue;
			if (atomic_compare_exchange_strong(&b->tag, &old, tag))
				return b;
			lost = true; // somebody was quicker: look again from the start
		}
		if (!lost)
			return NULL; // all four are active
	}
	return NULL;
}

// The set is full of active keys: the newcomer shares the one with the least left.
static struct bucket *busiest(struct set *s)
{
	struct bucket *worst = &s->ways[0];

	for (int i = 1; i < WAYS; i++) {
		if (atomic_load(&s->ways[i].time_ns) > atomic_load(&worst->time_ns))
			worst = &s->ways[i];
	}
	return worst;
}

struct ratelimit_verdict ratelimit_take(struct ratelimit_table *t, uint64_t key, uint64_t requests,
					uint32_t unit_s, uint64_t burst, uint64_t now_ns)
{
	struct ratelimit_verdict v = {0};
	uint64_t tag = mix(key, t->seed);
	struct set *s = &t->set[(tag >> 1) & (t->sets - 1)];
	struct bucket *b = claim(s, tag, now_ns);

	if (requests == 0 || unit_s == 0) {
		v.retry_after_ns = (uint64_t)(unit_s ? unit_s : 1) * NS_PER_S;
		return v;
	}
	if (!b) {
		v.overflow = true;
		b = busiest(s);
	}
	// One request moves the arrival time by an interval; it may run ahead of now by burst of them.
	uint64_t interval = (uint64_t)unit_s * NS_PER_S / requests;
	uint64_t window = interval * (burst ? burst : requests);
	uint64_t time = atomic_load_explicit(&b->time_ns, memory_order_acquire);

	for (;;) {
		uint64_t from = time > now_ns ? time : now_ns;
		uint64_t ahead = from - now_ns + interval;

		if (ahead > window) {
			v.retry_after_ns = ahead - window;
			return v;
		}
		if (atomic_compare_exchange_weak(&b->time_ns, &time, from + interval)) {
			v.allowed = true;
			v.remaining = interval ? (window - ahead) / interval : 0;
			return v;
		}
	}
}

struct addr ratelimit_client(struct addr client)
{
	if (!addr_is_v4(client))
		memset(client.bytes + 8, 0, 8);
	return client;
}
