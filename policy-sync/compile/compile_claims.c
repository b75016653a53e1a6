// SPDX-License-Identifier: GPL-3.0-or-later
// Whose address it is. Cluster IPs, pods and nodes keep their addresses; what a Service claims besides (external
// and load balancer addresses, node ports) it gets by address and port, the older claim first. A claim
// that stands second is a finding.
#include <stdio.h>
#include <stdlib.h>
#include "compile/compile.h"

struct claim {
	struct addr addr; // none: a node port, on every node
	uint16_t port;	  // 0: all of them
	uint32_t service; // INDEX_NONE: the API server's
};

struct claimer {
	struct compiler *c;
	struct claim *list;
	uint32_t count, room;
	struct lookup by_place;
};

static const struct service_object *service_at(const struct compiler *c, uint32_t i)
{
	return c->model->services.items[i];
}

static uint64_t hash_place(struct addr a, uint16_t port)
{
	return hash_u64(port, hash_bytes(slice_make(a.bytes, sizeof(a.bytes)), 0));
}

static const struct claim *find_claim(const struct claimer *w, struct addr a, uint16_t port)
{
	uint32_t at = UINT32_MAX, i;

	while (lookup_next(&w->by_place, hash_place(a, port), &at, &i)) {
		if (w->list[i].port == port && addr_eq(w->list[i].addr, a))
			return &w->list[i];
	}
	return NULL;
}

static void put_claim(struct claimer *w, struct addr a, uint16_t port, uint32_t service)
{
	if (w->count == w->room) {
		uint32_t room = w->room ? 2 * w->room : 256;
		struct claim *grown = realloc(w->list, room * sizeof(*grown));

		if (!grown) {
			w->c->err = ERR_NOMEM;
			return;
		}
		w->list = grown;
		w->room = room;
	}
	w->list[w->count] = (struct claim){a, port, service};
	w->c->err = lookup_put(&w->by_place, hash_place(a, port), w->count++);
}

static bool is_node_addr(const struct claimer *w, struct addr a)
{
	return index_is_node(&w->c->index, w->c->model, a);
}

bool compile_is_node_own_port(const struct model *m, uint16_t port)
{
	return port == m->tunnel_port || port_is_nodes_own(port);
}

static bool is_any_hosts(struct addr a)
{
	return !addr_is_none(a) && !addr_is_loopback(a) && !addr_is_multicast(a) &&
	       !addr_is_link_local(a) &&
	       !(addr_is_v4(a) && (addr_to_v4(a) == 0 || addr_to_v4(a) == UINT32_MAX));
}

// ---- what is said ------------------------------------------------------------------------------

static const char *field_of(const struct service_object *s, uint32_t addr)
{
	return addr < s->cluster_addr_count ? "spec.clusterIPs"
					    : "spec.externalIPs, status.loadBalancer.ingress";
}

static void say_lost(struct claimer *w, uint32_t service, uint32_t addr, const char *whose)
{
	const struct service_object *s = service_at(w->c, service);
	char text[ADDR_TEXT_MAX];

	w->c->claims[service].lost |= 1ull << addr;
	compile_say(w->c, SEVERITY_ERROR, &s->origin, field_of(s, addr),
		    "%s is %s: Service %.*s/%.*s does not get it",
		    addr_format(s->addrs[addr], text), whose, SLICE_ARG(s->namespace),
		    SLICE_ARG(s->name));
}

static void say_service(struct claimer *w, uint32_t service, const char *field, const char *place,
			uint16_t port, uint32_t holder)
{
	const struct service_object *s = service_at(w->c, service);
	char whose[400] = "the node's own";

	if (holder != INDEX_NONE)
		snprintf(whose, sizeof(whose), "Service %.*s/%.*s's, which is older",
			 SLICE_ARG(service_at(w->c, holder)->namespace),
			 SLICE_ARG(service_at(w->c, holder)->name));
	compile_say(w->c, SEVERITY_ERROR, &s->origin, field,
		    "%s port %u is %s: Service %.*s/%.*s does not get it", place, port, whose,
		    SLICE_ARG(s->namespace), SLICE_ARG(s->name));
}

// ---- who gets it -------------------------------------------------------------------------------

