// SPDX-License-Identifier: GPL-3.0-or-later
// Stage pick: what was dialled, and which pod serves it? A pod's own address first (headless
// Services), then a Service's. Endpoint choice follows kube-proxy: ready ones, else those that
// serve while terminating; internalTrafficPolicy and client affinity honoured.
#include "common/hash.h"
#include "path/stages.h"
#include "path/worker.h"

#define PICK_CANDIDATES_MAX 4096

static bool pick_is_usable(const struct exchange *x, const struct ss_endpoint *e, bool terminating)
{
	if (terminating ? !(e->serving && e->terminating) : !e->ready)
		return false;
	if (addr_is_v4(e->addr) != addr_is_v4(x->dialled.addr))
		return false; // the client's address has to be the pod's family
	return !x->service->internal_local || slice_eq(e->node, x->worker->config.node);
}

static uint32_t pick_count(const struct exchange *x, const struct ss_service_port *port,
			   bool terminating)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < port->endpoint_count; i++)
		n += pick_is_usable(x, &port->endpoints[i], terminating);
	return n;
}

static const struct ss_endpoint *pick_endpoint(struct exchange *x,
					       const struct ss_service_port *port)
{
	bool terminating = false;
	uint32_t n = pick_count(x, port, false);

	if (n == 0) {
		terminating = true;
		n = pick_count(x, port, true);
	}
	if (n == 0)
		return NULL;
	uint64_t choice = x->service->affinity_timeout_s
				  ? hash_bytes(slice_make(x->client.addr.bytes, 16), 0)
				  : worker_random(x->worker);
	uint32_t wanted = (uint32_t)(choice % n);

	for (uint32_t i = 0; i < port->endpoint_count; i++) {
		if (pick_is_usable(x, &port->endpoints[i], terminating) && wanted-- == 0)
			return &port->endpoints[i];
	}
	return NULL;
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
	const struct ss_endpoint *e = pick_endpoint(x, port);

	if (!e)
		return exchange_end(x, END_NO_ENDPOINT);
	x->target = (struct addr_port){e->addr, e->port};
	if (e->workload_uid.len > 0)
		x->destination = snapshot_workload_by_uid(x->pin->snapshot, e->workload_uid);
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
		if (snapshot_is_service_addr(x->pin->snapshot, x->dialled.addr))
			return exchange_end(x, END_NO_ROUTE); // no such port
		// A pod that is newer than the snapshot, perhaps.
		exchange_set_timer(x, snapshot_meta(x->pin->snapshot)->hold_timeout_ms);
	}
	return step;
}

enum step pick_on_event(struct exchange *x, enum event e)
{
	if (e == EVENT_TIMER)
		return exchange_end(x, END_NO_ROUTE);
	if (e != EVENT_RECHECK)
		return stage_default_event(x, e);
	enum step step = pick_now(x);

	if (step != STEP_WAIT)
		exchange_cancel_timer(x);
	return step;
}
