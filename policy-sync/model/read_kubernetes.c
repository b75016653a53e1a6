// SPDX-License-Identifier: GPL-3.0-or-later
// Kubernetes' own kinds, as the API server writes them; fields that are not needed are passed over. See
// read.h.
#include "model/read.h"

#define ADDRS_MAX  SNAPSHOT_ADDRS_PER_OBJECT_MAX
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
		l->hash = lookup_hash_pair(l->key, l->value);
		out->count++;
	}
	labels_sort(out);
	return out->list != NULL;
}

bool read_meta(const struct view *v, struct object_meta *out)
{
	struct view meta = view_get(v, "metadata");
	struct view uid = view_get(&meta, "uid"), labels = view_get(&meta, "labels");
	struct view created = view_get(&meta, "creationTimestamp");
	struct slice text;

	out->origin = (struct origin){v->file, v->tree->line, v->tree};
	out->created_unix_ms = CREATED_UNKNOWN;
	if (view_present(&created)) {
		if (!view_text(&created, &text))
			return false;
		if (!read_time(text, &out->created_unix_ms)) {
			view_error(&created, "is no time such as 2026-01-02T03:04:05Z: \"%.*s\"",
				   SLICE_ARG(text));
			return false;
		}
	}
	if (view_present(&uid) && !view_short_text(&uid, 64, &out->uid))
		return false;
	return read_labels(&labels, &out->labels);
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

// To an API server empty is unset.
static bool is_set(const struct view *v)
{
	return view_present(v) && (v->tree->kind != TREE_SCALAR || v->tree->text.len > 0);
}

// Room for an object, or NULL with a finding.
static void *make(const struct reading *r, size_t bytes)
{
	void *object = arena_alloc(r->v->arena, 1, bytes);

	if (!object)
		view_error(r->v, "there is too much in this file");
	return object;
}

static bool has_addr(const struct addr *list, uint32_t count, struct addr a)
{
	uint32_t i = 0;

	while (i < count && !addr_eq(list[i], a))
		i++;
	return i < count;
}

// A list of maps (key set) or texts (key NULL) with one address each, behind those that are there.
static bool read_addrs(const struct view *v, const char *key, struct addr **out, uint32_t *count)
{
	uint32_t n = tree_count(v->tree), index = 0;
	struct addr *list;

	if (!view_present(v))
		return true;
	if (!view_require(v, TREE_LIST))
		return false;
	list = *count + n <= ADDRS_MAX ? arena_alloc(v->arena, *count + n, sizeof(*list)) : NULL;
	if (!list) {
		view_error(v, "has too many addresses");
		return false;
	}
	if (*count > 0)
		memcpy(list, *out, *count * sizeof(*list));
	*out = list;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		struct view at = key ? view_get(&i, key) : i;

		if (key && !view_present(&at))
			continue; // a load balancer's host name
		if (!view_addr(&at, &list[*count]))
			return false;
		// "10.0.0.1" and "::ffff:10.0.0.1" are one.
		*count += !has_addr(list, *count, list[*count]);
	}
	return true;
}

// A single address where the list is absent.
static bool read_one_addr(const struct view *v, struct addr **out, uint32_t *count)
{
	*out = arena_alloc(v->arena, 1, sizeof(**out));
	*count = *out && view_addr(v, *out) ? 1 : 0;
	return *count == 1;
}

// ---- Pod ---------------------------------------------------------------------------------------

static bool read_protocol(const struct view *v, bool *tcp)
{
	static const char *const words[] = {"TCP", "UDP", "SCTP", NULL};
	int word = 0;

	*tcp = true;
	if (!is_set(v))
		return true; // an API server sets TCP
	if (!view_word(v, words, &word))
		return false;
	*tcp = word == 0;
	return true;
}

static bool read_container_port(const struct view *v, struct pod *p)
{
	struct view name = view_get(v, "name"), port = view_get(v, "containerPort");
	struct view protocol = view_get(v, "protocol");
	uint64_t n;
	bool tcp;

	if (!view_present(&name) || p->port_count == SNAPSHOT_PORTS_PER_OBJECT_MAX)
		return true;
	if (!view_number(&port, 1, 65535, &n) || !read_protocol(&protocol, &tcp) ||
	    !view_text(&name, &p->ports[p->port_count].name))
		return false;
	if (tcp)
		p->ports[p->port_count++].port = (uint16_t)n;
	return true;
}

