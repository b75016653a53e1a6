// SPDX-License-Identifier: GPL-3.0-or-later
// L7 relay: an allowed request and its response on their way, framed by llhttp, forwarded byte for
// byte (the request target in its canonical form). Full duplex: interim and early responses arrive
// while the body is still going out. What follows a message's end is left unread.
#include "path/http.h"
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

// The head as it came, but for the target where its canonical form differs.
static enum step http_forward_head(struct exchange *x)
{
	struct http *h = x->http;
	uint32_t rest = h->head_bytes;

	h->head_bytes = 0;
	h->request_forwarded = true;
	if (h->rewrite) {
		enum step step = http_forward(x, DOWN, h->target_offset);

		if (step != STEP_WAIT)
			return step;
		if (leg_write(&x->leg[UP], slice_make(h->canonical, h->canonical_bytes)) != ERR_OK)
			return exchange_end(x, END_OVERLOADED);
		exchange_consume(x, DOWN, h->target_bytes);
		rest -= h->target_offset + h->target_bytes;
	}
	return http_forward(x, DOWN, rest);
}

static enum step http_message_done(struct exchange *x);

enum step http_relay_request(struct exchange *x)
{
	struct http *h = x->http;
	bool complete;
	size_t used;

	if (!leg_is_open(&x->leg[UP]))
		return STEP_WAIT; // the response, or the upstream's end, is being dealt with
	if (h->head_bytes > 0) {
		enum step step = http_forward_head(x);

		if (step != STEP_WAIT)
			return step;
		http1_init_response(&h->response, h->to_head);
	}
	if (http1_is_complete(&h->request))
		return http_message_done(x);
	if (http1_body(&h->request, x->in[DOWN], &used, &complete) != ERR_OK) {
		h->error = h->request.error;
		return exchange_end(x, END_BAD_REQUEST);
	}
	if (used > 0) {
		enum step step = http_forward(x, DOWN, used);

		if (step != STEP_WAIT)
			return step;
	}
	return complete ? http_message_done(x) : STEP_WAIT;
}

// Both messages have ended (or only the response, early): what comes next on this connection?
static enum step http_message_done(struct exchange *x)
{
	struct http *h = x->http;

	if (!http1_is_complete(&h->response) || !http1_is_complete(&h->request))
		return STEP_WAIT;
	if (!h->keep_alive)
		return finish_after_reply(x);
	return http_next(x);
}

// 1xx but 101 pass and another head follows (RFC 9110 15.2).
static enum step http_response_head(struct exchange *x, size_t head_bytes)
{
	struct http *h = x->http;
	struct http1_message *m = x->worker->message;
	enum err err = http1_head(&h->response, slice_make(x->in[UP].ptr, head_bytes), m);

	if (err != ERR_OK)
		return http_bad_response(x, h->response.error);
	h->response_begun = true;
	h->scanned[UP] = 0;
	if (m->status == 101) {
		if (!h->upgrade)
			return http_bad_response(x, "101 without an upgrade");
		h->status = 101;
		enum step step = http_forward(x, UP, head_bytes);

		return step == STEP_WAIT ? STEP_RELAY : step;
	}
	if (m->status < 200) {
		http1_init_response(&h->response, h->to_head);
		return http_forward(x, UP, head_bytes);
	}
	h->status = m->status;
	h->response_head = true;
	h->keep_alive = h->keep_alive && m->keep_alive;
	return http_forward(x, UP, head_bytes);
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

static enum step http_response_heads(struct exchange *x)
{
	struct http *h = x->http;

	while (!h->response_head && x->in[UP].len > 0) {
		size_t head_bytes;
		enum err err = http1_find_head(x->in[UP], &h->scanned[UP], &head_bytes);

		if (err == ERR_MALFORMED)
			return http_bad_response(x, "malformed line in the response head");
		if (err == ERR_AGAIN) {
			if (x->in[UP].len >= snapshot_meta(x->pin->snapshot)->header_bytes_max)
				return http_bad_response(x, "response head is too large");
			return STEP_WAIT;
		}
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

	if (h->head_bytes > 0)
		return http_bad_response(x, "response before the request");
	enum step step = http_response_heads(x);

	if (step != STEP_WAIT || !h->response_head)
		return step;
	if (http1_body(&h->response, x->in[UP], &used, &complete) != ERR_OK)
		return http_bad_response(x, h->response.error);
	if (used > 0) {
		step = http_forward(x, UP, used);
		if (step != STEP_WAIT)
			return step;
	}
	if (!complete)
		return STEP_WAIT;
	// An early answer: the rest of the request is only read away, and the connection ends.
	if (!http1_is_complete(&h->request)) {
		h->keep_alive = false;
		return finish_after_reply(x);
	}
	return http_message_done(x);
}

enum step http_upstream_ended(struct exchange *x, bool reset)
{
	struct http *h = x->http;

	if (x->in[UP].len > 0 && !reset)
		return http_bad_response(x, "response head ends early");
	if (h->response_head && !reset && http1_finish(&h->response)) {
		h->keep_alive = false; // framed by the close
		return finish_after_reply(x);
	}
	if (!h->response_begun) {
		leg_close(&x->leg[UP], false, TUNNEL_REASON_NONE);
		return http_refuse(x, 502, reset ? END_SERVER_RESET : END_BAD_RESPONSE,
				   "the pod closed the connection without an answer");
	}
	return exchange_end(x, END_SERVER_RESET);
}

// The exchange is whole: log it and go for the next request of the connection.
enum step http_next(struct exchange *x)
{
	if (x->end_reason == END_NONE)
		x->end_reason = END_CLOSED;
	worker_log_exchange(x);
	http_free(x);
	x->sequence++;
	x->decided = false;
	x->end_reason = END_NONE;
	x->check_failed = NULL;
	return STEP_AGAIN;
}
