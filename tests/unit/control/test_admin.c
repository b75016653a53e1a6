// SPDX-License-Identifier: GPL-3.0-or-later
// control/admin: real clients on loopback, good, silent, slow, garbled and many. Whoever asks is answered
// within a turn, whatever the others do, and none of them costs more than its place. Pages are asked of a
// thread that stands where a worker would.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <yyjson.h>
#include "common/clock.h"
#include "control/admin.h"
#include "control/publish.h"
#include "path/worker.h"
#include "support/snapshot_build.h"

struct test {
	struct admin admin;
	struct inbox inbox;
	struct inbox *inboxes[1];
	struct loader_status status;
	struct sockaddr_in at;
	int listen_fd;
	uint64_t now_ns; // the test's own clock: deadlines pass when it says so
	char run_dir[64];
};

static void status_of(void *context, struct loader_status *out)
{
	*out = ((struct test *)context)->status;
}

static int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));
	socklen_t len = sizeof(t->at);

	t->now_ns = NS_PER_S;
	strcpy(t->run_dir, "/tmp/portcullis-admin-XXXXXX");
	t->at = (struct sockaddr_in){.sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	t->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (!mkdtemp(t->run_dir) || inbox_init(&t->inbox) != ERR_OK ||
	    bind(t->listen_fd, (struct sockaddr *)&t->at, sizeof(t->at)) != 0 ||
	    listen(t->listen_fd, 512) != 0 ||
	    getsockname(t->listen_fd, (struct sockaddr *)&t->at, &len) != 0)
		return -1;
	t->inboxes[0] = &t->inbox;
	admin_init(&t->admin, &(struct admin_options){.listen_fd = t->listen_fd,
						      .run_dir = t->run_dir,
						      .status = status_of,
						      .context = t,
						      .workers = t->inboxes,
						      .worker_count = 1});
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;
	char path[128];

	admin_deinit(&t->admin);
	inbox_deinit(&t->inbox);
	close(t->listen_fd);
	snprintf(path, sizeof(path), "%s/rules.json", t->run_dir);
	unlink(path);
	rmdir(t->run_dir);
	free(t);
	return 0;
}

static int client(struct test *t, const char *request)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&t->at, sizeof(t->at)), 0);
	if (*request)
		assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return fd;
}

// One turn, as node.c makes it. How long it took is what a client can do to the control thread.
static void turn(struct test *t)
{
	struct pollfd fds[ADMIN_FDS_MAX];
	uint32_t count = admin_poll(&t->admin, true, fds);
	uint64_t started_ns = clock_monotonic_ns();

	assert_true(count <= ADMIN_FDS_MAX);
	assert_true(poll(fds, count, 20) >= 0);
	started_ns = clock_monotonic_ns();
	admin_turn(&t->admin, fds, count, t->now_ns);
	assert_true(clock_monotonic_ns() - started_ns < NS_PER_S);
}

static uint32_t places(const struct test *t)
{
	uint32_t n = 0;

	for (int i = 0; i < ADMIN_CLIENTS_MAX; i++)
		n += t->admin.clients[i].fd >= 0;
	return n;
}

// What the client gets until its connection ends, while turns are made; NULL: still open after so many.
static char *answer(struct test *t, int fd, int turns)
{
	static char text[8u << 20];
	size_t len = 0;

	for (int i = 0; i < turns; i++) {
		ssize_t n;

		turn(t);
		while ((n = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT)) > 0)
			len += (size_t)n;
		if (n == 0 || errno != EAGAIN) {
			text[len] = 0;
			close(fd);
			return text;
		}
	}
	return NULL;
}

static void check_answer(struct test *t, const char *request, int status, const char *body)
{
	char *got = answer(t, client(t, request), 10);
	char *blank = got ? strstr(got, "\r\n\r\n") : NULL;
	char *length = got ? strstr(got, "Content-Length: ") : NULL;

	if (!blank || !length || strncmp(got, "HTTP/1.1 ", 9) != 0)
		fail_msg("'%.20s': %s", request, got ? got : "no answer");
	assert_int_equal(atoi(got + 9), status);
	assert_int_equal(atoi(length + 16), strlen(blank + 4));
	assert_non_null(strstr(got, "Connection: close\r\n"));
	if (body)
		assert_string_equal(blank + 4, body);
	assert_int_equal(places(t), 0);
}

