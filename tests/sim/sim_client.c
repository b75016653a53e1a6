// SPDX-License-Identifier: GPL-3.0-or-later
// The HTTP/1.1 client: a few requests, pipelined or not, some of them for nobody (/admin); it knows what has
// to come back for each. See sim_end.h.
#include <stdio.h>

#include "sim/sim.h"
#include "sim/sim_end.h"

#define READ_MAX 4096

// In a calm world what ends the connection comes last, and who asks for it does not stall: a proxy
// need not linger for ever.
static uint32_t client_choose(struct end *e, bool last)
{
	uint32_t want = 0;

	want |= sim_chance(200) ? WANT_ADMIN : 0;
	want |= sim_chance(300) ? WANT_BODY : 0;
	want |= sim_chance(250) ? WANT_CHUNKED : 0;
	want |= sim_chance(300) ? WANT_DELETE : 0;
	want |= sim_chance(100) ? WANT_INTERIM : 0;
	if (!last && sim_world.calm) {
		if (want & WANT_ADMIN)
			want &= ~(uint32_t)WANT_BODY;
		return want;
	}
	if (sim_chance(last ? 300 : 50))
		want |= WANT_CLOSE;
	if (sim_chance(last ? 150 : 30))
		want |= WANT_TO_END;
	else if (sim_chance(last ? 150 : 30))
		want |= WANT_EARLY | WANT_BODY;
	else if (last && sim_chance(250))
		want = WANT_UPGRADE | (want & (WANT_ADMIN | WANT_INTERIM));
	if (sim_world.calm && (want & (WANT_EARLY | WANT_ADMIN)))
		e->script.stall_after = UINT32_MAX;
	return want;
}

void http_client_init(struct end *e)
{
	struct http_client *c = &e->client;

	c->requests = 1 + (uint32_t)sim_random(END_REQUESTS_MAX);
	c->pipeline = 1 + (uint32_t)sim_random(3);
	// Any answer may be the last one, when its node renews: who has asked for more and does not read loses it.
	if (sim_world.calm && c->pipeline > 1)
		e->script.stall_after = UINT32_MAX;
	for (uint32_t i = 0; i < c->requests; i++)
		c->wants[i] = (uint16_t)client_choose(e, i + 1 == c->requests);
}

// ---- requests ----------------------------------------------------------------------------------

static void client_compose(struct end *e)
{
	static const char *const paths[] = {"/r/", "/r//", "/x/../r/", "/%72/"};
	static const char *const admin[] = {"/admin/", "//admin/", "/x/../admin/", "/%61dmin/"};
	struct http_client *c = &e->client;
	uint32_t id = message_id(e, c->sent), want = c->wants[c->sent];
	uint32_t body = want & WANT_BODY ? message_request_bytes(id) : 0;
	bool chunked = (want & WANT_BODY) && (want & WANT_CHUNKED);
	char framing[48] = "";

	if (chunked)
		snprintf(framing, sizeof(framing), "Transfer-Encoding: chunked\r\n");
	else if (want & WANT_BODY)
		snprintf(framing, sizeof(framing), "Content-Length: %u\r\n", body);
	snprintf(e->writer.text, sizeof(e->writer.text),
		 "%s %s%u HTTP/1.1\r\nHost: web.shop\r\nX-Id: %u\r\nX-Want: %u\r\n%s%s%s\r\n",
		 want & WANT_DELETE ? "DELETE"
		 : want & WANT_BODY ? "POST"
				    : "GET",
		 (want & WANT_ADMIN ? admin : paths)[sim_random(4)], c->sent, id, want, framing,
		 want & WANT_CLOSE ? "Connection: close\r\n" : "",
		 want & WANT_UPGRADE ? "Connection: Upgrade\r\nUpgrade: websocket\r\n" : "");
	message_pad(e->writer.text, sizeof(e->writer.text));
	writer_begin(&e->writer, id, body, chunked);
	c->writing = true;
}

static bool client_write(struct end *e)
{
	struct http_client *c = &e->client;
	bool acted = false;

	if (e->fin_seen || e->fin_sent)
		return false;
	if (!c->writing) {
		if (c->sent == c->requests || c->sent >= c->answered + c->pipeline)
			return false;
		client_compose(e);
	}
	acted = writer_step(e);
	if (writer_is_done(&e->writer)) {
		c->writing = false;
		c->sent++;
		acted = true;
	}
	return acted;
}

// ---- answers -----------------------------------------------------------------------------------

static void client_judge_status(struct end *e, uint32_t want)
{
	const struct reader *r = &e->reader;
	uint32_t expected = message_id(e, e->client.answered);
	bool local = r->id == 0;

	if (!local && (r->id != expected || (want & WANT_ADMIN)))
		sim_fail("http client %x gets answer %x to request %x%s", e->id, r->id, expected,
			 want & WANT_ADMIN ? ", which is for nobody" : "");
	if (!sim_world.calm)
		return;
	if (local ? r->status != 403 || !(want & WANT_ADMIN)
		  : r->status != (want & WANT_UPGRADE ? 101 : 200))
		sim_fail("http client %x gets %u to request %x in a calm world", e->id, r->status,
			 expected);
}

