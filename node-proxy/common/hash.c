// SPDX-License-Identifier: GPL-3.0-or-later
// xxh3 and a read-only open-addressing index; see hash.h.
#include "common/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>
#include "common/arena.h"

uint64_t hash_bytes(struct slice s, uint64_t seed)
{
	return XXH3_64bits_withSeed(s.ptr, s.len, seed);
}

uint64_t hash_u64(uint64_t v, uint64_t seed)
{
	// splitmix64's finalizer
	v += seed + 0x9e3779b97f4a7c15ull;
	v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ (v >> 27)) * 0x94d049bb133111ebull;
	return v ^ (v >> 31);
}

bool hash_index_init(struct hash_index *h, struct arena *a, uint32_t count)
{
	uint32_t slots = 8;

	while (slots / 2 < count && slots < 1u << 31)
		slots *= 2;
	h->slots = arena_alloc(a, slots, sizeof(*h->slots));
	h->mask = slots - 1;
	return h->slots != NULL;
}

void hash_index_insert(struct hash_index *h, uint64_t hash, uint32_t value)
{
	uint32_t at = (uint32_t)hash & h->mask;

	while (h->slots[at])
		at = (at + 1) & h->mask;
	h->slots[at] = (hash & 0xffffffff00000000ull) | (value + 1ull);
}

bool hash_index_next(const struct hash_index *h, uint64_t hash, uint32_t *at, uint32_t *value)
{
	uint32_t i = *at == UINT32_MAX ? (uint32_t)hash & h->mask : (*at + 1) & h->mask;

	if (!h->slots)
		return false;
	for (; h->slots[i]; i = (i + 1) & h->mask) {
		if ((h->slots[i] ^ hash) >> 32)
			continue;
		*at = i;
		*value = (uint32_t)h->slots[i] - 1;
		return true;
	}
	return false;
}
