// SPDX-License-Identifier: GPL-3.0-or-later
// See handshake.h.
#include "path/handshake.h"

#include "path/worker.h"

static struct mux *handshake_of(struct holder_place *p, enum holder_role role)
{
	return (struct mux *)((uint8_t *)(p - role) - offsetof(struct mux, unproven));
}

static bool handshake_name(struct mux *m)
{
	struct holder_table *t = &m->worker->holders;
	struct slice none = {0};
	const struct ss_node *node =
		snapshot_node_by_addr(worker_snapshot(m->worker), m->remote.addr);

	if (node) {
		m->holders.by[HOLDER_SOURCE] =
			holder_use(t, holder_key_of(t, HOLDER_KEY_NODE, node->name, none));
		return m->holders.by[HOLDER_SOURCE];
	}
	m->holders.by[HOLDER_SOURCE] = holder_use(t, holder_key_of_addr(t, m->remote.addr));
	m->holders.by[HOLDER_NODE] =
		holder_use(t, holder_key_of(t, HOLDER_KEY_STRANGERS, none, none));
	return m->holders.by[HOLDER_SOURCE] && m->holders.by[HOLDER_NODE];
}

bool handshake_enter(struct mux *m)
{
	struct holder_table *t = &m->worker->holders;
	enum holder_role role = HOLDER_EVERYBODY;

	m->holding = HOLDER_RESOURCES;
	if (handshake_name(m)) {
		while ((role = holder_refuses(t, &m->holders, HOLDER_HANDSHAKES)) < HOLDER_ROLES) {
			t->refused[HOLDER_HANDSHAKES][role]++;
			mux_fail(handshake_of(m->holders.by[role]->oldest, role),
				 TUNNEL_REASON_OVERLOADED, NULL);
		}
	}
	if (role == HOLDER_EVERYBODY) {
		t->refused[HOLDER_HANDSHAKES][role]++;
		holder_set_let_go(t, &m->holders);
		return false;
	}
	m->holding = HOLDER_HANDSHAKES;
	holder_take(t, &m->holders, HOLDER_HANDSHAKES);
	for (int r = 0; r < HOLDER_ROLES; r++) {
		if (m->holders.by[r])
			holder_enter(&m->unproven[r], m->holders.by[r]);
	}
	return true;
}

void handshake_leave(struct mux *m)
{
	struct holder_table *t = &m->worker->holders;

	for (int r = 0; r < HOLDER_ROLES; r++)
		holder_leave(t, &m->unproven[r]);
	if (m->holding != HOLDER_RESOURCES)
		holder_give(t, &m->holders, m->holding);
	m->holding = HOLDER_RESOURCES;
	holder_set_let_go(t, &m->holders);
}

bool handshake_proven(struct mux *m)
{
	struct holder_table *t = &m->worker->holders;
	uint64_t key = holder_key_of(t, HOLDER_KEY_NODE, slice_str(m->node), (struct slice){0});

	handshake_leave(m);
	m->holders.by[HOLDER_SOURCE] = holder_use(t, key);
	enum holder_role role = m->holders.by[HOLDER_SOURCE]
					? holder_refuses(t, &m->holders, HOLDER_TUNNELS)
					: HOLDER_EVERYBODY;

	if (role != HOLDER_NOBODY) {
		t->refused[HOLDER_TUNNELS][role]++;
		return false;
	}
	m->holding = HOLDER_TUNNELS;
	holder_take(t, &m->holders, HOLDER_TUNNELS);
	return true;
}

bool handshake_may_log(const struct mux *m)
{
	struct worker *w = m->worker;
	uint64_t second = w->now_ns / NS_PER_S;

	if (!m->holders.by[HOLDER_NODE]) // no stranger
		return true;
	if (w->strangers_logged_at != second) {
		w->strangers_logged_at = second;
		w->strangers_logged = 0;
	}
	return w->strangers_logged++ < STRANGERS_LOGGED_PER_S;
}
