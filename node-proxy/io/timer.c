// SPDX-License-Identifier: GPL-3.0-or-later
// Hierarchical timing wheel (Varghese and Lauck): 4 levels of 256 slots, 1 ms ticks, so that a timer
// of up to 49 days is set in O(1); see timer.h.
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
	w->now_ms = now_ns / NS_PER_MS;
	w->count = 0;
}

bool timer_is_set(const struct timer *t)
{
	return t->next != NULL;
}

static void timer_unlink(struct timer *t)
{
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->next = t->prev = NULL;
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
	timer_unlink(t);
	w->count--;
}

// Timers of a higher slot move to where they belong now.
static void timer_cascade(struct timer_wheel *w, int level)
{
	struct timer *head = &w->slots[level][(w->now_ms >> (SLOT_BITS * level)) & SLOT_MASK];
	struct timer *t = head->next;

	head->next = head->prev = head;
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

		timer_unlink(t);
		w->count--;
		handler(context, t);
	}
}

void timer_advance(struct timer_wheel *w, uint64_t now_ns, timer_handler handler, void *context)
{
	uint64_t now_ms = now_ns / NS_PER_MS;

	while (w->now_ms < now_ms) {
		if (w->count == 0) {
			w->now_ms = now_ms;
			return;
		}
		w->now_ms++;
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
	if (w->count == 0)
		return UINT64_MAX;
	// The next occupied slot of level 0, else the next cascade: a lower bound is enough.
	for (uint64_t i = 1; i <= TIMER_SLOTS; i++) {
		uint64_t at = w->now_ms + i;
		const struct timer *head = &w->slots[0][at & SLOT_MASK];

		if (head->next != head || (at & SLOT_MASK) == 0)
			return at * NS_PER_MS;
	}
	return (w->now_ms + TIMER_SLOTS) * NS_PER_MS;
}
