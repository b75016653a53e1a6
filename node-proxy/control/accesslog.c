// SPDX-License-Identifier: GPL-3.0-or-later
// Access log thread and format; see accesslog.h. Workers never wait for it: what it cannot take in time
// is dropped and counted (metrics).
#include "control/accesslog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "common/buf.h"
#include "path/end_reason.h"

#define RINGS_MAX 64
// The longest line: every byte of every string escaped (\u0001), and names and numbers beside. A record that
// did not fit would take the lines before it along, so a client could keep others out of the log.
#define LINE_BYTES_MAX (RECORD_STRINGS * RECORD_STRING_MAX * 6 + 2048)
#define LINES_BYTES    (128u << 10)
_Static_assert(LINES_BYTES > 2 * LINE_BYTES_MAX, "a few lines a write");

struct accesslog {
	struct record_ring *rings[RINGS_MAX];
	uint32_t ring_count;
	int fd;
	int event_fd;
	bool started;
	_Atomic bool stopping;
	pthread_t thread;
	uint8_t lines[LINES_BYTES];
	uint8_t record[RECORD_BYTES_MAX];
};

// ---- format ------------------------------------------------------------------------------------

static void put_string(struct buf *b, const char *key, struct slice value)
{
	if (value.len == 0)
		return;
	buf_printf(b, ",\"%s\":", key);
	buf_put_json_string(b, value);
}

static void put_number(struct buf *b, const char *key, uint64_t value)
{
	buf_printf(b, ",\"%s\":%llu", key, (unsigned long long)value);
}

static void put_endpoint(struct buf *b, const char *prefix, struct addr_port a)
{
	char ip[ADDR_TEXT_MAX];

	if (addr_is_none(a.addr))
		return;
	buf_printf(b, ",\"%s.address\":\"%s\",\"%s.port\":%u", prefix, addr_format(a.addr, ip),
		   prefix, a.port);
}

static void put_time(struct buf *b, uint64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(b, "{\"time\":\"%s.%03uZ\"", text, (unsigned int)(unix_ms % 1000));
}

static void put_decision(struct buf *b, const struct record *r, const struct slice *strings)
{
	if (r->verdict < VERDICT_COUNT) {
		put_string(b, "verdict", slice_str(verdict_name((enum verdict)r->verdict)));
		put_string(b, "reason",
			   slice_str(decide_reason_name((enum decide_reason)r->decide_reason)));
		if (r->jwt_refusal != JWT_OK)
			put_string(b, "jwt",
				   slice_str(jwt_refusal_name((enum jwt_refusal)r->jwt_refusal)));
	}
	put_string(b, "policy", strings[RECORD_POLICY]);
	put_string(b, "rule", strings[RECORD_RULE]);
	put_string(b, "audit.policy", strings[RECORD_AUDIT_POLICY]);
	put_string(b, "audit.rule", strings[RECORD_AUDIT_RULE]);
	if (r->would_deny)
		buf_put_str(b, ",\"would_deny\":true");
}

static void put_exchange(struct buf *b, const struct record *r, const struct slice *strings)
{
	put_number(b, "exchange", r->exchange_id);
	put_number(b, "sequence", r->sequence);
	put_string(b, "protocol", r->l7 ? SLICE_LIT("http") : SLICE_LIT("tcp"));
	put_endpoint(b, "client", r->client);
	put_endpoint(b, "destination", r->dialled);
	put_endpoint(b, "server", r->target);
	put_string(b, "source.identity", strings[RECORD_SOURCE]);
	put_string(b, "source.pod", strings[RECORD_SOURCE_POD]);
	put_string(b, "target.identity", strings[RECORD_DESTINATION]);
	put_string(b, "target.pod", strings[RECORD_DESTINATION_POD]);
	put_string(b, "service", strings[RECORD_SERVICE]);
	put_string(b, "http.request.method", strings[RECORD_METHOD]);
	put_string(b, "url.path", strings[RECORD_PATH]);
	put_string(b, "http.request.header.host", strings[RECORD_HOST]);
	if (r->status)
		put_number(b, "http.response.status_code", r->status);
	put_decision(b, r, strings);
	if (r->kind == RECORD_EXCHANGE)
		put_string(b, "end", slice_str(end_reason_name((enum end_reason)r->end_reason)));
	put_string(b, "detail", strings[RECORD_DETAIL]);
	put_string(b, "peer.node", strings[RECORD_NODE]);
	put_number(b, "duration_us", r->duration_us);
	put_number(b, "bytes.received", r->bytes_in);
	put_number(b, "bytes.sent", r->bytes_out);
}

