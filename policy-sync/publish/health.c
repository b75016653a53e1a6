// SPDX-License-Identifier: GPL-3.0-or-later
// Pages and their listener; see health.h. Answers are small and leave in one send; who takes them slowly
// gets a part.
#include "publish/health.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "io/sock.h"
#include "publish/subscriber.h"

#define CLIENTS_MAX	16
#define REQUEST_BYTES	1024
#define PAGE_BYTES_MAX	(1u << 20)
#define NODES_SHOWN_MAX 50

struct health_client {
	struct server_source source; // first member; fd -1: free
	struct health *health;
	uint64_t since_ns;
	uint32_t len;
	char request[REQUEST_BYTES];
};

struct health {
	struct server_source source; // first member
	struct server *server;
	const struct health_status *status;
	struct health_client clients[CLIENTS_MAX];
};

// ---- pages -------------------------------------------------------------------------------------

static bool is_behind(const struct server *s, const struct subscriber *i)
{
	return i->state == SUBSCRIBER_LIVE && generation_cmp(i->acknowledged, s->generation) != 0;
}

static bool is_refused(const struct server *s, const struct subscriber *i)
{
	return generation_cmp(i->refused, s->generation) == 0;
}

static uint64_t behind_s(const struct subscriber *i, uint64_t now_ns)
{
	return i->behind_since_ns == 0 || i->behind_since_ns > now_ns
		       ? 0
		       : (now_ns - i->behind_since_ns) / (1000 * NS_PER_MS);
}

// Nodes that stand behind do not make us unready: whoever took us out of use for one would cut off all.
static void put_behind(const struct server *s, struct buf *out)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint32_t shown = 0;

	for (const struct subscriber *i = s->subscribers; i && shown < NODES_SHOWN_MAX;
	     i = i->next) {
		if (!is_behind(s, i))
			continue;
		shown++;
		buf_printf(out,
			   "node %s stands behind: %llu.%llu is wanted, %llu.%llu is held "
			   "since %llu s: %s\n",
			   i->node, (unsigned long long)s->generation.epoch,
			   (unsigned long long)s->generation.counter,
			   (unsigned long long)i->acknowledged.epoch,
			   (unsigned long long)i->acknowledged.counter,
			   (unsigned long long)behind_s(i, now_ns),
			   is_refused(s, i) ? i->refusal.text : "it has not answered yet");
	}
}

static int page_ready(const struct server *s, const struct health_status *h, struct buf *out)
{
	if (!h->published || h->unpublished_since_unix_ms != 0) {
		buf_printf(out, "not ready: %s\n", h->why.text);
		return 503;
	}
	buf_put_str(out, "ready\n");
	if (h->incomplete)
		buf_printf(out, "not all of it is in force: %s\n", h->why.text);
	put_behind(s, out);
	return 200;
}

static void put_metric(struct buf *out, const char *name, const char *help, uint64_t value)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %llu\n", name, help, name, name,
		   (unsigned long long)value);
}

static int page_metrics(const struct server *s, const struct health_status *h, struct buf *out)
{
	uint64_t now_ns = clock_monotonic_ns(), longest_s = 0;
	uint32_t live = 0, behind = 0, refused = 0;

	for (const struct subscriber *i = s->subscribers; i; i = i->next) {
		live += i->state == SUBSCRIBER_LIVE;
		if (!is_behind(s, i))
			continue;
		behind++;
		refused += is_refused(s, i);
		if (behind_s(i, now_ns) > longest_s)
			longest_s = behind_s(i, now_ns);
	}
	put_metric(out, "portcullis_sync_generation", "Counter of the newest generation.",
		   s->generation.counter);
	put_metric(out, "portcullis_sync_nodes", "Nodes that are connected.", live);
	put_metric(out, "portcullis_sync_nodes_behind", "Of them, those that go by an older one.",
		   behind);
	put_metric(out, "portcullis_sync_nodes_refused", "Of them, those that refused the newest.",
		   refused);
	put_metric(out, "portcullis_sync_behind_seconds", "The longest that one has stood behind.",
		   longest_s);
	put_metric(out, "portcullis_sync_unpublished_since_seconds",
		   "Unix time since which the directory could not be published; 0: it is.",
		   h->unpublished_since_unix_ms / 1000);
	put_metric(out, "portcullis_sync_findings_errors", "Findings of the last reading, errors.",
		   h->errors);
	put_metric(out, "portcullis_sync_findings_warnings",
		   "Findings of the last reading, warnings.", h->warnings);
	return 200;
}

