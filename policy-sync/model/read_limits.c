// SPDX-License-Identifier: GPL-3.0-or-later
// RateLimitPolicy and MeshConfig; see read.h.
#include "model/read.h"

#include <stdio.h>

#define RULES_MAX	 64
#define KEYS_MAX_DEFAULT 100000

static const char *const units[] = {"Second", "Minute", "Hour", "Day", NULL};
static const uint32_t unit_seconds[] = {1, 60, 3600, 86400};

static bool read_source_cidr(const struct view *v, struct ss_limit *l)
{
	static const char *const keys[] = {"type", "value", NULL};
	static const char *const types[] = {"Exact", "Distinct", NULL};
	struct view type = view_get(v, "type"), value = view_get(v, "value");
	int index = 0;

	if (!view_require(v, TREE_MAP))
		return false;
	view_only(v, keys);
	if (view_present(&type) && !view_word(&type, types, &index))
		return false;
	l->client_cidrs = arena_alloc(v->arena, 1, sizeof(*l->client_cidrs));
	if (!l->client_cidrs || !view_cidr(&value, &l->client_cidrs[0]))
		return false;
	l->client_cidr_count = 1;
	if (index == 1)
		l->key = LIMIT_KEY_CLIENT_ADDR;
	return true;
}

static bool read_selector(const struct view *v, struct ss_limit *l)
{
	static const char *const keys[] = {"sourceCIDR", "headers", "methods",
					   "path",	 "paths",   NULL};
	struct view source = view_get(v, "sourceCIDR"), headers = view_get(v, "headers");
	struct view methods = view_get(v, "methods"), path = view_get(v, "path");
	struct view paths = view_get(v, "paths");

	view_only(v, keys);
	if (view_present(&source) && !read_source_cidr(&source, l))
		return false;
	if (view_present(&headers) && !read_headers(&headers, &l->headers, &l->header_count))
		return false;
	if (view_present(&methods) && !read_methods(&methods, &l->methods, &l->method_count))
		return false;
	if (view_present(&path) && !read_paths(&path, &l->paths, &l->path_count))
		return false;
	return !view_present(&paths) || read_paths(&paths, &l->paths, &l->path_count);
}

static bool read_selectors(const struct view *v, struct ss_limit *l)
{
	struct view only = view_first(v);

	if (!view_present(v))
		return true;
	if (!view_require(v, TREE_LIST))
		return false;
	if (tree_count(v->tree) > 1) {
		view_error(v, "one selector a rule is supported yet; write several rules");
		return false;
	}
	return !only.tree || read_selector(&only, l);
}

static bool read_amount(const struct view *v, struct ss_limit *l)
{
	static const char *const keys[] = {"requests", "unit", "burst", NULL};
	struct view requests = view_get(v, "requests"), unit = view_get(v, "unit");
	struct view burst = view_get(v, "burst");
	int index;

	if (!view_require(v, TREE_MAP))
		return false;
	view_only(v, keys);
	if (!view_number(&requests, 1, 1000000000, &l->requests) ||
	    !view_word(&unit, units, &index))
		return false;
	l->unit_s = unit_seconds[index];
	return !view_present(&burst) || view_number(&burst, 1, 1000000000, &l->burst);
}

static bool read_limit(const struct view *v, const struct object_meta *meta, struct slice title,
		       struct ss_limit *l)
{
	static const char *const keys[] = {"name", "clientSelectors", "limit", "shadowMode", NULL};
	struct view name = view_get(v, "name"), selectors = view_get(v, "clientSelectors");
	struct view limit = view_get(v, "limit"), shadow = view_get(v, "shadowMode");
	char id[600];

	view_only(v, keys);
	l->policy = title;
	l->keys_max = KEYS_MAX_DEFAULT;
	if (!view_short_text(&name, 200, &l->rule) || !read_selectors(&selectors, l) ||
	    !read_amount(&limit, l))
		return false;
	snprintf(id, sizeof(id), "%.*s/%.*s/%.*s", SLICE_ARG(meta->namespace),
		 SLICE_ARG(meta->name), SLICE_ARG(l->rule));
	l->id = arena_copy(v->arena, slice_str(id));
	return !view_present(&shadow) || view_bool(&shadow, &l->shadow);
}

// Buckets are counted under the rule's name: two of one name would be one, taken twice.
static bool is_only_name(const struct view *v, const struct rate_limit_policy *p)
{
	struct view name = view_get(v, "name");

	for (uint32_t i = 0; i < p->limit_count; i++) {
		if (!slice_eq(p->limits[i].rule, p->limits[p->limit_count].rule))
			continue;
		view_error(&name, "another rule is called %.*s too", SLICE_ARG(p->limits[i].rule));
		return false;
	}
	return true;
}

