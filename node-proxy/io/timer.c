// SPDX-License-Identifier: GPL-3.0-or-later
// Hierarchical timing wheel (Varghese and Lauck): 4 levels of 256 slots, 1 ms ticks, so that a timer
// of up to 49 days is set in O(1); a bitmap a level says which slots are in use, so that an idle
// worker sleeps until something is due. See timer.h.
#include "io/timer.h"

#include "common/clock.h"

#define SLOT_BITS 8
#define SLOT_MASK (TIMER_SLOTS - 1)
#define TICKS_MAX ((1ull << (SLOT_BITS * TIMER_LEVELS)) - 1)

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ns)
{
	for (int level = 0; level < TIMER_LEVELS; level++) {
		for (int slot = 0; slot < TIMER_SLOTS; slot++) {
			struct timer *head = &w->slots[level][slot];

			head->next = head->prev = head;
		}
	}
	memset(w->occupied, 0, sizeof(w->occupied));
	w->now_ms = now_ns / NS_PER_MS;
	w->count = 0;
}

bool timer_is_set(const struct timer *t)
{
	return t->next != NULL;
}

static void timer_mark(struct timer_wheel *w, size_t index, bool used)
{
	uint64_t *word = &w->occupied[index / TIMER_SLOTS][index % TIMER_SLOTS / 64];
	uint64_t bit = 1ull << index % 64;

	*word = used ? *word | bit : *word & ~bit;
}

static void timer_unlink(struct timer_wheel *w, struct timer *t)
{
	struct timer *next = t->next;

	t->prev->next = next;
	next->prev = t->prev;
	t->next = t->prev = NULL;
	if (next->next == next) // only its head is left
		timer_mark(w, (size_t)(next - &w->slots[0][0]), false);
}

static void timer_link(struct timer_wheel *w, struct timer *t)
{
	uint64_t left = t->at_ms - w->now_ms;
	int level = 0;

	while (level < TIMER_LEVELS - 1 && left >= 1ull << (SLOT_BITS * (level + 1)))
		level++;
	struct timer *head = &w->slots[level][(t->at_ms >> (SLOT_BITS * level)) & SLOT_MASK];

	t->next = head;
	t->prev = head->prev;
	head->prev->next = t;
	head->prev = t;
	timer_mark(w, (size_t)(head - &w->slots[0][0]), true);
}

void timer_set(struct timer_wheel *w, struct timer *t, uint64_t at_ns)
{
	uint64_t at_ms = at_ns / NS_PER_MS + (at_ns % NS_PER_MS != 0);

	timer_cancel(w, t);
	if (at_ms <= w->now_ms)
		at_ms = w->now_ms + 1; // never in the slot that is being fired
	if (at_ms - w->now_ms > TICKS_MAX)
		at_ms = w->now_ms + TICKS_MAX;
	t->at_ms = at_ms;
	timer_link(w, t);
	w->count++;
}

void timer_cancel(struct timer_wheel *w, struct timer *t)
{
	if (!timer_is_set(t))
		return;
	timer_unlink(w, t);
	w->count--;
}

// Timers of a higher slot move to where they belong now.
static void timer_cascade(struct timer_wheel *w, int level)
{
	struct timer *head = &w->slots[level][(w->now_ms >> (SLOT_BITS * level)) & SLOT_MASK];
	struct timer *t = head->next;

	head->next = head->prev = head;
	timer_mark(w, (size_t)(head - &w->slots[0][0]), false);
	while (t != head) {
		struct timer *next = t->next;

		timer_link(w, t);
		t = next;
	}
}

static void timer_fire_slot(struct timer_wheel *w, timer_handler handler, void *context)
{
	struct timer *head = &w->slots[0][w->now_ms & SLOT_MASK];

	while (head->next != head) {
		struct timer *t = head->next;

		timer_unlink(w, t);
		w->count--;
		handler(context, t);
	}
}

// How many slots ahead of from the next one in use is: 1 .. TIMER_SLOTS, or 0 where there is none.
static uint32_t timer_slots_ahead(const uint64_t *occupied, uint32_t from)
{
	for (uint32_t ahead = 1; ahead <= TIMER_SLOTS;) {
		uint32_t slot = (from + ahead) & SLOT_MASK;
		uint64_t word = occupied[slot / 64] >> slot % 64;

		if (word != 0)
			return ahead + (uint32_t)__builtin_ctzll(word);
		ahead += 64 - slot % 64;
	}
	return 0;
}

// The next moment at which a slot has to be fired or moved down; UINT64_MAX: never.
static uint64_t timer_next_ms(const struct timer_wheel *w)
{
	uint64_t next_ms = UINT64_MAX;

	for (int level = 0; level < TIMER_LEVELS; level++) {
		uint64_t block = w->now_ms >> (SLOT_BITS * level);
		uint32_t ahead = timer_slots_ahead(w->occupied[level], block & SLOT_MASK);
		uint64_t at_ms = (block + ahead) << (SLOT_BITS * level);

		if (ahead > 0 && at_ms < next_ms)
			next_ms = at_ms;
	}
	return next_ms;
}

void timer_advance(struct timer_wheel *w, uint64_t now_ns, timer_handler handler, void *context)
{
	uint64_t now_ms = now_ns / NS_PER_MS;

	while (w->now_ms < now_ms) {
		uint64_t next_ms = timer_next_ms(w);

		if (next_ms > now_ms) {
			w->now_ms = now_ms;
			return;
		}
		w->now_ms = next_ms;
		for (int level = 1; level < TIMER_LEVELS; level++) {
			if ((w->now_ms & ((1ull << (SLOT_BITS * level)) - 1)) != 0)
				break;
			timer_cascade(w, level);
		}
		timer_fire_slot(w, handler, context);
	}
}

uint64_t timer_next_ns(const struct timer_wheel *w)
{
	uint64_t next_ms = timer_next_ms(w);

	return next_ms == UINT64_MAX ? UINT64_MAX : next_ms * NS_PER_MS;
}
