// SPDX-License-Identifier: GPL-3.0-or-later
// Decoding of one section; see snapshot_section.h. What is decoded here is shared by every
// generation that uses the same bytes.
#include "core/snapshot_section.h"

#include <stdlib.h>
#include "common/hash.h"
#include "common/snapshot_codec.h"

// Decoded records may be so much larger than their bytes (msgpack is dense), plus a floor.
#define SECTION_FACTOR	    64
#define SECTION_FLOOR_BYTES (1u << 16)

static enum err decode_policy(struct slice value, struct arena *a, struct snapshot_policy *out)
{
	enum err err = snapshot_decode_policy(value, a, &out->record);

	return err != ERR_OK ? err : policy_compile(&out->record, a, &out->compiled);
}

static enum err decode_rule_set(struct slice value, struct arena *a, struct snapshot_rule_set *out)
{
	enum err err = snapshot_decode_rule_set(value, a, &out->record);

	return err != ERR_OK ? err
			     : policy_set_compile(out->record.rules, out->record.rule_count, a,
						  &out->compiled);
}

static enum err decode_limit(struct slice value, struct arena *a, struct limit *out)
{
	struct cidr_set *clients;
	enum err err = snapshot_decode_limit(value, a, &out->record);

	if (err != ERR_OK)
		return err;
	if (out->record.requests == 0 || out->record.unit_s == 0)
		return ERR_RANGE;
	for (uint32_t i = 0; i < out->record.path_count; i++) {
		if (out->record.paths[i].type == PATH_REGEX)
			return ERR_UNSUPPORTED; // it would limit nothing
	}
	err = cidr_set_build(a, out->record.client_cidrs, out->record.client_cidr_count, &clients);
	out->clients = clients;
	out->key_seed = hash_bytes(out->record.id, 0);
	return err;
}

static enum err decode_workload(struct slice value, struct arena *a, struct workload *out)
{
	return snapshot_decode_workload(value, a, &out->record);
}

static enum err decode_record(struct snapshot_section *s, uint32_t i, struct slice value)
{
	struct arena *a = &s->arena;

	switch (s->ref.name.kind) {
	case SECTION_META:
		return snapshot_decode_meta(value, a, &s->meta[i]);
	case SECTION_NODES:
		return snapshot_decode_node(value, a, &s->nodes[i]);
	case SECTION_WORKLOADS:
		return decode_workload(value, a, &s->workloads[i]);
	case SECTION_SERVICES:
		return snapshot_decode_service(value, a, &s->services[i]);
	case SECTION_POLICIES:
		return decode_policy(value, a, &s->policies[i]);
	case SECTION_PROVIDERS:
		return snapshot_decode_provider(value, a, &s->providers[i]);
	case SECTION_LIMITS:
		return decode_limit(value, a, &s->limits[i]);
	case SECTION_TRUST:
		return snapshot_decode_trust_root(value, a, &s->roots[i]);
	case SECTION_RULE_SETS:
		return decode_rule_set(value, a, &s->rule_sets[i]);
	case SECTION_NONE:
	case SECTION_KIND_COUNT:
		break;
	}
	return ERR_UNSUPPORTED;
}

#define TABLE(member)                                                                              \
	do {                                                                                       \
		s->member = arena_alloc(&s->arena, count, sizeof(*s->member));                     \
		made = s->member != NULL;                                                          \
	} while (0)

static enum err make_table(struct snapshot_section *s, uint32_t count)
{
	bool made = false;

