// SPDX-License-Identifier: GPL-3.0-or-later
// Records to sorted sections; meta, nodes, pods; see compile.h.
#include "compile/compile.h"

#include <stdlib.h>
#include "common/snapshot_codec.h"
#include "io/crypto.h"

#define COMPILED_BYTES_MAX (1u << 30)
#define RECORD_BYTES_MAX   SNAPSHOT_RECORD_BYTES_MAX

void compile_put(struct compiler *c, enum section_kind kind, struct slice key, struct slice value)
{
	struct records *r = &c->kinds[kind];

	if (r->count == r->capacity) {
		uint32_t capacity = r->capacity ? r->capacity * 2 : 64;
		struct slice *keys = realloc(r->keys, capacity * sizeof(*keys));

		if (keys)
			r->keys = keys;
		struct slice *values = realloc(r->values, capacity * sizeof(*values));

		if (values)
			r->values = values;
		if (!keys || !values) {
			c->err = ERR_NOMEM;
			return;
		}
		r->capacity = capacity;
	}
	r->keys[r->count] = arena_copy(c->arena, key);
	r->values[r->count] = arena_copy(c->arena, value);
	if (!r->keys[r->count].ptr || !r->values[r->count].ptr)
		c->err = ERR_NOMEM;
	else
		r->count++;
}

bool compile_has(const struct compiler *c, enum section_kind kind, struct slice key)
{
	const struct records *r = &c->kinds[kind];

	for (uint32_t i = 0; i < r->count; i++) {
		if (slice_eq(r->keys[i], key))
			return true;
	}
	return false;
}

// ---- meta, nodes, pods -------------------------------------------------------------------------

void compile_meta(struct compiler *c)
{
	struct buf b;

	buf_init_growing(&b, RECORD_BYTES_MAX);
	snapshot_encode_meta(&b, &c->model->meta);
	compile_put(c, SECTION_META, SLICE_LIT("meta"), buf_slice(&b));
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
			.ingress = n->ingress,
		};
		struct buf b;

		if (compile_has(c, SECTION_NODES, n->name)) {
			diagnostics_add(c->diagnostics, SEVERITY_ERROR, n->origin.file,
					n->origin.line, 1, "metadata.name",
					"Node %.*s is there twice", SLICE_ARG(n->name));
			continue;
		}
		buf_init_growing(&b, RECORD_BYTES_MAX);
		snapshot_encode_node(&b, &out);
		compile_put(c, SECTION_NODES, n->name, buf_slice(&b));
		buf_deinit(&b);
	}
}

bool pod_is_enrolled(const struct model *m, const struct pod *p)
{
	const struct namespace_object *n = model_namespace(m, p->namespace);

	if (p->host_network)
		return false;
	if (p->mode != DATAPLANE_UNSET)
		return p->mode == DATAPLANE_ENABLED;
	return !n || n->mode != DATAPLANE_NONE;
}

// An address that two running pods claim is nobody's: it must not lend one the other's identity.
static bool address_is_taken(const struct compiler *c, uint32_t before)
{
	const struct pod *p = c->model->pods.items[before];

	for (uint32_t i = 0; i < c->model->pods.count; i++) {
		const struct pod *other = c->model->pods.items[i];

		if (other == p || other->terminal || other->host_network)
			continue;
		for (uint32_t k = 0; k < p->addr_count * other->addr_count; k++) {
			if (addr_eq(p->addrs[k % p->addr_count], other->addrs[k / p->addr_count]))
				return true;
		}
	}
	return false;
}

void compile_workloads(struct compiler *c)
{
	for (uint32_t i = 0; i < c->model->pods.count; i++) {
		const struct pod *p = c->model->pods.items[i];
		struct ss_port_policy policies[SNAPSHOT_PORTS_PER_OBJECT_MAX];
		struct ss_workload out = {
			.uid = p->uid,
			.namespace = p->namespace,
			.name = p->name,
			.service_account = p->service_account,
			.node = p->node,
			.addrs = p->addrs,
			.addr_count = p->addr_count,
			.enrolled = pod_is_enrolled(c->model, p),
			.host_network = p->host_network,
			.policies = policies,
		};
		struct buf b;

		if (p->terminal || p->addr_count == 0 || p->node.len == 0)
			continue;
		if ((!p->host_network && address_is_taken(c, i)) ||
		    compile_has(c, SECTION_WORKLOADS, p->uid)) {
			diagnostics_add(c->diagnostics, SEVERITY_ERROR, p->origin.file,
					p->origin.line, 1, "status.podIPs",
					"another pod has the same address or uid");
			continue;
		}
		out.policy_count = out.enrolled ? compile_pod_policies(c, p, policies) : 0;
		buf_init_growing(&b, RECORD_BYTES_MAX);
		snapshot_encode_workload(&b, &out);
		compile_put(c, SECTION_WORKLOADS, p->uid, buf_slice(&b));
		buf_deinit(&b);
	}
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
	compile_meta(&c);
	compile_nodes(&c);
	compile_check_targets(&c); // first: a target that cannot be resolved breaks its policy
	compile_services(&c);
	compile_workloads(&c);
	err = out->sections && out->trust_domain.ptr ? c.err : ERR_NOMEM;
	for (enum section_kind k = SECTION_META; k < SECTION_KIND_COUNT; k++) {
		if (err == ERR_OK)
			err = put_sections(out, k, &c.kinds[k]);
		free(c.kinds[k].keys);
		free(c.kinds[k].values);
	}
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
