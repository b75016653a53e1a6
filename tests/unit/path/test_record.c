// SPDX-License-Identifier: GPL-3.0-or-later
// path/record: what a worker puts is what the logger takes, in order, over any number of turns of the
// ring; what does not fit is dropped and counted; and a sleeping logger is woken once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>
#include "path/record.h"

#define RING_BYTES (1u << 14) // a record of the largest kind, twice

static uint8_t text[RECORD_STRING_MAX + 100];

static void make(uint64_t id, struct record *r, struct slice strings[RECORD_STRINGS])
{
	*r = (struct record){.kind = RECORD_EXCHANGE,
			     .exchange_id = id,
			     .duration_us = ~id,
			     .status = (uint16_t)id,
			     .client = {addr_from_v4((uint32_t)id), (uint16_t)(id * 3)}};
	for (int i = 0; i < RECORD_STRINGS; i++)
		strings[i] =
			slice_make(text + (id + (uint64_t)i) % 50,
				   (id * (uint64_t)(i + 7)) % (id % 97 ? 40 : RECORD_STRING_MAX));
}

static void check(const struct record *r, const struct slice strings[RECORD_STRINGS])
{
	struct slice expected[RECORD_STRINGS];
	struct record e;

	make(r->exchange_id, &e, expected);
	assert_true(r->duration_us == ~r->exchange_id);
	assert_int_equal(r->kind, RECORD_EXCHANGE);
	assert_int_equal(r->status, e.status);
	assert_int_equal(r->client.port, e.client.port);
	assert_true(addr_eq(r->client.addr, e.client.addr));
	for (int i = 0; i < RECORD_STRINGS; i++)
		assert_true(slice_eq(strings[i], expected[i]));
}

static int setup(void **state)
{
	static struct record_ring ring;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)i;
	*state = &ring;
	return record_ring_init(&ring, RING_BYTES, -1);
}

static int teardown(void **state)
{
	record_ring_deinit(*state);
	return 0;
}

static void records_come_out_in_order(void **state)
{
	uint8_t *out = malloc(RECORD_BYTES_MAX); // the sanitizer sees its end
	struct record_ring *ring = *state;
	struct slice strings[RECORD_STRINGS];
	uint64_t put = 0, taken = 0;
	struct record r;

	srand(9);
	assert_false(record_ring_take(ring, out, strings));
	while (put < 20000) {
		for (int n = rand() % 30; n > 0; n--) {
			make(put, &r, strings);
			if (!record_ring_put(ring, &r, strings))
				break;
			put++;
		}
		for (int n = rand() % 30; n > 0 && record_ring_take(ring, out, strings); n--) {
			const struct record *got = (const void *)out;

			assert_true(got->exchange_id == taken);
			check(got, strings);
			taken++;
		}
	}
	while (record_ring_take(ring, out, strings))
		taken++;
	assert_true(taken == put);
	assert_true(ring->head > 50ull * RING_BYTES); // it went round and round
	free(out);
}

static void a_full_ring_drops_and_counts(void **state)
{
	struct record_ring *ring = *state;
	struct slice strings[RECORD_STRINGS];
	uint8_t out[RECORD_BYTES_MAX];
	uint32_t fitted = 0, taken = 0;
	struct record r;

	make(1, &r, strings);
	while (record_ring_put(ring, &r, strings))
		fitted++;
	assert_int_equal(ring->dropped, 1);
	for (int i = 0; i < 10; i++)
		assert_false(record_ring_put(ring, &r, strings));
	assert_int_equal(ring->dropped, 11);
	while (record_ring_take(ring, out, strings))
		taken++;
	assert_int_equal(taken, fitted);
	assert_true(record_ring_put(ring, &r, strings)); // and it goes on
}

// Longer than a string may be: cut, not refused; and the whole of the largest record fits.
static void long_strings_are_cut(void **state)
{
	struct record_ring *ring = *state;
	struct slice strings[RECORD_STRINGS];
	uint8_t *out = malloc(RECORD_BYTES_MAX);
	struct record r = {.kind = RECORD_EXCHANGE};

	for (int i = 0; i < RECORD_STRINGS; i++)
		strings[i] = slice_make(text, i % 2 ? sizeof(text) : RECORD_STRING_MAX);
	for (int round = 0; round < 10; round++) {
		assert_true(record_ring_put(ring, &r, strings));
		assert_true(record_ring_take(ring, out, strings));
		for (int i = 0; i < RECORD_STRINGS; i++) {
			assert_int_equal(strings[i].len, RECORD_STRING_MAX);
			assert_memory_equal(strings[i].ptr, text, RECORD_STRING_MAX);
			strings[i] = slice_make(text, sizeof(text));
		}
	}
	for (int i = 0; i < RECORD_STRINGS; i++)
		strings[i] = (struct slice){0}; // nothing at all is a record too
	assert_true(record_ring_put(ring, &r, strings));
	assert_true(record_ring_take(ring, out, strings));
	assert_int_equal(strings[0].len, 0);
	free(out);
}

static bool woken(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t count;

	return poll(&p, 1, 0) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

static void a_sleeping_logger_is_woken_once(void **state)
{
	struct slice strings[RECORD_STRINGS];
	struct record_ring ring;
	struct record r;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(record_ring_init(&ring, RING_BYTES, fd), ERR_OK);
	make(5, &r, strings);
	assert_false(woken(fd));
	assert_true(record_ring_put(&ring, &r, strings)); // it sleeps at first
	assert_true(woken(fd));
	assert_true(record_ring_put(&ring, &r, strings));
	assert_false(woken(fd)); // awake: no second call
	atomic_store(&ring.logger_sleeps, true);
	assert_true(record_ring_put(&ring, &r, strings));
	assert_true(woken(fd));
	record_ring_deinit(&ring);
	close(fd);
}

struct reader {
	struct record_ring *ring;
	_Atomic bool stop;
	uint64_t taken;
	bool in_order;
};

static void *reader_run(void *argument)
{
	struct reader *reader = argument;
	struct slice strings[RECORD_STRINGS];
	uint8_t out[RECORD_BYTES_MAX];
	bool stop;

	do {
		stop = reader->stop;
		while (record_ring_take(reader->ring, out, strings)) {
			const struct record *r = (const void *)out;

			reader->in_order &= r->exchange_id >= reader->taken &&
					    r->duration_us == ~r->exchange_id &&
					    (strings[3].len == 0 ||
					     strings[3].ptr[0] == text[(r->exchange_id + 3) % 50]);
			reader->taken = r->exchange_id + 1;
		}
	} while (!stop);
	return NULL;
}

// Two threads, as in the process; the thread sanitizer has its say where it is on.
static void a_producer_and_a_consumer(void **state)
{
	struct reader reader = {.ring = *state, .in_order = true};
	struct slice strings[RECORD_STRINGS];
	struct record r;
	pthread_t thread;
	uint64_t last = 0;

	assert_int_equal(pthread_create(&thread, NULL, reader_run, &reader), 0);
	for (uint64_t i = 0; i < 200000; i++) {
		make(i, &r, strings);
		if (record_ring_put(reader.ring, &r, strings))
			last = i + 1;
	}
	reader.stop = true;
	pthread_join(thread, NULL);
	assert_true(reader.in_order);
	assert_true(reader.taken == last); // the last that was put is the last that was taken
	assert_true(last > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(records_come_out_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_ring_drops_and_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(long_strings_are_cut, setup, teardown),
		cmocka_unit_test(a_sleeping_logger_is_woken_once),
		cmocka_unit_test_setup_teardown(a_producer_and_a_consumer, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
