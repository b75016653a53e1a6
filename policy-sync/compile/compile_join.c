// SPDX-License-Identifier: GPL-3.0-or-later
// Joining the levels; see effective.h.
#include <stdio.h>
#include <stdlib.h>
#include "common/snapshot_codec.h"
#include "compile/effective.h"

enum level { LEVEL_CLUSTER = 0, LEVEL_NAMESPACE, LEVEL_SERVICE, LEVEL_POD };

static struct security_policy *policy_at(const struct effective *e, uint32_t i)
{
	return e->c->model->policies.items[i];
}

static bool said_before(struct compiler *c, const struct origin *at, const char *why)
{
	uint64_t hash = hash_bytes(slice_str(why), (uintptr_t)at->tree);
	uint32_t before = UINT32_MAX, i;

	if (lookup_next(&c->said, hash, &before, &i))
		return true;
	if (lookup_put(&c->said, hash, 0) != ERR_OK)
		c->err = ERR_NOMEM;
	return false;
}

void effective_break(struct effective *e, const struct origin *at, struct slice policy,
		     const char *why)
{
	if (!said_before(e->c, at, why))
		compile_say(e->c, SEVERITY_ERROR, at, "spec",
			    "%s: its targets refuse where that is so", why);
	if (e->out.broken.len > 0)
		return;
	e->out.broken = slice_str(why);
	e->out.broken_policy = policy;
}

// ---- one policy --------------------------------------------------------------------------------

static bool rule_reads_request(const struct ss_rule *r)
{
	return r->jwt_provider.len > 0 || r->claim_count || r->scope_count || r->header_count ||
	       r->method_count || r->path_count || r->host_count;
}

static void put_provider(struct compiler *c, const struct ss_provider *p)
{
	struct buf b;

	if (compile_has(c, SECTION_PROVIDERS, p->id))
		return;
	buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
	snapshot_encode_provider(&b, p);
	if (b.err != ERR_OK)
		c->err = b.err; // bounded where it is read
	compile_put(c, SECTION_PROVIDERS, p->id, buf_slice(&b));
	buf_deinit(&b);
}

// Its bit among the policy's providers; 0: there are too many.
static uint32_t provider_bit(struct effective *e, const struct security_policy *p,
			     const struct ss_provider *provider)
{
	uint32_t i = 0;

	while (i < e->out.provider_count && !slice_eq(e->providers[i], provider->id))
		i++;
	if (i == PROVIDERS_MAX) {
		effective_break(e, &p->origin, p->title,
				"more JWT providers than a port of a pod may have");
		return 0;
	}
	if (i == e->out.provider_count) {
		e->provider_names[i] = provider->name;
		e->providers[i] = provider->id;
		e->out.provider_count++;
		put_provider(e->c, provider);
	}
	return 1u << i;
}

static bool has_name(const struct effective *e, uint32_t bits, struct slice name)
{
	for (uint32_t i = 0; i < e->out.provider_count; i++) {
		if ((bits & (1u << i)) && slice_eq(e->provider_names[i], name))
			return true;
	}
	return false;
}

// Providers join by name; the level above wins, and levels are joined from above.
static void join_jwt(struct effective *e, const struct security_policy *p,
		     const struct policy_spec *spec, uint32_t groups)
{
	if (!spec->has_jwt || p->mode == MODE_AUDIT)
		return;
	e->out.needs_l7 = true;
	for (uint32_t i = 0; i < spec->provider_count; i++) {
		for (uint32_t g = 0; g < e->out.group_count; g++) {
			struct effective_group *way = &e->ways[g];

			if (!(groups & (1u << g)) ||
			    has_name(e, way->providers, spec->providers[i].name))
				continue;
			way->providers |= provider_bit(e, p, &spec->providers[i]);
		}
	}
	for (uint32_t g = 0; g < e->out.group_count; g++) {
		if (!(groups & (1u << g)))
			continue;
		e->ways[g].any_optional |= spec->jwt_optional;
		e->ways[g].any_required |= !spec->jwt_optional;
		if (e->ways[g].jwt_policy.len == 0)
			e->ways[g].jwt_policy = p->title;
	}
}

