// SPDX-License-Identifier: GPL-3.0-or-later
// Effective policies: what all levels say about one port of one pod, joined (design: policy.md, "What a
// policy protects" and "Order and merging").
//
// Levels, from far to near: ClusterSecurityPolicy overrides (a group of its own, so that nobody can
// weaken it), its defaults, the pod's namespace, Services that select the pod, the pod itself. Rules
// join; the nearest level that sets a default action decides it; of several Services each is a
// group, and all groups have to agree.
#include <stdio.h>
#include <stdlib.h>
#include "common/snapshot_codec.h"
#include "compile/compile.h"
#include "io/crypto.h"

// Enforcing groups, and as many twins.
#define GROUPS_MAX (SNAPSHOT_GROUPS_PER_POLICY_MAX - 1)

struct effective {
	struct compiler *c;
	const struct pod *pod;
	uint16_t port;
	struct ss_policy out;
	uint32_t audit_twins; // groups in which Audit policies count too; they refuse nothing
	struct ss_rule rules[SNAPSHOT_RULES_PER_POLICY_MAX];
	struct ss_group groups[SNAPSHOT_GROUPS_PER_POLICY_MAX];
	bool has_default[SNAPSHOT_GROUPS_PER_POLICY_MAX];
	uint8_t default_level[SNAPSHOT_GROUPS_PER_POLICY_MAX];
	struct slice providers[64];
	struct slice provider_names[64];
	struct slice limits[256];
	bool any_optional, any_required;
};

enum level { LEVEL_CLUSTER = 0, LEVEL_NAMESPACE, LEVEL_SERVICE, LEVEL_POD };

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
	compile_put(c, SECTION_PROVIDERS, p->id, buf_slice(&b));
	buf_deinit(&b);
}

// Providers join by name; the level above wins, and levels are joined from above.
static void join_jwt(struct effective *e, const struct security_policy *p,
		     const struct policy_spec *spec)
{
	if (!spec->has_jwt || p->mode == MODE_AUDIT)
		return;
	if (e->out.jwt_policy.len == 0)
		e->out.jwt_policy = p->title;
	e->any_optional |= spec->jwt_optional;
	e->any_required |= !spec->jwt_optional;
	e->out.needs_l7 = true;
	for (uint32_t i = 0; i < spec->provider_count; i++) {
		bool known = e->out.provider_count == 64;

		for (uint32_t k = 0; k < e->out.provider_count && !known; k++)
			known = slice_eq(e->provider_names[k], spec->providers[i].name);
		if (known)
			continue;
		e->provider_names[e->out.provider_count] = spec->providers[i].name;
		e->providers[e->out.provider_count++] = spec->providers[i].id;
		put_provider(e->c, &spec->providers[i]);
	}
}

