// SPDX-License-Identifier: GPL-3.0-or-later
// The two connections of a tunnel. Small flows and all control stay on the first; a direction of a stream that
// has carried BULK_AFTER_BYTES says MOVE there and goes on with its DATA and FIN on the second. What
// overtakes its MOVE is kept (within the stream's credit) until the MOVE comes. A tunnel has one bulk
// connection in its life: were it replaced, a late MOVE could hide that bytes were lost. When it
// dies, what has moved is reset, and new streams take a new tunnel.
#include <string.h>
#include "path/conn.h"
#include "path/exchange.h"
#include "path/mux_send.h"
#include "path/worker.h"

void mux_bulk_want(struct mux *m)
{
	struct worker *w = m->worker;

	if (m->server || m->bulk || m->partner || m->bulk_spent || m->state != MUX_OPEN ||
	    w->now_ns < m->bulk_not_before_ns)
		return;
	m->bulk_not_before_ns = w->now_ns + BULK_RETRY_MS * NS_PER_MS;
	m->partner = mux_dial_bulk(m);
	if (m->partner)
		m->partner->partner = m;
}

bool mux_bulk_join(struct mux *bulk)
{
	for (struct mux *m = bulk->worker->muxes_list; m; m = m->next) {
		// The certificate has proven the node's name; the group alone would be a bearer's word.
		if (m == bulk || !m->server || m->bulk || m->partner || m->bulk_spent ||
		    !mux_is_up(m) || strcmp(m->node, bulk->node) != 0 ||
		    memcmp(m->group, bulk->group, sizeof(m->group)) != 0)
			continue;
		m->partner = bulk;
		bulk->partner = m;
		return true;
	}
	return false;
}

// Does a stream need the bulk connection no more? What it sends there has been sent to its FIN, what it
// gets from there has come to its FIN (the MOVE may still be on its way).
static bool mux_bulk_is_done_with(const struct leg *l)
{
	bool received = l->read_fin || l->early_fin || l->early_reset ||
			(!l->remote_moved && l->early.bytes == 0);

	return received && (!l->on_bulk || l->fin_sent);
}

// What had moved, in either direction, and not come to its end, is lost with the bulk connection.
static void mux_bulk_lose_moved(struct mux *primary)
{
	for (uint32_t p = 0; p < STREAMS_PER_TUNNEL_MAX / MUX_PAGE; p++) {
		for (uint32_t i = 0; primary->pages[p] && i < MUX_PAGE; i++) {
			struct leg *l = primary->pages[p]->slots[i];

			if (l && !mux_bulk_is_done_with(l))
				mux_lose_stream(l, TUNNEL_REASON_SHUTDOWN, TUNNEL_REASON_RESET);
		}
	}
}

void mux_bulk_part(struct mux *m, bool was_open)
{
	struct mux *partner = m->partner;

	if (!partner)
		return;
	if (!m->bulk) {
		m->partner = NULL;
		partner->partner = NULL;
		mux_fail(partner, TUNNEL_REASON_SHUTDOWN, NULL);
		return;
	}
	mux_bulk_lose_moved(partner);
	m->partner = NULL;
	partner->partner = NULL;
	partner->bulk_spent = was_open;
	if (was_open && !partner->server)
		mux_goaway(partner, TUNNEL_REASON_SHUTDOWN);
	mux_mark_dirty(partner); // it may have waited for this end with its own
}

bool mux_bulk_move(struct leg *l)
{
	struct mux *m = l->mux;

	if (l->on_bulk)
		return true;
	if (l->bytes_out < BULK_AFTER_BYTES)
		return false;
	if (!m->partner || m->partner->state != MUX_OPEN || !m->partner->hello_received) {
		mux_bulk_want(m);
		return false;
	}
	mux_put_empty(m, TUNNEL_MOVE, l->stream_id);
	l->on_bulk = true;
	return true;
}

void mux_bulk_keep(struct leg *l, struct slice data)
{
	if (queue_put(&l->early, &l->exchange->worker->chunks, data) != ERR_OK)
		mux_lose_stream(l, TUNNEL_REASON_OVERLOADED, TUNNEL_REASON_OVERLOADED);
}

void mux_bulk_on_move(struct mux *m, struct leg *l)
{
	if (!l)
		return;
	if (l->remote_moved || l->read_fin || (!m->partner && !l->early_fin)) {
		mux_lose_stream(l, TUNNEL_REASON_PROTOCOL, TUNNEL_REASON_PROTOCOL);
		return;
	}
	struct queue early = l->early;
	struct pool *chunks = &m->worker->chunks;

	l->early = (struct queue){0};
	l->remote_moved = true;
	while (early.bytes > 0) {
		struct slice data = queue_peek(&early);

		if (!l->dead)
			exchange_on_data(l->exchange, (enum side)l->side, data);
		queue_consume(&early, chunks, (uint32_t)data.len);
	}
	if (l->early_fin && !l->dead && l->mux)
		mux_on_finished(l);
	if (l->early_reset && !l->dead && l->mux)
		mux_lose_stream(l, l->reset_reason, TUNNEL_REASON_NONE);
}
