// SPDX-License-Identifier: GPL-3.0-or-later
// The control socket's two ends. Few clients, one line each; a client that waits for a rotation
// step is answered by control_tick.
#include "publish/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "publish/rotation.h"
#include "publish/subscriber.h"

#define CLIENTS_MAX	  8
#define LINE_BYTES_MAX	  300 // an order and the name of a node
#define ANSWER_BYTES_MAX  (4u << 20)
#define CLIENT_TIMEOUT_MS 30000
#define ASK_TIMEOUT_MS	  40000

enum control_wait { WAIT_LINE = 0, WAIT_SWITCHED, WAIT_STABLE };

struct control_client {
	struct server_source source; // first member; fd -1: free
	struct control *control;
	enum control_wait wait;
	uint64_t deadline_ns;
	size_t len;
	char line[LINE_BYTES_MAX];
};

struct control {
	struct server_source source; // first member
	struct server *server;
	char path[108];
	struct control_client clients[CLIENTS_MAX];
};

static void control_close(struct control_client *c)
{
	close(c->source.fd);
	c->source.fd = -1;
}

// A local socket takes small answers whole; status of very many nodes is cut where it does not.
static void control_answer(struct control_client *c, struct slice text)
{
	ssize_t n = send(c->source.fd, text.ptr, text.len, MSG_NOSIGNAL);

	(void)n;
	control_close(c);
}

static void control_answer_text(struct control_client *c, const char *first, const char *rest)
{
	char text[REASON_BYTES_MAX + 64];

	snprintf(text, sizeof(text), "%s %s\n", first, rest);
	control_answer(c, slice_str(text));
}

static void control_put_node(const struct subscriber *i, struct buf *out)
{
	buf_put_str(out, "{\"node\":");
	buf_put_json_string(out, slice_str(i->node));
	buf_printf(out,
		   ",\"acknowledged\":\"%llu.%llu\",\"certificate_not_after_unix_s\":%lld,"
		   "\"certificate_installed\":%s,\"refused\":\"%llu.%llu\",\"refusal\":",
		   (unsigned long long)i->acknowledged.epoch,
		   (unsigned long long)i->acknowledged.counter, (long long)i->not_after_unix_s,
		   i->certificate == CERTIFICATE_INSTALLED ? "true" : "false",
		   (unsigned long long)i->refused.epoch, (unsigned long long)i->refused.counter);
	buf_put_json_string(out, slice_str(i->refusal.text));
	buf_put_str(out, "}");
}

static void control_status(struct control_client *c)
{
	const struct server *s = c->control->server;
	bool first = true;
	struct buf out;

	buf_init_growing(&out, ANSWER_BYTES_MAX);
	buf_printf(&out, "ok {\"generation\":\"%llu.%llu\",\"ca_stage\":\"%s\",\"nodes\":[",
		   (unsigned long long)s->generation.epoch,
		   (unsigned long long)s->generation.counter, trust_stage_name(s->trust.stage));
	for (const struct subscriber *i = s->subscribers; i; i = i->next) {
		if (i->state != SUBSCRIBER_LIVE)
			continue;
		if (!first)
			buf_put_str(&out, ",");
		first = false;
		control_put_node(i, &out);
	}
	buf_put_str(&out, "]}\n");
	if (out.err)
		control_answer_text(c, "error", "the status is too long");
	else
		control_answer(c, buf_slice(&out));
	buf_deinit(&out);
}

static void control_obey(struct control_client *c, uint64_t now_ns)
{
	static const struct slice revoke = {(const uint8_t *)"revoke ", 7};
	struct rotation *rotation = c->control->server->rotation;
	struct slice line = slice_str(c->line);
	struct reason why = {0};
	enum err e = ERR_OK;

	if (strcmp(c->line, "status") == 0) {
		control_status(c);
		return;
	}
	if (strcmp(c->line, "rotate begin") == 0) {
		e = rotation_begin(rotation, now_ns, &why);
		c->wait = WAIT_SWITCHED;
	} else if (strcmp(c->line, "rotate finish") == 0) {
		e = rotation_finish(rotation, now_ns, &why);
		c->wait = WAIT_STABLE;
	} else if (slice_starts(line, revoke)) {
		line = slice_make(line.ptr + revoke.len, line.len - revoke.len);
		e = server_revoke_node(c->control->server, line, now_ns, &why);
		if (!e) {
			control_answer_text(c, "ok", "its tunnels end; it needs another key");
			return;
		}
	} else {
		e = err_because(ERR_UNSUPPORTED, &why, "no such order");
	}
	if (e)
		control_answer_text(c, "error", why.text);
	else
		control_tick(c->control, now_ns);
}

