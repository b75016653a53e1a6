// SPDX-License-Identifier: GPL-3.0-or-later
// The driver of the stage machine; see exchange.h. Holds what every stage shares: events, unread
// bytes, timer, pinned snapshot, end.
#include "path/exchange.h"

#include "path/holding.h"
#include "path/http.h"
#include "path/observe.h"
#include "path/pressure.h"
#include "path/stages.h"
#include "path/worker.h"
#include "path/worker_log.h"

// A chain of steps within one event is bounded: every request makes progress or waits.
#define STEPS_PER_EVENT_MAX 4096

static void exchange_finish(struct exchange *x);
static enum step exchange_done(struct exchange *x);

struct exchange *exchange_new(struct worker *w, enum exchange_kind kind, const struct stage *stages)
{
	struct exchange *x = pool_get(&w->exchanges);

	if (!x) {
		w->counters.pool_full++;
		return NULL;
	}
	x->worker = w;
	x->kind = (uint8_t)kind;
	x->stages = stages;
	x->id = w->next_exchange_id++ << 8 | w->config.index;
	x->started_ns = w->now_ns;
	x->timer.tag = TIMER_EXCHANGE;
	x->pin = worker_pin(w);
	x->next = w->all;
	if (x->next)
		x->next->previous = x;
	w->all = x;
	w->counters.exchanges_open++;
	return x;
}

const char *exchange_stage_name(const struct exchange *x)
{
	return x->stages[x->stage].name;
}

// ---- unread bytes ------------------------------------------------------------------------------

_Static_assert(UNREAD_HUGE_BYTES >= TUNNEL_CREDIT_MAX, "what a stream was promised has room");

struct unread_class {
	uint32_t bytes;
	struct pool *pool;
	enum holder_resource resource;
};

// The smallest that holds so many; a class without a pool: none does.
static struct unread_class unread_class_of(struct worker *w, size_t bytes)
{
	if (bytes <= UNREAD_SMALL_BYTES)
		return (struct unread_class){UNREAD_SMALL_BYTES, &w->small, HOLDER_HEADS_SMALL};
	if (bytes <= UNREAD_LARGE_BYTES)
		return (struct unread_class){UNREAD_LARGE_BYTES, &w->large, HOLDER_HEADS_LARGE};
	if (bytes <= UNREAD_HUGE_BYTES)
		return (struct unread_class){UNREAD_HUGE_BYTES, &w->huge, HOLDER_HEADS_HUGE};
	return (struct unread_class){0};
}

static void unread_free(struct exchange *x, enum side side)
{
	struct unread *u = &x->unread[side];

	if (u->ptr) {
		struct unread_class class = unread_class_of(x->worker, u->cap);
		struct holder_set by = holding_of_side(x, side);

		pool_put(class.pool, u->ptr);
		holder_give(&x->worker->holders, &by, class.resource);
	}
	*u = (struct unread){0};
}

static uint8_t *unread_take(struct exchange *x, enum side side, const struct unread_class *class)
{
	struct holder_set by = holding_of_side(x, side);
	uint8_t *bytes;

	if (!class->pool || !holding_has_room(x, class->resource))
		return NULL;
	bytes = pool_get_raw(class->pool);
	if (bytes)
		holder_take(&x->worker->holders, &by, class->resource);
	return bytes;
}

// Room for so many bytes behind those that are left.
static bool unread_reserve(struct exchange *x, enum side side, size_t bytes)
{
	struct unread *u = &x->unread[side];
	struct unread_class class = unread_class_of(x->worker, u->len + bytes);
	struct unread bigger = {.len = u->len, .cap = class.bytes};

	if (u->start + u->len + bytes <= u->cap)
		return true;
	if (u->len + bytes <= u->cap) {
		memmove(u->ptr, u->ptr + u->start, u->len);
		u->start = 0;
		return true;
	}
	bigger.ptr = unread_take(x, side, &class);
	if (!bigger.ptr)
		return false;
	if (u->len > 0)
		memcpy(bigger.ptr, u->ptr + u->start, u->len);
	unread_free(x, side);
	*u = bigger;
	return true;
}

