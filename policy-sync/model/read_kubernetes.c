// SPDX-License-Identifier: GPL-3.0-or-later
// Kubernetes' own kinds, as the API server writes them; fields that are not needed are passed over. See
// read.h.
#include "model/read.h"

#define ADDRS_MAX SNAPSHOT_ADDRS_PER_OBJECT_MAX
#define MODE_LABEL "portcullis.dev/dataplane-mode"

bool read_labels(const struct view *v, struct labels *out)
{
	uint32_t n = tree_count(v->tree), index = 0;

	*out = (struct labels){0};
	if (!view_present(v))
		return true;
	if (!view_require(v, TREE_MAP))
		return false;
	out->list = arena_alloc(v->arena, n, sizeof(*out->list));
	for (struct view i = view_first(v); out->list && i.tree; i = view_next(v, &i, &index)) {
		struct label *l = &out->list[out->count];

		l->key = i.tree->key;
		if (i.tree->kind == TREE_NULL)
			l->value = SLICE_LIT("");
		else if (!view_text(&i, &l->value))
			return false;
		out->count++;
	}
	return out->list != NULL;
}

bool read_meta(const struct view *v, struct object_meta *out)
{
	struct view meta = view_get(v, "metadata");
	struct view name = view_get(&meta, "name"), ns = view_get(&meta, "namespace");
	struct view uid = view_get(&meta, "uid"), labels = view_get(&meta, "labels");
	struct view annotations = view_get(&meta, "annotations");

	*out = (struct object_meta){.origin = {v->file, v->tree->line}};
	if (!view_short_text(&name, 253, &out->name) ||
	    (view_present(&ns) && !view_short_text(&ns, 63, &out->namespace)))
		return false;
	if (view_present(&uid) && !view_short_text(&uid, 64, &out->uid))
		return false;
	return read_labels(&labels, &out->labels) && read_labels(&annotations, &out->annotations);
}

static enum dataplane_mode read_mode(const struct view *v, const struct labels *l)
{
	struct slice value;

	if (!labels_get(l, MODE_LABEL, &value))
		return DATAPLANE_UNSET;
	if (slice_eq_str(value, "enabled"))
		return DATAPLANE_ENABLED;
	if (slice_eq_str(value, "none"))
		return DATAPLANE_NONE;
	view_error(v, "label " MODE_LABEL " has to be enabled or none, is \"%.*s\"",
		   SLICE_ARG(value));
	return DATAPLANE_UNSET;
}

static void add(const struct view *v, struct object_list *list, void *item)
{
	if (!item || object_add(list, item) != ERR_OK)
		view_error(v, "there are too many objects");
}

// A list of maps (key set) or texts (key NULL) with one address each.
static bool read_addrs(const struct view *v, const char *key, struct addr **out, uint32_t *count)
{
	uint32_t n = tree_count(v->tree), index = 0;

	if (!view_present(v))
		return true;
	if (!view_require(v, TREE_LIST))
		return false;
	if (!*out)
		*out = arena_alloc(v->arena, ADDRS_MAX, sizeof(**out));
	if (!*out || *count + n > ADDRS_MAX) {
		view_error(v, "has too many addresses");
		return false;
	}
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		struct view at = key ? view_get(&i, key) : i;

		if (key && !view_present(&at))
			continue; // a load balancer's host name
		if (!view_addr(&at, &(*out)[*count]))
			return false;
		(*count)++;
	}
	return true;
}

// ---- Pod ---------------------------------------------------------------------------------------

static bool read_container_ports(const struct view *spec, struct pod *p)
{
	struct view containers = view_get(spec, "containers");
	uint32_t index = 0;

	p->ports = arena_alloc(spec->arena, SNAPSHOT_PORTS_PER_OBJECT_MAX, sizeof(*p->ports));
	for (struct view c = view_first(&containers); p->ports && c.tree;
	     c = view_next(&containers, &c, &index)) {
		struct view ports = view_get(&c, "ports");
		uint32_t k = 0;

		for (struct view i = view_first(&ports); i.tree; i = view_next(&ports, &i, &k)) {
			struct view name = view_get(&i, "name"), port = view_get(&i, "containerPort");
			uint64_t n;

			if (!view_present(&name) || p->port_count == SNAPSHOT_PORTS_PER_OBJECT_MAX)
				continue;
			if (!view_number(&port, 1, 65535, &n) ||
			    !view_text(&name, &p->ports[p->port_count].name))
				return false;
			p->ports[p->port_count++].port = (uint16_t)n;
		}
	}
	return true;
}

