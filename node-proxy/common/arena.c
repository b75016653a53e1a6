// SPDX-License-Identifier: GPL-3.0-or-later
// Bump allocation over blocks; see arena.h.
#include "common/arena.h"

#include <stdlib.h>

#define ARENA_BLOCK_BYTES 4096

struct arena_block {
	struct arena_block *next;
	size_t bytes;
	_Alignas(ARENA_ALIGN) uint8_t data[];
};

void arena_init(struct arena *a, size_t bytes_max)
{
	*a = (struct arena){.bytes_max = bytes_max};
}

void arena_init_fixed(struct arena *a, void *block, size_t bytes)
{
	size_t skip = -(uintptr_t)block & (ARENA_ALIGN - 1);
	uint8_t *start = (uint8_t *)block + (skip < bytes ? skip : bytes);

	*a = (struct arena){
		.fixed = start,
		.ptr = start,
		.end = (uint8_t *)block + bytes,
		.bytes_max = bytes,
	};
}

void arena_deinit(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *block = a->blocks;

		a->blocks = block->next;
		free(block);
	}
	*a = (struct arena){0};
}

void arena_reset(struct arena *a)
{
	if (a->fixed) {
		a->ptr = a->fixed;
		a->bytes_used = 0;
		return;
	}
	size_t bytes_max = a->bytes_max - a->bytes_granted;

	arena_deinit(a);
	a->bytes_max = bytes_max;
}

static bool arena_grow(struct arena *a, size_t bytes)
{
	size_t size = bytes > ARENA_BLOCK_BYTES ? bytes : ARENA_BLOCK_BYTES;
	struct arena_block *block;

	// Blocks double with the arena, so that a large section takes few of them.
	if (size < a->bytes_used / 2)
		size = a->bytes_used / 2;
	if (size > a->bytes_max - a->bytes_used)
		size = a->bytes_max - a->bytes_used;
	if (a->fixed || size < bytes)
		return false;
	block = malloc(sizeof(*block) + size);
	if (!block)
		return false;
	block->next = a->blocks;
	block->bytes = size;
	a->blocks = block;
	a->ptr = block->data;
	a->end = block->data + size;
	a->bytes_used += size;
	return true;
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > a->bytes_max ||
	    bytes > SIZE_MAX - ARENA_ALIGN)
		return NULL;
	// An empty table has an address too: NULL always means that there was no room.
	bytes = bytes ? (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1) : ARENA_ALIGN;
	if ((size_t)(a->end - a->ptr) < bytes && !arena_grow(a, bytes))
		return NULL;
	void *at = a->ptr;

	a->ptr += bytes;
	memset(at, 0, bytes);
	return at;
}

void *arena_grant(struct arena *a, size_t bytes)
{
	struct arena_block *block;

	if (a->fixed)
		return arena_alloc(a, 1, bytes);
	if (bytes > SIZE_MAX - sizeof(*block) || a->bytes_max > SIZE_MAX - bytes)
		return NULL;
	block = calloc(1, sizeof(*block) + bytes);
	if (!block)
		return NULL;
	block->next = a->blocks;
	block->bytes = bytes;
	a->blocks = block;
	a->bytes_used += bytes;
	a->bytes_max += bytes;
	a->bytes_granted += bytes;
	return block->data;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
	uint8_t *at = s.len < SIZE_MAX ? arena_alloc(a, 1, s.len + 1) : NULL;

	if (!at)
		return (struct slice){0};
	if (s.len > 0)
		memcpy(at, s.ptr, s.len);
	return slice_make(at, s.len);
}
