// SPDX-License-Identifier: GPL-3.0-or-later
// Our own kinds: SecurityPolicy, ClusterSecurityPolicy, RateLimitPolicy, MeshConfig. Strict: unknown
// fields are errors. A security policy with an error is kept as broken, so that its targets refuse.
#include "model/read.h"

#include <stdio.h>
#include "core/match.h"

#define TARGETS_MAX 16
#define RULES_MAX   256
#define LIST_MAX    1024

static const char *const actions[] = {"Deny", "Allow", NULL};  // enum rule_action
static const char *const modes[] = {"Enforce", "Audit", NULL}; // enum enforcement_mode

// ---- targets -----------------------------------------------------------------------------------

static bool read_target(const struct view *v, const struct object_meta *meta, struct target *t)
{
	static const char *const keys[] = {"group",	  "kind",     "name",
					   "sectionName", "selector", NULL};
	static const char *const selector_keys[] = {"matchLabels", NULL};
	static const char *const kinds[] = {"", "Namespace", "Service", "Pod", NULL};
	struct view kind = view_get(v, "kind"), name = view_get(v, "name");
	struct view section = view_get(v, "sectionName"), selector = view_get(v, "selector");
	struct view match = view_get(&selector, "matchLabels");
	int index;

	view_only(v, keys);
	view_only(&selector, selector_keys);
	if (!view_word(&kind, kinds, &index))
		return false;
	t->kind = (enum target_kind)index;
	if (t->kind == TARGET_POD)
		return view_require(&selector, TREE_MAP) && read_labels(&match, &t->selector);
	if (!view_text(&name, &t->name))
		return false;
	if (t->kind == TARGET_NAMESPACE && !slice_eq(t->name, meta->namespace)) {
		view_error(&name, "has to be the policy's own namespace, %.*s",
			   SLICE_ARG(meta->namespace));
		return false;
	}
	return !view_present(&section) || view_text(&section, &t->section);
}

bool read_targets(const struct view *spec, const struct object_meta *meta, struct target **out,
		  uint32_t *count)
{
	struct view list = view_get(spec, "targetRefs");
	struct target *targets = read_list(&list, TARGETS_MAX, sizeof(*targets));
	uint32_t index = 0;

	*count = 0;
	if (!targets)
		return false;
	for (struct view i = view_first(&list); i.tree; i = view_next(&list, &i, &index)) {
		targets[*count].tree = i.tree;
		if (!read_target(&i, meta, &targets[*count]))
			return false;
		(*count)++;
	}
	*out = targets;
	if (*count == 0)
		view_error(&list, "names nothing");
	return *count > 0;
}

// ---- matches -----------------------------------------------------------------------------------

bool read_cidrs(const struct view *v, struct cidr **out, uint32_t *count)
{
	struct cidr *list = read_list(v, 65536, sizeof(*list));
	uint32_t index = 0;

	*count = 0;
	if (!list)
		return false;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		if (!view_cidr(&i, &list[*count]))
			return false;
		(*count)++;
	}
	warn_cidrs(v, list, *count);
	*out = list;
	return true;
}

// Requests are judged by their canonical path: another spelling would never match, and a Deny rule that
// never matches is an open door.
static bool canonical(const struct view *v, struct slice *path)
{
	uint8_t *out = arena_alloc(v->arena, 1, path->len);
	struct slice query;
	bool changed = false;

	if (!out || path_canonicalize(*path, out, path->len, path, &query, &changed) != ERR_OK ||
	    query.len > 0) {
		view_error(v, "is no path that a request can have");
		return false;
	}
	if (changed)
		view_warn(v,
			  "is compared as \"%.*s\": requests' paths are, without dot segments, "
			  "double slashes and needless escapes",
			  SLICE_ARG(*path));
	return true;
}

static bool read_path(const struct view *v, struct ss_path_match *out)
{
	static const char *const keys[] = {"type", "value", NULL};
	static const char *const types[] = {"Exact", "PathPrefix", "RegularExpression", NULL};
	struct view type = view_get(v, "type"), value = view_get(v, "value");
	int index = PATH_PREFIX;

	view_only(v, keys);
	if (view_present(&type) && !view_word(&type, types, &index))
		return false;
	if (index == PATH_REGEX) {
		view_error(&type, "RegularExpression is not supported yet");
		return false;
	}
	out->type = (enum path_match_type)index;
	if (!view_short_text(&value, 1024, &out->value))
		return false;
	if (out->value.len == 0 || out->value.ptr[0] != '/') {
		view_error(&value, "has to begin with /");
		return false;
	}
	return canonical(&value, &out->value);
}

