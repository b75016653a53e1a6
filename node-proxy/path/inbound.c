// SPDX-License-Identifier: GPL-3.0-or-later
// The destination node's side: streams of a peer's tunnel, and the table of stages that every
// connection to a local pod runs, whether it came by tunnel or (from enforce on) from this node.
#include "path/inbound.h"

#include "path/holding.h"
#include "path/mux.h"
#include "path/stages.h"
#include "path/worker.h"

static bool inbound_copy(struct claim *c, struct slice *s, size_t *used)
{
	if (*used + s->len > sizeof(c->text))
		return false;
	memcpy(c->text + *used, s->ptr, s->len);
	s->ptr = (const uint8_t *)c->text + *used;
	*used += s->len;
	return true;
}

static bool inbound_keep_claim(struct exchange *x, const struct tunnel_open *open)
{
	struct claim *c = pool_get_raw(&x->worker->claims);
	size_t used = 0;

	if (!c)
		return false;
	x->claim = c;
	c->open = *open;
	return inbound_copy(c, &c->open.source_uid, &used) &&
	       inbound_copy(c, &c->open.source_namespace, &used) &&
	       inbound_copy(c, &c->open.source_account, &used) &&
	       inbound_copy(c, &c->open.destination_uid, &used);
}

bool inbound_open(struct mux *m, uint32_t stream, const struct tunnel_open *open)
{
	struct worker *w = m->worker;
	struct exchange *x = exchange_new(w, EXCHANGE_INBOUND, inbound_stages);
	struct leg *down;

	if (!x) {
		w->counters.overloaded++;
		return false;
	}
	x->client = open->client;
	x->flow = fair_flow(open->client.addr);
	down = &x->leg[DOWN];
	down->side = DOWN;
	down->exchange = x;
	if (!inbound_keep_claim(x, open) || !holding_begin_opened(x, slice_str(m->node)) ||
	    mux_attach(m, down, stream, open->credit, TUNNEL_CREDIT_INITIAL) != ERR_OK) {
		exchange_end(x, END_OVERLOADED);
		exchange_abort(x);
		return false;
	}
	exchange_start(x);
	return true;
}

const struct stage inbound_stages[] = {
	{"claim", claim_enter, claim_on_event},
	{"enforce", enforce_enter, enforce_on_event},
	{"request", request_enter, request_on_event}, // L7 only
	{"deliver", deliver_enter, deliver_on_event},
	{"relay", relay_enter, relay_on_event}, // L7: back to request, or on to reply
	{"reply", reply_enter, reply_on_event},
	{"linger", linger_enter, linger_on_event},
	{0},
};
