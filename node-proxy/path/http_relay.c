// SPDX-License-Identifier: GPL-3.0-or-later
// L7 relay: an allowed request and its response on their way, framed, forwarded byte for byte but for what
// core/http1_edit changes in their heads. Full duplex: interim and early responses arrive while the
// body is still going out. What follows a message's end is left unread.
#include "path/http.h"
#include "path/leave.h"
#include "path/stages.h"
#include "path/worker.h"
#include "path/worker_log.h"

static enum step http_forward(struct exchange *x, enum side from, size_t bytes)
{
	enum side to = from == DOWN ? UP : DOWN;
	enum err err = leg_write(&x->leg[to], slice_make(x->in[from].ptr, bytes));

	exchange_consume(x, from, bytes);
	if (err == ERR_NOMEM)
		return exchange_end(x, END_OVERLOADED);
	return STEP_WAIT;
}

// The head at the front of in[from], with its changes.
static enum step http_forward_head(struct exchange *x, enum side from, size_t head_bytes,
				   const struct http1_edit *edit)
{
	struct leg *to = &x->leg[from == DOWN ? UP : DOWN];
	struct slice head = slice_make(x->in[from].ptr, head_bytes), piece;
	uint32_t at = 0;

	if (edit->count == 0)
		return http_forward(x, from, head_bytes);
	while (http1_edit_next(edit, head, &at, &piece)) {
		if (leg_write(to, piece) == ERR_NOMEM)
			return exchange_end(x, END_OVERLOADED);
	}
	exchange_consume(x, from, head_bytes);
	return STEP_WAIT;
}

static enum step http_forward_request_head(struct exchange *x)
{
	struct http *h = x->http;
	uint32_t head_bytes = h->head_bytes;

	h->head_bytes = 0;
	h->request_forwarded = true;
	h->reused = x->leg[UP].bytes_out > 0;
	return http_forward_head(x, DOWN, head_bytes, &h->edit);
}

// The body breaks its grammar. What was good of it is with the pod, whose connection ends in the middle of a
// message.
static enum step http_bad_body(struct exchange *x)
{
	struct http *h = x->http;

	leg_close(&x->leg[UP], false, TUNNEL_REASON_NONE);
	exchange_consume(x, UP, x->in[UP].len);
	if (!h->response_begun)
		return http_refuse(x, 400, END_BAD_REQUEST, h->request.error);
	h->error = h->request.error;
	return exchange_end(x, END_BAD_REQUEST);
}

// Both messages have ended: what comes next on this connection?
static enum step http_messages_done(struct exchange *x)
{
	return x->http->keep_alive ? http_next(x) : finish_after_reply(x);
}

static void http_leave_pod(struct exchange *x)
{
	leg_close(&x->leg[UP], http1_is_complete(&x->http->request), TUNNEL_REASON_NONE);
	exchange_consume(x, UP, x->in[UP].len);
}

// The answer of a pod that was asked to close is whole. Its end is awaited, so that the port of the
// client's address is the pod's to keep; what it still sends is no answer. A body that it does not take any
// more goes nowhere, and the next request comes behind it.
static enum step http_end_with_pod(struct exchange *x)
{
	struct http *h = x->http;
	struct leg *up = &x->leg[UP];

	if (!h->ending)
		x->linger_bytes = 0;
	h->ending = true;
	if (x->in[UP].len > 0) {
		h->error = "bytes behind the response";
		http_leave_pod(x);
	}
	if (leg_is_open(up) && up->read_fin)
		http_leave_pod(x);
	if (!leg_is_open(up) && http1_is_complete(&h->request)) {
		exchange_cancel_timer(x);
		return http_messages_done(x);
	}
	if (!leg_is_open(up))
		exchange_set_timer(x, LINGER_MS);
	else if (http1_is_complete(&h->request))
		exchange_set_timer(x, POD_END_MS);
	return STEP_WAIT;
}

// After the request's end its part is done; the exchange waits for the response's.
static enum step http_request_done(struct exchange *x)
{
	if (x->http->ending)
		return http_end_with_pod(x);
	return http1_is_complete(&x->http->response) ? http_messages_done(x) : STEP_WAIT;
}

// The body goes nowhere.
static enum step http_discard_request(struct exchange *x)
{
	struct http *h = x->http;
	bool complete;
	size_t used;

	if (http1_body(&h->request, x->in[DOWN], &used, &complete) != ERR_OK)
		return http_bad_body(x);
	exchange_consume(x, DOWN, used);
	x->linger_bytes += (uint32_t)used;
	if (x->linger_bytes > LINGER_BYTES_MAX) {
		h->keep_alive = false;
		return finish_after_reply(x);
	}
	return complete ? http_request_done(x) : STEP_WAIT;
}

enum step http_end_timeout(struct exchange *x)
{
	struct http *h = x->http;

