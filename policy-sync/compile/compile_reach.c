// SPDX-License-Identifier: GPL-3.0-or-later
// What can never match, or is enforced nowhere: rules beside what their targets are. Every target's pods are
// summed up once (struct reach), every rule is asked against that. Warnings, where they are written.
#include "compile/compile.h"
#include "core/identity.h"
#include "files/view.h"

#define REACH_PORTS_MAX 64

struct reach_port {
	uint16_t number;
	const struct service_object *service; // that leads there; NULL: a container's word
	const struct service_port_object *from;
};

// What a target's pods have.
struct reach {
	uint32_t pods;
	uint32_t outside; // not enrolled, or on their node's network
	const struct pod *first_outside;
	bool v4, v6;
	struct reach_port *ports; // REACH_PORTS_MAX, once there is one
	uint32_t port_count;
	bool unknown_ports; // more than there is room for, or pods that name none
};

struct reaching {
	struct compiler *c;
	struct reach *namespaces, *services, *classes; // by number
	const struct reach **by_ref;		       // what each target reaches; NULL: nothing
	struct lookup accounts;			       // of pods: namespace and name
	struct lookup account_namespaces;
};

// ---- what there is -----------------------------------------------------------------------------

static void add_port(struct reaching *w, struct reach *r, struct reach_port port)
{
	for (uint32_t i = 0; i < r->port_count; i++) {
		if (r->ports[i].number == port.number && r->ports[i].from == port.from)
			return;
	}
	if (!r->ports)
		r->ports = arena_alloc(w->c->arena, REACH_PORTS_MAX, sizeof(*r->ports));
	if (!r->ports)
		w->c->err = ERR_NOMEM;
	else if (r->port_count == REACH_PORTS_MAX)
		r->unknown_ports = true;
	else
		r->ports[r->port_count++] = port;
}

static void add_service_ports(struct reaching *w, struct reach *r, const struct service_object *s,
			      const struct pod *p)
{
	for (uint32_t i = 0; i < s->port_count; i++) {
		uint16_t number = service_target_port(&s->ports[i], p);

		if (!s->ports[i].tcp)
			continue;
		if (number != 0)
			add_port(w, r, (struct reach_port){number, s, &s->ports[i]});
		else
			r->unknown_ports = true;
	}
}

static void add_pod(struct reaching *w, struct reach *r, const struct pod *p)
{
	r->pods++;
	for (uint32_t i = 0; i < p->addr_count; i++) {
		r->v4 |= addr_is_v4(p->addrs[i]);
		r->v6 |= !addr_is_v4(p->addrs[i]);
	}
	if (pod_is_enrolled(w->c->model, p))
		return;
	if (r->outside++ == 0)
		r->first_outside = p;
}

static uint16_t number_of(const struct tree *t)
{
	uint32_t n = 0;

	for (size_t i = 0; t && i < t->text.len && n <= UINT16_MAX; i++)
		n = t->text.ptr[i] >= '0' && t->text.ptr[i] <= '9'
			    ? n * 10 + (uint32_t)(t->text.ptr[i] - '0')
			    : UINT16_MAX + 1u;
	return n <= UINT16_MAX ? (uint16_t)n : 0;
}

// Ports that containers say they have; only the named ones are of use elsewhere.
static uint32_t add_container_ports(struct reaching *w, struct reach *r, const struct pod *p)
{
	static const char *const kinds[] = {"containers", "initContainers"};
	const struct tree *spec = tree_get(p->origin.tree, "spec");
	uint32_t found = 0;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		const struct tree *list = tree_get(spec, kinds[k]);

		for (const struct tree *c = list ? list->first : NULL; c; c = c->next) {
			const struct tree *ports = tree_get(c, "ports");

			for (const struct tree *i = ports ? ports->first : NULL; i; i = i->next) {
				add_port(w, r,
					 (struct reach_port){
						 .number = number_of(tree_get(i, "containerPort")),
					 });
				found++;
			}
		}
	}
	return found;
}

// A pod as part of a namespace, or of those with some labels: all its ports.
static void add_whole_pod(struct reaching *w, struct reach *r, uint32_t pod)
{
	const struct pod *p = w->c->model->pods.items[pod];
	struct related services = related_to(&w->c->index.pod_services, pod);
	uint32_t declared;

	add_pod(w, r, p);
	declared = add_container_ports(w, r, p);
	for (uint32_t i = 0; i < services.count; i++)
		add_service_ports(w, r, w->c->model->services.items[services.items[i]], p);
	r->unknown_ports |= declared == 0 && services.count == 0;
}

