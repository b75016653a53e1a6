// SPDX-License-Identifier: GPL-3.0-or-later
// "N a minute" is N: alone, over threads, while buckets are taken over, and with more keys than buckets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "common/clock.h"
#include "core/ratelimit.h"

#define SEED	 42
#define START_NS (1000 * NS_PER_S)

static struct ratelimit_table *make_table(uint32_t buckets)
{
	size_t bytes = ratelimit_table_bytes(buckets);
	void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
	struct ratelimit_table *t;

	assert_non_null(memory);
	memset(memory, 0, bytes);
	assert_int_equal(ratelimit_table_init(memory, bytes, SEED, &t), ERR_OK);
	return t;
}

static uint64_t admit(struct ratelimit_table *t, uint64_t key, uint64_t requests, uint32_t unit_s,
		      uint64_t burst, uint64_t now_ns, uint32_t tries)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < tries; i++)
		n += ratelimit_take(t, key, ratelimit_rate_of(requests, unit_s, burst), now_ns)
			     .allowed;
	return n;
}

static void test_table(void **state)
{
	static _Alignas(64) uint8_t memory[1u << 16];
	struct ratelimit_table *t, *again;
	size_t bytes = ratelimit_table_bytes(100);

	(void)state;
	assert_in_range(bytes, 100 * 16, 300 * 16);
	assert_in_range(ratelimit_table_bytes(1 << 20), 16u << 20, 17u << 20);
	assert_int_equal(ratelimit_table_init(memory, 8, SEED, &t), ERR_RANGE);
	assert_int_equal(ratelimit_table_init(memory, bytes, SEED, &t), ERR_OK);
	assert_int_equal(admit(t, 1, 5, 60, 0, START_NS, 5), 5);
	// Another process adopts it, with what has been spent and the first one's seed.
	assert_int_equal(ratelimit_table_init(memory, bytes, SEED + 1, &again), ERR_OK);
	assert_int_equal(ratelimit_seed(again), SEED);
	assert_int_equal(admit(again, 1, 5, 60, 0, START_NS, 1), 0);
	assert_int_equal(ratelimit_table_init(memory, sizeof(memory), SEED, &again), ERR_VERSION);
	memory[0] ^= 1;
	assert_int_equal(ratelimit_table_init(memory, bytes, SEED, &again), ERR_VERSION);
}

// 10 a minute: ten at once, the eleventh refused, then one every six seconds.
static void test_ten_a_minute(void **state)
{
	struct ratelimit_table *t = make_table(64);
	struct ratelimit_verdict v;

	(void)state;
	for (uint64_t i = 0; i < 10; i++) {
		v = ratelimit_take(t, 7, ratelimit_rate_of(10, 60, 0), START_NS);
		assert_true(v.allowed);
		assert_int_equal(v.remaining, 9 - i);
		assert_int_equal(v.retry_after_ns, 0);
		assert_false(v.overflow);
	}
	for (int i = 0; i < 1000; i++) {
		v = ratelimit_take(t, 7, ratelimit_rate_of(10, 60, 0), START_NS);
		assert_false(v.allowed);
		assert_int_equal(v.remaining, 0);
		assert_int_equal(v.retry_after_ns, 6 * NS_PER_S);
	}
	// What it says is what happens, to the nanosecond.
	assert_int_equal(admit(t, 7, 10, 60, 0, START_NS + 6 * NS_PER_S - 1, 5), 0);
	assert_int_equal(admit(t, 7, 10, 60, 0, START_NS + 6 * NS_PER_S, 5), 1);
	assert_int_equal(admit(t, 7, 10, 60, 0, START_NS + 30 * NS_PER_S, 50), 4);
	// Idle for a minute after the last: full again, and not fuller.
	assert_int_equal(admit(t, 7, 10, 60, 0, START_NS + 90 * NS_PER_S, 50), 10);
	assert_int_equal(admit(t, 7, 10, 60, 0, START_NS + 9000 * NS_PER_S, 50), 10);
	free(t);
}

