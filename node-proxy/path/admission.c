// SPDX-License-Identifier: GPL-3.0-or-later
// See admission.h.
#include "path/admission.h"

#include "path/exchange.h"
#include "path/worker.h"

static struct exchange *admission_exchange_of(struct fair_item *turn)
{
	return (struct exchange *)((uint8_t *)turn - offsetof(struct exchange, admission.turn));
}

static bool admission_is_mixed(const struct worker *w)
{
	const struct admission *a = &w->admission;

	return a->mixed_ns && w->now_ns < a->mixed_ns + ADMISSION_MIXED_NS;
}

static bool admission_has_room(const struct worker *w, uint8_t flow)
{
	return w->admission.lines[flow].under_way < w->config.requests_under_way ||
	       !admission_is_mixed(w);
}

static void admission_begin_epoch(struct worker *w, uint8_t flow)
{
	struct admission_line *line = &w->admission.lines[flow];

	if (w->now_ns < line->since_ns + ADMISSION_EPOCH_NS)
		return;
	line->since_ns = w->now_ns;
	line->epoch++;
	line->under_way = 0;
}

static void admission_grant(struct exchange *x)
{
	struct admission_line *line = &x->worker->admission.lines[x->flow];

	line->under_way++;
	x->admission.admitted = true;
	x->admission.epoch = line->epoch;
}

bool admission_enter(struct exchange *x)
{
	struct worker *w = x->worker;
	struct admission *a = &w->admission;

	if (x->admission.admitted)
		return true;
	if (x->admission.waiting)
		return false;
	if (a->latest != x->flow && w->now_ns < a->latest_ns + ADMISSION_MIXED_NS)
		a->mixed_ns = w->now_ns;
	a->latest = x->flow;
	a->latest_ns = w->now_ns;
	admission_begin_epoch(w, x->flow);
	if (!a->waiting.head[x->flow] && admission_has_room(w, x->flow)) {
		admission_grant(x);
		return true;
	}
	x->admission.waiting = true;
	fair_put(&a->waiting, x->flow, &x->admission.turn);
	w->counters.requests_held++;
	return false;
}

void admission_leave(struct exchange *x)
{
	struct admission *a = &x->worker->admission;
	struct admission_line *line = &a->lines[x->flow];

	if (x->admission.waiting)
		fair_remove(&a->waiting, x->flow, &x->admission.turn);
	x->admission.waiting = false;
	if (x->admission.admitted && x->admission.epoch == line->epoch)
		line->under_way--;
	x->admission.admitted = false;
}

static void admission_release_line(struct worker *w, uint8_t flow)
{
	struct fair_queue *waiting = &w->admission.waiting;

	admission_begin_epoch(w, flow);
	while (waiting->head[flow] && admission_has_room(w, flow)) {
		struct exchange *x = admission_exchange_of(waiting->head[flow]);

		fair_remove(waiting, flow, &x->admission.turn);
		x->admission.waiting = false;
		admission_grant(x);
		exchange_post(x, EVENT_TURN);
	}
}

void admission_release(struct worker *w)
{
	for (uint64_t lines = w->admission.waiting.waiting; lines; lines &= lines - 1)
		admission_release_line(w, (uint8_t)__builtin_ctzll(lines));
}

static uint64_t admission_line_next_ns(const struct worker *w, uint8_t flow)
{
	const struct admission *a = &w->admission;
	uint64_t renewed = a->lines[flow].since_ns + ADMISSION_EPOCH_NS;
	uint64_t alone = a->mixed_ns + ADMISSION_MIXED_NS;

	if (admission_has_room(w, flow))
		return 0;
	return renewed < alone ? renewed : alone;
}

uint64_t admission_next_ns(const struct worker *w)
{
	uint64_t next = UINT64_MAX;

	for (uint64_t lines = w->admission.waiting.waiting; lines; lines &= lines - 1) {
		uint64_t line = admission_line_next_ns(w, (uint8_t)__builtin_ctzll(lines));

		if (line < next)
			next = line;
	}
	return next;
}
