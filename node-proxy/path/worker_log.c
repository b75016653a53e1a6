// SPDX-License-Identifier: GPL-3.0-or-later
// Records of exchanges and tunnels; see worker_log.h. Names are gathered here, formatting is the
// logger thread's.
#include "path/worker_log.h"

#include <stdio.h>
#include <string.h>
#include "common/clock.h"
#include "core/match.h"
#include "path/http.h"
#include "path/mux.h"
#include "path/observe.h"
#include "path/worker.h"

enum reporter { REPORTER_SOURCE = 0, REPORTER_DESTINATION, REPORTER_BOTH };

#define POD_NAME_MAX   384
#define LOG_DETAIL_MAX (READING_TEXT_MAX + 64)

static struct slice log_pod_name(const struct ss_workload *p, char text[POD_NAME_MAX])
{
	int n = snprintf(text, POD_NAME_MAX, "%.*s/%.*s", SLICE_ARG(p->namespace),
			 SLICE_ARG(p->name));

	return slice_make(text, n < POD_NAME_MAX ? (size_t)n : POD_NAME_MAX - 1);
}

static void log_count(struct worker *w, const struct exchange *x)
{
	const struct http *h = x->http;

	w->counters.exchanges++;
	w->counters.ended[x->end_reason]++;
	if (h && h->status >= 100 && h->status < 600)
		w->counters.responses[h->status / 100]++;
	// Of a port whose requests are only looked at each has been counted.
	if (x->decided && x->decision.would_deny && x->observing == OBSERVING_NOTHING)
		w->counters.would_deny++;
}

static void log_http(const struct exchange *x, struct record *r,
		     struct slice strings[RECORD_STRINGS])
{
	const struct http *h = x->http;

	r->l7 = true;
	r->status = h->status;
	strings[RECORD_METHOD] = slice_make(h->method, h->method_len);
	strings[RECORD_PATH] = slice_make(h->path, h->path_len);
	strings[RECORD_HOST] = slice_make(h->host, h->host_len);
	if (h->error)
		strings[RECORD_DETAIL] = slice_str(h->error);
}

static void log_decision(const struct exchange *x, struct record *r,
			 struct slice strings[RECORD_STRINGS])
{
	const struct decision *d = &x->decision;

	if (!x->decided)
		return;
	r->verdict = (uint8_t)d->verdict;
	r->decide_reason = (uint8_t)d->reason;
	r->jwt_refusal = (uint8_t)d->jwt;
	r->would_deny = d->would_deny;
	strings[RECORD_POLICY] = d->policy;
	strings[RECORD_RULE] = d->rule;
	strings[RECORD_AUDIT_POLICY] = d->audit_policy;
	strings[RECORD_AUDIT_RULE] = d->audit_rule;
}

// Which of a target's readings was refused; empty: the plain one.
static struct slice log_reading(const struct exchange *x, char text[LOG_DETAIL_MAX])
{
	const struct decision *d = &x->decision;
	char steps[READING_TEXT_MAX];
	int n;

	if (!x->decided || (d->reading == 0 && !d->field))
		return (struct slice){0};
	n = snprintf(text, LOG_DETAIL_MAX, "%s read: %.*s", d->field ? d->field : "path",
		     SLICE_ARG(reading_format(d->reading, steps)));
	return slice_make(text, n < LOG_DETAIL_MAX ? (size_t)n : LOG_DETAIL_MAX - 1);
}

// A connection that failed is named by its errno, beside the sentence that there may be.
static void log_error(const struct exchange *x, struct slice *detail, char text[LOG_DETAIL_MAX])
{
	const char *name = x->error ? strerrorname_np(x->error) : NULL;

	if (!name)
		return;
	int n = detail->len ? snprintf(text, LOG_DETAIL_MAX, "%.*s (%s)", SLICE_ARG(*detail), name)
			    : snprintf(text, LOG_DETAIL_MAX, "%s", name);

	*detail = slice_make(text, n < LOG_DETAIL_MAX ? (size_t)n : LOG_DETAIL_MAX - 1);
}

static struct record log_fixed(const struct exchange *x)
{
	const struct worker *w = x->worker;

	return (struct record){
		.kind = RECORD_EXCHANGE,
		.reporter = x->kind == EXCHANGE_INBOUND ? REPORTER_DESTINATION
			    : x->local			? REPORTER_BOTH
							: REPORTER_SOURCE,
		.end_reason = x->end_reason,
		.verdict = VERDICT_COUNT, // not asked here
		.exchange_id = x->id,
		.sequence = x->sequence,
		.unix_ms = clock_unix_ms(),
		.duration_us = (w->now_ns - x->started_ns) / 1000,
		.bytes_in = x->leg[DOWN].bytes_in - x->bytes_logged[DOWN],
		.bytes_out = x->leg[DOWN].bytes_out - x->bytes_logged[UP],
		.client = x->client,
		.dialled = x->dialled,
		.target = x->target,
	};
}