// One path, or a list of them.
bool read_paths(const struct view *v, struct ss_path_match **out, uint32_t *count)
{
	struct ss_path_match *list;
	uint32_t index = 0;

	*count = 0;
	if (v->tree->kind == TREE_MAP) {
		list = arena_alloc(v->arena, 1, sizeof(*list));
		*out = list;
		*count = 1;
		return list && read_path(v, list);
	}
	list = read_list(v, LIST_MAX, sizeof(*list));
	if (!list)
		return false;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		if (!read_path(&i, &list[*count]))
			return false;
		(*count)++;
	}
	*out = list;
	return true;
}

bool read_headers(const struct view *v, struct ss_header_match **out, uint32_t *count)
{
	static const char *const keys[] = {"name", "values", "value", "type", NULL};
	static const char *const types[] = {"Exact", NULL}; // what can be enforced
	struct ss_header_match *list = read_list(v, 64, sizeof(*list));
	uint32_t index = 0;

	*count = 0;
	if (!list)
		return false;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		struct view name = view_get(&i, "name"), values = view_get(&i, "values");
		struct ss_header_match *h = &list[(*count)++];

		view_only(&i, keys);
		if (!view_short_text(&name, 255, &h->name))
			return false;
		h->name = read_lower(v->arena, h->name);
		struct view type = view_get(&i, "type"), value = view_get(&i, "value");
		int kind;

		if (view_present(&type) && !view_word(&type, types, &kind))
			return false;
		if (view_present(&value)) {
			h->values = arena_alloc(v->arena, 1, sizeof(*h->values));
			h->value_count = 1;
			if (!h->values || !view_text(&value, h->values))
				return false;
		}
		if (view_present(&values) && !view_texts(&values, 256, &h->values, &h->value_count))
			return false;
	}
	*out = list;
	return true;
}

// ---- principal ---------------------------------------------------------------------------------

static bool read_service_account(const struct view *v, struct ss_source *s)
{
	static const char *const keys[] = {"namespace", "name", NULL};
	struct view ns = view_get(v, "namespace"), name = view_get(v, "name");

	if (!view_require(v, TREE_MAP))
		return false;
	view_only(v, keys);
	return view_short_text(&ns, 63, &s->namespace) && view_short_text(&name, 253, &s->name);
}

static bool read_source(const struct view *v, struct ss_source *s)
{
	static const char *const keys[] = {"type", "serviceAccount", "spiffe", NULL};
	static const char *const types[] = {"",	    "ServiceAccount",  "SPIFFE", "Gateway",
					    "Node", "Unauthenticated", NULL};
	struct view type = view_get(v, "type"), account = view_get(v, "serviceAccount");
	struct view spiffe = view_get(v, "spiffe");
	int index;

	view_only(v, keys);
	if (!view_word(&type, types, &index))
		return false;
	s->type = (enum source_type)index;
	if (s->type == SOURCE_SERVICE_ACCOUNT)
		return read_service_account(&account, s);
	if (s->type != SOURCE_SPIFFE)
		return true;
	if (!view_short_text(&spiffe, 512, &s->name))
		return false;
	if (!slice_starts(s->name, SLICE_LIT("spiffe://"))) {
		view_error(&spiffe, "has to begin with spiffe://");
		return false;
	}
	return true;
}

static bool read_sources(const struct view *v, struct ss_rule *r)
{
	uint32_t index = 0;

	r->sources = read_list(v, LIST_MAX, sizeof(*r->sources));
	if (!r->sources)
		return false;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		if (!read_source(&i, &r->sources[r->source_count]))
			return false;
		warn_source(&i, &r->sources[r->source_count]);
		r->source_count++;
	}
	return true;
}

static bool read_claims(const struct view *v, struct ss_rule *r)
{
	static const char *const keys[] = {"name", "valueType", "values", NULL};
	uint32_t index = 0;

	r->claims = read_list(v, 64, sizeof(*r->claims));
	if (!r->claims)
		return false;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		struct view name = view_get(&i, "name"), values = view_get(&i, "values");
		struct ss_claim_match *c = &r->claims[r->claim_count++];

		view_only(&i, keys);
		if (!view_short_text(&name, 255, &c->name) ||
		    !view_texts(&values, 256, &c->values, &c->value_count))
			return false;
	}
	return true;
}

static bool read_token_rule(const struct view *v, struct ss_rule *r)
{
	static const char *const keys[] = {"provider", "claims", "scopes", NULL};
	struct view provider = view_get(v, "provider"), claims = view_get(v, "claims");
	struct view scopes = view_get(v, "scopes");

	if (!view_require(v, TREE_MAP))
		return false;
	view_only(v, keys);
	return view_short_text(&provider, 200, &r->jwt_provider) &&
	       (!view_present(&claims) || read_claims(&claims, r)) &&
	       (!view_present(&scopes) || view_texts(&scopes, 64, &r->scopes, &r->scope_count));
}

