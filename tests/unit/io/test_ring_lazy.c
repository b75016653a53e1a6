// SPDX-License-Identifier: GPL-3.0-or-later
// io/ring on the running kernel: sends that nobody waits for (they wake nobody, lose nothing, and say what the
// socket did not take), and the time-out that is kept armed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/ring.c" // the file itself: does this kernel have lazy sends?
#include "io/ring_usual.h"

#define WAIT_NS (5 * NS_PER_S)
#define OPS	2000

static struct ring *ring;
static struct io_op ops[OPS];
static int32_t results[OPS];
static uint32_t flags[OPS];
static uint32_t ended;
static int pair[2];
static bool send_again; // the handler asks for another lazy send

static void note(void *context, const struct ring_completion *c)
{
	(void)context;
	size_t i = (size_t)(c->op - ops);

	assert_true(i < OPS);
	assert_false(c->op->armed);
	results[i] = c->res;
	flags[i] = c->flags;
	ended++;
	if (send_again) {
		send_again = false;
		ring_send(ring, c->op, pair[0], SLICE_LIT("again"), RING_SEND_LAZY);
	}
}

// Returns how long it took.
static uint64_t turn(uint64_t wait_ns)
{
	uint64_t before = clock_monotonic_ns(), now;

	ring_turn(ring, wait_ns ? before + wait_ns : 0, note, NULL, &now);
	return now - before;
}

static int setup(void **state)
{
	struct reason why = {0};

	(void)state;
	if (ring_new(&usual, &ring, &why) != ERR_OK)
		fail_msg("%s", why.text);
	memset(ops, 0, sizeof(ops));
	ended = 0;
	send_again = false;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ring_free(ring);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static size_t drain(void *into, size_t max)
{
	size_t have = 0;
	ssize_t n;

	while (have < max && (n = read(pair[1], (uint8_t *)into + have, max - have)) > 0)
		have += (size_t)n;
	return have;
}

static void wakes_nobody(void **state)
{
	char text[8];

	(void)state;
	assert_true(ring->lazy_works);
	ring_send(ring, &ops[0], pair[0], SLICE_LIT("hello"), RING_SEND_LAZY);
	assert_true(turn(50 * NS_PER_MS) >= 45 * NS_PER_MS); // the wait's own end, not the send's
	assert_int_equal(ended, 1);
	assert_int_equal(results[0], 5);
	assert_int_equal(flags[0], 0);
	assert_int_equal(drain(text, sizeof(text)), 5);
	// One that is waited for does end the wait.
	ring_send(ring, &ops[0], pair[0], SLICE_LIT("hello"), RING_SEND_WAIT);
	assert_true(turn(WAIT_NS) < WAIT_NS / 2);
	assert_int_equal(ended, 2);
}

static void tells_what_was_not_taken(void **state)
{
	static uint8_t sent[4u << 20], got[sizeof(sent)];
	size_t have, taken;

	(void)state;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 31 + i / 251);
	ring_send(ring, &ops[0], pair[0], slice_make(sent, sizeof(sent)), RING_SEND_LAZY);
	turn(WAIT_NS);
	assert_int_equal(ended, 1);
	assert_true(flags[0] & RING_SHORT);
	taken = (size_t)results[0];
	assert_true(taken > 0 && taken < sizeof(sent));
	// Not a byte fits: taken is nothing, and that is no error.
	ring_send(ring, &ops[1], pair[0], slice_make(sent + taken, 100), RING_SEND_LAZY);
	turn(WAIT_NS);
	assert_int_equal(results[1], 0);
	assert_true(flags[1] & RING_SHORT);
	// The rest waits for room.
	ring_send(ring, &ops[0], pair[0], slice_make(sent + taken, sizeof(sent) - taken),
		  RING_SEND_WAIT);
	for (have = 0; have < sizeof(sent);) {
		turn(0);
		have += drain(got + have, sizeof(got) - have);
	}
	while (ops[0].armed)
		turn(WAIT_NS);
	assert_int_equal(results[0], sizeof(sent) - taken);
	assert_memory_equal(got, sent, sizeof(sent));
}

static void tells_errors(void **state)
{
	(void)state;
	close(pair[1]);
	ring_send(ring, &ops[0], pair[0], SLICE_LIT("hello"), RING_SEND_LAZY);
	turn(WAIT_NS);
	assert_int_equal(results[0], -EPIPE);
	assert_int_equal(flags[0], 0);
	pair[1] = dup(pair[0]);
}

// More than the queues, the list and the socket hold, and a handler that sends: each ends once, and says
// how much went.
static void each_ends_once(void **state)
{
	static char got[OPS + 16];
	size_t have = 0, went = 0;

	(void)state;
	for (uint32_t i = 0; i < OPS; i++)
		ring_send(ring, &ops[i], pair[0], SLICE_LIT("x"), RING_SEND_LAZY);
	for (uint32_t i = 0; ended < OPS && i < 1000; i++) {
		turn(0);
		have += drain(got + have, sizeof(got) - have);
	}
	assert_int_equal(ended, OPS);
	for (uint32_t i = 0; i < OPS; i++) {
		assert_false(ops[i].armed);
		assert_true(results[i] == 1 || (results[i] == 0 && flags[i] == RING_SHORT));
		went += (size_t)results[i];
	}
	assert_int_equal(went, have);
	assert_int_equal(ring_counters(ring)->lazy_sends, LAZY_MAX);
	assert_true(ring_counters(ring)->overflows >
		    0); // more failures than the completion queue holds
	send_again = true;
	ring_send(ring, &ops[0], pair[0], SLICE_LIT("x"), RING_SEND_LAZY);
	turn(0);
	turn(0);
	turn(0);
	assert_int_equal(ended, OPS + 2);
	assert_int_equal(results[0], 5);
	assert_int_equal(drain(got, sizeof(got)), 1 + 5);
}

static void waits_until_a_time(void **state)
{
	(void)state;
	// Later ones first: each wait has its own end, whatever is kept armed.
	uint64_t waits_ms[] = {80, 60, 40, 20, 10, 30, 5, 1, 15};

	for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
		uint64_t until = clock_monotonic_ns() + waits_ms[i] * NS_PER_MS;

		// An earlier time-out may end the wait sooner; never is it later.
		while (clock_monotonic_ns() < until)
			turn(until - clock_monotonic_ns());
		assert_true(clock_monotonic_ns() < until + 500 * NS_PER_MS);
	}
	assert_int_equal(ended, 0);
	// The same time, asked for a hundred times, costs one time-out.
	uint64_t until = clock_monotonic_ns() + 50 * NS_PER_MS, now;
	uint64_t before = ring_counters(ring)->submissions;

	for (uint32_t i = 0; i < 100; i++) {
		ring_send(ring, &ops[0], pair[0], SLICE_LIT("x"), RING_SEND_WAIT);
		ring_turn(ring, until, note, NULL, &now);
	}
	assert_true(ring_counters(ring)->submissions - before <= 102);
	assert_int_equal(ring_counters(ring)->waits_timed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wakes_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(tells_what_was_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(tells_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(each_ends_once, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_until_a_time, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
