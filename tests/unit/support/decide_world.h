// SPDX-License-Identifier: GPL-3.0-or-later
// A real snapshot of one pod, encoded and decoded as on the wire, and requests to it.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include "common/clock.h"
#include "common/snapshot_codec.h"
#include "decide/decide.h"
#include "io/crypto.h"
#include "support/jws.h"

#define WORLD_LIST_MAX	  4
#define WORLD_KEYS_MAX	  8
#define WORLD_HEADERS_MAX 4
#define WORLD_NOW_NS	  (1000 * NS_PER_S)
#define WORLD_POD_V6                                                                               \
	{                                                                                          \
		0xfd, 0, 0, 1, 0, 2, 0, 3, [15] = 1                                                \
	} // fd00:1:2:3::1

struct world {
	struct arena arena; // of what is written here; reset with the world
	// What the snapshot says; world_link makes it.
	struct ss_policy policy;
	struct ss_group group;
	struct ss_rule rules[WORLD_LIST_MAX];
	struct ss_provider providers[WORLD_LIST_MAX];
	struct ss_jwk keys[WORLD_LIST_MAX][WORLD_KEYS_MAX];
	struct slice provider_ids[WORLD_LIST_MAX];
	struct ss_limit limits[WORLD_LIST_MAX];
	struct slice limit_ids[WORLD_LIST_MAX];
	uint32_t provider_count;	 // records; policy.provider_count of them are the policy's
	const uint8_t *providers_sha256; // instead of the section's own digest, or NULL
	// What asks.
	struct snapshot *snapshot;
	uint64_t counter; // of generations
	struct decide_context context;
	struct decide_subject subject;
	struct principal source;
	struct policy_input in;
	const char *header_names[WORLD_HEADERS_MAX];
	const char *header_values[WORLD_HEADERS_MAX];
	uint8_t *scratch;
	struct arena scratch_arena;
	void *table;
};

static inline bool world_header(const void *headers, struct slice name, struct slice *value)
{
	const struct world *w = headers;

	for (int i = 0; i < WORLD_HEADERS_MAX; i++) {
		if (!w->header_names[i] || !slice_eq_str(name, w->header_names[i]))
			continue;
		*value = slice_str(w->header_values[i]);
		return true;
	}
	return false;
}

static inline struct snapshot_section *world_section(enum section_kind kind, struct buf *b,
						     const uint8_t *sha256)
{
	struct section_ref ref = {.name = {kind, 0}, .bytes = (uint32_t)b->len};
	struct snapshot_section *s = NULL;
	struct reason why = {0};

	assert(b->err == ERR_OK);
	if (sha256)
		memcpy(ref.sha256, sha256, sizeof(ref.sha256));
	else
		crypto_sha256(buf_slice(b), ref.sha256);
	enum err err = snapshot_section_new(ref, buf_slice(b), &s, &why);

	if (err != ERR_OK)
		fail_msg("%s", why.text);
	return s;
}

static inline void world_put(struct buf *section, struct slice key, struct buf *value)
{
	section_put(section, key, buf_slice(value));
	buf_reset(value);
}

static inline struct snapshot_section *world_providers(struct world *w, struct buf *value)
{
	struct snapshot_section *s;
	struct buf b;

	buf_init_growing(&b, 1u << 20);
	for (uint32_t i = 0; i < w->provider_count; i++) {
		snapshot_encode_provider(value, &w->providers[i]);
		world_put(&b, w->providers[i].id, value);
	}
	s = world_section(SECTION_PROVIDERS, &b, w->providers_sha256);
	buf_deinit(&b);
	return s;
}

static inline struct snapshot_section *world_workload(struct buf *value)
{
	struct addr addrs[] = {addr_from_v4(0x0a000001), {.bytes = WORLD_POD_V6}};
	struct ss_port_policy covered = {0, SLICE_LIT("policy")};
	struct ss_workload pod = {.uid = SLICE_LIT("uid"),
				  .namespace = SLICE_LIT("shop"),
				  .name = SLICE_LIT("pod"),
				  .service_account = SLICE_LIT("cart"),
				  .node = SLICE_LIT("node"),
				  .addrs = addrs,
				  .addr_count = 2,
				  .enrolled = true,
				  .policies = &covered,
				  .policy_count = 1};
	struct snapshot_section *s;
	struct buf b;

	buf_init_growing(&b, 1u << 20);
	snapshot_encode_workload(value, &pod);
	world_put(&b, pod.uid, value);
	s = world_section(SECTION_WORKLOADS, &b, NULL);
	buf_deinit(&b);
	return s;
}

