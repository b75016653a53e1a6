// SPDX-License-Identifier: GPL-3.0-or-later
// Classes found by hash of what they select; see target_class.h.
#include "compile/target_class.h"

#include "common/hash.h"
#include "compile/relation.h"

struct classifier {
	struct compile_index *x;
	const struct model *m;
	struct arena *arena;
	const struct hash_index *services;
	struct hash_index namespaces, classes;
	struct pairs policies, limits; // by class
	uint32_t room;
	enum err err;
};

static struct security_policy *policy_at(const struct classifier *w, uint32_t i)
{
	return w->m->policies.items[i];
}

// ---- refs --------------------------------------------------------------------------------------

static void add_refs(struct compile_index *x, uint32_t policy, uint32_t limit,
		     const struct target *targets, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		x->refs[x->ref_count++] =
			(struct target_ref){policy, limit, INDEX_NONE, &targets[i]};
}

static void make_refs(struct classifier *w)
{
	const struct model *m = w->m;
	uint32_t count = 0;

	for (uint32_t i = 0; i < m->policies.count; i++)
		count += policy_at(w, i)->target_count;
	for (uint32_t i = 0; i < m->limits.count; i++)
		count += ((const struct rate_limit_policy *)m->limits.items[i])->target_count;
	w->room = count + m->policies.count; // one for each selector of namespaces
	w->x->refs = arena_alloc(w->arena, count, sizeof(*w->x->refs));
	w->x->classes = arena_alloc(w->arena, w->room, sizeof(*w->x->classes));
	if (!w->x->refs || !w->x->classes || !hash_index_init(&w->classes, w->arena, w->room)) {
		w->err = ERR_NOMEM;
		return;
	}
	for (uint32_t i = 0; i < m->policies.count; i++)
		add_refs(w->x, i, INDEX_NONE, policy_at(w, i)->targets,
			 policy_at(w, i)->target_count);
	for (uint32_t i = 0; i < m->limits.count; i++) {
		const struct rate_limit_policy *p = m->limits.items[i];

		add_refs(w->x, INDEX_NONE, i, p->targets, p->target_count);
	}
}

static struct slice namespace_of(const struct classifier *w, const struct target_ref *r)
{
	if (r->policy != INDEX_NONE)
		return policy_at(w, r->policy)->namespace;
	return ((const struct rate_limit_policy *)w->m->limits.items[r->limit])->namespace;
}

static uint32_t find_service(const struct classifier *w, struct slice ns, struct slice name)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(w->services, lookup_hash_pair(ns, name), &at, &i)) {
		const struct service_object *s = w->m->services.items[i];

		if (slice_eq(s->name, name) && slice_eq(s->namespace, ns))
			return i;
	}
	return INDEX_NONE;
}

static uint32_t find_namespace(const struct classifier *w, struct slice name)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&w->namespaces, hash_bytes(name, 0), &at, &i)) {
		if (slice_eq(w->x->namespaces[i].name, name))
			return i;
	}
	return INDEX_NONE;
}

static void index_namespace_names(struct classifier *w)
{
	const struct compile_index *x = w->x;

	if (!hash_index_init(&w->namespaces, w->arena, x->namespace_count)) {
		w->err = ERR_NOMEM;
		return;
	}
	for (uint32_t i = 0; i < x->namespace_count; i++)
		hash_index_insert(&w->namespaces, hash_bytes(x->namespaces[i].name, 0), i);
}

bool service_has_port(const struct service_object *s, struct slice name)
{
	for (uint32_t i = 0; i < s->port_count; i++) {
		if (slice_eq(s->ports[i].name, name))
			return true;
	}
	return false;
}

// A policy that names a port which is not there is broken, and whole Services refuse: before classes are
// told apart by ports.
static void mark_missing_ports(struct classifier *w)
{
	for (uint32_t i = 0; i < w->x->ref_count; i++) {
		const struct target_ref *r = &w->x->refs[i];
		uint32_t service;

		if (r->policy == INDEX_NONE || r->target->kind != TARGET_SERVICE ||
		    r->target->section.len == 0)
			continue;
		service = find_service(w, namespace_of(w, r), r->target->name);
		if (service != INDEX_NONE &&
		    !service_has_port(w->m->services.items[service], r->target->section))
			policy_at(w, r->policy)->any_section = true;
	}
}

// ---- classes -----------------------------------------------------------------------------------

static uint64_t class_hash(const struct target_class *k)
{
	uint64_t h = hash_bytes(k->section, hash_bytes(k->namespace, k->kind)) + k->to;

	for (uint32_t i = 0; k->selector && i < k->selector->count; i++)
		h = hash_u64(k->selector->list[i].hash, h);
	return h;
}

static bool selectors_equal(const struct labels *a, const struct labels *b)
{
	uint32_t count = a ? a->count : 0;

	if (!a != !b || (b && b->count != count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (!slice_eq(a->list[i].key, b->list[i].key) ||
		    !slice_eq(a->list[i].value, b->list[i].value))
			return false;
	}
	return true;
}

static uint32_t class_number(struct classifier *w, const struct target_class *k)
{
	uint64_t hash = class_hash(k);
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&w->classes, hash, &at, &i)) {
		const struct target_class *c = &w->x->classes[i];

		if (c->kind == k->kind && c->to == k->to && slice_eq(c->section, k->section) &&
		    slice_eq(c->namespace, k->namespace) &&
		    selectors_equal(c->selector, k->selector))
			return i;
	}
	i = w->x->class_count++;
	w->x->classes[i] = *k;
	hash_index_insert(&w->classes, hash, i);
	return i;
}

