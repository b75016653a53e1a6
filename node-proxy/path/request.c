// SPDX-License-Identifier: GPL-3.0-or-later
// Stage request: where an L7 rule covers the port, a request head is awaited, parsed and judged
// before a byte of it reaches the pod. What cannot be read is refused; sniffing words the refusal and
// never decides whether policy applies. Opaque exchanges pass through.
#include "core/detect.h"
#include "decide/decide_fields.h"
#include "path/asked.h"
#include "path/enforce.h"
#include "path/http.h"
#include "path/leave.h"
#include "path/leg.h"
#include "path/pressure.h"
#include "path/stages.h"
#include "path/worker.h"

struct http *http_new(struct exchange *x)
{
	x->http = pool_get(&x->worker->https);
	if (!x->http)
		x->worker->counters.pool_full++;
	return x->http;
}

void http_free(struct exchange *x)
{
	if (!x->http)
		return;
	pool_put(&x->worker->https, x->http);
	x->http = NULL;
}

enum step http_refuse(struct exchange *x, uint16_t status, enum end_reason reason,
		      const char *error)
{
	x->reply_status = status;
	x->end_reason = (uint8_t)reason;
	if (x->http)
		x->http->error = error;
	return STEP_REPLY;
}

static uint16_t copy_text(char *to, size_t max, struct slice from)
{
	size_t len = from.len < max ? from.len : max;

	if (len > 0)
		memcpy(to, from.ptr, len);
	return (uint16_t)len;
}

// ---- judging -----------------------------------------------------------------------------------

static enum step request_decide(struct exchange *x, const struct http1_message *m,
				const struct asked_target *t, struct arena *scratch,
				struct decide_context *context)
{
	struct decide_subject subject = {.destination = x->destination, .policy = x->policy};
	bool repeated = false;
	struct asked_fields fields = {m, &repeated, x->pin->snapshot, x->policy};
	struct policy_input in;

	context->arena = scratch;
	asked_input(x, &fields, t, &in);
	decide_request(context, &subject, &in, &x->decision);
	x->turn_requests += x->decision.readings / READINGS_PER_REQUEST;
	if (repeated)
		return http_refuse(x, 400, END_BAD_REQUEST,
				   "a field that a rule reads comes twice");
	x->decided = true;
	switch (x->decision.verdict) {
	case VERDICT_ALLOW:
		return STEP_NEXT;
	case VERDICT_UNAUTHENTICATED:
		return http_refuse(x, 401, END_UNAUTHENTICATED, NULL);
	case VERDICT_LIMITED:
		return http_refuse(x, 429, END_RATE_LIMITED, NULL);
	case VERDICT_BROKEN:
		return http_refuse(x, 500, END_POLICY_INVALID, NULL);
	case VERDICT_MALFORMED:
		x->http->keep_alive = false; // as behind all that cannot be read
		return http_refuse(x, 400, END_BAD_REQUEST,
				   x->decision.readings
					   ? "the path can be read in too many ways"
					   : "the path has, decoded, what no path may have");
	case VERDICT_DENY:
	case VERDICT_NEEDS_L7:
	case VERDICT_COUNT:
		break;
	}
	return http_refuse(x, 403, END_DENIED, NULL);
}

static enum step request_not_http(struct exchange *x, enum detect_protocol p)
{
	x->check_failed = p == DETECT_TLS ? "a rule reads requests here, and the bytes are TLS"
			  : p == DETECT_HTTP2
				  ? "a rule reads requests here, and the bytes are HTTP/2"
				  : "a rule reads requests here, and the bytes are no HTTP";
	return exchange_end(x, END_NOT_HTTP);
}

// However the bytes were cut on their way, the same ones get the same answer: who sent no HTTP gets none.
static enum step request_unreadable(struct exchange *x, enum err err, const char *error)
{
	enum detect_protocol p = detect_first_bytes(x->in[DOWN]);

	if (p != DETECT_HTTP1 && p != DETECT_NEED_MORE)
		return request_not_http(x, p);
	if (err == ERR_TOO_LARGE)
		return http_refuse(x, 431, END_TOO_LARGE, error);
	if (err == ERR_UNSUPPORTED)
		return http_refuse(x, 501, END_BAD_REQUEST, error);
	return http_refuse(x, 400, END_BAD_REQUEST, error);
}

struct http1_hop http_hop(const struct exchange *x)
{
	const struct ss_meta *meta = snapshot_meta(x->pin->snapshot);

	return (struct http1_hop){.upgrades = meta->upgrades, .upgrade_count = meta->upgrade_count};
}

