// SPDX-License-Identifier: GPL-3.0-or-later
// io/ring on the running kernel: sends towards a far end that has finished and reads slowly, where the kernel's own
// waiting for room gives up; and which results pass.
#include <errno.h>
#include "io/ring_seen.h"

static uint8_t block[1 << 20];

static void connect_half_closed(int fds[2])
{
	connect_pair(fds);
	assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
}

static void drain(int fd)
{
	static uint8_t bytes[1 << 16];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

// Takes what the socket takes at once; returns what the last send said.
static int32_t send_until_full(struct io_op *op, int fd)
{
	int32_t res;

	do {
		ring_send(ring, op, fd, slice_make(block, sizeof(block)), RING_SEND_NOW);
		res = finish(op);
	} while (res == (int32_t)sizeof(block));
	return res;
}

static void a_send_now_takes_what_there_is(void **state)
{
	struct io_op sending = {0};
	int fds[2];

	(void)state;
	connect_half_closed(fds);
	assert_true(send_until_full(&sending, fds[0]) > 0);
	ring_send(ring, &sending, fds[0], slice_make(block, sizeof(block)), RING_SEND_NOW);
	assert_int_equal(finish(&sending), -EAGAIN);
	close(fds[0]);
	close(fds[1]);
}

// As conn does it: each send takes what there is, the next one waits to be told. The reader reads only when
// nothing has been told for a while.
static void room_is_told_when_there_is_some(void **state)
{
	struct io_op sending = {0}, room = {0}, cancel = {0};
	uint64_t limit = clock_monotonic_ns() + 4 * WAIT_NS;
	uint32_t sends = 0, drains = 0;
	int fds[2];

	(void)state;
	connect_half_closed(fds);
	for (size_t sent = 0; sent < 8 * sizeof(received); sends++) {
		ring_send(ring, &sending, fds[0], slice_make(block, sizeof(block)), RING_SEND_NOW);
		int32_t res = finish(&sending);

		sent += res > 0 ? (size_t)res : 0;
		if (res == (int32_t)sizeof(block))
			continue;
		assert_true(res > 0 || res == -EAGAIN);
		if (!room.armed)
			ring_room(ring, &room, fds[0]);
		uint32_t told = times_seen(&room);

		while (times_seen(&room) == told) {
			assert_true(clock_monotonic_ns() < limit);
			if (turn(20 * NS_PER_MS) == 0) {
				drain(fds[1]);
				drains++;
			}
		}
		seen_count = 0;
	}
	assert_true(drains > 0);
	assert_true(sends < 1000); // and that the far end has finished is not told for room
	ring_cancel(ring, &cancel, &room);
	while (room.armed || cancel.armed)
		turn(WAIT_NS);
	close(fds[0]);
	close(fds[1]);
}

static void room_is_told_at_the_end(void **state)
{
	struct io_op sending = {0}, room = {0}, cancel = {0};
	struct linger reset = {.l_onoff = 1};
	uint32_t before;
	int fds[2];

	(void)state;
	connect_half_closed(fds);
	send_until_full(&sending, fds[0]);
	ring_room(ring, &room, fds[0]);
	before = seen_count;
	setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fds[1]);
	while (seen_count == before)
		turn(WAIT_NS);
	assert_ptr_equal(seen[before].op, &room);
	ring_cancel(ring, &cancel, &room);
	while (room.armed || cancel.armed)
		turn(WAIT_NS);
	close(fds[0]);
}

static void what_passes_is_one_table(void **state)
{
	(void)state;
	for (int kind = IO_ACCEPT; kind <= IO_ROOM; kind++) {
		assert_int_equal(ring_outcome((enum io_kind)kind, 0), RING_DONE);
		assert_int_equal(ring_outcome((enum io_kind)kind, -EAGAIN), RING_AGAIN);
		assert_int_equal(ring_outcome((enum io_kind)kind, -ECANCELED), RING_AGAIN);
		assert_int_equal(ring_outcome((enum io_kind)kind, -ENOMEM), RING_NO_MEMORY);
		assert_int_equal(ring_outcome((enum io_kind)kind, -EINTR),
				 kind == IO_CLOSE ? RING_DONE : RING_AGAIN);
		assert_int_equal(ring_outcome((enum io_kind)kind, -EBADF), RING_FAILED);
		assert_int_equal(ring_outcome((enum io_kind)kind, -ECONNRESET), RING_FAILED);
	}
	assert_int_equal(ring_outcome(IO_RECV, -ENOBUFS), RING_NO_BUFFER);
	assert_int_equal(ring_outcome(IO_SEND, -ENOBUFS), RING_NO_MEMORY);
	assert_int_equal(ring_outcome(IO_SEND, -EPIPE), RING_FAILED);
	assert_int_equal(ring_outcome(IO_CONNECT, -ECONNREFUSED), RING_FAILED);
	assert_int_equal(ring_outcome(IO_CONNECT, -EINPROGRESS), RING_AGAIN);
	assert_int_equal(ring_outcome(IO_CONNECT, -EISCONN), RING_DONE);
	assert_int_equal(ring_outcome(IO_SEND, -EINPROGRESS), RING_FAILED);
	assert_int_equal(ring_outcome(IO_CANCEL, -ENOENT), RING_DONE);
	assert_int_equal(ring_outcome(IO_ACCEPT, -EMFILE), RING_NO_MEMORY);
	assert_int_equal(ring_outcome(IO_ACCEPT, -ECONNABORTED), RING_AGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_send_now_takes_what_there_is, setup, teardown),
		cmocka_unit_test_setup_teardown(room_is_told_when_there_is_some, setup, teardown),
		cmocka_unit_test_setup_teardown(room_is_told_at_the_end, setup, teardown),
		cmocka_unit_test(what_passes_is_one_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
