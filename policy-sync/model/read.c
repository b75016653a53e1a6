// SPDX-License-Identifier: GPL-3.0-or-later
// Which reader a document belongs to; see read.h.
#include "model/read.h"

#define OUR_GROUP "policy.portcullis.dev/"

struct kind {
	const char *group; // prefix of apiVersion
	const char *name;
	void (*read)(struct model *m, const struct view *v);
};

static const struct kind kinds[] = {
	{"v1", "Pod", read_pod},
	{"v1", "Node", read_node},
	{"v1", "Namespace", read_namespace},
	{"v1", "Service", read_service},
	{"discovery.k8s.io/", "EndpointSlice", read_endpoint_slice},
	{"v1", "Secret", read_secret},
	{"v1", "ConfigMap", read_config_map},
	{OUR_GROUP, "SecurityPolicy", read_security_policy},
	{OUR_GROUP, "ClusterSecurityPolicy", read_cluster_security_policy},
	{OUR_GROUP, "RateLimitPolicy", read_rate_limit_policy},
	{OUR_GROUP, "MeshConfig", read_mesh_config},
};

static void read_object(struct model *m, const struct view *v)
{
	struct view kind = view_get(v, "kind"), version = view_get(v, "apiVersion");
	struct slice k, a;

	if (!view_text(&kind, &k) || !view_text(&version, &a))
		return;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct slice group = slice_str(kinds[i].group);
		bool same = group.ptr[group.len - 1] == '/' ? slice_starts(a, group)
							    : slice_eq(a, group);

		if (!same || !slice_eq_str(k, kinds[i].name))
			continue;
		kinds[i].read(m, v);
		return;
	}
	if (slice_starts(a, SLICE_LIT(OUR_GROUP))) {
		m->incomplete = true; // perhaps a policy, misspelt: nobody knows what it asks for
		view_error(&kind, "there is no kind %.*s in this group", SLICE_ARG(k));
	}
}

void read_document(struct model *m, const struct view *v)
{
	struct view kind = view_get(v, "kind"), items = view_get(v, "items");
	uint32_t index = 0;
	struct slice k;

	if (!view_require(v, TREE_MAP))
		return;
	if (!view_present(&items) || !view_present(&kind) || !view_text(&kind, &k) || k.len < 4 ||
	    !slice_eq(slice_make(k.ptr + k.len - 4, 4), SLICE_LIT("List"))) {
		read_object(m, v);
		return;
	}
	for (struct view i = view_first(&items); i.tree; i = view_next(&items, &i, &index)) {
		bool failed = false;
		struct view one = view_root(i.tree, v->file, v->arena, v->diagnostics, &failed);

		read_object(m, &one);
	}
}
