// SPDX-License-Identifier: GPL-3.0-or-later
// See holder.h.
#include "path/holder.h"

#include "common/hash.h"
#include "path/limits.h"

// Of what is free: n equal holders of share s get s/(1 + n s) of everything each, one alone s/(1 + s). A peer
// node and a pod that is asked stand for many workloads: their shares are larger, so that a few that take
// all they may do not shut out the others of their node.
static const uint8_t shares[HOLDER_ROLES] = {
	[HOLDER_SOURCE] = HOLDER_SOURCE_SHARE,
	[HOLDER_NODE] = HOLDER_NODE_SHARE,
	[HOLDER_DESTINATION] = HOLDER_DESTINATION_SHARE,
};

void holder_table_init(struct holder_table *t, const uint32_t limit[HOLDER_RESOURCES],
		       uint64_t seed)
{
	memset(t, 0, sizeof(*t));
	pool_init(&t->pool, sizeof(struct holder), 32, HOLDERS_MAX);
	memcpy(t->limit, limit, sizeof(t->limit));
	t->seed = seed;
}

void holder_table_deinit(struct holder_table *t)
{
	pool_deinit(&t->pool);
}

uint64_t holder_key_of(const struct holder_table *t, enum holder_key kind, struct slice a,
		       struct slice b)
{
	return hash_bytes(b, hash_bytes(a, t->seed + kind));
}

uint64_t holder_key_of_addr(const struct holder_table *t, struct addr a)
{
	return holder_key_of(t, HOLDER_KEY_ADDR, slice_make(a.bytes, addr_is_v4(a) ? 16 : 8),
			     (struct slice){0});
}

struct holder *holder_use(struct holder_table *t, uint64_t key)
{
	struct holder **bucket = &t->buckets[key % HOLDER_BUCKETS];
	struct holder *h = *bucket;

	while (h && h->key != key)
		h = h->next;
	if (!h) {
		h = pool_get(&t->pool);
		if (!h)
			return NULL;
		h->key = key;
		h->next = *bucket;
		*bucket = h;
	}
	h->uses++;
	return h;
}

void holder_let_go(struct holder_table *t, struct holder *h)
{
	struct holder **at = &t->buckets[h->key % HOLDER_BUCKETS];

	if (--h->uses > 0)
		return;
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	pool_put(&t->pool, h);
}

void holder_set_let_go(struct holder_table *t, struct holder_set *s)
{
	for (int role = 0; role < HOLDER_ROLES; role++) {
		if (s->by[role])
			holder_let_go(t, s->by[role]);
	}
	*s = (struct holder_set){0};
}

enum holder_role holder_refuses(const struct holder_table *t, const struct holder_set *s,
				enum holder_resource r)
{
	uint64_t left = t->used[r] < t->limit[r] ? t->limit[r] - t->used[r] : 0;

	for (int role = 0; role < HOLDER_ROLES; role++) {
		if (s->by[role] && s->by[role]->held[r] > 0 &&
		    s->by[role]->held[r] >= left * shares[role])
			return (enum holder_role)role;
	}
	return left > 0 ? HOLDER_NOBODY : HOLDER_EVERYBODY;
}

void holder_take(struct holder_table *t, const struct holder_set *s, enum holder_resource r)
{
	t->used[r]++;
	for (int role = 0; role < HOLDER_ROLES; role++) {
		if (!s->by[role])
			continue;
		s->by[role]->held[r]++;
		s->by[role]->uses++;
	}
}

void holder_give(struct holder_table *t, const struct holder_set *s, enum holder_resource r)
{
	t->used[r]--;
	for (int role = 0; role < HOLDER_ROLES; role++) {
		if (!s->by[role])
			continue;
		s->by[role]->held[r]--;
		holder_let_go(t, s->by[role]);
	}
}

static void holder_append(struct holder_place *p, struct holder *h)
{
	*p = (struct holder_place){.holder = h, .older = h->newest};
	if (h->newest)
		h->newest->newer = p;
	else
		h->oldest = p;
	h->newest = p;
}

static void holder_unlink(struct holder_place *p)
{
	struct holder *h = p->holder;

	if (p->older)
		p->older->newer = p->newer;
	else
		h->oldest = p->newer;
	if (p->newer)
		p->newer->older = p->older;
	else
		h->newest = p->older;
}

void holder_enter(struct holder_place *p, struct holder *h)
{
	h->uses++;
	holder_append(p, h);
}

void holder_leave(struct holder_table *t, struct holder_place *p)
{
	struct holder *h = p->holder;

	if (!h)
		return;
	holder_unlink(p);
	*p = (struct holder_place){0};
	holder_let_go(t, h);
}

void holder_renew(struct holder_place *p)
{
	struct holder *h = p->holder;

	if (!h || h->newest == p)
		return;
	holder_unlink(p);
	holder_append(p, h);
}

const char *holder_resource_name(enum holder_resource r)
{
	static const char *const names[HOLDER_RESOURCES] = {
		[HOLDER_EXCHANGES] = "exchanges",    [HOLDER_DESCRIPTORS] = "descriptors",
		[HOLDER_HEADS_SMALL] = "heads_8k",   [HOLDER_HEADS_LARGE] = "heads_160k",
		[HOLDER_HEADS_HUGE] = "heads_1280k", [HOLDER_HANDSHAKES] = "handshakes",
		[HOLDER_TUNNELS] = "tunnels",	     [HOLDER_OPENS] = "held_opens",
	};

	return names[r];
}

const char *holder_role_name(enum holder_role role)
{
	static const char *const names[] = {[HOLDER_SOURCE] = "source",
					    [HOLDER_NODE] = "node",
					    [HOLDER_DESTINATION] = "destination",
					    [HOLDER_EVERYBODY] = "everybody",
					    [HOLDER_NOBODY] = "nobody"};

	return names[role];
}