static void join_default(struct effective *e, const struct security_policy *p,
			 const struct policy_spec *spec, enum level level, uint32_t groups)
{
	for (uint32_t g = 0; g < e->out.group_count; g++) {
		struct ss_group *group = &e->groups[g];
		struct effective_group *way = &e->ways[g];
		bool twin = e->audit_twins & (1u << g);

		if (!(groups & (1u << g)) || (p->mode == MODE_AUDIT && !twin))
			continue;
		// The most specific policy's word; of one level the oldest's. Unset is Deny.
		if (way->has_default && level <= way->default_level)
			continue;
		way->has_default = true;
		way->default_level = (uint8_t)level;
		group->default_action = spec->has_default ? spec->default_action : RULE_DENY;
		group->default_policy = p->title;
		group->default_mode = twin ? MODE_AUDIT : MODE_ENFORCE;
	}
}

static void join_spec(struct effective *e, const struct security_policy *p,
		      const struct policy_spec *spec, enum level level, uint32_t groups)
{
	if (p->broken.len > 0) {
		// What would only watch refuses nothing, not even when it is broken.
		if (p->mode == MODE_ENFORCE && e->out.broken.len == 0) {
			e->out.broken = p->broken;
			e->out.broken_policy = p->title;
		}
		return;
	}
	join_jwt(e, p, spec, groups);
	if (!spec->has_authorization)
		return;
	join_default(e, p, spec, level, groups);
	for (uint32_t i = 0; i < spec->rule_count; i++) {
		if (e->out.rule_count == SNAPSHOT_RULES_PER_POLICY_MAX) {
			effective_break(e, &p->origin, p->title,
					"more rules than a port of a pod may have");
			return;
		}
		struct ss_rule *r = &e->rules[e->out.rule_count];

		e->rule_from[e->out.rule_count++] = p;
		*r = spec->rules[i];
		r->policy = p->title;
		r->mode = p->mode;
		r->groups = p->mode == MODE_AUDIT ? groups & e->audit_twins : groups;
		e->out.needs_l7 |= rule_reads_request(r);
	}
}

// ---- which policies ----------------------------------------------------------------------------

// Does a target of a Service mean one of the ports that lead here? One that names no port of it does:
// its policy is broken, and the whole Service refuses.
static bool target_fits(const struct effective *e, const struct target_ref *r, uint32_t service)
{
	const struct service_object *s = e->c->model->services.items[service];
	bool any = r->target->section.len == 0 ||
		   (r->policy != INDEX_NONE && policy_at(e, r->policy)->any_section);

	for (uint32_t i = 0; i < e->source->service_count && !any; i++)
		any = e->source->services[i].service == service &&
		      slice_eq(s->ports[e->source->services[i].port].name, r->target->section);
	return any;
}

// The next Service of the source behind *at; false: there is none.
static bool next_service(const struct effective *e, uint32_t *at, uint32_t *service)
{
	const struct effective_source *s = e->source;

	if (*at == s->service_count)
		return false;
	*service = s->services[*at].service;
	while (*at < s->service_count && s->services[*at].service == *service)
		(*at)++;
	return true;
}

// Calls for every policy of the list that targets this Service here, each once.
struct service_policies {
	struct related refs;
	uint32_t service;
	uint32_t next;
	uint32_t last; // policy
};

static struct service_policies policies_of(const struct effective *e, uint32_t service)
{
	return (struct service_policies){related_to(&e->c->index.service_targets, service), service,
					 0, INDEX_NONE};
}

static bool next_policy(const struct effective *e, struct service_policies *at, uint32_t *policy)
{
	while (at->next < at->refs.count) {
		const struct target_ref *r = &e->c->index.refs[at->refs.items[at->next++]];

		if (r->policy == INDEX_NONE || r->policy == at->last ||
		    !target_fits(e, r, at->service))
			continue;
		*policy = at->last = r->policy;
		return true;
	}
	return false;
}