// An address that is no Service's to have. False: a Service may have it.
static bool is_others(struct claimer *w, uint32_t service, uint32_t i)
{
	const struct service_object *s = service_at(w->c, service);
	const struct model *m = w->c->model;
	uint32_t pod = index_pod_at(&w->c->index, m, s->addrs[i]);
	char whose[400];

	if (!is_any_hosts(s->addrs[i])) {
		say_lost(w, service, i, "no address that a Service can have");
		return true;
	}
	if (pod != INDEX_NONE) {
		const struct pod *p = m->pods.items[pod];

		snprintf(whose, sizeof(whose), "pod %.*s/%.*s's", SLICE_ARG(p->namespace),
			 SLICE_ARG(p->name));
		say_lost(w, service, i, whose);
		return true;
	}
	return false;
}

static void claim_cluster_addr(struct claimer *w, uint32_t service, uint32_t i)
{
	const struct service_object *s = service_at(w->c, service);
	const struct claim *first = find_claim(w, s->addrs[i], 0);
	char whose[400];

	if (is_others(w, service, i))
		return;
	if (is_node_addr(w, s->addrs[i])) {
		say_lost(w, service, i, "a node's");
	} else if (first) {
		snprintf(whose, sizeof(whose), "Service %.*s/%.*s's, which is older",
			 SLICE_ARG(service_at(w->c, first->service)->namespace),
			 SLICE_ARG(service_at(w->c, first->service)->name));
		say_lost(w, service, i, whose);
	} else {
		put_claim(w, s->addrs[i], 0, service);
	}
}

static void claim_node_ports(struct claimer *w, uint32_t service)
{
	static const struct addr every_node;
	const struct service_object *s = service_at(w->c, service);

	for (uint32_t p = 0; p < s->port_count && w->c->err == ERR_OK; p++) {
		uint16_t port = s->ports[p].node_port;
		const struct claim *first = find_claim(w, every_node, port);

		if (port == 0 || !s->ports[p].tcp || s->ports[p].gone)
			continue;
		if (!first && !compile_is_node_own_port(w->c->model, port)) {
			put_claim(w, every_node, port, service);
			continue;
		}
		w->c->claims[service].node_port_lost[p] = true;
		say_service(w, service, "spec.ports", "nodes'", port,
			    first ? first->service : INDEX_NONE);
	}
}

// One port of an address beyond the cluster's. The holder, if it is not to be had.
static bool is_taken(struct claimer *w, uint32_t service, struct addr a, uint16_t port,
		     uint32_t *holder)
{
	static const struct addr every_node;
	const struct claim *first = find_claim(w, a, port);
	bool node = is_node_addr(w, a);

	if (!first && node)
		first = find_claim(w, every_node, port);
	*holder = first ? first->service : INDEX_NONE;
	return (first && first->service != service) ||
	       (node && compile_is_node_own_port(w->c->model, port));
}

static void claim_external_ports(struct claimer *w, uint32_t service, uint32_t i)
{
	const struct service_object *s = service_at(w->c, service);
	struct service_claims *mine = &w->c->claims[service];
	char text[ADDR_TEXT_MAX];
	bool said = false;

	for (uint32_t p = 0; p < s->port_count && w->c->err == ERR_OK; p++) {
		uint32_t holder;

		if (!s->ports[p].tcp || s->ports[p].gone)
			continue;
		if (!is_taken(w, service, s->addrs[i], s->ports[p].port, &holder)) {
			put_claim(w, s->addrs[i], s->ports[p].port, service);
			continue;
		}
		mine->port_lost[p] |= 1ull << i;
		if (!said)
			say_service(w, service, field_of(s, i), addr_format(s->addrs[i], text),
				    s->ports[p].port, holder);
		said = true;
	}
}

static void claim_external_addr(struct claimer *w, uint32_t service, uint32_t i)
{
	const struct service_object *s = service_at(w->c, service);
	const struct claim *first = find_claim(w, s->addrs[i], 0);
	char whose[400];

	if (is_others(w, service, i))
		return;
	if (!first) {
		claim_external_ports(w, service, i);
		return;
	}
	snprintf(whose, sizeof(whose), "the cluster IP of Service %.*s/%.*s",
		 SLICE_ARG(service_at(w->c, first->service)->namespace),
		 SLICE_ARG(service_at(w->c, first->service)->name));
	say_lost(w, service, i, whose);
}

