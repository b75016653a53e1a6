// SPDX-License-Identifier: GPL-3.0-or-later
// What a snapshot is made of. For snapshot.c and snapshot_link.c only.
#pragma once

#include "common/hash.h"
#include "core/snapshot_section.h"

struct port_entry {
	const struct ss_service *service;
	const struct ss_service_port *port;
	struct addr addr;
};

struct snapshot {
	struct generation generation;
	struct arena arena;
	struct snapshot_section **sections;
	uint32_t section_count;
	const struct ss_meta *meta;
	struct slice self;
	size_t bytes;
	// Flat views over all sections.
	struct workload **workloads;
	uint32_t workload_count;
	struct workload **locals;
	uint32_t local_count;
	const struct ss_node **nodes;
	uint32_t node_count;
	const struct ss_service **services;
	uint32_t service_count;
	struct port_entry *ports;
	uint32_t port_count;
	struct snapshot_policy **policies;
	const struct policy **linked; // parallel to policies: with their sets
	uint32_t policy_count;
	const struct snapshot_rule_set **rule_sets;
	uint32_t rule_set_count;
	const struct ss_provider **providers;
	uint32_t provider_count;
	struct limit **limits;
	uint32_t limit_count;
	// Indexes into them.
	struct hash_index by_addr, by_uid, node_by_name, node_by_addr, service_by_name,
		by_service_addr, by_port, by_node_port, policy_by_id, rule_set_by_id,
		provider_by_id, limit_by_id;
};

// Policies find their sets, workloads their policies. ERR_MALFORMED with why, ERR_NOMEM.
enum err must_check snapshot_link_policies(struct snapshot *s, struct reason *why);
// Providers and limits that they name are there: once those can be found.
enum err must_check snapshot_verify_policies(const struct snapshot *s, struct reason *why);
