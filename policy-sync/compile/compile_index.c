// SPDX-License-Identifier: GPL-3.0-or-later
// Relations between objects, each found by hash; see compile_index.h.
#include "compile/compile_index.h"

#include <stdlib.h>
#include "common/hash.h"
#include "compile/relation.h"
#include "compile/target_class.h"

struct indexer {
	struct compile_index *x;
	const struct model *m;
	struct arena *arena;
	struct hash_index cluster_addrs; // Services
	enum err err;
};

static const struct pod *pod_at(const struct model *m, uint32_t i)
{
	return m->pods.items[i];
}

static const struct service_object *service_at(const struct model *m, uint32_t i)
{
	return m->services.items[i];
}

static uint64_t hash_addr(struct addr a)
{
	return hash_bytes(slice_make(a.bytes, sizeof(a.bytes)), 0);
}

// ---- pods --------------------------------------------------------------------------------------

static uint32_t pod_by_addr(const struct compile_index *x, const struct model *m, struct addr a)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&x->pods_by_addr, hash_addr(a), &at, &i)) {
		const struct pod *p = pod_at(m, i);

		for (uint32_t k = 0; k < p->addr_count; k++) {
			if (addr_eq(p->addrs[k], a))
				return i;
		}
	}
	return INDEX_NONE;
}

static uint32_t find_pod(const struct hash_index *h, const struct model *m, uint64_t hash,
			 struct slice uid, struct slice ns, struct slice name)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(h, hash, &at, &i)) {
		const struct pod *p = pod_at(m, i);

		if (uid.len > 0 ? slice_eq(p->uid, uid)
				: slice_eq(p->name, name) && slice_eq(p->namespace, ns))
			return i;
	}
	return INDEX_NONE;
}

// A claim of a running pod, in the order in which they were seen first.
struct pod_claim {
	uint64_t seen_unix_ms;
	uint32_t pod, addr; // addr: INDEX_NONE: its UID
};

static int older_first(const void *a, const void *b)
{
	const struct pod_claim *x = a, *y = b;

	if (x->seen_unix_ms != y->seen_unix_ms)
		return x->seen_unix_ms < y->seen_unix_ms ? -1 : 1;
	if (x->pod != y->pod)
		return x->pod < y->pod ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

// The claim of this pod, of an address (INDEX_NONE: of none) or of its UID.
static uint64_t claim_seen(const struct model *m, uint32_t pod, uint32_t addr)
{
	const struct pod *p = pod_at(m, pod);
	const struct object *o = model_find(m, OBJECT_POD, p->namespace, p->name);

	return addr == INDEX_NONE ? o->seen_unix_ms : o->addrs_seen[addr];
}

static uint32_t addr_of(const struct pod *p, struct addr a)
{
	uint32_t k = 0;

	while (k < p->addr_count && !addr_eq(p->addrs[k], a))
		k++;
	return k;
}

static void claim_uid(struct indexer *w, const struct pod_claim *c)
{
	static const struct slice none;
	struct compile_index *x = w->x;
	const struct pod *p = pod_at(w->m, c->pod);
	uint64_t hash = hash_bytes(p->uid, 0);
	uint32_t first = find_pod(&x->pods_by_uid, w->m, hash, p->uid, none, none);

	hash_index_insert(&x->pods_by_name, lookup_hash_pair(p->namespace, p->name), c->pod);
	if (first == INDEX_NONE) {
		hash_index_insert(&x->pods_by_uid, hash, c->pod);
		return;
	}
	x->pod_disputed[c->pod] = true;
	// Nobody knows who was first: neither may have the other's identity.
	x->pod_disputed[first] |= claim_seen(w->m, first, INDEX_NONE) == c->seen_unix_ms;
}

// Among the first `count` of an object's addresses, since before then.
static bool had_before(const struct object *o, uint32_t count, struct addr a, uint64_t seen_unix_ms)
{
	uint32_t all;
	const struct addr *list = o ? object_addrs(o, &all) : NULL;

	for (uint32_t i = 0; list && i < count && i < all; i++) {
		if (addr_eq(list[i], a))
			return o->addrs_seen[i] < seen_unix_ms;
	}
	return false;
}

// A node's or a cluster IP, and was seen as that before.
static bool is_no_pods(struct indexer *w, struct addr a, uint64_t seen_unix_ms)
{
	static const struct slice cluster;
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&w->x->nodes_by_addr, hash_addr(a), &at, &i)) {
		const struct node_object *n = w->m->nodes.items[i];

		if (had_before(model_find(w->m, OBJECT_NODE, cluster, n->name), n->addr_count, a,
			       seen_unix_ms))
			return true;
	}
	at = UINT32_MAX;
	while (hash_index_next(&w->cluster_addrs, hash_addr(a), &at, &i)) {
		const struct service_object *s = service_at(w->m, i);

		if (had_before(model_find(w->m, OBJECT_SERVICE, s->namespace, s->name),
			       s->cluster_addr_count, a, seen_unix_ms))
			return true;
	}
	return false;
}