static void pages(void **state)
{
	struct test *t = *state;

	check_answer(t, "GET /healthz HTTP/1.1\r\n\r\n", 200, "ok\n");
	check_answer(t, "GET /healthz?verbose=1 HTTP/1.0\r\nHost: x\r\n\r\n", 200, "ok\n");
	check_answer(t, "GET /healthz\r\n\r\n", 200, "ok\n");
	check_answer(t, "GET /health HTTP/1.1\r\n\r\n", 404, "Not Found\n");
	check_answer(t, "GET /healthz/ HTTP/1.1\r\n\r\n", 404, "Not Found\n");
	check_answer(t, "GET / HTTP/1.1\r\n\r\n", 404, "Not Found\n");
	check_answer(t, "GET /debug/../healthz HTTP/1.1\r\n\r\n", 404, "Not Found\n");
	check_answer(t, "POST /healthz HTTP/1.1\r\n\r\n", 405, "Method Not Allowed\n");
	check_answer(t, "DELETE /debug/snapshot HTTP/1.1\r\n\r\n", 405, NULL);
	check_answer(t, "get /healthz HTTP/1.1\r\n\r\n", 405, NULL);
}

static void what_is_no_request(void **state)
{
	struct test *t = *state;
	char long_one[ADMIN_REQUEST_BYTES_MAX + 100];

	check_answer(t, "\r\n\r\n", 400, "Bad Request\n");
	check_answer(t, "GET\r\n\r\n", 400, NULL);
	check_answer(t, " /healthz\r\n\r\n", 405, NULL);
	check_answer(t, "GET healthz HTTP/1.1\r\n\r\n", 400, NULL);
	check_answer(t, "GET http://x/healthz HTTP/1.1\r\n\r\n", 400, NULL);
	check_answer(t, "\x16\x03\x01\x02\x01\x01\xfc\x03\x03\r\n\r\n", 400, NULL);
	memset(long_one, 'a', sizeof(long_one));
	memcpy(long_one, "GET /", 5);
	long_one[sizeof(long_one) - 1] = 0;
	check_answer(t, long_one, 431, NULL); // longer than a request may be
}

static void ready_says_what_is_missing(void **state)
{
	static const char request[] = "GET /readyz HTTP/1.1\r\n\r\n";
	struct test *t = *state;
	char path[128], text[128];
	int fd;

	check_answer(t, request, 503, "not ready: no snapshot is live yet\n");
	t->status.adopted = (struct generation){1, 1};
	check_answer(t, request, 503, "not ready: no certificate yet\n");
	t->status.certs.not_after_unix_s = 1;
	check_answer(t, request, 503, "not ready: portcullis-rules has not reported yet\n");
	snprintf(path, sizeof(path), "%s/rules.json", t->run_dir);
	snprintf(text, sizeof(text), "{\"verified\":true,\"at_unix_ms\":%llu,\"error\":\"\"}",
		 (unsigned long long)clock_unix_ms());
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(write(fd, text, strlen(text)) > 0);
	close(fd);
	check_answer(t, request, 200, "ready\n");
	// On its way is no fault, for a while; refused is one at once.
	t->status.wanted = (struct generation){1, 2};
	t->status.behind_since_unix_ms = clock_unix_ms();
	check_answer(t, request, 200, "ready\n");
	t->status.wanted_refused = true;
	snprintf(t->status.refusal.text, sizeof(t->status.refusal.text), "section x: bad");
	check_answer(t, request, 503,
		     "not ready: configuration 1.2 is wanted, 1.1 is held since 0 s: "
		     "section x: bad\n");
	t->status.wanted_refused = false;
	t->status.behind_since_unix_ms -= LOADER_BEHIND_MAX_MS;
	check_answer(t, request, 503,
		     "not ready: configuration 1.2 is wanted, 1.1 is held since 30 s: "
		     "it has not come in\n");
	t->status.behind_since_unix_ms = 0;
	check_answer(t, request, 200, "ready\n");
	t->status.adopted = (struct generation){0, 0};
	check_answer(t, request, 503, "not ready: no snapshot is live yet\n");
}

// Silent, slow and gone: each costs its place, and no longer than its time.
static void slow_clients_cost_a_place_and_a_time(void **state)
{
	struct test *t = *state;
	int silent = client(t, ""), slow = client(t, "GET /heal"), gone = client(t, "GET");
	int turns = 0;

	close(gone);
	for (int i = 0; i < 5; i++)
		turn(t);
	assert_int_equal(places(t), 2);
	assert_int_equal(admin_timeout_ms(&t->admin, t->now_ns, 60000), ADMIN_ASK_MS + 1);
	// A byte now and then buys no more time.
	while (places(t) > 0 && turns++ < 100) {
		t->now_ns += ADMIN_ASK_MS * NS_PER_MS / 20;
		(void)!send(slow, "x", 1, MSG_NOSIGNAL);
		turn(t);
	}
	assert_in_range(turns, 19, 21);
	assert_int_equal(admin_timeout_ms(&t->admin, t->now_ns, 60000), 60000);
	close(silent);
	close(slow);
}

