// SPDX-License-Identifier: GPL-3.0-or-later
// Stage identify: who is calling? The captured source address and the interface that it came in by
// name the workload; nothing the pod says does. An unknown local source is held until the
// snapshot and the interface pins have caught up (a new pod's first packet comes before its address is
// in the API), then refused.
#include "path/stages.h"
#include "path/worker.h"

// Is it a pod whose own node brings what it says? That node does so by tunnel: somebody on the link only
// wears the address. A pod that is not enrolled is dialled in plaintext by everybody, and nothing is decided
// for it; once it is, who got through is asked again, as nobody that a proxy vouches for.
static bool identify_is_worn(const struct exchange *x, const struct snapshot *s,
			     const struct workload *from)
{
	const struct workload *to = snapshot_workload_by_addr(s, x->dialled.addr);
	const struct ss_node *node =
		from && from->record.enrolled ? snapshot_node_by_name(s, from->record.node) : NULL;

	return node && node->meshed && !(to && !to->record.enrolled);
}

// From outside the node: a node's own process, or somebody that no proxy vouches for.
static void identify_remote(struct exchange *x, const struct snapshot *s)
{
	const struct ss_node *node = snapshot_node_by_addr(s, x->client.addr);

	x->principal = (struct principal){
		.type = node ? PRINCIPAL_NODE : PRINCIPAL_UNAUTHENTICATED,
		.trust_domain = snapshot_meta(s)->trust_domain,
	};
}

static bool identify_now(struct exchange *x)
{
	struct worker *w = x->worker;
	const struct snapshot *s = x->pin->snapshot;
	const struct workload *from = snapshot_workload_by_addr(s, x->client.addr);

	if (worker_is_uplink(w, x->ifindex)) {
		identify_remote(x, s);
		return !identify_is_worn(x, s, from);
	}
	if (!from || !slice_eq(from->record.node, w->config.node))
		return false;
	if (links_check(w->links, x->client.addr, from->record.uid, x->ifindex) != LINK_MATCHES)
		return false;
	exchange_set_principal(x, from);
	return true;
}

// The interface is not asked for again: its table is of another generation, and a connection that has changed it
// has ended.
bool identify_still_holds(struct exchange *x)
{
	const struct snapshot *s = x->pin->snapshot;

	if (x->principal.type == PRINCIPAL_UNKNOWN)
		return true; // not identified yet
	if (!x->source) {
		identify_remote(x, s);
		return true;
	}
	return slice_eq(x->source->record.node, x->worker->config.node) &&
	       snapshot_workload_by_addr(s, x->client.addr) == x->source;
}

enum step identify_enter(struct exchange *x)
{
	if (!x->pin)
		return exchange_end(x, END_NO_SNAPSHOT);
	if (identify_now(x))
		return STEP_NEXT;
	if (x->principal.type != PRINCIPAL_UNKNOWN) {
		x->check_failed = "the pod's node brings what it says by tunnel: not from here";
		return exchange_end(x, END_UNKNOWN_SOURCE);
	}
	x->worker->counters.held_sources++;
	exchange_set_timer(x, snapshot_meta(x->pin->snapshot)->hold_timeout_ms);
	return STEP_WAIT;
}

enum step identify_on_event(struct exchange *x, enum event e)
{
	if (e == EVENT_TIMER)
		return exchange_end(x, END_UNKNOWN_SOURCE);
	if (e != EVENT_RECHECK)
		return stage_default_event(x, e);
	if (!identify_now(x))
		return STEP_WAIT;
	exchange_cancel_timer(x);
	return STEP_NEXT;
}

enum step stage_default_event(struct exchange *x, enum event e)
{
	switch (e) {
	case EVENT_RESET_DOWN:
		return exchange_end(x, END_CLIENT_RESET);
	case EVENT_RESET_UP:
		return exchange_end(x, end_reason_from_tunnel(x->leg[UP].reset_reason));
	case EVENT_TIMER:
		return exchange_end(x, END_CONNECT_TIMEOUT);
	case EVENT_DATA_DOWN:
	case EVENT_DATA_UP:
	case EVENT_CONNECTED:
	case EVENT_SENT_DOWN:
	case EVENT_SENT_UP:
	case EVENT_FIN_DOWN:
	case EVENT_FIN_UP:
	case EVENT_RECHECK:
	case EVENT_LEAVE:
	case EVENT_TURN:
	case EVENT_COUNT:
		break;
	}
	return STEP_WAIT;
}