static void join_default(struct effective *e, const struct security_policy *p,
			 const struct policy_spec *spec, enum level level, uint32_t groups)
{
	for (uint32_t g = 0; g < e->out.group_count; g++) {
		struct ss_group *group = &e->groups[g];
		bool twin = e->audit_twins & (1u << g);

		if (!(groups & (1u << g)) || (p->mode == MODE_AUDIT && !twin))
			continue;
		// The most specific policy's word; of one level the first's. Unset is Deny.
		if (e->has_default[g] && level <= e->default_level[g])
			continue;
		e->has_default[g] = true;
		e->default_level[g] = (uint8_t)level;
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
	join_jwt(e, p, spec);
	if (!spec->has_authorization)
		return;
	join_default(e, p, spec, level, groups);
	for (uint32_t i = 0; i < spec->rule_count; i++) {
		if (e->out.rule_count == SNAPSHOT_RULES_PER_POLICY_MAX) {
			e->out.broken = SLICE_LIT("more rules than a port of a pod may have");
			e->out.broken_policy = p->title;
			return;
		}
		struct ss_rule *r = &e->rules[e->out.rule_count++];

		*r = spec->rules[i];
		r->policy = p->title;
		r->mode = p->mode;
		r->groups = p->mode == MODE_AUDIT ? groups & e->audit_twins : groups;
		e->out.needs_l7 |= rule_reads_request(r);
	}
}

// ---- which policies ----------------------------------------------------------------------------

static bool covers_namespace(const struct compiler *c, const struct security_policy *p,
			     const struct pod *pod)
{
	const struct namespace_object *n = model_namespace(c->model, pod->namespace);

	return p->all_namespaces || (n && labels_match(&p->namespace_selector, &n->labels));
}

static bool section_fits(const struct service_object *s, const struct target *t,
			 const struct pod *pod, uint16_t port)
{
	for (uint32_t i = 0; i < s->port_count; i++) {
		if (t->section.len > 0 && !slice_eq(t->section, s->ports[i].name))
			continue;
		if (s->ports[i].tcp && service_target_port(&s->ports[i], pod) == port)
			return true;
	}
	return false;
}

static bool target_fits(const struct compiler *c, const struct target *t, struct slice namespace,
			const struct pod *pod, uint16_t port, const struct service_object *only)
{
	const struct service_object *s;

	if (!slice_eq(namespace, pod->namespace))
		return false;
	switch (t->kind) {
	case TARGET_NAMESPACE:
		return !only;
	case TARGET_POD:
		return !only && labels_match(&t->selector, &pod->labels);
	case TARGET_SERVICE:
		s = model_service(c->model, namespace, t->name);
		return s && (!only || s == only) && port != 0 &&
		       service_selects(c->model, s, pod) && section_fits(s, t, pod, port);
	case TARGET_NONE:
		break;
	}
	return false;
}

static bool policy_targets(const struct compiler *c, const struct security_policy *p,
			   enum target_kind kind, const struct pod *pod, uint16_t port,
			   const struct service_object *only)
{
	for (uint32_t i = 0; i < p->target_count; i++) {
		if (p->targets[i].kind == kind &&
		    target_fits(c, &p->targets[i], p->namespace, pod, port, only))
			return true;
	}
	return false;
}

// ---- joining -----------------------------------------------------------------------------------

static uint32_t add_group(struct effective *e, const char *kind, struct slice ns, struct slice name)
{
	uint32_t g = e->out.group_count++;
	char text[600];

	snprintf(text, sizeof(text), "%s/%.*s%s%.*s", kind, SLICE_ARG(ns), ns.len ? "/" : "",
		 SLICE_ARG(name));
	e->groups[g] = (struct ss_group){.target = arena_copy(e->c->arena, slice_str(text)),
					 .default_action = RULE_ALLOW};
	return g;
}

// Does a policy of this mode (or any, with audit) say who may call?
static bool authorizes(const struct security_policy *p, const struct policy_spec *spec, bool audit)
{
	return p->broken.len == 0 && spec->has_authorization && (audit || p->mode == MODE_ENFORCE);
}

static bool audits(const struct effective *e)
{
	const struct model *m = e->c->model;

	for (uint32_t i = 0; i < m->policies.count; i++) {
		const struct security_policy *p = m->policies.items[i];

		if (p->mode != MODE_AUDIT)
			continue;
		if (p->namespace.len == 0
			    ? covers_namespace(e->c, p, e->pod)
			    : policy_targets(e->c, p, TARGET_NAMESPACE, e->pod, e->port, NULL) ||
				      policy_targets(e->c, p, TARGET_SERVICE, e->pod, e->port,
						     NULL) ||
				      policy_targets(e->c, p, TARGET_POD, e->pod, e->port, NULL))
			return true;
	}
	return false;
}

static uint32_t add_override_group(struct effective *e, bool audit)
{
	const struct model *m = e->c->model;

	for (uint32_t i = 0; i < m->policies.count; i++) {
		const struct security_policy *p = m->policies.items[i];

		if (p->namespace.len == 0 && covers_namespace(e->c, p, e->pod) &&
		    authorizes(p, &p->overrides, audit))
			return 1u << add_group(e, "ClusterSecurityPolicy", (struct slice){0},
					       p->name);
	}
	return 0;
}

// One group for each Service whose policies cover this port, or one for the namespace.
static uint32_t add_service_groups(struct effective *e, bool audit)
{
	const struct model *m = e->c->model;
	uint32_t groups = 0;

	for (uint32_t i = 0; i < m->services.count; i++) {
		const struct service_object *s = m->services.items[i];

		for (uint32_t k = 0; k < m->policies.count; k++) {
			const struct security_policy *p = m->policies.items[k];

			if (!authorizes(p, &p->spec, audit) ||
			    !policy_targets(e->c, p, TARGET_SERVICE, e->pod, e->port, s))
				continue;
			if (e->out.group_count >= GROUPS_MAX) {
				e->out.broken = SLICE_LIT(
					"more Services with policies than a port may have");
				e->out.broken_policy = p->title;
				return groups;
			}
			groups |= 1u << add_group(e, "Service", s->namespace, s->name);
			break;
		}
	}
	if (groups == 0)
		groups = 1u << add_group(e, "Namespace", (struct slice){0}, e->pod->namespace);
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

// Their Allow rules count everywhere ("any Allow"), their default in a group of its own.
static void join_overrides(struct effective *e, uint32_t overrides, uint32_t rest)
{
	const struct model *m = e->c->model;

	for (uint32_t i = 0; i < m->policies.count; i++) {
		const struct security_policy *p = m->policies.items[i];
		uint32_t first = e->out.rule_count;

		if (p->namespace.len > 0 || !covers_namespace(e->c, p, e->pod))
			continue;
		join_spec(e, p, &p->overrides, LEVEL_CLUSTER, overrides);
		for (uint32_t k = first; k < e->out.rule_count; k++)
			e->rules[k].groups |= p->mode == MODE_AUDIT ? rest & e->audit_twins : rest;
	}
}

static uint32_t groups_of_service_policy(const struct effective *e, const struct security_policy *p)
{
	const struct model *m = e->c->model;
	uint32_t groups = 0;

	for (uint32_t i = 0; i < m->services.count; i++) {
		const struct service_object *s = m->services.items[i];
		char text[600];

		if (!policy_targets(e->c, p, TARGET_SERVICE, e->pod, e->port, s))
			continue;
		snprintf(text, sizeof(text), "Service/%.*s/%.*s", SLICE_ARG(s->namespace),
			 SLICE_ARG(s->name));
		for (uint32_t g = 0; g < e->out.group_count; g++) {
			if (slice_eq_str(e->groups[g].target, text))
				groups |= 1u << g;
		}
	}
	return groups;
}

static void join_levels(struct effective *e, uint32_t all)
{
	const struct model *m = e->c->model;

	for (uint32_t i = 0; i < m->policies.count; i++) {
		const struct security_policy *p = m->policies.items[i];

		if (p->namespace.len == 0 && covers_namespace(e->c, p, e->pod))
			join_spec(e, p, &p->spec, LEVEL_CLUSTER, all);
	}
	for (enum level level = LEVEL_NAMESPACE; level <= LEVEL_POD; level++) {
		enum target_kind kind = level == LEVEL_NAMESPACE ? TARGET_NAMESPACE
					: level == LEVEL_SERVICE ? TARGET_SERVICE
								 : TARGET_POD;

		for (uint32_t i = 0; i < m->policies.count; i++) {
			const struct security_policy *p = m->policies.items[i];

			if (p->namespace.len == 0 ||
			    !policy_targets(e->c, p, kind, e->pod, e->port, NULL))
				continue;
			join_spec(e, p, &p->spec, level,
				  level == LEVEL_SERVICE ? groups_of_service_policy(e, p) : all);
		}
	}
}

static void join_limits(struct effective *e)
{
	const struct model *m = e->c->model;

	for (uint32_t i = 0; i < m->limits.count; i++) {
		const struct rate_limit_policy *p = m->limits.items[i];
		bool fits = false;

		for (uint32_t k = 0; k < p->target_count && !fits; k++)
			fits = target_fits(e->c, &p->targets[k], p->namespace, e->pod, e->port,
					   NULL);
		for (uint32_t k = 0; fits && k < p->limit_count && e->out.limit_count < 256; k++) {
			struct buf b;

			e->limits[e->out.limit_count++] = p->limits[k].id;
			e->out.needs_l7 = true;
			if (compile_has(e->c, SECTION_LIMITS, p->limits[k].id))
				continue;
			buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
			snapshot_encode_limit(&b, &p->limits[k]);
			compile_put(e->c, SECTION_LIMITS, p->limits[k].id, buf_slice(&b));
			buf_deinit(&b);
		}
	}
}

// Rules name a provider of the effective policy; one that is not there could never match.
static void check_providers(struct effective *e)
{
	for (uint32_t i = 0; i < e->out.rule_count && e->out.broken.len == 0; i++) {
		const struct ss_rule *r = &e->rules[i];
		bool known = r->jwt_provider.len == 0;

		for (uint32_t k = 0; k < e->out.provider_count && !known; k++)
			known = slice_eq(e->provider_names[k], r->jwt_provider);
		if (known)
			continue;
		e->out.broken =
			SLICE_LIT("a rule names a JWT provider that the policy does not have");
		e->out.broken_policy = r->policy;
	}
}

// The id is what the policy says: pods with equal policies share one record.
static struct slice put_policy(struct effective *e)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[32];
	char id[33] = "";
	struct buf b;

	buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
	snapshot_encode_policy(&b, &e->out);
	crypto_sha256(buf_slice(&b), digest);
	for (int i = 0; i < 32; i++)
		id[i] = digits[i % 2 ? digest[i / 2] & 15 : digest[i / 2] >> 4];
	e->out.id = slice_make(id, 32);
	if (!compile_has(e->c, SECTION_POLICIES, e->out.id)) {
		buf_reset(&b);
		snapshot_encode_policy(&b, &e->out);
		compile_put(e->c, SECTION_POLICIES, e->out.id, buf_slice(&b));
	}
	if (b.err != ERR_OK)
		e->c->err = b.err;
	buf_deinit(&b);
	return arena_copy(e->c->arena, slice_make(id, 32));
}

// Empty: nothing covers this port.
static struct slice compile_effective(struct compiler *c, const struct pod *p, uint16_t port)
{
	struct effective *e = calloc(1, sizeof(*e));
	struct slice id = {0};

	if (!e) {
		c->err = ERR_NOMEM;
		return id;
	}
	e->c = c;
	e->pod = p;
	e->port = port;
	e->out.rules = e->rules;
	e->out.groups = e->groups;
	e->out.provider_ids = e->providers;
	e->out.limit_ids = e->limits;
	uint32_t overrides, rest;

	add_groups(e, &overrides, &rest);
	join_overrides(e, overrides, rest);
	join_levels(e, rest);
	join_limits(e);
	check_providers(e);
	e->out.jwt_optional = e->any_optional && !e->any_required;
	bool any = e->out.broken.len > 0 || e->out.provider_count > 0 || e->out.limit_count > 0;

	for (uint32_t g = 0; g < e->out.group_count; g++)
		any |= e->has_default[g];
	if (any)
		id = put_policy(e);
	free(e);
	return id;
}

// Ports that a Service's policies or limits single out; every other port goes by port 0.
static uint32_t pod_ports(const struct compiler *c, const struct pod *p,
			  uint16_t out[SNAPSHOT_PORTS_PER_OBJECT_MAX])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->model->services.count; i++) {
		const struct service_object *s = c->model->services.items[i];

		if (!service_selects(c->model, s, p))
			continue;
		for (uint32_t k = 0; k < s->port_count; k++) {
			uint16_t port = service_target_port(&s->ports[k], p);
			bool known = port == 0 || !s->ports[k].tcp ||
				     n == SNAPSHOT_PORTS_PER_OBJECT_MAX - 1;

			for (uint32_t j = 0; j < n && !known; j++)
				known = out[j] == port;
			if (!known)
				out[n++] = port;
		}
	}
	return n;
}

