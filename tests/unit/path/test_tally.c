// SPDX-License-Identifier: GPL-3.0-or-later
// path/tally: exact for one thread; with many threads nothing is lost and nobody is refused who has room.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "path/tally.h"

static struct tally tally;

#define KEY(n) (((uint64_t)(n) << 24) | 5)

static void is_empty(void)
{
	for (size_t b = 0; b < TALLY_BUCKETS; b++) {
		for (size_t i = 0; i < TALLY_WORDS; i++)
			assert_int_equal(tally.words[b][i] & 0xffffff, 0);
	}
}

static void a_pod_has_as_many_as_it_may(void **state)
{
	uint32_t places[5];

	(void)state;
	for (int i = 0; i < 5; i++)
		places[i] = tally_add(&tally, KEY(1), 5);
	assert_int_equal(tally_add(&tally, KEY(1), 5), TALLY_FULL);
	uint32_t other = tally_add(&tally, KEY(2), 1);

	assert_true(other < TALLY_NOONE);
	assert_int_equal(tally_add(&tally, KEY(2), 1), TALLY_FULL);
	tally_drop(&tally, places[3]);
	places[3] = tally_add(&tally, KEY(1), 5);
	assert_true(places[3] < TALLY_NOONE);
	assert_int_equal(tally_add(&tally, KEY(1), 5), TALLY_FULL);
	for (int i = 0; i < 5; i++)
		tally_drop(&tally, places[i]);
	tally_drop(&tally, other);
	is_empty();
}

static void a_full_bucket_counts_nobody_more(void **state)
{
	uint32_t places[TALLY_WORDS];

	(void)state;
	for (uint32_t i = 0; i < TALLY_WORDS; i++)
		places[i] = tally_add(&tally, KEY(i + 1), 1);
	assert_int_equal(tally_add(&tally, KEY(100), 1), TALLY_NOONE);
	for (uint32_t i = 0; i < TALLY_WORDS; i++)
		tally_drop(&tally, places[i]);
	assert_true(tally_add(&tally, KEY(100), 1) == places[0]);
	tally_drop(&tally, places[0]);
	is_empty();
}

enum { ROUNDS = 200000, THREADS = 4, MAX = 3 * THREADS };

static void *come_and_go(void *argument)
{
	unsigned seed = (unsigned)(uintptr_t)argument;
	uint32_t mine[3][MAX / THREADS];
	uint32_t count[3] = {0};

	for (int i = 0; i < ROUNDS; i++) {
		int pod = rand_r(&seed) % 3;

		if (count[pod] < MAX / THREADS && rand_r(&seed) % 2) {
			uint32_t place = tally_add(&tally, KEY(pod + 1), MAX);

			if (place >= TALLY_NOONE)
				return "refused though there was room";
			mine[pod][count[pod]++] = place;
		} else if (count[pod] > 0) {
			tally_drop(&tally, mine[pod][--count[pod]]);
		}
	}
	for (int pod = 0; pod < 3; pod++) {
		while (count[pod] > 0)
			tally_drop(&tally, mine[pod][--count[pod]]);
	}
	return NULL;
}

static void threads_lose_nothing(void **state)
{
	pthread_t threads[THREADS];
	void *wrong;

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, (void *)(i + 1)),
				 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &wrong);
		if (wrong)
			fail_msg("%s", (const char *)wrong);
	}
	is_empty();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_has_as_many_as_it_may),
		cmocka_unit_test(a_full_bucket_counts_nobody_more),
		cmocka_unit_test(threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
