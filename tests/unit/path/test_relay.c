// SPDX-License-Identifier: GPL-3.0-or-later
// path/relay: how long a half-closed exchange lives: silent for an hour, busy for ever, opaque and L7 alike.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "path/http.h"
#include "path/stages.h"
#include "path/worker.h"

#define MINUTE_NS (60 * NS_PER_S)

static struct worker *w;
static struct exchange x;
static struct http http;

static int setup(void **state)
{
	(void)state;
	w = calloc(1, sizeof(*w));
	w->now_ns = MINUTE_NS;
	timer_wheel_init(&w->timers, w->now_ns);
	memset(&x, 0, sizeof(x));
	memset(&http, 0, sizeof(http));
	x.worker = w;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(w);
	return 0;
}

static void pass_minutes(uint64_t minutes)
{
	w->now_ns += minutes * MINUTE_NS;
}

// The client finishes; then a byte every ten minutes of one kind or another, for three hours; then none.
static void live_half_closed(const enum event busy[3])
{
	assert_false(timer_is_set(&x.timer));
	x.leg[DOWN].read_fin = true;
	assert_int_equal(relay_on_event(&x, EVENT_FIN_DOWN), STEP_WAIT);
	for (int i = 0; i < 18; i++) {
		pass_minutes(10);
		if (w->now_ns / NS_PER_MS >= x.timer.at_ms) {
			timer_cancel(&w->timers, &x.timer);
			assert_int_equal(relay_on_event(&x, EVENT_TIMER), STEP_WAIT);
		}
		assert_true(timer_is_set(&x.timer));
		assert_int_equal(relay_on_event(&x, busy[i % 3]), STEP_WAIT);
	}
	uint64_t silent_ns = w->now_ns;

	// What concerns everybody is no traffic.
	pass_minutes(30);
	assert_int_equal(relay_on_event(&x, EVENT_RECHECK), STEP_WAIT);
	while (x.end_reason == END_NONE) {
		assert_true(timer_is_set(&x.timer));
		w->now_ns = x.timer.at_ms * NS_PER_MS;
		timer_cancel(&w->timers, &x.timer);
		relay_on_event(&x, EVENT_TIMER);
	}
	assert_int_equal(x.end_reason, END_IDLE_TIMEOUT);
	assert_true(w->now_ns - silent_ns >= 60 * MINUTE_NS);
	assert_true(w->now_ns - silent_ns <= 60 * MINUTE_NS + NS_PER_S);
}

static void opaque(void **state)
{
	static const enum event busy[] = {EVENT_DATA_UP, EVENT_SENT_DOWN, EVENT_SENT_UP};

	(void)state;
	live_half_closed(busy);
}

static void requests(void **state)
{
	static const enum event busy[] = {EVENT_SENT_UP, EVENT_SENT_DOWN, EVENT_SENT_DOWN};

	(void)state;
	x.l7 = true;
	x.http = &http;
	http1_init_request(&http.request);
	http.request.complete = true;
	live_half_closed(busy);
}

static void open_connections_have_no_limit(void **state)
{
	(void)state;
	assert_int_equal(relay_on_event(&x, EVENT_DATA_UP), STEP_WAIT);
	assert_false(timer_is_set(&x.timer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opaque, setup, teardown),
		cmocka_unit_test_setup_teardown(requests, setup, teardown),
		cmocka_unit_test_setup_teardown(open_connections_have_no_limit, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
