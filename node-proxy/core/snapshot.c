// SPDX-License-Identifier: GPL-3.0-or-later
// Linking of sections to a snapshot and its look-ups; see snapshot.h. Sections are decoded by
// snapshot_section.c. Everything a request asks is found by hash; nothing is allocated after linking.
#include "core/snapshot.h"

#include <stdlib.h>
#include "common/hash.h"
#include "core/snapshot_link.h"

// Memory of the indexes: slots of 8 bytes at half load, a few per object.
#define LINK_BYTES_MAX (512u << 20)

int generation_cmp(struct generation a, struct generation b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	return a.counter < b.counter ? -1 : a.counter > b.counter;
}

static uint64_t hash_addr(struct addr a)
{
	return hash_bytes(slice_make(a.bytes, sizeof(a.bytes)), 0);
}

static uint64_t hash_addr_port(struct addr a, uint16_t port)
{
	return hash_u64(port, hash_addr(a));
}

static uint64_t hash_pair(struct slice a, struct slice b)
{
	return hash_bytes(b, hash_bytes(a, 0));
}

// ---- gathering ---------------------------------------------------------------------------------

// How many of each kind, over all sections.
static void snapshot_count(struct snapshot *s)
{
	for (uint32_t i = 0; i < s->section_count; i++) {
		const struct snapshot_section *c = s->sections[i];

		s->bytes += c->arena.bytes_used + c->ref.bytes;
		s->workload_count += c->workload_count;
		s->node_count += c->node_count;
		s->service_count += c->service_count;
		s->policy_count += c->policy_count;
		s->rule_set_count += c->rule_set_count;
		s->provider_count += c->provider_count;
		s->limit_count += c->limit_count;
		for (uint32_t k = 0; k < c->service_count; k++) {
			const struct ss_service *v = &c->services[k];

			s->port_count += v->port_count * (v->addr_count + 1);
		}
	}
}

static bool snapshot_allocate(struct snapshot *s)
{
	struct arena *a = &s->arena;

	s->workloads = arena_alloc(a, s->workload_count, sizeof(*s->workloads));
	s->locals = arena_alloc(a, s->workload_count, sizeof(*s->locals));
	s->nodes = arena_alloc(a, s->node_count, sizeof(*s->nodes));
	s->services = arena_alloc(a, s->service_count, sizeof(*s->services));
	s->ports = arena_alloc(a, s->port_count, sizeof(*s->ports));
	s->policies = arena_alloc(a, s->policy_count, sizeof(*s->policies));
	s->linked = arena_alloc(a, s->policy_count, sizeof(*s->linked));
	s->rule_sets = arena_alloc(a, s->rule_set_count, sizeof(*s->rule_sets));
	s->providers = arena_alloc(a, s->provider_count, sizeof(*s->providers));
	s->limits = arena_alloc(a, s->limit_count, sizeof(*s->limits));
	return s->workloads && s->locals && s->nodes && s->services && s->ports && s->policies &&
	       s->linked && s->rule_sets && s->providers && s->limits;
}

static void snapshot_gather(struct snapshot *s)
{
	uint32_t w = 0, n = 0, v = 0, p = 0, t = 0, r = 0, l = 0;

	for (uint32_t i = 0; i < s->section_count; i++) {
		struct snapshot_section *c = s->sections[i];

		if (c->meta)
			s->meta = c->meta;
		for (uint32_t k = 0; k < c->workload_count; k++)
			s->workloads[w++] = &c->workloads[k];
		for (uint32_t k = 0; k < c->node_count; k++)
			s->nodes[n++] = &c->nodes[k];
		for (uint32_t k = 0; k < c->service_count; k++)
			s->services[v++] = &c->services[k];
		for (uint32_t k = 0; k < c->policy_count; k++)
			s->policies[p++] = &c->policies[k];
		for (uint32_t k = 0; k < c->rule_set_count; k++)
			s->rule_sets[t++] = &c->rule_sets[k];
		for (uint32_t k = 0; k < c->provider_count; k++)
			s->providers[r++] = &c->providers[k];
		for (uint32_t k = 0; k < c->limit_count; k++)
			s->limits[l++] = &c->limits[k];
	}
}

// ---- indexing ----------------------------------------------------------------------------------