bool health_page(const struct server *s, const struct health_status *status, struct slice path,
		 int *code, struct buf *out)
{
	if (slice_eq_str(path, "/readyz")) {
		*code = page_ready(s, status, out);
	} else if (slice_eq_str(path, "/metrics")) {
		*code = page_metrics(s, status, out);
	} else if (slice_eq_str(path, "/healthz")) {
		*code = 200;
		buf_put_str(out, "ok\n");
	} else {
		*code = 404;
		buf_put_str(out, "not found\n");
	}
	return *code != 404;
}

// ---- the listener ------------------------------------------------------------------------------

static void client_close(struct health_client *c)
{
	close(c->source.fd);
	c->source.fd = -1;
}

static void client_answer(struct health_client *c)
{
	static const char get[] = "GET ";
	struct slice line = slice_make(c->request, c->len), path = {0};
	struct buf page, answer;
	int code = 400;

	buf_init_growing(&page, PAGE_BYTES_MAX);
	buf_init_growing(&answer, PAGE_BYTES_MAX + 256);
	if (slice_starts(line, slice_str(get))) {
		path = slice_make(line.ptr + 4, line.len - 4);
		path.len = slice_find(path, ' ');
		path.len = slice_find(path, '?');
		(void)health_page(c->health->server, c->health->status, path, &code, &page);
	}
	buf_printf(&answer,
		   "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
		   "Content-Length: %zu\r\nConnection: close\r\n\r\n",
		   code,
		   code == 200	 ? "OK"
		   : code == 404 ? "Not Found"
		   : code == 503 ? "Service Unavailable"
				 : "Bad Request",
		   page.len);
	buf_put_slice(&answer, buf_slice(&page));
	if (!answer.err && send(c->source.fd, answer.ptr, answer.len, MSG_NOSIGNAL) > 0)
		shutdown(c->source.fd, SHUT_WR);
	buf_deinit(&page);
	buf_deinit(&answer);
	client_close(c);
}

static void client_on_ready(struct server_source *source, uint32_t events, uint64_t now_ns)
{
	struct health_client *c = (struct health_client *)source;
	ssize_t n;

	(void)events;
	(void)now_ns;
	if (c->source.fd < 0)
		return;
	n = recv(c->source.fd, c->request + c->len, sizeof(c->request) - c->len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->len += (uint32_t)n;
	if (n > 0 && memmem(c->request, c->len, "\r\n\r\n", 4))
		client_answer(c);
	else if (n <= 0 || c->len == sizeof(c->request))
		client_close(c);
}

// A free place, or the oldest client's: who asks at once is always answered.
static struct health_client *health_place(struct health *h)
{
	struct health_client *oldest = &h->clients[0];

	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (h->clients[i].source.fd < 0)
			return &h->clients[i];
		if (h->clients[i].since_ns < oldest->since_ns)
			oldest = &h->clients[i];
	}
	client_close(oldest);
	return oldest;
}

static void health_on_accept(struct server_source *source, uint32_t events, uint64_t now_ns)
{
	struct health *h = (struct health *)source;
	int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct health_client *c;

	(void)events;
	if (fd < 0)
		return;
	c = health_place(h);
	c->source = (struct server_source){.ready = client_on_ready, .fd = fd};
	c->health = h;
	c->since_ns = now_ns;
	c->len = 0;
	if (!server_watch(h->server, &c->source, EPOLLIN, true))
		client_close(c);
}

enum err health_new(struct server *server, struct addr_port listen,
		    const struct health_status *status, struct health **out, struct reason *why)
{
	struct sock_listen_options options = {.backlog = CLIENTS_MAX};
	struct health *h = calloc(1, sizeof(*h));
	char text[ADDR_PORT_TEXT_MAX];

	if (!h)
		return err_because(ERR_NOMEM, why, "out of memory");
	h->server = server;
	h->status = status;
	h->source = (struct server_source){.ready = health_on_accept, .fd = -1};
	for (int i = 0; i < CLIENTS_MAX; i++)
		h->clients[i].source.fd = -1;
	if (sock_listen(listen, &options, &h->source.fd) != ERR_OK ||
	    !server_watch(server, &h->source, EPOLLIN, true)) {
		enum err e = err_because(ERR_IO, why, "cannot listen on %s: %s",
					 addr_port_format(listen, text), strerror(errno));

		health_free(h);
		return e;
	}
	*out = h;
	return ERR_OK;
}

void health_free(struct health *h)
{
	if (!h)
		return;
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (h->clients[i].source.fd >= 0)
			client_close(&h->clients[i]);
	}
	if (h->source.fd >= 0)
		close(h->source.fd);
	free(h);
}
