// SPDX-License-Identifier: GPL-3.0-or-later
// See fair.h.
#include "path/fair.h"

#include "common/hash.h"

uint8_t fair_flow(struct addr source)
{
	uint64_t hash = hash_bytes(slice_make(source.bytes, sizeof(source.bytes)), 0);

	return (uint8_t)(1 + hash % (FAIR_FLOWS - 1));
}

void fair_put(struct fair_queue *q, uint8_t flow, struct fair_item *item)
{
	*item = (struct fair_item){.previous = q->tail[flow]};
	if (item->previous)
		item->previous->next = item;
	else
		q->head[flow] = item;
	q->tail[flow] = item;
	q->waiting |= UINT64_C(1) << flow;
}

struct fair_item *fair_take(struct fair_queue *q)
{
	if (!q->waiting)
		return NULL;
	uint64_t ahead = q->waiting >> q->next;
	uint8_t flow = (uint8_t)(ahead ? q->next + (uint32_t)__builtin_ctzll(ahead)
				       : (uint32_t)__builtin_ctzll(q->waiting));
	struct fair_item *item = q->head[flow];

	q->next = (flow + 1u) % FAIR_FLOWS;
	fair_remove(q, flow, item);
	return item;
}

void fair_remove(struct fair_queue *q, uint8_t flow, struct fair_item *item)
{
	if (item->previous)
		item->previous->next = item->next;
	else
		q->head[flow] = item->next;
	if (item->next)
		item->next->previous = item->previous;
	else
		q->tail[flow] = item->previous;
	if (!q->head[flow])
		q->waiting &= ~(UINT64_C(1) << flow);
}
