// SPDX-License-Identifier: GPL-3.0-or-later
// The model's lists and look-ups; see objects.h.
#include "model/objects.h"

#include <stdlib.h>
#include "common/clock.h"
#include "model/text.h"

#define MODEL_BYTES_MAX (1u << 30)
#define NAME_LABEL	"kubernetes.io/metadata.name"

// MeshConfig's defaults: what a cluster without one goes by.
static const struct ss_meta default_meta = {
	.header_bytes_max = 32768,
	.header_timeout_ms = 10000,
	.http_idle_timeout_ms = 120000,
	.connect_timeout_ms = 5000,
	.hold_timeout_ms = 5000,
};

// Nobody may take these from a node: kubelet, the control plane, and ourselves.
static const uint16_t node_own_ports[] = {
	2379,  2380,  2381,  6443,			 // etcd, API server
	10248, 10249, 10250, 10255, 10256, 10257, 10259, // kubelet, kube-proxy, controllers
	9443,  15001, 15020, // policy-sync, capture, admin; the tunnel's is set
};

bool port_is_nodes_own(uint16_t port)
{
	for (size_t i = 0; i < sizeof(node_own_ports) / sizeof(node_own_ports[0]); i++) {
		if (node_own_ports[i] == port)
			return true;
	}
	return false;
}

void mesh_config_defaults(struct mesh_config *c)
{
	c->meta = default_meta;
	c->meta.trust_domain = SLICE_LIT("cluster.local");
	c->tunnel_port = 14443;
}

struct model *model_new(void)
{
	struct model *m = calloc(1, sizeof(*m));
	struct mesh_config config;

	if (!m)
		return NULL;
	arena_init(&m->arena, MODEL_BYTES_MAX);
	m->made_unix_ms = clock_unix_ms();
	m->refs = 1;
	mesh_config_defaults(&config);
	m->meta = config.meta;
	m->tunnel_port = config.tunnel_port;
	return m;
}

struct model *model_ref(struct model *m)
{
	m->refs++;
	return m;
}

enum err model_reserve(struct model *m, uint32_t objects)
{
	struct object *grown = objects > m->object_room && objects <= MODEL_OBJECTS_MAX
				       ? realloc(m->objects, objects * sizeof(*grown))
				       : NULL;

	if (grown) {
		m->objects = grown;
		m->object_room = objects;
	}
	return lookup_reserve(&m->names, objects);
}

void model_free(struct model *m)
{
	if (!m || --m->refs > 0)
		return;
	struct object_list *lists[] = {&m->texts,    &m->pods,	 &m->nodes,    &m->namespaces,
				       &m->services, &m->slices, &m->policies, &m->limits};

	for (uint32_t i = 0; i < m->texts.count; i++)
		text_unref(m->texts.items[i]);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		free(lists[i]->items);
	free(m->implied.items);
	lookup_deinit(&m->names);
	lookup_deinit(&m->strangers);
	lookup_deinit(&m->implied_names);
	free(m->objects);
	arena_deinit(&m->arena);
	free(m);
}

enum err object_add(struct object_list *l, void *item)
{
	if (l->count == MODEL_OBJECTS_MAX)
		return ERR_FULL;
	if (l->count == l->capacity) {
		uint32_t capacity = l->capacity ? l->capacity * 2 : 64;
		void **items = realloc(l->items, capacity * sizeof(*items));

		if (!items)
			return ERR_NOMEM;
		l->items = items;
		l->capacity = capacity;
	}
	l->items[l->count++] = item;
	return ERR_OK;
}

// ---- names -------------------------------------------------------------------------------------

uint64_t object_hash(enum object_kind kind, struct slice ns, struct slice name)
{
	return hash_u64(kind, lookup_hash_pair(ns, name));
}

bool object_is(const struct object *o, enum object_kind kind, struct slice ns, struct slice name)
{
	return o->kind == kind && slice_eq(o->name, name) && slice_eq(o->namespace, ns);
}

static struct object *find(const struct model *m, enum object_kind kind, struct slice ns,
			   struct slice name)
{
	uint64_t hash = object_hash(kind, ns, name);
	uint32_t at = UINT32_MAX, i;

