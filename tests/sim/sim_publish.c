// SPDX-License-Identifier: GPL-3.0-or-later
// The publisher's part (control/publish): snapshots, interface pins and credentials, sent to all
// workers of a node, counted until every worker has let go of them.
#include <stdlib.h>

#include "path/links.h"
#include "sim/sim.h"
#include "sim/sim_snapshot.h"
#include "sim/sim_tls.h"

#define PUBLICATIONS_MAX 96
#define GENERATIONS_MAX	 3
#define LIFE_MAX_S	 20 // of a certificate that is not renewed in time
#define NO_END		 INT64_MAX

static struct published {
	struct publication *publication;
	struct tls_context *context;
	struct sim_node *node;
} published[PUBLICATIONS_MAX];
static uint32_t published_count;

static struct publication *publish(struct sim_node *n, enum inbox_type type)
{
	uint32_t workers = sim_world.workers;
	struct publication *p = calloc(1, sizeof(*p) + workers * sizeof(p->holds[0]));

	if (!p || published_count == PUBLICATIONS_MAX)
		sim_fail("more than %d publications: the world is too large", PUBLICATIONS_MAX);
	p->type = type;
	p->worker_count = workers;
	p->event_fd = -1;
	atomic_init(&p->unadopted, workers);
	atomic_init(&p->held, workers);
	published[published_count++] = (struct published){.publication = p, .node = n};
	for (uint32_t i = 0; i < workers; i++) {
		p->holds[i].message.type = type;
		p->holds[i].publication = p;
	}
	return p;
}

static void publish_send(struct sim_node *n, struct publication *p)
{
	for (uint32_t i = 0; i < sim_world.workers; i++)
		wake_send(&n->inboxes[i].queue, &p->holds[i].message);
}

static bool publish_has_room(void)
{
	return published_count + 8 < PUBLICATIONS_MAX;
}

static void publish_snapshot(uint32_t node, uint32_t version)
{
	struct sim_node *n = &sim_world.nodes[node];
	struct publication *p = publish(n, INBOX_SNAPSHOT);

	sim_trace("node %u: snapshot %u", node, version);
	p->snapshot = sim_snapshot(node, version);
	n->snapshot = version;
	publish_send(n, p);
}

static void publish_links(uint32_t node, bool moved)
{
	struct sim_node *n = &sim_world.nodes[node];
	struct publication *p = publish(n, INBOX_LINKS);

	sim_trace("node %u: links%s", node, moved ? ", a pod has moved" : "");
	p->links = n->links[moved];
	publish_send(n, p);
}

static void publish_credentials(uint32_t node, uint32_t key, bool trusted, int64_t not_after)
{
	struct sim_node *n = &sim_world.nodes[node];
	struct publication *p = publish(n, INBOX_CREDENTIALS);
	struct tls_context *c = sim_tls_context_new(sim_node_uri(node), sim_node_pin(node, key),
						    trusted, not_after);

	sim_trace("node %u: credentials of key %u%s%s", node, key,
		  trusted ? "" : " that nobody trusts", not_after == NO_END ? "" : ", short");
	sim_world.renewed |= sim.steps > 0;
	n->key = key;
	published[published_count - 1].context = c;
	p->credentials.client = p->credentials.server = c;
	p->credentials.not_after_unix_s = not_after;
	publish_send(n, p);
}

static int64_t now_unix_s(void)
{
	return (int64_t)(clock_unix_ms() / 1000);
}

// Generations of a node that are still held.
static uint32_t publish_generations(const struct sim_node *n)
{
	uint32_t held = 0;

	for (uint32_t i = 0; i < published_count; i++) {
		const struct publication *p = published[i].publication;

		held += p && published[i].node == n && p->type == INBOX_SNAPSHOT;
	}
	return held;
}

// Has everything of this type that a node was sent been taken up by all its workers?
static bool publish_is_adopted(const struct sim_node *n, enum inbox_type type)
{
	for (uint32_t i = 0; i < published_count; i++) {
		const struct publication *p = published[i].publication;

		if (p && published[i].node == n && p->type == type &&
		    atomic_load(&p->unadopted) > 0)
			return false;
	}
	return true;
}

// ---- what a world says -------------------------------------------------------------------------

void sim_publish_first(uint32_t node)
{
	uint32_t order = (uint32_t)sim_random(3);

	if (node == 0)
		published_count = 0;
	for (uint32_t i = 0; i < 3; i++, order = (order + 1) % 3) {
		if (order == 0)
			publish_snapshot(node, 0);
		else if (order == 1)
			publish_links(node, false);
		else
			publish_credentials(node, 0, true, NO_END);
	}
}

