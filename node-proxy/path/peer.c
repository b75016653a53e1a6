// SPDX-License-Identifier: GPL-3.0-or-later
// Peers of this worker: dialling on demand, backoff with jitter; see peer.h.
#include "path/peer.h"

#include <stdlib.h>
#include "path/mux.h"
#include "path/worker.h"

struct peer *peer_get(struct worker *w, const struct ss_node *node)
{
	for (struct peer *p = w->peers; p; p = p->next) {
		if (slice_eq_str(node->name, p->name))
			return p;
	}
	if (w->peer_count == TUNNELS_MAX || node->name.len >= sizeof(w->peers->name))
		return NULL;
	struct peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	memcpy(p->name, node->name.ptr, node->name.len);
	p->worker = w;
	p->timer.tag = TIMER_PEER;
	p->next = w->peers;
	w->peers = p;
	w->peer_count++;
	return p;
}

// Those that wait for a tunnel are asked again: all exchanges in a waiting tunnel stage.
static void peer_wake_waiting(struct peer *p)
{
	for (struct exchange *x = p->worker->all; x; x = x->next) {
		if (x->node && x->leg[UP].type == LEG_NONE && slice_eq_str(x->node->name, p->name))
			exchange_post(x, EVENT_RECHECK);
	}
}

struct mux *peer_mux(struct peer *p, const struct ss_node *node)
{
	struct worker *w = p->worker;

	if (mux_can_open(p->mux))
		return p->mux;
	if (w->now_ns < p->dial_not_before_ns || node->addr_count == 0) {
		if (!timer_is_set(&p->timer))
			timer_set(&w->timers, &p->timer, p->dial_not_before_ns);
		return NULL;
	}
	p->address = (struct addr_port){node->addrs[0], node->tunnel_port};
	p->mux = mux_dial(w, p);
	if (!p->mux)
		peer_on_end(p, NULL, false);
	return p->mux;
}

void peer_on_open(struct peer *p, struct mux *m)
{
	(void)m;
	p->backoff_ms = 0;
	p->dial_not_before_ns = 0;
	timer_cancel(&p->worker->timers, &p->timer);
	peer_wake_waiting(p);
}

void peer_on_end(struct peer *p, struct mux *m, bool was_open)
{
	struct worker *w = p->worker;

	if (m && p->mux != m)
		return;
	p->mux = NULL;
	if (was_open) {
		peer_wake_waiting(p);
		return;
	}
	w->counters.tunnels_failed++;
	p->backoff_ms = p->backoff_ms ? p->backoff_ms * 2 : TUNNEL_BACKOFF_MIN_MS;
	if (p->backoff_ms > TUNNEL_BACKOFF_MAX_MS)
		p->backoff_ms = TUNNEL_BACKOFF_MAX_MS;
	// Half fixed, half jitter: nodes that lost the same peer do not come back in step.
	uint64_t wait_ms = p->backoff_ms / 2 + worker_random(w) % (p->backoff_ms / 2 + 1);

	p->dial_not_before_ns = w->now_ns + wait_ms * NS_PER_MS;
	timer_set(&w->timers, &p->timer, p->dial_not_before_ns);
}

void peer_on_timer(struct peer *p)
{
	peer_wake_waiting(p);
}

void peers_free(struct worker *w)
{
	while (w->peers) {
		struct peer *p = w->peers;

		w->peers = p->next;
		timer_cancel(&w->timers, &p->timer);
		free(p);
	}
}
