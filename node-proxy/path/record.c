// SPDX-License-Identifier: GPL-3.0-or-later
// Single-producer single-consumer ring of log records; see record.h. A record lies contiguous (the ring is
// mapped once, wrapping is by a filler record), its strings behind its fixed part.
#include "path/record.h"

#include <stdlib.h>
#include <unistd.h>

#define RECORD_ALIGN 8

enum err record_ring_init(struct record_ring *r, uint32_t size, int event_fd)
{
	r->bytes = malloc(size);
	if (!r->bytes)
		return ERR_NOMEM;
	r->size = size;
	r->event_fd = event_fd;
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	atomic_init(&r->dropped, 0);
	atomic_init(&r->logger_sleeps, true);
	return ERR_OK;
}

void record_ring_deinit(struct record_ring *r)
{
	free(r->bytes);
	r->bytes = NULL;
}

static uint32_t record_align(uint32_t bytes)
{
	return (bytes + RECORD_ALIGN - 1) & ~(uint32_t)(RECORD_ALIGN - 1);
}

static void record_wake(struct record_ring *r)
{
	uint64_t one = 1;

	// Only the first record after the logger went to sleep costs a system call.
	if (atomic_exchange_explicit(&r->logger_sleeps, false, memory_order_acq_rel) &&
	    r->event_fd >= 0 && write(r->event_fd, &one, sizeof(one)) < 0)
		atomic_store_explicit(&r->logger_sleeps, true, memory_order_release);
}

bool record_ring_put(struct record_ring *r, const struct record *fixed,
		     const struct slice strings[RECORD_STRINGS])
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	struct record record = *fixed;
	uint32_t bytes = sizeof(record);

	for (int i = 0; i < RECORD_STRINGS; i++) {
		size_t len =
			strings[i].len < RECORD_STRING_MAX ? strings[i].len : RECORD_STRING_MAX;

		record.strings[i] = (uint16_t)len;
		bytes += (uint32_t)len;
	}
	bytes = record_align(bytes);
	uint32_t at = (uint32_t)head & (r->size - 1);
	uint32_t filler = r->size - at < bytes ? r->size - at : 0;

	if (head + filler + bytes - tail > r->size) {
		atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
		return false;
	}
	if (filler > 0) {
		memset(r->bytes + at, 0, filler < sizeof(record) ? filler : sizeof(record));
		head += filler;
		at = 0;
	}
	record.bytes = bytes;
	memcpy(r->bytes + at, &record, sizeof(record));
	at += sizeof(record);
	for (int i = 0; i < RECORD_STRINGS; i++) {
		memcpy(r->bytes + at, strings[i].ptr ? strings[i].ptr : (const uint8_t *)"",
		       record.strings[i]);
		at += record.strings[i];
	}
	atomic_store_explicit(&r->head, head + bytes, memory_order_release);
	record_wake(r);
	return true;
}

bool record_ring_take(struct record_ring *r, void *out, struct slice strings[RECORD_STRINGS])
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	struct record *record = out;

	if (tail == head)
		return false;
	uint32_t at = (uint32_t)tail & (r->size - 1);

	// A filler's kind is zero; less than a record's room at the end is one too.
	if (r->size - at < sizeof(*record) || r->bytes[at] == RECORD_NONE) {
		tail += r->size - at;
		at = 0;
	}
	memcpy(record, r->bytes + at, sizeof(*record));
	memcpy((uint8_t *)out + sizeof(*record), r->bytes + at + sizeof(*record),
	       record->bytes - sizeof(*record));
	const uint8_t *text = (uint8_t *)out + sizeof(*record);

	for (int i = 0; i < RECORD_STRINGS; i++) {
		strings[i] = slice_make(text, record->strings[i]);
		text += record->strings[i];
	}
	atomic_store_explicit(&r->tail, tail + record->bytes, memory_order_release);
	return true;
}
