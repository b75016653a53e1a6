// SPDX-License-Identifier: GPL-3.0-or-later
// bench-load: the loads that wrk has not.
//
//   paced   a constant rate over N connections. A request's latency counts from the moment at which
//           it was due, not from when it could be sent: a server that stalls cannot hide it.
//   loop    every connection sends as soon as it has its answer, but only when all are open and a line
//           was read: what opening them costs can be kept out. They stay until standard input ends.
//   hold    N connections, one request each; then they stay, idle, until standard input ends.
//
// One JSON line an answer. What fails (connect, reset, a status other than 2xx, no answer in time) is
// counted, never dropped. Trusts the server as far as HTTP goes: it is a bench's own.
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 20000
#define SAMPLES_MAX	(1u << 24)
#define HEAD_MAX	4096
#define REQUEST_MAX	8192
#define EVENTS_MAX	256
#define OPENING_MAX	128 // connects under way at a time, when many are wanted
#define ANSWER_GRACE_NS 10000000000ull
#define OPEN_GRACE_NS	60000000000ull

enum state { STATE_CLOSED = 0, STATE_CONNECTING, STATE_IDLE, STATE_WAITING };

struct connection {
	int fd;
	enum state state;
	bool wanted;	      // a request is due as soon as it is connected
	uint64_t sequence;    // of the request that it sends next, or waits for
	uint64_t intended_ns; // when that one was due
	uint64_t body_left;
	bool in_body;
	bool refused; // the answer's status is none of 2xx
	uint32_t head_bytes;
	char head[HEAD_MAX];
};

static struct {
	uint32_t connections;
	double rate;
	double seconds;
	double warmup;
	struct sockaddr_in to;
	char request[REQUEST_MAX];
	size_t request_bytes;
} options = {.connections = 16, .rate = 1000, .seconds = 2, .warmup = 0.5};

static struct connection *all;
static int poller;
static uint64_t start_ns, measure_from_ns;
static uint64_t answered, errors, opened;
static uint64_t total; // paced: requests that have their moment
static uint32_t *samples_us;
static size_t sample_count;
static bool pacing;  // requests have their moments
static bool looping; // an answer is followed by the next request

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t due_ns(uint64_t sequence)
{
	return start_ns + (uint64_t)((double)sequence * 1e9 / options.rate);
}

// ---- one connection ------------------------------------------------------------------------------

static void watch(struct connection *c, int verb, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	if (epoll_ctl(poller, verb, c->fd, &e) < 0)
		die("epoll_ctl");
}