uint32_t compile_pod_policies(struct compiler *c, const struct pod *p,
			      struct ss_port_policy out[SNAPSHOT_PORTS_PER_OBJECT_MAX])
{
	uint16_t ports[SNAPSHOT_PORTS_PER_OBJECT_MAX];
	uint32_t count = pod_ports(c, p, ports), n = 0;
	struct slice rest = compile_effective(c, p, 0);

	for (uint32_t i = 0; i < count; i++) {
		struct slice id = compile_effective(c, p, ports[i]);

		if (id.len > 0 && !slice_eq(id, rest))
			out[n++] = (struct ss_port_policy){ports[i], id};
	}
	if (rest.len > 0)
		out[n++] = (struct ss_port_policy){0, rest};
	return n;
}

// ---- findings ----------------------------------------------------------------------------------

// False: the target names a port that its Service does not have.
static bool check_target(struct compiler *c, const struct origin *at, struct slice ns,
			 const struct target *t)
{
	const struct service_object *s =
		t->kind == TARGET_SERVICE ? model_service(c->model, ns, t->name) : NULL;
	bool section = !s || t->section.len == 0;

	if (t->kind == TARGET_SERVICE && !s)
		diagnostics_add(c->diagnostics, SEVERITY_WARNING, at->file, at->line, 1,
				"spec.targetRefs", "there is no Service %.*s in namespace %.*s",
				SLICE_ARG(t->name), SLICE_ARG(ns));
	for (uint32_t i = 0; s && i < s->port_count && !section; i++)
		section = slice_eq(s->ports[i].name, t->section);
	if (!section)
		diagnostics_add(c->diagnostics, SEVERITY_ERROR, at->file, at->line, 1,
				"spec.targetRefs", "Service %.*s has no port named %.*s",
				SLICE_ARG(t->name), SLICE_ARG(t->section));
	return section;
}

void compile_check_targets(struct compiler *c)
{
	const struct model *m = c->model;

	for (uint32_t i = 0; i < m->policies.count; i++) {
		struct security_policy *p = m->policies.items[i];

		for (uint32_t k = 0; k < p->target_count; k++) {
			if (check_target(c, &p->origin, p->namespace, &p->targets[k]))
				continue;
			p->targets[k].section = (struct slice){0}; // the whole Service refuses
			p->broken = SLICE_LIT("it names a port that its Service does not have");
		}
	}
	for (uint32_t i = 0; i < m->limits.count; i++) {
		const struct rate_limit_policy *p = m->limits.items[i];

		for (uint32_t k = 0; k < p->target_count; k++)
			(void)check_target(c, &p->origin, p->namespace, &p->targets[k]);
	}
}