	switch (s->ref.name.kind) {
	case SECTION_META:
		if (count != 1)
			return ERR_MALFORMED;
		TABLE(meta);
		break;
	case SECTION_NODES:
		TABLE(nodes);
		s->node_count = count;
		break;
	case SECTION_WORKLOADS:
		TABLE(workloads);
		s->workload_count = count;
		break;
	case SECTION_SERVICES:
		TABLE(services);
		s->service_count = count;
		break;
	case SECTION_POLICIES:
		TABLE(policies);
		s->policy_count = count;
		break;
	case SECTION_PROVIDERS:
		TABLE(providers);
		s->provider_count = count;
		break;
	case SECTION_LIMITS:
		TABLE(limits);
		s->limit_count = count;
		break;
	case SECTION_TRUST:
		TABLE(roots);
		s->root_count = count;
		break;
	case SECTION_RULE_SETS:
		TABLE(rule_sets);
		s->rule_set_count = count;
		break;
	case SECTION_NONE:
	case SECTION_KIND_COUNT:
		return ERR_UNSUPPORTED;
	}
	return made ? ERR_OK : ERR_NOMEM;
}

static uint32_t record_limit(enum section_kind kind)
{
	switch (kind) {
	case SECTION_META:
		return 1;
	case SECTION_NODES:
		return SNAPSHOT_NODES_MAX;
	case SECTION_WORKLOADS:
		return SNAPSHOT_WORKLOADS_MAX;
	case SECTION_SERVICES:
		return SNAPSHOT_SERVICES_MAX;
	case SECTION_POLICIES:
	case SECTION_PROVIDERS:
		return SNAPSHOT_POLICIES_MAX;
	case SECTION_LIMITS:
		return SNAPSHOT_LIMITS_MAX;
	case SECTION_TRUST:
		return 64;
	case SECTION_RULE_SETS:
		return SNAPSHOT_RULE_SETS_MAX;
	case SECTION_NONE:
	case SECTION_KIND_COUNT:
		break;
	}
	return 0;
}

static enum err section_load(struct snapshot_section *s, struct reason *why)
{
	struct slice key, value, record;
	struct section_iterator it;
	char name[SECTION_NAME_MAX];
	uint32_t count = 0, i = 0;
	enum err err;

	section_name_format(s->ref.name, name);
	section_iterate(&it, s->bytes);
	while (section_next(&it, &key, &value, &record))
		count++;
	if (it.err != ERR_OK)
		return err_because(it.err, why, "section %s: record %u is malformed", name, count);
	if (count > record_limit(s->ref.name.kind))
		return err_because(ERR_TOO_LARGE, why, "section %s: %u records are too many", name,
				   count);
	err = make_table(s, count);
	section_iterate(&it, s->bytes);
	while (err == ERR_OK && section_next(&it, &key, &value, &record)) {
		err = decode_record(s, i, value);
		if (err != ERR_OK)
			return err_because(err, why, "section %s: record %.*s: %s", name,
					   SLICE_ARG(key), err_name(err));
		i++;
	}
	return err == ERR_OK ? err : err_because(err, why, "section %s: %s", name, err_name(err));
}

enum err snapshot_section_new(struct section_ref ref, struct slice bytes,
			      struct snapshot_section **out, struct reason *why)
{
	struct snapshot_section *s = calloc(1, sizeof(*s));
	enum err err;

	if (!s)
		return err_because(ERR_NOMEM, why, "no memory for a section");
	s->ref = ref;
	s->refs = 1;
	arena_init(&s->arena, bytes.len * SECTION_FACTOR + SECTION_FLOOR_BYTES);
	s->bytes = arena_copy(&s->arena, bytes);
	if (bytes.len > SNAPSHOT_BYTES_MAX || !s->bytes.ptr)
		err = err_because(ERR_TOO_LARGE, why, "a section is too large");
	else
		err = section_load(s, why);
	if (err != ERR_OK) {
		snapshot_section_unref(s);
		return err;
	}
	*out = s;
	return ERR_OK;
}

void snapshot_section_ref(struct snapshot_section *s)
{
	s->refs++;
}

void snapshot_section_unref(struct snapshot_section *s)
{
	if (!s || --s->refs > 0)
		return;
	arena_deinit(&s->arena);
	free(s);
}

const struct section_ref *snapshot_section_id(const struct snapshot_section *s)
{
	return &s->ref;
}

struct slice snapshot_section_bytes(const struct snapshot_section *s)
{
	return s->bytes;
}