static bool read_principal(const struct view *v, struct ss_rule *r)
{
	static const char *const keys[] = {"sources", "clientCIDRs", "jwt", "headers", NULL};
	struct view sources = view_get(v, "sources"), cidrs = view_get(v, "clientCIDRs");
	struct view jwt = view_get(v, "jwt"), headers = view_get(v, "headers");

	if (!view_require(v, TREE_MAP))
		return false;
	view_only(v, keys);
	return (!view_present(&sources) || read_sources(&sources, r)) &&
	       (!view_present(&cidrs) ||
		read_cidrs(&cidrs, &r->client_cidrs, &r->client_cidr_count)) &&
	       (!view_present(&jwt) || read_token_rule(&jwt, r)) &&
	       (!view_present(&headers) || read_headers(&headers, &r->headers, &r->header_count));
}

static bool read_rule_ports(const struct view *v, struct ss_rule *r)
{
	uint32_t index = 0;
	uint64_t n;

	r->ports = read_list(v, LIST_MAX, sizeof(*r->ports));
	if (!r->ports)
		return false;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		if (!view_number(&i, 1, 65535, &n))
			return false;
		r->ports[r->port_count++] = (uint16_t)n;
	}
	return true;
}

static bool read_hosts(const struct view *v, struct ss_rule *r)
{
	uint32_t index = 0;

	if (!view_texts(v, LIST_MAX, &r->hosts, &r->host_count))
		return false;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		if (!read_host(&i, &r->hosts[index]))
			return false;
	}
	return true;
}

static bool read_operation(const struct view *v, struct ss_rule *r)
{
	static const char *const keys[] = {"methods", "path", "paths", "hosts", "ports", NULL};
	struct view methods = view_get(v, "methods"), path = view_get(v, "path");
	struct view paths = view_get(v, "paths"), hosts = view_get(v, "hosts");
	struct view ports = view_get(v, "ports");

	if (!view_require(v, TREE_MAP))
		return false;
	view_only(v, keys);
	if (view_present(&methods) && !read_methods(&methods, &r->methods, &r->method_count))
		return false;
	if (view_present(&path) && !read_paths(&path, &r->paths, &r->path_count))
		return false;
	if (view_present(&paths) && !read_paths(&paths, &r->paths, &r->path_count))
		return false;
	if (view_present(&hosts) && !read_hosts(&hosts, r))
		return false;
	return !view_present(&ports) || read_rule_ports(&ports, r);
}

static bool read_rule(const struct view *v, struct ss_rule *r)
{
	static const char *const keys[] = {"name", "action", "principal", "operation", NULL};
	struct view name = view_get(v, "name"), action = view_get(v, "action");
	struct view principal = view_get(v, "principal"), operation = view_get(v, "operation");
	int index;

	view_only(v, keys);
	if (!view_word(&action, actions, &index))
		return false;
	r->action = (enum rule_action)index;
	if (view_present(&name) && !view_short_text(&name, 200, &r->name))
		return false;
	if (r->name.len == 0) {
		// Logs name the rule; one without a name is known by its place.
		char path[VIEW_PATH_MAX];
		const char *at = strrchr(view_path(v, path), '[');

		r->name = arena_copy(v->arena, slice_str(at ? at : path));
	}
	return (!view_present(&principal) || read_principal(&principal, r)) &&
	       (!view_present(&operation) || read_operation(&operation, r));
}

static bool read_authorization(const struct view *v, struct policy_spec *spec)
{
	static const char *const keys[] = {"defaultAction", "rules", NULL};
	struct view action = view_get(v, "defaultAction"), rules = view_get(v, "rules");
	uint32_t index = 0;
	int word;

	if (!view_require(v, TREE_MAP))
		return false;
	view_only(v, keys);
	spec->has_authorization = true;
	if (view_present(&action)) {
		if (!view_word(&action, actions, &word))
			return false;
		spec->has_default = true;
		spec->default_action = (enum rule_action)word;
	}
	if (!view_present(&rules) && !spec->has_default)
		view_warn(v,
			  "says nothing, and so denies everything: write defaultAction or rules");
	if (!view_present(&rules))
		return true;
	spec->rules = read_list(&rules, RULES_MAX, sizeof(*spec->rules));
	if (!spec->rules)
		return false;
	for (struct view i = view_first(&rules); i.tree; i = view_next(&rules, &i, &index)) {
		if (!read_rule(&i, &spec->rules[spec->rule_count]))
			return false;
		spec->rule_count++;
	}
	warn_rules(&rules, spec);
	return true;
}

// ---- SecurityPolicy ----------------------------------------------------------------------------

