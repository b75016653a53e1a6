// SPDX-License-Identifier: GPL-3.0-or-later
// See explain_walk.h. What is said here is what the stage files do; a change there is a change here.
#include "verbs/explain_walk.h"

#include <stdarg.h>
#include <stdio.h>
#include "core/service.h"

static bool cannot(struct walk *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool cannot(struct walk *w, const char *format, ...)
{
	va_list l;

	va_start(l, format);
	vsnprintf(w->problem, sizeof(w->problem), format, l);
	va_end(l);
	return false;
}

// The first address of a family; none: another family is all that there is.
static struct addr addr_of_family(const struct addr *list, uint32_t count, bool v4)
{
	for (uint32_t i = 0; i < count; i++) {
		if (addr_is_v4(list[i]) == v4)
			return list[i];
	}
	return (struct addr){0};
}

// ---- who ---------------------------------------------------------------------------------------

static void from_pod(struct walk *w, const struct workload *pod)
{
	w->pod = pod;
	w->node = pod->record.node;
	w->captured = !pod->record.host_network;
	w->source = (struct principal){
		.type = PRINCIPAL_WORKLOAD,
		.trust_domain = snapshot_meta(w->snapshot)->trust_domain,
		.namespace = pod->record.namespace,
		.service_account = pod->record.service_account,
		.name = pod->record.name,
		.uid = pod->record.uid,
	};
	// Its node holds what comes from it, as from anybody whom it does not know.
	if (!pod->record.host_network && !pod->record.enrolled)
		w->source.type = PRINCIPAL_UNKNOWN;
	// Its address is the node's: nobody can tell it from the node's other processes.
	if (pod->record.host_network)
		w->source = (struct principal){.type = PRINCIPAL_NODE,
					       .trust_domain = w->source.trust_domain};
}

static const struct workload *pod_named(struct walk *w, struct slice ns, struct slice name)
{
	const struct object *o = model_find(w->model, OBJECT_POD, ns, name);
	const struct pod *p = o ? o->what : NULL;
	const struct workload *found = p ? snapshot_workload_by_uid(w->snapshot, p->uid) : NULL;

	if (!p)
		cannot(w, "there is no pod %.*s/%.*s", SLICE_ARG(ns), SLICE_ARG(name));
	else if (p->terminal)
		cannot(w, "pod %.*s/%.*s has ended", SLICE_ARG(ns), SLICE_ARG(name));
	else if (!found)
		cannot(w, "pod %.*s/%.*s has no node or address yet, or not for itself alone",
		       SLICE_ARG(ns), SLICE_ARG(name));
	return found;
}

static bool from_addr(struct walk *w, struct addr a, bool outside)
{
	const struct workload *pod = outside ? NULL : snapshot_workload_by_addr(w->snapshot, a);
	const struct ss_node *node = outside || pod ? NULL : snapshot_node_by_addr(w->snapshot, a);

	w->client = a;
	if (pod) {
		from_pod(w, pod);
		return true;
	}
	w->source = (struct principal){
		.type = node ? PRINCIPAL_NODE : PRINCIPAL_UNAUTHENTICATED,
		.trust_domain = snapshot_meta(w->snapshot)->trust_domain,
	};
	if (node)
		w->node = node->name;
	return true;
}

bool walk_from(struct walk *w, const char *from)
{
	struct slice text = slice_str(from);
	bool outside = slice_starts(text, SLICE_LIT("outside:"));
	size_t slash = slice_find(text, '/');
	const struct workload *pod;
	struct addr a;

	if (outside)
		text = slice_make(text.ptr + 8, text.len - 8);
	if (addr_parse(text, &a) == ERR_OK)
		return from_addr(w, a, outside);
	if (outside || slash == text.len)
		return cannot(w, "%s is neither NAMESPACE/POD nor an address", from);
	pod = pod_named(w, slice_make(text.ptr, slash),
			slice_make(text.ptr + slash + 1, text.len - slash - 1));
	if (!pod)
		return false;
	from_pod(w, pod);
	return true;
}

// A pod's address in the family of what it dials: another one could not.
static bool choose_client(struct walk *w, bool v4)
{
	if (w->pod && addr_is_none(w->client))
		w->client = addr_of_family(w->pod->record.addrs, w->pod->record.addr_count, v4);
	if (addr_is_none(w->client) || addr_is_v4(w->client) != v4)
		return cannot(w, "the source has no IPv%d address", v4 ? 4 : 6);
	return true;
}

// ---- where to ----------------------------------------------------------------------------------

static bool add_way(struct walk *w, enum walk_end end, const char *reason, const char *why)
{
	w->ways[w->count++] = (struct walk_way){.end = end, .reason = reason, .why = why};
	return true;
}

static bool make_ways(struct walk *w, uint32_t count)
{
	w->ways = arena_alloc(w->arena, count, sizeof(*w->ways));
	return w->ways ? true : cannot(w, "out of memory");
}

// A connection's only answer, whatever endpoint there is.
static bool only_way(struct walk *w, enum walk_end end, const char *reason, const char *why)
{
	return make_ways(w, 1) && add_way(w, end, reason, why);
}

// identify: what a node does not know as one of its enrolled pods is held, and then refused. What does not
// pass a node's capture is not seen by it.
static bool source_is_let_in(struct walk *w, bool *let_in)
{
	*let_in = true;
	if (!w->captured || !w->pod || w->pod->record.enrolled)
		return true;
	*let_in = false;
	return only_way(w, WALK_REFUSED, "unknown_source",
			"the source pod is not enrolled: its node holds it and then refuses");
}

// pick_route: where the pod runs, and whether it is one to protect.
static void add_pod_way(struct walk *w, const struct workload *to, struct addr_port target)
{
	struct walk_way *way = &w->ways[w->count++];

	*way = (struct walk_way){.target = target, .destination = to};
	if (to)
		way->node = to->record.node;
	if (!to || !to->record.enrolled) {
		way->end = WALK_PASSED;
		way->reason = "not_enrolled";
		way->why = to ? "the pod is not enrolled: nothing is enforced there"
			      : "the endpoint is no pod: nothing is enforced there";
	} else if (w->source.type == PRINCIPAL_NODE && slice_eq(w->node, way->node)) {
		way->end = WALK_PASSED;
		way->reason = "not_captured";
		way->why = "a node's own processes reach its pods uncaptured";
	} else if (w->node.len > 0 && !slice_eq(w->node, way->node) &&
		   !snapshot_node_by_name(w->snapshot, way->node)) {
		way->end = WALK_REFUSED;
		way->reason = "no_route";
		way->why = "the pod's node is not known";
	}
}

static bool to_pod(struct walk *w, const struct workload *to, struct addr_port target)
{
	bool let_in;

	if (!choose_client(w, addr_is_v4(target.addr)) || !source_is_let_in(w, &let_in))
		return false;
	if (!let_in)
		return true;
	if (!make_ways(w, 1))
		return false;
	add_pod_way(w, to, target);
	return true;
}

// Of a source outside nobody knows by which node it comes in.
static struct service_visit visit_of(const struct walk *w, const struct ss_service *s,
				     struct addr dialled)
{
	return (struct service_visit){
		.service = s,
		.door = service_door_of(s, dialled),
		.dialled = dialled,
		.client = w->client,
		.from_cluster = snapshot_workload_by_addr(w->snapshot, w->client) != NULL,
		.node = w->node,
	};
}

static void add_endpoint(struct walk *w, const struct ss_endpoint *e, uint16_t port)
{
	const struct workload *to =
		e->workload_uid.len ? snapshot_workload_by_uid(w->snapshot, e->workload_uid) : NULL;

	add_pod_way(w, to, (struct addr_port){e->addr, port});
}

// Endpoints that are ready, else those that serve while they end; as kube-proxy chooses. port 0: the
// endpoint's own.
static bool to_endpoints(struct walk *w, const struct ss_service *s,
			 const struct ss_service_port *p, struct addr dialled, uint16_t port)
{
	struct service_visit visit;
	bool let_in;

	if (!choose_client(w, addr_is_v4(dialled)) || !source_is_let_in(w, &let_in))
		return false;
	if (!let_in)
		return true;
	if (!make_ways(w, p->endpoint_count + 1))
		return false;
	visit = visit_of(w, s, dialled);
	if (!service_admits(&visit))
		return add_way(w, WALK_REFUSED, "source_range",
			       "the source is in none of the Service's loadBalancerSourceRanges");
	for (int terminating = 0; terminating < 2 && w->count == 0; terminating++) {
		for (uint32_t i = 0; i < p->endpoint_count; i++) {
			const struct ss_endpoint *e = &p->endpoints[i];

			if (service_is_usable(&visit, e, terminating))
				add_endpoint(w, e, port ? port : e->port);
		}
	}
	if (w->count > 0)
		return true;
	return add_way(w, WALK_REFUSED, "no_endpoint",
		       service_is_local(&visit)
			       ? "no endpoint of the Service is ready on the source's node"
			       : "no endpoint of the Service is ready");
}

static bool no_port(struct walk *w)
{
	bool let_in;

	if (!source_is_let_in(w, &let_in))
		return false;
	return !let_in || only_way(w, WALK_REFUSED, "no_route", "the Service has no such port");
}

static bool to_addr(struct walk *w, struct addr_port dialled)
{
	const struct workload *pod = snapshot_workload_by_addr(w->snapshot, dialled.addr);
	const struct ss_service *s = NULL;
	const struct ss_service_port *p;

	if (pod)
		return to_pod(w, pod, dialled);
	p = snapshot_service_port(w->snapshot, dialled.addr, dialled.port, &s);
	if (p)
		return to_endpoints(w, s, p, dialled.addr, 0);
	if (snapshot_is_service_addr(w->snapshot, dialled.addr))
		return choose_client(w, addr_is_v4(dialled.addr)) && no_port(w);
	if (snapshot_node_by_addr(w->snapshot, dialled.addr))
		return choose_client(w, addr_is_v4(dialled.addr)) &&
		       only_way(w, WALK_PASSED, "not_captured",
				"the port is the node's own, no Service's");
	return cannot(w, "nobody here has that address");
}

// Of a headless Service DNS gives the pods' own addresses, and the port is the one that is dialled.
static bool to_headless(struct walk *w, const struct ss_service *s, uint16_t port)
{
	const struct ss_service_port *with = NULL;
	bool v4 = !w->pod || addr_is_v4(w->pod->record.addrs[0]);
	struct addr at = {0};

	if (!addr_is_none(w->client))
		v4 = addr_is_v4(w->client);
	for (uint32_t i = 0; i < s->port_count && !with; i++)
		with = s->ports[i].endpoint_count > 0 ? &s->ports[i] : NULL;
	if (!with)
		return cannot(w, "the headless Service has no endpoints: its name leads nowhere");
	for (uint32_t i = 0; i < with->endpoint_count && addr_is_none(at); i++) {
		if (addr_is_v4(with->endpoints[i].addr) == v4)
			at = with->endpoints[i].addr;
	}
	return to_endpoints(w, s, with, at, port);
}

static bool to_service(struct walk *w, const struct ss_service *s, uint16_t port)
{
	struct addr at;

	if (s->addr_count == 0)
		return to_headless(w, s, port);
	at = s->addrs[0];
	// Who has both families dials what it has an address for.
	if (!addr_is_none(w->client) || w->pod) {
		struct addr own = addr_is_none(w->client) ? w->pod->record.addrs[0] : w->client;
		struct addr same = addr_of_family(s->addrs, s->addr_count, addr_is_v4(own));

		at = addr_is_none(same) ? at : same;
	}
	for (uint32_t i = 0; i < s->port_count; i++) {
		if (s->ports[i].port == port)
			return to_endpoints(w, s, &s->ports[i], at, 0);
	}
	return choose_client(w, addr_is_v4(at)) && no_port(w);
}

static bool to_named_pod(struct walk *w, struct slice ns, struct slice name, uint16_t port)
{
	const struct workload *to = pod_named(w, ns, name);
	struct addr at = {0};
	bool v4;

	if (!to)
		return false;
	if (to->record.host_network)
		return to_addr(w, (struct addr_port){to->record.addrs[0], port});
	v4 = addr_is_v4(addr_is_none(w->client) && w->pod ? w->pod->record.addrs[0] : w->client);
	at = addr_of_family(to->record.addrs, to->record.addr_count, v4);
	if (addr_is_none(at))
		at = to->record.addrs[0];
	return to_pod(w, to, (struct addr_port){at, port});
}

static bool parse_port(struct slice text, uint16_t *out)
{
	uint32_t n = 0;

	if (text.len == 0 || text.len > 5)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		n = n * 10 + (uint32_t)(text.ptr[i] - '0');
	}
	*out = (uint16_t)n;
	return n >= 1 && n <= 65535;
}

