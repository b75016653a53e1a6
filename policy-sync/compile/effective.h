// SPDX-License-Identifier: GPL-3.0-or-later
// One effective policy in the making: what all levels say about one port of one pod, joined (design:
// policy.md, "What a policy protects" and "Order and merging"). For compile_policy, compile_join and
// effective_put only.
//
// Levels, from far to near: ClusterSecurityPolicy overrides (a group of its own, so that nobody can
// weaken it), its defaults, the pod's namespace, Services that select the pod, the pod itself. A level is
// one part for each class of targets there; its rules are a set that other policies share. JWT providers
// join, the farther one wins a name; the nearest level that sets a default action decides it. Each
// Service that has policies here is a group, with a default and a set of providers of its own, and all
// groups have to agree.
#pragma once

#include "compile/statement.h"

// Enforcing groups, and as many twins.
#define GROUPS_MAX    (SNAPSHOT_GROUPS_PER_POLICY_MAX - 1)
#define PROVIDERS_MAX SNAPSHOT_PROVIDERS_PER_POLICY_MAX
#define LIMITS_MAX    256
#define PARTS_MAX     SNAPSHOT_SETS_PER_POLICY_MAX

// A Service with targets, and the one of its ports that leads here.
struct service_port_ref {
	uint32_t service;
	uint32_t port;
};

// What an effective policy is made of, and nothing else: equal sources, equal policies.
struct effective_source {
	uint32_t namespace;			 // number in the index
	const struct service_port_ref *services; // ascending
	uint32_t service_count;
	struct related pod_classes;
	bool too_many_ports;
};

struct effective_group {
	uint32_t service;   // number, or INDEX_NONE: the namespace's, or the overrides'
	uint32_t providers; // bits
	bool has_default;
	uint8_t default_level;
	bool any_optional, any_required; // tokens
	struct slice jwt_policy;
};

enum level { LEVEL_CLUSTER = 0, LEVEL_NAMESPACE, LEVEL_SERVICE, LEVEL_POD };

// What one class of targets says here.
struct effective_part {
	const struct statement *says;
	uint32_t class;
	enum level level;
	bool overrides;
	uint32_t service; // whose class it is, or INDEX_NONE
	uint32_t groups;  // whose default it may set; rules and tokens of overrides count in all
};

struct effective {
	struct compiler *c;
	const struct effective_source *source;
	struct ss_policy out;
	uint32_t all_groups;
	uint32_t audit_twins; // groups in which Audit policies count too; they refuse nothing
	bool audits_token;    // an Audit policy asks for one: those groups say for which
	uint32_t part_count;
	struct effective_group ways[SNAPSHOT_GROUPS_PER_POLICY_MAX]; // parallel to groups
	struct slice provider_names[PROVIDERS_MAX];
	struct slice providers[PROVIDERS_MAX]; // ids
	struct slice limits[LIMITS_MAX];
	struct ss_group groups[SNAPSHOT_GROUPS_PER_POLICY_MAX];
	struct effective_part parts[PARTS_MAX]; // by level, then by the age of what they say first
	struct ss_set_ref sets[PARTS_MAX];
};

// The id of the policy that comes of it; empty: nothing covers this port. compile_join.c
struct slice effective_make(struct compiler *c, const struct effective_source *source);
// It goes into the snapshot. effective_put.c
struct slice effective_put(struct effective *e);
// The sets of all parts, each as often as its groups mean different providers by a name.
void effective_refer(struct effective *e);
// What the groups ask for by token.
void effective_ask_tokens(struct effective *e);
// Nothing here can be enforced: a finding at the policy, said once however many ports it concerns. Of several
// reasons the first counts.
void effective_break(struct effective *e, const struct origin *at, struct slice policy,
		     const char *why);
// The same, at the policy with this number.
void effective_break_at(struct effective *e, uint32_t policy, const char *why);
static inline uint32_t effective_part_groups(const struct effective *e,
					     const struct effective_part *p)
{
	return p->overrides ? e->all_groups : p->groups;
}
