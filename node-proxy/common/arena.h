// SPDX-License-Identifier: GPL-3.0-or-later
// A bump allocator over malloc'ed blocks, freed all at once: one snapshot section, one policy
// compilation. bytes_max bounds the sum. Not for the per-request path, which uses an
// arena over a fixed block (arena_init_fixed) and allocates nothing in the steady state.
#pragma once

#include "common/err.h"
#include "common/slice.h"

#define ARENA_ALIGN 16

struct arena_block;

struct arena {
	struct arena_block *blocks; // newest first; NULL for a fixed arena
	uint8_t *ptr;
	uint8_t *end;
	uint8_t *fixed; // start of the caller's block, or NULL
	size_t bytes_used;
	size_t bytes_max;
	size_t bytes_granted; // of both
};

void arena_init(struct arena *a, size_t bytes_max);
void arena_init_fixed(struct arena *a, void *block, size_t bytes);
void arena_deinit(struct arena *a);
// Back to empty; a fixed arena keeps its block.
void arena_reset(struct arena *a);
// Zeroed memory aligned to ARENA_ALIGN, or NULL when bytes_max is reached. count * size is checked.
void *arena_alloc(struct arena *a, size_t count, size_t size);
// Zeroed memory beyond bytes_max, in a block of its own: for what the asker bounds by another measure. A fixed
// arena has only its block. NULL: there is none.
void *arena_grant(struct arena *a, size_t bytes);
// A copy with a NUL behind it (not counted in len). ptr NULL on failure.
struct slice arena_copy(struct arena *a, struct slice s);
