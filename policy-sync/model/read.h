// SPDX-License-Identifier: GPL-3.0-or-later
// Documents to objects: one document (or each item of a List) into the model. Unknown kinds are passed
// over; what cannot be read is a finding, and a security policy that cannot be read is kept as
// broken, so that its targets refuse.
#pragma once

#include "files/view.h"
#include "model/objects.h"

void read_document(struct model *m, const struct view *v);

// read_kubernetes.c, read_policy.c
struct object_meta {
	struct slice namespace, name, uid;
	struct labels labels;
	struct labels annotations;
	struct origin origin;
};
bool read_meta(const struct view *v, struct object_meta *out);
bool read_labels(const struct view *v, struct labels *out);
void read_pod(struct model *m, const struct view *v);
void read_node(struct model *m, const struct view *v);
void read_namespace(struct model *m, const struct view *v);
void read_service(struct model *m, const struct view *v);
void read_endpoint_slice(struct model *m, const struct view *v);
void read_secret(struct model *m, const struct view *v);
void read_config_map(struct model *m, const struct view *v);
void read_security_policy(struct model *m, const struct view *v);
void read_cluster_security_policy(struct model *m, const struct view *v);
void read_rate_limit_policy(struct model *m, const struct view *v);
void read_mesh_config(struct model *m, const struct view *v);
// Parts shared by policies and limits.
bool read_targets(const struct view *spec, struct object_meta *meta, struct target **out,
		  uint32_t *count);
bool read_paths(const struct view *v, struct ss_path_match **out, uint32_t *count);
bool read_cidrs(const struct view *v, struct cidr **out, uint32_t *count);
bool read_headers(const struct view *v, struct ss_header_match **out, uint32_t *count);
struct policy_spec;
bool read_jwt(struct model *m, const struct view *v, const struct object_meta *meta,
	      struct policy_spec *spec);
// Room for the entries of a list of at most max, or NULL with a finding.
void *read_list(const struct view *list, uint32_t max, size_t item_bytes);
struct slice read_lower(struct arena *a, struct slice s);
bool read_jwks(const struct view *at, struct slice json, struct ss_provider *out);