static struct related cluster_policies(const struct effective *e)
{
	return e->c->index.namespaces[e->source->namespace].cluster;
}

static struct related namespace_refs(const struct effective *e)
{
	return related_to(&e->c->index.namespace_targets, e->source->namespace);
}

// ---- groups ------------------------------------------------------------------------------------

static uint32_t add_group(struct effective *e, const char *kind, struct slice ns, struct slice name,
			  uint32_t service)
{
	uint32_t g = e->out.group_count++;
	char text[600];

	snprintf(text, sizeof(text), "%s/%.*s%s%.*s", kind, SLICE_ARG(ns), ns.len ? "/" : "",
		 SLICE_ARG(name));
	e->groups[g] = (struct ss_group){.target = arena_copy(e->c->arena, slice_str(text)),
					 .default_action = RULE_ALLOW};
	e->ways[g] = (struct effective_group){.service = service};
	return 1u << g;
}

// Does a policy of this mode (or any, with audit) say who may call?
static bool speaks(const struct security_policy *p, const struct policy_spec *spec, bool audit)
{
	return p->broken.len == 0 && (spec->has_authorization || spec->has_jwt) &&
	       (audit || p->mode == MODE_ENFORCE);
}

static bool any_audit(const struct effective *e, struct related refs)
{
	for (uint32_t i = 0; i < refs.count; i++) {
		const struct target_ref *r = &e->c->index.refs[refs.items[i]];

		if (r->policy != INDEX_NONE && policy_at(e, r->policy)->mode == MODE_AUDIT)
			return true;
	}
	return false;
}

static bool audits(const struct effective *e)
{
	struct related cluster = cluster_policies(e);
	uint32_t at = 0, service, policy;

	for (uint32_t i = 0; i < cluster.count; i++) {
		if (policy_at(e, cluster.items[i])->mode == MODE_AUDIT)
			return true;
	}
	while (next_service(e, &at, &service)) {
		struct service_policies list = policies_of(e, service);

		while (next_policy(e, &list, &policy)) {
			if (policy_at(e, policy)->mode == MODE_AUDIT)
				return true;
		}
	}
	return any_audit(e, namespace_refs(e)) || any_audit(e, e->source->pod_targets);
}

static uint32_t add_override_group(struct effective *e, bool audit)
{
	struct related cluster = cluster_policies(e);

	for (uint32_t i = 0; i < cluster.count; i++) {
		const struct security_policy *p = policy_at(e, cluster.items[i]);

		if (speaks(p, &p->overrides, audit))
			return add_group(e, "ClusterSecurityPolicy", (struct slice){0}, p->name,
					 INDEX_NONE);
	}
	return 0;
}

// One group for each Service whose policies cover this port, or one for the namespace.
static uint32_t add_service_groups(struct effective *e, bool audit)
{
	uint32_t groups = 0, at = 0, service, policy;

	while (next_service(e, &at, &service)) {
		const struct service_object *s = e->c->model->services.items[service];
		struct service_policies list = policies_of(e, service);
		bool spoken = false;

		while (!spoken && next_policy(e, &list, &policy)) {
			const struct security_policy *p = policy_at(e, policy);

			spoken = speaks(p, &p->spec, audit);
			if (spoken && e->out.group_count >= GROUPS_MAX) {
				effective_break(e, &p->origin, p->title,
						"more Services with policies than a port may have");
				return groups;
			}
		}
		if (spoken)
			groups |= add_group(e, "Service", s->namespace, s->name, service);
	}
	if (groups == 0)
		groups = add_group(e, "Namespace", (struct slice){0},
				   e->c->index.namespaces[e->source->namespace].name, INDEX_NONE);
	return groups;
}