// In pieces, but in time.
static void a_request_may_come_in_pieces(void **state)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n";
	struct test *t = *state;
	int fd = client(t, "");
	char *got;

	for (size_t i = 0; i < sizeof(request) - 2; i++) {
		assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
		turn(t);
	}
	assert_int_equal(places(t), 1);
	assert_int_equal(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
	got = answer(t, fd, 10);
	assert_non_null(got);
	assert_non_null(strstr(got, "ok\n"));
}

// More silent clients than places: who asks is answered all the same, the oldest silent one goes.
static void a_crowd_keeps_nobody_out(void **state)
{
	struct test *t = *state;
	int crowd[200], closed = 0;

	for (int i = 0; i < 200; i++)
		crowd[i] = client(t, "");
	for (int i = 0; i < 10; i++)
		turn(t);
	assert_int_equal(places(t), ADMIN_CLIENTS_MAX);
	for (int i = 0; i < 20; i++) {
		char *got = answer(t, client(t, "GET /healthz HTTP/1.1\r\n\r\n"), 10);

		assert_non_null(got);
		assert_non_null(strstr(got, "200 OK"));
	}
	// Who gave way was closed, not forgotten.
	for (int i = 0; i < 200; i++) {
		char byte;

		closed += recv(crowd[i], &byte, 1, MSG_DONTWAIT) == 0;
		close(crowd[i]);
	}
	assert_int_equal(closed,
			 200 - ADMIN_CLIENTS_MAX + 1); // one of the last gave way to who asked
}

// ---- pages that a worker answers ---------------------------------------------------------------

struct real_worker {
	struct test *test;
	struct publisher *publisher;
	pthread_t thread;
};

// A worker as in the process, without listeners; its ring is made on its thread.
static void *real_worker_run(void *argument)
{
	static const struct ring_config ring_config = {.entries = 64,
						       .completion_entries = 256,
						       .stream_buffers = 8,
						       .stream_buffer_bytes = 4096,
						       .tunnel_buffers = 8,
						       .tunnel_buffer_bytes = 4096,
						       .bulk_buffers = 8,
						       .bulk_buffer_bytes = 4096};
	struct real_worker *r = argument;
	struct worker_config config = {.count = 1,
				       .node = SLICE_LIT("n1"),
				       .exchanges_max = 16,
				       .descriptors_max = 64,
				       .requests_under_way = 1,
				       .siblings = r->test->inboxes,
				       .log_event_fd = -1};
	struct ring *ring = NULL;
	struct worker *w = NULL;
	struct reason why;

	if (ring_new(&ring_config, &ring, &why) != ERR_OK ||
	    worker_new(&config, ring, &r->test->inbox, &w, &why) != ERR_OK) {
		print_error("%s\n", why.text);
		abort();
	}
	worker_run(w);
	ring_free(ring);
	worker_free(w);
	return NULL;
}

static void real_worker_start(struct real_worker *r, struct test *t)
{
	r->test = t;
	assert_int_equal(publisher_new(t->inboxes, 1, &r->publisher), ERR_OK);
	assert_int_equal(pthread_create(&r->thread, NULL, real_worker_run, r), 0);
}

static void real_worker_stop(struct real_worker *r)
{
	assert_int_equal(inbox_send_order(&r->test->inbox, INBOX_STOP, 0), ERR_OK);
	pthread_join(r->thread, NULL);
	publisher_collect(r->publisher);
	publisher_free(r->publisher);
}

// A node with so many pods of its own, that JSON of all of them is megabytes.
static struct snapshot *large_snapshot(uint32_t pods)
{
	struct ss_workload *list = calloc(pods, sizeof(*list));
	char(*uids)[64] = calloc(pods, sizeof(*uids));
	struct ss_meta meta = {.trust_domain = SLICE_LIT("td")};
	struct snapshot *s = NULL;
	struct build b = {0};

	for (uint32_t i = 0; i < pods; i++) {
		snprintf(uids[i], sizeof(uids[i]), "uid-%06u-of-some-length-as-they-have", i);
		list[i] = (struct ss_workload){.uid = slice_str(uids[i]),
					       .namespace = SLICE_LIT("shop\"quoted"),
					       .name = slice_str(uids[i]),
					       .node = SLICE_LIT("n1"),
					       .enrolled = true};
	}
	assert_int_equal(build_meta(&b, 0, &meta, 1), ERR_OK);
	assert_int_equal(build_workload(&b, 0, list, pods), ERR_OK);
	assert_int_equal(build_link(&b, "n1", &s), ERR_OK);
	build_free(&b);
	free(list);
	free(uids);
	return s;
}