static bool read_pod_status(const struct view *v, struct pod *p)
{
	struct view status = view_get(v, "status"), ips = view_get(&status, "podIPs");
	struct view phase = view_get(&status, "phase"), ip = view_get(&status, "podIP");
	struct slice s;

	if (view_present(&phase)) {
		if (!view_text(&phase, &s))
			return false;
		p->terminal = slice_eq_str(s, "Succeeded") || slice_eq_str(s, "Failed");
	}
	if (!read_addrs(&ips, "ip", &p->addrs, &p->addr_count))
		return false;
	if (p->addr_count > 0 || !view_present(&ip))
		return true;
	p->addrs = arena_alloc(v->arena, 1, sizeof(*p->addrs));
	p->addr_count = 1;
	return p->addrs && view_addr(&ip, &p->addrs[0]);
}

void read_pod(struct model *m, const struct view *v)
{
	struct view spec = view_get(v, "spec"), node = view_get(&spec, "nodeName");
	struct view account = view_get(&spec, "serviceAccountName");
	struct view host = view_get(&spec, "hostNetwork");
	struct pod *p = arena_alloc(v->arena, 1, sizeof(*p));
	struct object_meta meta;

	if (!p || !read_meta(v, &meta))
		return;
	p->origin = meta.origin;
	p->namespace = meta.namespace;
	p->name = meta.name;
	p->uid = meta.uid;
	p->labels = meta.labels;
	p->mode = read_mode(v, &meta.labels);
	p->service_account = SLICE_LIT("default");
	if (p->uid.len == 0) {
		struct view at = view_get(v, "metadata");

		view_error(&at, "uid is required");
		return;
	}
	if ((view_present(&node) && !view_short_text(&node, 253, &p->node)) ||
	    (view_present(&account) && !view_short_text(&account, 253, &p->service_account)) ||
	    (view_present(&host) && !view_bool(&host, &p->host_network)))
		return;
	if (read_container_ports(&spec, p) && read_pod_status(v, p))
		add(v, &m->pods, p);
}

// ---- Node, Namespace ---------------------------------------------------------------------------

static bool read_node_addresses(const struct view *status, struct node_object *n)
{
	struct view list = view_get(status, "addresses");
	uint32_t index = 0;

	n->addrs = arena_alloc(status->arena, ADDRS_MAX, sizeof(*n->addrs));
	for (struct view i = view_first(&list); n->addrs && i.tree; i = view_next(&list, &i, &index)) {
		struct view type = view_get(&i, "type"), address = view_get(&i, "address");
		struct slice s;

		if (!view_text(&type, &s))
			return false;
		// The first internal address is where its tunnel is dialled.
		if (!slice_eq_str(s, "InternalIP") || n->addr_count == ADDRS_MAX)
			continue;
		if (!view_addr(&address, &n->addrs[n->addr_count]))
			return false;
		n->addr_count++;
	}
	return n->addrs != NULL;
}

void read_node(struct model *m, const struct view *v)
{
	struct node_object *n = arena_alloc(v->arena, 1, sizeof(*n));
	struct view status = view_get(v, "status");
	struct object_meta meta;
	struct slice value;

	if (!n || !read_meta(v, &meta))
		return;
	n->origin = meta.origin;
	n->name = meta.name;
	(void)labels_get(&meta.labels, "topology.kubernetes.io/zone", &n->zone);
	// Any node may be one where traffic from outside comes in, unless it is told otherwise.
	n->ingress = !(labels_get(&meta.labels, "portcullis.dev/ingress", &value) &&
		       slice_eq_str(value, "false"));
	if (read_node_addresses(&status, n))
		add(v, &m->nodes, n);
}

void read_namespace(struct model *m, const struct view *v)
{
	struct namespace_object *n = arena_alloc(v->arena, 1, sizeof(*n));
	struct object_meta meta;

	if (!n || !read_meta(v, &meta))
		return;
	n->origin = meta.origin;
	n->name = meta.name;
	n->labels = meta.labels;
	n->mode = read_mode(v, &meta.labels);
	add(v, &m->namespaces, n);
}

// ---- Service -----------------------------------------------------------------------------------

static enum app_protocol app_protocol_of(struct slice s)
{
	static const struct {
		const char *name;
		enum app_protocol protocol;
	} rows[] = {
		{"http", APP_PROTOCOL_HTTP},	      {"kubernetes.io/ws", APP_PROTOCOL_HTTP},
		{"kubernetes.io/h2c", APP_PROTOCOL_HTTP2}, {"grpc", APP_PROTOCOL_HTTP2},
		{"https", APP_PROTOCOL_TLS},	      {"tls", APP_PROTOCOL_TLS},
		{"kubernetes.io/wss", APP_PROTOCOL_TLS},   {"tcp", APP_PROTOCOL_TCP},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (slice_eq_str(s, rows[i].name))
			return rows[i].protocol;
	}
	return APP_PROTOCOL_UNKNOWN;
}