static bool is_gone(const struct pod *p)
{
	return p->terminal || p->addr_count == 0;
}

static void note_once(struct reaching *w, struct lookup *l, uint64_t hash)
{
	uint32_t at = UINT32_MAX, i;

	if (w->c->err == ERR_OK && !lookup_next(l, hash, &at, &i))
		w->c->err = lookup_put(l, hash, 0);
}

static bool reach_init(struct reaching *w)
{
	const struct model *m = w->c->model;
	const struct compile_index *x = &w->c->index;
	struct arena *a = w->c->arena;

	w->namespaces = arena_alloc(a, x->namespace_count, sizeof(*w->namespaces));
	w->services = arena_alloc(a, m->services.count, sizeof(*w->services));
	w->classes = arena_alloc(a, x->class_count, sizeof(*w->classes));
	w->by_ref = arena_alloc(a, x->ref_count, sizeof(*w->by_ref));
	if (!w->namespaces || !w->services || !w->classes || !w->by_ref) {
		w->c->err = ERR_NOMEM;
		return false;
	}
	for (uint32_t i = 0; i < m->pods.count && w->c->err == ERR_OK; i++) {
		const struct pod *p = m->pods.items[i];
		struct related services = related_to(&x->pod_services, i);
		struct related classes = related_to(&x->pod_classes, i);

		note_once(w, &w->accounts, lookup_hash_pair(p->namespace, p->service_account));
		note_once(w, &w->account_namespaces, hash_bytes(p->namespace, 0));
		if (is_gone(p))
			continue;
		if (related_to(&x->namespace_classes, x->pod_namespace[i]).count > 0)
			add_whole_pod(w, &w->namespaces[x->pod_namespace[i]], i);
		else
			add_pod(w, &w->namespaces[x->pod_namespace[i]], p);
		for (uint32_t k = 0; k < classes.count; k++)
			add_whole_pod(w, &w->classes[classes.items[k]], i);
		for (uint32_t k = 0; k < services.count; k++) {
			if (related_to(&x->service_classes, services.items[k]).count == 0)
				continue;
			add_pod(w, &w->services[services.items[k]], p);
			add_service_ports(w, &w->services[services.items[k]],
					  m->services.items[services.items[k]], p);
		}
	}
	return w->c->err == ERR_OK;
}

static struct reach *reach_of(struct reaching *w, uint32_t class)
{
	const struct target_class *c = &w->c->index.classes[class];

	switch (c->kind) {
	case CLASS_SERVICE:
		return &w->services[c->to];
	case CLASS_NAMESPACE:
		return &w->namespaces[c->to];
	case CLASS_PODS:
		return &w->classes[class];
	case CLASS_NAMESPACES:
		break;
	}
	return NULL;
}

static void reach_relate_all(struct reaching *w)
{
	const struct compile_index *x = &w->c->index;

	for (uint32_t i = 0; i < x->ref_count; i++) {
		if (x->refs[i].class != INDEX_NONE)
			w->by_ref[i] = reach_of(w, x->refs[i].class);
	}
}

// ---- one target --------------------------------------------------------------------------------

// A policy or a limit, as far as its targets are concerned.
struct owner {
	const struct origin *at;
	const struct security_policy *policy;
	const struct rate_limit_policy *limit;
};

static bool in_section(const struct target *t, const struct reach_port *port)
{
	return t->section.len == 0 || (port->from && slice_eq(port->from->name, t->section));
}

static void check_outside(struct reaching *w, const struct owner *o, const struct target *t,
			  const struct reach *r)
{
	bool failed = false;
	struct view v = compile_place(w->c, o->at, t->tree, &failed);
	struct view at = view_get(&v, t->kind == TARGET_POD ? "selector" : "name");

	if (r->outside == 0)
		return;
	view_warn(&at,
		  "%u of its %u pods %s not enrolled, or on the host's network (%.*s first): "
		  "nothing is enforced there",
		  r->outside, r->pods, r->outside == 1 ? "is" : "are",
		  SLICE_ARG(r->first_outside->name));
}