static bool unread_append(struct exchange *x, enum side side, struct slice data)
{
	struct unread *u = &x->unread[side];

	if (!unread_reserve(x, side, data.len))
		return false;
	memcpy(u->ptr + u->start + u->len, data.ptr, data.len);
	x->worker->counters.bytes_copied += data.len;
	u->len += (uint32_t)data.len;
	return true;
}

static void exchange_view(struct exchange *x, enum side s)
{
	const struct unread *u = &x->unread[s];

	x->in[s] = slice_make(u->ptr ? u->ptr + u->start : NULL, u->len);
}

// What the stages left unconsumed goes (or stays) in the unread buffer.
static void exchange_settle(struct exchange *x, enum side s, bool borrowed)
{
	struct unread *u = &x->unread[s];
	struct slice rest = x->in[s];

	x->in[s] = (struct slice){0};
	if (x->ended) {
		unread_free(x, s);
	} else if (borrowed) {
		if (rest.len > 0 && !unread_append(x, s, rest)) {
			exchange_end(x, END_OVERLOADED);
			exchange_finish(x);
		}
	} else if (rest.len == 0) {
		unread_free(x, s);
	} else {
		u->start = (uint32_t)(rest.ptr - u->ptr);
		u->len = (uint32_t)rest.len;
	}
}

void exchange_consume(struct exchange *x, enum side s, size_t bytes)
{
	x->in[s].ptr += bytes;
	x->in[s].len -= bytes;
}

// Does what lies unread wait for its rest? A head, or a piece of the message's framing: nobody else will make
// room for it.
static bool exchange_is_part(const struct exchange *x, enum side s)
{
	const struct http *h = x->http;

	if (!h || x->unread[s].len == 0)
		return false;
	if (!x->relaying)
		return s == DOWN;
	return x->l7 && !http1_is_complete(s == DOWN ? &h->request : &h->response);
}

static void exchange_balance_side(struct exchange *x, enum side s)
{
	uint32_t pending = leg_pending_on_source(&x->leg[s == DOWN ? UP : DOWN]);
	uint32_t mark = pressure_mark(x->worker, LEG_HIGH_BYTES), whole = 0;

	if (exchange_is_part(x, s))
		whole = snapshot_meta(x->pin->snapshot)->header_bytes_max;
	if ((whole > 0 || (s == DOWN && !x->relaying)) && mark < UNREAD_LIMIT_BYTES)
		mark = UNREAD_LIMIT_BYTES; // a head has to fit
	leg_outstanding(&x->leg[s], x->unread[s].len + pending, mark, whole);
}

void exchange_balance(struct exchange *x)
{
	if (x->ended)
		return;
	exchange_balance_side(x, DOWN);
	exchange_balance_side(x, UP);
}

// ---- the machine -------------------------------------------------------------------------------

static enum step exchange_jump(struct exchange *x, enum step (*enter)(struct exchange *))
{
	for (uint8_t i = 0; x->stages[i].name; i++) {
		if (x->stages[i].enter == enter) {
			x->stage = i;
			x->relaying = enter == relay_enter;
			return enter(x);
		}
	}
	return exchange_end(x, END_INTERNAL);
}

static enum step exchange_apply(struct exchange *x, enum step step)
{
	switch (step) {
	case STEP_WAIT:
		return STEP_WAIT;
	case STEP_NEXT:
		x->stage++;
		x->relaying = x->stages[x->stage].enter == relay_enter;
		return x->stages[x->stage].enter(x);
	case STEP_DONE:
		return exchange_done(x);
	case STEP_REPLY:
		return exchange_jump(x, reply_enter);
	case STEP_LINGER:
		return exchange_jump(x, linger_enter);
	case STEP_AGAIN:
		return exchange_jump(x, request_enter);
	case STEP_LOCAL:
		x->stages = inbound_stages;
		x->local = true;
		return exchange_jump(x, enforce_enter);
	case STEP_RELAY:
		x->l7 = false;
		return exchange_jump(x, relay_enter);
	}
	return STEP_WAIT;
}

