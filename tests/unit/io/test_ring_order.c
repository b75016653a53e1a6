// SPDX-License-Identifier: GPL-3.0-or-later
// io/ring: cancelling, queues that are full or overflow, handlers that ask again, waiting.
#include "io/ring_seen.h"

// ---- cancellation ------------------------------------------------------------------------------

static void cancelling(void **state)
{
	static uint8_t bytes[8u << 20];
	struct io_op receiving = {0}, sending = {0}, cancels[4] = {0};
	int fds[2];

	(void)state;
	connect_pair(fds);
	ring_cancel(ring, &cancels[0], &receiving); // never armed
	assert_int_equal(finish(&cancels[0]), -ENOENT);
	ring_recv(ring, &receiving, fds[1], RING_GROUP_STREAM, true, 0);
	turn(0);
	ring_cancel(ring, &cancels[1], &receiving);
	assert_int_equal(finish(&cancels[1]), 0);
	assert_int_equal(finish(&receiving), -ECANCELED);
	ring_recv(ring, &receiving, fds[1], RING_GROUP_STREAM, true, 0);
	ring_cancel(ring, &cancels[2], &receiving); // in the very same submission
	finish(&cancels[2]);
	assert_int_equal(finish(&receiving), -ECANCELED);
	// A send that nobody reads: what had left is told, or that it was cancelled.
	ring_send(ring, &sending, fds[0], slice_make(bytes, sizeof(bytes)), RING_SEND_WAIT);
	turn(0);
	assert_true(sending.armed);
	ring_cancel(ring, &cancels[3], &sending);
	int32_t result = finish(&sending);

	assert_true(result == -ECANCELED || (result > 0 && (size_t)result < sizeof(bytes)));
	finish(&cancels[3]);
	close(fds[0]);
	close(fds[1]);
}

static struct io_op again;
static int again_left;

static void cancelling_a_connect(void **state)
{
	struct io_op connecting[4] = {0}, cancel = {0};
	struct sockaddr_storage at;
	int listener = listen_at(&at, 0), fds[4], pending = -1;

	(void)state;
	// Nobody accepts and the backlog is full: the handshake does not come to an end.
	for (int i = 0; i < 4; i++) {
		fds[i] = socket_for(&at);
		ring_connect(ring, &connecting[i], fds[i], &at);
	}
	turn(50 * NS_PER_MS);
	for (int i = 0; i < 4; i++) {
		if (connecting[i].armed)
			pending = i;
	}
	assert_true(pending >= 0);
	ring_cancel(ring, &cancel, &connecting[pending]);
	assert_int_equal(finish(&cancel), 0);
	assert_int_equal(finish(&connecting[pending]), -ECANCELED);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	close(listener);
}

// ---- queues ------------------------------------------------------------------------------------

static void full_submission_queue_submits_at_once(void **state)
{
	static struct io_op closing[1000];
	struct ring_config config = usual;

	(void)state;
	teardown(NULL);
	config.entries = 8;
	config.completion_entries = 2048;
	setup_with(&config);
	memset(closing, 0, sizeof(closing));
	for (int i = 0; i < 1000; i++)
		ring_close(ring, &closing[i], 100000 + i); // nobody's: one completion each
	assert_true(ring_counters(ring)->queue_full >= 1000 / 8 - 1);
	while (seen_count < 1000)
		assert_true(turn(WAIT_NS) > 0);
	for (int i = 0; i < 1000; i++) {
		assert_false(closing[i].armed);
		assert_int_equal(times_seen(&closing[i]), 1);
	}
	assert_int_equal(turn(0), 0);
}

static void overflowing_completions_are_kept(void **state)
{
	static struct io_op closing[500];
	struct ring_config config = usual;
	struct io_op poll = {0};
	int event = eventfd(0, EFD_NONBLOCK);

	(void)state;
	teardown(NULL);
	config.entries = 8;
	config.completion_entries = 16;
	setup_with(&config);
	memset(closing, 0, sizeof(closing));
	ring_poll(ring, &poll, event);
	for (int i = 0; i < 500; i++)
		ring_close(ring, &closing[i], 100000 + i);
	assert_int_equal(eventfd_write(event, 1), 0);
	for (int i = 0; i < TURNS_MAX && (seen_count < 501 || turn(0) > 0); i++)
		turn(0);
	assert_true(ring_counters(ring)->overflows > 0);
	assert_int_equal(ring_counters(ring)->lost, 0);
	for (int i = 0; i < 500; i++)
		assert_int_equal(times_seen(&closing[i]), 1);
	// A multishot may end when its completion found no room: without MORE, and never silently.
	assert_true(times_seen(&poll) >= 1);
	assert_int_equal(ring_counters(ring)->completions, seen_count);
	close(event);
}

static void ask_again(void *context, const struct ring_completion *c)
{
	assert_false(c->op->armed);
	if (--again_left > 0) {
		ring_close(context, &again, 100000); // from the handler, with the same op
		assert_true(again.armed);
	}
}

static void handlers_may_ask_again(void **state)
{
	uint64_t now;

	(void)state;
	again_left = 1000;
	ring_close(ring, &again, 100000);
	for (int i = 0; i < TURNS_MAX && again_left > 0; i++)
		ring_turn(ring, clock_monotonic_ns() + WAIT_NS, ask_again, ring, &now);
	assert_int_equal(again_left, 0);
	assert_false(again.armed);
}

// ---- waiting -----------------------------------------------------------------------------------

static void *write_later(void *context)
{
	struct pollfd nothing = {.fd = -1};

	poll(&nothing, 1, 20);
	assert_int_equal(eventfd_write(*(int *)context, 1), 0);
	return NULL;
}

static void waiting(void **state)
{
	struct io_op poll_op = {0};
	pthread_t thread;
	uint64_t now = 0, started = clock_monotonic_ns();
	int event = eventfd(0, EFD_NONBLOCK);
	eventfd_t value;

	(void)state;
	assert_int_equal(ring_turn(ring, 0, note, NULL, &now), 0); // does not wait
	assert_true(now >= started);
	assert_int_equal(ring_turn(ring, now + 30 * NS_PER_MS, note, NULL, &now), 0);
	assert_true(now >= started + 30 * NS_PER_MS); // not early
	assert_true(now < started + 5 * NS_PER_S);
	assert_int_equal(ring_turn(ring, now - 1, note, NULL, &now), 0); // past: does not wait
	ring_poll(ring, &poll_op, event);
	for (uint32_t i = 1; i <= 3; i++) { // another thread wakes us, and again: multishot
		assert_int_equal(pthread_create(&thread, NULL, write_later, &event), 0);
		while (times_seen(&poll_op) < i)
			ring_turn(ring, UINT64_MAX, note, NULL, &now);
		assert_true(poll_op.armed);
		assert_int_equal(eventfd_read(event, &value), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
	assert_int_equal(eventfd_write(event, 1), 0);
	assert_int_equal(turn(0), 1); // not waiting is not the same as not looking
	close(event);
}

int main(void)
{
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		RING_TEST(cancelling),
		RING_TEST(cancelling_a_connect),
		RING_TEST(full_submission_queue_submits_at_once),
		RING_TEST(overflowing_completions_are_kept),
		RING_TEST(handlers_may_ask_again),
		RING_TEST(waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
