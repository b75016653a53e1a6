// SPDX-License-Identifier: GPL-3.0-or-later
// See service.h.
#include "core/service.h"

#include "core/cidr.h"

enum service_door service_door_of(const struct ss_service *s, struct addr dialled)
{
	for (uint32_t i = 0; i < s->addr_count; i++) {
		if (!addr_eq(s->addrs[i], dialled))
			continue;
		if (s->balancer_addrs >> i & 1)
			return DOOR_BALANCER;
		return s->external_addrs >> i & 1 ? DOOR_EXTERNAL : DOOR_CLUSTER;
	}
	return DOOR_NODE_PORT;
}

bool service_admits(const struct service_visit *v)
{
	const struct ss_service *s = v->service;
	bool in = v->door != DOOR_BALANCER || s->source_range_count == 0;

	for (uint32_t i = 0; i < s->source_range_count && !in; i++)
		in = cidr_contains(s->source_ranges[i], v->client);
	return in;
}

bool service_is_local(const struct service_visit *v)
{
	if (v->door == DOOR_CLUSTER)
		return v->service->internal_local;
	return v->service->external_local && !v->from_cluster;
}

bool service_is_usable(const struct service_visit *v, const struct ss_endpoint *e, bool terminating)
{
	if (terminating ? !(e->serving && e->terminating) : !e->ready)
		return false;
	if (addr_is_v4(e->addr) != addr_is_v4(v->dialled))
		return false; // the client's address has to be the pod's family
	return v->node.len == 0 || !service_is_local(v) || slice_eq(e->node, v->node);
}
