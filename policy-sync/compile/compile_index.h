// SPDX-License-Identifier: GPL-3.0-or-later
// What a compilation looks up again and again, made once from a model: pods by address, name and UID,
// EndpointSlices by Service, Services by the pods that they select, policies by what they target.
// Pods, Services and so on are their numbers in the model's lists.
#pragma once

#include "common/arena.h"
#include "model/objects.h"

#define INDEX_NONE UINT32_MAX

// From each of a's to its b's, ascending.
struct relation {
	uint32_t *start; // count of a's + 1
	uint32_t *items;
};

struct related {
	const uint32_t *items;
	uint32_t count;
};

static inline struct related related_to(const struct relation *r, uint32_t a)
{
	return (struct related){r->items + r->start[a], r->start[a + 1] - r->start[a]};
}

// One target of one policy. In the order of the policies' age, SecurityPolicies first.
struct target_ref {
	uint32_t policy; // number in policies, or INDEX_NONE
	uint32_t limit;	 // number in limits, or INDEX_NONE
	uint32_t class;	 // or INDEX_NONE: nothing of that name is there
	const struct target *target;
};

enum class_kind { CLASS_SERVICE = 0, CLASS_NAMESPACE, CLASS_PODS, CLASS_NAMESPACES };

// What equal targets select; see target_class.h.
struct target_class {
	enum class_kind kind;
	uint32_t to;		       // Service or namespace of this number
	struct slice section;	       // of a Service: one port; empty: all of it
	struct slice namespace;	       // of a selector of pods
	const struct labels *selector; // of pods; of namespaces, NULL: all
};

struct namespace_entry {
	struct slice name;
	const struct namespace_object *object; // NULL: there is none of this name
};

struct compile_index {
	struct hash_index pods_by_uid, pods_by_name, pods_by_addr, nodes_by_addr;
	struct target_ref *refs;
	uint32_t ref_count;
	struct namespace_entry *namespaces; // of pods, whether or not the object is there
	uint32_t namespace_count;
	uint32_t *pod_namespace;	// by pod
	bool *pod_disputed;		// by pod: another one has its UID
	uint64_t *pod_lost;		// by pod, bits: addresses that are not its to have
	struct relation service_slices; // EndpointSlices
	struct relation pod_services;	// by selector, or by endpoint
	struct relation pod_slices;	// EndpointSlices that have an endpoint there
	struct target_class *classes;
	uint32_t class_count;
	struct relation class_policies, class_limits; // in order of age, each once
	struct relation service_classes;
	struct relation namespace_classes;
	struct relation cluster_classes; // by namespace: of ClusterSecurityPolicies
	struct relation pod_classes;	 // that select it by labels
};

// The model and the arena have to outlive it. ERR_NOMEM.
enum err must_check compile_index_init(struct compile_index *x, const struct model *m,
				       struct arena *a);
// Where an endpoint leads. The address decides, whatever pod the slice says it belongs to: policies are
// those of the pod that would be reached.
enum endpoint_place {
	ENDPOINT_NOWHERE = 0, // a pod that is not known, or that has not this address alone
	ENDPOINT_POD,
	ENDPOINT_ELSEWHERE, // no pod, or one that has its node's address
};
enum endpoint_place index_endpoint(const struct compile_index *x, const struct model *m,
				   const struct endpoint_slice *s, const struct endpoint_object *e,
				   uint32_t *pod);
bool service_has_port(const struct service_object *s, struct slice name);
// The running pod that has the address, INDEX_NONE: none has.
uint32_t index_pod_at(const struct compile_index *x, const struct model *m, struct addr a);
bool index_is_node(const struct compile_index *x, const struct model *m, struct addr a);
// A Service's port on a pod by its targetPort; 0: the pod has no TCP port of that name.
uint16_t service_target_port(const struct service_port_object *port, const struct pod *p);