static void test_burst_and_units(void **state)
{
	static const struct {
		uint64_t requests;
		uint32_t unit_s;
		uint64_t burst;
		uint64_t at_once;
	} rows[] = {
		{1, 1, 0, 1},
		{1, 86400, 0, 1},
		{3, 1, 0, 3},
		{7, 3600, 0, 7},
		{10, 60, 1, 1},
		{10, 60, 25, 25},
		{1, 86400, 50, 50},
		{999999937, 1, 1000, 1000},
		{1000000000, 86400, 300, 300},
	};
	struct ratelimit_table *t = make_table(1024);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t n = admit(t, i + 1, rows[i].requests, rows[i].unit_s, rows[i].burst,
				   START_NS, 5000);

		if (n != rows[i].at_once)
			fail_msg("row %zu admits %llu", i, (unsigned long long)n);
	}
	assert_int_equal(admit(t, 1000, 0, 60, 0, START_NS, 10), 0);
	assert_int_equal(
		ratelimit_take(t, 1000, ratelimit_rate_of(0, 60, 5), START_NS).retry_after_ns,
		60 * NS_PER_S);
	// Numbers beyond all sense overflow nothing.
	assert_true(ratelimit_take(t, 1001, ratelimit_rate_of(UINT64_MAX, 1, UINT64_MAX), START_NS)
			    .allowed);
	assert_true(ratelimit_take(t, 1002, ratelimit_rate_of(1, UINT32_MAX, UINT64_MAX), START_NS)
			    .allowed);
	free(t);
}

// Over a long time never more than the rate, whatever does not divide.
static void test_rate_is_never_exceeded(void **state)
{
	static const uint64_t requests[] = {1, 3, 7, 11, 97, 999, 1001};
	struct ratelimit_table *t = make_table(1024);

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		uint64_t n = 0, rate = requests[i];

		for (uint64_t ms = 0; ms < 60000; ms += 1 + ms % 3)
			n += admit(t, 50 + i, rate, 1, 0, START_NS + ms * NS_PER_MS, 3);
		// One burst and sixty seconds of refill; at most one interval is lost to rounding.
		assert_in_range(n, 60 * rate - 2, 61 * rate);
	}
	free(t);
}

static void test_keys_are_apart(void **state)
{
	struct ratelimit_table *t = make_table(1 << 12);

	(void)state;
	for (uint64_t key = 0; key < 500; key++)
		assert_int_equal(admit(t, key, 3, 60, 0, START_NS, 10), 3);
	for (uint64_t key = 0; key < 500; key++)
		assert_int_equal(admit(t, key, 3, 60, 0, START_NS + 1, 10), 0);
	free(t);
}

// Asking says what taking would say, and spends nothing: not by a token, not by a bucket.
static void test_ask(void **state)
{
	struct ratelimit_rate rate = ratelimit_rate_of(3, 60, 0);
	struct ratelimit_table *t = make_table(8);

	(void)state;
	for (uint64_t key = 1; key <= 100; key++)
		assert_true(ratelimit_ask(t, key, rate, START_NS).allowed);
	for (int i = 0; i < 5; i++) {
		struct ratelimit_verdict ask = ratelimit_ask(t, 7, rate, START_NS);
		struct ratelimit_verdict take = ratelimit_take(t, 7, rate, START_NS);

		assert_memory_equal(&ask, &take, sizeof(ask));
		assert_int_equal(take.allowed, i < 3);
		assert_false(take.overflow);
	}
	free(t);
}

// 10^6 keys of an attacker against a table of 4,096 buckets: nobody who is active starts anew, and a key
// that finds no room is not let through for free.
static void test_attack(void **state)
{
	struct ratelimit_table *t = make_table(1 << 12);
	uint64_t overflows = 0, admitted = 0;

	(void)state;
	for (uint64_t key = 1; key <= 64; key++)
		assert_int_equal(admit(t, key, 5, 3600, 0, START_NS, 5), 5);
	for (uint64_t i = 0; i < 1000000; i++) {
		struct ratelimit_verdict v = ratelimit_take(
			t, (i + 1) << 20, ratelimit_rate_of(1, 60, 0), START_NS + i * 1000);

		overflows += v.overflow;
		admitted += v.allowed;
		if (i % 15625 == 0) {
			uint64_t victim = 1 + i / 15625;

			assert_false(ratelimit_take(t, victim, ratelimit_rate_of(5, 3600, 0),
						    START_NS + i * 1000)
					     .allowed);
		}
	}
	for (uint64_t key = 1; key <= 64; key++)
		assert_int_equal(admit(t, key, 5, 3600, 0, START_NS + NS_PER_S, 5), 0);
	// Every bucket once within its minute, at most.
	assert_in_range(admitted, 3000, 1 << 12);
	assert_in_range(overflows, 1000000 - (1 << 12), 1000000);
	free(t);
}

// A bucket whose time has passed is taken over, one that is active is not: the set's eight first.
static void test_takeover(void **state)
{
	struct ratelimit_table *t = make_table(8);
	struct ratelimit_verdict v;

	(void)state;
	for (uint64_t key = 0; key < 8; key++) {
		v = ratelimit_take(t, key, ratelimit_rate_of(2, 10, 0), START_NS + key * NS_PER_S);
		assert_true(v.allowed);
		assert_false(v.overflow);
	}
	// Key 0's bucket is refilled at 5 s after START, until then a ninth key shares.
	v = ratelimit_take(t, 100, ratelimit_rate_of(2, 10, 0), START_NS + 4 * NS_PER_S);
	assert_true(v.overflow);
	v = ratelimit_take(t, 100, ratelimit_rate_of(2, 10, 0), START_NS + 5 * NS_PER_S);
	assert_false(v.overflow);
	assert_true(v.allowed);
	assert_int_equal(v.remaining, 1);
	// Whoever shares is counted in the busiest bucket, which fills up and then refuses.
	assert_in_range(admit(t, 200, 2, 10, 0, START_NS + 5 * NS_PER_S, 100), 0, 1);
	free(t);
}