void sim_publish_random(uint32_t node)
{
	struct sim_node *n = &sim_world.nodes[node];
	int64_t not_after =
		sim_chance(300) ? now_unix_s() + 1 + (int64_t)sim_random(LIFE_MAX_S) : NO_END;

	if (!publish_has_room())
		return;
	switch (sim_random(4)) {
	case 0:
	case 1:
		if (n->snapshot + 1 < SIM_SNAPSHOTS && publish_generations(n) < GENERATIONS_MAX)
			publish_snapshot(node, n->snapshot + 1);
		break;
	case 2:
		publish_links(node, sim_chance(300));
		break;
	case 3:
		publish_credentials(node, (uint32_t)sim_random(2), sim_chance(800), not_after);
		break;
	}
}

// Both nodes have it in force: then the next step of a rotation may be taken.
static bool publish_both_have(enum inbox_type type)
{
	return publish_is_adopted(&sim_world.nodes[0], type) &&
	       publish_is_adopted(&sim_world.nodes[1], type);
}

// A key stays pinned as long as a certificate for it: does a tunnel still stand on one that this version lacks?
static bool publish_cuts_tunnel(const struct sim_version *v)
{
	for (uint32_t n = 0; n < SIM_NODES; n++) {
		const struct sim_node *at = &sim_world.nodes[n];

		for (uint32_t i = 0; i < sim_world.workers; i++) {
			for (const struct mux *m = at->workers[i]->muxes_list; m; m = m->next) {
				uint32_t far = (n + 1) % SIM_NODES;
				bool first = memcmp(m->key_pin, sim_node_pin(far, 0),
						    sizeof(m->key_pin)) == 0;

				if (m->state < MUX_GREETING || !v->keys[first ? 0 : 1])
					return true;
			}
		}
	}
	return false;
}

// The next version that takes nothing away, and no key that is in use.
static void publish_calm_snapshot(uint32_t node)
{
	struct sim_node *n = &sim_world.nodes[node];
	uint32_t next = n->snapshot + 1;

	while (next < SIM_SNAPSHOTS && (sim_versions[next].closed || sim_versions[next].gone))
		next++;
	if (next >= SIM_SNAPSHOTS || publish_generations(n) >= GENERATIONS_MAX)
		return;
	for (uint32_t i = 0; i < SIM_NODES; i++) {
		if (!sim_versions[next].keys[sim_world.nodes[i].key])
			return;
	}
	if (publish_both_have(INBOX_CREDENTIALS) && !publish_cuts_tunnel(&sim_versions[next]))
		publish_snapshot(node, next);
}

static void publish_calm_credentials(uint32_t node)
{
	uint32_t key = (uint32_t)sim_random(2);

	for (uint32_t i = 0; i < SIM_NODES; i++) {
		if (!sim_versions[sim_world.nodes[i].snapshot].keys[key])
			return;
	}
	if (publish_both_have(INBOX_SNAPSHOT))
		publish_credentials(node, key, true, NO_END);
}

void sim_publish_calm(uint32_t node)
{
	if (!publish_has_room())
		return;
	switch (sim_random(3)) {
	case 0:
		publish_calm_snapshot(node);
		break;
	case 1:
		publish_links(node, false);
		break;
	case 2:
		publish_calm_credentials(node);
		break;
	}
}

bool sim_publish_healed(uint32_t node)
{
	struct sim_node *n = &sim_world.nodes[node];

	if (n->snapshot != SIM_SNAPSHOTS - 1) {
		if (publish_generations(n) >= GENERATIONS_MAX)
			return false;
		publish_snapshot(node, SIM_SNAPSHOTS - 1);
	}
	publish_links(node, false);
	publish_credentials(node, (uint32_t)sim_random(2), true, NO_END);
	return true;
}

// ---- the end of a publication ------------------------------------------------------------------

static void publish_free(struct published *entry)
{
	struct publication *p = entry->publication;

	// Those that were in an inbox when their process ended were taken up by nobody.
	if (entry->node->alive ? atomic_load(&p->unadopted) != 0
			       : atomic_load(&p->unadopted) > p->worker_count)
		sim_fail("a publication of type %d is let go of, and %u workers did not take it up",
			 (int)p->type, atomic_load(&p->unadopted));
	tls_context_unref(entry->context);
	free(p);
	*entry = (struct published){0};
}

void sim_publish_sweep(void)
{
	for (uint32_t i = 0; i < published_count; i++) {
		struct publication *p = published[i].publication;

		if (p && atomic_load(&p->held) > p->worker_count)
			sim_fail("a publication of type %d was let go of twice by a worker",
				 (int)p->type);
		if (p && atomic_load(&p->held) == 0)
			publish_free(&published[i]);
	}
}

void sim_publish_check_end(void)
{
	sim_publish_sweep();
	for (uint32_t i = 0; i < published_count; i++) {
		const struct publication *p = published[i].publication;

		if (p)
			sim_fail("a publication of type %d is held %u times at the end",
				 (int)p->type, atomic_load(&p->held));
	}
	published_count = 0;
}
