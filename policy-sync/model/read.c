// SPDX-License-Identifier: GPL-3.0-or-later
// Which reader a document belongs to, and what it is called; see read.h.
#include "model/read.h"

#include "model/strangers.h"

#define OURS OUR_GROUP "/"

static const struct kind kinds[] = {
	{"v1", "Pod", OBJECT_POD, false, true, read_pod},
	{"v1", "Node", OBJECT_NODE, false, false, read_node},
	{"v1", "Namespace", OBJECT_NAMESPACE, false, false, read_namespace},
	{"v1", "Service", OBJECT_SERVICE, false, true, read_service},
	{"discovery.k8s.io/", "EndpointSlice", OBJECT_ENDPOINT_SLICE, false, true,
	 read_endpoint_slice},
	{"v1", "Secret", OBJECT_SECRET, false, true, read_secret},
	{"v1", "ConfigMap", OBJECT_CONFIG_MAP, false, true, read_config_map},
	{OURS, "SecurityPolicy", OBJECT_SECURITY_POLICY, true, true, read_security_policy},
	{OURS, "ClusterSecurityPolicy", OBJECT_CLUSTER_SECURITY_POLICY, true, false,
	 read_cluster_security_policy},
	{OURS, "RateLimitPolicy", OBJECT_RATE_LIMIT_POLICY, true, true, read_rate_limit_policy},
	{OURS, "MeshConfig", OBJECT_MESH_CONFIG, true, false, read_mesh_config},
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
	static const char *const members[] = {"apiVersion", "kind", "metadata", "items", NULL};
	const struct tree *version = tree_get(v->tree, "apiVersion");
	const struct tree *kind = tree_get(v->tree, "kind");

	*items = view_get(v, "items");
	if (!version || !kind || !is_list(version->text, kind->text))
		return false;
	view_only(v, members);
	if (!view_require(items, TREE_LIST))
		items->tree = NULL;
	return true;
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

// Objects that are only made when somebody applies them have no name, and none that is a template's is one.
static bool is_not_made_yet(const struct view *v, const struct kind *k)
{
	struct view meta = view_get(v, "metadata"), name = view_get(&meta, "name");
	struct view generate = view_get(&meta, "generateName");

	if (view_present(&name) && name.tree->kind == TREE_SCALAR)
		return memmem(name.tree->text.ptr, name.tree->text.len, "{{", 2) != NULL;
	return !k->is_ours && !view_present(&name) && view_present(&generate);
}

// Empty is unset to an API server; of ours nobody knows which namespace a template meant.
static bool read_namespace_of(const struct view *v, const struct kind *k, struct slice *ns)
{
	if (!v->tree || (!k->is_ours && (!view_present(v) || v->tree->text.len == 0)))
		return true;
	if (!view_present(v)) {
		view_error(v, "must not be null: give it a value, or leave it out");
		return false;
	}
	if (!view_short_text(v, 63, ns))
		return false;
	if (!is_segment(*ns))
		view_error(v, "is no name that a namespace can have");
	return is_segment(*ns);
}

static bool read_name(const struct view *v, const struct kind *k, struct slice *ns,
		      struct slice *name)
{
	struct view meta = view_get(v, "metadata"), namespace = view_get(&meta, "namespace");
	struct view called = view_get(&meta, "name");

	*ns = k->has_namespace ? SLICE_LIT("default") : (struct slice){0};
	// Who takes a policy of ours for one in force is told that it is none.
	if (is_not_made_yet(v, k) && k->is_ours) {
		view_error(&called, "is a template's, no name: render the policy first");
		return false;
	}
	if (is_not_made_yet(v, k)) {
		view_note(&called, "is no name yet: the object is passed over");
		return false;
	}
	if (!view_short_text(&called, 253, name))
		return false;
	if (!is_segment(*name)) {
		view_error(&called, "is no name that an object can have");
		return false;
	}
	if (k->is_ours && !k->has_namespace && namespace.tree)
		view_warn(&namespace, "is not looked at: a %s counts for the whole cluster",
			  k->name);
	return !k->has_namespace || read_namespace_of(&namespace, k, ns);
}

// ---- which kind --------------------------------------------------------------------------------

static const struct kind *our_kind(struct slice name)
{
	return find_kind(SLICE_LIT(OURS), name);
}

bool read_is_our_kind(struct slice name)
{
	return our_kind(name) != NULL;
}

static struct slice group_of(struct slice version)
{
	size_t at = slice_find(version, '/');

	return slice_make(version.ptr, at < version.len ? at : 0);
}

// A kind that was meant to be ours is one, with an error: a policy's targets refuse.
static const struct kind *find_ours(const struct view *at, struct slice version, struct slice what)
{
	const struct kind *k = our_kind(what);
	struct slice group = group_of(version);

	if (slice_eq_str(version, OURS OUR_VERSION))
		return k;
	if (slice_eq_str(group, OUR_GROUP)) {
		view_error(at, "there is no version %.*s of this group: write " OURS OUR_VERSION,
			   SLICE_ARG(slice_make(version.ptr + group.len + 1,
						version.len - group.len - 1)));
		return k;
	}
	if (!stranger_is_misspelt(group.len ? group : version, k != NULL) && !(group.len == 0 && k))
		return NULL;
	view_error(at, "%.*s is not the group of %.*s: write " OURS OUR_VERSION, SLICE_ARG(version),
		   SLICE_ARG(what));
	return k;
}

static bool read_kind(const struct view *v, struct slice *version, struct slice *what)
{
	struct view kind = view_get(v, "kind"), at = view_get(v, "apiVersion");

	if (kind_of_list(v, version, what))
		return true;
	if (!view_text(&kind, what))
		return false;
	// Of ours it is clear what was meant.
	if (!view_present(&at) && our_kind(*what)) {
		view_error(&at, "is required: write " OURS OUR_VERSION);
		*version = SLICE_LIT(OURS OUR_VERSION);
		return true;
	}
	return view_text(&at, version);
}

const struct kind *read_identity(const struct view *v, struct slice *ns, struct slice *name,
				 struct stranger *stranger)
{
	struct view kind = view_get(v, "kind"), at = view_get(v, "apiVersion");
	const struct kind *k;
	struct slice what, version;

	if (stranger_is_no_object(v)) {
		view_note(v, "is no object of Kubernetes: it is passed over");
		return NULL;
	}
	if (!view_require(v, TREE_MAP) || !read_kind(v, &version, &what))
		return NULL;
	k = find_ours(&at, version, what);
	if (!k)
		k = find_kind(version, what);
	if (!k && slice_eq_str(group_of(version), OUR_GROUP)) {
		view_error(&kind, "there is no kind %.*s in this group", SLICE_ARG(what));
	} else if (!k && slice_eq_str(what, "List") && group_of(version).len == 0 &&
		   !slice_eq_str(version, "v1")) {
		view_error(&at, "a List is of v1");
	} else if (!k && slice_eq_nocase(what, SLICE_LIT("List")) && !slice_eq_str(what, "List") &&
		   group_of(version).len == 0) {
		view_error(&kind, "there is no kind %.*s: write List", SLICE_ARG(what));
	} else if (!k && is_list(version, what)) {
		view_error(&kind, "a List in a List is not read");
	} else if (!k) {
		stranger->group = group_of(version);
		stranger->kind = what;
		stranger->why = stranger_policy(stranger->group, what, our_kind(what) != NULL);
		stranger->tree = kind.tree ? kind.tree : v->tree;
	}
	return k && read_name(v, k, ns, name) ? k : NULL;
}

void *read_object(const struct kind *k, const struct reading *r)
{
	return k->read(r);
}
