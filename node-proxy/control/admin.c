// SPDX-License-Identifier: GPL-3.0-or-later
// Admin requests; see admin.h.
#include "control/admin.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "control/metrics.h"
#include "control/rules_status.h"

#define REQUEST_BYTES_MAX 2048
#define ANSWER_BYTES_MAX (16u << 20)
#define ASK_TIMEOUT_MS 1000
#define CLIENT_TIMEOUT_S 2
#define WORKERS_MAX 64
#define CONNECTIONS_SHOWN_MAX 1000

struct answer {
	int status;
	const char *type;
	struct buf body;
};

// ---- what is ready -----------------------------------------------------------------------------

// Ready: every worker goes by a snapshot, there is a certificate, and the rules are in place.
static enum err admin_ready(const struct admin_options *o, struct reason *why)
{
	struct loader_status status;

	loader_status(o->loader, &status);
	if (status.adopted.epoch == 0)
		return err_because(ERR_AGAIN, why, "no snapshot is live yet");
	if (status.certs.not_after_unix_s == 0)
		return err_because(ERR_AGAIN, why, "no certificate yet");
	return rules_status_check(o->run_dir, why);
}

static void answer_ready(const struct admin_options *o, struct answer *a)
{
	struct reason why = {0};

	if (admin_ready(o, &why) == ERR_OK) {
		buf_put_str(&a->body, "ready\n");
		return;
	}
	a->status = 503;
	buf_printf(&a->body, "not ready: %s\n", why.text);
}

static void answer_health(const struct admin_options *o, struct answer *a)
{
	(void)o;
	buf_put_str(&a->body, "ok\n");
}

static void answer_metrics(const struct admin_options *o, struct answer *a)
{
	struct metrics_sample samples[WORKERS_MAX];
	struct loader_status status;
	struct reason why;
	uint32_t count = 0;

	for (uint32_t i = 0; i < o->worker_count && i < WORKERS_MAX; i++) {
		struct buf b;

		buf_init_fixed(&b, &samples[count], sizeof(samples[0]));
		if (inbox_ask(o->workers[i], metrics_sample_worker, 0, sizeof(samples[0]),
			      ASK_TIMEOUT_MS, &b) == ERR_OK &&
		    b.len == sizeof(samples[0]))
			count++;
	}
	loader_status(o->loader, &status);
	a->type = "text/plain; version=0.0.4";
	metrics_write(&a->body, samples, count, &status,
		      rules_status_check(o->run_dir, &why) == ERR_OK);
}

// ---- debug -------------------------------------------------------------------------------------

static void put_text(struct buf *b, const char *key, struct slice value)
{
	buf_printf(b, ",\"%s\":", key);
	buf_put_json_string(b, value);
}

static void put_workload(struct buf *b, const struct workload *w)
{
	char text[ADDR_TEXT_MAX];

	buf_put_str(b, "{\"uid\":");
	buf_put_json_string(b, w->record.uid);
	put_text(b, "namespace", w->record.namespace);
	put_text(b, "name", w->record.name);
	put_text(b, "service_account", w->record.service_account);
	buf_put_str(b, ",\"addresses\":[");
	for (uint32_t i = 0; i < w->record.addr_count; i++)
		buf_printf(b, "%s\"%s\"", i ? "," : "", addr_format(w->record.addrs[i], text));
	buf_put_str(b, "],\"policies\":[");
	for (uint32_t i = 0; i < w->record.policy_count; i++) {
		buf_printf(b, "%s{\"port\":%u", i ? "," : "", w->record.policies[i].port);
		put_text(b, "policy", w->record.policies[i].policy_id);
		buf_put_str(b, "}");
	}
	buf_put_str(b, "]}");
}

// Runs on a worker's thread: what that worker goes by. Public matter only, never key material.
static void describe_snapshot(struct worker *w, uint64_t argument, struct buf *b)
{
	const struct snapshot *s = worker_snapshot(w);

	(void)argument;
	if (!s) {
		buf_put_str(b, "{\"snapshot\":null}\n");
		return;
	}
	struct generation g = snapshot_generation(s);

	buf_printf(b, "{\"epoch\":%llu,\"counter\":%llu,\"bytes\":%zu,\"nodes\":%u,"
		      "\"services\":%u,\"workloads\":%u",
		   (unsigned long long)g.epoch, (unsigned long long)g.counter, snapshot_bytes(s),
		   snapshot_node_count(s), snapshot_service_count(s), snapshot_workload_count(s));
	put_text(b, "trust_domain", snapshot_meta(s)->trust_domain);
	buf_put_str(b, ",\"local\":[");
	for (uint32_t i = 0; i < snapshot_local_count(s); i++) {
		buf_put_str(b, i ? "," : "");
		put_workload(b, snapshot_local(s, i));
	}
	buf_put_str(b, "]}\n");
}

