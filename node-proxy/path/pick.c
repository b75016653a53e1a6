// SPDX-License-Identifier: GPL-3.0-or-later
// Stage pick: what was dialled, and which pod serves it? A pod's own address first (headless
// Services), then a Service's. Endpoint choice follows kube-proxy: ready ones, else those that
// serve while terminating. What else the Service says of its traffic is core/service's and core/affinity's.
#include "common/clock.h"
#include "common/hash.h"
#include "core/affinity.h"
#include "core/service.h"
#include "path/stages.h"
#include "path/worker.h"

static struct service_visit pick_visit(const struct exchange *x)
{
	return (struct service_visit){
		.service = x->service,
		.door = service_door_of(x->service, x->dialled.addr),
		.dialled = x->dialled.addr,
		.client = x->client.addr,
		.from_cluster = snapshot_workload_by_addr(x->pin->snapshot, x->client.addr) != NULL,
		.node = x->worker->config.node,
	};
}

// What is chosen from: usable endpoints of a port.
struct choice {
	const struct service_visit *visit;
	const struct ss_service_port *port;
	bool terminating;
	uint32_t count;
};

static const struct ss_endpoint *choice_next(const struct choice *c, uint32_t *at)
{
	while (*at < c->port->endpoint_count) {
		const struct ss_endpoint *e = &c->port->endpoints[(*at)++];

		if (service_is_usable(c->visit, e, c->terminating))
			return e;
	}
	return NULL;
}

static void choice_count(struct choice *c)
{
	uint32_t at = 0;

	while (choice_next(c, &at))
		c->count++;
}

static const struct ss_endpoint *choice_at(const struct choice *c, uint32_t wanted)
{
	uint32_t at = 0;

	while (wanted-- > 0)
		(void)choice_next(c, &at);
	return choice_next(c, &at);
}

static uint32_t endpoint_tag(const struct ss_endpoint *e)
{
	return affinity_tag(hash_u64(e->port, hash_bytes(slice_make(e->addr.bytes, 16), 0)));
}

static const struct ss_endpoint *choice_tagged(const struct choice *c, uint32_t tag)
{
	const struct ss_endpoint *e;
	uint32_t at = 0;

	while (tag && (e = choice_next(c, &at))) {
		if (endpoint_tag(e) == tag)
			return e;
	}
	return NULL;
}

// sessionAffinity: where the client was led last, as long as that is usable.
static const struct ss_endpoint *pick_again(struct exchange *x, const struct choice *c)
{
	struct affinity_table *t = x->worker->config.affinity;
	uint64_t now_s = x->worker->now_ns / NS_PER_S, key = affinity_seed(t);
	uint32_t timeout_s = x->service->affinity_timeout_s, was;
	const struct ss_endpoint *e, *other;

	key = hash_bytes(x->service->name, hash_bytes(x->service->namespace, key));
	key = hash_bytes(slice_make(x->client.addr.bytes, 16), hash_u64(c->port->port, key));
	was = affinity_find(t, key, timeout_s, now_s);
	e = choice_tagged(c, was);
	if (e)
		return e;
	e = choice_at(c, (uint32_t)(worker_random(x->worker) % c->count));
	other = choice_tagged(c, affinity_keep(t, key, was, endpoint_tag(e), timeout_s, now_s));
	return other ? other : e;
}

static const struct ss_endpoint *pick_endpoint(struct exchange *x, const struct service_visit *v,
					       const struct ss_service_port *port)
{
	struct choice c = {v, port, false, 0};

	choice_count(&c);
	if (c.count == 0) {
		c.terminating = true;
		choice_count(&c);
	}
	if (c.count == 0)
		return NULL;
	if (x->service->affinity_timeout_s && x->worker->config.affinity)
		return pick_again(x, &c);
	return choice_at(&c, (uint32_t)(worker_random(x->worker) % c.count));
}

static enum step pick_route(struct exchange *x)
{
	struct worker *w = x->worker;
	const struct workload *to = x->destination;

	if (!to || !to->record.enrolled) {
		// Not ours to protect (host network, outside the mesh): passed through as it was.
		x->destination = NULL;
		return STEP_LOCAL;
	}
	if (slice_eq(to->record.node, w->config.node))
		return STEP_LOCAL;
	x->node = snapshot_node_by_name(x->pin->snapshot, to->record.node);
	return x->node ? STEP_NEXT : exchange_end(x, END_NO_ROUTE);
}

static enum step pick_service(struct exchange *x, const struct ss_service_port *port)
{
	struct service_visit visit = pick_visit(x);
	const struct ss_endpoint *e;

	if (!service_admits(&visit))
		return exchange_end(x, END_SOURCE_RANGE);
	e = pick_endpoint(x, &visit, port);
	if (!e)
		return exchange_end(x, END_NO_ENDPOINT);
	x->target = (struct addr_port){e->addr, e->port};
	if (e->workload_uid.len > 0)
		x->destination = snapshot_workload_by_uid(x->pin->snapshot, e->workload_uid);
	else if (!links_lead_outside(x->worker->links, e->addr))
		return STEP_WAIT; // behind an interface of this node: a pod that nobody knows
	return pick_route(x);
}

static enum step pick_now(struct exchange *x)
{
	const struct snapshot *s = x->pin->snapshot;
	const struct ss_service_port *port;

	x->destination = snapshot_workload_by_addr(s, x->dialled.addr);
	x->target = x->dialled;
	if (x->destination)
		return pick_route(x);
	port = snapshot_service_port(s, x->dialled.addr, x->dialled.port, &x->service);
	if (port)
		return pick_service(x, port);
	return STEP_WAIT;
}

enum step pick_enter(struct exchange *x)
{
	enum step step = pick_now(x);

	if (step == STEP_WAIT) {
		if (!x->service && snapshot_is_service_addr(x->pin->snapshot, x->dialled.addr))
			return exchange_end(x, END_NO_ROUTE); // no such port
		// A pod that is newer than the snapshot, perhaps.
		x->worker->counters.held_destinations++;
		exchange_set_timer(x, snapshot_meta(x->pin->snapshot)->hold_timeout_ms);
	}
	return step;
}

enum step pick_on_event(struct exchange *x, enum event e)
{
	if (e == EVENT_TIMER)
		return exchange_end(x, END_UNKNOWN_DESTINATION);
	if (e != EVENT_RECHECK)
		return stage_default_event(x, e);
	enum step step = pick_now(x);

	if (step != STEP_WAIT)
		exchange_cancel_timer(x);
	return step;
}
