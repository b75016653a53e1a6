// SPDX-License-Identifier: GPL-3.0-or-later
// The streams of a tunnel: a table by slot, in pages that are made on use; see mux.h. What they send is
// mux_send.c's.
#include "path/exchange.h"
#include "path/mux_send.h"
#include "path/pressure.h"
#include "path/worker.h"

static struct leg **mux_slot(struct mux *m, uint32_t stream, bool make)
{
	uint32_t slot = TUNNEL_SLOT(stream);
	struct mux_page **page = &m->pages[slot / MUX_PAGE];

	if (!*page && make)
		*page = pool_get(&m->worker->mux_pages);
	return *page ? &(*page)->slots[slot % MUX_PAGE] : NULL;
}

struct leg *mux_find(struct mux *m, uint32_t stream)
{
	struct leg **slot = mux_slot(m, stream, false);

	return slot && *slot && (*slot)->stream_id == stream ? *slot : NULL;
}

// What a stream counts of the worker's promises: all that we chose, not what the protocol gives the side
// that dials.
static int64_t mux_promise(const struct mux *m, const struct leg *l)
{
	return (int64_t)l->window - (m->server ? TUNNEL_CREDIT_INITIAL : 0);
}

void mux_lose_stream(struct leg *l, enum tunnel_reason reason, enum tunnel_reason tell)
{
	l->reset_reason = reason;
	mux_detach(l, tell);
	l->dead = true;
	exchange_post(l->exchange, l->side == DOWN ? EVENT_RESET_DOWN : EVENT_RESET_UP);
}

// Where both directions have ended in good order, nothing is lost: what still lies here goes on to the pod.
static void mux_let_go(struct leg *l, enum tunnel_reason reason, enum tunnel_reason tell)
{
	if (l->read_fin && l->fin_sent)
		mux_detach(l, TUNNEL_REASON_NONE);
	else
		mux_lose_stream(l, reason, tell);
}

void mux_leave(struct leg *l)
{
	if (!l->mux)
		return;
	if (!l->fin_sent) {
		mux_detach(l, TUNNEL_REASON_RESET); // what did not get away must not look whole
		return;
	}
	if (!l->read_fin)
		mux_put_empty(l->mux, TUNNEL_STOP, l->stream_id);
	mux_detach(l, TUNNEL_REASON_NONE);
}

void mux_on_finished(struct leg *l)
{
	l->read_fin = true;
	exchange_post(l->exchange, l->side == DOWN ? EVENT_FIN_DOWN : EVENT_FIN_UP);
	if (l->remote_stopped)
		mux_on_stopped(l);
}

// On two connections STOP may overtake the FIN before it.
void mux_on_stopped(struct leg *l)
{
	l->remote_stopped = true;
	if (l->read_fin)
		mux_lose_stream(l, TUNNEL_REASON_NONE, TUNNEL_REASON_NONE);
}

void mux_reset_streams(struct mux *m, enum tunnel_reason reason)
{
	for (uint32_t p = 0; p < STREAMS_PER_TUNNEL_MAX / MUX_PAGE; p++) {
		if (!m->pages[p])
			continue;
		for (uint32_t i = 0; i < MUX_PAGE; i++) {
			if (m->pages[p]->slots[i])
				mux_let_go(m->pages[p]->slots[i], reason, TUNNEL_REASON_NONE);
		}
		pool_put(&m->worker->mux_pages, m->pages[p]);
		m->pages[p] = NULL;
	}
}

enum err mux_attach(struct mux *m, struct leg *l, uint32_t stream, uint32_t credit, uint32_t window)
{
	struct leg **slot = mux_slot(m, stream, true);

	if (!slot)
		return ERR_NOMEM;
	if (*slot) {
		// A peer that reuses a slot has given the old stream up.
		mux_let_go(*slot, TUNNEL_REASON_PROTOCOL, TUNNEL_REASON_PROTOCOL);
	}
	*slot = l;
	l->type = LEG_STREAM;
	l->mux = m;
	l->stream_id = stream;
	l->credit = credit;
	l->granted = window;
	l->window = window;
	m->worker->promised_bytes += mux_promise(m, l);
	m->streams++;
	m->worker->counters.streams_open++;
	return ERR_OK;
}

// A free slot from next_slot on; 0: none.
static uint32_t mux_free_slot(struct mux *m)
{
	for (uint32_t tries = 1; tries < STREAMS_PER_TUNNEL_MAX; tries++) {
		uint32_t slot = m->next_slot;

		m->next_slot = slot + 1 < STREAMS_PER_TUNNEL_MAX ? slot + 1 : 1;
		struct leg **at = mux_slot(m, slot, false);

		if (!at || !*at)
			return slot;
	}
	return 0;
}

bool mux_can_open(const struct mux *m)
{
	return m && m->state != MUX_NONE && m->state < MUX_GOAWAY &&
	       m->streams < STREAMS_PER_TUNNEL_MAX - 1;
}

enum err mux_open(struct mux *m, struct leg *l)
{
	uint32_t slot = mux_free_slot(m);

	if (slot == 0)
		return ERR_FULL;
	// Lower slots first when they are free again: pages stay few.
	if (m->streams < m->next_slot / 2)
		m->next_slot = 1;
	enum err err = mux_attach(m, l, (uint32_t)++m->generations << 16 | slot,
				  TUNNEL_CREDIT_INITIAL, pressure_first_window(m->worker));

	if (err != ERR_OK)
		return err;
	l->open_wanted = true;
	mux_mark_pending(l);
	return ERR_OK;
}

// The stream leaves the table; reason NONE: it has ended in good order, else RESET tells the peer.
void mux_detach(struct leg *l, enum tunnel_reason reason)
{
	struct mux *m = l->mux;
	struct leg **slot;

	if (!m)
		return;
	mux_unlink_pending(l);
	slot = mux_slot(m, l->stream_id, false);
	if (slot && *slot == l)
		*slot = NULL;
	if (reason != TUNNEL_REASON_NONE && !l->open_wanted)
		mux_put_u16(m, TUNNEL_RESET, l->stream_id, (uint16_t)reason);
	l->mux = NULL;
	l->on_bulk = false;
	m->worker->promised_bytes -= mux_promise(m, l);
	m->streams--;
	m->worker->counters.streams_open--;
	if (m->streams == 0) {
		m->last_busy_ns = m->worker->now_ns;
		mux_mark_dirty(m); // a GOAWAY may have waited for it
	}
}
