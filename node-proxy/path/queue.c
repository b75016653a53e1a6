// SPDX-License-Identifier: GPL-3.0-or-later
// Chunked byte queue; see queue.h. Does not send: conn.c does.
#include "path/queue.h"

_Static_assert(sizeof(struct queue_chunk) == CHUNK_BYTES, "a chunk is what limits.h says");

static struct queue_chunk *queue_grow(struct queue *q, struct pool *chunks)
{
	struct queue_chunk *chunk = pool_get_raw(chunks);

	if (!chunk)
		return NULL;
	chunk->next = NULL;
	chunk->start = 0;
	chunk->end = 0;
	if (q->tail)
		q->tail->next = chunk;
	else
		q->head = chunk;
	q->tail = chunk;
	return chunk;
}

enum err queue_put(struct queue *q, struct pool *chunks, struct slice data)
{
	while (data.len > 0) {
		struct queue_chunk *tail = q->tail;

		if (!tail || tail->end == sizeof(tail->bytes))
			tail = queue_grow(q, chunks);
		if (!tail)
			return ERR_NOMEM;
		size_t room = sizeof(tail->bytes) - tail->end;
		size_t part = data.len < room ? data.len : room;

		memcpy(tail->bytes + tail->end, data.ptr, part);
		tail->end += (uint32_t)part;
		q->bytes += (uint32_t)part;
		data.ptr += part;
		data.len -= part;
	}
	return ERR_OK;
}

struct slice queue_peek(const struct queue *q)
{
	if (!q->head)
		return (struct slice){0};
	return slice_make(q->head->bytes + q->head->start, q->head->end - q->head->start);
}

void queue_consume(struct queue *q, struct pool *chunks, uint32_t bytes)
{
	while (bytes > 0 && q->head) {
		struct queue_chunk *head = q->head;
		uint32_t have = head->end - head->start;
		uint32_t part = bytes < have ? bytes : have;

		head->start += part;
		q->bytes -= part;
		bytes -= part;
		if (head->start < head->end)
			return;
		q->head = head->next;
		if (!q->head)
			q->tail = NULL;
		pool_put(chunks, head);
	}
}

void queue_clear(struct queue *q, struct pool *chunks)
{
	queue_consume(q, chunks, q->bytes);
}

uint32_t queue_vector(const struct queue *q, struct iovec *vector, uint32_t max)
{
	uint32_t n = 0;

	for (struct queue_chunk *c = q->head; c && n < max; c = c->next) {
		vector[n].iov_base = c->bytes + c->start;
		vector[n].iov_len = c->end - c->start;
		n++;
	}
	return n;
}
