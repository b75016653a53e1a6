// SPDX-License-Identifier: GPL-3.0-or-later
// io/timer against the simplest thing that can be right: an array that is searched. Nothing fires
// early, nothing late, nothing twice; and a worker that sleeps as timer_next_ns says misses nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/clock.h"
#include "io/timer.h"

#define TIMERS 64
#define STEPS  200000

struct model {
	struct timer_wheel wheel;
	struct timer timers[TIMERS];
	uint64_t due_ms[TIMERS]; // 0: not set
	uint64_t now_ns;
	uint64_t random;
	uint32_t fired;
};

static uint64_t model_random(struct model *m, uint64_t below)
{
	m->random = m->random * 6364136223846793005ull + 1442695040888963407ull;
	return (m->random >> 33) % below;
}

static struct model *model_new(uint64_t now_ns, uint64_t seed)
{
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->now_ns = now_ns;
	m->random = seed;
	timer_wheel_init(&m->wheel, now_ns);
	return m;
}

static void model_set(struct model *m, uint32_t i, uint64_t at_ns)
{
	uint64_t wheel_ms = m->wheel.now_ms;
	uint64_t at_ms = (at_ns + NS_PER_MS - 1) / NS_PER_MS;

	timer_set(&m->wheel, &m->timers[i], at_ns);
	m->due_ms[i] = at_ms > wheel_ms ? at_ms : wheel_ms + 1;
}

// A delay of some magnitude: most are short, some reach into every level of the wheel.
static uint64_t model_delay_ns(struct model *m)
{
	static const uint64_t most_ms[] = {2, 300, 70000, 20000000, 4000000000};

	return model_random(m, most_ms[model_random(m, 5)] * 1000) * (NS_PER_MS / 1000);
}

static void model_fire(void *context, struct timer *t)
{
	struct model *m = context;
	uint32_t i = (uint32_t)(t - m->timers);

	assert_false(timer_is_set(t));
	assert_true(m->due_ms[i] != 0);
	assert_int_equal(m->due_ms[i], m->wheel.now_ms);
	m->due_ms[i] = 0;
	m->fired++;
	// A handler may do anything to any timer.
	switch (model_random(m, 4)) {
	case 0:
		model_set(m, i, m->now_ns + model_delay_ns(m));
		break;
	case 1:
		i = (uint32_t)model_random(m, TIMERS);
		timer_cancel(&m->wheel, &m->timers[i]);
		m->due_ms[i] = 0;
		break;
	default:
		break;
	}
}

static void model_check(struct model *m)
{
	uint64_t next_ns = timer_next_ns(&m->wheel), first_ms = UINT64_MAX;
	uint32_t set = 0;

	for (uint32_t i = 0; i < TIMERS; i++) {
		assert_int_equal(timer_is_set(&m->timers[i]), m->due_ms[i] != 0);
		if (m->due_ms[i] == 0)
			continue;
		set++;
		assert_true(m->due_ms[i] > m->now_ns / NS_PER_MS); // nothing due is left
		if (m->due_ms[i] < first_ms)
			first_ms = m->due_ms[i];
	}
	assert_int_equal(m->wheel.count, set);
	if (set == 0) {
		assert_true(next_ns == UINT64_MAX);
		return;
	}
	assert_true(next_ns <= first_ms * NS_PER_MS);
	assert_true(next_ns > m->now_ns);
	// Before the first expiry it wakes only to look closer, at the boundary of a higher slot.
	if (next_ns != first_ms * NS_PER_MS)
		assert_int_equal(next_ns / NS_PER_MS % TIMER_SLOTS, 0);
}

static void random_orders(void **state)
{
	struct model *m = model_new(123456789 * NS_PER_MS + 1, 42);

	(void)state;
	for (uint32_t step = 0; step < STEPS; step++) {
		uint32_t i = (uint32_t)model_random(m, TIMERS);

		switch (model_random(m, 6)) {
		case 0:
			timer_cancel(&m->wheel, &m->timers[i]);
			m->due_ms[i] = 0;
			break;
		case 1: // sleep until the wheel says so
			if (timer_next_ns(&m->wheel) != UINT64_MAX)
				m->now_ns = timer_next_ns(&m->wheel);
			timer_advance(&m->wheel, m->now_ns, model_fire, m);
			break;
		case 2: // wake early, or late
			m->now_ns += model_delay_ns(m) / 16;
			timer_advance(&m->wheel, m->now_ns, model_fire, m);
			break;
		default:
			model_set(m, i, m->now_ns + model_delay_ns(m));
			break;
		}
		if (step % 16 == 0 || step > STEPS - 1000) {
			timer_advance(&m->wheel, m->now_ns, model_fire, m);
			model_check(m);
		}
	}
	assert_true(m->fired > 1000);
	free(m);
}

// Sleeping by timer_next_ns, a timer of any length costs at most one wake-up a level.
static void few_wake_ups(void **state)
{
	static const uint64_t delays_ms[] = {1,	    255,    256,      257,	 65535,
					     65536, 300000, 86400000, 4294967295};

	(void)state;
	for (size_t d = 0; d < sizeof(delays_ms) / sizeof(delays_ms[0]); d++) {
		struct model *m = model_new(77777 * NS_PER_MS, 2); // fires into the default branch
		uint64_t due_ns = m->now_ns + delays_ms[d] * NS_PER_MS;
		uint32_t wake_ups = 0;

		model_set(m, 0, due_ns);
		while (m->due_ms[0] != 0) {
			assert_true(++wake_ups <= TIMER_LEVELS);
			m->now_ns = timer_next_ns(&m->wheel);
			assert_true(m->now_ns <= due_ns);
			if (m->now_ns == due_ns) {
				m->due_ms[0] = due_ns / NS_PER_MS;
				timer_cancel(&m->wheel, &m->timers[0]);
				m->due_ms[0] = 0;
				break;
			}
			timer_advance(&m->wheel, m->now_ns, model_fire, m);
		}
		assert_int_equal(m->now_ns, due_ns);
		free(m);
	}
}

static void count_fire(void *context, struct timer *t)
{
	(void)t;
	++*(uint32_t *)context;
}

static void rounding_and_bounds(void **state)
{
	struct timer_wheel *w = calloc(1, sizeof(*w));
	struct timer t = {0};
	uint32_t fired = 0;

	(void)state;
	assert_non_null(w);
	timer_wheel_init(w, 10 * NS_PER_MS);
	assert_true(timer_next_ns(w) == UINT64_MAX);
	timer_set(w, &t, 12 * NS_PER_MS - 1); // rounds up: never early
	timer_advance(w, 12 * NS_PER_MS - 1, count_fire, &fired);
	assert_int_equal(fired, 0);
	timer_advance(w, 12 * NS_PER_MS, count_fire, &fired);
	assert_int_equal(fired, 1);
	timer_set(w, &t, 0); // long past: the next tick
	assert_int_equal(timer_next_ns(w), 13 * NS_PER_MS);
	timer_advance(w, 13 * NS_PER_MS, count_fire, &fired);
	assert_int_equal(fired, 2);
	timer_set(w, &t, UINT64_MAX); // beyond the wheel: kept, at its far end
	assert_true(timer_is_set(&t));
	timer_set(w, &t, 14 * NS_PER_MS); // moved, not doubled
	assert_int_equal(w->count, 1);
	timer_advance(w, 15 * NS_PER_MS, count_fire, &fired);
	assert_int_equal(fired, 3);
	timer_cancel(w, &t); // not set: nothing
	assert_int_equal(w->count, 0);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_orders),
		cmocka_unit_test(few_wake_ups),
		cmocka_unit_test(rounding_and_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