// ---- in which order ----------------------------------------------------------------------------

struct turn {
	uint64_t seen_unix_ms; // of what is claimed, not of the Service alone
	int64_t created_unix_ms;
	uint32_t service; // in the order of their names
	uint32_t addr;	  // INDEX_NONE: its node ports
};

struct turns {
	struct turn *list;
	uint32_t count;
};

// A date in a file is its writer's word: it counts only between those that came together.
static int older_first(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->seen_unix_ms != y->seen_unix_ms)
		return x->seen_unix_ms < y->seen_unix_ms ? -1 : 1;
	if (x->created_unix_ms != y->created_unix_ms)
		return x->created_unix_ms < y->created_unix_ms ? -1 : 1;
	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static struct turns sort_turns(struct compiler *c)
{
	uint32_t services = c->model->services.count, room = services;
	struct turns t = {0};

	for (uint32_t i = 0; i < services; i++)
		room += service_at(c, i)->addr_count;
	t.list = arena_alloc(c->arena, room, sizeof(*t.list));
	for (uint32_t i = 0; t.list && i < services; i++) {
		const struct service_object *s = service_at(c, i);
		const struct object *o =
			model_find(c->model, OBJECT_SERVICE, s->namespace, s->name);

		if (s->gone || !o)
			continue;
		t.list[t.count++] =
			(struct turn){o->seen_unix_ms, s->created_unix_ms, i, INDEX_NONE};
		for (uint32_t k = 0; k < s->addr_count; k++)
			t.list[t.count++] =
				(struct turn){o->addrs_seen[k], s->created_unix_ms, i, k};
	}
	if (!t.list)
		c->err = ERR_NOMEM;
	if (t.count > 0)
		qsort(t.list, t.count, sizeof(*t.list), older_first);
	return t;
}

static void make_claims(struct compiler *c)
{
	uint32_t count = c->model->services.count;

	c->claims = arena_alloc(c->arena, count, sizeof(*c->claims));
	for (uint32_t i = 0; c->claims && i < count && c->err == ERR_OK; i++) {
		uint32_t ports = service_at(c, i)->port_count;

		c->claims[i].port_lost = arena_alloc(c->arena, ports, sizeof(uint64_t));
		c->claims[i].node_port_lost = arena_alloc(c->arena, ports, sizeof(bool));
		if (!c->claims[i].port_lost || !c->claims[i].node_port_lost)
			c->err = ERR_NOMEM;
	}
	if (!c->claims)
		c->err = ERR_NOMEM;
}

// Where the API server answers, as its own endpoints say.
static void note_api_server(struct claimer *w)
{
	const struct object_list *slices = &w->c->model->slices;

	for (uint32_t i = 0; i < slices->count; i++) {
		const struct endpoint_slice *s = slices->items[i];

		if (!slice_eq_str(s->namespace, "default") ||
		    !slice_eq_str(s->service, "kubernetes"))
			continue;
		for (uint32_t e = 0; e < s->endpoint_count; e++) {
			for (uint32_t p = 0; p < s->port_count && s->endpoints[e].addr_count > 0 &&
					     w->c->err == ERR_OK;
			     p++)
				put_claim(w, s->endpoints[e].addrs[0], s->ports[p].port,
					  INDEX_NONE);
		}
	}
}

void compile_claims(struct compiler *c)
{
	struct claimer w = {.c = c};
	struct turns turns = sort_turns(c);

	make_claims(c);
	note_api_server(&w);
	for (uint32_t i = 0; i < turns.count && c->err == ERR_OK; i++) {
		const struct turn *t = &turns.list[i];

		if (t->addr < service_at(c, t->service)->cluster_addr_count)
			claim_cluster_addr(&w, t->service, t->addr);
	}
	for (uint32_t i = 0; i < turns.count && c->err == ERR_OK; i++) {
		const struct turn *t = &turns.list[i];

		if (t->addr == INDEX_NONE)
			claim_node_ports(&w, t->service);
		else if (t->addr >= service_at(c, t->service)->cluster_addr_count)
			claim_external_addr(&w, t->service, t->addr);
	}
	free(w.list);
	lookup_deinit(&w.by_place);
}
