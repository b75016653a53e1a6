// SPDX-License-Identifier: GPL-3.0-or-later
// Two nodes with their workers, pods on both, a tunnel between them, and what happens to all of it: new
// snapshots and pins, new certificates, killed and frozen connections, silent links and pods, a drain.
// sim_world.c: the life of a world; sim_mischief.c: what is done to it; sim_publish.c: what the
// nodes are told.
#pragma once

#include "path/inbox.h"
#include "path/worker.h"
#include "sim/sim_net.h"

#define SIM_NODES	  2
#define SIM_WORKERS_MAX	  3 // of a node
#define SIM_PODS_PER_NODE 4
#define SIM_PODS	  (SIM_NODES * SIM_PODS_PER_NODE)
#define SIM_TUNNEL_PORT	  14443
#define SIM_POD_PORT	  8080
#define SIM_SERVICE_PORT  80

enum sim_role {
	SIM_CLIENT = 0, // calls others
	SIM_PLAIN,	// L4, everybody may
	SIM_WEB,	// L7: /admin is for nobody
	SIM_CLOSED,	// L4, nobody may
};

enum sim_phase {
	SIM_TROUBLE = 0, // whatever the knobs allow
	SIM_HEALED,	 // nothing more is done, and everything works again
	SIM_DRAINING,
	SIM_OVER, // no process runs any more
};

struct sim_node {
	struct worker *workers[SIM_WORKERS_MAX];
	struct ring *rings[SIM_WORKERS_MAX];
	struct inbox inboxes[SIM_WORKERS_MAX];
	struct inbox *siblings[SIM_WORKERS_MAX];
	int capture[SIM_WORKERS_MAX];
	int tunnel[SIM_WORKERS_MAX];
	bool running[SIM_WORKERS_MAX]; // its thread has not left the loop
	bool restless
		[SIM_WORKERS_MAX]; // its last turn was not a quiet one: it turns again before it sleeps
	uint64_t adopted[SIM_WORKERS_MAX];    // generation that it goes by, ...
	uint64_t adopted_ns[SIM_WORKERS_MAX]; // and since when
	bool alive;			      // the process
	struct links *links[2];
	uint32_t snapshot; // version published last
	uint32_t key;	   // of its certificate, published last
	bool link_down;	   // nobody reaches its tunnel listener
	bool healed;	   // has been told what makes everything good
};

struct sim_world {
	struct sim_node nodes[SIM_NODES];
	uint32_t workers; // of each node
	bool calm;
	bool renewed; // a node got another certificate: its tunnels end, in good order
	enum sim_phase phase;
	uint64_t phase_ns; // since when
	uint64_t heal_ns;  // when the trouble ends
	uint64_t drain_until_ns;
	int pod_listeners[SIM_PODS]; // or SIM_ROUTE_REFUSED, SIM_ROUTE_SILENT
};
extern struct sim_world sim_world;

// Pods are numbered node * SIM_PODS_PER_NODE + role.
struct addr sim_pod_addr(uint32_t pod);
struct addr sim_service_addr(enum sim_role role); // PLAIN and WEB
// SIM_PODS: of no pod.
uint32_t sim_pod_of_addr(struct addr a);

void sim_world_prepare(void); // once a process: snapshots
void sim_world_release(void);
// Runs the world of this seed to its end; fails the process where it is not as it has to be. Returns
// its digest.
uint64_t sim_world_run(uint64_t seed);

// sim_mischief.c
void sim_mischief(void);
bool sim_heal(void); // false: not all of it yet

// sim_publish.c
void sim_publish_first(uint32_t node); // what a node needs to begin, in any order
void sim_publish_random(uint32_t node);
void sim_publish_calm(uint32_t node);	// what must harm nobody: the same again, renewed, rotated
bool sim_publish_healed(uint32_t node); // false: not yet, too many generations are held
void sim_publish_sweep(void);		// frees what no worker holds any more
void sim_publish_check_end(void);

struct sim_totals {
	uint64_t worlds, steps, turns, connections, completed, requests, tunnels, exchanges, cuts;
	uint64_t last_seed;
};
extern struct sim_totals sim_totals;