static void claim_addr(struct indexer *w, const struct pod_claim *c)
{
	struct compile_index *x = w->x;
	const struct pod *p = pod_at(w->m, c->pod);
	struct addr a = p->addrs[c->addr];
	uint32_t first = pod_by_addr(x, w->m, a), k;

	if (first == c->pod)
		return;
	if (first == INDEX_NONE && !is_no_pods(w, a, c->seen_unix_ms)) {
		hash_index_insert(&x->pods_by_addr, hash_addr(a), c->pod);
		return;
	}
	x->pod_lost[c->pod] |= 1ull << c->addr;
	if (first == INDEX_NONE)
		return;
	k = addr_of(pod_at(w->m, first), a);
	if (claim_seen(w->m, first, k) == c->seen_unix_ms) // as with UIDs
		x->pod_lost[first] |= 1ull << k;
}

static void note_others(struct indexer *w)
{
	for (uint32_t i = 0; i < w->m->nodes.count; i++) {
		const struct node_object *n = w->m->nodes.items[i];

		for (uint32_t k = 0; k < n->addr_count; k++)
			hash_index_insert(&w->x->nodes_by_addr, hash_addr(n->addrs[k]), i);
	}
	for (uint32_t i = 0; i < w->m->services.count; i++) {
		const struct service_object *s = service_at(w->m, i);

		for (uint32_t k = 0; k < s->cluster_addr_count && !s->gone; k++)
			hash_index_insert(&w->cluster_addrs, hash_addr(s->addrs[k]), i);
	}
}

static uint32_t list_claims(struct indexer *w, struct pod_claim *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->m->pods.count; i++) {
		const struct pod *p = pod_at(w->m, i);

		if (p->terminal)
			continue;
		out[n++] = (struct pod_claim){claim_seen(w->m, i, INDEX_NONE), i, INDEX_NONE};
		for (uint32_t k = 0; k < p->addr_count && !p->host_network; k++)
			out[n++] = (struct pod_claim){claim_seen(w->m, i, k), i, k};
	}
	return n;
}

static void index_pods(struct indexer *w)
{
	struct compile_index *x = w->x;
	uint32_t count = w->m->pods.count, addrs = 0, nodes = 0, clusters = 0;
	struct pod_claim *claims;

	for (uint32_t i = 0; i < count; i++)
		addrs += pod_at(w->m, i)->addr_count;
	for (uint32_t i = 0; i < w->m->nodes.count; i++)
		nodes += ((const struct node_object *)w->m->nodes.items[i])->addr_count;
	for (uint32_t i = 0; i < w->m->services.count; i++)
		clusters += service_at(w->m, i)->cluster_addr_count;
	claims = arena_alloc(w->arena, count + addrs, sizeof(*claims));
	x->pod_disputed = arena_alloc(w->arena, count, sizeof(*x->pod_disputed));
	x->pod_lost = arena_alloc(w->arena, count, sizeof(*x->pod_lost));
	if (!claims || !x->pod_disputed || !x->pod_lost ||
	    !hash_index_init(&w->x->nodes_by_addr, w->arena, nodes) ||
	    !hash_index_init(&w->cluster_addrs, w->arena, clusters) ||
	    !hash_index_init(&x->pods_by_uid, w->arena, count) ||
	    !hash_index_init(&x->pods_by_name, w->arena, count) ||
	    !hash_index_init(&x->pods_by_addr, w->arena, addrs)) {
		w->err = ERR_NOMEM;
		return;
	}
	note_others(w);
	count = list_claims(w, claims);
	if (count > 0)
		qsort(claims, count, sizeof(*claims), older_first);
	for (uint32_t i = 0; i < count; i++)
		(claims[i].addr == INDEX_NONE ? claim_uid : claim_addr)(w, &claims[i]);
}

