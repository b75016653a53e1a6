// SPDX-License-Identifier: GPL-3.0-or-later
// See sim_world.h. The snapshots are made once, by the codec and the checks that production uses; a world
// borrows them, and has its own workers, publications and credentials.
#include "sim/sim_world.h"

#include <stdlib.h>

#include "path/links.h"
#include "sim/sim.h"
#include "sim/sim_actor.h"
#include "sim/sim_check.h"
#include "sim/sim_ring.h"
#include "sim/sim_snapshot.h"

#define UPLINK	  1
#define STEPS_MAX 4000000
// Once everything works, whoever still talks comes to an end within this: the scripts' own stalls, a
// client that came last, and the longest time that path may wait for something (5 s) several times.
#define PROGRESS_NS  (90 * NS_PER_S)
#define DRAIN_MAX_NS (4 * NS_PER_S) // behind the moment at which everything is ended
#define OVER_NS	     (60 * NS_PER_S)
#define CAPTURE_PORT 15001

struct sim_world sim_world;
struct sim_totals sim_totals;

// ---- who reaches whom --------------------------------------------------------------------------

uint32_t sim_pod_of_addr(struct addr a)
{
	uint32_t pod = 0;

	while (pod < SIM_PODS && !addr_eq(sim_pod_addr(pod), a))
		pod++;
	return pod;
}

// SO_REUSEPORT: any worker's.
static int random_listener(const struct sim_node *n, const int *listeners)
{
	return n->alive ? listeners[sim_random(sim_world.workers)] : SIM_ROUTE_REFUSED;
}

static struct sim_route route_from_node(struct addr_port to)
{
	struct sim_route r = {.listener = SIM_ROUTE_REFUSED, .destination = to, .ifindex = UPLINK};
	uint32_t pod = sim_pod_of_addr(to.addr);

	if (pod < SIM_PODS) {
		r.listener = sim_world.pod_listeners[pod];
		return r;
	}
	for (uint32_t n = 0; n < SIM_NODES; n++) {
		const struct sim_node *node = &sim_world.nodes[n];

		if (addr_eq(sim_node_addr(n), to.addr))
			r.listener = node->link_down ? SIM_ROUTE_SILENT
						     : random_listener(node, node->tunnel);
	}
	return r;
}

static struct sim_route world_route(enum sim_owner owner, struct addr_port from,
				    struct addr_port to)
{
	uint32_t pod = sim_pod_of_addr(from.addr);

	if (owner != SIM_ACTORS)
		return route_from_node(to);
	// Captured on its node, whatever it dials.
	const struct sim_node *node = &sim_world.nodes[pod / SIM_PODS_PER_NODE];

	return (struct sim_route){
		.listener = random_listener(node, node->capture),
		.destination = to,
		.ifindex = sim_pod_ifindex(pod),
	};
}

// ---- processes ---------------------------------------------------------------------------------

static void links_make(uint32_t node, bool moved, struct links **out)
{
	struct link_pin pins[SIM_PODS_PER_NODE];

	for (uint32_t i = 0; i < SIM_PODS_PER_NODE; i++) {
		uint32_t pod = node * SIM_PODS_PER_NODE + i;

		pins[i] = (struct link_pin){.addr = sim_pod_addr(pod),
					    .uid = slice_str(sim_pod_uid(pod)),
					    .ifindex = sim_pod_ifindex(pod) +
						       (moved && i == SIM_CLIENT ? 50 : 0)};
	}
	if (links_new(pins, SIM_PODS_PER_NODE, out) != ERR_OK)
		abort();
}

static void worker_start(uint32_t node, uint32_t index)
{
	struct sim_node *n = &sim_world.nodes[node];
	struct worker_config config = {
		.index = index,
		.count = sim_world.workers,
		.node = slice_str(sim_node_name(node)),
		.uplinks = {UPLINK},
		.uplink_count = 1,
		.exchanges_max = 256,
		.descriptors_max = 512,
		.requests_under_way = sim.knobs.under_way,
		.seed = sim_random(UINT64_MAX),
		.log_exchanges = true,
		.siblings = n->siblings,
		.log_event_fd = -1,
	};
	struct ring_config ring_config = {0};
	struct addr_port any = {.port = CAPTURE_PORT};
	struct reason why = {0};

	if (ring_new(&ring_config, &n->rings[index], &why) != ERR_OK ||
	    worker_new(&config, n->rings[index], &n->inboxes[index], &n->workers[index], &why) !=
		    ERR_OK)
		sim_fail("worker: %s", why.text);
	n->capture[index] = sim_net_listen(SIM_NODE_FIRST + node, any);
	n->tunnel[index] = sim_net_listen(SIM_NODE_FIRST + node, any);
	worker_listen(n->workers[index], LISTENER_CAPTURE, n->capture[index]);
	worker_listen(n->workers[index], LISTENER_TUNNEL, n->tunnel[index]);
	n->running[index] = n->restless[index] = true;
}

