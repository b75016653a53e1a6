// SPDX-License-Identifier: GPL-3.0-or-later
// Stage tunnel: a stream to the node where the destination pod runs. Bytes go on behind the OPEN
// without waiting for the answer. A tunnel that cannot be had within the connect timeout ends
// the exchange; one that is only being dialled is waited for.
#include "path/holding.h"
#include "path/mux.h"
#include "path/peer.h"
#include "path/stages.h"
#include "path/worker.h"

static enum step tunnel_try(struct exchange *x)
{
	struct peer *peer = peer_get(x->worker, x->node);
	struct mux *m = peer ? peer_mux(peer, x->node) : NULL;
	struct leg *up = &x->leg[UP];

	if (!peer || !holding_destination(x))
		return exchange_end(x, END_OVERLOADED);
	if (!m || m->state != MUX_OPEN)
		return STEP_WAIT; // EVENT_RECHECK when there is one
	up->side = UP;
	up->exchange = x;
	if (mux_open(m, up) != ERR_OK)
		return exchange_end(x, END_OVERLOADED);
	exchange_cancel_timer(x);
	return STEP_NEXT;
}

enum step tunnel_enter(struct exchange *x)
{
	enum step step = tunnel_try(x);

	if (step == STEP_WAIT)
		exchange_set_timer(x, snapshot_meta(x->pin->snapshot)->connect_timeout_ms);
	return step;
}

enum step tunnel_on_event(struct exchange *x, enum event e)
{
	if (e == EVENT_TIMER)
		return exchange_end(x, END_UNREACHABLE);
	if (e != EVENT_RECHECK)
		return stage_default_event(x, e);
	return x->node ? tunnel_try(x) : exchange_end(x, END_NO_ROUTE);
}
