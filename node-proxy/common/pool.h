// SPDX-License-Identifier: GPL-3.0-or-later
// A pool of equal objects with a hard limit: slabs are taken from malloc as needed and never
// given back, so a steady state allocates nothing; a full pool refuses and the caller counts.
// One thread owns a pool.
#pragma once

#include "common/err.h"
#include "common/slice.h"

struct pool_slab;

struct pool {
	void *free;
	struct pool_slab *slabs;
	size_t object_bytes;
	uint32_t per_slab;
	uint32_t used;
	uint32_t made;
	uint32_t limit;
	uint32_t peak;
	uint64_t taken; // objects given out so far
};

void pool_init(struct pool *p, size_t object_bytes, uint32_t per_slab, uint32_t limit);
void pool_deinit(struct pool *p);
// Zeroed object, or NULL at the limit.
void *pool_get(struct pool *p);
// Not zeroed: for large chunks whose bytes are overwritten anyway.
void *pool_get_raw(struct pool *p);
void pool_put(struct pool *p, void *object);
