// SPDX-License-Identifier: GPL-3.0-or-later
// model ▶ sections, pure and deterministic: the same objects give the same bytes. One file a kind of
// record; compile_policy.c joins what every level says into one effective policy a port of a pod.
#pragma once

#include "common/section.h"
#include "model/objects.h"

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

// Findings that only the whole shows (a target that is not there, say) go to d. ERR_NOMEM, ERR_TOO_LARGE.
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
};

struct compiler {
	const struct model *model;
	struct diagnostics *diagnostics;
	struct arena *arena;
	struct records kinds[SECTION_KIND_COUNT];
	enum err err; // first failure
};

// Takes a copy of both.
void compile_put(struct compiler *c, enum section_kind kind, struct slice key, struct slice value);
bool compile_has(const struct compiler *c, enum section_kind kind, struct slice key);
bool pod_is_enrolled(const struct model *m, const struct pod *p);
// The pod behind an endpoint, or NULL.
const struct pod *endpoint_pod(const struct model *m, const struct endpoint_slice *s,
			       const struct endpoint_object *e);
// A Service's port on a pod: where traffic to it arrives; 0: the pod has no such port.
uint16_t service_target_port(const struct service_port_object *port, const struct pod *p);
bool service_selects(const struct model *m, const struct service_object *s, const struct pod *p);

void compile_meta(struct compiler *c);
void compile_nodes(struct compiler *c);
void compile_services(struct compiler *c);
// Pods with their effective policies; those policies, their providers and limits.
void compile_workloads(struct compiler *c);
uint32_t compile_pod_policies(struct compiler *c, const struct pod *p,
			      struct ss_port_policy out[SNAPSHOT_PORTS_PER_OBJECT_MAX]);
// Targets that name nothing.
void compile_check_targets(struct compiler *c);