static void open_connection(struct connection *c)
{
	int on = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->state = STATE_CONNECTING;
	c->in_body = false;
	c->head_bytes = 0;
	if (connect(c->fd, (struct sockaddr *)&options.to, sizeof(options.to)) < 0 &&
	    errno != EINPROGRESS)
		die("connect");
	watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void close_connection(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = STATE_CLOSED;
}

static void send_overdue(struct connection *c);

// The connection broke: what it waited for has failed. It is opened anew for the next request.
static void broken(struct connection *c)
{
	bool asked = c->state == STATE_WAITING || c->wanted;

	if (asked || (c->state == STATE_CONNECTING && !pacing))
		errors++;
	if (asked)
		c->sequence += options.connections;
	c->wanted = false;
	close_connection(c);
	if (asked)
		send_overdue(c);
}

static void send_request(struct connection *c)
{
	if (c->state == STATE_CLOSED)
		open_connection(c);
	if (c->state == STATE_CONNECTING) {
		c->wanted = true;
		return;
	}
	c->state = STATE_WAITING;
	if (send(c->fd, options.request, options.request_bytes, MSG_NOSIGNAL) !=
	    (ssize_t)options.request_bytes)
		broken(c);
}

// The request whose moment passed while the connection was not free for it; in a loop, the next one.
static void send_overdue(struct connection *c)
{
	if (looping) {
		c->intended_ns = now_ns();
		send_request(c);
		return;
	}
	if (!pacing || c->sequence >= total || due_ns(c->sequence) > now_ns())
		return;
	c->intended_ns = due_ns(c->sequence);
	send_request(c);
}

static void take_sample(const struct connection *c)
{
	uint64_t us = (now_ns() - c->intended_ns) / 1000;

	if (c->intended_ns >= measure_from_ns && sample_count < SAMPLES_MAX)
		samples_us[sample_count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static void whole_answer(struct connection *c)
{
	c->state = STATE_IDLE;
	c->in_body = false;
	c->head_bytes = 0;
	if (c->refused) {
		errors++;
	} else {
		answered++;
		take_sample(c);
	}
	c->sequence += options.connections;
	send_overdue(c);
}

// Takes bytes of a head until it is whole; returns how many belonged to it.
static size_t take_head(struct connection *c, const char *bytes, size_t count)
{
	size_t room = HEAD_MAX - 1 - c->head_bytes, before = c->head_bytes;
	size_t taken = count < room ? count : room;
	const char *end, *length;

	memcpy(c->head + before, bytes, taken);
	c->head_bytes += (uint32_t)taken;
	c->head[c->head_bytes] = 0;
	end = strstr(c->head, "\r\n\r\n");
	if (!end) {
		if (c->head_bytes == HEAD_MAX - 1) {
			fprintf(stderr, "bench-load: a head of more than %d bytes\n", HEAD_MAX);
			exit(1);
		}
		return taken;
	}
	c->refused = strncmp(c->head, "HTTP/1.1 2", 10) != 0;
	length = strcasestr(c->head, "\r\ncontent-length:");
	c->body_left = length ? strtoull(length + 17, NULL, 10) : 0;
	c->in_body = true;
	return (size_t)(end + 4 - c->head) - before;
}

static void take_bytes(struct connection *c, const char *bytes, size_t count)
{
	while (count > 0) {
		size_t taken;

		if (c->in_body) {
			taken = count < c->body_left ? count : c->body_left;
			c->body_left -= taken;
		} else {
			taken = take_head(c, bytes, count);
		}
		bytes += taken;
		count -= taken;
		if (c->in_body && c->body_left == 0)
			whole_answer(c);
	}
}

static void read_answers(struct connection *c)
{
	static char bytes[1 << 18];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

	if (n > 0)
		take_bytes(c, bytes, (size_t)n);
	else if (n == 0 || errno != EAGAIN)
		broken(c);
}

static void connected(struct connection *c)
{
	int error = 0;
	socklen_t size = sizeof(error);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error) {
		broken(c);
		return;
	}
	opened++;
	c->state = STATE_IDLE;
	watch(c, EPOLL_CTL_MOD, EPOLLIN);
	if (!c->wanted)
		return;
	c->wanted = false;
	send_request(c);
}

// What happened until deadline_ns at the latest.
static void turn(uint64_t deadline_ns)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t now = now_ns(), wait = deadline_ns > now ? deadline_ns - now : 0;
	struct timespec t = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
	int n = epoll_pwait2(poller, events, EVENTS_MAX, &t, NULL);

	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;

		if (c->state == STATE_CONNECTING)
			connected(c);
		else if (c->state != STATE_CLOSED)
			read_answers(c);
	}
}

// ---- the loads -----------------------------------------------------------------------------------