static uint32_t named_pod(const struct compile_index *x, const struct model *m,
			  const struct endpoint_slice *s, const struct endpoint_object *e)
{
	static const struct slice none;

	if (e->pod_uid.len > 0)
		return find_pod(&x->pods_by_uid, m, hash_bytes(e->pod_uid, 0), e->pod_uid, none,
				none);
	return find_pod(&x->pods_by_name, m, lookup_hash_pair(s->namespace, e->pod_name), none,
			s->namespace, e->pod_name);
}

static bool has_addr(const struct compile_index *x, const struct model *m, uint32_t pod,
		     struct addr a)
{
	return !x->pod_disputed[pod] && !(x->pod_lost[pod] >> addr_of(pod_at(m, pod), a) & 1);
}

enum endpoint_place index_endpoint(const struct compile_index *x, const struct model *m,
				   const struct endpoint_slice *s, const struct endpoint_object *e,
				   uint32_t *pod)
{
	uint32_t named;

	// What two pods have since the same time is nobody's to be reached.
	*pod = e->addr_count > 0 ? pod_by_addr(x, m, e->addrs[0]) : INDEX_NONE;
	if (e->addr_count == 0 || (*pod != INDEX_NONE && !has_addr(x, m, *pod, e->addrs[0])))
		return ENDPOINT_NOWHERE;
	if (*pod != INDEX_NONE)
		return ENDPOINT_POD;
	if (e->pod_uid.len == 0 && e->pod_name.len == 0)
		return ENDPOINT_ELSEWHERE;
	named = named_pod(x, m, s, e);
	return named != INDEX_NONE && pod_at(m, named)->host_network ? ENDPOINT_ELSEWHERE
								     : ENDPOINT_NOWHERE;
}

uint32_t index_pod_at(const struct compile_index *x, const struct model *m, struct addr a)
{
	return pod_by_addr(x, m, a);
}

bool index_is_node(const struct compile_index *x, const struct model *m, struct addr a)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&x->nodes_by_addr, hash_addr(a), &at, &i)) {
		const struct node_object *n = m->nodes.items[i];

		for (uint32_t k = 0; k < n->addr_count; k++) {
			if (addr_eq(n->addrs[k], a))
				return true;
		}
	}
	return false;
}

uint16_t service_target_port(const struct service_port_object *port, const struct pod *p)
{
	if (port->target)
		return port->target;
	for (uint32_t i = 0; i < p->port_count; i++) {
		if (slice_eq(p->ports[i].name, port->target_name))
			return p->ports[i].port;
	}
	return 0;
}

// ---- namespaces --------------------------------------------------------------------------------

// Numbers the namespaces that have pods.
static void index_namespaces(struct indexer *w)
{
	struct compile_index *x = w->x;
	uint32_t pods = w->m->pods.count;
	struct hash_index names;

	x->pod_namespace = arena_alloc(w->arena, pods, sizeof(*x->pod_namespace));
	x->namespaces = arena_alloc(w->arena, pods, sizeof(*x->namespaces));
	if (!x->pod_namespace || !x->namespaces || !hash_index_init(&names, w->arena, pods)) {
		w->err = ERR_NOMEM;
		return;
	}
	for (uint32_t i = 0; i < pods; i++) {
		struct slice name = pod_at(w->m, i)->namespace;
		uint32_t at = UINT32_MAX, n = INDEX_NONE, k;

		while (n == INDEX_NONE && hash_index_next(&names, hash_bytes(name, 0), &at, &k)) {
			if (slice_eq(x->namespaces[k].name, name))
				n = k;
		}
		if (n == INDEX_NONE) {
			n = x->namespace_count++;
			x->namespaces[n].name = name;
			x->namespaces[n].object = model_namespace(w->m, name);
			hash_index_insert(&names, hash_bytes(name, 0), n);
		}
		x->pod_namespace[i] = n;
	}
}

