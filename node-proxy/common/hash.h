// SPDX-License-Identifier: GPL-3.0-or-later
// Hashes. hash_bytes is seeded (xxh3): tables keyed by outside bytes take a per-process random
// seed, so that nobody can aim collisions. Digests that are compared between machines are
// sha256 and live in io/crypto.
#pragma once

#include "common/slice.h"

uint64_t hash_bytes(struct slice s, uint64_t seed);
uint64_t hash_u64(uint64_t v, uint64_t seed);

// An open-addressing index from a 64-bit hash to a u32, for tables that are built once and then
// only read (snapshot indexes). The caller compares keys: iterate with hash_index_next.
struct hash_index {
	uint64_t *slots; // (hash high bits << 32) | (value + 1); 0 is free
	uint32_t mask;
};

struct arena;
// Room for count entries (load factor <= 1/2) in the arena; false when it is full.
bool hash_index_init(struct hash_index *h, struct arena *a, uint32_t count);
void hash_index_insert(struct hash_index *h, uint64_t hash, uint32_t value);
// Candidates of a hash: start with *at = UINT32_MAX; returns false when there are no more.
bool hash_index_next(const struct hash_index *h, uint64_t hash, uint32_t *at, uint32_t *value);
