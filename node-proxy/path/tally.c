// SPDX-License-Identifier: GPL-3.0-or-later
// See tally.h.
#include "path/tally.h"

#define COUNT_BITS 24
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

static uint64_t tally_name(uint64_t word)
{
	return word & ~COUNT_MASK;
}

// The word that counts this pod, else a free one; TALLY_WORDS: neither.
static uint32_t tally_find(_Atomic uint64_t *bucket, uint64_t name, uint64_t *seen)
{
	uint32_t free = TALLY_WORDS;

	for (uint32_t i = 0; i < TALLY_WORDS; i++) {
		uint64_t word = atomic_load_explicit(&bucket[i], memory_order_relaxed);

		if ((word & COUNT_MASK) == 0) {
			if (free == TALLY_WORDS) {
				free = i;
				*seen = word;
			}
		} else if (tally_name(word) == name) {
			*seen = word;
			return i;
		}
	}
	return free;
}

uint32_t tally_add(struct tally *t, uint64_t key, uint32_t max)
{
	uint32_t b = (uint32_t)(key % TALLY_BUCKETS);
	uint64_t name = tally_name(key), word = 0;

	for (;;) {
		uint32_t i = tally_find(t->words[b], name, &word);
		uint64_t count = word & COUNT_MASK;

		if (i == TALLY_WORDS)
			return TALLY_NOONE;
		if (count >= max || count == COUNT_MASK)
			return TALLY_FULL;
		if (atomic_compare_exchange_weak(&t->words[b][i], &word, name | (count + 1)))
			return b * TALLY_WORDS + i;
	}
}

void tally_drop(struct tally *t, uint32_t place)
{
	// The name goes with the last one: it lies above the count, which is not zero.
	atomic_fetch_sub(&t->words[place / TALLY_WORDS][place % TALLY_WORDS], 1);
}
