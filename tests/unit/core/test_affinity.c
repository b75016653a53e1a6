// SPDX-License-Identifier: GPL-3.0-or-later
// core/affinity: a client is remembered for its timeout since it was last seen, in bounded memory, whoever of
// several threads meets it first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "common/hash.h"
#include "core/affinity.h"

#define CLIENTS 4096
#define THREADS 4
#define TIMEOUT 100

static void *memory;
static struct affinity_table *table;

static int setup(void **state)
{
	size_t bytes = affinity_table_bytes(CLIENTS);

	(void)state;
	memory = aligned_alloc(64, bytes);
	assert_non_null(memory);
	memset(memory, 0, bytes);
	assert_int_equal(affinity_table_init(memory, bytes, 7, &table), ERR_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(memory);
	return 0;
}

static uint64_t key_of(uint64_t client)
{
	return hash_u64(client, 1);
}

static void remembered_for_its_timeout(void **state)
{
	(void)state;
	assert_int_equal(affinity_find(table, key_of(1), TIMEOUT, 1000), 0);
	assert_int_equal(affinity_keep(table, key_of(1), 0, 5, TIMEOUT, 1000), 5);
	assert_int_equal(affinity_find(table, key_of(1), TIMEOUT, 1000 + TIMEOUT), 5);
	assert_int_equal(affinity_find(table, key_of(1), TIMEOUT, 1000 + 2 * TIMEOUT), 5); // seen
	assert_int_equal(affinity_find(table, key_of(1), TIMEOUT, 1001 + 3 * TIMEOUT), 0);
	assert_int_equal(affinity_find(table, key_of(2), TIMEOUT, 1000), 0);
	// Another worker's clock may be a moment behind.
	assert_int_equal(affinity_find(table, key_of(1), TIMEOUT, 999 + 2 * TIMEOUT), 5);
	// Who is too late gets another, and that counts.
	assert_int_equal(affinity_keep(table, key_of(1), 0, 6, TIMEOUT, 1001 + 3 * TIMEOUT), 6);
	assert_int_equal(affinity_find(table, key_of(1), TIMEOUT, 1002 + 3 * TIMEOUT), 6);
}

static void an_endpoint_that_went_is_replaced_once(void **state)
{
	(void)state;
	assert_int_equal(affinity_keep(table, key_of(1), 0, 5, TIMEOUT, 10), 5);
	assert_int_equal(affinity_keep(table, key_of(1), 5, 6, TIMEOUT, 10), 6);
	// Another worker that still saw 5 follows.
	assert_int_equal(affinity_keep(table, key_of(1), 5, 7, TIMEOUT, 10), 6);
}

static void memory_is_bounded_and_the_oldest_goes(void **state)
{
	uint32_t kept = 0;

	(void)state;
	for (uint32_t i = 0; i < 8 * CLIENTS; i++)
		assert_int_equal(affinity_keep(table, key_of(i), 0, 1 + i % 9, 86400, 10 + i / 100),
				 1 + i % 9);
	for (uint32_t i = 8 * CLIENTS - CLIENTS / 2; i < 8 * CLIENTS; i++)
		kept += affinity_find(table, key_of(i), 86400, 10 + i / 100) == 1 + i % 9;
	assert_true(kept > CLIENTS / 2 * 9 / 10);
}

static void adopted_by_a_successor(void **state)
{
	struct affinity_table *other;

	(void)state;
	assert_int_equal(affinity_keep(table, key_of(1), 0, 5, TIMEOUT, 10), 5);
	assert_int_equal(affinity_table_init(memory, affinity_table_bytes(CLIENTS), 99, &other),
			 ERR_OK);
	assert_int_equal(affinity_seed(other), 7);
	assert_int_equal(affinity_find(other, key_of(1), TIMEOUT, 10), 5);
	assert_int_equal(affinity_table_init(memory, affinity_table_bytes(2 * CLIENTS), 99, &other),
			 ERR_VERSION);
	assert_int_equal(affinity_table_init(memory, 64, 99, &other), ERR_RANGE);
	assert_true(affinity_tag(0) > 0);
}

// Every thread brings each client with a tag of its own: all leave with what the table says.
static uint32_t answers[THREADS][CLIENTS];

static void *bring(void *argument)
{
	uint32_t me = (uint32_t)(uintptr_t)argument;

	for (uint32_t i = 0; i < CLIENTS / 16; i++)
		answers[me][i] = affinity_keep(table, key_of(i), 0, 1 + me, TIMEOUT, 10);
	return NULL;
}

static void threads_agree(void **state)
{
	pthread_t threads[THREADS];
	uint32_t differ = 0;

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, bring, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = 0; i < CLIENTS / 16; i++) {
		uint32_t said = affinity_find(table, key_of(i), TIMEOUT, 10);

		for (int k = 0; k < THREADS; k++)
			differ += answers[k][i] != said;
	}
	assert_int_equal(differ, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(remembered_for_its_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(an_endpoint_that_went_is_replaced_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(memory_is_bounded_and_the_oldest_goes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(adopted_by_a_successor, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_agree, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
