// SPDX-License-Identifier: GPL-3.0-or-later
// GCRA (ITU-T I.371) over a shared table of buckets, without locks; see ratelimit.h.
//
// A bucket is 16 bytes that change as one (compare and swap of both words): the key's tag and its
// theoretical arrival time (TAT), the moment at which all that was spent will have been refilled. A
// set of eight buckets is scanned for the tag. A bucket whose TAT has passed is worth nothing to its
// key, so only such are taken over, and an active key is never reset.
//
// Why two threads that bring the same new key never open two buckets for it: TATs only grow, and a
// newcomer takes the bucket with the smallest TAT (the first of equals). Say one thread took i, then the
// other j. The second's scan did not find the tag, so it read i before it was taken, and preferred j:
// TAT(j) <= TAT(i). The first preferred i, and what it read of j was not later than what the second
// took: TAT(i) <= TAT(j). So both were equal, and then both would have taken the first.
// tests/unit/core/test_ratelimit_orders.c plays the orders.
#include "core/ratelimit.h"

#include "common/clock.h"
#include "common/hash.h"

#define WAYS	    8
#define TABLE_MAGIC 0x706f7274726c0002ull
// Scans of a set before the key is treated as one too many: each repeat means that another thread
// changed the set meanwhile.
#define TRIES_MAX 256
// Longest time that a bucket can run ahead: sums with now stay far from 2^64.
#define WINDOW_NS_MAX (1ull << 62)

struct bucket {
	uint64_t tag; // 0: never used
	uint64_t tat_ns;
};

struct set {
	_Alignas(64) struct bucket ways[WAYS];
};

struct ratelimit_table {
	_Alignas(64) uint64_t magic;
	uint64_t seed;
	uint64_t sets; // power of two
	struct set set[];
};

_Static_assert(sizeof(struct set) == 128, "two cache lines");

// One request of a key.
struct charge {
	bool take; // or only ask
	uint64_t tag;
	uint64_t now_ns;
	struct ratelimit_rate rate; // window_ns: how far TAT may run ahead of now
};

// ---- the table ---------------------------------------------------------------------------------

size_t ratelimit_table_bytes(uint32_t buckets)
{
	uint64_t sets = 1;

	while (sets * WAYS < buckets)
		sets *= 2;
	return sizeof(struct ratelimit_table) + sets * sizeof(struct set);
}

enum err ratelimit_table_init(void *memory, size_t bytes, uint64_t seed,
			      struct ratelimit_table **out)
{
	struct ratelimit_table *t = memory;
	uint64_t sets = 1;

	if (bytes < sizeof(*t) + sizeof(struct set))
		return ERR_RANGE;
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

uint64_t ratelimit_seed(const struct ratelimit_table *t)
{
	return t->seed;
}

// ---- one bucket --------------------------------------------------------------------------------

// As TAT grows with every change, a tag between two reads of the same TAT belongs to it.
static struct bucket bucket_load(const struct bucket *b)
{
	struct bucket v;

	for (int tries = 0; tries < TRIES_MAX; tries++) {
		v.tat_ns = __atomic_load_n(&b->tat_ns, __ATOMIC_SEQ_CST);
		v.tag = __atomic_load_n(&b->tag, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&b->tat_ns, __ATOMIC_SEQ_CST) == v.tat_ns)
			break;
	}
	return v;
}

// Both words at once: cmpxchg16b (-mcx16), casp. Every x86-64 that runs a kernel of today has it.
static bool bucket_swap(struct bucket *b, struct bucket old, struct bucket new)
{
	unsigned __int128 from, to;

	memcpy(&from, &old, sizeof(from));
	memcpy(&to, &new, sizeof(to));
	return __sync_bool_compare_and_swap((unsigned __int128 *)b, from, to);
}

static bool is_active(struct bucket v, uint64_t now_ns)
{
	return v.tat_ns > now_ns;
}

// ---- sets --------------------------------------------------------------------------------------

// The key's bucket; else the one that has been idle longest; NULL: all are active.
static struct bucket *find(struct set *s, const struct charge *c, struct bucket *value)
{
	struct bucket *idle = NULL;

