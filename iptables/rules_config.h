// SPDX-License-Identifier: GPL-3.0-or-later
// The description of what is captured on this node: `key = value` lines, read once, bounded, every
// mistake named with its line. What each key means to an operator is in README.md; what becomes of
// it is in render.c.
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "common/addr.h"

#define RULES_CONFIG_FILE_BYTES_MAX 65536
#define RULES_CONFIG_UPLINKS_MAX    16
#define RULES_CONFIG_NETWORKS_MAX   64
#define RULES_CONFIG_EXCLUDES_MAX   256
#define RULES_CONFIG_PORTS_MAX	    7 // ranges; iptables' multiport has 15 slots and a range takes two
#define RULES_CONFIG_PATH_MAX	    108

enum family { FAMILY_V4 = 0, FAMILY_V6, FAMILY_COUNT };

// "ipv4", "ipv6": never NULL.
const char *family_name(enum family f);

// Which of the two iptables a host uses. auto: the one that holds kubelet's and kube-proxy's chains.
enum backend { BACKEND_AUTO = 0, BACKEND_NFT, BACKEND_LEGACY };

const char *backend_name(enum backend b);

struct port_range {
	uint16_t min; // 0..0: every port
	uint16_t max;
};

struct network_list {
	struct cidr items[RULES_CONFIG_NETWORKS_MAX];
	uint32_t count;
};

struct exclude {
	bool node; // "node:port": the nodes' own addresses, both families
	struct cidr network;
	struct port_range ports;
};

// What ties packets to the proxy outside the tables; remembered, so that a change of it can be undone.
struct routing {
	uint32_t mark; // of captured packets and of the proxy's own sockets
	uint32_t mark_mask;
	uint32_t route_table; // holds the one route "everything is local"
	uint32_t rule_pref;   // of the first of three policy rules
};

struct rules_config {
	uint16_t capture_port; // TPROXY's target on loopback
	uint16_t tunnel_port;  // never captured where the node itself is the destination
	uint16_t sync_port; // policy-sync's: like tunnel_port out of the pods' reach on every node
	struct routing routing;
	uint32_t poll_ms; // between two verifications when nothing happened
	enum backend backend;
	bool backstop; // drop what would be forwarded to a pod past the capture
	char uplinks[RULES_CONFIG_UPLINKS_MAX][IFNAMSIZ];
	uint32_t uplink_count;
	struct network_list capture;  // pods and Services of the cluster
	struct network_list nodes;    // addresses of nodes, where pods dial their NodePorts
	struct network_list external; // load balancer and external addresses, also where local
	struct exclude excludes[RULES_CONFIG_EXCLUDES_MAX];
	uint32_t exclude_count;
	struct port_range node_ports[RULES_CONFIG_PORTS_MAX];
	uint32_t node_port_count;
	char run_dir[RULES_CONFIG_PATH_MAX];
	char cni_dir[RULES_CONFIG_PATH_MAX]; // where preflight looks for other meshes' plugins
};

#define RULE_PREFS 3 // rule_pref, + 1, + 2

// ERR_CONFIG with the line and what is wrong with it in why.
enum err must_check rules_config_parse(struct slice text, struct rules_config *out,
				       struct reason *why);
// As rules_config_parse; ERR_IO where the file cannot be read.
enum err must_check rules_config_load(const char *path, struct rules_config *out,
				      struct reason *why);

enum family rules_config_family_of(struct cidr c);