	while (lookup_next(&m->names, hash, &at, &i)) {
		if (object_is(&m->objects[i], kind, ns, name))
			return &m->objects[i];
	}
	return NULL;
}

struct object *model_get(struct model *m, enum object_kind kind, struct slice ns, struct slice name)
{
	return find(m, kind, ns, name);
}

const struct object *model_find(const struct model *m, enum object_kind kind, struct slice ns,
				struct slice name)
{
	return find(m, kind, ns, name);
}

const struct namespace_object *model_namespace(const struct model *m, struct slice name)
{
	const struct object *o = find(m, OBJECT_NAMESPACE, (struct slice){0}, name);
	uint32_t at = UINT32_MAX, i;

	if (o)
		return o->what;
	while (lookup_next(&m->implied_names, hash_bytes(name, 0), &at, &i)) {
		const struct namespace_object *n = m->implied.items[i];

		if (slice_eq(n->name, name))
			return n;
	}
	return NULL;
}

const struct service_object *model_service(const struct model *m, struct slice ns,
					   struct slice name)
{
	const struct object *o = find(m, OBJECT_SERVICE, ns, name);

	return o ? o->what : NULL;
}

// ---- adding ------------------------------------------------------------------------------------

static enum err add_to_list(struct model *m, const struct object *o)
{
	struct object_list *const lists[OBJECT_KIND_COUNT] = {
		[OBJECT_POD] = &m->pods,
		[OBJECT_NODE] = &m->nodes,
		[OBJECT_NAMESPACE] = &m->namespaces,
		[OBJECT_SERVICE] = &m->services,
		[OBJECT_ENDPOINT_SLICE] = &m->slices,
		[OBJECT_SECURITY_POLICY] = &m->policies,
		[OBJECT_CLUSTER_SECURITY_POLICY] = &m->policies,
		[OBJECT_RATE_LIMIT_POLICY] = &m->limits,
	};

	return lists[o->kind] ? object_add(lists[o->kind], o->what) : ERR_OK;
}

const struct addr *object_addrs(const struct object *o, uint32_t *count)
{
	const struct service_object *s = o->what;
	const struct node_object *n = o->what;
	const struct pod *p = o->what;

	*count = 0;
	if (o->kind == OBJECT_NODE) {
		*count = n->addr_count;
		return n->addrs;
	}
	if (o->kind == OBJECT_SERVICE) {
		*count = s->gone ? 0 : s->addr_count;
		return s->addrs;
	}
	if (o->kind != OBJECT_POD)
		return NULL;
	*count = p->terminal || p->host_network ? 0 : p->addr_count;
	return p->addrs;
}

static uint64_t addr_seen(const struct object *o, struct addr a, uint64_t otherwise)
{
	uint32_t count;
	const struct addr *list = object_addrs(o, &count);

	for (uint32_t i = 0; i < count; i++) {
		if (addr_eq(list[i], a))
			return o->addrs_seen[i];
	}
	return otherwise;
}

// Of files nobody says when their objects came: it is remembered. Each address has an age of its own, or
// whoever was there early could claim later what has become another's. What was gone comes anew.
static bool note_seen(struct model *m, struct object *now)
{
	const struct object *last =
		m->before ? find(m->before, now->kind, now->namespace, now->name) : NULL;
	uint32_t count;
	const struct addr *list = object_addrs(now, &count);

	if (last && last->vanished)
		last = NULL;
	now->seen_unix_ms = last ? last->seen_unix_ms : m->made_unix_ms;
	now->addrs_seen = count ? arena_alloc(&m->arena, count, sizeof(*now->addrs_seen)) : NULL;
	for (uint32_t i = 0; now->addrs_seen && i < count; i++)
		now->addrs_seen[i] =
			last ? addr_seen(last, list[i], m->made_unix_ms) : now->seen_unix_ms;
	return count == 0 || now->addrs_seen;
}

static enum err add_object(struct model *m, const struct object *o, struct security_policy *copy)
{
	if (m->object_count == MODEL_OBJECTS_MAX)
		return ERR_FULL;
	if (m->object_count == m->object_room) {
		uint32_t room = m->object_room ? m->object_room * 2 : 64;
		struct object *grown = realloc(m->objects, room * sizeof(*grown));

		if (!grown)
			return ERR_NOMEM;
		m->objects = grown;
		m->object_room = room;
	}
	m->objects[m->object_count] = *o;
	m->objects[m->object_count].policy = copy;
	if (!note_seen(m, &m->objects[m->object_count]))
		return ERR_NOMEM;
	return lookup_put(&m->names, object_hash(o->kind, o->namespace, o->name),
			  m->object_count++);
}

