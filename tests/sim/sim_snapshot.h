// SPDX-License-Identifier: GPL-3.0-or-later
// What the nodes of a world believe: a few snapshots, made once and shared by all worlds.
#pragma once

#include "core/snapshot.h"
#include "sim/sim_world.h"

// What differs between versions; each is newer than the one before.
struct sim_version {
	bool closed;  // PLAIN and WEB of the second node are for nobody
	bool gone;    // the first node's client pod has vanished
	bool keys[2]; // of the nodes' certificates: which may be used
};
#define SIM_SNAPSHOTS 8
extern const struct sim_version sim_versions[SIM_SNAPSHOTS];

const struct snapshot *sim_snapshot(uint32_t node, uint32_t version);
// Of a generation's counter.
uint32_t sim_version_of(uint64_t counter);
// May nobody reach this pod at all?
bool sim_pod_is_for_nobody(uint32_t pod, uint32_t version);
const char *sim_node_name(uint32_t node);
const char *sim_node_uri(uint32_t node);
const uint8_t *sim_node_pin(uint32_t node, uint32_t key);
struct addr sim_node_addr(uint32_t node);
const char *sim_pod_uid(uint32_t pod);
uint32_t sim_pod_ifindex(uint32_t pod);
