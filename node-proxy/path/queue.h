// SPDX-License-Identifier: GPL-3.0-or-later
// A queue of bytes in pooled chunks: what could not be sent within the turn. An empty queue holds
// no chunk, so an idle connection costs none.
#pragma once

#include <sys/uio.h>
#include "common/pool.h"
#include "path/limits.h"

struct queue_chunk {
	struct queue_chunk *next;
	uint32_t start;
	uint32_t end;
	uint8_t bytes[CHUNK_PAYLOAD_BYTES];
};

struct queue {
	struct queue_chunk *head;
	struct queue_chunk *tail;
	uint32_t bytes;
};

// Appends a copy. ERR_NOMEM when the pool is used up: what fitted stays queued, so the caller
// has to give the whole pipe up.
enum err must_check queue_put(struct queue *q, struct pool *chunks, struct slice data);
// Contiguous first bytes (up to the chunk's end); empty when the queue is.
struct slice queue_peek(const struct queue *q);
void queue_consume(struct queue *q, struct pool *chunks, uint32_t bytes);
void queue_clear(struct queue *q, struct pool *chunks);
// Fill at most max vectors; returns how many.
uint32_t queue_vector(const struct queue *q, struct iovec *vector, uint32_t max);
