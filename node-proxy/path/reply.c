// SPDX-License-Identifier: GPL-3.0-or-later
// Stage reply: a local answer (RFC 9110 15), one clear sentence. Where the request has been read
// whole, the connection goes on; else the answer lingers: FIN, then what still comes is thrown
// away within bounds, because a RST would destroy the answer on its way.
#include <stdio.h>
#include "common/buf.h"
#include "path/http.h"
#include "path/leave.h"
#include "path/mux.h"
#include "path/stages.h"
#include "path/worker.h"
#include "path/worker_log.h"

#define REPLY_BYTES_MAX 1024

static const char *reply_phrase(uint16_t status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 408:
		return "Request Timeout";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 501:
		return "Not Implemented";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "Error";
	}
}

// What the caller is told. Neither rule nor policy: those are for the log (an attacker reads this).
static const char *reply_sentence(const struct exchange *x)
{
	switch (x->reply_status) {
	case 401:
		return x->decision.jwt == JWT_MISSING ? "A bearer token is required."
						      : "The bearer token is not valid.";
	case 403:
		return "Access is denied by policy.";
	case 429:
		return "Too many requests from this client.";
	case 500:
		return "A policy of this service is invalid, so it refuses all requests.";
	default:
		return x->http && x->http->error ? x->http->error : "The request was refused.";
	}
}

static void reply_fields(const struct exchange *x, struct buf *b)
{
	const struct decision *d = &x->decision;

	if (x->reply_status == 401) {
		// RFC 6750 3: no error code where no token was sent.
		if (d->jwt == JWT_MISSING)
			buf_put_str(b, "WWW-Authenticate: Bearer\r\n");
		else
			buf_printf(b,
				   "WWW-Authenticate: Bearer error=\"invalid_token\", "
				   "error_description=\"%s\"\r\n",
				   jwt_refusal_name(d->jwt));
	}
	if (x->reply_status == 429) {
		uint64_t after_s = (d->retry_after_ns + NS_PER_S - 1) / NS_PER_S;

		buf_printf(b,
			   "Retry-After: %llu\r\nRateLimit-Limit: %llu\r\n"
			   "RateLimit-Remaining: %llu\r\nRateLimit-Reset: %llu\r\n",
			   (unsigned long long)after_s, (unsigned long long)d->limit_requests,
			   (unsigned long long)d->limit_remaining, (unsigned long long)after_s);
	}
}

static bool reply_may_continue(const struct exchange *x)
{
	const struct http *h = x->http;

	return h && h->keep_alive && !leave_by_ns(x) && h->head_bytes > 0 &&
	       http1_is_complete(&h->request) && !h->upgrades;
}

static enum err reply_write(struct exchange *x, bool keep)
{
	uint8_t bytes[REPLY_BYTES_MAX];
	char body[256];
	struct buf b;
	int body_bytes = snprintf(body, sizeof(body), "%s\n", reply_sentence(x));

	buf_init_fixed(&b, bytes, sizeof(bytes));
	buf_printf(&b, "HTTP/1.1 %u %s\r\n", x->reply_status, reply_phrase(x->reply_status));
	reply_fields(x, &b);
	buf_printf(&b, "Content-Type: text/plain\r\nContent-Length: %d\r\n", body_bytes);
	if (!keep)
		buf_put_str(&b, "Connection: close\r\n");
	buf_put_str(&b, "\r\n");
	if (!x->http || !x->http->to_head)
		buf_put(&b, body, (size_t)body_bytes);
	return b.err == ERR_OK ? leg_write(&x->leg[DOWN], buf_slice(&b)) : b.err;
}

enum step reply_enter(struct exchange *x)
{
	bool keep = reply_may_continue(x);
	struct leg *down = &x->leg[DOWN];

	if (x->http)
		x->http->status = x->reply_status;
	if (down->type == LEG_STREAM && !down->connected) {
		down->connected = true;
		mux_send_opened(down);
	}
	if (reply_write(x, keep) != ERR_OK)
		return exchange_end(x, END_OVERLOADED);
	if (!keep)
		return finish_after_reply(x);
	exchange_consume(x, DOWN, x->http->head_bytes);
	return http_next(x);
}

enum step reply_on_event(struct exchange *x, enum event e)
{
	return stage_default_event(x, e); // reply never waits
}

// ---- linger ------------------------------------------------------------------------------------

static enum step linger_done(struct exchange *x)
{
	if (x->replied)
		leg_close(&x->leg[UP], true, TUNNEL_REASON_NONE);
	return STEP_DONE;
}

// Has everything left, and if it ends in good order, has the far end finished?
static bool linger_is_through(const struct exchange *x, enum side s)
{
	const struct leg *l = &x->leg[s];

	if (!leg_is_open(l))
		return true;
	return leg_pending(l) == 0 && (l->read_fin || exchange_ends_behind(x));
}

// What still comes is thrown away; from the client beyond the limit it is left where it is. To close then and
// there would reset the connection under a client that has not read its answer yet: it is stopped until it
// has, or until the time is over.
static enum step linger_step(struct exchange *x)
{
	if (x->linger_bytes <= LINGER_BYTES_MAX) {
		x->linger_bytes += (uint32_t)x->in[DOWN].len;
		exchange_consume(x, DOWN, x->in[DOWN].len);
	}
	exchange_consume(x, UP, x->in[UP].len);
	if (x->replied && x->leg[UP].read_fin)
		leg_close(&x->leg[UP], true, TUNNEL_REASON_NONE);
	return linger_is_through(x, DOWN) && (x->replied || linger_is_through(x, UP))
		       ? linger_done(x)
		       : STEP_WAIT;
}

static uint32_t linger_pending(const struct exchange *x)
{
	return leg_pending(&x->leg[DOWN]) + leg_pending(&x->leg[UP]);
}

// The pod's side of an exchange that ends: whole messages end with a FIN, if it can be with the pod's own
// first, so that no port of the client's address waits here; a cut one with a reset.
static void finish_upstream(struct exchange *x)
{
	const struct http *h = x->http;
	struct leg *up = &x->leg[UP];

	if (h && h->request_forwarded && http1_is_complete(&h->request) &&
	    http1_is_complete(&h->response) && !up->read_fin)
		return; // linger_step sees its end
	leg_close(up, !h || !h->request_forwarded || http1_is_complete(&h->response),
		  TUNNEL_REASON_NONE);
}

// The answer is queued whole and the connection ends: log, FIN, linger.
enum step finish_after_reply(struct exchange *x)
{
	if (x->end_reason == END_NONE)
		x->end_reason = END_CLOSED;
	worker_log_exchange(x);
	x->logged = true;
	x->replied = true;
	finish_upstream(x);
	leg_write_fin(&x->leg[DOWN]);
	exchange_set_timer(x, LINGER_MS);
	return STEP_LINGER;
}

enum step linger_enter(struct exchange *x)
{
	return linger_step(x);
}

enum step linger_on_event(struct exchange *x, enum event e)
{
	if (e != EVENT_TIMER)
		return linger_step(x);
	// A slow reader of much: as long as it takes bytes it may go on.
	uint32_t pending = linger_pending(x);

	if (pending == 0 || x->linger_pending == pending)
		return linger_done(x);
	x->linger_pending = pending;
	exchange_set_timer(x, USER_TIMEOUT_MS);
	return STEP_WAIT;
}
