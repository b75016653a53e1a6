// SPDX-License-Identifier: GPL-3.0-or-later
// Decoding of one section; see snapshot_section.h. What is decoded here is shared by every
// generation that uses the same bytes.
#include "core/snapshot_section.h"

#include <stdio.h>
#include <stdlib.h>
#include "common/hash.h"
#include "common/snapshot_codec.h"
#include "common/snapshot_tables.h"

// What one record may take when it is decoded: so much more than its bytes (msgpack is dense), plus a floor.
// Of a section's memory every record has its share, and what blocks leave unused at their ends.
#define RECORD_FACTOR	    64
#define RECORD_FLOOR_BYTES  4096
#define SECTION_FACTOR	    (2 * RECORD_FACTOR)
#define SECTION_FLOOR_BYTES (1u << 16)

// A policy that this version cannot read (a later one's word, say) refuses: its pods are not open, and the
// rest of the snapshot holds.
static void refuse_policy(struct slice key, const struct reason *why, struct snapshot_section *s,
			  struct ss_policy *out)
{
	char text[REASON_BYTES_MAX + 32];

	snprintf(text, sizeof(text), "it cannot be read here: %s", why->text);
	*out = (struct ss_policy){
		.id = key, .needs_l7 = true, .broken = arena_copy(&s->arena, slice_str(text))};
	if (!out->broken.ptr)
		out->broken = SLICE_LIT("it cannot be read here");
}

// A set of rules that this version cannot read: policies that name it refuse. See snapshot_link.
static enum err decode_rule_set(struct slice value, struct arena *a, struct snapshot_rule_set *out,
				struct reason *why)
{
	enum err err = snapshot_decode_record(SECTION_RULE_SETS, value, a, &out->record, why);

	if (err != ERR_OK)
		return err;
	err = policy_set_compile(out->record.rules, out->record.rule_count, a, &out->compiled);
	return err ? err_because(err, why, "its rules cannot be compiled: %s", err_name(err)) : err;
}

static enum err decode_policy(struct slice value, struct arena *a, struct snapshot_policy *out,
			      struct reason *why)
{
	enum err err = snapshot_decode_record(SECTION_POLICIES, value, a, &out->record, why);

	if (err != ERR_OK)
		return err;
	err = policy_compile(&out->record, a, &out->compiled);
	return err ? err_because(err, why, "its rules cannot be compiled: %s", err_name(err)) : err;
}

static enum err decode_limit(struct slice value, struct arena *a, struct limit *out,
			     struct reason *why)
{
	struct cidr_set *clients;
	enum err err = snapshot_decode_record(SECTION_LIMITS, value, a, &out->record, why);

	if (err != ERR_OK)
		return err;
	for (uint32_t i = 0; i < out->record.path_count; i++) {
		if (out->record.paths[i].type == PATH_REGEX) // it would limit nothing
			return err_because(ERR_UNSUPPORTED, why, "paths has a regular expression");
	}
	err = cidr_set_build(a, out->record.client_cidrs, out->record.client_cidr_count, &clients);
	out->clients = clients;
	out->key_seed = hash_bytes(out->record.id, 0);
	out->rate = ratelimit_rate_of(out->record.requests, out->record.unit_s, out->record.burst);
	return err;
}

static enum err decode_record(struct snapshot_section *s, uint32_t i, struct slice value,
			      struct reason *why)
{
	enum section_kind kind = s->ref.name.kind;
	struct arena *a = &s->arena;

	switch (kind) {
	case SECTION_META:
		return snapshot_decode_record(kind, value, a, &s->meta[i], why);
	case SECTION_NODES:
		return snapshot_decode_record(kind, value, a, &s->nodes[i], why);
	case SECTION_WORKLOADS:
		return snapshot_decode_record(kind, value, a, &s->workloads[i].record, why);
	case SECTION_SERVICES:
		return snapshot_decode_record(kind, value, a, &s->services[i], why);
	case SECTION_POLICIES:
		return decode_policy(value, a, &s->policies[i], why);
	case SECTION_PROVIDERS:
		return snapshot_decode_record(kind, value, a, &s->providers[i], why);
	case SECTION_LIMITS:
		return decode_limit(value, a, &s->limits[i], why);
	case SECTION_TRUST:
		return snapshot_decode_record(kind, value, a, &s->roots[i], why);
	case SECTION_RULE_SETS:
		return decode_rule_set(value, a, &s->rule_sets[i], why);
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
	if (count > snapshot_records_max(s->ref.name.kind))
		return err_because(ERR_TOO_LARGE, why, "section %s: %u records are too many", name,
				   count);
	s->arena.bytes_max += 2 * (size_t)count * RECORD_FLOOR_BYTES;
	err = make_table(s, count);
	section_iterate(&it, s->bytes);
	while (err == ERR_OK && section_next(&it, &key, &value, &record)) {
		struct reason what = {0};

		err = decode_record(s, i, value, &what);
		if (err == ERR_UNSUPPORTED && s->ref.name.kind == SECTION_RULE_SETS) {
			s->rule_sets[i] = (struct snapshot_rule_set){.record.id = key};
			err = ERR_OK;
		}
		if (err == ERR_UNSUPPORTED && s->ref.name.kind == SECTION_POLICIES) {
			refuse_policy(key, &what, s, &s->policies[i].record);
			err = policy_compile(&s->policies[i].record, &s->arena,
					     &s->policies[i].compiled);
		}
		if (err != ERR_OK)
			return err_because(err, why, "section %s: record %.*s: %s", name,
					   SLICE_ARG(key),
					   what.text[0] ? what.text : err_name(err));
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

enum err snapshot_check_record(enum section_kind kind, struct slice value, struct reason *why)
{
	struct snapshot_section s = {.ref.name.kind = kind};
	enum err err;

	arena_init(&s.arena, value.len * RECORD_FACTOR + RECORD_FLOOR_BYTES);
	err = make_table(&s, 1);
	if (err == ERR_OK)
		err = decode_record(&s, 0, value, why);
	if (err == ERR_NOMEM)
		err_because(err, why, "takes too much memory for what it says");
	else if (err != ERR_OK && why->text[0] == 0)
		err_because(err, why, "is refused: %s", err_name(err));
	arena_deinit(&s.arena);
	return err;
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
