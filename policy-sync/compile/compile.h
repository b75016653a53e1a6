// SPDX-License-Identifier: GPL-3.0-or-later
// model ▶ sections, pure and deterministic: the same objects give the same bytes. One file a kind of
// record; compile_index finds out once what selects and targets what, compile_policy joins what every level
// says into one effective policy a port of a pod, compile_findings says what only the whole shows.
// Linear in the objects: nothing here walks a list of all for each of all.
#pragma once

#include "common/section.h"
#include "compile/compile_index.h"
#include "files/view.h"

struct compiled_section {
	struct section_name name;
	struct slice bytes;
};

struct compiled {
	struct arena arena;
	struct compiled_section *sections; // in order of kind and shard; no empty ones but meta
	uint32_t count;
	struct slice trust_domain;
};

// Findings that only the whole shows (a target that is not there, say) go to d. ERR_NOMEM,
// ERR_TOO_LARGE (with a finding).
enum err must_check compile_model(const struct model *m, struct diagnostics *d,
				  struct compiled **out);
void compiled_free(struct compiled *c);

// ---- inside ----

// Records of one kind, sorted into sections when all are there.
struct records {
	struct slice *keys;
	struct slice *values;
	uint32_t count;
	uint32_t capacity;
	struct lookup by_key;
};

struct effective;
struct port_ref;
struct statement;

#define RECORD_ID_BYTES 33

// Which of its addresses a Service has: bit i is address i.
struct service_claims {
	uint64_t lost;	     // another object's
	uint64_t *port_lost; // by port: another Service's, or the node's own
	bool *node_port_lost;
};

struct compiler {
	const struct model *model;
	struct diagnostics *diagnostics;
	struct arena *arena;
	struct compile_index index;
	struct records kinds[SECTION_KIND_COUNT];
	// Policies that were made, by what they were made of.
	struct effective *effective;   // room for one in the making
	struct statement **statements; // by class, twice: overrides too
	struct port_ref *ports;	       // of the pod at hand
	uint32_t port_count, port_room;
	struct slice *made_ids;
	struct slice *made_keys;
	uint32_t made_count, made_room;
	struct lookup made;
	struct lookup said;	       // findings that many ports share
	bool *pod_put;		       // by pod: it has a record
	struct service_claims *claims; // by Service
	bool *limit_refused;	       // by RateLimitPolicy: no node would take it
	enum err err;		       // first failure
};

// Takes a copy of both, if every node would take it: the nodes' reader is asked. A record that is there
// stays. False: it would be refused, why says what for; whose record it is breaks, and nothing else.
bool must_check compile_put(struct compiler *c, enum section_kind kind, struct slice key,
			    const struct buf *value, struct reason *why);
bool compile_has(const struct compiler *c, enum section_kind kind, struct slice key);
// A finding at an object.
void compile_say(struct compiler *c, enum severity severity, const struct origin *at,
		 const char *field, const char *format, ...) __attribute__((format(printf, 5, 6)));
// An id that is what a record says, in text.
struct slice compile_record_id(struct slice record, char text[RECORD_ID_BYTES]);
bool pod_is_enrolled(const struct model *m, const struct pod *p);

void compile_meta(struct compiler *c);
void compile_nodes(struct compiler *c);
void compile_services(struct compiler *c);
// Whose address it is, before Services are compiled. compile_claims.c
void compile_claims(struct compiler *c);
bool compile_is_node_own_port(const struct model *m, uint16_t port);
// Pods with their effective policies; those policies, their providers and limits.
void compile_workloads(struct compiler *c);
// Policies by port of the pod with this number; returns how many. compile_policy.c
uint32_t compile_pod_policies(struct compiler *c, uint32_t pod,
			      struct ss_port_policy out[SNAPSHOT_PORTS_PER_OBJECT_MAX]);
void compile_policies_deinit(struct compiler *c);
// Targets that cannot be resolved break their policy: before policies are joined.
void compile_check_targets(struct compiler *c);
// What can never match, or says nothing.
void compile_check_rules(struct compiler *c);
// Rules beside what their targets are: ports, addresses, protocols, accounts.
void compile_check_reach(struct compiler *c);
// A place in the text that an object came from; and that of a rule.
struct view compile_place(struct compiler *c, const struct origin *at, const struct tree *tree,
			  bool *failed);
const struct tree *compile_rule_tree(const struct policy_spec *spec, uint32_t rule);
// Policies and limits that no node would take, each by itself: before they are joined. compile_records.c
void compile_check_records(struct compiler *c);
