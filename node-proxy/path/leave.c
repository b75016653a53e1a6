// SPDX-License-Identifier: GPL-3.0-or-later
// See leave.h.
#include "path/leave.h"

#include "path/mux.h"
#include "path/worker.h"

uint64_t leave_by_ns(const struct exchange *x)
{
	const struct worker *w = x->worker;
	const struct mux *m = x->leg[DOWN].type == LEG_STREAM ? x->leg[DOWN].mux : NULL;
	uint64_t tunnel_ns = m ? m->leave_by_ns : 0;

	if (!w->draining)
		return tunnel_ns;
	return tunnel_ns && tunnel_ns < w->drain_until_ns ? tunnel_ns : w->drain_until_ns;
}

// Anywhere between the middle of what is left and its last tenth: a request that comes before is answered.
uint64_t leave_quiet_ms(struct exchange *x, uint64_t idle_ms)
{
	uint64_t by = leave_by_ns(x), now = x->worker->now_ns, left_ms, quiet_ms;

	if (by == 0)
		return idle_ms;
	left_ms = by > now ? (by - now) / NS_PER_MS : 0;
	quiet_ms = left_ms / 2 + worker_random(x->worker) % (left_ms * 2 / 5 + 1);
	return quiet_ms < idle_ms ? quiet_ms : idle_ms;
}

void leave_tell(struct worker *w, const struct mux *m)
{
	for (struct exchange *x = w->all; x; x = x->next) {
		if (!m || x->leg[DOWN].mux == m)
			exchange_post(x, EVENT_LEAVE);
	}
}
