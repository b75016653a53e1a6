// SPDX-License-Identifier: GPL-3.0-or-later
// io/ring on the running kernel: every verb, both buffer groups, full queues, cancellation, waiting, and
// what is said where io_uring is forbidden.
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

static void note(void *context, const struct ring_completion *c)
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

static uint32_t turn(uint64_t wait_ns)
{
	uint64_t now;

	return ring_turn(ring, wait_ns ? clock_monotonic_ns() + wait_ns : 0, note, NULL, &now);
}

// Turns until op has completed (for the last time, for multishots); returns its result.
static int32_t finish(const struct io_op *op)
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

static uint32_t times_seen(const struct io_op *op)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < seen_count; i++)
		n += seen[i].op == op;
	return n;
}

static struct ring_config usual = {
	.entries = 64,
	.completion_entries = 256,
	.stream_buffers = 8,
	.stream_buffer_bytes = 4096,
	.tunnel_buffers = 4,
	.tunnel_buffer_bytes = 16384,
	.bulk_buffers = 4,
	.bulk_buffer_bytes = 65536,
	.restrict_operations = true,
};

static int setup_with(const struct ring_config *config)
{
	struct reason why = {0};

	seen_count = 0;
	received_bytes = longest = 0;
	if (ring_new(config, &ring, &why) != ERR_OK)
		fail_msg("%s", why.text);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(&usual);
}

static int teardown(void **state)
{
	(void)state;
	ring_free(ring);
	ring = NULL;
	return 0;
}

