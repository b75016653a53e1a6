// SPDX-License-Identifier: GPL-3.0-or-later
// Stage relay: bytes both ways with backpressure from either end, half-close and reset passed on as
// what they are. L7 exchanges are framed on the way (http_relay.c); after a 101, and always for L4,
// bytes are opaque and never parsed.
#include "path/conn.h"
#include "path/http.h"
#include "path/observe.h"
#include "path/stages.h"
#include "path/worker.h"

static enum side relay_other(enum side s)
{
	return s == DOWN ? UP : DOWN;
}

static enum step relay_opaque(struct exchange *x, enum side from)
{
	struct leg *to = &x->leg[relay_other(from)];
	struct slice in = x->in[from];

	if (in.len == 0)
		return STEP_WAIT;
	if (from == DOWN)
		observe_bytes(x, in);
	exchange_consume(x, from, in.len);
	enum err err = leg_write(to, in);

	return err == ERR_NOMEM ? exchange_end(x, END_OVERLOADED) : STEP_WAIT;
}

static bool relay_side_is_done(const struct exchange *x, enum side from)
{
	const struct leg *to = &x->leg[relay_other(from)];

	return x->leg[from].read_fin && to->write_fin && leg_pending(to) == 0;
}

// Passes FINs on once everything before them is, and ends when both directions have.
static enum step relay_settle(struct exchange *x)
{
	for (enum side s = DOWN; s < SIDES; s++) {
		struct leg *to = &x->leg[relay_other(s)];

		if (x->leg[s].read_fin && x->in[s].len == 0 && !to->write_fin)
			leg_write_fin(to);
	}
	if (relay_side_is_done(x, DOWN) && relay_side_is_done(x, UP))
		return exchange_end(x, END_CLOSED);
	return STEP_WAIT;
}

static enum step relay_opaque_event(struct exchange *x, enum event e)
{
	switch (e) {
	case EVENT_DATA_DOWN:
		return relay_opaque(x, DOWN);
	case EVENT_DATA_UP:
		return relay_opaque(x, UP);
	case EVENT_FIN_DOWN:
	case EVENT_FIN_UP:
		return relay_settle(x);
	case EVENT_SENT_DOWN:
	case EVENT_SENT_UP:
		return relay_settle(x);
	case EVENT_RESET_DOWN:
		return exchange_end(x, END_CLIENT_RESET);
	case EVENT_RESET_UP:
		return exchange_end(x, end_reason_from_tunnel(x->leg[UP].reset_reason));
	case EVENT_CONNECTED:
	case EVENT_RECHECK:
	case EVENT_TIMER:
	case EVENT_LEAVE:
	case EVENT_TURN:
	case EVENT_COUNT:
		break;
	}
	return STEP_WAIT;
}

static enum step relay_http_event(struct exchange *x, enum event e)
{
	switch (e) {
	case EVENT_DATA_DOWN:
		return http_relay_request(x);
	case EVENT_DATA_UP:
		return http_relay_response(x);
	case EVENT_FIN_UP:
		return http_upstream_ended(x, false);
	case EVENT_RESET_UP:
		return http_upstream_ended(x, true);
	case EVENT_RESET_DOWN:
		return exchange_end(x, END_CLIENT_RESET);
	case EVENT_FIN_DOWN:
		// Half-close after a whole request is no abort; in the middle of one it is, unless that has been
		// answered.
		if (http1_is_complete(&x->http->request))
			return STEP_WAIT;
		return x->http->ending ? http_end_timeout(x) : exchange_end(x, END_CLIENT_RESET);
	case EVENT_CONNECTED:
	case EVENT_SENT_DOWN:
	case EVENT_SENT_UP:
	case EVENT_RECHECK:
	case EVENT_TIMER:
	case EVENT_LEAVE:
	case EVENT_TURN:
	case EVENT_COUNT:
		break;
	}
	return STEP_WAIT;
}

// What ended while the pod was being dialled has been noted on the legs.
static enum step relay_http_enter(struct exchange *x)
{
	enum step step;

	// Nothing has been asked: these bytes answer no request.
	if (x->in[UP].len > 0)
		return http_bad_response(x, "response before the request");
	step = http_relay_request(x);
	if (step == STEP_WAIT && x->leg[UP].read_fin)
		step = http_upstream_ended(x, false);
	if (step == STEP_WAIT && x->leg[DOWN].read_fin)
		step = relay_http_event(x, EVENT_FIN_DOWN);
	return step;
}

// Half-closed and silent for long is dead: a peer that vanished says nothing. The timer is not moved with each
// byte: when it fires it looks how long none has moved.
static void relay_watch_half_closed(struct exchange *x)
{
	if ((x->leg[DOWN].read_fin || x->leg[UP].read_fin) && !timer_is_set(&x->timer))
		exchange_set_timer(x, HALF_CLOSED_IDLE_MS);
}

static enum step relay_on_timer(struct exchange *x)
{
	uint64_t silent_ms = (x->worker->now_ns - x->moved_ns) / NS_PER_MS;

	if (silent_ms >= HALF_CLOSED_IDLE_MS)
		return exchange_end(x, END_IDLE_TIMEOUT);
	exchange_set_timer(x, HALF_CLOSED_IDLE_MS - silent_ms);
	return STEP_WAIT;
}

enum step relay_enter(struct exchange *x)
{
	enum step step;

	exchange_cancel_timer(x);
	x->moved_ns = x->worker->now_ns;
	relay_watch_half_closed(x);
	for (enum side s = DOWN; s < SIDES; s++) {
		if (x->leg[s].type == LEG_TCP && x->leg[s].conn)
			conn_read_many(x->leg[s].conn);
	}
	if (x->l7)
		return relay_http_enter(x);
	observe_begin(x);
	step = relay_opaque(x, DOWN);
	if (step == STEP_WAIT)
		step = relay_opaque(x, UP);
	return step == STEP_WAIT ? relay_settle(x) : step;
}

enum step relay_on_event(struct exchange *x, enum event e)
{
	if (e == EVENT_TIMER)
		return x->l7 && x->http->ending ? http_end_timeout(x) : relay_on_timer(x);
	if (e < EVENT_RESET_DOWN)
		x->moved_ns = x->worker->now_ns;
	relay_watch_half_closed(x);
	return x->l7 ? relay_http_event(x, e) : relay_opaque_event(x, e);
}
