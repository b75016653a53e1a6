// SPDX-License-Identifier: GPL-3.0-or-later
// TLS over a non-blocking socket: io/tls does the cryptography in memory, this file moves its
// ciphertext. What is sealed and not yet sent waits in one bounded buffer.
#include "io/tls_stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "io/sock.h"

#define RECEIVE_BYTES 16384
// A record's header, content type and tag, over at most 16,383 bytes of plaintext.
#define RECORD_OVERHEAD	    64
#define HANDSHAKE_BYTES_MAX 65536
#define USER_TIMEOUT_MS	    30000

enum tls_stream_state {
	STREAM_DEAD = 0,
	STREAM_CONNECTING,
	STREAM_HANDSHAKE,
	STREAM_OPEN,
};

struct tls_stream {
	struct tls_session *tls;
	int fd;
	enum tls_stream_state state;
	enum err err; // why it is dead
	size_t pending_max;
	size_t sent; // of out
	struct buf out;
	uint8_t in[RECEIVE_BYTES];
};

static void tls_stream_sink(void *context, struct slice ciphertext)
{
	struct tls_stream *s = context;

	buf_put_slice(&s->out, ciphertext); // its sticky error is looked at in tls_stream_flush
}

static enum err tls_stream_fail(struct tls_stream *s, enum err e)
{
	if (s->state != STREAM_DEAD)
		s->err = e;
	s->state = STREAM_DEAD;
	return s->err;
}

// Takes fd in every case.
static enum err must_check tls_stream_new(int fd, struct tls_context *c, bool server,
					  size_t pending_max, struct tls_stream **out)
{
	struct tls_stream *s = calloc(1, sizeof(*s));
	enum err e;

	if (!s) {
		close(fd);
		return ERR_NOMEM;
	}
	s->fd = fd;
	s->pending_max = pending_max;
	buf_init_growing(&s->out, pending_max + HANDSHAKE_BYTES_MAX);
	sock_tune(fd, USER_TIMEOUT_MS);
	e = tls_session_new(c, server, tls_stream_sink, s, &s->tls);
	if (e) {
		tls_stream_close(s);
		return e;
	}
	s->state = STREAM_HANDSHAKE;
	*out = s;
	return ERR_OK;
}

enum err tls_stream_connect(struct addr_port to, struct tls_context *c, const char *server_name,
			    size_t pending_max, struct tls_stream **out)
{
	struct sockaddr_storage address;
	socklen_t len = sock_address_to(to, &address);
	struct tls_stream *s;
	enum err e;
	int fd;

	fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_IO;
	if (connect(fd, (struct sockaddr *)&address, len) != 0 && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		errno = error;
		return ERR_IO;
	}
	e = tls_stream_new(fd, c, false, pending_max, &s);
	if (e)
		return e;
	s->state = STREAM_CONNECTING;
	if (server_name)
		e = tls_set_server_name(s->tls, server_name);
	if (e) {
		tls_stream_close(s);
		return e;
	}
	*out = s;
	return ERR_OK;
}

enum err tls_stream_accept(int fd, struct tls_context *c, size_t pending_max,
			   struct tls_stream **out)
{
	return tls_stream_new(fd, c, true, pending_max, out);
}

static enum err must_check tls_stream_finish_connect(struct tls_stream *s, struct reason *why)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int error = 0;

	if (poll(&p, 1, 0) == 0)
		return ERR_AGAIN;
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0) {
		errno = error;
		return err_because(tls_stream_fail(s, ERR_IO), why, "connect: %s", strerror(error));
	}
	s->state = STREAM_HANDSHAKE;
	return ERR_OK;
}

static enum err must_check tls_stream_flush(struct tls_stream *s)
{
	if (s->out.err)
		return tls_stream_fail(s, s->out.err);
	while (s->sent < s->out.len) {
		ssize_t n = send(s->fd, s->out.ptr + s->sent, s->out.len - s->sent, MSG_NOSIGNAL);

		if (n > 0)
			s->sent += (size_t)n;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return ERR_OK;
		else if (n < 0 && errno != EINTR)
			return tls_stream_fail(s, errno == EPIPE || errno == ECONNRESET ? ERR_CLOSED
											: ERR_IO);
	}
	buf_reset(&s->out);
	s->sent = 0;
	return ERR_OK;
}