static void node_start(uint32_t node)
{
	struct sim_node *n = &sim_world.nodes[node];

	sim.node = node;
	n->alive = true;
	for (uint32_t i = 0; i < sim_world.workers; i++) {
		n->siblings[i] = &n->inboxes[i];
		if (inbox_init(&n->inboxes[i]) != ERR_OK)
			sim_fail("out of events");
	}
	for (uint32_t i = 0; i < sim_world.workers; i++)
		worker_start(node, i);
	for (int moved = 0; moved <= 1; moved++)
		links_make(node, moved, &n->links[moved]);
	sim_publish_first(node);
}

// All its workers have left their loops: the process ends, in the order of control/node.
static void node_end(uint32_t node)
{
	struct sim_node *n = &sim_world.nodes[node];

	n->alive = false;
	sim_check_workers_end(node);
	sim_trace("the process of node %u ends%s", node, sim.cut ? ", with connections open" : "");
	for (uint32_t i = 0; i < sim_world.workers; i++) {
		worker_free(n->workers[i]);
		ring_free(n->rings[i]);
	}
	for (uint32_t i = 0; i < sim_world.workers; i++)
		inbox_deinit(&n->inboxes[i]);
	for (uint32_t i = 0; i < sim_world.workers; i++) {
		sim_net_close(n->capture[i]);
		sim_net_close(n->tunnel[i]);
	}
	if (sim.cut)
		sim_net_end_process(SIM_NODE_FIRST + node);
	sim.cut = false;
	sim_publish_sweep();
	links_free(n->links[0]);
	links_free(n->links[1]);
}

static bool node_is_running(const struct sim_node *n)
{
	for (uint32_t i = 0; i < sim_world.workers; i++) {
		if (n->running[i])
			return true;
	}
	return false;
}

// ---- phases ------------------------------------------------------------------------------------

static void world_start(void)
{
	memset(&sim_world, 0, sizeof(sim_world));
	sim_world.calm = sim.knobs.calm;
	sim_world.workers =
		sim.knobs.workers < SIM_WORKERS_MAX ? sim.knobs.workers : SIM_WORKERS_MAX;
	sim_world.heal_ns = sim.now_ns + sim.knobs.trouble_ms * NS_PER_MS;
	sim_net_reset(world_route);
	sim_check_reset();
	sim_actors_reset();
	sim_actors_listen();
	for (uint32_t pod = 0; pod < SIM_PODS; pod++)
		sim_world.pod_listeners[pod] = sim_actors_listener(pod);
	for (uint32_t n = 0; n < SIM_NODES; n++)
		node_start(n);
	for (uint32_t i = 0; i < sim.knobs.clients; i++)
		sim_actors_add_client();
}

static void world_enter(enum sim_phase phase)
{
	sim_world.phase = phase;
	sim_world.phase_ns = sim.now_ns;
}

static void world_drain(void)
{
	bool stop = sim_chance(300);
	uint64_t at = sim.now_ns + (stop ? 0 : sim_random(3 * NS_PER_S));

	world_enter(SIM_DRAINING);
	sim_world.drain_until_ns = at;
	for (uint32_t n = 0; n < SIM_NODES; n++) {
		for (uint32_t i = 0; i < sim_world.workers; i++) {
			enum err err = inbox_send_order(&sim_world.nodes[n].inboxes[i],
							stop ? INBOX_STOP : INBOX_DRAIN, at);

			if (err != ERR_OK)
				abort();
		}
	}
	sim_trace("drain%s", stop ? ", at once" : "");
}

static void phase_trouble(void)
{
	if (sim_chance(sim.knobs.mischief)) {
		if (sim_chance(sim.knobs.sudden_drain))
			world_drain();
		else
			sim_mischief();
	} else if (sim.now_ns >= sim_world.heal_ns && sim_heal()) {
		sim_trace("healed");
		world_enter(SIM_HEALED);
	}
}

static void phase_healed(void)
{
	if (sim_actors_are_done())
		world_drain();
	else if (sim.now_ns - sim_world.phase_ns > PROGRESS_NS)
		sim_fail("everything works since %llu s, and somebody still waits: %s",
			 PROGRESS_NS / NS_PER_S, sim_actors_waiting());
}