// Init containers that go on running (sidecars) serve beside the others.
static bool container_runs_on(const struct view *container, bool init)
{
	const struct tree *policy = tree_get(container->tree, "restartPolicy");

	return !init || (policy && slice_eq_str(policy->text, "Always"));
}

// What a targetPort may name, in the order in which Kubernetes looks: containers, then sidecars.
static bool read_container_ports(const struct view *spec, struct pod *p)
{
	static const char *const kinds[] = {"containers", "initContainers"};

	p->ports = arena_alloc(spec->arena, SNAPSHOT_PORTS_PER_OBJECT_MAX, sizeof(*p->ports));
	for (uint32_t kind = 0; kind < 2 && p->ports; kind++) {
		struct view containers = view_get(spec, kinds[kind]);
		uint32_t index = 0;

		for (struct view c = view_first(&containers); c.tree;
		     c = view_next(&containers, &c, &index)) {
			struct view ports = view_get(&c, "ports");
			uint32_t k = 0;

			if (!container_runs_on(&c, kind == 1))
				continue;
			for (struct view i = view_first(&ports); i.tree;
			     i = view_next(&ports, &i, &k)) {
				if (!read_container_port(&i, p))
					return false;
			}
		}
	}
	return p->ports != NULL;
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
	return p->addr_count > 0 || !is_set(&ip) || read_one_addr(&ip, &p->addrs, &p->addr_count);
}

void *read_pod(const struct reading *r)
{
	const struct view *v = r->v;
	struct view spec = view_get(v, "spec"), node = view_get(&spec, "nodeName");
	struct view account = view_get(&spec, "serviceAccountName");
	struct view host = view_get(&spec, "hostNetwork");
	struct pod *p = make(r, sizeof(*p));

	if (!p)
		return NULL;
	p->origin = r->meta->origin;
	p->namespace = r->meta->namespace;
	p->name = r->meta->name;
	p->uid = r->meta->uid;
	p->labels = r->meta->labels;
	p->mode = read_mode(v, &r->meta->labels);
	p->service_account = SLICE_LIT("default");
	if (p->uid.len == 0) {
		view_note(v, "has no uid, so no API server made it: it is passed over");
		return NULL;
	}
	if (!is_set(&account))
		account = view_get(&spec, "serviceAccount"); // its name of old
	if ((is_set(&node) && !view_short_text(&node, 253, &p->node)) ||
	    (is_set(&account) && !view_short_text(&account, 253, &p->service_account)) ||
	    (view_present(&host) && !view_bool(&host, &p->host_network)))
		return NULL;
	return read_container_ports(&spec, p) && read_pod_status(v, p) ? p : NULL;
}

// ---- Node, Namespace ---------------------------------------------------------------------------

static bool read_node_addresses(const struct view *status, struct node_object *n)
{
	struct view list = view_get(status, "addresses");
	uint32_t index = 0;

	n->addrs = arena_alloc(status->arena, tree_count(list.tree), sizeof(*n->addrs));
	for (struct view i = view_first(&list); n->addrs && i.tree;
	     i = view_next(&list, &i, &index)) {
		struct view type = view_get(&i, "type"), address = view_get(&i, "address");
		struct slice s;

		if (!view_text(&type, &s))
			return false;
		// The first internal address is where its tunnel is dialled.
		if (!slice_eq_str(s, "InternalIP") || n->addr_count == ADDRS_MAX)
			continue;
		if (!view_addr(&address, &n->addrs[n->addr_count]))
			return false;
		n->addr_count += !has_addr(n->addrs, n->addr_count, n->addrs[n->addr_count]);
	}
	return n->addrs != NULL;
}

