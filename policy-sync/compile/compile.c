// SPDX-License-Identifier: GPL-3.0-or-later
// Records to sorted sections; meta, nodes, pods; see compile.h.
#include "compile/compile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/snapshot_codec.h"
#include "common/snapshot_tables.h"
#include "core/snapshot.h"
#include "io/crypto.h"

#define COMPILED_BYTES_MAX (1u << 30)
#define RECORD_BYTES_MAX   SNAPSHOT_RECORD_BYTES_MAX

static enum err records_grow(struct records *r)
{
	uint32_t capacity = r->capacity ? r->capacity * 2 : 64;
	struct slice *keys = realloc(r->keys, capacity * sizeof(*keys));

	if (!keys)
		return ERR_NOMEM;
	r->keys = keys;
	struct slice *values = realloc(r->values, capacity * sizeof(*values));

	if (!values)
		return ERR_NOMEM;
	r->values = values;
	r->capacity = capacity;
	return ERR_OK;
}

bool compile_put(struct compiler *c, enum section_kind kind, struct slice key,
		 const struct buf *value, struct reason *why)
{
	struct records *r = &c->kinds[kind];

	if (c->err != ERR_OK || compile_has(c, kind, key))
		return true;
	*why = (struct reason){0};
	if (value->err != ERR_OK)
		return err_because(ERR_TOO_LARGE, why, "is larger than %u bytes",
				   RECORD_BYTES_MAX) == ERR_OK;
	if (snapshot_check_record(kind, buf_slice(value), why) != ERR_OK)
		return false;
	if (r->count == r->capacity)
		c->err = records_grow(r);
	if (c->err != ERR_OK)
		return true;
	r->keys[r->count] = arena_copy(c->arena, key);
	r->values[r->count] = arena_copy(c->arena, buf_slice(value));
	if (!r->keys[r->count].ptr || !r->values[r->count].ptr)
		c->err = ERR_NOMEM;
	else
		c->err = lookup_put(&r->by_key, hash_bytes(key, 0), r->count++);
	return true;
}

bool compile_has(const struct compiler *c, enum section_kind kind, struct slice key)
{
	const struct records *r = &c->kinds[kind];
	uint32_t at = UINT32_MAX, i;

	while (lookup_next(&r->by_key, hash_bytes(key, 0), &at, &i)) {
		if (slice_eq(r->keys[i], key))
			return true;
	}
	return false;
}

void compile_say(struct compiler *c, enum severity severity, const struct origin *at,
		 const char *field, const char *format, ...)
{
	char message[400];
	va_list l;

	va_start(l, format);
	vsnprintf(message, sizeof(message), format, l);
	va_end(l);
	diagnostics_add(c->diagnostics, severity, at->file, at->line,
			at->tree ? at->tree->column : 1, field, "%s", message);
}