static void exchange_steps(struct exchange *x, enum step step)
{
	for (uint32_t n = 0; step != STEP_WAIT && !x->ended; n++) {
		if (n == STEPS_PER_EVENT_MAX)
			step = exchange_end(x, END_INTERNAL);
		step = exchange_apply(x, step);
	}
}

static void exchange_deliver(struct exchange *x, enum event e)
{
	exchange_steps(x, x->stages[x->stage].on_event(x, e));
}

void exchange_start(struct exchange *x)
{
	x->running = true;
	x->stage = 0;
	exchange_steps(x, x->stages[0].enter(x));
	x->running = false;
	exchange_balance(x);
}

void exchange_on_data(struct exchange *x, enum side s, struct slice data)
{
	enum side other = s == DOWN ? UP : DOWN;
	bool borrowed = x->unread[s].len == 0;

	if (x->ended)
		return;
	holding_renew(x);
	if (borrowed)
		x->in[s] = data;
	else if (unread_append(x, s, data))
		exchange_view(x, s);
	else
		exchange_end(x, END_OVERLOADED);
	exchange_view(x, other);
	x->running = true;
	if (x->end_reason == END_OVERLOADED)
		exchange_finish(x);
	else
		exchange_deliver(x, s == DOWN ? EVENT_DATA_DOWN : EVENT_DATA_UP);
	x->running = false;
	exchange_settle(x, s, borrowed);
	exchange_settle(x, other, false);
	exchange_balance(x);
}

void exchange_post(struct exchange *x, enum event e)
{
	struct worker *w = x->worker;

	if (x->ended)
		return;
	x->events |= 1u << e;
	if (x->queued)
		return;
	x->queued = true;
	x->next_run = NULL;
	if (w->run_tail)
		w->run_tail->next_run = x;
	else
		w->run_head = x;
	w->run_tail = x;
}

void exchange_forget(struct exchange *x, enum side s)
{
	if (s == DOWN)
		x->events &= ~(1u << EVENT_DATA_DOWN | 1u << EVENT_SENT_DOWN |
			       1u << EVENT_FIN_DOWN | 1u << EVENT_RESET_DOWN);
	else
		x->events &= ~(1u << EVENT_DATA_UP | 1u << EVENT_SENT_UP | 1u << EVENT_FIN_UP |
			       1u << EVENT_RESET_UP | 1u << EVENT_CONNECTED);
}

static void exchange_run(struct exchange *x)
{
	exchange_view(x, DOWN);
	exchange_view(x, UP);
	x->running = true;
	for (uint32_t e = 0; e < EVENT_COUNT && !x->ended; e++) {
		if (!(x->events & (1u << e)))
			continue;
		x->events &= ~(1u << e);
		exchange_deliver(x, (enum event)e);
	}
	x->running = false;
	exchange_settle(x, DOWN, false);
	exchange_settle(x, UP, false);
	exchange_balance(x);
}

void exchange_run_queue(struct worker *w)
{
	while (w->run_head) {
		struct exchange *x = w->run_head;

		w->run_head = x->next_run;
		if (!w->run_head)
			w->run_tail = NULL;
		x->queued = false;
		if (!x->ended)
			exchange_run(x);
	}
}

void exchange_set_timer(struct exchange *x, uint64_t after_ms)
{
	timer_set(&x->worker->timers, &x->timer, x->worker->now_ns + after_ms * NS_PER_MS);
}

void exchange_cancel_timer(struct exchange *x)
{
	timer_cancel(&x->worker->timers, &x->timer);
}

// ---- the end -----------------------------------------------------------------------------------

enum step exchange_end(struct exchange *x, enum end_reason reason)
{
	if (x->end_reason == END_NONE)
		x->end_reason = (uint8_t)reason;
	return STEP_DONE;
}

bool exchange_ends_well(const struct exchange *x)
{
	return x->replied || (x->end_reason == END_CLOSED && !x->aborted);
}