void *read_node(const struct reading *r)
{
	struct view status = view_get(r->v, "status");
	struct node_object *n = make(r, sizeof(*n));
	struct slice value;

	if (!n)
		return NULL;
	n->origin = r->meta->origin;
	n->name = r->meta->name;
	(void)labels_get(&r->meta->labels, "topology.kubernetes.io/zone", &n->zone);
	// Any node may be one where traffic from outside comes in, unless it is told otherwise.
	n->ingress = !(labels_get(&r->meta->labels, "portcullis.dev/ingress", &value) &&
		       slice_eq_str(value, "false"));
	n->uncaptured = labels_get(&r->meta->labels, "portcullis.dev/capture", &value) &&
			slice_eq_str(value, "none");
	n->labels = r->meta->labels;
	return read_node_addresses(&status, n) ? n : NULL;
}

void *read_namespace(const struct reading *r)
{
	struct namespace_object *n = make(r, sizeof(*n));
	struct view meta = view_get(r->v, "metadata"), labels = view_get(&meta, "labels");
	uint32_t index = 0;

	if (!n)
		return NULL;
	// A value that came out empty would take it out of what the whole cluster is guarded by.
	for (struct view i = view_first(&labels); i.tree; i = view_next(&labels, &i, &index)) {
		if (i.tree->kind != TREE_NULL)
			continue;
		view_error(&i, "must not be null: give it a value, or leave it out");
		return NULL;
	}
	n->origin = r->meta->origin;
	n->labels = r->meta->labels;
	n->mode = read_mode(r->v, &r->meta->labels);
	return namespace_set_name(n, r->meta->name, r->v->arena) ? n : NULL;
}

// ---- Service -----------------------------------------------------------------------------------