	for (int i = 0; i < WAYS; i++) {
		struct bucket v = bucket_load(&s->ways[i]);

		if (v.tag == c->tag) {
			*value = v;
			return &s->ways[i];
		}
		if (is_active(v, c->now_ns) || (idle && v.tat_ns >= value->tat_ns))
			continue;
		idle = &s->ways[i];
		*value = v;
	}
	return idle;
}

// The set is full of active keys: the newcomer shares the one that has spent most.
static struct bucket *busiest(struct set *s, struct bucket *value)
{
	struct bucket *worst = &s->ways[0];

	*value = bucket_load(worst);
	for (int i = 1; i < WAYS; i++) {
		struct bucket v = bucket_load(&s->ways[i]);

		if (v.tat_ns > value->tat_ns) {
			worst = &s->ways[i];
			*value = v;
		}
	}
	return worst;
}

// ---- one request -------------------------------------------------------------------------------

// True when the verdict stands, false when another thread was quicker. tag: what the bucket is to
// bear from now on.
static bool charge_bucket(struct bucket *b, struct bucket value, uint64_t tag,
			  const struct charge *c, struct ratelimit_verdict *out)
{
	uint64_t from = is_active(value, c->now_ns) ? value.tat_ns : c->now_ns;
	uint64_t ahead = from - c->now_ns + c->rate.interval_ns;

	if (ahead > c->rate.window_ns) {
		out->retry_after_ns = ahead - c->rate.window_ns;
		return true;
	}
	if (c->take && !bucket_swap(b, value, (struct bucket){tag, from + c->rate.interval_ns}))
		return false;
	out->allowed = true;
	out->remaining = (c->rate.window_ns - ahead) / c->rate.interval_ns;
	return true;
}

// False: the set has no room for the key.
static bool charge_own(struct set *s, const struct charge *c, struct ratelimit_verdict *out)
{
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		struct bucket value;
		struct bucket *b = find(s, c, &value);

		if (!b)
			return false;
		if (charge_bucket(b, value, c->tag, c, out))
			return true;
	}
	return false;
}

static void charge_busiest(struct set *s, const struct charge *c, struct ratelimit_verdict *out)
{
	out->overflow = true;
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		struct bucket value;
		struct bucket *b = busiest(s, &value);

		if (charge_bucket(b, value, value.tag, c, out))
			return;
	}
	out->retry_after_ns = c->rate.interval_ns; // refused: nobody could say
}

struct ratelimit_rate ratelimit_rate_of(uint64_t requests, uint32_t unit_s, uint64_t burst)
{
	uint64_t unit_ns = (uint64_t)(unit_s ? unit_s : 1) * NS_PER_S;
	struct ratelimit_rate r = {.window_ns = unit_ns};

	if (requests == 0)
		return r;
	r.interval_ns = (unit_ns - 1) / requests + 1; // rounded up: never more than the limit
	if (__builtin_mul_overflow(r.interval_ns, burst ? burst : requests, &r.window_ns) ||
	    r.window_ns > WINDOW_NS_MAX)
		r.window_ns = WINDOW_NS_MAX;
	return r;
}

static struct ratelimit_verdict charge_key(struct ratelimit_table *t, uint64_t key,
					   struct ratelimit_rate rate, uint64_t now_ns, bool take)
{
	struct ratelimit_verdict v = {0};
	uint64_t hash = hash_u64(key, t->seed);
	struct set *s = &t->set[(hash >> 32) & (t->sets - 1)];
	struct charge c = {.take = take, .tag = hash ? hash : 1, .now_ns = now_ns, .rate = rate};

	if (rate.interval_ns == 0)
		v.retry_after_ns = rate.window_ns;
	else if (!charge_own(s, &c, &v))
		charge_busiest(s, &c, &v);
	return v;
}

struct ratelimit_verdict ratelimit_take(struct ratelimit_table *t, uint64_t key,
					struct ratelimit_rate rate, uint64_t now_ns)
{
	return charge_key(t, key, rate, now_ns, true);
}

struct ratelimit_verdict ratelimit_ask(struct ratelimit_table *t, uint64_t key,
				       struct ratelimit_rate rate, uint64_t now_ns)
{
	return charge_key(t, key, rate, now_ns, false);
}
