// SPDX-License-Identifier: GPL-3.0-or-later
// io/ring on the running kernel: every verb, both buffer groups, full queues, cancellation, waiting, and
// what is said where io_uring is forbidden.
#include "io/ring_seen.h"

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
	ring_send(ring, &sending, fds[0], slice_make(sent, sizeof(sent)), RING_SEND_WAIT);
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
	ring_send(ring, &sending, fds[0], SLICE_LIT("hello"), RING_SEND_WAIT);
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
	ring_send(ring, &sending, fds[0], slice_make(sent, sizeof(sent)), RING_SEND_WAIT);
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
	ring_send_vector(ring, &sending, fds[0], &message, sizeof(sent), RING_SEND_WAIT);
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
	ring_send(ring, &send_stream, pods[0], slice_make(bytes, sizeof(bytes)), RING_SEND_WAIT);
	ring_send(ring, &send_tunnel, nodes[0], SLICE_LIT("control"), RING_SEND_WAIT);
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
	ring_send(ring, &sending, fds[1], SLICE_LIT("x"), RING_SEND_WAIT); // and no SIGPIPE
	assert_int_equal(finish(&sending), -EPIPE);
	close(fd);
	ring_close(ring, &again, fds[0]);
	assert_int_equal(finish(&again), -EBADF);
	close(fds[1]);
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
		RING_TEST(restrictions_hold),
		RING_TEST(rings_leave_nothing_behind),
		cmocka_unit_test(where_io_uring_is_forbidden),
		cmocka_unit_test(wrong_buffer_counts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