static uint32_t count_addresses(const struct snapshot *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->workload_count; i++)
		n += s->workloads[i]->record.addr_count;
	for (uint32_t i = 0; i < s->node_count; i++)
		n += s->nodes[i]->addr_count;
	for (uint32_t i = 0; i < s->service_count; i++)
		n += s->services[i]->addr_count;
	return n;
}

static bool snapshot_make_indexes(struct snapshot *s)
{
	struct arena *a = &s->arena;
	uint32_t addresses = count_addresses(s);

	return hash_index_init(&s->by_addr, a, addresses) &&
	       hash_index_init(&s->node_by_addr, a, addresses) &&
	       hash_index_init(&s->by_service_addr, a, addresses) &&
	       hash_index_init(&s->by_uid, a, s->workload_count) &&
	       hash_index_init(&s->node_by_name, a, s->node_count) &&
	       hash_index_init(&s->service_by_name, a, s->service_count) &&
	       hash_index_init(&s->by_port, a, s->port_count) &&
	       hash_index_init(&s->by_node_port, a, s->port_count) &&
	       hash_index_init(&s->policy_by_id, a, s->policy_count) &&
	       hash_index_init(&s->rule_set_by_id, a, s->rule_set_count) &&
	       hash_index_init(&s->provider_by_id, a, s->provider_count) &&
	       hash_index_init(&s->limit_by_id, a, s->limit_count);
}

static enum err index_workload(struct snapshot *s, uint32_t i, struct reason *why)
{
	struct workload *w = s->workloads[i];
	const struct ss_workload *r = &w->record;
	char text[ADDR_TEXT_MAX];

	hash_index_insert(&s->by_uid, hash_bytes(r->uid, 0), i);
	for (uint32_t k = 0; k < r->addr_count && !r->host_network; k++) {
		const struct workload *other = snapshot_workload_by_addr(s, r->addrs[k]);

		if (other)
			return err_because(ERR_MALFORMED, why,
					   "pods %.*s/%.*s and %.*s/%.*s share "
					   "the address %s",
					   SLICE_ARG(other->record.namespace),
					   SLICE_ARG(other->record.name), SLICE_ARG(r->namespace),
					   SLICE_ARG(r->name), addr_format(r->addrs[k], text));
		hash_index_insert(&s->by_addr, hash_addr(r->addrs[k]), i);
	}
	if (r->enrolled && slice_eq(r->node, s->self))
		s->locals[s->local_count++] = w;
	return ERR_OK;
}

static void index_service(struct snapshot *s, uint32_t i, uint32_t *at)
{
	const struct ss_service *v = s->services[i];

	hash_index_insert(&s->service_by_name, hash_pair(v->namespace, v->name), i);
	for (uint32_t k = 0; k < v->addr_count; k++)
		hash_index_insert(&s->by_service_addr, hash_addr(v->addrs[k]), i);
	for (uint32_t p = 0; p < v->port_count; p++) {
		const struct ss_service_port *port = &v->ports[p];

		for (uint32_t k = 0; k < v->addr_count; k++) {
			if (port->not_at & (1ull << k))
				continue;
			s->ports[*at] = (struct port_entry){v, port, v->addrs[k]};
			hash_index_insert(&s->by_port, hash_addr_port(v->addrs[k], port->port),
					  (*at)++);
		}
		if (port->node_port) {
			s->ports[*at] = (struct port_entry){.service = v, .port = port};
			hash_index_insert(&s->by_node_port, hash_u64(port->node_port, 0), (*at)++);
		}
	}
}

static enum err snapshot_index(struct snapshot *s, struct reason *why)
{
	uint32_t ports = 0;

	for (uint32_t i = 0; i < s->workload_count; i++) {
		enum err err = index_workload(s, i, why);

		if (err != ERR_OK)
			return err;
	}
	for (uint32_t i = 0; i < s->node_count; i++) {
		hash_index_insert(&s->node_by_name, hash_bytes(s->nodes[i]->name, 0), i);
		for (uint32_t k = 0; k < s->nodes[i]->addr_count; k++)
			hash_index_insert(&s->node_by_addr, hash_addr(s->nodes[i]->addrs[k]), i);
	}
	for (uint32_t i = 0; i < s->service_count; i++)
		index_service(s, i, &ports);
	for (uint32_t i = 0; i < s->provider_count; i++)
		hash_index_insert(&s->provider_by_id, hash_bytes(s->providers[i]->id, 0), i);
	for (uint32_t i = 0; i < s->limit_count; i++)
		hash_index_insert(&s->limit_by_id, hash_bytes(s->limits[i]->record.id, 0), i);
	return ERR_OK;
}