// One generation more out of what w says now.
static inline void world_link(struct world *w)
{
	struct ss_meta meta = {.trust_domain = SLICE_LIT("td")};
	struct snapshot_section *sections[5];
	struct reason why = {0};
	struct buf value, b;

	buf_init_growing(&value, 1u << 20);
	buf_init_growing(&b, 1u << 20);
	snapshot_encode_meta(&value, &meta);
	world_put(&b, SLICE_LIT("meta"), &value);
	sections[0] = world_section(SECTION_META, &b, NULL);
	buf_reset(&b);
	snapshot_encode_policy(&value, &w->policy);
	world_put(&b, SLICE_LIT("policy"), &value);
	sections[1] = world_section(SECTION_POLICIES, &b, NULL);
	buf_reset(&b);
	for (uint32_t i = 0; i < w->policy.limit_count; i++) {
		snapshot_encode_limit(&value, &w->limits[i]);
		world_put(&b, w->limits[i].id, &value);
	}
	sections[2] = world_section(SECTION_LIMITS, &b, NULL);
	sections[3] = world_providers(w, &value);
	sections[4] = world_workload(&value);
	snapshot_free(w->snapshot);
	w->snapshot = NULL;
	enum err err = snapshot_new((struct generation){1, ++w->counter}, sections, 5,
				    SLICE_LIT("node"), &w->snapshot, &why);

	if (err != ERR_OK)
		fail_msg("%s", why.text);
	for (int i = 0; i < 5; i++)
		snapshot_section_unref(sections[i]);
	buf_deinit(&value);
	buf_deinit(&b);
	w->context.snapshot = w->snapshot;
	w->subject.destination = snapshot_workload_by_uid(w->snapshot, SLICE_LIT("uid"));
	w->subject.policy = snapshot_policy_for(w->snapshot, w->subject.destination, w->in.port);
	assert_non_null(w->subject.policy);
}

static inline struct decision world_request(struct world *w)
{
	struct decision d;

	arena_reset(&w->scratch_arena);
	w->in.l7 = true;
	decide_request(&w->context, &w->subject, &w->in, &d);
	return d;
}

static inline struct decision world_connection(struct world *w)
{
	struct decision d;

	w->in.l7 = false;
	decide_connection(&w->context, &w->subject, &w->in, &d);
	return d;
}

static inline void world_bearer(struct world *w, const char *token)
{
	static char text[JWT_BYTES_MAX + 64];

	assert(strlen(token) < JWT_BYTES_MAX + 32);
	sprintf(text, "Bearer %s", token);
	w->header_names[0] = token[0] ? "authorization" : NULL;
	w->header_values[0] = text;
}

// The provider of jws_vectors.py: k1, k2 and an EdDSA key without kid.
static inline void world_provider(struct world *w, uint32_t i, const char *name, const char *issuer)
{
	static struct slice audience = {(const uint8_t *)"shop", 4};
	char id[64];

	sprintf(id, "ns/p/%u-%s", i, name);
	w->keys[i][0] = jws_key(&w->arena, &KEY_ES256);
	w->keys[i][1] = jws_key(&w->arena, &KEY_RS256);
	w->keys[i][2] = jws_key(&w->arena, &KEY_EDDSA);
	w->providers[i] = (struct ss_provider){
		.id = arena_copy(&w->arena, slice_str(id)),
		.name = slice_str(name),
		.issuer = slice_str(issuer),
		.audiences = &audience,
		.audience_count = 1,
		.keys = w->keys[i],
		.key_count = 3,
		.clock_skew_s = 60,
	};
	w->provider_ids[i] = w->providers[i].id;
	w->provider_count = w->policy.provider_count = i + 1;
}

static inline int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	size_t bytes = ratelimit_table_bytes(1024);

	assert_non_null(w);
	arena_init(&w->arena, 1u << 20);
	w->scratch = malloc(DECIDE_SCRATCH_BYTES);
	arena_init_fixed(&w->scratch_arena, w->scratch, DECIDE_SCRATCH_BYTES);
	w->table = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
	memset(w->table, 0, bytes);
	assert_int_equal(ratelimit_table_init(w->table, bytes, 1, &w->context.limits), ERR_OK);
	w->group = (struct ss_group){.target = SLICE_LIT("Namespace/shop"),
				     .default_action = RULE_ALLOW,
				     .default_policy = SLICE_LIT("SecurityPolicy/shop/p")};
	w->policy = (struct ss_policy){
		.id = SLICE_LIT("policy"),
		.needs_l7 = true,
		.jwt_policy = SLICE_LIT("SecurityPolicy/shop/jwt"),
		.groups = &w->group,
		.group_count = 1,
		.rules = w->rules,
		.provider_ids = w->provider_ids,
		.limit_ids = w->limit_ids,
	};
	w->source = (struct principal){.type = PRINCIPAL_WORKLOAD,
				       .trust_domain = SLICE_LIT("td"),
				       .namespace = SLICE_LIT("y"),
				       .service_account = SLICE_LIT("x")};
	w->in = (struct policy_input){
		.source = &w->source,
		.client = addr_from_v4(0x0a010203),
		.port = 8080,
		.method = SLICE_LIT("GET"),
		.path = SLICE_LIT("/a"),
		.host = SLICE_LIT("shop.example"),
		.headers = w,
		.header = world_header,
	};
	w->context.arena = &w->scratch_arena;
	w->context.now_ns = WORLD_NOW_NS;
	w->context.now_unix_s = NOW_UNIX_S;
	*state = w;
	return 0;
}

static inline int world_teardown(void **state)
{
	struct world *w = *state;

	snapshot_free(w->snapshot);
	token_cache_free(w->context.tokens);
	arena_deinit(&w->arena);
	free(w->scratch);
	free(w->table);
	free(w);
	return 0;
}