// Received ciphertext to the session. Only when it has used up what it was offered before.
static enum err must_check tls_stream_receive(struct tls_stream *s)
{
	ssize_t n;

	do
		n = recv(s->fd, s->in, sizeof(s->in), 0);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		tls_offer(s->tls, slice_make(s->in, (size_t)n));
		return ERR_OK;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return ERR_AGAIN;
	return tls_stream_fail(s, n == 0 || errno == ECONNRESET ? ERR_CLOSED : ERR_IO);
}

static enum err must_check tls_stream_handshake(struct tls_stream *s, struct reason *why)
{
	for (;;) {
		enum err e = tls_handshake(s->tls, why);
		// An alert that says why we refuse must still leave.
		enum err flushed = tls_stream_flush(s);

		if (e == ERR_OK) {
			s->state = STREAM_OPEN;
			return flushed;
		}
		if (e != ERR_AGAIN)
			return tls_stream_fail(s, e);
		if (flushed)
			return err_because(flushed, why, "connection lost in the handshake");
		e = tls_stream_receive(s);
		if (e == ERR_AGAIN)
			return e;
		if (e)
			return err_because(e, why, "connection lost in the handshake");
	}
}

enum err tls_stream_advance(struct tls_stream *s, struct reason *why)
{
	enum err e = ERR_OK;

	if (s->state == STREAM_CONNECTING)
		e = tls_stream_finish_connect(s, why);
	if (!e && s->state == STREAM_HANDSHAKE)
		e = tls_stream_handshake(s, why);
	if (!e && s->state == STREAM_OPEN) {
		e = tls_stream_flush(s);
		if (e)
			return err_because(e, why, "connection lost");
	}
	return s->state == STREAM_DEAD ? s->err : e;
}

short tls_stream_events(const struct tls_stream *s)
{
	if (s->state == STREAM_CONNECTING)
		return POLLOUT;
	return s->sent < s->out.len ? POLLIN | POLLOUT : POLLIN;
}

enum err tls_stream_read(struct tls_stream *s, void *out, size_t cap, size_t *len)
{
	while (s->state == STREAM_OPEN) {
		enum err e = tls_read(s->tls, out, cap, len);

		if (e == ERR_OK)
			return ERR_OK;
		if (e != ERR_AGAIN)
			return tls_stream_fail(s, e);
		e = tls_stream_receive(s);
		if (e)
			return e;
	}
	return s->state == STREAM_DEAD ? s->err : ERR_AGAIN;
}

enum err tls_stream_write(struct tls_stream *s, struct slice data)
{
	size_t records = data.len / TLS_RECORD_PLAINTEXT_MAX + 1;
	enum err e;

	if (s->state != STREAM_OPEN)
		return s->state == STREAM_DEAD ? s->err : ERR_AGAIN;
	if (data.len > s->pending_max ||
	    tls_stream_pending(s) + data.len + records * RECORD_OVERHEAD > s->pending_max)
		return ERR_FULL;
	// Sent bytes go first, so that a queue which never empties does not grow for ever.
	if (s->sent > 0) {
		memmove(s->out.ptr, s->out.ptr + s->sent, s->out.len - s->sent);
		s->out.len -= s->sent;
		s->sent = 0;
	}
	e = tls_write(s->tls, data);
	if (e)
		return tls_stream_fail(s, e);
	return tls_stream_flush(s);
}

size_t tls_stream_pending(const struct tls_stream *s)
{
	return s->out.len - s->sent;
}

const struct tls_session *tls_stream_session(const struct tls_stream *s)
{
	return s->tls;
}

int tls_stream_fd(const struct tls_stream *s)
{
	return s->fd;
}

void tls_stream_close(struct tls_stream *s)
{
	if (!s)
		return;
	if (s->state == STREAM_OPEN && tls_stream_pending(s) == 0) {
		enum err e;

		tls_close_notify(s->tls);
		e = tls_stream_flush(s); // best effort
		(void)e;
	}
	tls_session_free(s->tls);
	buf_deinit(&s->out);
	close(s->fd);
	free(s);
}
