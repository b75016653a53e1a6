// SPDX-License-Identifier: GPL-3.0-or-later
// Stage claim: the receiver's checks of an OPEN, against its own snapshot. The sender's certificate
// names a node (proven at the handshake, mux.c); the claimed address, service account and UID have
// to be one pod of that node; the destination has to be an enrolled pod of this one. So a
// stolen node key impersonates that node's workloads and no others.
// A check that fails is held for a moment if the sender's snapshot is newer than ours.
#include "path/holding.h"
#include "path/mux.h"
#include "path/stages.h"
#include "path/worker.h"

// Is this pod, of that node, the one that the address belongs to?
static const char *claim_workload(const struct snapshot *s, const struct ss_node *sender,
				  const struct workload *from, struct addr client)
{
	if (!from)
		return "claimed source pod is unknown";
	if (!slice_eq(from->record.node, sender->name))
		return "claimed source pod runs on another node";
	if (snapshot_workload_by_addr(s, client) != from)
		return "claimed address is not the claimed pod's";
	return NULL;
}

static const char *claim_node(const struct snapshot *s, const struct ss_node *sender,
			      struct addr client)
{
	return snapshot_node_by_addr(s, client) == sender
		       ? NULL
		       : "claimed node address is not the sender's";
}

static bool claim_is_inside(const struct snapshot *s, struct addr a)
{
	return addr_is_none(a) || addr_is_loopback(a) || addr_is_link_local(a) ||
	       addr_is_multicast(a) || snapshot_workload_by_addr(s, a) ||
	       snapshot_node_by_addr(s, a) || snapshot_is_service_addr(s, a);
}

static const char *claim_outside(const struct snapshot *s, const struct ss_node *sender,
				 struct addr client)
{
	if (!sender->ingress)
		return "sender may not bring traffic in from outside";
	if (claim_is_inside(s, client))
		return "claimed outside address is inside the cluster";
	return NULL;
}

static const char *claim_as_workload(struct exchange *x, const struct snapshot *s,
				     const struct ss_node *sender)
{
	const struct tunnel_open *open = &x->claim->open;
	const struct workload *from = snapshot_workload_by_uid(s, open->source_uid);
	const char *wrong = claim_workload(s, sender, from, open->client.addr);

	if (wrong)
		return wrong;
	if (!slice_eq(from->record.namespace, open->source_namespace) ||
	    !slice_eq(from->record.service_account, open->source_account))
		return "claimed service account is not the claimed pod's";
	exchange_set_principal(x, from);
	return NULL;
}

static const char *claim_source(struct exchange *x, const struct snapshot *s, struct slice node)
{
	const struct ss_node *sender = snapshot_node_by_name(s, node);
	struct addr client = x->claim->open.client.addr;

	if (!sender)
		return "sender is not a node of the snapshot";
	x->source = NULL;
	x->principal = (struct principal){.trust_domain = snapshot_meta(s)->trust_domain};
	switch (x->claim->open.kind) {
	case TUNNEL_SOURCE_WORKLOAD:
		return claim_as_workload(x, s, sender);
	case TUNNEL_SOURCE_NODE:
		x->principal.type = PRINCIPAL_NODE;
		return claim_node(s, sender, client);
	case TUNNEL_SOURCE_EXTERNAL:
		x->principal.type = PRINCIPAL_UNAUTHENTICATED;
		return claim_outside(s, sender, client);
	case TUNNEL_SOURCE_NONE:
	case TUNNEL_SOURCE_COUNT:
		break;
	}
	return "no kind of source";
}

const char *claim_still_holds(const struct exchange *x)
{
	const struct snapshot *s = x->pin->snapshot;
	const struct mux *m = x->leg[DOWN].mux;
	const struct ss_node *sender = m ? snapshot_node_by_name(s, slice_str(m->node)) : NULL;
	struct addr client = x->client.addr;

	if (x->claim || !m)
		return NULL; // not checked yet; or the stream has ended, and what it brought is on its way
	if (!sender)
		return "sender is not a node of the snapshot";
	switch (x->principal.type) {
	case PRINCIPAL_WORKLOAD:
		return claim_workload(s, sender, x->source, client);
	case PRINCIPAL_NODE:
		return claim_node(s, sender, client);
	case PRINCIPAL_UNAUTHENTICATED:
		return claim_outside(s, sender, client);
	case PRINCIPAL_GATEWAY:
	case PRINCIPAL_UNKNOWN:
		break;
	}
	return NULL;
}

static const char *claim_destination(struct exchange *x, const struct snapshot *s)
{
	const struct workload *to = snapshot_workload_by_uid(s, x->claim->open.destination_uid);

	if (!to || !to->record.enrolled || !slice_eq(to->record.node, x->worker->config.node))
		return "destination is no enrolled pod of this node";
	for (uint32_t i = 0; i < to->record.addr_count; i++) {
		if (addr_eq(to->record.addrs[i], x->claim->open.destination.addr)) {
			x->destination = to;
			return NULL;
		}
	}
	return "destination address is not the pod's";
}

static enum step claim_try(struct exchange *x, bool may_hold)
{
	const struct snapshot *s = x->pin->snapshot;
	const struct mux *m = x->leg[DOWN].mux;

	if (!m)
		return exchange_end(x, END_TUNNEL_LOST);
	x->check_failed = claim_source(x, s, slice_str(m->node));
	if (!x->check_failed)
		x->check_failed = claim_destination(x, s);
	if (!x->check_failed) {
		holding_open_done(x);
		exchange_forget_claim(x);
		exchange_cancel_timer(x);
		return STEP_NEXT;
	}
	if (may_hold && generation_cmp(x->claim->open.generation, snapshot_generation(s)) > 0)
		return holding_open_waits(x) ? STEP_WAIT : STEP_DONE;
	x->worker->counters.checks_failed++;
	return exchange_end(x, END_PEER_REFUSED);
}

enum step claim_enter(struct exchange *x)
{
	x->client = x->claim->open.client;
	x->dialled = x->target = x->claim->open.destination;
	enum step step = claim_try(x, true);

	if (step == STEP_WAIT)
		exchange_set_timer(x, HELD_OPEN_MS);
	return step;
}

enum step claim_on_event(struct exchange *x, enum event e)
{
	if (e == EVENT_TIMER)
		return claim_try(x, false);
	if (e == EVENT_RECHECK)
		return claim_try(x, true);
	return stage_default_event(x, e);
}
