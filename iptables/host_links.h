// SPDX-License-Identifier: GPL-3.0-or-later
// The node's interfaces and the routes behind them, as preflight needs them.
#pragma once

#include "iptables/rules_config.h"

#define LINKS_MAX 1024 // 250 pods a node is a lot

struct link {
	uint32_t index;
	uint32_t master; // index of the bridge or bond that it is a port of; 0: none
	char name[IFNAMSIZ];
	char kind[16]; // "veth", "bridge", "vxlan", …; empty: a device
	bool uplink;
};

struct links {
	struct link items[LINKS_MAX];
	uint32_t count;
};

enum err must_check host_links_load(int route_fd, const struct rules_config *c, struct links *out);
const struct link *host_links_find(const struct links *l, uint32_t index);
bool host_links_is_uplink(const struct rules_config *c, const char *name);

// A unicast route of the main table.
struct link_route {
	struct cidr network;
	uint32_t index; // of its interface
};

enum err must_check host_links_each_route(int route_fd, enum family f,
					  void (*each)(const struct link_route *r, void *context),
					  void *context);

// The masks of all marks that policy rules look at, ours aside.
enum err must_check host_links_rule_masks(int route_fd, enum family f, const struct rules_config *c,
					  uint32_t *masks);
