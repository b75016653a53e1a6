// SPDX-License-Identifier: GPL-3.0-or-later
// Services with their endpoints; see compile.h. Endpoints come from EndpointSlices, as for kube-proxy.
#include <stdio.h>
#include "common/snapshot_codec.h"
#include "compile/compile.h"

// Nobody gets through a Service what its node keeps to itself; only the API server is reached so.
static bool is_nodes_own(struct compiler *c, const struct endpoint_slice *s, struct addr a,
			 uint16_t port)
{
	char text[ADDR_TEXT_MAX];

	if (!compile_is_node_own_port(c->model, port) || !index_is_node(&c->index, c->model, a) ||
	    (slice_eq_str(s->namespace, "default") && slice_eq_str(s->service, "kubernetes")))
		return false;
	compile_say(c, SEVERITY_ERROR, &s->origin, "endpoints",
		    "%s port %u is the node's own: the endpoint is left out", addr_format(a, text),
		    port);
	return true;
}

static uint32_t add_endpoints(struct compiler *c, const struct endpoint_slice *s, uint16_t port,
			      struct ss_endpoint *out)
{
	const struct model *m = c->model;
	uint32_t n = 0, pod;

	for (uint32_t i = 0; i < s->endpoint_count; i++) {
		const struct endpoint_object *e = &s->endpoints[i];
		enum endpoint_place place = index_endpoint(&c->index, m, s, e, &pod);
		const struct pod *p = place == ENDPOINT_POD ? m->pods.items[pod] : NULL;

		// What would be passed on without anybody's policy is not passed on.
		if (place == ENDPOINT_NOWHERE || (p && !c->pod_put[pod]) ||
		    is_nodes_own(c, s, e->addrs[0], port))
			continue;
		out[n++] = (struct ss_endpoint){
			.addr = e->addrs[0],
			.port = port,
			.ready = e->ready,
			.serving = e->serving,
			.terminating = e->terminating,
			.workload_uid = p ? p->uid : (struct slice){0},
			.node = p ? p->node : e->node,
		};
	}
	return n;
}

// Endpoints of a Service's port: of each slice's ports, those of the same name.
// False: there are too many.
static bool gather_endpoints(struct compiler *c, uint32_t service,
			     const struct service_port_object *port, struct ss_service_port *out)
{
	struct related slices = related_to(&c->index.service_slices, service);
	uint64_t room = 0;

	for (int pass = 0; pass < 2 && c->err == ERR_OK; pass++) {
		for (uint32_t i = 0; i < slices.count; i++) {
			const struct endpoint_slice *e = c->model->slices.items[slices.items[i]];

			for (uint32_t k = 0; k < e->port_count; k++) {
				if (!slice_eq(e->ports[k].name, port->name))
					continue;
				if (pass == 0)
					room += e->endpoint_count;
				else
					out->endpoint_count +=
						add_endpoints(c, e, e->ports[k].port,
							      out->endpoints + out->endpoint_count);
			}
		}
		// Slices' endpoints times their ports: no record could hold it.
		if (pass == 0 && room > SNAPSHOT_ENDPOINTS_PER_PORT_MAX)
			return false;
		if (pass == 0) {
			out->endpoints = arena_alloc(c->arena, room, sizeof(*out->endpoints));
			c->err = out->endpoints ? ERR_OK : ERR_NOMEM;
		}
	}
	return true;
}

// The addresses that are left to it.
static struct addr *addrs_left(struct compiler *c, uint32_t index, uint32_t *count)
{
	const struct service_object *s = c->model->services.items[index];
	struct addr *list = arena_alloc(c->arena, s->addr_count, sizeof(*list));

	*count = 0;
	for (uint32_t i = 0; list && i < s->addr_count; i++) {
		if (!(c->claims[index].lost & (1ull << i)))
			list[(*count)++] = s->addrs[i];
	}
	if (!list)
		c->err = ERR_NOMEM;
	return list;
}

// Bits of the addresses that are left, in their new places.
static uint64_t bits_left(const struct service_claims *claims, uint64_t bits, uint32_t addr_count)
{
	uint64_t out = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < addr_count; i++) {
		if (!(claims->lost & (1ull << i)))
			out |= (bits >> i & 1) << n++;
	}
	return out;
}

// By what door each of its addresses leads in.
static void note_doors(const struct service_object *s, const struct service_claims *claims,
		       struct ss_service *out)
{
	uint32_t balancer = s->addr_count - s->balancer_addr_count;
	uint64_t external_addrs = 0, balancer_addrs = 0;

	for (uint32_t i = s->cluster_addr_count; i < s->addr_count; i++)
		*(i < balancer ? &external_addrs : &balancer_addrs) |= 1ull << i;
	out->external_addrs = bits_left(claims, external_addrs, s->addr_count);
	out->balancer_addrs = bits_left(claims, balancer_addrs, s->addr_count);
}

static void compile_service(struct compiler *c, uint32_t index)
{
	const struct service_object *s = c->model->services.items[index];
	struct ss_service_port ports[SNAPSHOT_PORTS_PER_OBJECT_MAX];
	struct ss_service out = {
		.namespace = s->namespace,
		.name = s->name,
		.ports = ports,
		.internal_local = s->internal_local,
		.external_local = s->external_local,
		.affinity_timeout_s = s->affinity_timeout_s,
		.source_ranges = s->source_ranges,
		.source_range_count = s->source_range_count,
	};
	char key[600];
	struct reason why;
	bool many = false;
	struct buf b;

	if (s->gone)
		return;
	out.addrs = addrs_left(c, index, &out.addr_count);
	note_doors(s, &c->claims[index], &out);
	for (uint32_t i = 0; i < s->port_count; i++) {
		const struct service_port_object *p = &s->ports[i];

		if (!p->tcp || p->gone)
			continue;
		ports[out.port_count] = (struct ss_service_port){
			.name = p->name,
			.port = p->port,
			.node_port = c->claims[index].node_port_lost[i] ? 0 : p->node_port,
			.not_at = bits_left(&c->claims[index], c->claims[index].port_lost[i],
					    s->addr_count),
			.protocol = p->protocol,
		};
		many |= !gather_endpoints(c, index, p, &ports[out.port_count++]);
	}
	snprintf(key, sizeof(key), "%.*s/%.*s", SLICE_ARG(s->namespace), SLICE_ARG(s->name));
	if (many) {
		compile_say(c, SEVERITY_ERROR, &s->origin, "spec",
			    "Service %s is left out: it has more than %u endpoints of a port", key,
			    SNAPSHOT_ENDPOINTS_PER_PORT_MAX);
		return;
	}
	buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
	snapshot_encode_service(&b, &out);
	if (!compile_put(c, SECTION_SERVICES, slice_str(key), &b, &why))
		compile_say(c, SEVERITY_ERROR, &s->origin, "spec", "Service %s is left out: %s",
			    key, why.text);
	buf_deinit(&b);
}

void compile_services(struct compiler *c)
{
	for (uint32_t i = 0; i < c->model->services.count && c->err == ERR_OK; i++)
		compile_service(c, i);
}