static int listen_at(struct sockaddr_storage *at, int backlog)
{
	struct sock_listen_options o = {.backlog = backlog};
	struct addr_port any = {.addr = addr_from_v4(0x7f000001)};
	socklen_t len = sizeof(*at);
	int fd;

	assert_int_equal(sock_listen(any, &o, &fd), ERR_OK);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static int socket_for(const struct sockaddr_storage *at)
{
	struct sock_dial_options o = {0};
	struct addr_port to;
	int fd;

	assert_int_equal(sock_address_from(at, &to), ERR_OK);
	assert_int_equal(sock_dial(to, &o, &fd), ERR_OK);
	return fd;
}

// Two ends of a TCP connection, made by the ring itself.
static void connect_pair(int fds[2])
{
	struct io_op accepting = {0}, connecting = {0}, cancelling = {0};
	struct sockaddr_storage at, storage;
	int listener = listen_at(&at, 16);

	fds[0] = socket_for(&at);
	storage = at;
	ring_accept(ring, &accepting, listener);
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

static void fill(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 251);
}

static void read_until(size_t bytes)
{
	uint64_t limit = clock_monotonic_ns() + WAIT_NS;

	while (received_bytes < bytes) {
		turn(WAIT_NS);
		assert_true(clock_monotonic_ns() < limit);
	}
}

// ---- bytes -------------------------------------------------------------------------------------

static void multishot_receive_to_the_end(void **state)
{
	static uint8_t sent[300000];
	struct io_op sending = {0}, receiving = {0}, closing = {0};
	int fds[2];

	(void)state;
	connect_pair(fds);
	fill(sent, sizeof(sent));
	ring_recv(ring, &receiving, fds[1], RING_GROUP_STREAM, true, 0);
	ring_send(ring, &sending, fds[0], slice_make(sent, sizeof(sent)), false);
	while (received_bytes < sizeof(sent)) {
		turn(WAIT_NS);
		// Eight buffers of 4 KiB were not enough for one turn: asked again, nothing is lost.
		if (!receiving.armed)
			ring_recv(ring, &receiving, fds[1], RING_GROUP_STREAM, true, 0);
	}
	assert_int_equal(finish(&sending), sizeof(sent));
	assert_memory_equal(received, sent, sizeof(sent));
	assert_true(longest <= 4096);
	ring_close(ring, &closing, fds[0]);
	assert_int_equal(finish(&closing), 0);
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	assert_int_equal(finish(&receiving), 0); // the end of the stream, and of the multishot
	assert_false(seen[seen_count - 1].flags & RING_MORE);
	close(fds[1]);
}

static void single_receive_takes_one(void **state)
{
	struct io_op sending = {0}, receiving = {0};
	int fds[2];

	(void)state;
	connect_pair(fds);
	ring_send(ring, &sending, fds[0], SLICE_LIT("hello"), false);
	assert_int_equal(finish(&sending), 5);
	ring_recv(ring, &receiving, fds[1], RING_GROUP_STREAM, false, 0);
	assert_int_equal(finish(&receiving), 5);
	assert_int_equal(times_seen(&receiving), 1);
	assert_false(receiving.armed);
	close(fds[0]);
	close(fds[1]);
}

// One completion for all of it, however small the socket's buffer and slow its reader.
static void send_waits_for_all(void **state)
{
	static uint8_t sent[2u << 20];
	struct io_op sending = {0}, receiving = {0};
	int fds[2];

	(void)state;
	connect_pair(fds);
	fill(sent, sizeof(sent));
	ring_send(ring, &sending, fds[0], slice_make(sent, sizeof(sent)), false);
	turn(0);
	while (received_bytes < sizeof(sent)) {
		if (!receiving.armed)
			ring_recv(ring, &receiving, fds[1], RING_GROUP_TUNNEL, false, 0);
		turn(WAIT_NS);
	}
	assert_int_equal(finish(&sending), sizeof(sent));
	assert_int_equal(times_seen(&sending), 1);
	assert_memory_equal(received, sent, sizeof(sent));
	assert_true(longest > 4096 && longest <= 16384); // the tunnels' buffers
	close(fds[0]);
	close(fds[1]);
}

static void send_gathers(void **state)
{
	static uint8_t sent[100000];
	struct io_op sending = {0}, receiving = {0};
	struct iovec vector[3];
	struct msghdr message = {.msg_iov = vector, .msg_iovlen = 3};
	int fds[2];

	(void)state;
	connect_pair(fds);
	fill(sent, sizeof(sent));
	vector[0] = (struct iovec){sent, 1};
	vector[1] = (struct iovec){sent + 1, 70000};
	vector[2] = (struct iovec){sent + 70001, sizeof(sent) - 70001};
	ring_send_vector(ring, &sending, fds[0], &message, sizeof(sent), false);
	turn(0);
	memset(vector, 0xff, sizeof(vector)); // taken with the turn
	memset(&message, 0xff, sizeof(message));
	while (received_bytes < sizeof(sent)) {
		if (!receiving.armed)
			ring_recv(ring, &receiving, fds[1], RING_GROUP_STREAM, true, 0);
		turn(WAIT_NS);
	}
	assert_int_equal(finish(&sending), sizeof(sent));
	assert_memory_equal(received, sent, sizeof(sent));
	close(fds[0]);
	close(fds[1]);
}

// Pods' buffers are used up within a turn; a tunnel's receive in the same turn has its own.
static void tunnels_have_buffers_of_their_own(void **state)
{
	static uint8_t bytes[100000];
	struct io_op stream = {0}, tunnel = {0}, send_stream = {0}, send_tunnel = {0};
	int pods[2], nodes[2];

	(void)state;
	connect_pair(pods);
	connect_pair(nodes);
	ring_send(ring, &send_stream, pods[0], slice_make(bytes, sizeof(bytes)), false);
	ring_send(ring, &send_tunnel, nodes[0], SLICE_LIT("control"), false);
	assert_int_equal(finish(&send_stream), sizeof(bytes));
	assert_int_equal(finish(&send_tunnel), 7);
	ring_recv(ring, &stream, pods[1], RING_GROUP_STREAM, true, 0);
	ring_recv(ring, &tunnel, nodes[1], RING_GROUP_TUNNEL, true, 0);
	turn(WAIT_NS);
	assert_int_equal(finish(&stream), -ENOBUFS);
	assert_int_equal(ring_counters(ring)->enobufs, 1);
	assert_int_equal(times_seen(&tunnel), 1);
	assert_true(tunnel.armed);
	ring_recv(ring, &stream, pods[1], RING_GROUP_STREAM, true, 0); // the turn gave them back
	read_until(8 * 4096 * 2 + 7);
	close(pods[0]);
	close(pods[1]);
	close(nodes[0]);
	close(nodes[1]);
}

static void errors_are_completions(void **state)
{
	struct io_op connecting = {0}, sending = {0}, receiving = {0}, closing = {0}, again = {0};
	struct sockaddr_storage at;
	int fds[2];

	(void)state;
	close(listen_at(&at, 1));
	int fd = socket_for(&at);

	ring_connect(ring, &connecting, fd, &at);
	assert_int_equal(finish(&connecting), -ECONNREFUSED);
	connect_pair(fds);
	sock_reset_on_close(fds[0]);
	ring_close(ring, &closing, fds[0]);
	assert_int_equal(finish(&closing), 0);
	ring_recv(ring, &receiving, fds[1], RING_GROUP_STREAM, true, 0);
	assert_int_equal(finish(&receiving), -ECONNRESET);
	ring_send(ring, &sending, fds[1], SLICE_LIT("x"), false); // and no SIGPIPE
	assert_int_equal(finish(&sending), -EPIPE);
	close(fd);
	ring_close(ring, &again, fds[0]);
	assert_int_equal(finish(&again), -EBADF);
	close(fds[1]);
}

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
	ring_send(ring, &sending, fds[0], slice_make(bytes, sizeof(bytes)), false);
	turn(0);
	assert_true(sending.armed);
	ring_cancel(ring, &cancels[3], &sending);
	int32_t result = finish(&sending);

	assert_true(result == -ECANCELED || (result > 0 && (size_t)result < sizeof(bytes)));
	finish(&cancels[3]);
	close(fds[0]);
	close(fds[1]);
}

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

