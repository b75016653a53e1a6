// SPDX-License-Identifier: GPL-3.0-or-later
// The command line of node-proxy, checked. There is no configuration file: what a cluster wants
// comes by snapshot (MeshConfig); what a node is, by flags.
#pragma once

#include "common/addr.h"
#include "common/log.h"

#define CONFIG_UPLINKS_MAX 8
#define CONFIG_WORKERS_MAX 64

struct config {
	const char *node;
	const char *run_dir;
	const char *sync; // "host:port[,host:port...]", read by the loader
	const char *token_file;
	const char *trust_file;
	const char *access_log; // "-": stdout; "off"
	const char *uplinks[CONFIG_UPLINKS_MAX];
	uint32_t uplink_count;
	struct addr tunnel_addr; // none: all addresses
	uint16_t capture_port;
	uint16_t tunnel_port;
	uint16_t admin_port;
	uint32_t workers;
	uint32_t drain_s;
	uint32_t mark; // SO_MARK of sockets that the rules must know; 0: none
	enum log_level log_level;
	bool takeover;
};

// argv of `node-proxy run`. ERR_CONFIG with one sentence.
enum err must_check config_parse(int argc, char **argv, struct config *out, struct reason *why);
extern const char config_usage[];
