// SPDX-License-Identifier: GPL-3.0-or-later
// The objects that policy-sync understands, as far as it needs them: read from YAML files now, from
// the Kubernetes API later (kube/). Plain data in the model's arena; whole pods are never kept.
#pragma once

#include "common/snapshot_schema.h"
#include "files/diagnostics.h"

struct origin { // where it was written, for findings
	const char *file;
	uint32_t line;
};

struct label {
	struct slice key;
	struct slice value;
};

struct labels {
	struct label *list;
	uint32_t count;
};

enum dataplane_mode { DATAPLANE_UNSET = 0, DATAPLANE_ENABLED, DATAPLANE_NONE };

struct named_port {
	struct slice name;
	uint16_t port;
};

struct pod {
	struct origin origin;
	struct slice namespace, name, uid, node, service_account;
	struct labels labels;
	struct addr *addrs;
	uint32_t addr_count;
	struct named_port *ports;
	uint32_t port_count;
	enum dataplane_mode mode;
	bool host_network;
	bool terminal; // Succeeded or Failed: its address may be another pod's by now
};

struct node_object {
	struct origin origin;
	struct slice name, zone;
	struct addr *addrs;
	uint32_t addr_count;
	bool ingress;
};

struct namespace_object {
	struct origin origin;
	struct slice name;
	struct labels labels;
	enum dataplane_mode mode;
};

struct service_port_object {
	struct slice name;
	uint16_t port;
	uint16_t target;	  // 0: by name
	struct slice target_name;
	uint16_t node_port;
	bool tcp;
	enum app_protocol protocol;
};

struct service_object {
	struct origin origin;
	struct slice namespace, name;
	struct labels selector;
	struct addr *addrs;
	uint32_t addr_count;
	struct service_port_object *ports;
	uint32_t port_count;
	bool internal_local, external_local;
	uint32_t affinity_timeout_s;
	struct cidr *source_ranges;
	uint32_t source_range_count;
};

struct endpoint_object {
	struct addr *addrs;
	uint32_t addr_count;
	bool ready, serving, terminating;
	struct slice node, pod_uid, pod_name;
};

struct endpoint_slice {
	struct origin origin;
	struct slice namespace, service;
	struct named_port *ports;
	uint32_t port_count;
	struct endpoint_object *endpoints;
	uint32_t endpoint_count;
};

enum target_kind { TARGET_NONE = 0, TARGET_NAMESPACE, TARGET_SERVICE, TARGET_POD };

struct target {
	enum target_kind kind;
	struct slice name;
	struct slice section; // a port's name
	struct labels selector; // TARGET_POD
};

// What one policy says: the top-level fields that it names.
struct policy_spec {
	bool has_authorization;
	bool has_default;
	enum rule_action default_action;
	struct ss_rule *rules; // policy, mode and groups are filled when compiled
	uint32_t rule_count;
	bool has_jwt;
	bool jwt_optional;
	struct ss_provider *providers;
	uint32_t provider_count;
	bool has_peer_tls; // read, and Permissive is what there is until Strict is enforced
};

struct security_policy {
	struct origin origin;
	struct slice namespace, name; // namespace empty: ClusterSecurityPolicy
	struct slice title;	      // "SecurityPolicy/ns/name"
	enum enforcement_mode mode;
	struct target *targets;
	uint32_t target_count;
	struct labels namespace_selector; // cluster-wide ones
	bool all_namespaces;
	struct policy_spec spec;     // namespaced; cluster: defaults
	struct policy_spec overrides; // cluster only
	struct slice broken;	     // why it cannot be enforced: its targets refuse
};

struct rate_limit_policy {
	struct origin origin;
	struct slice namespace, name, title;
	struct target *targets;
	uint32_t target_count;
	struct ss_limit *limits;
	uint32_t limit_count;
};

struct data_object { // Secret, ConfigMap
	struct slice namespace, name;
	bool secret;
	struct labels data; // Secrets: decoded
};

#define MODEL_OBJECTS_MAX 1000000

// A growing list without a macro a kind: items are pointers into the arena.
struct object_list {
	void **items;
	uint32_t count;
	uint32_t capacity;
};

struct model {
	struct arena arena;
	struct object_list pods, nodes, namespaces, services, slices, policies, limits, data;
	struct ss_meta meta; // MeshConfig, or its defaults
	bool has_mesh_config;
	bool incomplete; // a file could not be read whole: what it says is not known
	uint16_t tunnel_port;
};

struct model *model_new(void);
void model_free(struct model *m);
// ERR_NOMEM, ERR_FULL.
enum err must_check object_add(struct object_list *l, void *item);

bool labels_match(const struct labels *selector, const struct labels *labels);
bool labels_get(const struct labels *l, const char *key, struct slice *value);
const struct namespace_object *model_namespace(const struct model *m, struct slice name);
const struct service_object *model_service(const struct model *m, struct slice ns, struct slice name);
const struct data_object *model_data(const struct model *m, struct slice ns, struct slice name,
				     bool secret);