static void open_all(void)
{
	uint64_t deadline = now_ns() + OPEN_GRACE_NS;
	uint32_t next = 0;

	while (opened + errors < options.connections && now_ns() < deadline) {
		while (next < options.connections && next - opened - errors < OPENING_MAX) {
			all[next].sequence = next;
			open_connection(&all[next++]);
		}
		turn(deadline);
	}
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t percentile(double part)
{
	return sample_count ? samples_us[(size_t)(part * (double)(sample_count - 1))] : 0;
}

static void print_latencies(uint64_t requests, uint64_t failed)
{
	qsort(samples_us, sample_count, sizeof(samples_us[0]), by_size);
	printf("{\"requests\": %llu, \"rps\": %.1f, \"errors\": %llu, \"p50_us\": %u, "
	       "\"p90_us\": %u, \"p99_us\": %u, \"p999_us\": %u, \"max_us\": %u}\n",
	       (unsigned long long)requests, (double)sample_count / options.seconds,
	       (unsigned long long)failed, percentile(.5), percentile(.9), percentile(.99),
	       percentile(.999), percentile(1));
	fflush(stdout);
}

static void paced(void)
{
	uint64_t next = 0, deadline, failed;

	open_all();
	total = (uint64_t)(options.rate * (options.warmup + options.seconds));
	pacing = true;
	start_ns = now_ns();
	measure_from_ns = start_ns + (uint64_t)(options.warmup * 1e9);
	while (next < total) {
		while (next < total && due_ns(next) <= now_ns()) {
			struct connection *c = &all[next % options.connections];

			// One that still waits for an earlier answer sends as soon as it has it.
			if (c->sequence == next && c->state != STATE_WAITING) {
				c->intended_ns = due_ns(next);
				send_request(c);
			}
			next++;
		}
		turn(due_ns(next));
	}
	deadline = now_ns() + ANSWER_GRACE_NS;
	while (answered + errors < total && now_ns() < deadline)
		turn(deadline);
	failed = answered + errors < total ? total - answered : errors;
	print_latencies(total, failed);
}

static void print_open(void)
{
	printf("{\"open\": %llu, \"errors\": %llu}\n", (unsigned long long)opened,
	       (unsigned long long)errors);
	fflush(stdout);
}

static void wait_for_end(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

static void loop(void)
{
	uint64_t deadline;
	char byte;

	open_all();
	print_open();
	while (read(STDIN_FILENO, &byte, 1) > 0 && byte != '\n')
		;
	start_ns = now_ns();
	deadline = start_ns + (uint64_t)(options.seconds * 1e9);
	looping = true;
	for (uint32_t i = 0; i < options.connections; i++)
		if (all[i].state == STATE_IDLE)
			send_overdue(&all[i]);
	while (now_ns() < deadline)
		turn(deadline);
	looping = false;
	print_latencies(answered, errors);
	wait_for_end();
}

static uint64_t count_cut(void)
{
	uint64_t cut = 0;
	char byte;

	for (uint32_t i = 0; i < options.connections; i++) {
		ssize_t n = all[i].fd < 0 ? 0 : recv(all[i].fd, &byte, 1, MSG_DONTWAIT);

		cut += n == 0 || (n < 0 && errno != EAGAIN);
	}
	return cut;
}

static void hold(void)
{
	uint64_t deadline;
	uint32_t asked = 0;

	open_all();
	deadline = now_ns() + OPEN_GRACE_NS;
	while (answered + errors < options.connections && now_ns() < deadline) {
		for (; asked < options.connections && asked - answered - errors < OPENING_MAX;
		     asked++)
			if (all[asked].state == STATE_IDLE)
				send_request(&all[asked]);
		turn(deadline);
	}
	print_open();
	wait_for_end();
	printf("{\"cut\": %llu}\n", (unsigned long long)count_cut());
}

// ---- the command line ----------------------------------------------------------------------------

static const char usage[] = "usage: bench-load paced|loop|hold [options] IP PORT PATH\n"
			    "  -c N   connections (16)\n"
			    "  -r N   paced: requests a second over all of them (1000)\n"
			    "  -t S   paced, loop: seconds that count (2)\n"
			    "  -w S   paced: seconds before them that do not (0.5)\n"
			    "  -H 'NAME: VALUE'   a header\n";

static void fail_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

static void parse(int argc, char **argv)
{
	char headers[REQUEST_MAX] = "";
	size_t used = 0;
	int option, n;

	while ((option = getopt(argc, argv, "c:r:t:w:H:")) > 0) {
		if (option == 'c')
			options.connections = (uint32_t)strtoul(optarg, NULL, 10);
		else if (option == 'r')
			options.rate = strtod(optarg, NULL);
		else if (option == 't')
			options.seconds = strtod(optarg, NULL);
		else if (option == 'w')
			options.warmup = strtod(optarg, NULL);
		else if (option == 'H' && used + strlen(optarg) + 3 < sizeof(headers))
			used += (size_t)sprintf(headers + used, "%s\r\n", optarg);
		else
			fail_usage();
	}
	if (argc - optind != 3 || options.connections < 1 ||
	    options.connections > CONNECTIONS_MAX || !(options.rate > 0) || !(options.seconds > 0))
		fail_usage();
	options.to.sin_family = AF_INET;
	options.to.sin_port = htons((uint16_t)strtoul(argv[optind + 1], NULL, 10));
	if (inet_pton(AF_INET, argv[optind], &options.to.sin_addr) != 1)
		fail_usage();
	n = snprintf(options.request, sizeof(options.request),
		     "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench-load\r\n%s\r\n",
		     argv[optind + 2], argv[optind], headers);
	if (n < 0 || (size_t)n >= sizeof(options.request))
		fail_usage();
	options.request_bytes = (size_t)n;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} loads[] = {{"paced", paced}, {"loop", loop}, {"hold", hold}};
	size_t load = 0;

	while (load < 3 && (argc < 2 || strcmp(argv[1], loads[load].name) != 0))
		load++;
	if (load == 3)
		fail_usage();
	parse(argc - 1, argv + 1);
	poller = epoll_create1(EPOLL_CLOEXEC);
	all = calloc(options.connections, sizeof(*all));
	samples_us = malloc(SAMPLES_MAX * sizeof(samples_us[0]));
	if (poller < 0 || !all || !samples_us)
		die("bench-load");
	for (uint32_t i = 0; i < options.connections; i++)
		all[i].fd = -1;
	loads[load].run();
	return 0;
}