// ---- verifying ---------------------------------------------------------------------------------

// An endpoint's pod is asked for its policy, and the endpoint's address gets the bytes: they are one.
static enum err verify_endpoint(const struct snapshot *s, const struct ss_service *of,
				const struct ss_endpoint *e, struct reason *why)
{
	const struct workload *w = snapshot_workload_by_addr(s, e->addr);
	char text[ADDR_TEXT_MAX];

	if (e->workload_uid.len == 0 || (w && slice_eq(w->record.uid, e->workload_uid)))
		return ERR_OK;
	return err_because(ERR_MALFORMED, why,
			   "service %.*s/%.*s has endpoint %s, which is not pod %.*s's",
			   SLICE_ARG(of->namespace), SLICE_ARG(of->name),
			   addr_format(e->addr, text), SLICE_ARG(e->workload_uid));
}

static enum err verify_service(const struct snapshot *s, const struct ss_service *of,
			       struct reason *why)
{
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < of->port_count; i++) {
		const struct ss_service_port *p = &of->ports[i];

		for (uint32_t k = 0; k < p->endpoint_count && err == ERR_OK; k++)
			err = verify_endpoint(s, of, &p->endpoints[k], why);
	}
	return err;
}

static enum err snapshot_link(struct snapshot *s, struct reason *why)
{
	if (!s->meta)
		return err_because(ERR_MALFORMED, why, "section meta is missing");
	if (!snapshot_make_indexes(s))
		return err_because(ERR_NOMEM, why, "snapshot is too large");
	enum err err = snapshot_link_policies(s, why);

	if (err == ERR_OK)
		err = snapshot_index(s, why);
	if (err == ERR_OK)
		err = snapshot_verify_policies(s, why);
	for (uint32_t i = 0; i < s->service_count && err == ERR_OK; i++)
		err = verify_service(s, s->services[i], why);
	return err;
}

enum err snapshot_new(struct generation g, struct snapshot_section *const *sections, uint32_t count,
		      struct slice self, struct snapshot **out, struct reason *why)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	enum err err;

	if (!s)
		return err_because(ERR_NOMEM, why, "no memory for a snapshot");
	s->generation = g;
	arena_init(&s->arena, LINK_BYTES_MAX);
	s->sections = calloc(count ? count : 1, sizeof(struct snapshot_section *));
	if (s->sections) {
		for (; s->section_count < count; s->section_count++) {
			s->sections[s->section_count] = sections[s->section_count];
			snapshot_section_ref(sections[s->section_count]);
		}
	}
	s->self = arena_copy(&s->arena, self);
	snapshot_count(s);
	if (!s->sections || !s->self.ptr || !snapshot_allocate(s)) {
		err = err_because(ERR_NOMEM, why, "no memory for a snapshot");
	} else {
		snapshot_gather(s);
		err = snapshot_link(s, why);
	}
	if (err != ERR_OK) {
		snapshot_free(s);
		return err;
	}
	s->bytes += s->arena.bytes_used;
	*out = s;
	return ERR_OK;
}

void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->section_count; i++)
		snapshot_section_unref(s->sections[i]);
	free(s->sections);
	arena_deinit(&s->arena);
	free(s);
}

// ---- look-ups ----------------------------------------------------------------------------------

struct generation snapshot_generation(const struct snapshot *s)
{
	return s->generation;
}

const struct ss_meta *snapshot_meta(const struct snapshot *s)
{
	return s->meta;
}

size_t snapshot_bytes(const struct snapshot *s)
{
	return s->bytes;
}

const struct section_ref *snapshot_section_of(const struct snapshot *s, enum section_kind kind)
{
	for (uint32_t i = 0; i < s->section_count; i++) {
		if (s->sections[i]->ref.name.kind == kind)
			return &s->sections[i]->ref;
	}
	return NULL;
}

static bool has_addr(const struct addr *list, uint32_t count, struct addr a)
{
	for (uint32_t i = 0; i < count; i++) {
		if (addr_eq(list[i], a))
			return true;
	}
	return false;
}

