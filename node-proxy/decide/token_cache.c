// SPDX-License-Identifier: GPL-3.0-or-later
// A ring of records with a small associative index; see token_cache.h. Everything that a verdict
// depends on is compared whole: no collision of hashes, found or forged, lends one token another's
// verdict. One allocation at start; pages that were never written cost nothing.
#include "decide/token_cache.h"

#include <stdlib.h>
#include "common/hash.h"

#define WAYS 4
// Room per entry: a usual token (800 bytes) with its claims. Larger ones live shorter.
#define BYTES_PER_ENTRY 2048
#define RECORD_ALIGN	16
#define ENTRIES_MIN	16 // the largest token has to fit
#define ENTRIES_MAX	(1u << 20)

struct token_slot {
	uint64_t hash;
	uint64_t at; // position since the start of time; the ring is taken modulo its size
	uint64_t end;
};

// In the ring, then: the clone of the token, the token's bytes, the ids of the providers.
struct token_record {
	uint8_t providers_sha256[32];
	uint64_t asked, verified;
	size_t jwt_bytes;
	size_t token_bytes;
	size_t ids_bytes;
};

struct token_cache {
	uint64_t seed;
	uint32_t mask; // of sets
	uint64_t head; // position where the next record goes
	size_t ring_bytes;
	uint8_t *ring;
	struct token_slot slots[];
};

static size_t aligned(size_t n)
{
	return (n + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
}

struct token_cache *token_cache_new(uint32_t entries, uint64_t seed)
{
	struct token_cache *c;
	uint32_t size = ENTRIES_MIN;

	while (size < entries && size < ENTRIES_MAX)
		size *= 2;
	c = calloc(1, sizeof(*c) + size * sizeof(c->slots[0]));
	if (!c)
		return NULL;
	c->seed = seed;
	c->mask = size / WAYS - 1;
	c->ring_bytes = (size_t)size * BYTES_PER_ENTRY;
	c->ring = aligned_alloc(RECORD_ALIGN, c->ring_bytes);
	if (!c->ring) {
		free(c);
		return NULL;
	}
	return c;
}

void token_cache_free(struct token_cache *c)
{
	if (!c)
		return;
	free(c->ring);
	free(c);
}

// Not in the hash: the provider ids. Policies that share providers share entries, and others differ
// in what is compared.
static uint64_t key_hash(const struct token_cache *c, const struct token_key *key)
{
	return hash_bytes(key->token, c->seed);
}

static struct token_slot *set_of(const struct token_cache *c, uint64_t hash)
{
	return (struct token_slot *)&c->slots[(size_t)(hash & c->mask) * WAYS];
}

// Not overwritten since: the head has not come round to its first byte.
static bool is_live(const struct token_cache *c, const struct token_slot *s)
{
	return s->end > 0 && c->head <= s->at + c->ring_bytes;
}

static const struct token_record *record_of(const struct token_cache *c, const struct token_slot *s)
{
	return (const struct token_record *)(c->ring + s->at % c->ring_bytes);
}

static bool ids_equal(struct slice held, const struct ss_policy *p)
{
	for (uint32_t i = 0; i < p->provider_count; i++) {
		struct slice id = p->provider_ids[i];
		uint32_t len;

		if (held.len < sizeof(len))
			return false;
		memcpy(&len, held.ptr, sizeof(len));
		held = slice_make(held.ptr + sizeof(len), held.len - sizeof(len));
		if (len != id.len || !slice_starts(held, id))
			return false;
		held = slice_make(held.ptr + len, held.len - len);
	}
	return held.len == 0;
}

static bool record_is(const struct token_record *r, const struct token_key *key)
{
	const uint8_t *token = (const uint8_t *)(r + 1) + r->jwt_bytes;

	return slice_eq(slice_make(token, r->token_bytes), key->token) &&
	       memcmp(r->providers_sha256, key->providers_sha256, 32) == 0 &&
	       ids_equal(slice_make(token + r->token_bytes, r->ids_bytes), key->policy);
}

static struct token_slot *slot_find(const struct token_cache *c, const struct token_key *key,
				    uint64_t hash)
{
	struct token_slot *set = set_of(c, hash);

	for (int i = 0; i < WAYS; i++) {
		if (set[i].hash == hash && is_live(c, &set[i]) &&
		    record_is(record_of(c, &set[i]), key))
			return &set[i];
	}
	return NULL;
}

bool token_cache_find(const struct token_cache *c, const struct token_key *key,
		      struct token_verified *out)
{
	const struct token_slot *slot = slot_find(c, key, key_hash(c, key));
	const struct token_record *r;

	if (!slot)
		return false;
	r = record_of(c, slot);
	out->jwt = (const struct jwt *)(r + 1);
	out->asked = r->asked;
	out->verified = r->verified;
	return true;
}

// Room for a record in one piece, in place of the oldest ones.
static void *ring_take(struct token_cache *c, size_t bytes, struct token_slot *slot)
{
	size_t left = c->ring_bytes - c->head % c->ring_bytes;

	if (left < bytes)
		c->head += left;
	slot->at = c->head;
	slot->end = c->head + bytes;
	c->head = slot->end;
	return c->ring + slot->at % c->ring_bytes;
}

// The key's own slot, or the set's oldest.
static struct token_slot *slot_choose(const struct token_cache *c, const struct token_key *key,
				      uint64_t hash)
{
	struct token_slot *set = set_of(c, hash), *slot = slot_find(c, key, hash);

	if (slot)
		return slot;
	slot = &set[0];
	for (int i = 1; i < WAYS; i++) {
		if (set[i].end < slot->end)
			slot = &set[i];
	}
	return slot;
}

static void ids_write(uint8_t *to, const struct ss_policy *p)
{
	for (uint32_t i = 0; i < p->provider_count; i++) {
		struct slice id = p->provider_ids[i];
		uint32_t len = (uint32_t)id.len;

		memcpy(to, &len, sizeof(len));
		memcpy(to + sizeof(len), id.ptr, len);
		to += sizeof(len) + len;
	}
}

void token_cache_put(struct token_cache *c, const struct token_key *key,
		     const struct token_verified *v)
{
	uint64_t hash = key_hash(c, key);
	struct token_slot *slot = slot_choose(c, key, hash);
	struct token_record r = {
		.asked = v->asked,
		.verified = v->verified,
		.jwt_bytes = aligned(jwt_clone_bytes(v->jwt)),
		.token_bytes = key->token.len,
	};
	uint8_t *to;

	for (uint32_t i = 0; i < key->policy->provider_count; i++)
		r.ids_bytes += sizeof(uint32_t) + key->policy->provider_ids[i].len;
	size_t bytes = aligned(sizeof(r) + r.jwt_bytes + r.token_bytes + r.ids_bytes);

	if (bytes > c->ring_bytes / 2)
		return;
	memcpy(r.providers_sha256, key->providers_sha256, sizeof(r.providers_sha256));
	to = ring_take(c, bytes, slot);
	slot->hash = hash;
	memcpy(to, &r, sizeof(r));
	jwt_clone(v->jwt, to + sizeof(r));
	memcpy(to + sizeof(r) + r.jwt_bytes, key->token.ptr, r.token_bytes);
	ids_write(to + sizeof(r) + r.jwt_bytes + r.token_bytes, key->policy);
}