static void put_tunnel(struct buf *b, const struct record *r, const struct slice *strings)
{
	put_endpoint(b, "peer", r->client);
	put_string(b, "peer.node", strings[RECORD_NODE]);
	put_string(b, "tls.group", strings[RECORD_POLICY]);
	put_string(b, "tls.cipher", strings[RECORD_RULE]);
	put_string(b, "detail", strings[RECORD_DETAIL]);
}

void accesslog_format(const struct record *r, const struct slice strings[RECORD_STRINGS],
		      struct buf *b)
{
	static const char *const reporters[] = {"source", "destination", "both"};

	bool whole = r->kind == RECORD_EXCHANGE, any = whole || r->kind == RECORD_WOULD_DENY;

	put_time(b, r->unix_ms);
	put_string(b, "event",
		   whole ? SLICE_LIT("exchange")
		   : any ? SLICE_LIT("would_deny")
			 : strings[RECORD_METHOD]);
	put_string(b, "reporter", slice_str(reporters[r->reporter < 3 ? r->reporter : 0]));
	if (any)
		put_exchange(b, r, strings);
	else
		put_tunnel(b, r, strings);
	buf_put_str(b, "}\n");
}

// ---- thread ------------------------------------------------------------------------------------

static void accesslog_write(struct accesslog *a, struct slice lines)
{
	while (a->fd >= 0 && lines.len > 0) {
		ssize_t n = write(a->fd, lines.ptr, lines.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; // a full disk or a closed pipe costs log lines, never traffic
		lines.ptr += n;
		lines.len -= (size_t)n;
	}
}

static bool accesslog_drain(struct accesslog *a)
{
	struct slice strings[RECORD_STRINGS];
	bool any = false;
	struct buf b;

	buf_init_fixed(&b, a->lines, sizeof(a->lines));
	for (uint32_t i = 0; i < a->ring_count; i++) {
		while (record_ring_take(a->rings[i], a->record, strings)) {
			any = true;
			if (sizeof(a->lines) - b.len < LINE_BYTES_MAX) {
				accesslog_write(a, buf_slice(&b));
				buf_reset(&b);
			}
			accesslog_format((struct record *)a->record, strings, &b);
		}
	}
	if (b.err == ERR_OK)
		accesslog_write(a, buf_slice(&b));
	return any;
}

static void accesslog_sleep(struct accesslog *a)
{
	struct pollfd p = {.fd = a->event_fd, .events = POLLIN};
	uint64_t count;

	for (uint32_t i = 0; i < a->ring_count; i++)
		atomic_store_explicit(&a->rings[i]->logger_sleeps, true, memory_order_seq_cst);
	// A record may have come between the last look and the flag.
	if (accesslog_drain(a) || atomic_load(&a->stopping))
		return;
	if (poll(&p, 1, -1) > 0 && read(a->event_fd, &count, sizeof(count)) < 0)
		return;
}

static void *accesslog_thread(void *context)
{
	struct accesslog *a = context;

	while (!atomic_load(&a->stopping)) {
		if (!accesslog_drain(a))
			accesslog_sleep(a);
	}
	accesslog_drain(a);
	return NULL;
}

static int accesslog_target(const char *target)
{
	if (strcmp(target, "off") == 0)
		return -1;
	if (strcmp(target, "-") == 0)
		return STDOUT_FILENO;
	return open(target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

enum err accesslog_open(const char *target, struct accesslog **out, struct reason *why)
{
	struct accesslog *a = calloc(1, sizeof(*a));

	if (!a)
		return err_because(ERR_NOMEM, why, "no memory for the access log");
	a->fd = accesslog_target(target);
	a->event_fd = eventfd(0, EFD_CLOEXEC);
	if ((a->fd < 0 && strcmp(target, "off") != 0) || a->event_fd < 0) {
		int error = errno;

		accesslog_close(a);
		return err_because(ERR_IO, why, "access log %s: %s", target, strerror(error));
	}
	*out = a;
	return ERR_OK;
}

int accesslog_event_fd(const struct accesslog *a)
{
	return a->event_fd;
}

void accesslog_add(struct accesslog *a, struct record_ring *ring)
{
	if (a->ring_count < RINGS_MAX)
		a->rings[a->ring_count++] = ring;
}

enum err accesslog_start(struct accesslog *a)
{
	a->started = pthread_create(&a->thread, NULL, accesslog_thread, a) == 0;
	return a->started ? ERR_OK : ERR_IO;
}

void accesslog_close(struct accesslog *a)
{
	uint64_t one = 1;

	if (!a)
		return;
	atomic_store(&a->stopping, true);
	if (a->started && write(a->event_fd, &one, sizeof(one)) > 0)
		pthread_join(a->thread, NULL);
	if (a->fd > STDERR_FILENO)
		close(a->fd);
	if (a->event_fd >= 0)
		close(a->event_fd);
	free(a);
}