static void client_answered(struct end *e)
{
	struct http_client *c = &e->client;
	const struct reader *r = &e->reader;

	if (r->id && r->body_at != message_response_bytes(r->id))
		sim_fail("http client %x gets %u of %u bytes of answer %x", e->id, r->body_at,
			 message_response_bytes(r->id), r->id);
	c->answered++;
	sim_totals.requests++;
	reader_next(&e->reader);
}

static void client_upgrade(struct end *e)
{
	struct end *server = end_upgraded_by(e->reader.id);

	if (!server)
		sim_fail("http client %x gets a 101 that nobody sent", e->id);
	e->client.answered++;
	sim_totals.requests++;
	e->upgraded = true;
	e->sent = e->received = 0;
	end_meet(e, server);
}

// The head of an answer is whole.
static enum reader_event client_head(struct end *e)
{
	struct http_client *c = &e->client;
	struct reader *r = &e->reader;
	uint32_t want = c->answered < c->requests ? c->wants[c->answered] : 0;
	bool close = strstr(r->head, "Connection: close") != NULL;

	r->status = (uint16_t)message_value(r->head, "HTTP/1.1 ");
	r->id = message_value(r->head, "X-Id: ");
	sim_trace("http client %x gets %u for request %u", e->id, r->status, c->answered);
	if (c->answered >= c->sent + c->writing)
		sim_fail("http client %x gets an answer to nothing: %s", e->id, r->head);
	if (r->status < 200 && r->status != 101) {
		reader_next(r);
		return READER_MORE;
	}
	client_judge_status(e, want);
	if (close && sim_world.calm && !sim_world.renewed && r->id && !(want & WANT_LAST))
		sim_fail("http client %x is told to close by the answer to %x", e->id, r->id);
	if (r->status == 101) {
		client_upgrade(e);
		return READER_MORE;
	}
	// What was to follow is not for this connection any more.
	if (close)
		c->requests = c->answered + 1;
	if (strstr(r->head, "Transfer-Encoding: chunked"))
		return reader_begin_body(r, READ_CHUNK_LINE, 0);
	if (strstr(r->head, "Content-Length: "))
		return reader_begin_body(r, READ_BODY, message_value(r->head, "Content-Length: "));
	return reader_begin_body(r, READ_TO_END, 0);
}

static void client_fin(struct end *e)
{
	struct reader *r = &e->reader;

	e->fin_seen = true;
	sim_trace("end %x sees FIN", e->id);
	if (r->state == READ_TO_END)
		client_answered(e);
	else if (r->state != READ_HEAD || r->head_bytes > 0)
		sim_fail("http client %x sees FIN in the midst of an answer", e->id);
}

static bool client_read(struct end *e)
{
	uint8_t bytes[READ_MAX];
	uint32_t n = sim_chance(300) ? 1 + (uint32_t)sim_random(100) : READ_MAX, used;

	// What comes behind a 101 is the stream's.
	if ((e->client.wants[e->client.requests - 1] & WANT_UPGRADE) && n > reader_room(&e->reader))
		n = reader_room(&e->reader);
	n = sim_net_read(e->fd, bytes, n);
	if (n == 0 && sim_net_at_fin(e->fd) && !e->fin_seen) {
		client_fin(e);
		return true;
	}
	e->received += n;
	for (uint32_t at = 0; at < n; at += used) {
		enum reader_event event = reader_take(e, bytes + at, n - at, &used);

		if (event == READER_HEAD_DONE)
			event = client_head(e);
		if (event == READER_MESSAGE_DONE)
			client_answered(e);
	}
	return n > 0;
}

bool http_client_step(struct end *e)
{
	struct http_client *c = &e->client;

	if (e->script.resets && e->received >= e->script.reset_after) {
		end_close(e, true);
		return true;
	}
	if (e->script.stall_after != UINT32_MAX && e->received >= e->script.stall_after) {
		e->script.stall_after = UINT32_MAX;
		e->wake_ns = sim.now_ns + e->script.stall_ns;
		return true;
	}
	if (sim_chance(500) ? client_read(e) || client_write(e) : client_write(e) || client_read(e))
		return true;
	if (e->fin_seen) {
		end_close(e, false);
		return true;
	}
	if (c->answered >= c->requests && !e->fin_sent) {
		e->fin_sent = true;
		sim_net_shutdown(e->fd);
		return true;
	}
	return false;
}

void http_check_end(const struct end *e)
{
	if (!e->is_client || !sim_world.calm || e->script.resets)
		return;
	if (e->refused || (e->rst_seen && e->client.answered < e->client.requests))
		sim_fail("http client %x was %s in a calm world", e->id,
			 e->refused ? "refused" : "reset");
	if (e->client.answered < e->client.requests)
		sim_fail("http client %x got %u of %u answers in a calm world", e->id,
			 e->client.answered, e->client.requests);
}