// False: nothing of that name is there.
static bool class_of(const struct classifier *w, const struct target_ref *r,
		     struct target_class *out)
{
	struct slice ns = namespace_of(w, r);

	*out = (struct target_class){.to = INDEX_NONE};
	switch (r->target->kind) {
	case TARGET_SERVICE:
		out->kind = CLASS_SERVICE;
		out->to = find_service(w, ns, r->target->name);
		if (r->policy == INDEX_NONE || !policy_at(w, r->policy)->any_section)
			out->section = r->target->section;
		return out->to != INDEX_NONE;
	case TARGET_NAMESPACE:
		out->kind = CLASS_NAMESPACE;
		out->to = find_namespace(w, ns);
		return out->to != INDEX_NONE;
	case TARGET_POD:
		out->kind = CLASS_PODS;
		out->namespace = ns;
		out->selector = &r->target->selector;
		return true;
	case TARGET_NONE:
		break;
	}
	return false;
}

static void make_classes(struct classifier *w)
{
	struct target_class k;

	for (uint32_t i = 0; i < w->x->ref_count; i++) {
		struct target_ref *r = &w->x->refs[i];

		if (!class_of(w, r, &k))
			continue;
		r->class = class_number(w, &k);
		if (r->policy != INDEX_NONE)
			pairs_add(&w->policies, r->class, r->policy);
		else
			pairs_add(&w->limits, r->class, r->limit);
	}
	for (uint32_t i = 0; i < w->m->policies.count; i++) {
		const struct security_policy *p = policy_at(w, i);

		if (p->namespace.len > 0)
			continue;
		k = (struct target_class){.kind = CLASS_NAMESPACES,
					  .to = INDEX_NONE,
					  .selector = p->all_namespaces ? NULL
									: &p->namespace_selector};
		pairs_add(&w->policies, class_number(w, &k), i);
	}
}

// ---- what they cover ---------------------------------------------------------------------------

struct covered {
	struct pairs services, namespaces, clusters, pods;
	struct selector *selectors;
	uint32_t selector_count;
};

static void cover_namespaces(struct classifier *w, struct covered *to, uint32_t class)
{
	const struct labels *selector = w->x->classes[class].selector;

	for (uint32_t n = 0; n < w->x->namespace_count; n++) {
		const struct namespace_object *object = w->x->namespaces[n].object;

		if (!selector || (object && labels_match(selector, &object->labels)))
			pairs_add(&to->clusters, n, class);
	}
}

static void cover(struct classifier *w, struct covered *to, uint32_t class)
{
	const struct target_class *k = &w->x->classes[class];

	switch (k->kind) {
	case CLASS_SERVICE:
		pairs_add(&to->services, k->to, class);
		return;
	case CLASS_NAMESPACE:
		pairs_add(&to->namespaces, k->to, class);
		return;
	case CLASS_NAMESPACES:
		cover_namespaces(w, to, class);
		return;
	case CLASS_PODS:
		to->selectors[to->selector_count++] =
			(struct selector){k->namespace, k->selector, class};
		return;
	}
}

static void relate(struct classifier *w, struct pairs *p, uint32_t count, struct relation *out)
{
	if (w->err == ERR_OK)
		w->err = pairs_relate(p, count, w->arena, out);
	pairs_deinit(p);
}

static void relate_all(struct classifier *w)
{
	struct compile_index *x = w->x;
	struct covered to = {0};

	to.selectors = arena_alloc(w->arena, x->class_count, sizeof(*to.selectors));
	if (!to.selectors)
		w->err = ERR_NOMEM;
	for (uint32_t i = 0; i < x->class_count && w->err == ERR_OK; i++)
		cover(w, &to, i);
	if (w->err == ERR_OK)
		w->err = selectors_match(to.selectors, to.selector_count, w->m, &to.pods);
	relate(w, &to.services, w->m->services.count, &x->service_classes);
	relate(w, &to.namespaces, x->namespace_count, &x->namespace_classes);
	relate(w, &to.clusters, x->namespace_count, &x->cluster_classes);
	relate(w, &to.pods, w->m->pods.count, &x->pod_classes);
	relate(w, &w->policies, x->class_count, &x->class_policies);
	relate(w, &w->limits, x->class_count, &x->class_limits);
}

enum err target_classes_init(struct compile_index *x, const struct model *m,
			     const struct hash_index *services, struct arena *a)
{
	struct classifier w = {.x = x, .m = m, .arena = a, .services = services};

	index_namespace_names(&w);
	if (w.err == ERR_OK)
		make_refs(&w);
	if (w.err == ERR_OK) {
		mark_missing_ports(&w);
		make_classes(&w);
	}
	relate_all(&w);
	return w.err;
}
