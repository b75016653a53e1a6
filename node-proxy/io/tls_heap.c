// SPDX-License-Identifier: GPL-3.0-or-later
// The allocator behind wolfSSL. Each thread counts what it holds and refuses beyond its cap, so that
// handshakes of strangers cannot take the node's memory. A block may be freed by another thread than its
// maker (a context handed round); the counts then differ by that block, which moves the cap a little.
#include "io/tls_heap.h"

#include <pthread.h>
#include <stdlib.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/memory.h>

#include "io/tls.h"

// A whole record with its header, tag and the library's own alignment.
#define RECORD_BLOCK_BYTES (17u << 10)
#define RECORD_BLOCKS_KEPT 2

struct heap_block {
	size_t bytes;
	struct heap_block *next; // while kept; also keeps what follows aligned to 16
};

struct heap {
	size_t used;
	size_t bytes_max; // 0: no cap
	size_t allocations;
	bool records;
	uint32_t kept_count;
	struct heap_block *kept;
};

static _Thread_local struct heap heap;
static pthread_key_t heap_key; // gives the kept blocks back when a thread ends

static void heap_end_thread(void *context)
{
	struct heap *h = context;

	while (h->kept) {
		struct heap_block *b = h->kept;

		h->kept = b->next;
		free(b);
	}
	h->kept_count = 0;
}

static struct heap_block *heap_take_kept(void)
{
	struct heap_block *b = heap.kept;

	if (b) {
		heap.kept = b->next;
		heap.kept_count--;
	}
	return b;
}

static void *heap_malloc(size_t bytes)
{
	struct heap_block *b = NULL;

	if (bytes > PTRDIFF_MAX)
		return NULL;
	if (heap.records && bytes <= RECORD_BLOCK_BYTES) {
		bytes = RECORD_BLOCK_BYTES;
		b = heap_take_kept();
	}
	if (heap.bytes_max > 0 &&
	    (heap.used >= heap.bytes_max || bytes > heap.bytes_max - heap.used)) {
		free(b); // a kept one: with so little left, none is kept
		return NULL;
	}
	if (!b) {
		b = malloc(sizeof(*b) + bytes);
		heap.allocations++;
	}
	if (!b)
		return NULL;
	b->bytes = bytes;
	heap.used += bytes;
	return b + 1;
}

static void heap_free(void *ptr)
{
	struct heap_block *b = ptr;

	if (!ptr)
		return;
	b--;
	heap.used -= b->bytes < heap.used ? b->bytes : heap.used;
	if (b->bytes != RECORD_BLOCK_BYTES || heap.kept_count == RECORD_BLOCKS_KEPT ||
	    pthread_setspecific(heap_key, &heap) != 0) {
		free(b);
		return;
	}
	b->next = heap.kept;
	heap.kept = b;
	heap.kept_count++;
}

static void *heap_realloc(void *ptr, size_t bytes)
{
	const struct heap_block *old = ptr;
	void *fresh = heap_malloc(bytes);

	if (!ptr || !fresh)
		return fresh;
	old--;
	memcpy(fresh, ptr, old->bytes < bytes ? old->bytes : bytes);
	explicit_bzero(ptr, old->bytes); // the library wipes keys where it frees them itself
	heap_free(ptr);
	return fresh;
}

enum err tls_heap_install(void)
{
	if (pthread_key_create(&heap_key, heap_end_thread) != 0)
		return ERR_NOMEM;
	return wolfSSL_SetAllocators(heap_malloc, heap_free, heap_realloc) == 0 ? ERR_OK
										: ERR_CRYPTO;
}

void tls_heap_records(bool on)
{
	heap.records = on;
}

void tls_thread_heap(size_t bytes_max)
{
	heap.bytes_max = bytes_max;
}

size_t tls_thread_heap_used(void)
{
	return heap.used;
}

size_t tls_thread_heap_allocations(void)
{
	return heap.allocations;
}
