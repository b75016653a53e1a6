// SPDX-License-Identifier: GPL-3.0-or-later
// See pressure.h. All of it follows from two numbers of the worker: chunks in use, bytes promised.
#include "path/pressure.h"

#include "path/exchange.h"
#include "path/worker.h"

#define FULL_CHUNKS	(CHUNKS_MAX / 16 * 15)
#define RELIEVED_CHUNKS (CHUNKS_MAX / 8 * 7)

static uint32_t pressure_between(uint64_t wanted, uint32_t max)
{
	return wanted < TIGHT_BYTES ? TIGHT_BYTES : wanted < max ? (uint32_t)wanted : max;
}

static uint64_t pressure_leg_share(const struct worker *w)
{
	uint32_t used = w->chunks.used;

	return used < CHUNKS_MAX / 2 ? (uint64_t)(CHUNKS_MAX / 2 - used) * CHUNK_BYTES / LEG_SHARE
				     : 0;
}

static uint64_t pressure_promisable(const struct worker *w)
{
	return w->promised_bytes < PROMISES_MAX ? (uint64_t)(PROMISES_MAX - w->promised_bytes) : 0;
}

uint32_t pressure_mark(const struct worker *w, uint32_t mark)
{
	return pressure_between(pressure_leg_share(w), mark);
}

uint32_t pressure_receive_max(const struct worker *w)
{
	uint64_t share = pressure_leg_share(w);

	return share < SCARCE_BYTES ? pressure_between(share / 4, SCARCE_BYTES) : 0;
}

bool pressure_is_crowd(const struct worker *w)
{
	return w->counters.exchanges_open > CROWD_EXCHANGES;
}

uint32_t pressure_first_window(const struct worker *w)
{
	return pressure_between(pressure_promisable(w) / FIRST_WINDOW_SHARE, TUNNEL_CREDIT_INITIAL);
}

uint32_t pressure_next_window(const struct worker *w, uint32_t window)
{
	uint32_t most =
		pressure_between(pressure_promisable(w) / GROWN_WINDOW_SHARE, TUNNEL_CREDIT_MAX);

	return window < most / 2 ? window * 2 : most;
}

static uint32_t pressure_held(const struct exchange *x)
{
	uint32_t bytes = 0;

	for (int s = 0; s < SIDES; s++)
		bytes += x->unread[s].len + leg_pending(&x->leg[s]) + x->leg[s].early.bytes;
	return bytes;
}

void pressure_relieve(struct worker *w)
{
	uint32_t most = 0, used = w->chunks.used;

	if (used < FULL_CHUNKS || w->now_ns - w->relieved_ns < RELIEVE_EVERY_MS * NS_PER_MS)
		return;
	w->relieved_ns = w->now_ns;
	for (struct exchange *x = w->all; x; x = x->next) {
		uint32_t held = pressure_held(x);

		if (!x->ended && held > most)
			most = held;
	}
	for (struct exchange *x = w->all; x && used > RELIEVED_CHUNKS; x = x->next) {
		uint32_t held = pressure_held(x);

		if (x->ended || held == 0 || held < most / 2)
			continue;
		used -= held / CHUNK_BYTES + 1 < used ? held / CHUNK_BYTES + 1 : used;
		w->counters.relieved++;
		exchange_end(x, END_OVERLOADED);
		exchange_abort(x);
	}
}
