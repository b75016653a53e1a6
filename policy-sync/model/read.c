// SPDX-License-Identifier: GPL-3.0-or-later
// Which reader a document belongs to, and what it is called; see read.h.
#include "model/read.h"

#define OUR_GROUP "policy.portcullis.dev/"

static const struct kind kinds[] = {
	{"v1", "Pod", OBJECT_POD, false, true, read_pod},
	{"v1", "Node", OBJECT_NODE, false, false, read_node},
	{"v1", "Namespace", OBJECT_NAMESPACE, false, false, read_namespace},
	{"v1", "Service", OBJECT_SERVICE, false, true, read_service},
	{"discovery.k8s.io/", "EndpointSlice", OBJECT_ENDPOINT_SLICE, false, true,
	 read_endpoint_slice},
	{"v1", "Secret", OBJECT_SECRET, false, true, read_secret},
	{"v1", "ConfigMap", OBJECT_CONFIG_MAP, false, true, read_config_map},
	{OUR_GROUP, "SecurityPolicy", OBJECT_SECURITY_POLICY, true, true, read_security_policy},
	{OUR_GROUP, "ClusterSecurityPolicy", OBJECT_CLUSTER_SECURITY_POLICY, true, false,
	 read_cluster_security_policy},
	{OUR_GROUP, "RateLimitPolicy", OBJECT_RATE_LIMIT_POLICY, true, true,
	 read_rate_limit_policy},
	{OUR_GROUP, "MeshConfig", OBJECT_MESH_CONFIG, true, false, read_mesh_config},
};

static const struct kind *find_kind(struct slice version, struct slice name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct slice group = slice_str(kinds[i].group);
		bool same = group.ptr[group.len - 1] == '/' ? slice_starts(version, group)
							    : slice_eq(version, group);

		if (same && slice_eq_str(name, kinds[i].name))
			return &kinds[i];
	}
	return NULL;
}

// "PodList" is a list of Pods; a kind of somebody else's may end so and be none.
static bool is_list(struct slice version, struct slice kind)
{
	if (kind.len < 4 || !slice_eq_str(slice_make(kind.ptr + kind.len - 4, 4), "List"))
		return false;
	return (kind.len == 4 && slice_eq_str(version, "v1")) ||
	       find_kind(version, slice_make(kind.ptr, kind.len - 4));
}

bool read_is_list(const struct view *v, struct view *items)
{
	const struct tree *version = tree_get(v->tree, "apiVersion");
	const struct tree *kind = tree_get(v->tree, "kind");

	*items = view_get(v, "items");
	return version && kind && is_list(version->text, kind->text) &&
	       (!view_present(items) || view_require(items, TREE_LIST));
}

// The API's own lists do not repeat for every item what it is.
static bool kind_of_list(const struct view *v, struct slice *version, struct slice *kind)
{
	const struct tree *list = v->tree->parent ? v->tree->parent->parent : NULL;
	const struct tree *of = tree_get(list, "kind");

	if (!of || of->text.len <= 4 || tree_get(v->tree, "kind") ||
	    tree_get(v->tree, "apiVersion"))
		return false;
	*version = tree_get(list, "apiVersion")->text;
	*kind = slice_make(of->text.ptr, of->text.len - 4);
	return true;
}

// What every name of Kubernetes is at least: part of a path. Ids are made of several, with slashes.
static bool is_segment(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f || s.ptr[i] == '/' || s.ptr[i] == '%')
			return false;
	}
	return s.len > 0 && !slice_eq_str(s, ".") && !slice_eq_str(s, "..");
}

static bool read_name(const struct view *v, const struct kind *k, struct slice *ns,
		      struct slice *name)
{
	struct view meta = view_get(v, "metadata"), namespace = view_get(&meta, "namespace");
	struct view called = view_get(&meta, "name");

	*ns = k->has_namespace ? SLICE_LIT("default") : (struct slice){0};
	if (!view_short_text(&called, 253, name))
		return false;
	if (!is_segment(*name)) {
		view_error(&called, "is no name that an object can have");
		return false;
	}
	// An empty value of a template: nobody knows which namespace was meant.
	if (k->is_ours && namespace.tree && !view_present(&namespace)) {
		view_error(&namespace, "must not be null: give it a value, or leave it out");
		return false;
	}
	if (!k->has_namespace || !view_present(&namespace))
		return true;
	if (!view_short_text(&namespace, 63, ns))
		return false;
	if (!is_segment(*ns))
		view_error(&namespace, "is no name that a namespace can have");
	return is_segment(*ns);
}

const struct kind *read_identity(const struct view *v, struct slice *ns, struct slice *name)
{
	struct view kind = view_get(v, "kind"), version = view_get(v, "apiVersion");
	const struct kind *k;
	struct slice what, group;

	if (!view_require(v, TREE_MAP))
		return NULL;
	if (!kind_of_list(v, &group, &what) &&
	    (!view_text(&kind, &what) || !view_text(&version, &group)))
		return NULL;
	k = find_kind(group, what);
	if (!k && slice_starts(group, SLICE_LIT(OUR_GROUP)))
		view_error(&kind, "there is no kind %.*s in this group", SLICE_ARG(what));
	else if (!k && is_list(group, what))
		view_error(&kind, "a List in a List is not read");
	return k && read_name(v, k, ns, name) ? k : NULL;
}

void *read_object(const struct kind *k, const struct reading *r)
{
	return k->read(r);
}
