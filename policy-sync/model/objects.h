// SPDX-License-Identifier: GPL-3.0-or-later
// The objects that policy-sync understands, as far as it needs them: read from YAML files now, from
// the Kubernetes API later (kube/). Plain data in the arenas of the texts that say it (model/text); a
// model is what holds at one moment, and keeps its texts alive.
#pragma once

#include "common/snapshot_schema.h"
#include "files/diagnostics.h"
#include "files/tree.h"
#include "model/lookup.h"

enum object_kind {
	OBJECT_NONE = 0,
	OBJECT_POD,
	OBJECT_NODE,
	OBJECT_NAMESPACE,
	OBJECT_SERVICE,
	OBJECT_ENDPOINT_SLICE,
	OBJECT_SECRET,
	OBJECT_CONFIG_MAP,
	OBJECT_SECURITY_POLICY,
	OBJECT_CLUSTER_SECURITY_POLICY,
	OBJECT_RATE_LIMIT_POLICY,
	OBJECT_MESH_CONFIG,
	OBJECT_KIND_COUNT
};

struct origin { // where it was written, for findings
	const char *file;
	uint32_t line;
	const struct tree *tree; // of the whole object
};

struct label {
	struct slice key;
	struct slice value;
	uint64_t hash; // of both
};

struct labels {
	struct label *list;
	uint32_t count;
};

enum dataplane_mode { DATAPLANE_UNSET = 0, DATAPLANE_ENABLED, DATAPLANE_NONE };

// Of TCP: no other traffic is ours, and other protocols may use the same names and numbers.
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
	struct labels labels;
	bool ingress;
	bool uncaptured; // its operator says that its pods' traffic is not captured
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
	uint16_t target; // 0: by name
	struct slice target_name;
	uint16_t node_port;
	bool tcp;
	bool gone; // it is not there any more, but a policy still covers where it led
	enum app_protocol protocol;
};

struct service_object {
	struct origin origin;
	struct slice namespace, name;
	struct labels selector;
	struct addr *addrs; // cluster IPs, then external IPs, then a load balancer's
	uint32_t addr_count;
	uint32_t cluster_addr_count, balancer_addr_count;
	int64_t created_unix_ms;
	struct service_port_object *ports;
	uint32_t port_count;
	bool gone; // likewise
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
	struct slice section;	 // a port's name
	struct labels selector;	 // TARGET_POD
	const struct tree *tree; // where it stands; NULL: made up for a policy that names none
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
	const struct tree *tree; // NULL: absent
};

// Objects without a creationTimestamp are younger than all that have one.
#define CREATED_UNKNOWN INT64_MAX

struct security_policy {
	struct origin origin;
	struct slice namespace, name; // namespace empty: ClusterSecurityPolicy
	struct slice title;	      // "SecurityPolicy/ns/name"
	int64_t created_unix_ms;
	enum enforcement_mode mode;
	struct target *targets;
	uint32_t target_count;
	struct labels namespace_selector; // cluster-wide ones
	bool all_namespaces;
	struct policy_spec spec;      // namespaced; cluster: defaults
	struct policy_spec overrides; // cluster only
	struct slice broken;	      // why it cannot be enforced: its targets refuse
	bool means_requests;	      // by a 500 then; a connection gets a reset
	bool any_section; // it names a port that there is not: the whole Service refuses
};

struct rate_limit_policy {
	struct origin origin;
	struct slice namespace, name, title;
	int64_t created_unix_ms;
	struct target *targets;
	uint32_t target_count;
	struct ss_limit *limits;
	uint32_t limit_count;
};

struct data_object { // Secret, ConfigMap
	struct slice namespace, name;
	struct labels data; // decoded
};

struct mesh_config {
	struct ss_meta meta;
	struct labels ingress_nodes; // which nodes may bring in what comes from outside; empty: all
	uint16_t tunnel_port;
};

void mesh_config_defaults(struct mesh_config *c);
// Of kubelet, of the control plane, or one of ours; the tunnel's is set.
bool port_is_nodes_own(uint16_t port);