static enum app_protocol app_protocol_of(struct slice s)
{
	static const struct {
		const char *name;
		enum app_protocol protocol;
	} rows[] = {
		{"http", APP_PROTOCOL_HTTP},
		{"kubernetes.io/ws", APP_PROTOCOL_HTTP},
		{"kubernetes.io/h2c", APP_PROTOCOL_HTTP2},
		{"grpc", APP_PROTOCOL_HTTP2},
		{"https", APP_PROTOCOL_TLS},
		{"tls", APP_PROTOCOL_TLS},
		{"kubernetes.io/wss", APP_PROTOCOL_TLS},
		{"tcp", APP_PROTOCOL_TCP},
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

	if (!is_set(v) || (!v->tree->quoted && slice_eq_str(v->tree->text, "0"))) {
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

	if (!view_number(&port, 1, 65535, &n))
		return false;
	p->port = (uint16_t)n;
	if (view_present(&node_port)) {
		if (!view_number(&node_port, 0, 65535, &n))
			return false;
		p->node_port = (uint16_t)n;
	}
	if (!read_protocol(&protocol, &p->tcp))
		return false;
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

// One of the words that an API server takes; the first where it is not set.
static bool read_enum(const struct view *spec, const char *key, const char *const *words, int *word)
{
	struct view v = view_get(spec, key);

	*word = 0;
	return !is_set(&v) || view_word(&v, words, word);
}

static bool read_traffic_policy(const struct view *spec, const char *key, bool *local)
{
	static const char *const words[] = {"Cluster", "Local", NULL};
	int word;

	if (!read_enum(spec, key, words, &word))
		return false;
	*local = word == 1;
	return true;
}

static bool read_affinity(const struct view *spec, struct service_object *s)
{
	static const char *const words[] = {"None", "ClientIP", NULL};
	struct view config = view_get(spec, "sessionAffinityConfig");
	struct view client = view_get(&config, "clientIP");
	struct view timeout = view_get(&client, "timeoutSeconds");
	uint64_t n = 10800; // Kubernetes' default: three hours
	int word;

	if (!read_enum(spec, "sessionAffinity", words, &word))
		return false;
	if (word == 0)
		return true;
	if (view_present(&timeout) && !view_number(&timeout, 1, 86400, &n))
		return false;
	s->affinity_timeout_s = (uint32_t)n;
	return true;
}

static bool read_service_spec(const struct view *v, struct service_object *s)
{
	struct view spec = view_get(v, "spec"), selector = view_get(&spec, "selector");
	struct view ips = view_get(&spec, "clusterIPs"), ip = view_get(&spec, "clusterIP");
	struct view external = view_get(&spec, "externalIPs"), status = view_get(v, "status");
	struct view balancer = view_get(&status, "loadBalancer");
	struct view ingress = view_get(&balancer, "ingress");
	struct view ranges = view_get(&spec, "loadBalancerSourceRanges");
	struct slice text;
	bool headless = view_present(&ip) && view_text(&ip, &text) && slice_eq_str(text, "None");

	if (!headless && view_present(&ips)) {
		if (!read_addrs(&ips, NULL, &s->addrs, &s->addr_count))
			return false;
	} else if (!headless && is_set(&ip)) {
		if (!read_one_addr(&ip, &s->addrs, &s->addr_count))
			return false;
	}
	s->cluster_addr_count = s->addr_count;
	if (!read_addrs(&external, NULL, &s->addrs, &s->addr_count))
		return false;
	s->balancer_addr_count = s->addr_count;
	if (!read_addrs(&ingress, "ip", &s->addrs, &s->addr_count))
		return false;
	s->balancer_addr_count = s->addr_count - s->balancer_addr_count;
	if (!read_labels(&selector, &s->selector) || !read_service_ports(&spec, s) ||
	    !read_affinity(&spec, s))
		return false;
	if (view_present(&ranges) &&
	    !read_cidrs(&ranges, &s->source_ranges, &s->source_range_count))
		return false;
	return read_traffic_policy(&spec, "internalTrafficPolicy", &s->internal_local) &&
	       read_traffic_policy(&spec, "externalTrafficPolicy", &s->external_local);
}

void *read_service(const struct reading *r)
{
	static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName",
					    NULL};
	struct view spec = view_get(r->v, "spec");
	struct service_object *s = make(r, sizeof(*s));
	int type;

	if (!s || !read_enum(&spec, "type", types, &type))
		return NULL;
	s->origin = r->meta->origin;
	s->namespace = r->meta->namespace;
	s->name = r->meta->name;
	s->created_unix_ms = r->meta->created_unix_ms;
	if (type == 3)
		return NULL; // a name in DNS: there is no address, hence nothing to do
	return read_service_spec(r->v, s) ? s : NULL;
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
	for (struct view i = view_first(&list); s->ports && i.tree;
	     i = view_next(&list, &i, &index)) {
		struct view name = view_get(&i, "name"), port = view_get(&i, "port");
		struct view protocol = view_get(&i, "protocol");
		uint64_t number;
		bool tcp;

		if (!view_present(&port))
			continue;
		if (!view_number(&port, 1, 65535, &number) || !read_protocol(&protocol, &tcp))
			return false;
		if (!tcp)
			continue;
		s->ports[s->port_count].port = (uint16_t)number;
		if (view_present(&name) && !view_text(&name, &s->ports[s->port_count].name))
			return false;
		s->port_count++;
	}
	return s->ports != NULL;
}

void *read_endpoint_slice(const struct reading *r)
{
	struct view list = view_get(r->v, "endpoints"), type = view_get(r->v, "addressType");
	struct endpoint_slice *s = make(r, sizeof(*s));
	struct slice text;
	uint32_t n = tree_count(list.tree), index = 0;

	if (!s)
		return NULL;
	s->origin = r->meta->origin;
	s->namespace = r->meta->namespace;
	if (!labels_get(&r->meta->labels, "kubernetes.io/service-name", &s->service))
		return NULL; // belongs to no Service
	if (is_set(&type) && view_text(&type, &text) && slice_eq_str(text, "FQDN")) {
		view_note(&type, "names hosts in DNS, no addresses: it is passed over");
		return NULL;
	}
	s->endpoints = arena_alloc(r->v->arena, n, sizeof(*s->endpoints));
	if (!s->endpoints || !read_slice_ports(r->v, s))
		return NULL;
	for (struct view i = view_first(&list); i.tree; i = view_next(&list, &i, &index)) {
		if (!read_endpoint(&i, &s->endpoints[s->endpoint_count]))
			return NULL;
		s->endpoint_count++;
	}
	return s;
}
