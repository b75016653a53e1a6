// SPDX-License-Identifier: GPL-3.0-or-later
// Joining the levels; see effective.h.
#include <stdio.h>
#include <stdlib.h>
#include "common/snapshot_codec.h"
#include "compile/effective.h"

static const struct security_policy *policy_at(const struct effective *e, uint32_t i)
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

void effective_break_at(struct effective *e, uint32_t policy, const char *why)
{
	effective_break(e, &policy_at(e, policy)->origin, policy_at(e, policy)->title, why);
}

// ---- parts -------------------------------------------------------------------------------------

static void add_part(struct effective *e, enum level level, uint32_t class, uint32_t service,
		     bool overrides)
{
	const struct statement *says = statement_of(e->c, class, overrides);

	if (!says || related_to(&e->c->index.class_policies, class).count == 0)
		return;
	if (e->part_count == PARTS_MAX) {
		effective_break_at(e, related_to(&e->c->index.class_policies, class).items[0],
				   "more targets with policies than a port of a pod may have");
		return;
	}
	e->parts[e->part_count++] = (struct effective_part){
		.says = says,
		.class = class,
		.level = level,
		.overrides = overrides,
		.service = service,
	};
}

static void add_parts(struct effective *e, enum level level, struct related classes, bool overrides)
{
	for (uint32_t i = 0; i < classes.count; i++)
		add_part(e, level, classes.items[i], INDEX_NONE, overrides);
}

