// SPDX-License-Identifier: GPL-3.0-or-later
// A verified, indexed, frozen snapshot: what workers read. Built on the loader thread from section
// bytes; sections that did not change are shared between generations by reference, decoded
// once. Nobody but the loader counts references: workers get the const pointer by message and the
// loader waits for their word before it lets an old one go.
#pragma once

#include "common/arena.h"
#include "common/section.h"
#include "core/cidr.h"
#include "core/policy.h"
#include "core/ratelimit.h"

struct snapshot_section; // one decoded section, refcounted (loader thread only)
struct snapshot;

// A workload with its compiled policies beside it.
struct workload {
	struct ss_workload record;
	const struct policy **policies; // parallel to record.policies; after linking
};

struct limit {
	struct ss_limit record;
	const struct cidr_set *clients;
	struct ratelimit_rate rate; // its numbers
	uint64_t key_seed; // hash of id
};

// Decode one section. bytes is copied. bytes_max bounds the memory it may take.
// why gets one sentence.
enum err must_check snapshot_section_new(struct section_ref ref, struct slice bytes,
					 struct snapshot_section **out, struct reason *why);
// Would a node take this record by itself? What policy-sync asks of everything that it writes.
enum err must_check snapshot_check_record(enum section_kind kind, struct slice value,
					  struct reason *why);
void snapshot_section_ref(struct snapshot_section *s);
void snapshot_section_unref(struct snapshot_section *s);
const struct section_ref *snapshot_section_id(const struct snapshot_section *s);
struct slice snapshot_section_bytes(const struct snapshot_section *s);

// Link sections to a snapshot: takes a reference on each. Verifies that every reference (policy,
// provider, limit, endpoint workload, node) resolves, that addresses are unique among enrolled
// workloads, that limits hold. self is this node's name. ERR_MALFORMED with why.
enum err must_check snapshot_new(struct generation g, struct snapshot_section *const *sections,
				 uint32_t count, struct slice self, struct snapshot **out,
				 struct reason *why);
void snapshot_free(struct snapshot *s);

struct generation snapshot_generation(const struct snapshot *s);
const struct ss_meta *snapshot_meta(const struct snapshot *s);
size_t snapshot_bytes(const struct snapshot *s);
// The section of a kind that is not sharded: its digest says whether its records are still those of
// an earlier generation. NULL: there is none.
const struct section_ref *snapshot_section_of(const struct snapshot *s, enum section_kind kind);
int generation_cmp(struct generation a, struct generation b);

// NULL where there is none. Pods by address never return hostNetwork pods (their address is the
// node's).
const struct workload *snapshot_workload_by_addr(const struct snapshot *s, struct addr a);
const struct workload *snapshot_workload_by_uid(const struct snapshot *s, struct slice uid);
const struct ss_node *snapshot_node_by_name(const struct snapshot *s, struct slice name);
const struct ss_node *snapshot_node_by_addr(const struct snapshot *s, struct addr a);
const struct ss_service *snapshot_service_by_name(const struct snapshot *s, struct slice ns,
						  struct slice name);
// The Service port behind a captured destination: cluster, external and load balancer addresses
// by (addr, port); else node addresses by node port. *service may be NULL.
const struct ss_service_port *snapshot_service_port(const struct snapshot *s, struct addr a,
						    uint16_t port,
						    const struct ss_service **service);
// Is the address one of a Service's (whatever the port)?
bool snapshot_is_service_addr(const struct snapshot *s, struct addr a);
// The policy that covers a port of a workload; NULL: none, allowed.
const struct policy *snapshot_policy_for(const struct snapshot *s, const struct workload *w,
					 uint16_t port);
const struct ss_provider *snapshot_provider(const struct snapshot *s, struct slice id);
const struct limit *snapshot_limit(const struct snapshot *s, struct slice id);
// Iterate: workloads of this node (enrolled), all nodes, all services. index < count.
uint32_t snapshot_local_count(const struct snapshot *s);
const struct workload *snapshot_local(const struct snapshot *s, uint32_t index);
uint32_t snapshot_node_count(const struct snapshot *s);
const struct ss_node *snapshot_node(const struct snapshot *s, uint32_t index);
uint32_t snapshot_service_count(const struct snapshot *s);
const struct ss_service *snapshot_service(const struct snapshot *s, uint32_t index);
uint32_t snapshot_workload_count(const struct snapshot *s);
