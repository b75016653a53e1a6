// SPDX-License-Identifier: GPL-3.0-or-later
// Clients of the admin listener; see admin.h. The pages are in admin_pages.c.
#include "control/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/clock.h"
#include "control/admin_pages.h"

#define HEAD_BYTES_MAX	 256
#define ACCEPTS_PER_TURN 32
#define DISCARDS_MAX	 32

void admin_init(struct admin *a, const struct admin_options *options)
{
	*a = (struct admin){.options = *options};
	for (int i = 0; i < ADMIN_CLIENTS_MAX; i++)
		a->clients[i].fd = -1;
}

static void client_close(struct admin_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	buf_deinit(&c->answer);
	c->fd = -1;
}

void admin_deinit(struct admin *a)
{
	for (int i = 0; i < ADMIN_CLIENTS_MAX; i++)
		client_close(&a->clients[i]);
}

// ---- answers -----------------------------------------------------------------------------------

static const char *status_words(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 431:
		return "Request Header Fields Too Large";
	default:
		return "Service Unavailable";
	}
}

static void route(const struct admin_options *o, struct slice request, struct admin_answer *a)
{
	struct slice line = slice_make(request.ptr, slice_find(request, '\r'));
	size_t method = slice_find(line, ' ');
	struct slice path = slice_make(line.ptr + method, line.len - method);

	if (path.len < 2 || path.ptr[1] != '/') {
		a->status = 400;
		return;
	}
	if (!slice_eq_str(slice_make(line.ptr, method), "GET")) {
		a->status = 405;
		return;
	}
	path = slice_make(path.ptr + 1, path.len - 1);
	path.len = slice_find(path, ' ');
	path.len = slice_find(path, '?');
	if (!admin_page(o, path, a))
		a->status = 404;
}

// Head and body into one buffer; what cannot be held becomes a 503.
static void client_answer(struct admin_client *c, struct admin_answer *a, uint64_t now_ns)
{
	if (a->body.err != ERR_OK) {
		a->status = 503;
		a->type = "text/plain";
		buf_reset(&a->body);
	}
	if (a->status != 200 && a->body.len == 0)
		buf_printf(&a->body, "%s\n", status_words(a->status));
	buf_init_growing(&c->answer, HEAD_BYTES_MAX + ADMIN_ANSWER_BYTES_MAX);
	buf_printf(&c->answer,
		   "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
		   "Connection: close\r\n\r\n",
		   a->status, status_words(a->status), a->type, a->body.len,
		   a->status == 405 ? "Allow: GET\r\n" : "");
	buf_put_slice(&c->answer, buf_slice(&a->body));
	c->answering = true;
	c->sent = 0;
	c->deadline_ns = now_ns + ADMIN_TAKE_MS * NS_PER_MS;
}

static void client_serve(struct admin *admin, struct admin_client *c, int status, uint64_t now_ns)
{
	struct admin_answer a = {.status = status, .type = "text/plain"};

	buf_init_growing(&a.body, ADMIN_ANSWER_BYTES_MAX);
	if (status == 200)
		route(&admin->options, slice_make(c->request, c->request_bytes), &a);
	client_answer(c, &a, now_ns);
	buf_deinit(&a.body);
}

// ---- clients -----------------------------------------------------------------------------------

static void client_send(struct admin_client *c)
{
	while (c->sent < c->answer.len) {
		ssize_t n = send(c->fd, c->answer.ptr + c->sent, c->answer.len - c->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			break; // the client went
		c->sent += (size_t)n;
	}
	// What it still sends would make close() a reset, which could overtake the answer.
	shutdown(c->fd, SHUT_WR);
	for (int i = 0; i < DISCARDS_MAX; i++) {
		if (recv(c->fd, c->request, sizeof(c->request), MSG_DONTWAIT) <= 0)
			break;
	}
	client_close(c);
}

// Reads what is there. A request is whole at the first empty line.
static void client_read(struct admin *a, struct admin_client *c, uint64_t now_ns)
{
	ssize_t n = recv(c->fd, c->request + c->request_bytes,
			 sizeof(c->request) - c->request_bytes, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	c->request_bytes += (uint32_t)n;
	if (memmem(c->request, c->request_bytes, "\r\n\r\n", 4))
		client_serve(a, c, 200, now_ns);
	else if (c->request_bytes == sizeof(c->request))
		client_serve(a, c, 431, now_ns);
	if (c->answering)
		client_send(c);
}

// A free place, or the oldest client's: who asks at once is always answered.
static struct admin_client *admin_place(struct admin *a)
{
	struct admin_client *oldest = &a->clients[0];

	for (int i = 0; i < ADMIN_CLIENTS_MAX; i++) {
		struct admin_client *c = &a->clients[i];

		if (c->fd < 0)
			return c;
		if (c->since_ns < oldest->since_ns)
			oldest = c;
	}
	client_close(oldest);
	return oldest;
}

static void admin_accept(struct admin *a, uint64_t now_ns)
{
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(a->options.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct admin_client *c;

		if (fd < 0)
			return;
		c = admin_place(a);
		c->fd = fd;
		c->answering = false;
		c->request_bytes = 0;
		c->since_ns = now_ns + (uint64_t)i; // in order, within a turn too
		c->deadline_ns = now_ns + ADMIN_ASK_MS * NS_PER_MS;
		c->answer = (struct buf){0};
		client_read(a, c, now_ns); // mostly it is there already
	}
}

// ---- the turn ----------------------------------------------------------------------------------

uint32_t admin_poll(const struct admin *a, bool listening, struct pollfd fds[ADMIN_FDS_MAX])
{
	uint32_t count = 0;

	if (listening)
		fds[count++] = (struct pollfd){.fd = a->options.listen_fd, .events = POLLIN};
	for (int i = 0; i < ADMIN_CLIENTS_MAX; i++) {
		const struct admin_client *c = &a->clients[i];

		if (c->fd >= 0)
			fds[count++] = (struct pollfd){.fd = c->fd,
						       .events = c->answering ? POLLOUT : POLLIN};
	}
	return count;
}

int admin_timeout_ms(const struct admin *a, uint64_t now_ns, int max_ms)
{
	int least_ms = max_ms;

	for (int i = 0; i < ADMIN_CLIENTS_MAX; i++) {
		const struct admin_client *c = &a->clients[i];

		if (c->fd < 0)
			continue;
		uint64_t left_ms =
			c->deadline_ns > now_ns ? (c->deadline_ns - now_ns) / NS_PER_MS + 1 : 0;

		if (left_ms < (uint64_t)least_ms)
			least_ms = (int)left_ms;
	}
	return least_ms;
}

static const struct pollfd *find_fd(const struct pollfd *fds, uint32_t count, int fd)
{
	for (uint32_t i = 0; i < count; i++) {
		if (fds[i].fd == fd && fds[i].revents)
			return &fds[i];
	}
	return NULL;
}

void admin_turn(struct admin *a, const struct pollfd *fds, uint32_t count, uint64_t now_ns)
{
	for (int i = 0; i < ADMIN_CLIENTS_MAX; i++) {
		struct admin_client *c = &a->clients[i];

		if (c->fd < 0)
			continue;
		if (now_ns >= c->deadline_ns)
			client_close(c);
		else if (find_fd(fds, count, c->fd) && c->answering)
			client_send(c);
		else if (find_fd(fds, count, c->fd))
			client_read(a, c, now_ns);
	}
	if (find_fd(fds, count, a->options.listen_fd))
		admin_accept(a, now_ns);
}