// Does a class of a Service mean one of the ports that lead here?
static bool class_fits(const struct effective *e, uint32_t class, uint32_t service)
{
	const struct service_object *s = e->c->model->services.items[service];
	struct slice section = e->c->index.classes[class].section;
	bool any = section.len == 0;

	for (uint32_t i = 0; i < e->source->service_count && !any; i++)
		any = e->source->services[i].service == service &&
		      slice_eq(s->ports[e->source->services[i].port].name, section);
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

static int by_level_and_age(const void *a, const void *b)
{
	const struct effective_part *x = a, *y = b;

	if (x->overrides != y->overrides)
		return x->overrides ? -1 : 1;
	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	if (x->says->first != y->says->first)
		return x->says->first < y->says->first ? -1 : 1;
	return x->class < y->class ? -1 : x->class > y->class;
}

static void gather_parts(struct effective *e)
{
	const struct compile_index *x = &e->c->index;
	uint32_t ns = e->source->namespace, at = 0, service;

	add_parts(e, LEVEL_CLUSTER, related_to(&x->cluster_classes, ns), true);
	add_parts(e, LEVEL_CLUSTER, related_to(&x->cluster_classes, ns), false);
	add_parts(e, LEVEL_NAMESPACE, related_to(&x->namespace_classes, ns), false);
	while (next_service(e, &at, &service)) {
		struct related classes = related_to(&x->service_classes, service);

		for (uint32_t i = 0; i < classes.count; i++) {
			if (class_fits(e, classes.items[i], service))
				add_part(e, LEVEL_SERVICE, classes.items[i], service, false);
		}
	}
	add_parts(e, LEVEL_POD, e->source->pod_classes, false);
	if (e->part_count > 0)
		qsort(e->parts, e->part_count, sizeof(e->parts[0]), by_level_and_age);
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

// The oldest policy of those parts (of a Service, or the overrides) that says who may call; INDEX_NONE: none.
static uint32_t speaker(const struct effective *e, uint32_t service, bool overrides, bool audit)
{
	uint32_t oldest = INDEX_NONE;

	for (uint32_t i = 0; i < e->part_count; i++) {
		const struct effective_part *p = &e->parts[i];

		if (p->overrides == overrides && (overrides || p->service == service) &&
		    p->says->speaks[audit] < oldest)
			oldest = p->says->speaks[audit];
	}
	return oldest;
}

static uint32_t add_override_group(struct effective *e, bool audit)
{
	uint32_t p = speaker(e, INDEX_NONE, true, audit);

	return p == INDEX_NONE ? 0
			       : add_group(e, "ClusterSecurityPolicy", (struct slice){0},
					   policy_at(e, p)->name, INDEX_NONE);
}

// One group for each Service whose policies cover this port, or one for the namespace.
static uint32_t add_service_groups(struct effective *e, bool audit)
{
	uint32_t groups = 0, at = 0, service;

	while (next_service(e, &at, &service)) {
		const struct service_object *s = e->c->model->services.items[service];
		uint32_t p = speaker(e, service, false, audit);

		if (p == INDEX_NONE)
			continue;
		if (e->out.group_count >= GROUPS_MAX) {
			effective_break_at(e, p,
					   "more Services with policies than a port may have");
			return groups;
		}
		groups |= add_group(e, "Service", s->namespace, s->name, service);
	}
	if (groups == 0)
		groups = add_group(e, "Namespace", (struct slice){0},
				   e->c->index.namespaces[e->source->namespace].name, INDEX_NONE);
	return groups;
}

static bool audits(const struct effective *e)
{
	for (uint32_t i = 0; i < e->part_count; i++) {
		if (e->parts[i].says->audits)
			return true;
	}
	return false;
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

// Enforcing groups are made of enforcing policies alone, so that one on trial changes nothing; beside
// them, where something is on trial, stand groups of all policies, which refuse nothing.
static void add_groups(struct effective *e)
{
	uint32_t overrides = add_override_group(e, false), rest = add_service_groups(e, false);
	uint32_t before = e->out.group_count;

	if (audits(e)) {
		overrides |= add_override_group(e, true);
		rest |= add_service_groups(e, true);
	}
	for (uint32_t g = before; g < e->out.group_count; g++) {
		e->audit_twins |= 1u << g;
		e->groups[g].default_mode = MODE_AUDIT;
	}
	e->all_groups = overrides | rest;
	for (uint32_t i = 0; i < e->part_count; i++) {
		struct effective_part *p = &e->parts[i];

		if (p->overrides)
			p->groups = overrides;
		else
			p->groups =
				p->level == LEVEL_SERVICE ? groups_of_service(e, p->service) : rest;
	}
}

// ---- tokens ------------------------------------------------------------------------------------

static void put_provider(struct compiler *c, const struct ss_provider *p)
{
	struct reason why;
	struct buf b;

	if (compile_has(c, SECTION_PROVIDERS, p->id))
		return;
	buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
	snapshot_encode_provider(&b, p);
	if (!compile_put(c, SECTION_PROVIDERS, p->id, &b, &why))
		c->err = ERR_INTERNAL; // its policy is broken by then: compile_check_records
	buf_deinit(&b);
}

// Its bit among the policy's providers; 0: there are too many.
static uint32_t provider_bit(struct effective *e, const struct stated_provider *p)
{
	const struct ss_provider *provider = p->provider;
	uint32_t i = 0;

	while (i < e->out.provider_count && !slice_eq(e->providers[i], provider->id))
		i++;
	if (i == PROVIDERS_MAX) {
		if (!p->audit)
			effective_break_at(e, p->policy,
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

static void join_provider(struct effective *e, const struct stated_provider *p, uint32_t groups)
{
	if (p->audit)
		groups &= e->audit_twins;
	for (uint32_t g = 0; g < e->out.group_count; g++) {
		struct effective_group *way = &e->ways[g];

		if ((groups & (1u << g)) && !has_name(e, way->providers, p->provider->name))
			way->providers |= provider_bit(e, p);
	}
}

// The next oldest provider of the parts from first on, behind the places in next; NULL: there are no more.
static const struct stated_provider *next_provider(const struct effective *e, uint32_t first,
						   uint32_t end, uint32_t *next, uint32_t *part)
{
	const struct stated_provider *oldest = NULL;

	for (uint32_t i = first; i < end; i++) {
		const struct statement *says = e->parts[i].says;
		uint32_t at = next[i - first];

		if (at < says->provider_count &&
		    (!oldest || says->providers[at].policy < oldest->policy)) {
			oldest = &says->providers[at];
			*part = i;
		}
	}
	return oldest;
}

static void join_demands(struct effective *e, const struct effective_part *p)
{
	uint32_t groups = effective_part_groups(e, p);

	for (uint32_t g = 0; g < e->out.group_count; g++) {
		struct effective_group *way = &e->ways[g];
		bool twin = e->audit_twins & (1u << g);

		if (!(groups & (1u << g)))
			continue;
		way->any_optional |= p->says->token_optional[twin];
		way->any_required |= p->says->token_required[twin];
	}
	e->audits_token |= p->says->audits_token;
}

// Who asks a group for a token: of the parts of one level the oldest policy.
static void join_asker(struct effective *e, uint32_t first, uint32_t end)
{
	for (uint32_t g = 0; g < e->out.group_count; g++) {
		bool twin = e->audit_twins & (1u << g);
		uint32_t oldest = INDEX_NONE;

		for (uint32_t i = first; i < end; i++) {
			if ((effective_part_groups(e, &e->parts[i]) & (1u << g)) &&
			    e->parts[i].says->asks[twin] < oldest)
				oldest = e->parts[i].says->asks[twin];
		}
		if (oldest != INDEX_NONE && e->ways[g].jwt_policy.len == 0)
			e->ways[g].jwt_policy = policy_at(e, oldest)->title;
	}
}

// Providers join by name; the level above wins, and levels are joined from above.
static void join_tokens(struct effective *e, uint32_t first, uint32_t end)
{
	uint32_t *next = arena_alloc(e->c->arena, end - first, sizeof(*next)), part = first;
	const struct stated_provider *p;

	if (!next) {
		e->c->err = ERR_NOMEM;
		return;
	}
	while ((p = next_provider(e, first, end, next, &part))) {
		next[part - first]++;
		join_provider(e, p, effective_part_groups(e, &e->parts[part]));
	}
	for (uint32_t i = first; i < end; i++)
		join_demands(e, &e->parts[i]);
	join_asker(e, first, end);
}

// ---- levels ------------------------------------------------------------------------------------

// The most specific policy's word; of one level the oldest's. Unset is Deny.
static void set_default(struct effective *e, uint32_t g, uint32_t policy, bool overrides,
			enum level level)
{
	const struct policy_spec *spec = statement_spec(policy_at(e, policy), overrides);
	struct ss_group *group = &e->groups[g];
	struct effective_group *way = &e->ways[g];

	if (way->has_default && level <= way->default_level)
		return;
	way->has_default = true;
	way->default_level = (uint8_t)level;
	group->default_action = spec->has_default ? spec->default_action : RULE_DENY;
	group->default_policy = policy_at(e, policy)->title;
	group->default_mode = e->audit_twins & (1u << g) ? MODE_AUDIT : MODE_ENFORCE;
}

static void join_defaults(struct effective *e, uint32_t first, uint32_t end)
{
	for (uint32_t g = 0; g < e->out.group_count; g++) {
		bool twin = e->audit_twins & (1u << g);
		uint32_t oldest = INDEX_NONE;

		for (uint32_t i = first; i < end; i++) {
			if ((e->parts[i].groups & (1u << g)) &&
			    e->parts[i].says->decides[twin] < oldest)
				oldest = e->parts[i].says->decides[twin];
		}
		if (oldest != INDEX_NONE)
			set_default(e, g, oldest, e->parts[first].overrides, e->parts[first].level);
	}
}

static void join_broken(struct effective *e, uint32_t first, uint32_t end)
{
	uint32_t oldest = INDEX_NONE;

	for (uint32_t i = first; i < end; i++) {
		if (e->parts[i].says->broken < oldest)
			oldest = e->parts[i].says->broken;
	}
	if (oldest == INDEX_NONE || e->out.broken.len > 0)
		return;
	e->out.broken = policy_at(e, oldest)->broken;
	e->out.broken_policy = policy_at(e, oldest)->title;
}

static void join_levels(struct effective *e)
{
	for (uint32_t first = 0, end; first < e->part_count; first = end) {
		end = first;
		while (end < e->part_count && e->parts[end].level == e->parts[first].level &&
		       e->parts[end].overrides == e->parts[first].overrides) {
			e->out.needs_l7 |= e->parts[end].says->needs_l7;
			e->out.audits_l7 |= e->parts[end++].says->audits_l7;
		}
		join_broken(e, first, end);
		join_tokens(e, first, end);
		join_defaults(e, first, end);
	}
}

// ---- limits ------------------------------------------------------------------------------------

static void join_limit_policy(struct effective *e, const struct rate_limit_policy *p)
{
	for (uint32_t i = 0; i < p->limit_count; i++) {
		struct reason why;
		struct buf b;

		if (e->out.limit_count == LIMITS_MAX) {
			effective_break(e, &p->origin, p->title,
					"more limits than a port of a pod may have");
			return;
		}
		e->limits[e->out.limit_count++] = p->limits[i].id;
		if (p->limits[i].shadow)
			e->out.audits_l7 = true;
		else
			e->out.needs_l7 = true;
		if (compile_has(e->c, SECTION_LIMITS, p->limits[i].id))
			continue;
		buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
		snapshot_encode_limit(&b, &p->limits[i]);
		if (!compile_put(e->c, SECTION_LIMITS, p->limits[i].id, &b, &why))
			e->c->err = ERR_INTERNAL; // refused before: compile_check_records
		buf_deinit(&b);
	}
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

struct found_limits {
	uint32_t *list; // policies; NULL: they are only counted
	uint32_t count;
};

static void find_limits(const struct effective *e, uint32_t class, struct found_limits *out)
{
	struct related limits = related_to(&e->c->index.class_limits, class);

	for (uint32_t i = 0; out->list && i < limits.count; i++)
		out->list[out->count + i] = limits.items[i];
	out->count += limits.count;
}

static void find_all_limits(const struct effective *e, struct found_limits *out)
{
	const struct compile_index *x = &e->c->index;
	struct related classes = related_to(&x->namespace_classes, e->source->namespace);
	uint32_t at = 0, service;

	out->count = 0;
	for (uint32_t i = 0; i < classes.count; i++)
		find_limits(e, classes.items[i], out);
	for (uint32_t i = 0; i < e->source->pod_classes.count; i++)
		find_limits(e, e->source->pod_classes.items[i], out);
	while (next_service(e, &at, &service)) {
		classes = related_to(&x->service_classes, service);
		for (uint32_t i = 0; i < classes.count; i++) {
			if (class_fits(e, classes.items[i], service))
				find_limits(e, classes.items[i], out);
		}
	}
}

// Every RateLimitPolicy on the way applies, each once, in order of age.
static void join_limits(struct effective *e)
{
	struct found_limits found = {0};

	find_all_limits(e, &found);
	if (found.count == 0)
		return;
	found.list = arena_alloc(e->c->arena, found.count, sizeof(*found.list));
	if (!found.list) {
		e->c->err = ERR_NOMEM;
		return;
	}
	find_all_limits(e, &found);
	qsort(found.list, found.count, sizeof(*found.list), by_number);
	for (uint32_t i = 0; i < found.count; i++) {
		if ((i == 0 || found.list[i] != found.list[i - 1]) &&
		    !e->c->limit_refused[found.list[i]])
			join_limit_policy(e, e->c->model->limits.items[found.list[i]]);
	}
}

// ---- all of them -------------------------------------------------------------------------------

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
	e->out.sets = e->sets;
	e->out.groups = e->groups;
	e->out.provider_ids = e->providers;
	e->out.limit_ids = e->limits;
	if (source->too_many_ports)
		break_for_ports(e);
	gather_parts(e);
	add_groups(e);
	join_levels(e);
	join_limits(e);
	effective_refer(e);
	effective_ask_tokens(e);
	return effective_put(e);
}