static bool has_port(const uint16_t *list, uint32_t count, uint16_t port)
{
	for (uint32_t i = 0; i < count; i++) {
		if (list[i] == port)
			return true;
	}
	return count == 0;
}

// Of a Service the ports that it leads to, of others all that anybody named.
static bool target_has_port(const struct target *t, const struct reach *r, uint16_t port)
{
	for (uint32_t i = 0; i < r->port_count; i++) {
		if (in_section(t, &r->ports[i]) && r->ports[i].number == port)
			return true;
	}
	return r->unknown_ports || r->port_count == 0;
}

// Targets of one policy stand one behind the other.
static bool is_same_owner(const struct target_ref *a, const struct target_ref *b)
{
	return a->policy == b->policy && a->limit == b->limit;
}

// True too where nobody knows what one of the targets has.
static bool any_has_port(const struct reaching *w, uint32_t first, uint16_t port)
{
	const struct target_ref *refs = w->c->index.refs;

	for (uint32_t i = first; i < w->c->index.ref_count && is_same_owner(&refs[i], &refs[first]);
	     i++) {
		const struct reach *r = w->by_ref[i];

		if (!r || r->pods == 0 || target_has_port(refs[i].target, r, port))
			return true;
	}
	return false;
}

static void check_ports(struct reaching *w, const struct owner *o, uint32_t first, uint32_t rule)
{
	const struct ss_rule *asked = &o->policy->spec.rules[rule];
	const struct tree *tree = compile_rule_tree(&o->policy->spec, rule);
	const struct tree *ports = tree_get(tree_get(tree, "operation"), "ports");
	uint32_t index = 0;
	bool failed = false;

	if (asked->port_count == 0)
		return;
	struct view list = compile_place(w->c, o->at, ports, &failed);

	for (struct view v = view_first(&list); v.tree; v = view_next(&list, &v, &index)) {
		if (!any_has_port(w, first, asked->ports[index]))
			view_warn(&v, "matches nothing: no pod of the targets has this port (ports "
				      "are the pods', not the Service's)");
	}
}

static bool rule_reads_requests(const struct ss_rule *r)
{
	return r->jwt_provider.len > 0 || r->claim_count || r->scope_count || r->header_count ||
	       r->method_count || r->path_count || r->host_count;
}

// The first port to which these go and where no request can be read; NULL: none.
static const struct reach_port *opaque_port(const struct target *t, const struct reach *r,
					    const uint16_t *ports, uint32_t count)
{
	for (uint32_t i = 0; i < r->port_count; i++) {
		const struct service_port_object *from = r->ports[i].from;

		if (from && in_section(t, &r->ports[i]) &&
		    has_port(ports, count, r->ports[i].number) &&
		    (from->protocol == APP_PROTOCOL_TCP || from->protocol == APP_PROTOCOL_TLS))
			return &r->ports[i];
	}
	return NULL;
}

static void check_opaque(struct reaching *w, const struct owner *o, const struct tree *at,
			 const struct reach_port *port)
{
	bool failed = false;
	struct view v = compile_place(w->c, o->at, at, &failed);

	view_warn(&v,
		  "reads requests, and port %u of Service %.*s has appProtocol %s: none can be "
		  "read there",
		  port->from->port, SLICE_ARG(port->service->name),
		  port->from->protocol == APP_PROTOCOL_TLS ? "https or tls" : "tcp");
}

static bool has_family(const struct cidr *list, uint32_t count, bool v4)
{
	for (uint32_t i = 0; i < count; i++) {
		if (addr_is_v4(list[i].addr) == v4)
			return true;
	}
	return false;
}

static bool has_both_families(const struct reaching *w, uint32_t first)
{
	const struct target_ref *refs = w->c->index.refs;
	bool v4 = false, v6 = false;

	for (uint32_t i = first; i < w->c->index.ref_count && is_same_owner(&refs[i], &refs[first]);
	     i++) {
		v4 |= w->by_ref[i] && w->by_ref[i]->v4;
		v6 |= w->by_ref[i] && w->by_ref[i]->v6;
	}
	return v4 && v6;
}

static void say_family(struct reaching *w, const struct owner *o, const struct tree *at, bool v4)
{
	bool failed = false;
	struct view v = compile_place(w->c, o->at, at, &failed);

	view_warn(&v,
		  "has networks of IPv%d alone, and the target's pods have addresses of both: who "
		  "comes by IPv%d is not matched",
		  v4 ? 4 : 6, v4 ? 6 : 4);
}