// Which holder has his share of what: a pod and an address are named by other members of the line.
static struct slice log_crowd(const struct exchange *x, char text[static 128])
{
	static const char *const whose[] = {
		[HOLDER_SOURCE] = "the source has its share of ",
		[HOLDER_NODE] = "the source's node has its share of ",
		[HOLDER_DESTINATION] = "the destination has its share of ",
		[HOLDER_NOBODY] = "none left: ",
		[HOLDER_EVERYBODY] = "none left: ",
	};

	snprintf(text, 128, "%s%s", whose[x->crowded_role],
		 holder_resource_name((enum holder_resource)x->crowded_resource));
	return slice_str(text);
}

struct log_names {
	char source[SPIFFE_ID_MAX], destination[SPIFFE_ID_MAX];
	char source_pod[POD_NAME_MAX], destination_pod[POD_NAME_MAX], service[POD_NAME_MAX];
};

// Who calls whom.
static void log_parties(const struct exchange *x, struct slice strings[RECORD_STRINGS],
			struct log_names *n)
{
	strings[RECORD_SOURCE] = principal_format(&x->principal, n->source);
	if (x->source)
		strings[RECORD_SOURCE_POD] = log_pod_name(&x->source->record, n->source_pod);
	if (x->destination) {
		struct principal to = {
			.type = PRINCIPAL_WORKLOAD,
			.trust_domain = snapshot_meta(x->pin->snapshot)->trust_domain,
			.namespace = x->destination->record.namespace,
			.service_account = x->destination->record.service_account,
		};

		strings[RECORD_DESTINATION] = principal_format(&to, n->destination);
		strings[RECORD_DESTINATION_POD] =
			log_pod_name(&x->destination->record, n->destination_pod);
	}
	if (x->service) {
		struct ss_workload named = {.namespace = x->service->namespace,
					    .name = x->service->name};

		strings[RECORD_SERVICE] = log_pod_name(&named, n->service);
	}
	if (x->leg[DOWN].type == LEG_STREAM && x->leg[DOWN].mux)
		strings[RECORD_NODE] = slice_str(x->leg[DOWN].mux->node);
}

void worker_log_exchange(struct exchange *x)
{
	struct worker *w = x->worker;
	struct slice strings[RECORD_STRINGS] = {0};
	char detail[LOG_DETAIL_MAX], read_as[LOG_DETAIL_MAX], crowd[128];
	struct log_names names;

	log_count(w, x);
	if (!w->config.log_exchanges)
		return;
	struct record r = log_fixed(x);

	log_parties(x, strings, &names);
	strings[RECORD_DETAIL] = log_reading(x, read_as);
	if (x->check_failed)
		strings[RECORD_DETAIL] = slice_str(x->check_failed);
	if (x->crowded)
		strings[RECORD_DETAIL] = log_crowd(x, crowd);
	log_decision(x, &r, strings);
	if (x->http)
		log_http(x, &r, strings);
	log_error(x, &strings[RECORD_DETAIL], detail);
	record_ring_put(&w->log, &r, strings);
	x->bytes_logged[DOWN] = x->leg[DOWN].bytes_in;
	x->bytes_logged[UP] = x->leg[DOWN].bytes_out;
}

void worker_log_would_deny(const struct exchange *x, const struct http1_message *m,
			   const struct decision *d)
{
	struct worker *w = x->worker;
	struct slice strings[RECORD_STRINGS] = {0};
	struct record r = log_fixed(x);
	struct log_names names;

	if (!w->config.log_exchanges)
		return;
	r.kind = RECORD_WOULD_DENY;
	r.would_deny = true;
	log_parties(x, strings, &names);
	strings[RECORD_AUDIT_POLICY] = d->audit_policy;
	strings[RECORD_AUDIT_RULE] = d->audit_rule;
	if (m) {
		r.l7 = true;
		strings[RECORD_METHOD] = m->method;
		strings[RECORD_PATH] = slice_make(m->target.ptr, slice_find(m->target, '?'));
		strings[RECORD_HOST] = m->host;
	} else {
		strings[RECORD_DETAIL] = SLICE_LIT("no request that can be read");
	}
	record_ring_put(&w->log, &r, strings);
}

void worker_log_tunnel(struct worker *w, const struct mux *m, const char *event, const char *why)
{
	struct slice strings[RECORD_STRINGS] = {0};
	bool handshake_done = mux_is_up(m);
	struct record r = {
		.kind = RECORD_TUNNEL,
		.reporter = m->server ? REPORTER_DESTINATION : REPORTER_SOURCE,
		.unix_ms = clock_unix_ms(),
		.client = m->remote,
	};

	strings[RECORD_METHOD] = slice_str(event);
	strings[RECORD_NODE] = slice_str(m->node);
	if (why)
		strings[RECORD_DETAIL] = slice_str(why);
	if (handshake_done && m->tls) {
		strings[RECORD_POLICY] = slice_str(tls_group_name(m->tls));
		strings[RECORD_RULE] = slice_str(tls_cipher_name(m->tls));
	}
	record_ring_put(&w->log, &r, strings);
}