static bool read_target_port(const struct view *v, struct service_port_object *p)
{
	struct slice s;
	uint64_t n;

	if (!view_present(v)) {
		p->target = p->port;
		return true;
	}
	if (!view_text(v, &s))
		return false;
	if (!v->tree->quoted && s.len > 0 && s.ptr[0] >= '0' && s.ptr[0] <= '9') {
		if (!view_number(v, 1, 65535, &n))
			return false;
		p->target = (uint16_t)n;
		return true;
	}
	p->target_name = s;
	return true;
}

static bool read_service_port(const struct view *i, struct service_port_object *p)
{
	struct view name = view_get(i, "name"), port = view_get(i, "port");
	struct view target = view_get(i, "targetPort"), node_port = view_get(i, "nodePort");
	struct view protocol = view_get(i, "protocol"), app = view_get(i, "appProtocol");
	struct slice s;
	uint64_t n;

	p->tcp = true;
	if (!view_number(&port, 1, 65535, &n))
		return false;
	p->port = (uint16_t)n;
	if (view_present(&node_port)) {
		if (!view_number(&node_port, 0, 65535, &n))
			return false;
		p->node_port = (uint16_t)n;
	}
	if (view_present(&protocol)) {
		if (!view_text(&protocol, &s))
			return false;
		p->tcp = slice_eq_str(s, "TCP");
	}
	if (view_present(&app)) {
		if (!view_text(&app, &s))
			return false;
		p->protocol = app_protocol_of(s);
	}
	return (!view_present(&name) || view_text(&name, &p->name)) && read_target_port(&target, p);
}

static bool read_service_ports(const struct view *spec, struct service_object *s)
{
	struct view list = view_get(spec, "ports");
	uint32_t n = tree_count(list.tree), index = 0;

	if (!view_present(&list))
		return true;
	s->ports = n <= SNAPSHOT_PORTS_PER_OBJECT_MAX
			   ? arena_alloc(spec->arena, n, sizeof(*s->ports))
			   : NULL;
	if (!s->ports) {
		view_error(&list, "has too many ports");
		return false;
	}
	for (struct view i = view_first(&list); i.tree; i = view_next(&list, &i, &index)) {
		if (!read_service_port(&i, &s->ports[s->port_count]))
			return false;
		s->port_count++;
	}
	return true;
}

static bool is_local(const struct view *spec, const char *key)
{
	struct view v = view_get(spec, key);
	struct slice s;

	return view_present(&v) && view_text(&v, &s) && slice_eq_str(s, "Local");
}

static bool read_affinity(const struct view *spec, struct service_object *s)
{
	struct view affinity = view_get(spec, "sessionAffinity");
	struct view config = view_get(spec, "sessionAffinityConfig");
	struct view client = view_get(&config, "clientIP");
	struct view timeout = view_get(&client, "timeoutSeconds");
	uint64_t n = 10800; // Kubernetes' default: three hours
	struct slice text;

	if (!view_present(&affinity))
		return true;
	if (!view_text(&affinity, &text))
		return false;
	if (!slice_eq_str(text, "ClientIP"))
		return true;
	if (view_present(&timeout) && !view_number(&timeout, 1, 86400, &n))
		return false;
	s->affinity_timeout_s = (uint32_t)n;
	return true;
}

void read_service(struct model *m, const struct view *v)
{
	struct service_object *s = arena_alloc(v->arena, 1, sizeof(*s));
	struct view spec = view_get(v, "spec"), selector = view_get(&spec, "selector");
	struct view ips = view_get(&spec, "clusterIPs"), ip = view_get(&spec, "clusterIP");
	struct view external = view_get(&spec, "externalIPs"), status = view_get(v, "status");
	struct view balancer = view_get(&status, "loadBalancer");
	struct view ingress = view_get(&balancer, "ingress");
	struct view ranges = view_get(&spec, "loadBalancerSourceRanges");
	struct view type = view_get(&spec, "type");
	struct object_meta meta;
	struct slice text;

	if (!s || !read_meta(v, &meta))
		return;
	s->origin = meta.origin;
	s->namespace = meta.namespace;
	s->name = meta.name;
	if (view_present(&type) && view_text(&type, &text) && slice_eq_str(text, "ExternalName"))
		return;
	bool headless = view_present(&ip) && view_text(&ip, &text) && slice_eq_str(text, "None");

	if (!headless && view_present(&ips)) {
		if (!read_addrs(&ips, NULL, &s->addrs, &s->addr_count))
			return;
	} else if (!headless && view_present(&ip)) {
		s->addrs = arena_alloc(v->arena, ADDRS_MAX, sizeof(*s->addrs));
		if (!s->addrs || !view_addr(&ip, &s->addrs[s->addr_count++]))
			return;
	}
	if (!read_addrs(&external, NULL, &s->addrs, &s->addr_count) ||
	    !read_addrs(&ingress, "ip", &s->addrs, &s->addr_count) ||
	    !read_labels(&selector, &s->selector) || !read_service_ports(&spec, s) ||
	    !read_affinity(&spec, s))
		return;
	if (view_present(&ranges) &&
	    !read_cidrs(&ranges, &s->source_ranges, &s->source_range_count))
		return;
	s->internal_local = is_local(&spec, "internalTrafficPolicy");
	s->external_local = is_local(&spec, "externalTrafficPolicy");
	add(v, &m->services, s);
}

