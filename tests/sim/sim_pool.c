// SPDX-License-Identifier: GPL-3.0-or-later
// common/pool.h with suspicion: every object is an allocation of its own, what is freed is checked, poisoned
// and kept back for a while, so that a second free, a write after the free, and an operation that still
// lies in it are seen (reads after the free see the poison; the sanitizer's build sees them all).
#include "common/pool.h"

#include <sanitizer/asan_interface.h>
#include <stdlib.h>

#include "path/limits.h"
#include "sim/sim.h"

#define MAGIC_LIVE  0x11feb17eu
#define MAGIC_FREED 0xdeadbeefu
#define POISON	    0xdb
#define KEPT_MAX    128
// What of a freed object is looked at when it is finally given back.
#define LOOKED_AT_BYTES 4096

struct object {
	uint32_t magic;
	uint32_t bytes;
	struct pool *pool;
	struct object *next, *previous; // of those alive
	uint8_t data[] __attribute__((aligned(16)));
};

static struct object *live;
static struct object *kept[KEPT_MAX];
static uint32_t kept_next;

// Those that only the counter knows: the pool of the legs' queues may be nearly used up.
static uint32_t pool_taken(const struct pool *p)
{
	return p->object_bytes == CHUNK_BYTES && p->limit == CHUNKS_MAX ? sim.knobs.chunks_taken
									: 0;
}

void pool_init(struct pool *p, size_t object_bytes, uint32_t per_slab, uint32_t limit)
{
	*p = (struct pool){.object_bytes = object_bytes, .per_slab = per_slab, .limit = limit};
	p->used = pool_taken(p);
}

static void object_unlink(struct object *o)
{
	if (o->previous)
		o->previous->next = o->next;
	else
		live = o->next;
	if (o->next)
		o->next->previous = o->previous;
	o->pool->used--;
	sim.objects--;
}

// What a process that was cut still held goes with it.
static void pool_drop_all(struct pool *p)
{
	struct object *next;

	for (struct object *o = live; o; o = next) {
		next = o->next;
		if (o->pool == p) {
			object_unlink(o);
			free(o);
		}
	}
}

void pool_deinit(struct pool *p)
{
	if (sim.cut)
		pool_drop_all(p);
	if (p->used != pool_taken(p))
		sim_fail("%u objects of %zu bytes were never freed", p->used - pool_taken(p),
			 p->object_bytes);
	*p = (struct pool){0};
}

void *pool_get_raw(struct pool *p)
{
	struct object *o;

	if (p->used == p->limit || sim_chance(sim.knobs.pool_empty))
		return NULL;
	o = malloc(sizeof(*o) + p->object_bytes);
	if (!o)
		abort();
	*o = (struct object){.magic = MAGIC_LIVE, .bytes = (uint32_t)p->object_bytes, .pool = p};
	memset(o->data, 0xa5, p->object_bytes < 256 ? p->object_bytes : 256); // nobody's zeroes
	o->next = live;
	if (live)
		live->previous = o;
	live = o;
	p->used++;
	sim.objects++;
	if (p->used > p->peak)
		p->peak = p->used;
	return o->data;
}

void *pool_get(struct pool *p)
{
	void *data = pool_get_raw(p);

	if (data)
		memset(data, 0, p->object_bytes);
	return data;
}

static void object_release(struct object *o)
{
	uint32_t bytes = o->bytes < LOOKED_AT_BYTES ? o->bytes : LOOKED_AT_BYTES;

	ASAN_UNPOISON_MEMORY_REGION(o->data, o->bytes);
	for (uint32_t i = 0; i < bytes; i++) {
		if (o->data[i] != POISON)
			sim_fail("an object of %u bytes was written to at %u after it was freed",
				 o->bytes, i);
	}
	free(o);
}

void pool_put(struct pool *p, void *data)
{
	struct object *o = (struct object *)((uint8_t *)data - offsetof(struct object, data));

	if (o->magic == MAGIC_FREED)
		sim_fail("an object of %u bytes was freed twice", o->bytes);
	if (o->magic != MAGIC_LIVE || o->pool != p)
		sim_fail("what was freed is no object of this pool");
	sim_ring_check_free(data, o->bytes);
	o->magic = MAGIC_FREED;
	object_unlink(o);
	memset(data, POISON, o->bytes < LOOKED_AT_BYTES ? o->bytes : LOOKED_AT_BYTES);
	ASAN_POISON_MEMORY_REGION(data, o->bytes);
	if (kept[kept_next])
		object_release(kept[kept_next]);
	kept[kept_next] = o;
	kept_next = (kept_next + 1) % KEPT_MAX;
}

void sim_pool_check_end(void)
{
	for (uint32_t i = 0; i < KEPT_MAX; i++) {
		if (kept[i])
			object_release(kept[i]);
		kept[i] = NULL;
	}
	kept_next = 0;
	if (sim.objects > 0)
		sim_fail("%u objects out of pools were never freed", sim.objects);
}
