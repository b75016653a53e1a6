// SPDX-License-Identifier: GPL-3.0-or-later
// One decoded section: its bytes, and its records in an arena of its own. For snapshot.c only.
#pragma once

#include "core/snapshot.h"

struct snapshot_policy {
	struct ss_policy record;
	const struct policy *compiled; // with its own rules alone
};

struct snapshot_rule_set {
	struct ss_rule_set record;
	const struct policy_set *compiled;
};

struct snapshot_section {
	struct section_ref ref;
	uint32_t refs;
	struct slice bytes; // in the arena; records borrow from it
	struct arena arena;
	struct ss_meta *meta;
	struct workload *workloads;
	uint32_t workload_count;
	struct ss_node *nodes;
	uint32_t node_count;
	struct ss_service *services;
	uint32_t service_count;
	struct snapshot_policy *policies;
	uint32_t policy_count;
	struct snapshot_rule_set *rule_sets;
	uint32_t rule_set_count;
	struct ss_provider *providers;
	uint32_t provider_count;
	struct limit *limits;
	uint32_t limit_count;
	struct ss_trust_root *roots;
	uint32_t root_count;
};
