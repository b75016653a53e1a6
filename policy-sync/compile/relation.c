// SPDX-License-Identifier: GPL-3.0-or-later
// See relation.h. A selector waits under that one of its labels which the fewest pods bear: a label that
// all Services select by ("part-of") then costs nothing.
#include "compile/relation.h"

#include <stdlib.h>

#define PAIRS_MAX (1u << 28)

void pairs_add(struct pairs *p, uint32_t a, uint32_t b)
{
	if (p->count == p->room) {
		uint32_t room = p->room ? p->room * 2 : 256;
		struct pair *grown =
			room <= PAIRS_MAX ? realloc(p->list, room * sizeof(*grown)) : NULL;

		if (!grown) {
			p->err = ERR_NOMEM;
			return;
		}
		p->list = grown;
		p->room = room;
	}
	p->list[p->count++] = (struct pair){a, b};
}

void pairs_deinit(struct pairs *p)
{
	free(p->list);
	*p = (struct pairs){0};
}

static int pair_order(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	return x->b < y->b ? -1 : x->b > y->b;
}

enum err pairs_relate(struct pairs *p, uint32_t a_count, struct arena *arena, struct relation *out)
{
	uint32_t n = 0, a = 0;

	if (p->err != ERR_OK)
		return p->err;
	out->start = arena_alloc(arena, a_count + 1u, sizeof(*out->start));
	out->items = arena_alloc(arena, p->count, sizeof(*out->items));
	if (!out->start || !out->items)
		return ERR_NOMEM;
	if (p->count > 0)
		qsort(p->list, p->count, sizeof(*p->list), pair_order);
	for (uint32_t i = 0; i < p->count; i++) {
		if (i > 0 && pair_order(&p->list[i - 1], &p->list[i]) == 0)
			continue;
		while (a <= p->list[i].a)
			out->start[a++] = n;
		out->items[n++] = p->list[i].b;
	}
	while (a <= a_count)
		out->start[a++] = n;
	return ERR_OK;
}

// ---- selectors ---------------------------------------------------------------------------------

// A label of a namespace by hash alone: where two meet, matches are told apart by their texts.
struct label_slot {
	uint32_t pods;	// that bear it
	uint32_t first; // selector waiting here, or INDEX_NONE
};

struct matcher {
	const struct selector *list;
	uint32_t count;
	struct lookup slots_by_hash;
	struct label_slot *slots;
	uint32_t slot_count;
	uint32_t *next; // of a selector: the next one of the same slot
};

static uint64_t namespace_hash(struct slice ns)
{
	return hash_bytes(ns, 1);
}

static uint64_t label_hash(uint64_t ns, const struct label *l)
{
	return hash_u64(l->hash, ns);
}

static struct label_slot *slot_find(const struct matcher *w, uint64_t hash)
{
	uint32_t at = UINT32_MAX, i;

	return lookup_next(&w->slots_by_hash, hash, &at, &i) ? &w->slots[i] : NULL;
}

static enum err slot_want(struct matcher *w, uint64_t hash)
{
	if (slot_find(w, hash))
		return ERR_OK;
	w->slots[w->slot_count] = (struct label_slot){.first = INDEX_NONE};
	return lookup_put(&w->slots_by_hash, hash, w->slot_count++);
}

static enum err make_slots(struct matcher *w)
{
	enum err err = ERR_OK;
	uint64_t room = 0;

	for (uint32_t i = 0; i < w->count; i++)
		room += w->list[i].labels->count + 1ull;
	w->slots = calloc(room ? room : 1, sizeof(*w->slots));
	w->next = calloc(w->count ? w->count : 1, sizeof(*w->next));
	if (!w->slots || !w->next)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < w->count && err == ERR_OK; i++) {
		const struct selector *s = &w->list[i];
		uint64_t ns = namespace_hash(s->namespace);

		if (s->labels->count == 0)
			err = slot_want(w, ns);
		for (uint32_t k = 0; k < s->labels->count && err == ERR_OK; k++)
			err = slot_want(w, label_hash(ns, &s->labels->list[k]));
	}
	return err;
}

static void count_pods(struct matcher *w, const struct model *m)
{
	for (uint32_t i = 0; i < m->pods.count; i++) {
		const struct pod *p = m->pods.items[i];
		uint64_t ns = namespace_hash(p->namespace);

		for (uint32_t k = 0; k < p->labels.count; k++) {
			struct label_slot *slot = slot_find(w, label_hash(ns, &p->labels.list[k]));

			if (slot)
				slot->pods++;
		}
	}
}

static struct label_slot *rarest(const struct matcher *w, const struct selector *s)
{
	uint64_t ns = namespace_hash(s->namespace);
	struct label_slot *best = NULL;

	if (s->labels->count == 0)
		return slot_find(w, ns);
	for (uint32_t i = 0; i < s->labels->count; i++) {
		struct label_slot *slot = slot_find(w, label_hash(ns, &s->labels->list[i]));

		if (!best || slot->pods < best->pods)
			best = slot;
	}
	return best;
}

static void match_slot(const struct matcher *w, const struct label_slot *slot, uint32_t pod,
		       const struct pod *p, struct pairs *out)
{
	for (uint32_t i = slot ? slot->first : INDEX_NONE; i != INDEX_NONE; i = w->next[i]) {
		const struct selector *s = &w->list[i];

		if (slice_eq(s->namespace, p->namespace) && labels_match(s->labels, &p->labels))
			pairs_add(out, pod, s->number);
	}
}

static void match_pods(const struct matcher *w, const struct model *m, struct pairs *out)
{
	for (uint32_t i = 0; i < m->pods.count; i++) {
		const struct pod *p = m->pods.items[i];
		uint64_t ns = namespace_hash(p->namespace);

		match_slot(w, slot_find(w, ns), i, p, out);
		for (uint32_t k = 0; k < p->labels.count; k++)
			match_slot(w, slot_find(w, label_hash(ns, &p->labels.list[k])), i, p, out);
	}
}

enum err selectors_match(const struct selector *list, uint32_t count, const struct model *m,
			 struct pairs *out)
{
	struct matcher w = {.list = list, .count = count};
	enum err err = make_slots(&w);

	if (err == ERR_OK) {
		count_pods(&w, m);
		for (uint32_t i = 0; i < count; i++) {
			struct label_slot *slot = rarest(&w, &list[i]);

			w.next[i] = slot->first;
			slot->first = i;
		}
		match_pods(&w, m, out);
	}
	lookup_deinit(&w.slots_by_hash);
	free(w.slots);
	free(w.next);
	return err;
}
