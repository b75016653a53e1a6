// SPDX-License-Identifier: GPL-3.0-or-later
// Slab pool with a limit; see pool.h. The free list lies in the free objects; last freed is first
// given, so that a busy worker stays in its cache.
#include "common/pool.h"

#include <stdlib.h>

#define POOL_ALIGN 64

struct pool_slab {
	struct pool_slab *next;
	uint8_t pad[POOL_ALIGN - sizeof(struct pool_slab *)];
	uint8_t objects[];
};

void pool_init(struct pool *p, size_t object_bytes, uint32_t per_slab, uint32_t limit)
{
	size_t align = object_bytes >= POOL_ALIGN ? POOL_ALIGN : 16;

	*p = (struct pool){
		.object_bytes = (object_bytes + align - 1) / align * align,
		.per_slab = per_slab,
		.limit = limit,
	};
}

void pool_deinit(struct pool *p)
{
	while (p->slabs) {
		struct pool_slab *slab = p->slabs;

		p->slabs = slab->next;
		free(slab);
	}
	*p = (struct pool){0};
}

static bool pool_grow(struct pool *p)
{
	uint32_t count = p->limit - p->made < p->per_slab ? p->limit - p->made : p->per_slab;
	struct pool_slab *slab;

	if (count == 0)
		return false;
	slab = aligned_alloc(POOL_ALIGN,
			     (sizeof(*slab) + count * p->object_bytes + POOL_ALIGN - 1) /
				     POOL_ALIGN * POOL_ALIGN);
	if (!slab)
		return false;
	slab->next = p->slabs;
	p->slabs = slab;
	for (uint32_t i = count; i-- > 0;) {
		void **object = (void **)(slab->objects + i * p->object_bytes);

		*object = p->free;
		p->free = object;
	}
	p->made += count;
	return true;
}

void *pool_get_raw(struct pool *p)
{
	if (!p->free && !pool_grow(p))
		return NULL;
	void **object = p->free;

	p->free = *object;
	p->used++;
	p->taken++;
	if (p->used > p->peak)
		p->peak = p->used;
	return object;
}

void *pool_get(struct pool *p)
{
	void *object = pool_get_raw(p);

	if (object)
		memset(object, 0, p->object_bytes);
	return object;
}

void pool_put(struct pool *p, void *object)
{
	*(void **)object = p->free;
	p->free = object;
	p->used--;
}