// ---- threads -----------------------------------------------------------------------------------

#define THREADS_MAX 4
#define KEYS_MAX    200000

struct race {
	struct ratelimit_table *table;
	uint32_t threads;
	uint32_t rounds;
	uint32_t keys;	// in each round, new ones
	uint32_t tries; // of each thread, for each key
	uint64_t requests;
	uint32_t unit_s;
	uint64_t step_ns; // from round to round
	atomic_uint waiting;
	atomic_uint round;
	atomic_bool overflow;
	_Atomic uint8_t admitted[KEYS_MAX];
};

struct racer {
	struct race *race;
	uint32_t index;
};

// All threads begin a round together, so that they meet in the same new keys.
static void meet(struct race *r, uint32_t round)
{
	if (atomic_fetch_add(&r->waiting, 1) + 1 == (round + 1) * r->threads)
		atomic_store(&r->round, round + 1);
	for (uint32_t spins = 0; atomic_load(&r->round) <= round; spins++) {
		if (spins % 1024 == 1023)
			sched_yield(); // fewer processors than threads
	}
}

static void *run(void *argument)
{
	struct racer *me = argument;
	struct race *r = me->race;

	for (uint32_t round = 0; round < r->rounds; round++) {
		meet(r, round);
		for (uint32_t i = 0; i < r->tries * r->keys; i++) {
			uint32_t key = round * r->keys + (i + me->index / 2) % r->keys;
			struct ratelimit_verdict v =
				ratelimit_take(r->table, key,
					       ratelimit_rate_of(r->requests, r->unit_s, 0),
					       START_NS + round * r->step_ns);

			if (v.overflow)
				atomic_store(&r->overflow, true);
			if (v.allowed)
				atomic_fetch_add(&r->admitted[key], 1);
		}
	}
	return NULL;
}

static void race(struct race *r)
{
	struct racer racers[THREADS_MAX];
	pthread_t threads[THREADS_MAX];

	assert_true(r->threads <= THREADS_MAX && r->rounds * r->keys <= KEYS_MAX);
	for (uint32_t i = 0; i < r->threads; i++) {
		racers[i] = (struct racer){r, i};
		assert_int_equal(pthread_create(&threads[i], NULL, run, &racers[i]), 0);
	}
	for (uint32_t i = 0; i < r->threads; i++)
		pthread_join(threads[i], NULL);
	assert_false(r->overflow);
	for (uint32_t i = 0; i < r->rounds * r->keys; i++) {
		if (r->admitted[i] != r->requests)
			fail_msg("key %u: %u instead of %u", i, r->admitted[i],
				 (uint32_t)r->requests);
	}
	free(r->table);
}

// Four threads, many keys, much room: every key exactly its limit.
static void test_threads_exact(void **state)
{
	static struct race r = {.threads = 4,
				.rounds = 1,
				.keys = 6000,
				.tries = 20,
				.requests = 10,
				.unit_s = 3600};

	(void)state;
	r.table = make_table(1 << 16);
	race(&r);
}

// Six keys at a time that are new to all threads at once, in one set of eight buckets, the keys of the
// round before being just over: claims and takeovers meet in every order, and a limit of one shows
// a second bucket for a key, or a charge to the wrong key, at once.
static void test_threads_takeover(void **state)
{
	static struct race two = {.threads = 2,
				  .rounds = 30000,
				  .keys = 6,
				  .tries = 3,
				  .requests = 1,
				  .unit_s = 1,
				  .step_ns = NS_PER_S};
	static struct race four = {.threads = 4,
				   .rounds = 3000,
				   .keys = 6,
				   .tries = 3,
				   .requests = 1,
				   .unit_s = 1,
				   .step_ns = NS_PER_S};

	(void)state;
	two.table = make_table(8);
	race(&two);
	four.table = make_table(8);
	race(&four);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_ten_a_minute),
		cmocka_unit_test(test_burst_and_units),
		cmocka_unit_test(test_rate_is_never_exceeded),
		cmocka_unit_test(test_keys_are_apart),
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_attack),
		cmocka_unit_test(test_takeover),
		cmocka_unit_test(test_threads_exact),
		cmocka_unit_test(test_threads_takeover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