// Enforcing groups are made of enforcing policies alone, so that one on trial changes nothing; beside
// them, where something is on trial, stand groups of all policies, which refuse nothing.
static void add_groups(struct effective *e, uint32_t *overrides, uint32_t *rest)
{
	*overrides = add_override_group(e, false);
	*rest = add_service_groups(e, false);
	if (!audits(e))
		return;
	uint32_t before = e->out.group_count;
	uint32_t more_overrides = add_override_group(e, true), more = add_service_groups(e, true);

	for (uint32_t g = before; g < e->out.group_count; g++) {
		e->audit_twins |= 1u << g;
		e->groups[g].default_mode = MODE_AUDIT;
	}
	*overrides |= more_overrides;
	*rest |= more;
}

static uint32_t groups_of_service(const struct effective *e, uint32_t service)
{
	uint32_t groups = 0;

	for (uint32_t g = 0; g < e->out.group_count; g++) {
		if (e->ways[g].service == service)
			groups |= 1u << g;
	}
	return groups;
}

// ---- all of them -------------------------------------------------------------------------------

// Their Allow rules and tokens count everywhere ("any Allow"), their demands in a group of its own.
static void join_overrides(struct effective *e, uint32_t overrides, uint32_t rest)
{
	struct related cluster = cluster_policies(e);

	for (uint32_t i = 0; i < cluster.count; i++) {
		const struct security_policy *p = policy_at(e, cluster.items[i]);
		uint32_t first = e->out.rule_count;

		join_spec(e, p, &p->overrides, LEVEL_CLUSTER, overrides);
		if (p->broken.len == 0)
			join_jwt(e, p, &p->overrides, rest);
		for (uint32_t k = first; k < e->out.rule_count; k++)
			e->rules[k].groups |= p->mode == MODE_AUDIT ? rest & e->audit_twins : rest;
	}
}

static void join_refs(struct effective *e, struct related refs, enum level level, uint32_t groups)
{
	uint32_t last = INDEX_NONE;

	for (uint32_t i = 0; i < refs.count; i++) {
		const struct target_ref *r = &e->c->index.refs[refs.items[i]];

		if (r->policy == INDEX_NONE || r->policy == last)
			continue;
		last = r->policy;
		join_spec(e, policy_at(e, last), &policy_at(e, last)->spec, level, groups);
	}
}

struct service_policy {
	uint32_t policy;
	uint32_t groups;
};

static int by_policy(const void *a, const void *b)
{
	const struct service_policy *x = a, *y = b;

	return x->policy < y->policy ? -1 : x->policy > y->policy;
}

// Policies of all Services in their order of age; one that targets several of them counts in each one's
// group, once.
static void join_services(struct effective *e)
{
	struct service_policy *list;
	uint32_t room = 0, n = 0, at = 0, service, policy;

	while (next_service(e, &at, &service))
		room += related_to(&e->c->index.service_targets, service).count;
	list = arena_alloc(e->c->arena, room, sizeof(*list));
	if (!list) {
		e->c->err = ERR_NOMEM;
		return;
	}
	at = 0;
	while (next_service(e, &at, &service)) {
		struct service_policies of = policies_of(e, service);

		while (next_policy(e, &of, &policy))
			list[n++] = (struct service_policy){policy, groups_of_service(e, service)};
	}
	if (n > 0)
		qsort(list, n, sizeof(*list), by_policy);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t groups = list[i].groups;

		while (i + 1 < n && list[i + 1].policy == list[i].policy)
			groups |= list[++i].groups;
		join_spec(e, policy_at(e, list[i].policy), &policy_at(e, list[i].policy)->spec,
			  LEVEL_SERVICE, groups);
	}
}

static void join_levels(struct effective *e, uint32_t all)
{
	struct related cluster = cluster_policies(e);

	for (uint32_t i = 0; i < cluster.count; i++)
		join_spec(e, policy_at(e, cluster.items[i]), &policy_at(e, cluster.items[i])->spec,
			  LEVEL_CLUSTER, all);
	join_refs(e, namespace_refs(e), LEVEL_NAMESPACE, all);
	join_services(e);
	join_refs(e, e->source->pod_targets, LEVEL_POD, all);
}