static bool is_security(enum object_kind kind)
{
	return kind == OBJECT_SECURITY_POLICY || kind == OBJECT_CLUSTER_SECURITY_POLICY;
}

// Objects come text by text.
static enum err hold_text(struct model *m, struct text *t)
{
	enum err err;

	if (!t || (m->texts.count > 0 && m->texts.items[m->texts.count - 1] == t))
		return ERR_OK;
	err = object_add(&m->texts, t);
	if (err == ERR_OK)
		text_ref(t);
	return err;
}

static enum err add_policy(struct model *m, const struct object *o, const char *why,
			   struct security_policy **out)
{
	struct security_policy *copy = arena_alloc(&m->arena, 1, sizeof(*copy));
	const struct object *before = NULL;

	if (!copy)
		return ERR_NOMEM;
	*copy = *(const struct security_policy *)o->what;
	if (why && copy->broken.len == 0) {
		copy->broken = arena_copy(&m->arena, slice_str(why));
		if (!copy->broken.ptr)
			return ERR_NOMEM;
	}
	if (copy->broken.len > 0 && m->before)
		before = find(m->before, o->kind, o->namespace, o->name);
	// A text that breaks off may not come as far as what it asks for.
	copy->means_requests |= before && before->policy && before->policy->means_requests;
	*out = copy;
	return object_add(&m->policies, copy);
}

static enum err add_under_name(struct model *m, const struct object *o, const char *why)
{
	struct security_policy *copy = NULL;
	enum err err;

	if (find(m, o->kind, o->namespace, o->name))
		return ERR_EXISTS;
	err = hold_text(m, o->text);
	if (err == ERR_OK)
		err = is_security(o->kind) ? add_policy(m, o, why, &copy) : add_to_list(m, o);
	return err == ERR_OK ? add_object(m, o, copy) : err;
}

enum err model_add(struct model *m, const struct object *o)
{
	return add_under_name(m, o, NULL);
}

enum err model_add_broken(struct model *m, const struct object *o, const char *why)
{
	return add_under_name(m, o, why);
}

enum err model_add_disputed(struct model *m, const struct object *o)
{
	static const char why[] = "two policies that differ have this name";
	const struct object *first = find(m, o->kind, o->namespace, o->name);
	struct security_policy *copy;
	enum err err = hold_text(m, o->text);

	if (first && first->policy && first->policy->broken.len == 0)
		first->policy->broken = SLICE_LIT(why);
	return err == ERR_OK ? add_policy(m, o, why, &copy) : err;
}

enum err model_add_vanished(struct model *m, const struct object *o)
{
	enum err err = add_under_name(m, o, NULL);

	if (err == ERR_OK)
		m->objects[m->object_count - 1].vanished = true;
	return err;
}

const struct data_object *model_data(struct model *m, struct slice ns, struct slice name,
				     bool secret, bool *vanished)
{
	enum object_kind kind = secret ? OBJECT_SECRET : OBJECT_CONFIG_MAP;
	const struct object *o = find(m, kind, ns, name);

	if (!o && m->before)
		o = find(m->before, kind, ns, name);
	if (o && !find(m, kind, ns, name) && model_add_vanished(m, o) != ERR_OK)
		o = NULL;
	*vanished = o && find(m, kind, ns, name)->vanished;
	return o ? o->what : NULL;
}

// ---- when all are there ------------------------------------------------------------------------

static int by_age(int64_t a, int64_t b, struct slice a_ns, struct slice b_ns, struct slice a_name,
		  struct slice b_name)
{
	int order;

	if (a != b)
		return a < b ? -1 : 1;
	order = slice_cmp(a_ns, b_ns);
	return order != 0 ? order : slice_cmp(a_name, b_name);
}