// A stream that was reset says itself why: what the other node denied is cut here too.
bool exchange_ends_behind(const struct exchange *x)
{
	if (exchange_ends_well(x) || x->aborted ||
	    !end_reason_goes_behind((enum end_reason)x->end_reason))
		return false;
	for (int s = 0; s < SIDES; s++) {
		const struct leg *l = &x->leg[s];

		if (l->type == LEG_STREAM && l->dead && l->reset_reason != TUNNEL_REASON_NONE &&
		    !end_reason_goes_behind(end_reason_from_tunnel(l->reset_reason)))
			return false;
	}
	return true;
}

static void exchange_close_leg(struct exchange *x, enum side s)
{
	enum tunnel_reason reason = end_reason_to_tunnel((enum end_reason)x->end_reason);

	if (x->aborted && reason == TUNNEL_REASON_NONE)
		reason = TUNNEL_REASON_RESET; // it had been over but for its tail
	if (exchange_ends_behind(x))
		leg_close_behind(&x->leg[s], reason);
	else
		leg_close(&x->leg[s], exchange_ends_well(x) && !(s == UP && x->replied), reason);
}

static void exchange_close_legs(struct exchange *x)
{
	struct leg *down = &x->leg[DOWN];

	if (down->type == LEG_STREAM && !exchange_ends_well(x) && !down->connected)
		mux_send_refused(down, end_reason_to_tunnel((enum end_reason)x->end_reason));
	exchange_close_leg(x, DOWN);
	exchange_close_leg(x, UP);
}

// What is queued is the exchange's until it has gone: a stream sends it as it gets credit, and who is denied
// meanwhile is not sent the rest. Where a stream ends in good order the far side's own end is waited for too.
static bool exchange_has_tail(const struct exchange *x, const struct leg *l)
{
	if (!leg_is_open(l))
		return false;
	return leg_pending(l) > 0 || (l->type == LEG_STREAM && l->mux && l->connected &&
				      exchange_ends_well(x) && !l->read_fin);
}

// It is over but for what is still to be sent: that is waited for in the linger stage.
static enum step exchange_done(struct exchange *x)
{
	bool over = x->stages[x->stage].enter == linger_enter ||
		    (!exchange_ends_well(x) && !exchange_ends_behind(x));
	bool tail = false;

	for (enum side s = DOWN; s < SIDES && !over; s++)
		tail |= exchange_has_tail(x, &x->leg[s]);
	observe_end(x);
	if (!tail) {
		exchange_finish(x);
		return STEP_WAIT;
	}
	if (!x->logged)
		worker_log_exchange(x);
	x->logged = true;
	admission_leave(x);
	for (enum side s = DOWN; s < SIDES; s++) {
		if (!exchange_has_tail(x, &x->leg[s]))
			exchange_close_leg(x, s);
		else if (exchange_ends_well(x))
			leg_write_fin(&x->leg[s]);
		leg_await_sent(&x->leg[s]);
	}
	exchange_set_timer(x, exchange_ends_well(x) ? LINGER_MS : USER_TIMEOUT_MS);
	return exchange_jump(x, linger_enter);
}

// Idempotent: logs, lets go of everything, leaves the husk for the end of the turn.
static void exchange_finish(struct exchange *x)
{
	struct worker *w = x->worker;

	if (x->ended)
		return;
	observe_end(x);
	if (!x->logged)
		worker_log_exchange(x);
	exchange_cancel_timer(x);
	exchange_close_legs(x);
	http_free(x);
	admission_leave(x);
	holding_end(x);
	x->ended = true;
	x->next_dead = w->dead;
	w->dead = x;
}

void exchange_abort(struct exchange *x)
{
	x->aborted = true;
	exchange_finish(x);
}

void exchange_forget_claim(struct exchange *x)
{
	if (x->claim)
		pool_put(&x->worker->claims, x->claim);
	x->claim = NULL;
}

