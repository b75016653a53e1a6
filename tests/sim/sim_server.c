// SPDX-License-Identifier: GPL-3.0-or-later
// The HTTP/1.1 server of a pod: answers each request with a body only it could have made, one message at a
// time, and sees to it that nothing comes which it should not see. See sim_end.h.
#include <stdio.h>

#include "sim/sim.h"
#include "sim/sim_end.h"

#define READ_MAX 4096

void http_server_init(struct end *e)
{
	struct http_server *s = &e->server;

	e->script.resets = !sim_world.calm && e->script.resets;
	if (sim_world.calm)
		return;
	if (sim_chance(200))
		s->idle_close_after = 1 + (uint32_t)sim_random(3);
	if (sim_chance(100))
		s->quits_at = 1 + (uint32_t)sim_random(3000);
	if (sim_chance(50))
		s->babbles = 300;
}

// ---- answers -----------------------------------------------------------------------------------

static void server_compose(struct end *e)
{
	struct http_server *s = &e->server;
	uint32_t id = e->reader.id, body = message_response_bytes(id);
	bool chunked = s->want & WANT_CHUNKED, to_end = s->want & WANT_TO_END;
	char framing[48];

	if (to_end)
		snprintf(framing, sizeof(framing), "Connection: close\r\n");
	else if (chunked)
		snprintf(framing, sizeof(framing), "Transfer-Encoding: chunked\r\n");
	else
		snprintf(framing, sizeof(framing), "Content-Length: %u\r\n", body);
	snprintf(e->writer.text, sizeof(e->writer.text),
		 "%sHTTP/1.1 200 OK\r\nX-Id: %u\r\n%s%s\r\n",
		 s->want & WANT_INTERIM ? "HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n" : "", id,
		 framing,
		 !to_end && (s->want & WANT_CLOSE || (s->told && sim_chance(500)))
			 ? "Connection: close\r\n"
			 : "");
	message_pad(e->writer.text, sizeof(e->writer.text));
	s->closing = s->told || s->want & (WANT_TO_END | WANT_CLOSE);
	writer_begin(&e->writer, id, body, chunked && !to_end);
}

static void server_upgrade(struct end *e)
{
	snprintf(e->writer.text, sizeof(e->writer.text),
		 "HTTP/1.1 101 Switching Protocols\r\nX-Id: %u\r\nConnection: Upgrade\r\n"
		 "Upgrade: websocket\r\n\r\n",
		 e->reader.id);
	writer_begin(&e->writer, e->reader.id, 0, false);
	e->upgraded = true;
	e->received = 0;
}

static void server_answer(struct end *e)
{
	struct http_server *s = &e->server;

	s->served++;
	s->answering = true;
	if (sim_chance(s->babbles)) {
		snprintf(e->writer.text, sizeof(e->writer.text), "HTTP/9 what\r\never\r\n\r\n");
		writer_begin(&e->writer, 0, 0, false);
		s->closing = true;
	} else if (s->want & WANT_UPGRADE) {
		server_upgrade(e);
	} else {
		server_compose(e);
	}
}

static bool server_write(struct end *e)
{
	struct http_server *s = &e->server;
	bool acted;

	if (!s->answering)
		return false;
	acted = writer_step(e);
	if (s->quits_at && e->writer.body_at >= s->quits_at && !(s->want & WANT_TO_END)) {
		end_close(e, false); // in the midst of it
		return true;
	}
	if (writer_is_done(&e->writer)) {
		s->answering = false;
		acted = true;
		e->sent = e->upgraded ? 0 : e->sent;
	}
	return acted;
}

// ---- requests ----------------------------------------------------------------------------------

static bool server_is_told_twice(const char *head)
{
	const char *once = strstr(head, "Connection: ");

	return once && strstr(once + 1, "Connection: ");
}

static enum reader_event server_head(struct end *e)
{
	struct http_server *s = &e->server;
	struct reader *r = &e->reader;

	if (strstr(r->head, "admin"))
		sim_fail("http server %x is asked for /admin: %s", e->id, r->head);
	r->id = message_value(r->head, "X-Id: ");
	s->want = message_value(r->head, "X-Want: ");
	s->told = strstr(r->head, "Connection: close") != NULL;
	if (server_is_told_twice(r->head) ||
	    (!s->told && (s->want & WANT_DELETE) && (s->want & WANT_BODY)))
		sim_fail("http server %x is not told once to close: %s", e->id, r->head);
	s->early = s->want & WANT_EARLY;
	if (s->early)
		server_answer(e);
	if (strstr(r->head, "Transfer-Encoding: chunked"))
		return reader_begin_body(r, READ_CHUNK_LINE, 0);
	return reader_begin_body(r, READ_BODY, message_value(r->head, "Content-Length: "));
}

static void server_whole(struct end *e)
{
	if (e->reader.body_at !=
	    (e->server.want & WANT_BODY ? message_request_bytes(e->reader.id) : 0))
		sim_fail("http server %x gets %u bytes of request %x", e->id, e->reader.body_at,
			 e->reader.id);
	if (!e->server.early)
		server_answer(e);
	e->server.early = false;
	reader_next(&e->reader);
}

static bool server_read(struct end *e)
{
	uint8_t bytes[READ_MAX];
	uint32_t room = reader_room(&e->reader), n, used;
	bool busy = e->server.answering && !e->server.early;

	if (e->fin_seen)
		return false;
	// The next request comes when this one has been answered.
	if (busy && sim_net_readable(e->fd) > 0 && e->reader.state == READ_HEAD)
		sim_fail("http server %x gets another request before it has answered", e->id);
	if (busy || (e->server.closing && !e->server.early))
		return false;
	if (e->reader.state == READ_HEAD)
		room = READ_MAX; // nothing comes behind a request before its answer
	n = sim_net_read(e->fd, bytes, room < READ_MAX ? room : READ_MAX);
	if (n == 0) {
		e->fin_seen = sim_net_at_fin(e->fd);
		return e->fin_seen;
	}
	e->received += n;
	for (uint32_t at = 0; at < n; at += used) {
		enum reader_event event = reader_take(e, bytes + at, n - at, &used);

		if (event == READER_HEAD_DONE)
			event = server_head(e);
		if (event != READER_MESSAGE_DONE)
			continue;
		server_whole(e);
		if (at + used < n)
			sim_fail("http server %x gets more than the request that it was asked",
				 e->id);
	}
	return true;
}

bool http_server_step(struct end *e)
{
	struct http_server *s = &e->server;

	if (e->script.resets && e->received >= e->script.reset_after) {
		end_close(e, true);
		return true;
	}
	if (server_write(e) || server_read(e))
		return true;
	if (s->answering)
		return false;
	if (e->fin_seen || (s->closing && !s->early) ||
	    (s->idle_close_after && s->served >= s->idle_close_after)) {
		end_close(e, false);
		return true;
	}
	return false;
}