	http_leave_pod(x);
	h->keep_alive = h->keep_alive && http1_is_complete(&h->request);
	return http_messages_done(x);
}

enum step http_relay_request(struct exchange *x)
{
	struct http *h = x->http;
	bool complete;
	size_t used;

	if (!leg_is_open(&x->leg[UP])) // the response, or the upstream's end, is being dealt with
		return h->ending ? http_discard_request(x) : STEP_WAIT;
	if (h->head_bytes > 0) {
		enum step step = http_forward_request_head(x);

		if (step != STEP_WAIT)
			return step;
		http1_init_response(&h->response, h->to_head);
	}
	if (http1_is_complete(&h->request))
		return h->ending ? STEP_WAIT : http_request_done(x);
	if (http1_body(&h->request, x->in[DOWN], &used, &complete) != ERR_OK)
		return http_bad_body(x);
	if (used > 0) {
		enum step step = http_forward(x, DOWN, used);

		if (step != STEP_WAIT)
			return step;
		h->expects_continue = false;
	}
	return complete ? http_request_done(x) : STEP_WAIT;
}

// ---- the response ------------------------------------------------------------------------------

// The response has ended. An early one leaves a request that is still coming: the pod may be reading it, so
// it goes on, unless the pod has said that it closes, or the client may never send a body that it
// was not asked for.
static enum step http_response_done(struct exchange *x)
{
	struct http *h = x->http;

	if (h->pod_closes && h->keep_alive && !h->expects_continue)
		return http_end_with_pod(x);
	if (x->in[UP].len > 0 || h->pod_spent) {
		// No request asked for them, and the next one shall not get them.
		h->error = x->in[UP].len > 0 ? "bytes behind the response" : h->error;
		leg_close(&x->leg[UP], false, TUNNEL_REASON_NONE);
		exchange_consume(x, UP, x->in[UP].len);
	}
	if (http1_is_complete(&h->request))
		return http_messages_done(x);
	if (leg_is_open(&x->leg[UP]) && h->response_stays && !h->expects_continue)
		return STEP_WAIT;
	h->keep_alive = false;
	return finish_after_reply(x);
}

// 1xx but 101 pass and another head follows (RFC 9110 15.2).
static enum step http_interim(struct exchange *x, size_t head_bytes, const struct http1_edit *edit)
{
	struct http *h = x->http;

	h->interim_bytes += (uint32_t)head_bytes;
	if (h->interim_bytes > snapshot_meta(x->pin->snapshot)->header_bytes_max)
		return http_bad_response(x, "interim responses without an end");
	h->expects_continue = false;
	http1_init_response(&h->response, h->to_head);
	return http_forward_head(x, UP, head_bytes, edit);
}

// A 101 names what was offered, and nothing else (RFC 9110 7.8).
static bool http_is_upgrade(const struct http *h, const struct http1_message *m,
			    const struct http1_hop *hop)
{
	bool others;
	uint32_t named = http1_upgrades(m, hop, &others);

	return h->upgrades != 0 && !others && (named & ~h->upgrades) == 0;
}

// How the response's head goes on, and what becomes of both connections behind it.
static enum err http_edit_response(struct exchange *x, const struct http1_message *m,
				   struct slice head, struct http1_edit *edit)
{
	struct http *h = x->http;
	struct http1_hop hop = http_hop(x);

	hop.bodiless = http1_is_bodiless(m->status) && (m->has_length || m->chunked);
	hop.upgrade = m->status == 101 || m->status == 426; // which is told what to ask for
	if (m->status >= 200 && h->pod_closes) {
		// That it closes is what it was asked for, and says nothing about the client's connection.
		h->keep_alive = h->keep_alive && m->minor == 1 && !m->until_close;
		hop.stays = h->keep_alive;
	} else if (m->status >= 200) {
		h->keep_alive = h->keep_alive && m->keep_alive;
	}
	if (m->status >= 200 && h->keep_alive && leave_by_ns(x)) {
		// The last answer of the client's connection, which is told so.
		h->keep_alive = hop.stays = false;
		hop.close = true;
	}
	h->pod_spent = m->status == 204 && (m->chunked || m->content_length > 0);
	h->response_stays = m->keep_alive;
	return http1_edit_hop(edit, m, head, &hop);
}

static enum step http_response_head(struct exchange *x, size_t head_bytes)
{
	struct http *h = x->http;
	struct http1_message *m = x->worker->message;
	struct slice head = slice_make(x->in[UP].ptr, head_bytes);
	struct http1_hop hop = http_hop(x);
	struct http1_edit edit;