static struct io_op again;
static int again_left;

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

// ---- what is refused ---------------------------------------------------------------------------

static void restrictions_hold(void **state)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	struct io_uring_cqe *cqe;
	struct open_how how = {.flags = O_RDONLY};

	(void)state;
	io_uring_prep_openat2(sqe, AT_FDCWD, "/etc/passwd", &how);
	io_uring_sqe_set_data(sqe, NULL);
	assert_int_equal(io_uring_submit_and_wait(&ring->uring, 1), 1);
	assert_int_equal(io_uring_peek_cqe(&ring->uring, &cqe), 0);
	assert_int_equal(cqe->res, -EACCES);
	io_uring_cqe_seen(&ring->uring, cqe);
	int fds[1] = {0};

	assert_int_equal(io_uring_register_files(&ring->uring, fds, 1), -EACCES);
}

// In a child whose seccomp filter answers io_uring_setup with error: what does ring_new say?
static void said_when_setup_fails(int error, const char *sentence)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = filter};
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct reason why = {0};
		struct ring *r = NULL;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
			_exit(2);
		enum err err = ring_new(&usual, &r, &why);

		_exit(err == ERR_UNSUPPORTED && strstr(why.text, sentence) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void where_io_uring_is_forbidden(void **state)
{
	(void)state;
	said_when_setup_fails(EPERM, "io_uring is forbidden here");
	said_when_setup_fails(ENOSYS, "Linux 6.1 or later is needed");
}

static void rings_leave_nothing_behind(void **state)
{
	(void)state;
	int before = dup(0);

	close(before);
	for (int i = 0; i < 40; i++) { // more than a thread can register descriptors of
		struct io_op op = {0};

		teardown(NULL);
		setup_with(&usual);
		ring_poll(ring, &op, 0);
		turn(0);
	}
	teardown(NULL);
	int after = dup(0);

	close(after);
	assert_true(after <= before); // the ring that setup had opened is closed as well
	setup_with(&usual);
}

static void wrong_buffer_counts_are_refused(void **state)
{
	struct ring_config config = usual;
	struct reason why = {0};
	struct ring *r = NULL;

	(void)state;
	config.stream_buffers = 7; // not a power of two
	assert_int_not_equal(ring_new(&config, &r, &why), ERR_OK);
	assert_null(r);
	assert_true(why.text[0] != 0);
}

int main(void)
{
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		RING_TEST(multishot_receive_to_the_end),
		RING_TEST(single_receive_takes_one),
		RING_TEST(send_waits_for_all),
		RING_TEST(send_gathers),
		RING_TEST(tunnels_have_buffers_of_their_own),
		RING_TEST(errors_are_completions),
		RING_TEST(cancelling),
		RING_TEST(cancelling_a_connect),
		RING_TEST(full_submission_queue_submits_at_once),
		RING_TEST(overflowing_completions_are_kept),
		RING_TEST(handlers_may_ask_again),
		RING_TEST(waiting),
		RING_TEST(restrictions_hold),
		RING_TEST(rings_leave_nothing_behind),
		cmocka_unit_test(where_io_uring_is_forbidden),
		cmocka_unit_test(wrong_buffer_counts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
