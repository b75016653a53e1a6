// SPDX-License-Identifier: GPL-3.0-or-later
// What is done to a world while it runs, one thing a call; and how all of it is made good.
#include "sim/sim.h"
#include "sim/sim_actor.h"

#define FROZEN_MAX_MS 40000 // some beyond TCP_USER_TIMEOUT: then the connection dies

static void mischief_kill(bool pods)
{
	int fd = sim_net_any_stream(pods);

	if (fd < 0)
		return;
	sim_trace("kills the connection at %d", fd);
	sim_net_kill(fd);
}

static void mischief_freeze(bool pods)
{
	int fd = sim_net_any_stream(pods);

	if (fd < 0)
		return;
	sim_trace("freezes the connection at %d", fd);
	sim_net_freeze(fd, sim_random(sim_chance(700) ? 500 : FROZEN_MAX_MS) * NS_PER_MS);
}

static void mischief_pod(void)
{
	uint32_t pod = (uint32_t)sim_random(SIM_PODS);

	if (sim_chance(600))
		sim_world.pod_listeners[pod] = sim_actors_listener(pod);
	else
		sim_world.pod_listeners[pod] =
			sim_chance(500) ? SIM_ROUTE_REFUSED : SIM_ROUTE_SILENT;
}

void sim_mischief(void)
{
	uint32_t node = (uint32_t)sim_random(SIM_NODES);

	if (sim_world.calm) {
		sim_publish_calm(node);
		return;
	}
	switch (sim_random(9)) {
	case 0:
		mischief_kill(false);
		break;
	case 1:
		mischief_kill(true);
		break;
	case 2:
		mischief_freeze(false);
		break;
	case 3:
		mischief_freeze(true);
		break;
	case 4:
		sim_world.nodes[node].link_down = sim_chance(500);
		break;
	case 5:
		mischief_pod();
		break;
	default:
		sim_publish_random(node);
		break;
	}
}

bool sim_heal(void)
{
	bool healed = true;

	sim.knobs.pool_empty = 0;
	sim.knobs.tls_trouble = 0;
	sim.knobs.accept_error = 0;
	sim.knobs.dial_error = 0;
	for (uint32_t pod = 0; pod < SIM_PODS; pod++)
		sim_world.pod_listeners[pod] = sim_actors_listener(pod);
	for (uint32_t node = 0; node < SIM_NODES; node++) {
		struct sim_node *n = &sim_world.nodes[node];

		n->link_down = false;
		if (!n->healed && n->alive)
			n->healed = sim_world.calm || sim_publish_healed(node);
		healed &= n->healed || !n->alive;
	}
	return healed;
}
