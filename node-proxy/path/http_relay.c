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
	h->reused = x->leg[UP].bytes_out > 0;
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

// After the request's end its part is done; the exchange waits for the response's.
static enum step http_request_done(struct exchange *x)
{
	return http1_is_complete(&x->http->response) ? http_messages_done(x) : STEP_WAIT;
}

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
		return http_request_done(x);
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

	if (x->in[UP].len > 0) {
		// No request asked for them, and the next one shall not get them.
		h->error = "bytes behind the response";
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
static enum step http_interim(struct exchange *x, size_t head_bytes)
{
	struct http *h = x->http;

	h->interim_bytes += (uint32_t)head_bytes;
	if (h->interim_bytes > snapshot_meta(x->pin->snapshot)->header_bytes_max)
		return http_bad_response(x, "interim responses without an end");
	h->expects_continue = false;
	http1_init_response(&h->response, h->to_head);
	return http_forward(x, UP, head_bytes);
}

static enum step http_response_head(struct exchange *x, size_t head_bytes)
{
	struct http *h = x->http;
	struct http1_message *m = x->worker->message;
	enum err err = http1_head(&h->response, slice_make(x->in[UP].ptr, head_bytes), m);

	if (err != ERR_OK)
		return http_bad_response(x, h->response.error);
	h->scanned[UP] = 0;
	if (m->status < 200 && m->status != 101)
		return http_interim(x, head_bytes);
	if (m->status == 101 && !h->upgrade)
		return http_bad_response(x, "101 without an upgrade");
	admission_leave(x);
	h->response_begun = true;
	h->status = m->status;
	if (m->status == 101) {
		enum step step = http_forward(x, UP, head_bytes);

		return step == STEP_WAIT ? STEP_RELAY : step;
	}
	h->response_head = true;
	h->response_stays = m->keep_alive;
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
