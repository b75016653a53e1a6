// SPDX-License-Identifier: GPL-3.0-or-later
// common/clock: the units are what the names say, and monotonic time never goes back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>
#include "common/clock.h"

static void monotonic_time_goes_forward_in_nanoseconds(void **state)
{
	struct timespec before, after;
	uint64_t first, last;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &before);
	first = last = clock_monotonic_ns();
	for (int i = 0; i < 100000; i++) {
		uint64_t now = clock_monotonic_ns();

		assert_true(now >= last);
		last = now;
	}
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(first >= (uint64_t)before.tv_sec * NS_PER_S + (uint64_t)before.tv_nsec);
	assert_true(last <= (uint64_t)after.tv_sec * NS_PER_S + (uint64_t)after.tv_nsec);
}

static void wall_time_is_in_milliseconds(void **state)
{
	struct timespec before, after;
	uint64_t now;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &before);
	now = clock_unix_ms();
	clock_gettime(CLOCK_REALTIME, &after);
	assert_in_range(now, (uint64_t)before.tv_sec * 1000 + (uint64_t)before.tv_nsec / NS_PER_MS,
			(uint64_t)after.tv_sec * 1000 + (uint64_t)after.tv_nsec / NS_PER_MS);
	assert_int_equal(NS_PER_S, 1000 * NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(monotonic_time_goes_forward_in_nanoseconds),
		cmocka_unit_test(wall_time_is_in_milliseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