bool walk_to(struct walk *w, const char *to)
{
	struct slice host = slice_str(to);
	const char *colon = strrchr(to, ':');
	const struct ss_service *s;
	struct addr a;
	uint16_t port;

	if (!colon || !parse_port(slice_str(colon + 1), &port))
		return cannot(w, "it has to end in :PORT");
	host.len = (size_t)(colon - to);
	if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
		host = slice_make(host.ptr + 1, host.len - 2);
	if (addr_parse(host, &a) == ERR_OK)
		return to_addr(w, (struct addr_port){a, port});
	size_t slash = slice_find(host, '/'), dot = slice_find(host, '.');

	if (slash < host.len)
		return to_named_pod(w, slice_make(host.ptr, slash),
				    slice_make(host.ptr + slash + 1, host.len - slash - 1), port);
	if (dot == host.len)
		return cannot(w, "it is neither SERVICE.NAMESPACE, NAMESPACE/POD nor an address");
	s = snapshot_service_by_name(w->snapshot,
				     slice_make(host.ptr + dot + 1, host.len - dot - 1),
				     slice_make(host.ptr, dot));
	if (!s)
		return cannot(w, "there is no Service %.*s in namespace %.*s", (int)dot,
			      (const char *)host.ptr, (int)(host.len - dot - 1),
			      (const char *)host.ptr + dot + 1);
	return to_service(w, s, port);
}