// ---- Services ----------------------------------------------------------------------------------

static uint32_t find_service(const struct hash_index *h, const struct model *m, struct slice ns,
			     struct slice name)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(h, lookup_hash_pair(ns, name), &at, &i)) {
		if (slice_eq(service_at(m, i)->name, name) &&
		    slice_eq(service_at(m, i)->namespace, ns))
			return i;
	}
	return INDEX_NONE;
}

static void index_slices(struct indexer *w, const struct hash_index *services)
{
	struct pairs p = {0};

	for (uint32_t i = 0; i < w->m->slices.count; i++) {
		const struct endpoint_slice *s = w->m->slices.items[i];
		uint32_t service = find_service(services, w->m, s->namespace, s->service);

		if (service != INDEX_NONE)
			pairs_add(&p, service, i);
	}
	if (w->err == ERR_OK)
		w->err = pairs_relate(&p, w->m->services.count, w->arena, &w->x->service_slices);
	pairs_deinit(&p);
}

static void add_served_pod(struct pairs *p, struct pairs *by_slice, uint32_t pod, uint32_t service,
			   uint32_t slice)
{
	pairs_add(p, pod, service);
	pairs_add(by_slice, pod, slice);
}

// Every Service with the pods of its endpoints, and every pod with the slices that name it.
static void add_served_pods(struct indexer *w, struct pairs *p, struct pairs *by_slice)
{
	for (uint32_t i = 0; i < w->m->services.count && w->err == ERR_OK; i++) {
		struct related slices = related_to(&w->x->service_slices, i);

		for (uint32_t k = 0; k < slices.count; k++) {
			const struct endpoint_slice *s = w->m->slices.items[slices.items[k]];

			for (uint32_t e = 0; e < s->endpoint_count; e++) {
				uint32_t pod;

				// A Service says nothing of pods in other namespaces.
				if (index_endpoint(w->x, w->m, s, &s->endpoints[e], &pod) ==
					    ENDPOINT_POD &&
				    slice_eq(pod_at(w->m, pod)->namespace, s->namespace))
					add_served_pod(p, by_slice, pod, i, slices.items[k]);
			}
		}
	}
}

static void index_pod_services(struct indexer *w)
{
	uint32_t count = w->m->services.count;
	struct selector *list = arena_alloc(w->arena, count, sizeof(*list));
	struct pairs p = {0}, by_slice = {0};
	uint32_t n = 0;

	for (uint32_t i = 0; list && i < count; i++) {
		const struct service_object *s = service_at(w->m, i);

		if (s->selector.count > 0)
			list[n++] = (struct selector){s->namespace, &s->selector, i};
	}
	if (!list)
		w->err = ERR_NOMEM;
	if (w->err == ERR_OK)
		w->err = selectors_match(list, n, w->m, &p);
	add_served_pods(w, &p, &by_slice);
	if (w->err == ERR_OK)
		w->err = pairs_relate(&p, w->m->pods.count, w->arena, &w->x->pod_services);
	if (w->err == ERR_OK)
		w->err = pairs_relate(&by_slice, w->m->pods.count, w->arena, &w->x->pod_slices);
	pairs_deinit(&p);
	pairs_deinit(&by_slice);
}

enum err compile_index_init(struct compile_index *x, const struct model *m, struct arena *a)
{
	struct indexer w = {.x = x, .m = m, .arena = a};
	struct hash_index services;

	memset(x, 0, sizeof(*x));
	if (!hash_index_init(&services, a, m->services.count))
		return ERR_NOMEM;
	for (uint32_t i = 0; i < m->services.count; i++)
		hash_index_insert(
			&services,
			lookup_hash_pair(service_at(m, i)->namespace, service_at(m, i)->name), i);
	index_pods(&w);
	if (w.err == ERR_OK)
		index_namespaces(&w);
	if (w.err == ERR_OK)
		index_slices(&w, &services);
	if (w.err == ERR_OK)
		index_pod_services(&w);
	if (w.err == ERR_OK)
		w.err = target_classes_init(x, m, &services, a);
	return w.err;
}