// A server that upgrades does not read a body: it would be taken for what the upgrade speaks. A websocket
// is asked for by GET (RFC 6455 4.1).
static bool request_may_upgrade(const struct http *h, const struct http1_message *m)
{
	return http1_is_complete(&h->request) &&
	       (!(h->upgrades & 1) || slice_eq_str(m->method, "GET"));
}

// How the head goes on.
static enum step request_edit(struct exchange *x, const struct http1_message *m, struct slice head)
{
	struct http *h = x->http;
	struct http1_hop hop = http_hop(x);
	bool others;

	if (m->upgrade)
		h->upgrades = http1_upgrades(m, &hop, &others);
	if (h->upgrades && !request_may_upgrade(h, m))
		return http_refuse(x, 400, END_BAD_REQUEST,
				   "an upgrade that is no GET, or with a body");
	h->pod_closes = !http1_is_complete(&h->request) && !http1_method_has_body(m->method);
	hop.upgrade = h->upgrades != 0;
	hop.close = h->pod_closes;
	if (http1_edit_hop(&h->edit, m, head, &hop) != ERR_OK)
		return http_refuse(x, 431, END_TOO_LARGE, "Connection names too many fields");
	return STEP_NEXT;
}

static bool request_refuses_trailer(const void *context, struct http1_name trailer)
{
	const struct exchange *x = context;

	return decide_reads_field(x->pin->snapshot, x->policy, trailer);
}

enum step http_judge(struct exchange *x, size_t head_bytes)
{
	struct http *h = x->http;
	struct http1_message *m = x->worker->message;
	struct slice head = slice_make(x->in[DOWN].ptr, head_bytes);
	struct decide_context context;
	struct asked_target target = {0};
	struct arena scratch;

	x->started_ns = x->worker->now_ns;
	x->worker->counters.requests++;
	h->head_bytes = (uint32_t)head_bytes;
	http1_init_request(&h->request);
	enum err err = http1_head(&h->request, head, m);

	h->method_len = copy_text(h->method, sizeof(h->method), m->method);
	h->path_len = copy_text(h->path, sizeof(h->path),
				slice_make(m->target.ptr, slice_find(m->target, '?')));
	h->host_len = copy_text(h->host, sizeof(h->host), m->host);
	if (err != ERR_OK)
		return request_unreadable(x, err, h->request.error);
	h->request.refuses = request_refuses_trailer;
	h->request.context = x;
	enum step step = request_edit(x, m, head);

	if (step != STEP_NEXT)
		return step;
	h->to_head = slice_eq_str(m->method, "HEAD");
	h->expects_continue = m->expects_continue;
	enforce_context(x, &scratch, &context);
	err = asked_target_parse(m, &scratch, &target);
	if (err == ERR_OK && target.skipped > 0)
		err = http1_edit_put(&h->edit, (size_t)(m->target.ptr - head.ptr), target.skipped,
				     target.instead);
	if (err != ERR_OK)
		return request_unreadable(x, err, "request target or host that servers differ on");
	if (target.path.len > 0)
		h->path_len = copy_text(h->path, sizeof(h->path), target.path);
	// Behind a request that cannot be read nothing is; and who speaks HTTP/1.0 is told by the pod's answer
	// that its connection stays, if it does.
	h->keep_alive = m->keep_alive && (m->minor == 1 || !h->pod_closes);
	return request_decide(x, m, &target, &scratch, &context);
}

// ---- waiting for a head ------------------------------------------------------------------------

// RFC 9112 2.2: an empty line before a request is skipped; some clients send one behind a body. False:
// too many.
static bool request_skip_empty_lines(struct exchange *x)
{
	while (x->in[DOWN].len >= 2 && memcmp(x->in[DOWN].ptr, "\r\n", 2) == 0) {
		if (x->empty_lines == EMPTY_LINES_MAX)
			return false;
		x->empty_lines++;
		exchange_consume(x, DOWN, 2);
	}
	return true;
}

// The head at the front of in[DOWN], as far as it is there.
static enum step request_read_head(struct exchange *x)
{
	uint32_t max = snapshot_meta(x->pin->snapshot)->header_bytes_max;
	struct slice in = x->in[DOWN];
	size_t head_bytes = in.len;
	enum err err = http1_find_head(in, &x->http->scanned[DOWN], &head_bytes);

	if (err == ERR_OK && head_bytes <= max) {
		exchange_cancel_timer(x);
		return http_judge(x, head_bytes);
	}
	if (err == ERR_MALFORMED)
		return request_unreadable(x, err, "malformed line in the head");
	if (head_bytes >= max)
		return request_unreadable(x, ERR_TOO_LARGE, "request head is too large");
	enum detect_protocol p = detect_first_bytes(in);

	if (p != DETECT_HTTP1 && p != DETECT_NEED_MORE)
		return request_not_http(x, p);
	if (x->leg[DOWN].read_fin)
		return request_unreadable(x, ERR_MALFORMED, "request head ends early");
	return STEP_WAIT;
}