static bool read_spec(const struct reading *r, const struct view *v, struct policy_spec *spec)
{
	static const char *const unsupported[] = {"peerTLS",   "oidc",	  "oauth2", "apiKeyAuth",
						  "basicAuth", "extAuth", NULL};
	struct view authorization = view_get(v, "authorization"), jwt = view_get(v, "jwt");

	spec->tree = v->tree;
	// A rule that cannot be enforced is never accepted.
	for (int i = 0; unsupported[i]; i++) {
		struct view field = view_get(v, unsupported[i]);

		if (view_present(&field)) {
			view_error(&field, "is not supported yet");
			return false;
		}
	}
	if (!view_present(&authorization) && !view_present(&jwt) && !*v->failed)
		view_warn(v, "has neither authorization nor jwt: it does nothing");
	return (!view_present(&authorization) || read_authorization(&authorization, spec)) &&
	       (!view_present(&jwt) || read_jwt(r, &jwt, spec));
}

struct slice read_title(const struct view *v, const char *kind, const struct object_meta *meta)
{
	char text[600];

	if (meta->namespace.len > 0)
		snprintf(text, sizeof(text), "%s/%.*s/%.*s", kind, SLICE_ARG(meta->namespace),
			 SLICE_ARG(meta->name));
	else
		snprintf(text, sizeof(text), "%s/%.*s", kind, SLICE_ARG(meta->name));
	return arena_copy(v->arena, slice_str(text));
}

// What all policies begin with, or NULL with a finding.
static struct security_policy *make_policy(const struct reading *r, const char *kind)
{
	struct security_policy *p = arena_alloc(r->v->arena, 1, sizeof(*p));

	if (!p) {
		view_error(r->v, "there is too much in this file");
		return NULL;
	}
	p->origin = r->meta->origin;
	p->namespace = r->meta->namespace;
	p->name = r->meta->name;
	p->created_unix_ms = r->meta->created_unix_ms;
	p->title = read_title(r->v, kind, r->meta);
	return p;
}

static void read_mode(const struct view *spec, struct security_policy *p)
{
	struct view mode = view_get(spec, "mode");
	int index = MODE_ENFORCE;

	if (view_present(&mode) && view_word(&mode, modes, &index))
		p->mode = (enum enforcement_mode)index;
}

static void *keep_policy(const struct view *v, struct security_policy *p)
{
	if (*v->failed && p->broken.len == 0)
		p->broken = SLICE_LIT("the policy has errors; see policy-sync's log or check");
	return p;
}

// Whom such a policy was meant for cannot be said: the whole namespace refuses.
static void target_namespace(const struct view *v, struct security_policy *p)
{
	p->targets = arena_alloc(v->arena, 1, sizeof(*p->targets));
	p->target_count = p->targets ? 1 : 0;
	if (p->targets)
		p->targets[0] = (struct target){.kind = TARGET_NAMESPACE, .name = p->namespace};
}

void *read_security_policy(const struct reading *r)
{
	static const char *const keys[] = {"targetRefs", "mode",       "authorization",
					   "jwt",	 "peerTLS",    "oidc",
					   "oauth2",	 "apiKeyAuth", "basicAuth",
					   "extAuth",	 NULL};
	struct security_policy *p = make_policy(r, "SecurityPolicy");
	struct view spec = view_get(r->v, "spec");

	if (!p)
		return NULL;
	if (!view_require(&spec, TREE_MAP)) {
		target_namespace(r->v, p);
		return keep_policy(r->v, p);
	}
	view_only(&spec, keys);
	if (!read_targets(&spec, r->meta, &p->targets, &p->target_count))
		target_namespace(r->v, p);
	read_mode(&spec, p);
	(void)read_spec(r, &spec, &p->spec);
	return keep_policy(r->v, p);
}

void *read_cluster_security_policy(const struct reading *r)
{
	static const char *const keys[] = {"namespaceSelector", "mode", "overrides", "defaults",
					   NULL};
	static const char *const parts[] = {"authorization", "jwt", NULL};
	static const char *const selector_keys[] = {"matchLabels", NULL};
	struct security_policy *p = make_policy(r, "ClusterSecurityPolicy");
	struct view spec = view_get(r->v, "spec"), selector = view_get(&spec, "namespaceSelector");
	struct view match = view_get(&selector, "matchLabels");
	struct view overrides = view_get(&spec, "overrides"),
		    defaults = view_get(&spec, "defaults");

	if (!p)
		return NULL;
	p->all_namespaces = !view_present(&selector);
	if (!view_require(&spec, TREE_MAP))
		return keep_policy(r->v, p);
	view_only(&spec, keys);
	view_only(&selector, selector_keys);
	view_only(&overrides, parts);
	view_only(&defaults, parts);
	if (!read_labels(&match, &p->namespace_selector))
		p->all_namespaces = true;
	read_mode(&spec, p);
	if (view_present(&overrides))
		(void)read_spec(r, &overrides, &p->overrides);
	if (view_present(&defaults))
		(void)read_spec(r, &defaults, &p->spec);
	return keep_policy(r->v, p);
}
