// SPDX-License-Identifier: GPL-3.0-or-later
// The model's lists and look-ups; see objects.h.
#include "model/objects.h"

#include <stdlib.h>

#define MODEL_BYTES_MAX (1u << 30)

// MeshConfig's defaults: what a cluster without one goes by.
static const struct ss_meta default_meta = {
	.header_bytes_max = 32768,
	.header_timeout_ms = 10000,
	.http_idle_timeout_ms = 120000,
	.connect_timeout_ms = 5000,
	.hold_timeout_ms = 5000,
};

struct model *model_new(void)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	arena_init(&m->arena, MODEL_BYTES_MAX);
	m->meta = default_meta;
	m->meta.trust_domain = SLICE_LIT("cluster.local");
	m->tunnel_port = 14443;
	return m;
}

void model_free(struct model *m)
{
	if (!m)
		return;
	struct object_list *lists[] = {&m->pods,     &m->nodes,	 &m->namespaces, &m->services,
				       &m->slices, &m->policies, &m->limits,	 &m->data};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		free(lists[i]->items);
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

bool labels_match(const struct labels *selector, const struct labels *labels)
{
	for (uint32_t i = 0; i < selector->count; i++) {
		bool found = false;

		for (uint32_t k = 0; k < labels->count && !found; k++)
			found = slice_eq(selector->list[i].key, labels->list[k].key) &&
				slice_eq(selector->list[i].value, labels->list[k].value);
		if (!found)
			return false;
	}
	return true;
}

const struct namespace_object *model_namespace(const struct model *m, struct slice name)
{
	for (uint32_t i = 0; i < m->namespaces.count; i++) {
		const struct namespace_object *n = m->namespaces.items[i];

		if (slice_eq(n->name, name))
			return n;
	}
	return NULL;
}

const struct service_object *model_service(const struct model *m, struct slice ns, struct slice name)
{
	for (uint32_t i = 0; i < m->services.count; i++) {
		const struct service_object *s = m->services.items[i];

		if (slice_eq(s->name, name) && slice_eq(s->namespace, ns))
			return s;
	}
	return NULL;
}

const struct data_object *model_data(const struct model *m, struct slice ns, struct slice name,
				     bool secret)
{
	for (uint32_t i = 0; i < m->data.count; i++) {
		const struct data_object *d = m->data.items[i];

		if (d->secret == secret && slice_eq(d->name, name) && slice_eq(d->namespace, ns))
			return d;
	}
	return NULL;
}