struct slice compile_record_id(struct slice record, char text[RECORD_ID_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[32];

	crypto_sha256(record, digest);
	for (int i = 0; i < RECORD_ID_BYTES - 1; i++)
		text[i] = digits[i % 2 ? digest[i / 2] & 15 : digest[i / 2] >> 4];
	text[RECORD_ID_BYTES - 1] = 0;
	return slice_make(text, RECORD_ID_BYTES - 1);
}

// ---- meta, nodes, pods -------------------------------------------------------------------------

void compile_meta(struct compiler *c)
{
	struct reason why;
	struct buf b;

	buf_init_growing(&b, RECORD_BYTES_MAX);
	snapshot_encode_meta(&b, &c->model->meta);
	if (!compile_put(c, SECTION_META, SLICE_LIT("meta"), &b, &why))
		c->err = ERR_INTERNAL; // bounded where a MeshConfig is read
	buf_deinit(&b);
}

void compile_nodes(struct compiler *c)
{
	for (uint32_t i = 0; i < c->model->nodes.count; i++) {
		const struct node_object *n = c->model->nodes.items[i];
		struct ss_node out = {
			.name = n->name,
			.addrs = n->addrs,
			.addr_count = n->addr_count,
			.tunnel_port = c->model->tunnel_port,
			.zone = n->zone,
			.ingress = n->ingress && labels_match(&c->model->ingress_nodes, &n->labels),
			.meshed = !n->uncaptured, // once it has acknowledged capture: publish
		};
		struct reason why;
		struct buf b;

		buf_init_growing(&b, RECORD_BYTES_MAX);
		snapshot_encode_node(&b, &out);
		if (!compile_put(c, SECTION_NODES, n->name, &b, &why))
			compile_say(c, SEVERITY_ERROR, &n->origin, "metadata.name",
				    "Node %.*s is left out: %s", SLICE_ARG(n->name), why.text);
		buf_deinit(&b);
	}
}

// The platform's override that covers a pod's namespace; NULL: none.
static const struct security_policy *pod_override(const struct model *m, const struct pod *p)
{
	const struct namespace_object *n = model_namespace(m, p->namespace);

	for (uint32_t i = 0; i < m->policies.count; i++) {
		const struct security_policy *o = m->policies.items[i];

		if (o->namespace.len == 0 && o->mode == MODE_ENFORCE &&
		    (o->overrides.tree || o->broken.len > 0) &&
		    (o->all_namespaces || (n && labels_match(&o->namespace_selector, &n->labels))))
			return o;
	}
	return NULL;
}

// A pod's labels are its tenant's, who could walk out of the platform's guardrails by one of them.
bool pod_is_enrolled(const struct model *m, const struct pod *p)
{
	const struct namespace_object *n = model_namespace(m, p->namespace);

	if (p->host_network)
		return false;
	if (p->mode == DATAPLANE_ENABLED)
		return true;
	if (n && n->mode == DATAPLANE_NONE)
		return false;
	return p->mode == DATAPLANE_UNSET || pod_override(m, p);
}

static void say_where_it_stays(struct compiler *c, const struct pod *p)
{
	if (p->mode == DATAPLANE_NONE && pod_is_enrolled(c->model, p))
		compile_say(c, SEVERITY_WARNING, &p->origin, "metadata.labels",
			    "the pod stays enrolled: %.*s overrides what its labels say",
			    SLICE_ARG(pod_override(c->model, p)->title));
}

static void say_lost(struct compiler *c, uint32_t index, struct addr a)
{
	const struct pod *p = c->model->pods.items[index];
	uint32_t holder = index_pod_at(&c->index, c->model, a);
	char whose[400] = "a node's or a Service's, which had it before", text[ADDR_TEXT_MAX];

	if (holder == index)
		snprintf(whose, sizeof(whose), "another pod's since the same time: nobody's");
	else if (holder != INDEX_NONE)
		snprintf(whose, sizeof(whose), "pod %.*s/%.*s's, which had it before",
			 SLICE_ARG(((const struct pod *)c->model->pods.items[holder])->namespace),
			 SLICE_ARG(((const struct pod *)c->model->pods.items[holder])->name));
	compile_say(c, SEVERITY_ERROR, &p->origin, "status.podIPs",
		    "%s is %s: Pod %.*s/%.*s does not get it", addr_format(a, text), whose,
		    SLICE_ARG(p->namespace), SLICE_ARG(p->name));
}

// The addresses that are left to it.
static struct addr *pod_addrs_left(struct compiler *c, uint32_t index, uint32_t *count)
{
	const struct pod *p = c->model->pods.items[index];
	struct addr *list = arena_alloc(c->arena, p->addr_count, sizeof(*list));

	*count = 0;
	for (uint32_t i = 0; list && i < p->addr_count; i++) {
		if (c->index.pod_lost[index] >> i & 1)
			say_lost(c, index, p->addrs[i]);
		else
			list[(*count)++] = p->addrs[i];
	}
	if (!list)
		c->err = ERR_NOMEM;
	return list;
}

static void compile_workload(struct compiler *c, uint32_t index)
{
	const struct pod *p = c->model->pods.items[index];
	struct ss_port_policy policies[SNAPSHOT_PORTS_PER_OBJECT_MAX];
	struct ss_workload out = {
		.uid = p->uid,
		.namespace = p->namespace,
		.name = p->name,
		.service_account = p->service_account,
		.node = p->node,
		.enrolled = pod_is_enrolled(c->model, p),
		.host_network = p->host_network,
		.policies = policies,
	};
	struct reason why;
	struct buf b;

	if (p->terminal || p->addr_count == 0 || p->node.len == 0)
		return;
	// Nobody may have the other's identity.
	if (c->index.pod_disputed[index] || compile_has(c, SECTION_WORKLOADS, p->uid)) {
		compile_say(c, SEVERITY_ERROR, &p->origin, "status.podIPs",
			    "another pod has the same uid");
		return;
	}
	out.addrs = pod_addrs_left(c, index, &out.addr_count);
	if (out.addr_count == 0)
		return;
	say_where_it_stays(c, p);
	out.policy_count = out.enrolled ? compile_pod_policies(c, index, policies) : 0;
	buf_init_growing(&b, RECORD_BYTES_MAX);
	snapshot_encode_workload(&b, &out);
	c->pod_put[index] = compile_put(c, SECTION_WORKLOADS, p->uid, &b, &why);
	if (!c->pod_put[index])
		compile_say(c, SEVERITY_ERROR, &p->origin, "metadata.name",
			    "Pod %.*s/%.*s is left out: %s", SLICE_ARG(p->namespace),
			    SLICE_ARG(p->name), why.text);
	buf_deinit(&b);
}

void compile_workloads(struct compiler *c)
{
	for (uint32_t i = 0; i < c->model->pods.count && c->err == ERR_OK; i++)
		compile_workload(c, i);
	compile_policies_deinit(c);
}

// ---- sections ----------------------------------------------------------------------------------

struct order {
	struct slice key;
	struct slice value;
	uint8_t shard;
};

static int by_shard_and_key(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->shard != y->shard)
		return x->shard < y->shard ? -1 : 1;
	return slice_cmp(x->key, y->key);
}

