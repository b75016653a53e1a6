// SPDX-License-Identifier: GPL-3.0-or-later
// Keys by hash, each with a list of 64-rule words; see rule_index.h.
#include "core/rule_index.h"

// A fixed seed: the keys come from policies, and what requests bring is only looked up.
#define INDEX_SEED 0x706f7274ull
#define NO_CELL	   UINT32_MAX

struct rule_entry {
	struct rule_key key;
	uint32_t first; // cells, in order of their words
	uint32_t last;
};

struct rule_cell {
	uint64_t mask;
	uint32_t word;
	uint32_t next;
};

static uint64_t key_hash(const struct rule_key *key)
{
	uint64_t h = hash_u64((uint64_t)key->space << 32 | key->number, INDEX_SEED);

	for (int i = 0; i < 3; i++) {
		if (key->text[i].len > 0)
			h = hash_bytes(key->text[i], h);
	}
	return h;
}

static bool key_equals(const struct rule_key *a, const struct rule_key *b)
{
	return a->space == b->space && a->number == b->number && slice_eq(a->text[0], b->text[0]) &&
	       slice_eq(a->text[1], b->text[1]) && slice_eq(a->text[2], b->text[2]);
}

size_t rule_index_bytes(uint32_t pairs_max)
{
	// The hash's slots are a power of two, less than four times the pairs; and every table is aligned.
	return pairs_max * (sizeof(struct rule_entry) + sizeof(struct rule_cell) +
			    4 * sizeof(uint64_t)) +
	       8 * sizeof(uint64_t) + 3 * ARENA_ALIGN;
}

enum err rule_index_init(struct rule_index *x, struct arena *a, uint32_t pairs_max)
{
	*x = (struct rule_index){.pairs_max = pairs_max};
	if (!hash_index_init(&x->hash, a, pairs_max))
		return ERR_NOMEM;
	x->entries = arena_alloc(a, pairs_max, sizeof(*x->entries));
	x->cells = arena_alloc(a, pairs_max, sizeof(*x->cells));
	return x->entries && x->cells ? ERR_OK : ERR_NOMEM;
}

static struct rule_entry *entry_find(const struct rule_index *x, const struct rule_key *key,
				     uint64_t hash)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&x->hash, hash, &at, &i)) {
		if (key_equals(&x->entries[i].key, key))
			return &x->entries[i];
	}
	return NULL;
}

enum err rule_index_add(struct rule_index *x, const struct rule_key *key, uint32_t rule)
{
	uint64_t hash = key_hash(key);
	struct rule_entry *e = entry_find(x, key, hash);

	if (x->cell_count == x->pairs_max)
		return ERR_FULL;
	if (!e) {
		e = &x->entries[x->entry_count];
		*e = (struct rule_entry){.key = *key, .first = NO_CELL, .last = NO_CELL};
		hash_index_insert(&x->hash, hash, x->entry_count++);
	}
	if (e->first == NO_CELL || x->cells[e->last].word != rule / 64) {
		uint32_t cell = x->cell_count++;

		x->cells[cell] = (struct rule_cell){.word = rule / 64, .next = NO_CELL};
		if (e->first == NO_CELL)
			e->first = cell;
		else
			x->cells[e->last].next = cell;
		e->last = cell;
	}
	x->cells[e->last].mask |= 1ull << (rule % 64);
	return ERR_OK;
}

bool rule_index_has(const struct rule_index *x, const struct rule_key *key)
{
	return entry_find(x, key, key_hash(key)) != NULL;
}

void rule_index_look_up_among(const struct rule_index *x, const struct rule_key *key,
			      const uint64_t *among, struct rule_bits *rules)
{
	const struct rule_entry *e = entry_find(x, key, key_hash(key));

	for (uint32_t i = e ? e->first : NO_CELL; i != NO_CELL; i = x->cells[i].next) {
		const struct rule_cell *c = &x->cells[i];
		uint64_t bit = 1ull << c->word, mask = c->mask & among[c->word];

		rules->words[c->word] = rules->live & bit ? rules->words[c->word] | mask : mask;
		rules->live |= bit;
	}
}

void rule_index_look_up(const struct rule_index *x, const struct rule_key *key,
			struct rule_bits *rules)
{
	const struct rule_entry *e = entry_find(x, key, key_hash(key));

	for (uint32_t i = e ? e->first : NO_CELL; i != NO_CELL; i = x->cells[i].next) {
		const struct rule_cell *c = &x->cells[i];
		uint64_t bit = 1ull << c->word;

		rules->words[c->word] =
			rules->live & bit ? rules->words[c->word] | c->mask : c->mask;
		rules->live |= bit;
	}
}