// ---- EndpointSlice -----------------------------------------------------------------------------

static bool read_condition(const struct view *conditions, const char *key, bool absent, bool *out)
{
	struct view v = view_get(conditions, key);

	*out = absent;
	return !view_present(&v) || view_bool(&v, out);
}

static bool read_endpoint(const struct view *v, struct endpoint_object *e)
{
	struct view addresses = view_get(v, "addresses"), conditions = view_get(v, "conditions");
	struct view node = view_get(v, "nodeName"), target = view_get(v, "targetRef");
	struct view kind = view_get(&target, "kind"), name = view_get(&target, "name");
	struct view uid = view_get(&target, "uid");
	struct slice text;

	// discovery.k8s.io/v1: absent ready and serving mean true.
	if (!read_addrs(&addresses, NULL, &e->addrs, &e->addr_count) ||
	    !read_condition(&conditions, "ready", true, &e->ready) ||
	    !read_condition(&conditions, "serving", e->ready, &e->serving) ||
	    !read_condition(&conditions, "terminating", false, &e->terminating))
		return false;
	if (view_present(&node) && !view_text(&node, &e->node))
		return false;
	if (!view_present(&kind) || !view_text(&kind, &text) || !slice_eq_str(text, "Pod"))
		return true;
	return (!view_present(&name) || view_text(&name, &e->pod_name)) &&
	       (!view_present(&uid) || view_text(&uid, &e->pod_uid));
}

static bool read_slice_ports(const struct view *v, struct endpoint_slice *s)
{
	struct view list = view_get(v, "ports");
	uint32_t n = tree_count(list.tree), index = 0;

	s->ports = arena_alloc(v->arena, n, sizeof(*s->ports));
	for (struct view i = view_first(&list); s->ports && i.tree; i = view_next(&list, &i, &index)) {
		struct view name = view_get(&i, "name"), port = view_get(&i, "port");
		uint64_t number;

		if (!view_present(&port))
			continue;
		if (!view_number(&port, 1, 65535, &number))
			return false;
		s->ports[s->port_count].port = (uint16_t)number;
		if (view_present(&name) && !view_text(&name, &s->ports[s->port_count].name))
			return false;
		s->port_count++;
	}
	return s->ports != NULL;
}

void read_endpoint_slice(struct model *m, const struct view *v)
{
	struct endpoint_slice *s = arena_alloc(v->arena, 1, sizeof(*s));
	struct view list = view_get(v, "endpoints");
	uint32_t n = tree_count(list.tree), index = 0;
	struct object_meta meta;

	if (!s || !read_meta(v, &meta))
		return;
	s->origin = meta.origin;
	s->namespace = meta.namespace;
	if (!labels_get(&meta.labels, "kubernetes.io/service-name", &s->service))
		return; // belongs to no Service
	s->endpoints = arena_alloc(v->arena, n, sizeof(*s->endpoints));
	if (!s->endpoints || !read_slice_ports(v, s))
		return;
	for (struct view i = view_first(&list); i.tree; i = view_next(&list, &i, &index)) {
		if (!read_endpoint(&i, &s->endpoints[s->endpoint_count]))
			return;
		s->endpoint_count++;
	}
	add(v, &m->slices, s);
}

// ---- ConfigMap, Secret -------------------------------------------------------------------------

static void read_data(struct model *m, const struct view *v, const char *key, bool secret)
{
	struct data_object *d = arena_alloc(v->arena, 1, sizeof(*d));
	struct view data = view_get(v, key);
	struct object_meta meta;

	if (!d || !read_meta(v, &meta) || !read_labels(&data, &d->data))
		return;
	d->namespace = meta.namespace;
	d->name = meta.name;
	d->secret = secret;
	add(v, &m->data, d);
}

void read_config_map(struct model *m, const struct view *v)
{
	read_data(m, v, "data", false);
}

void read_secret(struct model *m, const struct view *v)
{
	// stringData is what people write by hand; data (base64) is decoded where it is used.
	struct view text = view_get(v, "stringData");

	read_data(m, v, view_present(&text) ? "stringData" : "data", true);
}