static uint8_t shard_of(enum section_kind kind, struct slice key)
{
	uint8_t digest[32];

	if (!section_kind_is_sharded(kind))
		return 0;
	crypto_sha256(key, digest);
	return digest[0];
}

static enum err check_size(struct compiler *c, enum section_kind kind)
{
	char name[SECTION_NAME_MAX];
	uint32_t count = c->kinds[kind].count, max = snapshot_records_max(kind);

	if (count <= max)
		return ERR_OK;
	section_name_format((struct section_name){.kind = kind}, name);
	diagnostics_add(c->diagnostics, SEVERITY_ERROR, "", 0, 0, "",
			"%u records of %.*s, the limit is %u: nothing of this can be published",
			count, (int)strcspn(name, "/"), name, max);
	return ERR_TOO_LARGE;
}

static enum err put_sections(struct compiled *out, enum section_kind kind, const struct records *r)
{
	struct order *list = calloc(r->count ? r->count : 1, sizeof(*list));
	uint32_t i = 0;
	enum err err = list ? ERR_OK : ERR_NOMEM;

	for (uint32_t k = 0; list && k < r->count; k++)
		list[k] = (struct order){r->keys[k], r->values[k], shard_of(kind, r->keys[k])};
	if (list && r->count > 0)
		qsort(list, r->count, sizeof(*list), by_shard_and_key);
	while (err == ERR_OK && i < r->count) {
		struct section_name name = {kind, list[i].shard};
		struct buf b;

		buf_init_growing(&b, SNAPSHOT_BYTES_MAX);
		for (; i < r->count && list[i].shard == name.shard; i++)
			section_put(&b, list[i].key, list[i].value);
		struct slice bytes = arena_copy(&out->arena, buf_slice(&b));

		err = b.err;
		if (err == ERR_OK && (!bytes.ptr || out->count == SNAPSHOT_SECTIONS_MAX))
			err = ERR_TOO_LARGE;
		if (err == ERR_OK)
			out->sections[out->count++] = (struct compiled_section){name, bytes};
		buf_deinit(&b);
	}
	free(list);
	return err;
}

static void compile_all(struct compiler *c)
{
	c->err = compile_index_init(&c->index, c->model, c->arena);
	c->pod_put = arena_alloc(c->arena, c->model->pods.count, sizeof(*c->pod_put));
	c->limit_refused = arena_alloc(c->arena, c->model->limits.count, sizeof(*c->limit_refused));
	if (c->err == ERR_OK && (!c->pod_put || !c->limit_refused))
		c->err = ERR_NOMEM;
	if (c->err != ERR_OK)
		return;
	compile_meta(c);
	compile_nodes(c);
	compile_check_targets(c); // first: a target that cannot be resolved breaks its policy
	compile_check_rules(c);
	compile_check_reach(c);
	compile_check_records(c);
	compile_workloads(c);
	compile_claims(c);
	compile_services(c); // endpoints lead to pods that have a record
}

enum err compile_model(const struct model *m, struct diagnostics *d, struct compiled **result)
{
	struct compiled *out = calloc(1, sizeof(*out));
	struct arena scratch;
	enum err err;

	if (!out)
		return ERR_NOMEM;
	arena_init(&scratch, COMPILED_BYTES_MAX);
	arena_init(&out->arena, COMPILED_BYTES_MAX);
	struct compiler c = {.model = m, .diagnostics = d, .arena = &scratch};

	out->sections = calloc(SNAPSHOT_SECTIONS_MAX, sizeof(*out->sections));
	out->trust_domain = arena_copy(&out->arena, m->meta.trust_domain);
	compile_all(&c);
	err = out->sections && out->trust_domain.ptr ? c.err : ERR_NOMEM;
	for (enum section_kind k = SECTION_META; k < SECTION_KIND_COUNT; k++) {
		if (err == ERR_OK)
			err = check_size(&c, k);
		if (err == ERR_OK)
			err = put_sections(out, k, &c.kinds[k]);
		free(c.kinds[k].keys);
		free(c.kinds[k].values);
		lookup_deinit(&c.kinds[k].by_key);
	}
	lookup_deinit(&c.said);
	arena_deinit(&scratch);
	if (err != ERR_OK) {
		compiled_free(out);
		return err;
	}
	*result = out;
	return ERR_OK;
}

void compiled_free(struct compiled *c)
{
	if (!c)
		return;
	arena_deinit(&c->arena);
	free(c->sections);
	free(c);
}