static void join_limit_policy(struct effective *e, const struct rate_limit_policy *p)
{
	for (uint32_t i = 0; i < p->limit_count; i++) {
		struct buf b;

		if (e->out.limit_count == LIMITS_MAX) {
			effective_break(e, &p->origin, p->title,
					"more limits than a port of a pod may have");
			return;
		}
		e->limits[e->out.limit_count++] = p->limits[i].id;
		e->out.needs_l7 = true;
		if (compile_has(e->c, SECTION_LIMITS, p->limits[i].id))
			continue;
		buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
		snapshot_encode_limit(&b, &p->limits[i]);
		if (b.err != ERR_OK)
			e->c->err = b.err; // bounded where it is read
		compile_put(e->c, SECTION_LIMITS, p->limits[i].id, buf_slice(&b));
		buf_deinit(&b);
	}
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

struct found_limits {
	uint32_t *list; // policies
	uint32_t count;
};

// service: whose targets these are, INDEX_NONE: not a Service's.
static void find_limits(const struct effective *e, struct related refs, uint32_t service,
			struct found_limits *out)
{
	for (uint32_t i = 0; i < refs.count; i++) {
		const struct target_ref *r = &e->c->index.refs[refs.items[i]];

		if (r->limit != INDEX_NONE && (service == INDEX_NONE || target_fits(e, r, service)))
			out->list[out->count++] = r->limit;
	}
}

// Every RateLimitPolicy on the way applies, each once, in order of age.
static void join_limits(struct effective *e)
{
	uint32_t at = 0, service, room = namespace_refs(e).count + e->source->pod_targets.count;
	struct found_limits found = {0};

	while (next_service(e, &at, &service))
		room += related_to(&e->c->index.service_targets, service).count;
	found.list = arena_alloc(e->c->arena, room, sizeof(*found.list));
	if (!found.list) {
		e->c->err = ERR_NOMEM;
		return;
	}
	find_limits(e, namespace_refs(e), INDEX_NONE, &found);
	find_limits(e, e->source->pod_targets, INDEX_NONE, &found);
	at = 0;
	while (next_service(e, &at, &service))
		find_limits(e, related_to(&e->c->index.service_targets, service), service, &found);
	if (found.count > 0)
		qsort(found.list, found.count, sizeof(*found.list), by_number);
	for (uint32_t i = 0; i < found.count; i++) {
		if (i == 0 || found.list[i] != found.list[i - 1])
			join_limit_policy(e, e->c->model->limits.items[found.list[i]]);
	}
}

static void break_for_ports(struct effective *e)
{
	const struct namespace_entry *n = &e->c->index.namespaces[e->source->namespace];
	struct origin nowhere = {.file = ""};

	effective_break(e, n->object ? &n->object->origin : &nowhere, (struct slice){0},
			"a pod here has more ports with policies than a pod may have");
}

struct slice effective_make(struct compiler *c, const struct effective_source *source)
{
	struct effective *e = c->effective;
	uint32_t overrides, rest;

	if (!e)
		e = c->effective = malloc(sizeof(*e));
	if (!e) {
		c->err = ERR_NOMEM;
		return (struct slice){0};
	}
	memset(e, 0,
	       offsetof(struct effective, ways)); // what lies behind is filled as it is counted
	e->c = c;
	e->source = source;
	e->out.rules = e->rules;
	e->out.groups = e->groups;
	e->out.provider_ids = e->providers;
	e->out.limit_ids = e->limits;
	if (source->too_many_ports)
		break_for_ports(e);
	add_groups(e, &overrides, &rest);
	join_overrides(e, overrides, rest);
	join_levels(e, rest);
	join_limits(e);
	effective_name_providers(e);
	effective_ask_tokens(e);
	return effective_put(e);
}