const struct workload *snapshot_workload_by_addr(const struct snapshot *s, struct addr a)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&s->by_addr, hash_addr(a), &at, &i)) {
		if (has_addr(s->workloads[i]->record.addrs, s->workloads[i]->record.addr_count, a))
			return s->workloads[i];
	}
	return NULL;
}

const struct workload *snapshot_workload_by_uid(const struct snapshot *s, struct slice uid)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&s->by_uid, hash_bytes(uid, 0), &at, &i)) {
		if (slice_eq(s->workloads[i]->record.uid, uid))
			return s->workloads[i];
	}
	return NULL;
}

const struct ss_node *snapshot_node_by_name(const struct snapshot *s, struct slice name)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&s->node_by_name, hash_bytes(name, 0), &at, &i)) {
		if (slice_eq(s->nodes[i]->name, name))
			return s->nodes[i];
	}
	return NULL;
}

const struct ss_node *snapshot_node_by_addr(const struct snapshot *s, struct addr a)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&s->node_by_addr, hash_addr(a), &at, &i)) {
		if (has_addr(s->nodes[i]->addrs, s->nodes[i]->addr_count, a))
			return s->nodes[i];
	}
	return NULL;
}

const struct ss_service *snapshot_service_by_name(const struct snapshot *s, struct slice ns,
						  struct slice name)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&s->service_by_name, hash_pair(ns, name), &at, &i)) {
		if (slice_eq(s->services[i]->name, name) && slice_eq(s->services[i]->namespace, ns))
			return s->services[i];
	}
	return NULL;
}

const struct ss_service_port *snapshot_service_port(const struct snapshot *s, struct addr a,
						    uint16_t port,
						    const struct ss_service **service)
{
	const struct port_entry *found = NULL;
	uint32_t at = UINT32_MAX, i;

	while (!found && hash_index_next(&s->by_port, hash_addr_port(a, port), &at, &i)) {
		if (s->ports[i].port->port == port && addr_eq(s->ports[i].addr, a))
			found = &s->ports[i];
	}
	at = UINT32_MAX;
	while (!found && snapshot_node_by_addr(s, a) &&
	       hash_index_next(&s->by_node_port, hash_u64(port, 0), &at, &i)) {
		if (s->ports[i].port->node_port == port)
			found = &s->ports[i];
	}
	if (service)
		*service = found ? found->service : NULL;
	return found ? found->port : NULL;
}

bool snapshot_is_service_addr(const struct snapshot *s, struct addr a)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&s->by_service_addr, hash_addr(a), &at, &i)) {
		if (has_addr(s->services[i]->addrs, s->services[i]->addr_count, a))
			return true;
	}
	return false;
}

const struct policy *snapshot_policy_for(const struct snapshot *s, const struct workload *w,
					 uint16_t port)
{
	const struct policy *rest = NULL;

	(void)s;
	for (uint32_t i = 0; i < w->record.policy_count; i++) {
		if (w->record.policies[i].port == port)
			return w->policies[i];
		if (w->record.policies[i].port == 0)
			rest = w->policies[i];
	}
	return rest;
}

const struct ss_provider *snapshot_provider(const struct snapshot *s, struct slice id)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&s->provider_by_id, hash_bytes(id, 0), &at, &i)) {
		if (slice_eq(s->providers[i]->id, id))
			return s->providers[i];
	}
	return NULL;
}

const struct limit *snapshot_limit(const struct snapshot *s, struct slice id)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&s->limit_by_id, hash_bytes(id, 0), &at, &i)) {
		if (slice_eq(s->limits[i]->record.id, id))
			return s->limits[i];
	}
	return NULL;
}

uint32_t snapshot_local_count(const struct snapshot *s)
{
	return s->local_count;
}

const struct workload *snapshot_local(const struct snapshot *s, uint32_t index)
{
	return s->locals[index];
}

uint32_t snapshot_node_count(const struct snapshot *s)
{
	return s->node_count;
}

const struct ss_node *snapshot_node(const struct snapshot *s, uint32_t index)
{
	return s->nodes[index];
}

uint32_t snapshot_service_count(const struct snapshot *s)
{
	return s->service_count;
}

const struct ss_service *snapshot_service(const struct snapshot *s, uint32_t index)
{
	return s->services[index];
}

uint32_t snapshot_workload_count(const struct snapshot *s)
{
	return s->workload_count;
}
