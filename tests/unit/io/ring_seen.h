// SPDX-License-Identifier: GPL-3.0-or-later
// For the tests of the ring: one ring a test, what it completed, and pairs of sockets.
#pragma once

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/ring.c" // the file itself: one test asks the ring for what its header cannot ask
#include "io/ring_usual.h"
#include "io/sock.h"

#define EVENTS_MAX 4096
#define TURNS_MAX  10000
#define WAIT_NS	   (5 * NS_PER_S)

struct seen {
	const struct io_op *op;
	int32_t res;
	uint32_t flags;
	bool armed;
};

static struct ring *ring;
static struct seen seen[EVENTS_MAX];
static uint32_t seen_count;
static uint8_t received[4u << 20];
static size_t received_bytes;
static size_t longest; // of one receive

static inline void note(void *context, const struct ring_completion *c)
{
	(void)context;
	assert_true(seen_count < EVENTS_MAX);
	seen[seen_count++] = (struct seen){c->op, c->res, c->flags, c->op->armed};
	assert_int_equal(c->op->armed, (c->flags & RING_MORE) != 0);
	if (c->op->kind == IO_RECV && c->res > 0) {
		assert_true(c->flags & RING_BUFFER);
		assert_int_equal(c->data.len, c->res);
		memcpy(received + received_bytes, c->data.ptr, c->data.len);
		received_bytes += c->data.len;
		longest = c->data.len > longest ? c->data.len : longest;
		memset((uint8_t *)(uintptr_t)c->data.ptr, 0xee, c->data.len); // it is ours to write
	}
}

static inline uint32_t turn(uint64_t wait_ns)
{
	uint64_t now;

	return ring_turn(ring, wait_ns ? clock_monotonic_ns() + wait_ns : 0, note, NULL, &now);
}

// Turns until op has completed (for the last time, for multishots); returns its result.
static inline int32_t finish(const struct io_op *op)
{
	uint64_t limit = clock_monotonic_ns() + WAIT_NS;

	while (op->armed) {
		turn(WAIT_NS);
		assert_true(clock_monotonic_ns() < limit);
	}
	for (uint32_t i = seen_count; i-- > 0;) {
		if (seen[i].op == op)
			return seen[i].res;
	}
	fail_msg("no completion");
	return 0;
}

static inline uint32_t times_seen(const struct io_op *op)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < seen_count; i++)
		n += seen[i].op == op;
	return n;
}

static inline int setup_with(const struct ring_config *config)
{
	struct reason why = {0};

	seen_count = 0;
	received_bytes = longest = 0;
	if (ring_new(config, &ring, &why) != ERR_OK)
		fail_msg("%s", why.text);
	return 0;
}

static inline int setup(void **state)
{
	(void)state;
	return setup_with(&usual);
}

static inline int teardown(void **state)
{
	(void)state;
	ring_free(ring);
	ring = NULL;
	return 0;
}

static inline int listen_at(struct sockaddr_storage *at, int backlog)
{
	struct sock_listen_options o = {.backlog = backlog};
	struct addr_port any = {.addr = addr_from_v4(0x7f000001)};
	socklen_t len = sizeof(*at);
	int fd;

	assert_int_equal(sock_listen(any, &o, &fd), ERR_OK);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static inline int socket_for(const struct sockaddr_storage *at)
{
	struct sock_dial_options o = {0};
	struct addr_port to;
	int fd;

	assert_int_equal(sock_address_from(at, &to), ERR_OK);
	assert_int_equal(sock_dial(to, &o, &fd), ERR_OK);
	return fd;
}

// Two ends of a TCP connection, made by the ring itself.
static inline void connect_pair(int fds[2])
{
	struct io_op accepting = {0}, connecting = {0}, cancelling = {0};
	struct sockaddr_storage at, storage;
	int listener = listen_at(&at, 16);

	fds[0] = socket_for(&at);
	storage = at;
	ring_accept(ring, &accepting, listener, true);
	ring_connect(ring, &connecting, fds[0], &storage);
	memset(&storage, 0xff, sizeof(storage)); // copied at once
	assert_int_equal(finish(&connecting), 0);
	while (times_seen(&accepting) == 0)
		turn(WAIT_NS);
	for (uint32_t i = 0; i < seen_count; i++) {
		if (seen[i].op == &accepting)
			fds[1] = seen[i].res;
	}
	assert_true(fds[1] >= 0);
	assert_true(accepting.armed); // multishot
	ring_cancel(ring, &cancelling, &accepting);
	assert_int_equal(finish(&cancelling), 0);
	assert_int_equal(finish(&accepting), -ECANCELED);
	close(listener);
	seen_count = 0;
}
