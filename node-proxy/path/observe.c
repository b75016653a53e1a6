// SPDX-License-Identifier: GPL-3.0-or-later
// Requests of opaque ports, looked at as they pass; see observe.h.
#include "path/observe.h"

#include "core/detect.h"
#include "path/asked.h"
#include "path/enforce.h"
#include "path/http.h"
#include "path/worker.h"
#include "path/worker_log.h"

static void observer_free(struct exchange *x)
{
	if (x->observer)
		pool_put(&x->worker->observers, x->observer);
	x->observer = NULL;
}

static bool is_observing(const struct exchange *x)
{
	return x->observing == OBSERVING_REQUESTS || x->observing == OBSERVING_OFFERED;
}

void observe_begin(struct exchange *x)
{
	// What follows a 101 is no request.
	if (!x->http && x->observing == OBSERVING_NOTHING && decide_observes(x->policy))
		x->observing = OBSERVING_REQUESTS;
}

// ---- what is said ------------------------------------------------------------------------------

// The connection's own line names the first; others get one of theirs at once, as long as they are new.
static void observe_say(struct exchange *x, const struct http1_message *m, const struct decision *d)
{
	struct decision *all = &x->decision;
	bool said = all->would_deny && slice_eq(all->audit_policy, d->audit_policy) &&
		    slice_eq(all->audit_rule, d->audit_rule);

	if (!d->would_deny)
		return;
	x->worker->counters.would_deny++;
	if (said || x->observed_lines == OBSERVED_LINES_MAX)
		return;
	x->observed_lines++;
	worker_log_would_deny(x, m, d);
	all->would_deny = true;
	all->audit_policy = d->audit_policy;
	all->audit_rule = d->audit_rule;
}

static void observe_unreadable(struct exchange *x)
{
	struct decide_subject subject = {.destination = x->destination, .policy = x->policy};
	struct decide_context context;
	struct policy_input in;
	struct arena scratch;
	struct decision d;
	bool offered = x->observing == OBSERVING_OFFERED;

	x->observing = OBSERVING_ENDED;
	observer_free(x);
	if (offered)
		return;
	enforce_context(x, &scratch, &context);
	enforce_input(x, &in);
	decide_unreadable(&context, &subject, &in, &d);
	observe_say(x, NULL, &d);
}

// Many at once are framed and not asked about: who looks on takes no more of a turn than who judges.
static bool observe_has_turn(struct exchange *x)
{
	uint32_t turn = (uint32_t)x->worker->counters.turns;

	if (x->turn != turn) {
		x->turn = turn;
		x->turn_requests = 0;
	}
	return x->turn_requests < REQUESTS_PER_TURN_MAX;
}

// False: servers differ on what is asked for.
static bool observe_ask(struct exchange *x, const struct http1_message *m)
{
	struct decide_subject subject = {.destination = x->destination, .policy = x->policy};
	bool repeated = false;
	struct asked_fields fields = {m, &repeated, NULL, NULL};
	struct asked_target target = {0};
	struct decide_context context;
	struct policy_input in;
	struct arena scratch;
	struct decision d;

	if (!observe_has_turn(x))
		return true;
	enforce_context(x, &scratch, &context);
	if (asked_target_parse(m, &scratch, &target) != ERR_OK)
		return false;
	asked_input(x, &fields, &target, &in);
	decide_observed(&context, &subject, &in, &d);
	x->turn_requests += 1 + d.readings / READINGS_PER_REQUEST;
	if (repeated)
		decide_unreadable(&context, &subject, &in, &d);
	observe_say(x, m, &d);
	return true;
}

// ---- what passes -------------------------------------------------------------------------------

// A whole head. False: it cannot be read.
static bool observe_head(struct exchange *x, struct slice head)
{
	struct http1_message *m = x->worker->message;
	struct http1 *request = &x->observer->request;

	http1_init_request(request);
	if (http1_head(request, head, m) != ERR_OK || !observe_ask(x, m))
		return false;
	if (m->upgrade)
		x->observing = OBSERVING_OFFERED;
	x->observer->head_bytes = 0;
	x->observer->scanned = 0;
	if (http1_is_complete(request))
		observer_free(x);
	return true;
}

// Of a head so many bytes of in are kept; false: it will not be one.
static bool observe_keep(struct observer *o, struct slice in)
{
	if (o->head_bytes + in.len > sizeof(o->head))
		return false;
	memcpy(o->head + o->head_bytes, in.ptr, in.len);
	o->head_bytes += (uint32_t)in.len;
	return true;
}

// Bytes of a head at the front of in; 0: no head can be read.
static size_t observe_head_bytes(struct exchange *x, struct slice in)
{
	struct observer *o = x->observer;
	size_t before = o->head_bytes, room = sizeof(o->head) - before, head_bytes;
	struct slice all = in;
	enum detect_protocol p;

	if (before > 0) {
		if (!observe_keep(o, slice_make(in.ptr, in.len < room ? in.len : room)))
			return 0;
		all = slice_make(o->head, o->head_bytes);
	}
	enum err err = http1_find_head(all, &o->scanned, &head_bytes);

	if (err == ERR_OK && head_bytes <= sizeof(o->head))
		return observe_head(x, slice_make(all.ptr, head_bytes)) ? head_bytes - before : 0;
	p = detect_first_bytes(all);
	if (err != ERR_AGAIN || (p != DETECT_HTTP1 && p != DETECT_NEED_MORE) ||
	    (before == 0 && !observe_keep(o, in)) || o->head_bytes == sizeof(o->head))
		return 0;
	return in.len;
}

// Empty lines between requests are passed over as where they are judged, however they are cut.
static size_t observe_empty_lines(struct exchange *x, struct slice in)
{
	size_t n = 0;

	while (n < in.len && (in.ptr[n] == '\r' || in.ptr[n] == '\n') &&
	       x->empty_lines < 2 * EMPTY_LINES_MAX) {
		x->empty_lines++;
		n++;
	}
	return n;
}

static bool observer_new(struct exchange *x)
{
	struct observer *o = pool_get_raw(&x->worker->observers);

	if (!o)
		return false;
	o->scanned = 0;
	o->head_bytes = 0;
	http1_init_request(&o->request);
	x->observer = o;
	return true;
}

// Some bytes at the front of in, at least one; 0: they cannot be read.
static size_t observe_some(struct exchange *x, struct slice in)
{
	struct http1 *request;
	size_t used;
	bool complete;

	if (!x->observer) {
		used = observe_empty_lines(x, in);
		if (used > 0)
			return used;
		x->empty_lines = 0;
		if (!observer_new(x))
			return 0;
		return observe_head_bytes(x, in);
	}
	if (x->observer->head_bytes > 0)
		return observe_head_bytes(x, in);
	request = &x->observer->request;
	if (http1_body(request, in, &used, &complete) != ERR_OK)
		return 0;
	if (complete)
		observer_free(x);
	return used;
}

void observe_bytes(struct exchange *x, struct slice in)
{
	if (is_observing(x) && !decide_observes(x->policy)) {
		x->observing = OBSERVING_ENDED; // nobody wants to know any more
		observer_free(x);
	}
	while (is_observing(x) && in.len > 0) {
		size_t used = observe_some(x, in);

		if (used == 0) {
			observe_unreadable(x);
			return;
		}
		in = slice_make(in.ptr + used, in.len - used);
	}
}

void observe_end(struct exchange *x)
{
	if (is_observing(x) && x->observer && x->observer->head_bytes > 0)
		observe_unreadable(x);
	if (is_observing(x))
		x->observing = OBSERVING_ENDED;
	observer_free(x);
}