#define MODEL_OBJECTS_MAX 1000000

struct text;

// What a model says under one name.
struct object {
	enum object_kind kind;
	struct slice namespace, name; // namespace empty: the kind has none
	void *what;		      // struct pod, ...
	struct text *text;	      // that it lies in
	const struct tree *tree;
	struct security_policy *policy; // the model's own copy, of a security policy
	uint64_t seen_unix_ms; // when there was one of this name first; kept while there is
	uint64_t *
		addrs_seen; // of a Service, a node or a running pod, by address: when it had that first
	bool kept;	    // a Service: it had ports that policies still cover
	bool vanished;	    // it is not there any more, but what names it needs its content
};

// A growing list without a macro a kind: items are pointers into arenas.
struct object_list {
	void **items;
	uint32_t count;
	uint32_t capacity;
};

struct model {
	uint32_t refs;
	struct arena arena;
	struct object *objects; // all, in the order in which they were added
	uint32_t object_count, object_room;
	struct lookup names;
	struct lookup strangers;    // kinds of others that were spoken of
	struct object_list implied; // namespaces of pods, of which nobody wrote a Namespace
	struct lookup implied_names;
	const struct model *before; // the last one, while this one is being read; or NULL
	struct object_list texts;   // held
	struct object_list pods, nodes, namespaces, services, slices, policies, limits;
	uint64_t made_unix_ms;
	struct ss_meta meta; // MeshConfig, or its defaults
	struct labels ingress_nodes;
	bool incomplete; // something that could be a policy is not known
	uint16_t tunnel_port;
};

// The addresses that an object claims as its own: a Service, a node, or a running pod that has not its node's.
const struct addr *object_addrs(const struct object *o, uint32_t *count);

struct model *model_new(void);
struct model *model_ref(struct model *m);
void model_free(struct model *m); // one reference; NULL is allowed
// Room for so many objects, where it is known beforehand. ERR_NOMEM.
enum err must_check model_reserve(struct model *m, uint32_t objects);
// ERR_EXISTS: there is one of this kind and name, and it stays. Policies are copied: the model's may
// be changed, the texts' may not. ERR_NOMEM, ERR_FULL.
enum err must_check model_add(struct model *m, const struct object *o);
// A security policy beside one of the same name: both are broken.
enum err must_check model_add_disputed(struct model *m, const struct object *o);
// The same with a reason why it is not in force; its targets refuse.
enum err must_check model_add_broken(struct model *m, const struct object *o, const char *why);
// One that is not there any more; see struct object.
enum err must_check model_add_vanished(struct model *m, const struct object *o);
// After the last object: policies in their order of age, and what a MeshConfig says.
void model_settle(struct model *m);
const struct object *model_find(const struct model *m, enum object_kind kind, struct slice ns,
				struct slice name);
// For whoever still puts it together.
struct object *model_get(struct model *m, enum object_kind kind, struct slice ns,
			 struct slice name);
// For other tables keyed by what an object is called.
uint64_t object_hash(enum object_kind kind, struct slice ns, struct slice name);
bool object_is(const struct object *o, enum object_kind kind, struct slice ns, struct slice name);

// With the label that an API server sets, whatever was written. False: no memory.
bool namespace_set_name(struct namespace_object *n, struct slice name, struct arena *a);
// ERR_NOMEM, ERR_FULL.
enum err must_check object_add(struct object_list *l, void *item);
// As labels_match needs them: after reading.
void labels_sort(struct labels *l);
// Costs their sum, not their product.
bool labels_match(const struct labels *selector, const struct labels *labels);
bool labels_get(const struct labels *l, const char *key, struct slice *value);
const struct namespace_object *model_namespace(const struct model *m, struct slice name);
const struct service_object *model_service(const struct model *m, struct slice ns,
					   struct slice name);
// One that has vanished keeps its last content, as *vanished says: it becomes an object of this model.
const struct data_object *model_data(struct model *m, struct slice ns, struct slice name,
				     bool secret, bool *vanished);
