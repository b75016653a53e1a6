// SPDX-License-Identifier: GPL-3.0-or-later
// What only the whole shows: targets that name nothing or select nobody, rules that name a trust domain or a
// provider that there is not.
#include "compile/compile.h"
#include "core/identity.h"
#include "files/view.h"

struct view compile_place(struct compiler *c, const struct origin *at, const struct tree *tree,
			  bool *failed)
{
	struct view v = view_root(at->tree, at->file, c->arena, c->diagnostics, failed);

	v.tree = tree ? tree : at->tree;
	v.parent = v.tree->parent ? v.tree->parent : v.tree;
	return v;
}

struct targeting {
	const struct origin *at;
	struct slice namespace;
	const struct target_ref *ref;
	bool selects; // some pod
};

// False: the target names a port that its Service does not have.
static bool check_section(const struct targeting *t, const struct view *v,
			  const struct service_object *s)
{
	struct view section = view_get(v, "sectionName");
	bool found = t->ref->target->section.len == 0, tcp = found, gone = false;

	for (uint32_t i = 0; i < s->port_count && !tcp; i++) {
		if (!slice_eq(s->ports[i].name, t->ref->target->section))
			continue;
		found = true;
		tcp = s->ports[i].tcp;
		gone = s->ports[i].gone;
	}
	if (gone && !s->gone)
		view_warn(&section,
			  "Service %.*s has no port %.*s any more: what it led to last is covered",
			  SLICE_ARG(s->name), SLICE_ARG(t->ref->target->section));
	if (!found)
		view_error(&section, "Service %.*s has no port named %.*s", SLICE_ARG(s->name),
			   SLICE_ARG(t->ref->target->section));
	else if (!tcp)
		view_warn(&section,
			  "port %.*s of Service %.*s is not TCP: nothing is enforced there",
			  SLICE_ARG(t->ref->target->section), SLICE_ARG(s->name));
	return found;
}

static bool check_target(struct compiler *c, const struct targeting *t)
{
	const struct target *to = t->ref->target;
	const struct service_object *s =
		to->kind == TARGET_SERVICE ? model_service(c->model, t->namespace, to->name) : NULL;
	bool failed = false, good = true;
	struct view v = compile_place(c, t->at, to->tree, &failed);
	struct view name = view_get(&v, to->kind == TARGET_POD ? "selector" : "name");

	if (!to->tree) // made up, where targetRefs could not be read
		return true;
	if (to->kind == TARGET_SERVICE && !s)
		view_warn(&name, "there is no Service %.*s in namespace %.*s", SLICE_ARG(to->name),
			  SLICE_ARG(t->namespace));
	else if (s && s->gone)
		view_warn(&name, "Service %.*s is gone: what it selected last is covered",
			  SLICE_ARG(to->name));
	else if (!t->selects && c->model->pods.count > 0)
		view_warn(&name, "no pod is selected by it");
	if (s)
		good = check_section(t, &v, s);
	return good;
}

static void select_all(struct related classes, bool *selects)
{
	for (uint32_t i = 0; i < classes.count; i++)
		selects[classes.items[i]] = true;
}

// By class of targets: does it select a pod?
static bool *find_selecting(struct compiler *c)
{
	const struct compile_index *x = &c->index;
	bool *selects = arena_alloc(c->arena, x->class_count, sizeof(*selects));
	bool *serves = arena_alloc(c->arena, c->model->services.count, sizeof(*serves));

	if (!selects || !serves) {
		c->err = ERR_NOMEM;
		return NULL;
	}
	for (uint32_t pod = 0; pod < c->model->pods.count; pod++) {
		struct related services = related_to(&x->pod_services, pod);

		for (uint32_t i = 0; i < services.count; i++)
			serves[services.items[i]] = true;
		select_all(related_to(&x->pod_classes, pod), selects);
	}
	for (uint32_t n = 0; n < x->namespace_count; n++)
		select_all(related_to(&x->namespace_classes, n), selects);
	for (uint32_t s = 0; s < c->model->services.count; s++) {
		if (serves[s])
			select_all(related_to(&x->service_classes, s), selects);
	}
	return selects;
}

void compile_check_targets(struct compiler *c)
{
	const bool *selects = find_selecting(c);

	for (uint32_t i = 0; selects && i < c->index.ref_count; i++) {
		const struct target_ref *r = &c->index.refs[i];
		struct targeting t = {.ref = r,
				      .selects = r->class != INDEX_NONE && selects[r->class]};

		if (r->policy != INDEX_NONE) {
			struct security_policy *p = c->model->policies.items[r->policy];

			t.at = &p->origin;
			t.namespace = p->namespace;
			if (check_target(c, &t))
				continue;
			if (p->broken.len == 0)
				p->broken =
					SLICE_LIT("it names a port that its Service does not have");
		} else {
			const struct rate_limit_policy *l = c->model->limits.items[r->limit];

			t.at = &l->origin;
			t.namespace = l->namespace;
			(void)check_target(c, &t);
		}
	}
}