void *read_rate_limit_policy(const struct reading *r)
{
	static const char *const keys[] = {"targetRefs", "scope", "rules", "maxTrackedKeys", NULL};
	static const char *const scopes[] = {"Node", NULL};
	struct rate_limit_policy *p = arena_alloc(r->v->arena, 1, sizeof(*p));
	struct view spec = view_get(r->v, "spec"), scope = view_get(&spec, "scope");
	struct view rules = view_get(&spec, "rules"), tracked = view_get(&spec, "maxTrackedKeys");
	uint32_t index = 0;
	int word;

	if (!p || !view_require(&spec, TREE_MAP))
		return NULL;
	p->origin = r->meta->origin;
	p->namespace = r->meta->namespace;
	p->name = r->meta->name;
	p->created_unix_ms = r->meta->created_unix_ms;
	p->title = read_title(r->v, "RateLimitPolicy", r->meta);
	view_only(&spec, keys);
	if (view_present(&tracked))
		view_warn(&tracked,
			  "is not used yet: all limits of a node share one bounded table");
	if (!view_word(&scope, scopes, &word) ||
	    !read_targets(&spec, r->meta, &p->targets, &p->target_count))
		return NULL;
	p->limits = read_list(&rules, RULES_MAX, sizeof(*p->limits));
	if (!p->limits)
		return NULL;
	for (struct view i = view_first(&rules); i.tree; i = view_next(&rules, &i, &index)) {
		if (!read_limit(&i, r->meta, p->title, &p->limits[p->limit_count]) ||
		    !is_only_name(&i, p))
			return NULL;
		p->limit_count++;
	}
	// Half a limit is none: the last good one stays.
	return *r->v->failed ? NULL : p;
}

// ---- MeshConfig --------------------------------------------------------------------------------

static bool read_timeouts(const struct view *spec, struct ss_meta *meta)
{
	static const char *const keys[] = {"requestHeader", "httpIdle", "connect", "hold", NULL};
	struct view t = view_get(spec, "timeouts");
	uint32_t *out[] = {&meta->header_timeout_ms, &meta->http_idle_timeout_ms,
			   &meta->connect_timeout_ms, &meta->hold_timeout_ms};

	if (!view_present(&t))
		return true;
	view_only(&t, keys);
	for (int i = 0; keys[i]; i++) {
		struct view v = view_get(&t, keys[i]);
		uint64_t ms;

		if (!view_present(&v))
			continue;
		if (!view_duration_ms(&v, &ms))
			return false;
		if (ms < 10 || ms > 86400000) {
			view_error(&v, "has to lie between 10ms and 24h");
			return false;
		}
		*out[i] = (uint32_t)ms;
	}
	return true;
}

// An identity with a trust domain of another form could not be parsed by any node (SPIFFE-ID 2.1).
static bool read_trust_domain(const struct view *v, struct slice *out)
{
	bool good = view_short_text(v, 255, out) && out->len > 0;

	for (size_t i = 0; good && i < out->len; i++) {
		uint8_t c = out->ptr[i];

		good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
		       c == '_';
	}
	if (!good && !*v->failed)
		view_error(v, "has to be lower-case letters, digits, dots, dashes and underscores");
	return good;
}

static bool read_mesh_limits(const struct view *spec, struct ss_meta *meta)
{
	static const char *const keys[] = {"headerBytes", "connectionsPerPod", NULL};
	struct view l = view_get(spec, "limits"), head = view_get(&l, "headerBytes");
	struct view connections = view_get(&l, "connectionsPerPod");
	uint64_t n;

	if (!view_present(&l))
		return true;
	view_only(&l, keys);
	if (view_present(&head)) {
		if (!view_number(&head, 1024, 65536, &n))
			return false;
		meta->header_bytes_max = (uint32_t)n;
	}
	if (view_present(&connections)) {
		if (!view_number(&connections, 1, 1000000, &n))
			return false;
		meta->connections_per_pod_max = (uint32_t)n;
	}
	return true;
}

void *read_mesh_config(const struct reading *r)
{
	static const char *const keys[] = {"trustDomain", "tunnelPort", "timeouts", "limits", NULL};
	struct view spec = view_get(r->v, "spec"), domain = view_get(&spec, "trustDomain");
	struct view port = view_get(&spec, "tunnelPort");
	struct mesh_config *c = arena_alloc(r->v->arena, 1, sizeof(*c));
	uint64_t n;

	if (!c || !view_require(&spec, TREE_MAP))
		return NULL;
	if (!slice_eq_str(r->meta->name, "default")) {
		struct view at = view_get(r->v, "metadata");

		view_error(&at, "MeshConfig is a singleton: its name has to be default");
		return NULL;
	}
	mesh_config_defaults(c);
	n = c->tunnel_port;
	view_only(&spec, keys);
	if ((view_present(&domain) && !read_trust_domain(&domain, &c->meta.trust_domain)) ||
	    (view_present(&port) && !view_number(&port, 1, 65535, &n)) ||
	    !read_timeouts(&spec, &c->meta) || !read_mesh_limits(&spec, &c->meta))
		return NULL;
	c->tunnel_port = (uint16_t)n;
	return *r->v->failed ? NULL : c;
}