static yyjson_doc *json_of(char *got)
{
	char *blank = got ? strstr(got, "\r\n\r\n") : NULL;

	assert_non_null(blank);
	assert_non_null(strstr(got, "Content-Type: application/json\r\n"));
	return yyjson_read(blank + 4, strlen(blank + 4), 0);
}

static void workers_are_asked(void **state)
{
	struct test *t = *state;
	struct real_worker r;
	yyjson_doc *doc;
	char *got;

	real_worker_start(&r, t);
	check_answer(t, "GET /debug/snapshot HTTP/1.1\r\n\r\n", 200, "{\"snapshot\":null}\n");
	check_answer(t, "GET /debug/connections HTTP/1.1\r\n\r\n", 200, "");
	got = answer(t, client(t, "GET /metrics HTTP/1.1\r\n\r\n"), 10);
	assert_non_null(strstr(got, "text/plain; version=0.0.4"));
	assert_non_null(strstr(got, "\nportcullis_exchanges_total 0\n"));
	assert_int_equal(publish_snapshot(r.publisher, large_snapshot(3)), ERR_OK);
	doc = json_of(answer(t, client(t, "GET /debug/snapshot HTTP/1.1\r\n\r\n"), 10));
	assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "local")), 3);
	yyjson_doc_free(doc);
	real_worker_stop(&r);
}

// Megabytes to somebody who does not take them: others are answered meanwhile, and then it is over.
static void a_slow_taker_holds_nobody_up(void **state)
{
	struct test *t = *state;
	struct real_worker r;
	yyjson_doc *doc;
	int slow;

	real_worker_start(&r, t);
	assert_int_equal(publish_snapshot(r.publisher, large_snapshot(20000)), ERR_OK);
	doc = json_of(answer(t, client(t, "GET /debug/snapshot HTTP/1.1\r\n\r\n"), 10000));
	assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "local")), 20000);
	yyjson_doc_free(doc);
	// The kernel would hold all of it on loopback.
	assert_int_equal(
		setsockopt(t->listen_fd, SOL_SOCKET, SO_SNDBUF, &(int){65536}, sizeof(int)), 0);
	assert_int_equal(
		setsockopt(t->listen_fd, SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int)), 0);
	slow = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int)), 0);
	assert_int_equal(connect(slow, (struct sockaddr *)&t->at, sizeof(t->at)), 0);
	assert_int_equal(send(slow, "GET /debug/snapshot HTTP/1.1\r\n\r\n", 32, 0), 32);
	for (int i = 0; i < 5; i++)
		turn(t);
	assert_int_equal(places(t), 1);
	assert_true(t->admin.clients[0].answer.len > 3u << 20);
	for (int i = 0; i < 5; i++) {
		char *got = answer(t, client(t, "GET /healthz HTTP/1.1\r\n\r\n"), 10);

		assert_non_null(got);
		assert_non_null(strstr(got, "200 OK"));
	}
	t->now_ns += ADMIN_TAKE_MS * NS_PER_MS;
	turn(t);
	assert_int_equal(places(t), 0);
	close(slow);
	real_worker_stop(&r);
}

// More than an answer may be: said, not cut.
static void an_answer_has_a_bound(void **state)
{
	struct test *t = *state;
	struct real_worker r;

	real_worker_start(&r, t);
	assert_int_equal(publish_snapshot(r.publisher, large_snapshot(40000)), ERR_OK);
	check_answer(t, "GET /debug/snapshot HTTP/1.1\r\n\r\n", 503,
		     "a worker does not answer, or its answer is too long\n");
	real_worker_stop(&r);
}

// A worker that is stuck: no half sum, and the control thread waits a second at most.
static void a_stuck_worker_is_said(void **state)
{
	struct test *t = *state;
	struct pollfd fds[ADMIN_FDS_MAX];
	uint64_t started_ns = clock_monotonic_ns();
	int fd = client(t, "GET /metrics HTTP/1.1\r\n\r\n");
	char text[256] = "";

	assert_true(poll(fds, admin_poll(&t->admin, true, fds), 1000) > 0);
	admin_turn(&t->admin, fds, 1, t->now_ns);
	assert_in_range(clock_monotonic_ns() - started_ns, NS_PER_S / 2, 3 * NS_PER_S);
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "503"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pages, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_request, setup, teardown),
		cmocka_unit_test_setup_teardown(ready_says_what_is_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_clients_cost_a_place_and_a_time, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_request_may_come_in_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(a_crowd_keeps_nobody_out, setup, teardown),
		cmocka_unit_test_setup_teardown(workers_are_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_taker_holds_nobody_up, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_has_a_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stuck_worker_is_said, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