void exchange_free_dead(struct worker *w)
{
	while (w->dead) {
		struct exchange *x = w->dead;

		w->dead = x->next_dead;
		for (int s = 0; s < SIDES; s++)
			unread_free(x, (enum side)s);
		holding_forget(x);
		exchange_forget_claim(x);
		if (x->previous)
			x->previous->next = x->next;
		else
			w->all = x->next;
		if (x->next)
			x->next->previous = x->previous;
		if (w->recheck == x)
			w->recheck = x->next;
		worker_unpin(w, x->pin);
		w->counters.exchanges_open--;
		pool_put(&w->exchanges, x);
	}
}

// ---- snapshots ---------------------------------------------------------------------------------

// A workload of the new generation with the same UID; NULL: it is gone.
static const struct workload *exchange_follow(const struct snapshot *s, const struct workload *old)
{
	return old ? snapshot_workload_by_uid(s, old->record.uid) : NULL;
}

void exchange_set_principal(struct exchange *x, const struct workload *source)
{
	x->source = source;
	x->principal = (struct principal){
		.type = PRINCIPAL_WORKLOAD,
		.trust_domain = snapshot_meta(x->pin->snapshot)->trust_domain,
		.namespace = source->record.namespace,
		.service_account = source->record.service_account,
		.name = source->record.name,
		.uid = source->record.uid,
	};
}

// The decision's names borrow from the old generation: find the same ones in the new.
static void exchange_follow_decision(struct exchange *x)
{
	struct decision old = x->decision;
	struct decision *d = &x->decision;
	const struct ss_rule *r;

	d->policy = d->rule = d->target = d->audit_policy = d->audit_rule = (struct slice){0};
	for (uint32_t i = 0; x->policy && (r = policy_rule(x->policy, i)); i++) {
		if (slice_eq(r->policy, old.policy) && slice_eq(r->name, old.rule)) {
			d->policy = r->policy;
			d->rule = r->name;
		}
		if (slice_eq(r->policy, old.audit_policy) && slice_eq(r->name, old.audit_rule)) {
			d->audit_policy = r->policy;
			d->audit_rule = r->name;
		}
	}
}

bool exchange_repin(struct exchange *x, enum end_reason *reason)
{
	struct snapshot_pin *old = x->pin;
	const struct snapshot *s = worker_snapshot(x->worker);
	const struct workload *source = exchange_follow(s, x->source);
	const struct workload *destination = exchange_follow(s, x->destination);

	if (x->source && !source) {
		*reason = END_SOURCE_GONE;
		return false;
	}
	if (x->destination && !destination) {
		*reason = END_DESTINATION_GONE;
		return false;
	}
	x->pin = worker_pin(x->worker);
	if (source)
		exchange_set_principal(x, source);
	else if (x->principal.type != PRINCIPAL_UNKNOWN)
		x->principal.trust_domain = snapshot_meta(s)->trust_domain;
	if (x->principal.type == PRINCIPAL_NODE)
		x->principal.name = (struct slice){0};
	if (x->service)
		x->service = snapshot_service_by_name(s, x->service->namespace, x->service->name);
	if (x->node)
		x->node = snapshot_node_by_name(s, x->node->name);
	x->destination = destination;
	x->policy = destination ? snapshot_policy_for(s, destination, x->target.port) : NULL;
	exchange_follow_decision(x);
	worker_unpin(x->worker, old);
	return true;
}

void exchange_describe_open(const struct exchange *x, struct tunnel_open *out)
{
	memset(out, 0, sizeof(*out));
	out->kind = x->source				  ? TUNNEL_SOURCE_WORKLOAD
		    : x->principal.type == PRINCIPAL_NODE ? TUNNEL_SOURCE_NODE
							  : TUNNEL_SOURCE_EXTERNAL;
	out->client = x->client;
	if (x->source) {
		out->source_uid = x->source->record.uid;
		out->source_namespace = x->source->record.namespace;
		out->source_account = x->source->record.service_account;
	}
	out->destination_uid = x->destination->record.uid;
	out->destination = x->target;
	out->generation = snapshot_generation(x->pin->snapshot);
	out->credit = x->leg[UP].window;
}