static void answer_snapshot(const struct admin_options *o, struct answer *a)
{
	a->type = "application/json";
	if (inbox_ask(o->workers[0], describe_snapshot, 0, ANSWER_BYTES_MAX, ASK_TIMEOUT_MS,
		      &a->body) != ERR_OK)
		a->status = 503;
}

static void describe_connections(struct worker *w, uint64_t argument, struct buf *b)
{
	char client[ADDR_PORT_TEXT_MAX], target[ADDR_PORT_TEXT_MAX];
	uint32_t shown = 0;

	for (const struct exchange *x = w->all; x && shown < CONNECTIONS_SHOWN_MAX; x = x->next) {
		buf_printf(b, "{\"worker\":%llu,\"exchange\":%llu,\"stage\":\"%s\",\"l7\":%s,"
			      "\"client\":\"%s\",\"server\":\"%s\",\"age_ms\":%llu,"
			      "\"received\":%llu,\"sent\":%llu}\n",
			   (unsigned long long)argument, (unsigned long long)x->id,
			   exchange_stage_name(x), x->l7 ? "true" : "false",
			   addr_port_format(x->client, client), addr_port_format(x->target, target),
			   (unsigned long long)((w->now_ns - x->started_ns) / NS_PER_MS),
			   (unsigned long long)x->leg[DOWN].bytes_in,
			   (unsigned long long)x->leg[DOWN].bytes_out);
		shown++;
	}
}

static void answer_connections(const struct admin_options *o, struct answer *a)
{
	a->type = "application/x-ndjson";
	for (uint32_t i = 0; i < o->worker_count; i++) {
		if (inbox_ask(o->workers[i], describe_connections, i, ANSWER_BYTES_MAX / WORKERS_MAX,
			      ASK_TIMEOUT_MS, &a->body) != ERR_OK)
			a->status = 503;
	}
}

// ---- HTTP --------------------------------------------------------------------------------------

static const struct {
	const char *path;
	void (*run)(const struct admin_options *o, struct answer *a);
} pages[] = {
	{"/healthz", answer_health},	    {"/readyz", answer_ready},
	{"/metrics", answer_metrics},	    {"/debug/snapshot", answer_snapshot},
	{"/debug/connections", answer_connections},
};

static void admin_route(const struct admin_options *o, struct slice request, struct answer *a)
{
	struct slice rest;

	if (!slice_starts(request, SLICE_LIT("GET "))) {
		a->status = 405;
		return;
	}
	rest = slice_make(request.ptr + 4, request.len - 4);
	rest.len = slice_find(rest, ' ');
	rest.len = slice_find(rest, '?');
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (slice_eq_str(rest, pages[i].path)) {
			pages[i].run(o, a);
			return;
		}
	}
	a->status = 404;
}

static void send_all(int fd, struct slice s)
{
	while (s.len > 0) {
		ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);

		if (n <= 0)
			return; // the client went, or is too slow
		s.ptr += n;
		s.len -= (size_t)n;
	}
}

static bool read_request(int fd, char *bytes, struct slice *out)
{
	size_t len = 0;

	while (len < REQUEST_BYTES_MAX) {
		ssize_t n = recv(fd, bytes + len, REQUEST_BYTES_MAX - len, 0);

		if (n <= 0)
			return false;
		len += (size_t)n;
		if (memmem(bytes, len, "\r\n\r\n", 4)) {
			*out = slice_make(bytes, len);
			return true;
		}
	}
	return false;
}

void admin_serve(const struct admin_options *o)
{
	struct timeval limit = {.tv_sec = CLIENT_TIMEOUT_S};
	struct answer a = {.status = 200, .type = "text/plain"};
	char bytes[REQUEST_BYTES_MAX], head[256];
	struct slice request;
	int fd = accept4(o->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	buf_init_growing(&a.body, ANSWER_BYTES_MAX);
	if (read_request(fd, bytes, &request)) {
		admin_route(o, request, &a);
		if (a.body.len == 0)
			buf_printf(&a.body, "%d\n", a.status);
		int n = snprintf(head, sizeof(head),
				 "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
				 "Connection: close\r\n\r\n",
				 a.status, a.status == 200 ? "OK" : "Error", a.type, a.body.len);

		send_all(fd, slice_make(head, (size_t)n));
		send_all(fd, buf_slice(&a.body));
	}
	buf_deinit(&a.body);
	close(fd);
}