// A request has begun to arrive and is not looked at: the client does not take the answers before it, or
// has had many in this turn, or others of its workload come first.
static bool request_is_held(const struct exchange *x)
{
	// Half an empty line is none yet.
	return !x->http && x->in[DOWN].len > 0 && !slice_eq_str(x->in[DOWN], "\r");
}

static bool request_had_its_turn(struct exchange *x)
{
	uint32_t turn = (uint32_t)x->worker->counters.turns;

	if (x->turn != turn) {
		x->turn = turn;
		x->turn_requests = 0;
	}
	if (x->turn_requests >= REQUESTS_PER_TURN_MAX) {
		exchange_set_timer(x, 0); // the next one
		return true;
	}
	x->turn_requests++;
	return false;
}

static uint32_t request_mark(const struct exchange *x)
{
	return pressure_mark(x->worker, LEG_HIGH_BYTES);
}

static enum step request_read(struct exchange *x)
{
	bool few = request_skip_empty_lines(x);

	if (!x->http) {
		if (!request_is_held(x) || leg_pending(&x->leg[DOWN]) >= request_mark(x) ||
		    request_had_its_turn(x) || !admission_enter(x))
			return STEP_WAIT;
		if (!http_new(x))
			return exchange_end(x, END_OVERLOADED);
		x->started_ns = x->worker->now_ns;
		exchange_set_timer(x, snapshot_meta(x->pin->snapshot)->header_timeout_ms);
	}
	if (!few)
		return http_refuse(x, 400, END_BAD_REQUEST, "empty lines before the request");
	return request_read_head(x);
}

// The client has finished: between two requests that is no event.
static enum step request_end(struct exchange *x)
{
	if (x->http)
		return request_read(x);
	x->logged = true;
	return exchange_end(x, END_CLOSED);
}

static bool request_is_idle(const struct exchange *x)
{
	return !x->http && !request_is_held(x);
}

static void request_stay_idle(struct exchange *x)
{
	const struct ss_meta *meta = snapshot_meta(x->pin->snapshot);
	uint32_t idle_ms = x->sequence > 0 ? meta->http_idle_timeout_ms : meta->header_timeout_ms;

	exchange_set_timer(x, leave_quiet_ms(x, idle_ms));
}

enum step request_enter(struct exchange *x)
{
	enum step step;

	if (!x->l7)
		return STEP_NEXT;
	step = request_read(x);
	if (step == STEP_WAIT && request_is_idle(x))
		request_stay_idle(x);
	if (step == STEP_WAIT && x->leg[DOWN].read_fin && !request_is_held(x))
		return request_end(x);
	return step;
}

// The pod's side between two requests: what it sends unasked or its close cost only that leg; the
// next request dials anew.
static enum step request_upstream_gone(struct exchange *x)
{
	leg_close(&x->leg[UP], false, TUNNEL_REASON_NONE);
	exchange_consume(x, UP, x->in[UP].len);
	return STEP_WAIT;
}

enum step request_on_event(struct exchange *x, enum event e)
{
	switch (e) {
	case EVENT_DATA_DOWN:
		return request_read(x);
	case EVENT_FIN_DOWN:
		return request_is_held(x) ? STEP_WAIT : request_end(x);
	case EVENT_RESET_DOWN:
		x->logged = x->sequence > 0 && !x->http;
		return exchange_end(x, x->http ? END_CLIENT_RESET : END_CLOSED);
	case EVENT_TIMER:
		if (request_is_held(x))
			return request_enter(x);
		if (x->http)
			return http_refuse(x, 408, END_HEADER_TIMEOUT,
					   "request head took too long");
		x->logged = x->sequence > 0;
		return exchange_end(x, x->sequence > 0 || leave_by_ns(x) ? END_CLOSED
									 : END_HEADER_TIMEOUT);
	case EVENT_DATA_UP:
	case EVENT_FIN_UP:
	case EVENT_RESET_UP:
		return request_upstream_gone(x);
	case EVENT_SENT_DOWN:
		return request_is_held(x) && leg_pending(&x->leg[DOWN]) <= request_mark(x) / 2
			       ? request_enter(x)
			       : STEP_WAIT;
	case EVENT_TURN:
		return request_is_held(x) ? request_enter(x) : STEP_WAIT;
	case EVENT_LEAVE:
		if (request_is_idle(x))
			request_stay_idle(x);
		return STEP_WAIT;
	case EVENT_CONNECTED:
	case EVENT_SENT_UP:
	case EVENT_RECHECK:
	case EVENT_COUNT:
		break;
	}
	return STEP_WAIT;
}
