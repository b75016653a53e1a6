// SPDX-License-Identifier: GPL-3.0-or-later
// Timers of one worker: a hierarchical wheel of 1 ms ticks; set, move and cancel in O(1), no
// allocation (the timer is embedded in its owner). Pure: time is an argument.
#pragma once

#include "common/slice.h"

struct timer {
	struct timer *next, *prev; // NULL while not set
	uint64_t at_ms;
	uint8_t tag; // the owner's own mark
};

#define TIMER_LEVELS 4
#define TIMER_SLOTS  256

struct timer_wheel {
	struct timer slots[TIMER_LEVELS][TIMER_SLOTS];	   // list heads
	uint64_t occupied[TIMER_LEVELS][TIMER_SLOTS / 64]; // bit: the slot's list is not empty
	uint64_t now_ms;
	uint32_t count;
};

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ns);
// (Re)sets t to fire at at_ns (rounded up to a tick).
void timer_set(struct timer_wheel *w, struct timer *t, uint64_t at_ns);
void timer_cancel(struct timer_wheel *w, struct timer *t);
bool timer_is_set(const struct timer *t);
// Fires all that are due; a handler may set and cancel any timer, its own too.
typedef void (*timer_handler)(void *context, struct timer *t);
void timer_advance(struct timer_wheel *w, uint64_t now_ns, timer_handler handler, void *context);
// When to wake at the latest: the next expiry, or where it is more than 256 ms away, the moment at
// which timer_advance has to look closer. UINT64_MAX: no timer is set.
uint64_t timer_next_ns(const struct timer_wheel *w);
