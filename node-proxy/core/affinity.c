// SPDX-License-Identifier: GPL-3.0-or-later
// See affinity.h. A word: 24 bits of the key (further ones choose the set), 16 bits of the endpoint, 24 bits of the
// second in which it was seen; 0 is free. Two workers that meet a new client at once agree on the word that is
// found first in its set.
#include "core/affinity.h"

#define WAYS	    8
#define TABLE_MAGIC 0x706f727461660001ull
#define TRIES_MAX   16
#define TIME_BITS   24 // half of it, 97 days, tells before from after; no timeout is longer than one
#define TIME_MASK   ((1u << TIME_BITS) - 1)
#define TAG_BITS    16
#define TAG_MASK    ((1u << TAG_BITS) - 1)
#define KEY_SHIFT   (TIME_BITS + TAG_BITS)

struct set {
	_Alignas(64) uint64_t ways[WAYS];
};

struct affinity_table {
	_Alignas(64) uint64_t magic;
	uint64_t seed;
	uint64_t sets; // power of two
	struct set set[];
};

_Static_assert(sizeof(struct set) == 64, "a cache line");

size_t affinity_table_bytes(uint32_t clients)
{
	uint64_t sets = 1;

	while (sets * WAYS < clients)
		sets *= 2;
	return sizeof(struct affinity_table) + sets * sizeof(struct set);
}

enum err affinity_table_init(void *memory, size_t bytes, uint64_t seed, struct affinity_table **out)
{
	struct affinity_table *t = memory;
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

uint64_t affinity_seed(const struct affinity_table *t)
{
	return t->seed;
}

uint32_t affinity_tag(uint64_t hash)
{
	uint32_t tag = (uint32_t)(hash >> 40) & TAG_MASK;

	return tag ? tag : 1;
}

// ---- words -------------------------------------------------------------------------------------

static uint64_t word_make(uint64_t key, uint32_t tag, uint64_t now_s)
{
	return (key >> KEY_SHIFT) << KEY_SHIFT | (uint64_t)tag << TIME_BITS | (now_s & TIME_MASK);
}

static bool word_is_of(uint64_t word, uint64_t key)
{
	return word != 0 && word >> KEY_SHIFT == key >> KEY_SHIFT;
}

static uint32_t word_tag(uint64_t word)
{
	return (uint32_t)(word >> TIME_BITS) & TAG_MASK;
}

// A worker that looked at the clock a little later may have seen the client already.
static uint32_t word_age_s(uint64_t word, uint64_t now_s)
{
	uint32_t age = (uint32_t)(now_s - word) & TIME_MASK;

	return age > TIME_MASK / 2 ? 0 : age;
}

static struct set *set_of(struct affinity_table *t, uint64_t key)
{
	return &t->set[key & (t->sets - 1)];
}

// The key's place, *word what is there; NULL: it has none.
static uint64_t *place_of(struct set *s, uint64_t key, uint64_t *word)
{
	for (int i = 0; i < WAYS; i++) {
		*word = __atomic_load_n(&s->ways[i], __ATOMIC_ACQUIRE);
		if (word_is_of(*word, key))
			return &s->ways[i];
	}
	return NULL;
}

// A free one, or that of the client that was not seen for longest.
static uint64_t *place_to_take(struct set *s, uint64_t now_s, uint64_t *word)
{
	uint64_t *oldest = NULL;

	for (int i = 0; i < WAYS; i++) {
		uint64_t w = __atomic_load_n(&s->ways[i], __ATOMIC_ACQUIRE);

		if (!oldest || w == 0 || word_age_s(w, now_s) > word_age_s(*word, now_s)) {
			oldest = &s->ways[i];
			*word = w;
		}
		if (w == 0)
			break;
	}
	return oldest;
}

static bool swap(uint64_t *at, uint64_t old, uint64_t new)
{
	return __atomic_compare_exchange_n(at, &old, new, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

// ---- clients -----------------------------------------------------------------------------------

uint32_t affinity_find(struct affinity_table *t, uint64_t key, uint32_t timeout_s, uint64_t now_s)
{
	uint64_t word, *at = place_of(set_of(t, key), key, &word);

	if (!at || word_age_s(word, now_s) > timeout_s)
		return 0;
	if (word_age_s(word, now_s) > 0)
		(void)swap(at, word, word_make(key, word_tag(word), now_s));
	return word_tag(word);
}

uint32_t affinity_keep(struct affinity_table *t, uint64_t key, uint32_t was, uint32_t tag,
		       uint32_t timeout_s, uint64_t now_s)
{
	struct set *s = set_of(t, key);

	for (int tries = 0; tries < TRIES_MAX; tries++) {
		uint64_t word, *at = place_of(s, key, &word);

		if (at && word_tag(word) != was && word_age_s(word, now_s) <= timeout_s)
			return word_tag(word);
		if (!at)
			at = place_to_take(s, now_s, &word);
		if (swap(at, word, word_make(key, tag, now_s)))
			return tag;
	}
	return tag; // so busy a set forgets it at once
}
