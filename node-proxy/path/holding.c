// SPDX-License-Identifier: GPL-3.0-or-later
// See holding.h.
#include "path/holding.h"

#include "common/hash.h"
#include "path/tally.h"
#include "path/worker.h"

static struct exchange *holding_of(struct holder_place *p, enum holder_role role)
{
	return (struct exchange *)((uint8_t *)(p - role) - offsetof(struct exchange, places));
}

static void holding_note(struct exchange *x, enum holder_resource r, enum holder_role role)
{
	x->worker->holders.refused[r][role]++;
	x->worker->counters.overloaded++;
	x->crowded = true;
	x->crowded_resource = (uint8_t)r;
	x->crowded_role = (uint8_t)role;
	exchange_end(x, END_OVERLOADED);
}

// The one that has been quiet for the longest, if it is for long. A quiet one need not hold a head.
static bool holding_relieve(struct exchange *x, enum holder_resource r, enum holder_role role)
{
	struct holder_place *oldest = x->holders.by[role]->oldest;
	struct exchange *quiet = oldest ? holding_of(oldest, role) : NULL;

	if (r > HOLDER_DESCRIPTORS || !quiet || quiet == x || quiet->running ||
	    x->worker->now_ns - quiet->renewed_ns < HOLDER_QUIET_MS * NS_PER_MS)
		return false;
	holding_note(quiet, r, role);
	exchange_abort(quiet);
	return true;
}

bool holding_has_room(struct exchange *x, enum holder_resource r)
{
	enum holder_role role = holder_refuses(&x->worker->holders, &x->holders, r);

	if (role == HOLDER_NOBODY || (role < HOLDER_ROLES && holding_relieve(x, r, role)))
		return true;
	holding_note(x, r, role);
	return false;
}

static bool holding_use(struct exchange *x, enum holder_role role, uint64_t key)
{
	x->holders.by[role] = holder_use(&x->worker->holders, key);
	if (!x->holders.by[role]) {
		holding_note(x, HOLDER_EXCHANGES, HOLDER_EVERYBODY);
		return false;
	}
	return true;
}

static bool holding_begin(struct exchange *x)
{
	struct holder_table *t = &x->worker->holders;

	x->renewed_ns = x->worker->now_ns;
	if (!holding_has_room(x, HOLDER_EXCHANGES))
		return false;
	x->held_by = x->holders;
	x->counted = true;
	holder_take(t, &x->held_by, HOLDER_EXCHANGES);
	for (int role = 0; role < HOLDER_ROLES; role++) {
		if (x->holders.by[role])
			holder_enter(&x->places[role], x->holders.by[role]);
	}
	return true;
}

// connectionsPerPod, over all workers.
static bool holding_is_within_limit(struct exchange *x, uint64_t key)
{
	struct tally *t = x->worker->config.tally;
	uint32_t max = x->pin ? snapshot_meta(x->pin->snapshot)->connections_per_pod_max : 0;

	if (!t || max == 0)
		return true;
	uint32_t place = tally_add(t, key, max);

	if (place == TALLY_FULL) {
		holding_note(x, HOLDER_EXCHANGES, HOLDER_SOURCE);
		x->crowded = false;
		x->check_failed =
			"the pod has as many connections as connectionsPerPod lets it have";
		return false;
	}
	x->tally = place == TALLY_NOONE ? 0 : place + 1;
	return true;
}

bool holding_begin_captured(struct exchange *x)
{
	struct holder_table *t = &x->worker->holders;
	struct slice link = slice_make(&x->ifindex, sizeof(x->ifindex));
	bool local = !worker_is_uplink(x->worker, x->ifindex);
	uint64_t key = local ? holder_key_of(t, HOLDER_KEY_LINK, link, (struct slice){0})
			     : holder_key_of_addr(t, x->client.addr);

	return holding_use(x, HOLDER_SOURCE, key) && holding_begin(x) &&
	       (!local || holding_is_within_limit(x, hash_u64(x->ifindex, 0)));
}

bool holding_begin_opened(struct exchange *x, struct slice node)
{
	struct holder_table *t = &x->worker->holders;
	const struct tunnel_open *open = &x->claim->open;
	// A peer's word charges nobody but what is that peer's.
	uint64_t source = open->kind == TUNNEL_SOURCE_WORKLOAD
				  ? holder_key_of(t, HOLDER_KEY_CLAIMED, open->source_uid, node)
				  : holder_key_of_addr(t, open->client.addr);

	return holding_use(x, HOLDER_SOURCE, source) &&
	       holding_use(x, HOLDER_NODE,
			   holder_key_of(t, HOLDER_KEY_NODE, node, (struct slice){0})) &&
	       holding_begin(x);
}

bool holding_destination(struct exchange *x)
{
	struct holder_table *t = &x->worker->holders;

	if (x->holders.by[HOLDER_DESTINATION] || !x->destination || !x->counted)
		return true;
	uint64_t key =
		holder_key_of(t, HOLDER_KEY_POD, x->destination->record.uid, (struct slice){0});

	if (!holding_use(x, HOLDER_DESTINATION, key))
		return false;
	struct holder_set only = {.by[HOLDER_DESTINATION] = x->holders.by[HOLDER_DESTINATION]};
	enum holder_role role = holder_refuses(t, &only, HOLDER_EXCHANGES);

	if (role < HOLDER_ROLES && !holding_relieve(x, HOLDER_EXCHANGES, role)) {
		holding_note(x, HOLDER_EXCHANGES, role);
		return false;
	}
	holder_give(t, &x->held_by, HOLDER_EXCHANGES);
	x->held_by = x->holders;
	holder_take(t, &x->held_by, HOLDER_EXCHANGES);
	holder_enter(&x->places[HOLDER_DESTINATION], only.by[HOLDER_DESTINATION]);
	return true;
}

void holding_end(struct exchange *x)
{
	struct holder_table *t = &x->worker->holders;

	holding_open_done(x);
	for (int role = 0; role < HOLDER_ROLES; role++)
		holder_leave(t, &x->places[role]);
	if (x->counted)
		holder_give(t, &x->held_by, HOLDER_EXCHANGES);
	x->counted = false;
	if (x->tally)
		tally_drop(x->worker->config.tally, x->tally - 1);
	x->tally = 0;
}

void holding_forget(struct exchange *x)
{
	holder_set_let_go(&x->worker->holders, &x->holders);
}

void holding_renew(struct exchange *x)
{
	if (x->worker->now_ns - x->renewed_ns < HOLDER_RENEW_MS * NS_PER_MS)
		return;
	x->renewed_ns = x->worker->now_ns;
	for (int role = 0; role < HOLDER_ROLES; role++)
		holder_renew(&x->places[role]);
}

struct holder_set holding_of_side(const struct exchange *x, enum side s)
{
	struct holder_set set = x->holders;

	if (s == DOWN)
		set.by[HOLDER_DESTINATION] = NULL;
	return set;
}

bool holding_open_waits(struct exchange *x)
{
	if (x->open_waits)
		return true;
	if (!holding_has_room(x, HOLDER_OPENS))
		return false;
	x->open_waits = true;
	holder_take(&x->worker->holders, &x->held_by, HOLDER_OPENS);
	return true;
}

void holding_open_done(struct exchange *x)
{
	if (!x->open_waits)
		return;
	x->open_waits = false;
	holder_give(&x->worker->holders, &x->held_by, HOLDER_OPENS);
}