// A policy that has networks of both, in whichever rules, knows of both.
static void check_families(struct reaching *w, const struct owner *o,
			   const struct policy_spec *spec)
{
	bool v4 = false, v6 = false;

	for (uint32_t i = 0; i < spec->rule_count; i++) {
		const struct ss_rule *rule = &spec->rules[i];

		v4 |= has_family(rule->client_cidrs, rule->client_cidr_count, true);
		v6 |= has_family(rule->client_cidrs, rule->client_cidr_count, false);
	}
	for (uint32_t i = 0; v4 != v6 && i < spec->rule_count; i++) {
		const struct tree *t = tree_get(compile_rule_tree(spec, i), "principal");

		if (spec->rules[i].client_cidr_count > 0)
			say_family(w, o, tree_get(t, "clientCIDRs"), v4);
	}
}

static void check_policy_target(struct reaching *w, const struct owner *o, const struct target *t,
				const struct reach *r)
{
	const struct policy_spec *spec = &o->policy->spec;
	const struct reach_port *opaque;

	for (uint32_t i = 0; i < spec->rule_count; i++) {
		const struct ss_rule *rule = &spec->rules[i];

		opaque = opaque_port(t, r, rule->ports, rule->port_count);
		if (opaque && rule_reads_requests(rule))
			check_opaque(w, o, compile_rule_tree(spec, i), opaque);
	}
	opaque = opaque_port(t, r, NULL, 0);
	if (opaque && spec->has_jwt)
		check_opaque(w, o, tree_get(spec->tree, "jwt"), opaque);
}

// ---- limits ------------------------------------------------------------------------------------

static const struct tree *limit_tree(const struct owner *o, uint32_t limit)
{
	const struct tree *t = tree_get(tree_get(o->at->tree, "spec"), "rules");

	t = t ? t->first : NULL;
	for (; t && limit > 0; limit--)
		t = t->next;
	return t;
}

static void check_limit_target(struct reaching *w, const struct owner *o, const struct target *t,
			       const struct reach *r)
{
	const struct reach_port *opaque = opaque_port(t, r, NULL, 0);

	for (uint32_t i = 0; opaque && i < o->limit->limit_count; i++) {
		const struct ss_limit *l = &o->limit->limits[i];

		if (l->method_count || l->path_count || l->header_count)
			check_opaque(w, o, limit_tree(o, i), opaque);
	}
}

static void check_limit_families(struct reaching *w, const struct owner *o, bool both)
{
	bool v4 = false, v6 = false;

	for (uint32_t i = 0; i < o->limit->limit_count; i++) {
		const struct ss_limit *l = &o->limit->limits[i];

		v4 |= l->client_cidr_count == 0 ||
		      has_family(l->client_cidrs, l->client_cidr_count, true);
		v6 |= l->client_cidr_count == 0 ||
		      has_family(l->client_cidrs, l->client_cidr_count, false);
	}
	for (uint32_t i = 0; both && v4 != v6 && i < o->limit->limit_count; i++)
		say_family(w, o, limit_tree(o, i), v4);
}

// What is said once, however many targets there are.
static void check_all_targets(struct reaching *w, const struct owner *o, uint32_t first)
{
	bool both = has_both_families(w, first);

	if (o->limit) {
		check_limit_families(w, o, both);
		return;
	}
	if (both)
		check_families(w, o, &o->policy->spec);
	for (uint32_t i = 0; i < o->policy->spec.rule_count; i++)
		check_ports(w, o, first, i);
}

static void check_targets(struct reaching *w)
{
	for (uint32_t i = 0; i < w->c->index.ref_count; i++) {
		const struct target_ref *ref = &w->c->index.refs[i];
		struct owner o = {0};
		const struct reach *r;

		if (ref->policy != INDEX_NONE) {
			o.policy = w->c->model->policies.items[ref->policy];
			o.at = &o.policy->origin;
		} else {
			o.limit = w->c->model->limits.items[ref->limit];
			o.at = &o.limit->origin;
		}
		r = w->by_ref[i];
		if ((o.limit || o.policy->broken.len == 0) &&
		    (i == 0 || !is_same_owner(&w->c->index.refs[i - 1], ref)))
			check_all_targets(w, &o, i);
		if (!ref->target->tree || !r || r->pods == 0)
			continue;
		check_outside(w, &o, ref->target, r);
		if (o.limit)
			check_limit_target(w, &o, ref->target, r);
		else if (o.policy->broken.len == 0)
			check_policy_target(w, &o, ref->target, r);
	}
}

