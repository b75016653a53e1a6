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

// An address or a UID that two running pods claim is nobody's.
static void dispute(struct compile_index *x, uint32_t pod, uint32_t other)
{
	if (other != INDEX_NONE && other != pod)
		x->pod_disputed[pod] = x->pod_disputed[other] = true;
}

static void index_pod(struct indexer *w, uint32_t i)
{
	static const struct slice none;
	struct compile_index *x = w->x;
	const struct pod *p = pod_at(w->m, i);
	uint64_t uid = hash_bytes(p->uid, 0);

	if (p->terminal)
		return;
	dispute(x, i, find_pod(&x->pods_by_uid, w->m, uid, p->uid, none, none));
	hash_index_insert(&x->pods_by_uid, uid, i);
	hash_index_insert(&x->pods_by_name, lookup_hash_pair(p->namespace, p->name), i);
	for (uint32_t k = 0; k < p->addr_count && !p->host_network; k++) {
		uint32_t other = pod_by_addr(x, w->m, p->addrs[k]);

		dispute(x, i, other);
		if (other == INDEX_NONE)
			hash_index_insert(&x->pods_by_addr, hash_addr(p->addrs[k]), i);
	}
}

static void index_pods(struct indexer *w)
{
	struct compile_index *x = w->x;
	uint32_t count = w->m->pods.count, addrs = 0;

	for (uint32_t i = 0; i < count; i++)
		addrs += pod_at(w->m, i)->addr_count;
	x->pod_disputed = arena_alloc(w->arena, count, sizeof(*x->pod_disputed));
	if (!x->pod_disputed || !hash_index_init(&x->pods_by_uid, w->arena, count) ||
	    !hash_index_init(&x->pods_by_name, w->arena, count) ||
	    !hash_index_init(&x->pods_by_addr, w->arena, addrs)) {
		w->err = ERR_NOMEM;
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		index_pod(w, i);
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

enum endpoint_place index_endpoint(const struct compile_index *x, const struct model *m,
				   const struct endpoint_slice *s, const struct endpoint_object *e,
				   uint32_t *pod)
{
	uint32_t named;

	*pod = e->addr_count > 0 ? pod_by_addr(x, m, e->addrs[0]) : INDEX_NONE;
	if (e->addr_count == 0 || (*pod != INDEX_NONE && x->pod_disputed[*pod]))
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
