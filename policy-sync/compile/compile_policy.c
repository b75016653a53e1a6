// SPDX-License-Identifier: GPL-3.0-or-later
// Which effective policy covers which port of a pod. Pods to which the same policies apply share one: it
// is made once, found again by what it is made of.
#include <stdlib.h>
#include "compile/effective.h"

// A port of the pod, and who leads there.
struct port_source {
	uint16_t port;
	uint32_t first; // in services
	uint32_t count;
};

struct pod_ports {
	struct service_port_ref *services; // by port
	struct port_source ports[SNAPSHOT_PORTS_PER_OBJECT_MAX];
	uint32_t count;
	bool too_many;
};

struct port_ref {
	uint16_t port;
	struct service_port_ref ref;
};

static int by_port(const void *a, const void *b)
{
	const struct port_ref *x = a, *y = b;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (x->ref.service != y->ref.service)
		return x->ref.service < y->ref.service ? -1 : 1;
	return x->ref.port < y->ref.port ? -1 : x->ref.port > y->ref.port;
}

static void list_port(struct compiler *c, uint16_t port, uint32_t service, uint32_t index)
{
	if (c->port_count == c->port_room) {
		uint32_t room = c->port_room ? c->port_room * 2 : 64;
		struct port_ref *grown = realloc(c->ports, room * sizeof(*grown));

		if (!grown) {
			c->err = ERR_NOMEM;
			return;
		}
		c->ports = grown;
		c->port_room = room;
	}
	c->ports[c->port_count++] = (struct port_ref){port, {service, index}};
}

static bool slice_is_of(const struct endpoint_slice *e, const struct service_object *s)
{
	return slice_eq(e->service, s->name) && slice_eq(e->namespace, s->namespace);
}

// Ports that these EndpointSlices give for one of the Service's own; returns how many.
static uint32_t list_slice_ports(struct compiler *c, struct related slices, uint32_t service,
				 uint32_t index)
{
	const struct service_object *s = c->model->services.items[service];
	uint32_t n = 0;

	for (uint32_t i = 0; i < slices.count; i++) {
		const struct endpoint_slice *e = c->model->slices.items[slices.items[i]];

		for (uint32_t k = 0; k < e->port_count && slice_is_of(e, s); k++) {
			if (!slice_eq(e->ports[k].name, s->ports[index].name))
				continue;
			list_port(c, e->ports[k].port, service, index);
			n++;
		}
	}
	return n;
}

// Where traffic to a Service's port arrives on the pod: slices are what it goes by, and the target port is what
// they will say once they have followed. Where neither tells, any port that the Service leads to.
static void list_service_port(struct compiler *c, uint32_t pod, uint32_t service, uint32_t index)
{
	const struct service_object *s = c->model->services.items[service];
	const struct pod *p = c->model->pods.items[pod];
	uint16_t port = s->selector.count > 0 ? service_target_port(&s->ports[index], p) : 0;
	uint32_t n = list_slice_ports(c, related_to(&c->index.pod_slices, pod), service, index);

	if (port != 0)
		list_port(c, port, service, index);
	else if (n == 0)
		list_slice_ports(c, related_to(&c->index.service_slices, service), service, index);
}

// Ports that Services with policies or limits lead to; a Service without any changes nothing.
static void list_ports(struct compiler *c, uint32_t pod)
{
	struct related services = related_to(&c->index.pod_services, pod);

	c->port_count = 0;
	for (uint32_t i = 0; i < services.count; i++) {
		uint32_t number = services.items[i];
		const struct service_object *s = c->model->services.items[number];

		if (related_to(&c->index.service_classes, number).count == 0)
			continue;
		for (uint32_t k = 0; k < s->port_count; k++) {
			if (s->ports[k].tcp)
				list_service_port(c, pod, number, k);
		}
	}
	if (c->port_count > 0)
		qsort(c->ports, c->port_count, sizeof(*c->ports), by_port);
}

static void gather_ports(struct compiler *c, uint32_t pod, struct pod_ports *out)
{
	const struct port_ref *list;

	list_ports(c, pod);
	list = c->ports;
	out->count = 0;
	out->too_many = false;
	out->services = arena_alloc(c->arena, c->port_count, sizeof(*out->services));
	if (!out->services) {
		c->err = ERR_NOMEM;
		return;
	}
	for (uint32_t i = 0, n = 0; i < c->port_count; i++) {
		struct port_source *last = out->count > 0 ? &out->ports[out->count - 1] : NULL;

		if (i > 0 && by_port(&list[i - 1], &list[i]) == 0)
			continue;
		out->services[n++] = list[i].ref;
		if (last && last->port == list[i].port) {
			last->count++;
			continue;
		}
		// One place is the other ports'.
		if (out->count == SNAPSHOT_PORTS_PER_OBJECT_MAX - 1) {
			out->too_many = true;
			return;
		}
		out->ports[out->count++] = (struct port_source){list[i].port, n - 1, 1};
	}
}