// ---- rules -------------------------------------------------------------------------------------

static const struct tree *tree_at(const struct tree *list, uint32_t index)
{
	const struct tree *t = list ? list->first : NULL;

	for (; t && index > 0; index--)
		t = t->next;
	return t;
}

const struct tree *compile_rule_tree(const struct policy_spec *spec, uint32_t rule)
{
	return tree_at(tree_get(tree_get(spec->tree, "authorization"), "rules"), rule);
}

// Another trust domain's workloads are nobody here: there is no federation.
static void check_source(struct compiler *c, const struct security_policy *p,
			 const struct policy_spec *spec, uint32_t rule, uint32_t source)
{
	struct identity_pattern m = identity_pattern_of(&spec->rules[rule].sources[source]);
	const struct tree *t;
	bool failed = false;

	if (m.kind == PATTERN_NEVER || m.trust_domain.len == 0 ||
	    slice_eq(m.trust_domain, c->model->meta.trust_domain))
		return;
	t = tree_get(tree_get(compile_rule_tree(spec, rule), "principal"), "sources");
	struct view v =
		compile_place(c, &p->origin, tree_get(tree_at(t, source), "spiffe"), &failed);

	view_warn(&v, "matches nobody: the trust domain here is %.*s",
		  SLICE_ARG(c->model->meta.trust_domain));
}

// Names of providers, by namespace; a ClusterSecurityPolicy's, with none, count everywhere.
struct provider_names {
	struct lookup by_hash;
};

static uint64_t provider_hash(struct slice ns, struct slice name)
{
	return lookup_hash_pair(ns, name);
}

static void note_providers(struct compiler *c, struct provider_names *names, struct slice ns,
			   const struct policy_spec *spec)
{
	for (uint32_t i = 0; i < spec->provider_count && c->err == ERR_OK; i++)
		c->err = lookup_put(&names->by_hash, provider_hash(ns, spec->providers[i].name), 0);
}

static bool is_provider(const struct provider_names *names, struct slice ns, struct slice name)
{
	static const struct slice cluster;
	uint32_t at = UINT32_MAX, i;

	if (lookup_next(&names->by_hash, provider_hash(ns, name), &at, &i))
		return true;
	at = UINT32_MAX;
	return lookup_next(&names->by_hash, provider_hash(cluster, name), &at, &i);
}

static void check_provider(struct compiler *c, const struct provider_names *names,
			   struct security_policy *p, const struct policy_spec *spec, uint32_t rule)
{
	struct slice name = spec->rules[rule].jwt_provider;
	const struct tree *t;
	bool failed = false;

	// Cluster-wide rules may mean each namespace's own: what is missing there is said there.
	if (name.len == 0 || p->namespace.len == 0 || is_provider(names, p->namespace, name))
		return;
	t = tree_get(tree_get(compile_rule_tree(spec, rule), "principal"), "jwt");
	struct view v = compile_place(c, &p->origin, tree_get(t, "provider"), &failed);

	view_error(&v, "no policy of namespace %.*s has a JWT provider %.*s",
		   SLICE_ARG(p->namespace), SLICE_ARG(name));
	p->broken = SLICE_LIT("a rule names a JWT provider that no policy here has");
}

static void check_spec(struct compiler *c, const struct provider_names *names,
		       struct security_policy *p, const struct policy_spec *spec)
{
	for (uint32_t i = 0; i < spec->rule_count; i++) {
		for (uint32_t k = 0; k < spec->rules[i].source_count; k++) {
			if (spec->rules[i].sources[k].type == SOURCE_SPIFFE)
				check_source(c, p, spec, i, k);
		}
		check_provider(c, names, p, spec, i);
	}
}

void compile_check_rules(struct compiler *c)
{
	struct provider_names names = {0};

	for (uint32_t i = 0; i < c->model->policies.count; i++) {
		const struct security_policy *p = c->model->policies.items[i];

		note_providers(c, &names, p->namespace, &p->overrides);
		note_providers(c, &names, p->namespace, &p->spec);
	}
	for (uint32_t i = 0; i < c->model->policies.count; i++) {
		struct security_policy *p = c->model->policies.items[i];

		if (p->broken.len > 0)
			continue;
		check_spec(c, &names, p, &p->overrides);
		check_spec(c, &names, p, &p->spec);
	}
	lookup_deinit(&names.by_hash);
}
