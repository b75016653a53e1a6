// SPDX-License-Identifier: GPL-3.0-or-later
// What a policy protects does not open because its target went: the policy is enforced on what was resolved
// last, until it goes itself. See source_inside.h.
#include "model/source_inside.h"

static bool has_port(const struct service_object *s, struct slice name)
{
	for (uint32_t i = 0; i < s->port_count; i++) {
		if (slice_eq(s->ports[i].name, name))
			return true;
	}
	return false;
}

// Lists of Services hold what objects hold: the copy takes the place of the text's, which may not be changed.
static void replace_service(struct model *m, struct object *o, struct service_object *copy)
{
	for (uint32_t i = m->services.count; i-- > 0;) {
		if (m->services.items[i] == o->what) {
			m->services.items[i] = copy;
			break;
		}
	}
	o->what = copy;
}

// A port's names lie in a text that nobody may hold any more.
static bool keep_port(struct model *m, const struct service_port_object *port,
		      struct service_port_object *out)
{
	*out = *port;
	out->name = arena_copy(&m->arena, port->name);
	out->target_name = arena_copy(&m->arena, port->target_name);
	return out->name.ptr && out->target_name.ptr;
}

// NULL: out of memory. Room for more ports behind its own.
static struct service_object *copy_service(struct model *m, const struct service_object *s,
					   uint32_t more)
{
	struct service_object *copy = arena_alloc(&m->arena, 1, sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *s;
	copy->ports = arena_alloc(&m->arena, s->port_count + more, sizeof(*copy->ports));
	if (!copy->ports)
		return NULL;
	for (uint32_t i = 0; i < s->port_count; i++) {
		if (!keep_port(m, &s->ports[i], &copy->ports[i]))
			return NULL;
	}
	return copy;
}

enum err source_keep_ports(struct model *m, struct object *now, const struct service_object *last)
{
	const struct service_object *is = now->what;
	struct service_object *copy;
	uint32_t gone = 0;

	for (uint32_t i = 0; i < last->port_count; i++)
		gone += !has_port(is, last->ports[i].name);
	if (gone == 0)
		return ERR_OK;
	copy = copy_service(m, is, gone);
	if (!copy)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < last->port_count; i++) {
		if (copy->port_count == SNAPSHOT_PORTS_PER_OBJECT_MAX ||
		    has_port(is, last->ports[i].name))
			continue;
		if (!keep_port(m, &last->ports[i], &copy->ports[copy->port_count]))
			return ERR_NOMEM;
		copy->ports[copy->port_count++].gone = true;
	}
	replace_service(m, now, copy);
	now->kept = true;
	return ERR_OK;
}

// The whole Service: none of it is published, but what it selected is still what its policies cover.
static enum err must_check keep_service(struct model *m, const struct object *last)
{
	struct service_object *copy = copy_service(m, last->what, 0);
	struct object o = *last;

	if (!copy)
		return ERR_NOMEM;
	copy->gone = true;
	o.what = copy;
	return model_add_vanished(m, &o);
}

// Without a selector the endpoints say who serves it, and they go with their Service.
static enum err must_check keep_slices(const struct source *s, struct model *m,
				       const struct object *service)
{
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < s->last->object_count && err == ERR_OK; i++) {
		const struct object *o = &s->last->objects[i];
		const struct endpoint_slice *e = o->what;

		if (o->kind != OBJECT_ENDPOINT_SLICE || !slice_eq(e->service, service->name) ||
		    !slice_eq(e->namespace, service->namespace) ||
		    model_find(m, o->kind, o->namespace, o->name))
			continue;
		err = model_add_vanished(m, o);
	}
	return err;
}

static enum err must_check keep_target(const struct source *s, struct model *m, struct slice ns,
				       const struct target *t)
{
	const struct object *last =
		t->kind == TARGET_SERVICE ? model_find(s->last, OBJECT_SERVICE, ns, t->name) : NULL;
	struct object *now = last ? model_get(m, OBJECT_SERVICE, ns, t->name) : NULL;
	enum err err;

	if (!last)
		return ERR_OK;
	if (now)
		return now->vanished ? ERR_OK : source_keep_ports(m, now, last->what);
	err = keep_service(m, last);
	if (err == ERR_OK && ((const struct service_object *)last->what)->selector.count == 0)
		err = keep_slices(s, m, last);
	return err;
}

static enum err must_check keep_targets(const struct source *s, struct model *m, struct slice ns,
					const struct target *list, uint32_t count)
{
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < count && err == ERR_OK; i++)
		err = keep_target(s, m, ns, &list[i]);
	return err;
}

// Labels of a namespace say which cluster-wide policies cover it: they hold for as long as it has pods.
static enum err must_check keep_namespaces(const struct source *s, struct model *m)
{
	static const struct slice cluster;
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < m->pods.count && err == ERR_OK; i++) {
		const struct pod *p = m->pods.items[i];
		const struct object *last;

		if (model_find(m, OBJECT_NAMESPACE, cluster, p->namespace))
			continue;
		last = model_find(s->last, OBJECT_NAMESPACE, cluster, p->namespace);
		if (last)
			err = model_add_vanished(m, last);
	}
	return err;
}

enum err source_add_kept(struct source *s, struct model *m)
{
	enum err err = ERR_OK;

	for (uint32_t i = 0; s->last && i < m->policies.count && err == ERR_OK; i++) {
		const struct security_policy *p = m->policies.items[i];

		err = keep_targets(s, m, p->namespace, p->targets, p->target_count);
	}
	for (uint32_t i = 0; s->last && i < m->limits.count && err == ERR_OK; i++) {
		const struct rate_limit_policy *p = m->limits.items[i];

		err = keep_targets(s, m, p->namespace, p->targets, p->target_count);
	}
	return s->last && err == ERR_OK && m->policies.count > 0 ? keep_namespaces(s, m) : err;
}