static void phase_draining(void)
{
	bool alive = false;

	for (uint32_t i = 0; i < SIM_NODES; i++) {
		if (sim_world.nodes[i].alive && !node_is_running(&sim_world.nodes[i]))
			node_end(i);
		alive |= sim_world.nodes[i].alive;
	}
	if (!alive) {
		world_enter(SIM_OVER);
		sim_actors_hurry();
	} else if (sim.now_ns > sim_world.drain_until_ns + DRAIN_MAX_NS) {
		sim_fail("a worker does not end although it was told to");
	}
}

// True: the world has passed on to its next phase.
static bool world_phase(void)
{
	enum sim_phase before = sim_world.phase;

	switch (sim_world.phase) {
	case SIM_TROUBLE:
		phase_trouble();
		break;
	case SIM_HEALED:
		phase_healed();
		break;
	case SIM_DRAINING:
		phase_draining();
		break;
	case SIM_OVER:
		if (sim.now_ns - sim_world.phase_ns > OVER_NS)
			sim_fail("no proxy runs any more, and somebody still waits: %s",
				 sim_actors_waiting());
		break;
	}
	return sim_world.phase != before;
}

// ---- steps -------------------------------------------------------------------------------------

static bool worker_step(uint32_t node, uint32_t index)
{
	struct sim_node *n = &sim_world.nodes[node];
	struct ring *r = n->rings[index];
	bool acted;

	if (!n->running[index] ||
	    (!n->restless[index] && !sim_ring_has_work(r) && !sim_chance(sim.knobs.idle_turn)))
		return false;
	sim.node = node;
	sim_trace("node %u worker %u turns", node, index);
	n->running[index] = worker_turn(n->workers[index], UINT64_MAX);
	// What it asked for goes to the kernel as it begins to wait, which is its next turn.
	n->restless[index] = !sim_ring_was_quiet(r, &acted);
	sim_check_turn(node, index);
	sim_publish_sweep();
	sim_totals.turns++;
	return true;
}

static bool workers_step(void)
{
	uint32_t count = SIM_NODES * sim_world.workers;
	uint32_t start = (uint32_t)sim_random(count);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t which = (start + i) % count;

		if (worker_step(which / sim_world.workers, which % sim_world.workers))
			return true;
	}
	return false;
}

static bool world_act(void)
{
	switch (sim_random(3)) {
	case 0:
		return workers_step() || sim_net_step() || sim_actors_step();
	case 1:
		return sim_net_step() || sim_actors_step() || workers_step();
	default:
		return sim_actors_step() || workers_step() || sim_net_step();
	}
}

static void earlier(uint64_t *next, uint64_t at)
{
	if (at < *next)
		*next = at;
}

// Nothing can happen now: on to when something will.
static void world_advance(void)
{
	uint64_t next = sim_net_next_ns();

	earlier(&next, sim_actors_next_ns());
	if (sim_world.phase == SIM_TROUBLE && sim_world.heal_ns > sim.now_ns)
		earlier(&next, sim_world.heal_ns);
	for (uint32_t n = 0; n < SIM_NODES; n++) {
		for (uint32_t i = 0; i < sim_world.workers; i++) {
			if (sim_world.nodes[n].running[i])
				earlier(&next, sim_ring_next_ns(sim_world.nodes[n].rings[i]));
		}
	}
	if (next == UINT64_MAX)
		sim_fail("nothing will ever happen any more, and the world has not ended: %s",
			 sim_actors_waiting());
	if (next > sim.now_ns)
		sim.now_ns = next;
}

uint64_t sim_world_run(uint64_t seed)
{
	sim_reset(seed);
	world_start();
	while (sim_world.phase != SIM_OVER || !sim_actors_are_done()) {
		if (++sim.steps > STEPS_MAX)
			sim_fail("no end after %d steps", STEPS_MAX);
		if (!world_phase() && !world_act())
			world_advance();
	}
	sim_actors_check_end();
	sim_publish_check_end();
	sim_net_check_end();
	sim_wake_check_end();
	sim_pool_check_end();
	if (sim.sessions > 0 || sim.contexts > 0)
		sim_fail("%u TLS sessions and %u contexts were never freed", sim.sessions,
			 sim.contexts);
	sim_totals.worlds++;
	sim_totals.steps += sim.steps;
	sim_digest(sim.now_ns);
	sim_digest(sim.random);
	return sim.digest;
}