	edit.count = 0;
	if (http1_head(&h->response, head, m) != ERR_OK)
		return http_bad_response(x, h->response.error);
	if (http_edit_response(x, m, head, &edit) != ERR_OK)
		return http_bad_response(x, "Connection names too many fields");
	h->scanned[UP] = 0;
	if (m->status < 200 && m->status != 101)
		return http_interim(x, head_bytes, &edit);
	if (m->status == 101 && !http_is_upgrade(h, m, &hop))
		return http_bad_response(x, "101 without an upgrade");
	admission_leave(x);
	h->response_begun = true;
	h->status = m->status;
	h->response_head = m->status != 101;
	enum step step = http_forward_head(x, UP, head_bytes, &edit);

	return step == STEP_WAIT && m->status == 101 ? STEP_RELAY : step;
}

enum step http_bad_response(struct exchange *x, const char *error)
{
	struct http *h = x->http;

	h->error = error;
	leg_close(&x->leg[UP], false, TUNNEL_REASON_NONE);
	exchange_consume(x, UP, x->in[UP].len);
	if (!h->response_begun)
		return http_refuse(x, 502, END_BAD_RESPONSE, error);
	return exchange_end(x, END_BAD_RESPONSE);
}

// What does not begin as a response will not become one: nobody waits for its end.
static bool http_may_be_response(struct slice in)
{
	static const struct slice begin = {(const uint8_t *)"HTTP/1.", 7};

	return in.len < begin.len ? slice_starts(begin, in) : slice_starts(in, begin);
}

static enum step http_response_heads(struct exchange *x)
{
	uint32_t max = snapshot_meta(x->pin->snapshot)->header_bytes_max;
	struct http *h = x->http;

	while (!h->response_head && x->in[UP].len > 0) {
		size_t head_bytes = x->in[UP].len;
		enum err err = http1_find_head(x->in[UP], &h->scanned[UP], &head_bytes);

		if (err == ERR_MALFORMED)
			return http_bad_response(x, "malformed line in the response head");
		if (head_bytes > max)
			return http_bad_response(x, "response head is too large");
		if (err == ERR_AGAIN && !http_may_be_response(x->in[UP]))
			return http_bad_response(x, "no HTTP response");
		if (err == ERR_AGAIN)
			return STEP_WAIT;
		enum step step = http_response_head(x, head_bytes);

		if (step != STEP_WAIT)
			return step;
	}
	return STEP_WAIT;
}

enum step http_relay_response(struct exchange *x)
{
	struct http *h = x->http;
	bool complete;
	size_t used;
	enum step step;

	if (h->ending)
		return http_end_with_pod(x);
	step = http_response_heads(x);
	if (step != STEP_WAIT || !h->response_head)
		return step;
	if (http1_body(&h->response, x->in[UP], &used, &complete) != ERR_OK)
		return http_bad_response(x, h->response.error);
	if (used > 0) {
		step = http_forward(x, UP, used);
		if (step != STEP_WAIT)
			return step;
	}
	return complete ? http_response_done(x) : STEP_WAIT;
}

// The pod let a kept connection go while the request was on its way to it, without a byte of an answer. Its
// client, which kept the connection as well, is told what it would have seen without us: such a request
// is sent again by whoever may.
static enum step http_kept_connection_closed(struct exchange *x)
{
	struct http *h = x->http;

	h->error = "the pod closed a kept connection";
	h->keep_alive = false;
	exchange_end(x, END_SERVER_RESET);
	return finish_after_reply(x);
}

enum step http_upstream_ended(struct exchange *x, bool reset)
{
	struct http *h = x->http;

	if (h->ending) {
		http_leave_pod(x);
		return http_end_with_pod(x);
	}
	// A reset behind a whole response is no error; an end is what ends one without framing.
	if (h->response_head &&
	    (http1_is_complete(&h->response) || (!reset && http1_finish(&h->response)))) {
		h->keep_alive = false;
		return finish_after_reply(x);
	}
	if (x->in[UP].len > 0 && !reset)
		return http_bad_response(x, "response head ends early");
	if (h->response_begun)
		return exchange_end(x, END_SERVER_RESET);
	if (h->reused && h->interim_bytes == 0 && x->in[UP].len == 0)
		return http_kept_connection_closed(x);
	leg_close(&x->leg[UP], false, TUNNEL_REASON_NONE);
	exchange_consume(x, UP, x->in[UP].len);
	return http_refuse(x, 502, reset ? END_SERVER_RESET : END_BAD_RESPONSE,
			   "the pod closed the connection without an answer");
}

// The exchange is whole: log it and go for the next request of the connection.
enum step http_next(struct exchange *x)
{
	if (x->end_reason == END_NONE)
		x->end_reason = END_CLOSED;
	worker_log_exchange(x);
	http_free(x);
	admission_leave(x);
	x->sequence++;
	x->empty_lines = 0;
	x->decided = false;
	x->end_reason = END_NONE;
	x->check_failed = NULL;
	x->error = 0;
	return STEP_AGAIN;
}