// ---- made once ---------------------------------------------------------------------------------

static bool put_number(uint32_t *to, uint32_t *n, uint32_t room, uint32_t value)
{
	if (*n < room)
		to[*n] = value;
	return (*n)++ < room;
}

// The source as a run of numbers in the arena.
static struct slice source_key(struct compiler *c, const struct effective_source *s)
{
	uint32_t room = 4 + 2 * s->service_count + s->pod_classes.count, n = 0;
	uint32_t *to = arena_alloc(c->arena, room, sizeof(*to));
	bool good = to != NULL;

	if (!good) {
		c->err = ERR_NOMEM;
		return (struct slice){0};
	}
	good &= put_number(to, &n, room, s->namespace);
	good &= put_number(to, &n, room, s->too_many_ports);
	good &= put_number(to, &n, room, s->service_count);
	for (uint32_t i = 0; i < s->service_count; i++) {
		good &= put_number(to, &n, room, s->services[i].service);
		good &= put_number(to, &n, room, s->services[i].port);
	}
	for (uint32_t i = 0; i < s->pod_classes.count; i++)
		good &= put_number(to, &n, room, s->pod_classes.items[i]);
	return slice_make(to, good ? n * sizeof(*to) : 0);
}

static bool made_grow(struct compiler *c)
{
	uint32_t room = c->made_room ? c->made_room * 2 : 256;
	struct slice *ids = realloc(c->made_ids, room * sizeof(*ids));

	if (!ids)
		return false;
	c->made_ids = ids;
	struct slice *keys = realloc(c->made_keys, room * sizeof(*keys));

	if (!keys)
		return false;
	c->made_keys = keys;
	c->made_room = room;
	return true;
}

static struct slice policy_of(struct compiler *c, const struct effective_source *s)
{
	struct slice key = source_key(c, s), id;
	uint64_t hash = hash_bytes(key, 0);
	uint32_t at = UINT32_MAX, i;

	while (lookup_next(&c->made, hash, &at, &i)) {
		if (slice_eq(c->made_keys[i], key))
			return c->made_ids[i];
	}
	id = effective_make(c, s);
	if (c->err == ERR_OK && c->made_count == c->made_room && !made_grow(c))
		c->err = ERR_NOMEM;
	if (c->err != ERR_OK)
		return id;
	c->made_ids[c->made_count] = id;
	c->made_keys[c->made_count] = key;
	c->err = lookup_put(&c->made, hash, c->made_count++);
	return id;
}

void compile_policies_deinit(struct compiler *c)
{
	free(c->effective);
	statements_deinit(c);
	free(c->ports);
	free(c->made_ids);
	free(c->made_keys);
	lookup_deinit(&c->made);
	c->effective = NULL;
	c->ports = NULL;
	c->made_ids = c->made_keys = NULL;
	c->made_count = c->made_room = c->port_count = c->port_room = 0;
}

uint32_t compile_pod_policies(struct compiler *c, uint32_t pod,
			      struct ss_port_policy out[SNAPSHOT_PORTS_PER_OBJECT_MAX])
{
	struct effective_source source = {
		.namespace = c->index.pod_namespace[pod],
		.pod_classes = related_to(&c->index.pod_classes, pod),
	};
	struct pod_ports ports;
	struct slice rest;
	uint32_t n = 0;

	gather_ports(c, pod, &ports);
	if (c->err != ERR_OK)
		return 0;
	source.too_many_ports = ports.too_many;
	rest = policy_of(c, &source);
	for (uint32_t i = 0; i < ports.count && c->err == ERR_OK; i++) {
		source.services = ports.services + ports.ports[i].first;
		source.service_count = ports.ports[i].count;
		struct slice id = policy_of(c, &source);

		if (id.len > 0 && !slice_eq(id, rest))
			out[n++] = (struct ss_port_policy){ports.ports[i].port, id};
	}
	if (rest.len > 0)
		out[n++] = (struct ss_port_policy){0, rest};
	return n;
}