static void control_on_client(struct server_source *source, uint32_t events, uint64_t now_ns)
{
	struct control_client *c = (struct control_client *)source;
	char *end;
	ssize_t n;

	(void)events;
	if (c->source.fd < 0)
		return;
	if (c->wait != WAIT_LINE) { // it has said all; this is its end
		control_close(c);
		return;
	}
	n = recv(c->source.fd, c->line + c->len, sizeof(c->line) - 1 - c->len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		control_close(c);
		return;
	}
	c->len += (size_t)n;
	c->line[c->len] = 0;
	end = strchr(c->line, '\n');
	if (end) {
		*end = 0;
		control_obey(c, now_ns);
	} else if (c->len == sizeof(c->line) - 1) {
		control_close(c);
	}
}

static void control_on_accept(struct server_source *source, uint32_t events, uint64_t now_ns)
{
	struct control *control = (struct control *)source;
	int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct control_client *c = &control->clients[i];

		if (c->source.fd >= 0)
			continue;
		*c = (struct control_client){.source = {.ready = control_on_client, .fd = fd},
					     .control = control,
					     .deadline_ns = now_ns + CLIENT_TIMEOUT_MS * NS_PER_MS};
		if (!server_watch(control->server, &c->source, EPOLLIN, true))
			control_close(c);
		return;
	}
	close(fd);
}

static void control_client_tick(struct control_client *c, uint64_t now_ns)
{
	struct server *s = c->control->server;
	enum ca_stage wanted = c->wait == WAIT_SWITCHED ? CA_STAGE_SWITCHED : CA_STAGE_STABLE;
	struct reason missing;

	if (c->wait != WAIT_LINE && s->trust.stage == wanted) {
		control_answer_text(c, "ok",
				    wanted == CA_STAGE_SWITCHED ? "the new root signs"
								: "the old root is gone");
		return;
	}
	if (now_ns < c->deadline_ns)
		return;
	rotation_waits_for(s->rotation, &missing);
	if (c->wait == WAIT_LINE)
		control_close(c);
	else
		control_answer_text(c, "error: under way, still waiting for", missing.text);
}

void control_tick(struct control *c, uint64_t now_ns)
{
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (c->clients[i].source.fd >= 0)
			control_client_tick(&c->clients[i], now_ns);
	}
}

enum err control_new(struct server *server, const char *path, struct control **out,
		     struct reason *why)
{
	struct control *c = calloc(1, sizeof(*c));
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	mode_t mask;
	int bound;

	if (!c)
		return err_because(ERR_NOMEM, why, "out of memory");
	c->server = server;
	for (int i = 0; i < CLIENTS_MAX; i++)
		c->clients[i].source.fd = -1;
	*out = c; // server_free ends it, also half made
	c->source.ready = control_on_accept;
	c->source.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (strlen(path) >= sizeof(at.sun_path))
		return err_because(ERR_CONFIG, why, "the path of the state directory is too long");
	memcpy(at.sun_path, path, strlen(path));
	unlink(path); // of a process that was killed; the directory is locked by us
	mask = umask(0177);
	bound = bind(c->source.fd, (struct sockaddr *)&at, sizeof(at));
	umask(mask);
	if (bound != 0 || listen(c->source.fd, CLIENTS_MAX) != 0 ||
	    !server_watch(server, &c->source, EPOLLIN, true))
		return err_because(ERR_IO, why, "cannot listen on %s: %s", path, strerror(errno));
	memcpy(c->path, path, strlen(path));
	return ERR_OK;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (c->clients[i].source.fd >= 0)
			control_close(&c->clients[i]);
	}
	if (c->path[0])
		unlink(c->path);
	if (c->source.fd >= 0)
		close(c->source.fd);
	free(c);
}

enum err control_ask(const char *path, const char *line, struct buf *out)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct pollfd p = {.events = POLLIN};
	char text[LINE_BYTES_MAX];
	enum err e = ERR_IO;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return ERR_IO;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	snprintf(text, sizeof(text), "%s\n", line);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		goto out;
	p.fd = fd;
	for (;;) {
		uint8_t bytes[4096];
		ssize_t n;

		if (poll(&p, 1, ASK_TIMEOUT_MS) <= 0) {
			e = ERR_EXPIRED;
			break;
		}
		n = recv(fd, bytes, sizeof(bytes), 0);
		if (n <= 0) {
			e = n == 0 ? out->err : ERR_IO;
			break;
		}
		buf_put(out, bytes, (size_t)n);
	}
out:
	close(fd);
	return e;
}