// ---- who asks ----------------------------------------------------------------------------------

static bool runs(const struct reaching *w, const struct identity_pattern *p)
{
	uint32_t at = UINT32_MAX, i;

	if (p->kind == PATTERN_NAMESPACE)
		return lookup_next(&w->account_namespaces, hash_bytes(p->namespace, 0), &at, &i);
	return p->kind != PATTERN_ACCOUNT ||
	       lookup_next(&w->accounts, lookup_hash_pair(p->namespace, p->account), &at, &i);
}

static void check_sources(struct reaching *w, const struct security_policy *p,
			  const struct policy_spec *spec, uint32_t rule)
{
	const struct tree *t =
		tree_get(tree_get(compile_rule_tree(spec, rule), "principal"), "sources");
	bool failed = false;
	uint32_t index = 0;

	if (!t)
		return;
	struct view list = compile_place(w->c, &p->origin, t, &failed);

	for (struct view v = view_first(&list); v.tree; v = view_next(&list, &v, &index)) {
		struct identity_pattern m = identity_pattern_of(&spec->rules[rule].sources[index]);
		struct slice domain = w->c->model->meta.trust_domain;

		if ((m.trust_domain.len > 0 && !slice_eq(m.trust_domain, domain)) || runs(w, &m))
			continue;
		view_warn(&v, "matches nobody now: no pod runs as %.*s/%.*s",
			  SLICE_ARG(m.namespace),
			  SLICE_ARG(m.account.len ? m.account : SLICE_LIT("*")));
	}
}

static bool covers(const struct security_policy *p, const struct namespace_object *n)
{
	return p->all_namespaces || (n && labels_match(&p->namespace_selector, &n->labels));
}

static void check_cluster_families(struct reaching *w, const struct security_policy *p)
{
	const struct owner o = {.at = &p->origin, .policy = p};
	bool v4 = false, v6 = false;

	for (uint32_t i = 0; i < w->c->index.namespace_count && !(v4 && v6); i++) {
		if (!covers(p, w->c->index.namespaces[i].object))
			continue;
		v4 |= w->namespaces[i].v4;
		v6 |= w->namespaces[i].v6;
	}
	if (!v4 || !v6)
		return;
	check_families(w, &o, &p->overrides);
	check_families(w, &o, &p->spec);
}

static void check_selector(struct reaching *w, const struct security_policy *p)
{
	const struct model *m = w->c->model;
	const struct object_list *lists[] = {&m->namespaces, &m->implied};
	bool failed = false, found = p->all_namespaces;
	struct view v =
		compile_place(w->c, &p->origin,
			      tree_get(tree_get(p->origin.tree, "spec"), "namespaceSelector"),
			      &failed);

	for (size_t l = 0; l < 2; l++) {
		for (uint32_t i = 0; i < lists[l]->count && !found; i++) {
			const struct namespace_object *n = lists[l]->items[i];

			found = covers(p, n);
		}
	}
	if (!found)
		view_warn(&v, "selects no namespace");
}

void compile_check_reach(struct compiler *c)
{
	struct reaching w = {.c = c};

	if (c->err != ERR_OK || c->model->pods.count == 0)
		return; // a pipeline checks policies alone
	if (reach_init(&w)) {
		reach_relate_all(&w);
		check_targets(&w);
	}
	for (uint32_t i = 0; c->err == ERR_OK && i < c->model->policies.count; i++) {
		const struct security_policy *p = c->model->policies.items[i];

		if (p->broken.len > 0)
			continue;
		if (p->namespace.len == 0) {
			check_selector(&w, p);
			check_cluster_families(&w, p);
		}
		for (uint32_t k = 0; k < p->spec.rule_count; k++)
			check_sources(&w, p, &p->spec, k);
		for (uint32_t k = 0; k < p->overrides.rule_count; k++)
			check_sources(&w, p, &p->overrides, k);
	}
	lookup_deinit(&w.accounts);
	lookup_deinit(&w.account_namespaces);
}
