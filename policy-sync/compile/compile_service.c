// SPDX-License-Identifier: GPL-3.0-or-later
// Services with their endpoints; see compile.h. Endpoints come from EndpointSlices, as for kube-proxy.
#include <stdio.h>
#include "common/snapshot_codec.h"
#include "compile/compile.h"

#define ENDPOINTS_MAX 100000

const struct pod *endpoint_pod(const struct model *m, const struct endpoint_slice *s,
			       const struct endpoint_object *e)
{
	for (uint32_t i = 0; i < m->pods.count; i++) {
		const struct pod *p = m->pods.items[i];

		if (p->terminal || p->host_network)
			continue;
		if (e->pod_uid.len > 0 && slice_eq(e->pod_uid, p->uid))
			return p;
		if (e->pod_uid.len == 0 && e->pod_name.len > 0 && slice_eq(e->pod_name, p->name) &&
		    slice_eq(s->namespace, p->namespace))
			return p;
		for (uint32_t k = 0; e->pod_name.len == 0 && k < p->addr_count; k++) {
			if (e->addr_count > 0 && addr_eq(p->addrs[k], e->addrs[0]))
				return p;
		}
	}
	return NULL;
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

bool service_selects(const struct model *m, const struct service_object *s, const struct pod *p)
{
	if (!slice_eq(s->namespace, p->namespace))
		return false;
	if (s->selector.count > 0 && labels_match(&s->selector, &p->labels))
		return true;
	// Or by what serves it: a Service without a selector.
	for (uint32_t i = 0; i < m->slices.count; i++) {
		const struct endpoint_slice *e = m->slices.items[i];

		if (!slice_eq(e->service, s->name) || !slice_eq(e->namespace, s->namespace))
			continue;
		for (uint32_t k = 0; k < e->endpoint_count; k++) {
			if (endpoint_pod(m, e, &e->endpoints[k]) == p)
				return true;
		}
	}
	return false;
}

static uint32_t add_endpoints(const struct model *m, const struct endpoint_slice *s, uint16_t port,
			      struct ss_endpoint *out, uint32_t room)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->endpoint_count && n < room; i++) {
		const struct endpoint_object *e = &s->endpoints[i];
		const struct pod *p = endpoint_pod(m, s, e);

		if (e->addr_count == 0)
			continue;
		out[n++] = (struct ss_endpoint){
			.addr = e->addrs[0],
			.port = port,
			.ready = e->ready,
			.serving = e->serving,
			.terminating = e->terminating,
			.workload_uid = p ? p->uid : (struct slice){0},
			.node = e->node.len > 0 ? e->node
				: p		? p->node
						: (struct slice){0},
		};
	}
	return n;
}

static void gather_endpoints(struct compiler *c, const struct service_object *s,
			     const struct service_port_object *port, struct ss_service_port *out)
{
	uint32_t room = 0;

	for (uint32_t i = 0; i < c->model->slices.count; i++)
		room += ((const struct endpoint_slice *)c->model->slices.items[i])->endpoint_count;
	if (room > ENDPOINTS_MAX)
		room = ENDPOINTS_MAX;
	out->endpoints = arena_alloc(c->arena, room, sizeof(*out->endpoints));
	if (!out->endpoints) {
		c->err = ERR_NOMEM;
		return;
	}
	for (uint32_t i = 0; i < c->model->slices.count; i++) {
		const struct endpoint_slice *e = c->model->slices.items[i];

		if (!slice_eq(e->service, s->name) || !slice_eq(e->namespace, s->namespace))
			continue;
		// A slice's port belongs to the Service's port of the same name.
		for (uint32_t k = 0; k < e->port_count; k++) {
			if (slice_eq(e->ports[k].name, port->name))
				out->endpoint_count +=
					add_endpoints(c->model, e, e->ports[k].port,
						      out->endpoints + out->endpoint_count,
						      room - out->endpoint_count);
		}
	}
}

static void compile_service(struct compiler *c, const struct service_object *s)
{
	struct ss_service_port ports[SNAPSHOT_PORTS_PER_OBJECT_MAX];
	struct ss_service out = {
		.namespace = s->namespace,
		.name = s->name,
		.addrs = s->addrs,
		.addr_count = s->addr_count,
		.ports = ports,
		.internal_local = s->internal_local,
		.external_local = s->external_local,
		.affinity_timeout_s = s->affinity_timeout_s,
		.source_ranges = s->source_ranges,
		.source_range_count = s->source_range_count,
	};
	char key[256];
	struct buf b;

	for (uint32_t i = 0; i < s->port_count; i++) {
		const struct service_port_object *p = &s->ports[i];

		if (!p->tcp)
			continue;
		ports[out.port_count] = (struct ss_service_port){
			.name = p->name,
			.port = p->port,
			.node_port = p->node_port,
			.protocol = p->protocol,
		};
		gather_endpoints(c, s, p, &ports[out.port_count++]);
	}
	snprintf(key, sizeof(key), "%.*s/%.*s", SLICE_ARG(s->namespace), SLICE_ARG(s->name));
	if (compile_has(c, SECTION_SERVICES, slice_str(key))) {
		diagnostics_add(c->diagnostics, SEVERITY_ERROR, s->origin.file, s->origin.line, 1,
				"metadata.name", "Service %s is there twice", key);
		return;
	}
	buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
	snapshot_encode_service(&b, &out);
	compile_put(c, SECTION_SERVICES, slice_str(key), buf_slice(&b));
	if (b.err != ERR_OK)
		c->err = b.err;
	buf_deinit(&b);
}

void compile_services(struct compiler *c)
{
	for (uint32_t i = 0; i < c->model->services.count; i++)
		compile_service(c, c->model->services.items[i]);
}