static int policies_by_age(const void *a, const void *b)
{
	const struct security_policy *x = *(void *const *)a, *y = *(void *const *)b;
	int order = by_age(x->created_unix_ms, y->created_unix_ms, x->namespace, y->namespace,
			   x->name, y->name);

	if (order == 0) // disputed
		order = strcmp(x->origin.file, y->origin.file);
	return order != 0 ? order : x->origin.line < y->origin.line ? -1 : 1;
}

static int limits_by_age(const void *a, const void *b)
{
	const struct rate_limit_policy *x = *(void *const *)a, *y = *(void *const *)b;

	return by_age(x->created_unix_ms, y->created_unix_ms, x->namespace, y->namespace, x->name,
		      y->name);
}

static int services_by_name(const void *a, const void *b)
{
	const struct service_object *x = *(void *const *)a, *y = *(void *const *)b;
	int order = slice_cmp(x->namespace, y->namespace);

	return order != 0 ? order : slice_cmp(x->name, y->name);
}

static void sort(struct object_list *l, int (*order)(const void *, const void *))
{
	if (l->count > 0)
		qsort(l->items, l->count, sizeof(*l->items), order);
}

// In a cluster no pod is without its Namespace, nor that without the label of its name.
static void imply_namespaces(struct model *m)
{
	for (uint32_t i = 0; i < m->pods.count; i++) {
		const struct pod *p = m->pods.items[i];
		struct namespace_object *n;

		if (model_namespace(m, p->namespace))
			continue;
		n = arena_alloc(&m->arena, 1, sizeof(*n));
		if (!n || !namespace_set_name(n, p->namespace, &m->arena) ||
		    object_add(&m->implied, n) != ERR_OK ||
		    lookup_put(&m->implied_names, hash_bytes(n->name, 0), m->implied.count - 1))
			return;
	}
}

void model_settle(struct model *m)
{
	const struct object *o =
		find(m, OBJECT_MESH_CONFIG, (struct slice){0}, SLICE_LIT("default"));
	const struct mesh_config *config = o ? o->what : NULL;

	if (config) {
		m->meta = config->meta;
		m->tunnel_port = config->tunnel_port;
		m->ingress_nodes = config->ingress_nodes;
	}
	imply_namespaces(m);
	// What is compiled does not depend on which file says what.
	sort(&m->policies, policies_by_age);
	sort(&m->limits, limits_by_age);
	sort(&m->services, services_by_name);
}

bool namespace_set_name(struct namespace_object *n, struct slice name, struct arena *a)
{
	struct label *list = arena_alloc(a, n->labels.count + 1, sizeof(*list));
	uint32_t count = 0;

	n->name = name;
	if (!list)
		return false;
	for (uint32_t i = 0; i < n->labels.count; i++) {
		if (!slice_eq_str(n->labels.list[i].key, NAME_LABEL))
			list[count++] = n->labels.list[i];
	}
	list[count].key = SLICE_LIT(NAME_LABEL);
	list[count].value = name;
	list[count].hash = lookup_hash_pair(list[count].key, name);
	n->labels = (struct labels){list, count + 1};
	labels_sort(&n->labels);
	return true;
}

// ---- labels ------------------------------------------------------------------------------------

bool labels_get(const struct labels *l, const char *key, struct slice *value)
{
	for (uint32_t i = 0; i < l->count; i++) {
		if (slice_eq_str(l->list[i].key, key)) {
			*value = l->list[i].value;
			return true;
		}
	}
	return false;
}

static int labels_by_hash(const void *a, const void *b)
{
	const struct label *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

void labels_sort(struct labels *l)
{
	if (l->count > 0)
		qsort(l->list, l->count, sizeof(*l->list), labels_by_hash);
}

static bool label_eq(const struct label *a, const struct label *b)
{
	return slice_eq(a->key, b->key) && slice_eq(a->value, b->value);
}

bool labels_match(const struct labels *selector, const struct labels *labels)
{
	uint32_t k = 0;

	for (uint32_t i = 0; i < selector->count; i++) {
		const struct label *want = &selector->list[i];
		bool found = false;

		while (k < labels->count && labels->list[k].hash < want->hash)
			k++;
		for (uint32_t n = k; n < labels->count && labels->list[n].hash == want->hash; n++)
			found |= label_eq(want, &labels->list[n]);
		if (!found)
			return false;
	}
	return true;
}
