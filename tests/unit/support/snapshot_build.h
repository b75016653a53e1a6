// SPDX-License-Identifier: GPL-3.0-or-later
// Sections and snapshots out of records, encoded and decoded as on the wire.
#pragma once

#include <stdlib.h>
#include "common/snapshot_codec.h"
#include "core/snapshot.h"
#include "io/crypto.h"

#define BUILD_SECTIONS_MAX 16

struct build {
	struct snapshot_section *sections[BUILD_SECTIONS_MAX];
	uint32_t count;
	struct reason why; // of the last failure
};

static inline enum err build_bytes(struct build *b, struct section_name name, struct slice bytes)
{
	struct section_ref ref = {.name = name, .bytes = (uint32_t)bytes.len};
	struct snapshot_section *s = NULL;
	enum err err;

	crypto_sha256(bytes, ref.sha256);
	b->why.text[0] = 0;
	err = snapshot_section_new(ref, bytes, &s, &b->why);
	if (err == ERR_OK)
		b->sections[b->count++] = s;
	return err;
}

// build_<kind>(b, shard, records, count): one section; records come in the order of their keys.
#define BUILD(kind, type, number, key_of)                                                          \
	static inline enum err build_##kind(struct build *b, uint8_t shard,                        \
					    const struct type *records, uint32_t count)            \
	{                                                                                          \
		struct buf section, value;                                                         \
		enum err err;                                                                      \
                                                                                                   \
		buf_init_growing(&section, 1u << 24);                                              \
		buf_init_growing(&value, 1u << 20);                                                \
		for (uint32_t i = 0; i < count; i++) {                                             \
			const struct type *r = &records[i];                                        \
			char key[600];                                                             \
                                                                                                   \
			key_of;                                                                    \
			snapshot_encode_##kind(&value, r);                                         \
			section_put(&section, slice_str(key), buf_slice(&value));                  \
			buf_reset(&value);                                                         \
		}                                                                                  \
		assert_int_equal(section.err, ERR_OK);                                             \
		err = build_bytes(b, (struct section_name){number, shard}, buf_slice(&section));   \
		buf_deinit(&section);                                                              \
		buf_deinit(&value);                                                                \
		return err;                                                                        \
	}
#define KEY(...) snprintf(key, sizeof(key), __VA_ARGS__)
BUILD(meta, ss_meta, SECTION_META, ((void)r, KEY("meta")))
BUILD(node, ss_node, SECTION_NODES, KEY("%.*s", SLICE_ARG(r->name)))
BUILD(workload, ss_workload, SECTION_WORKLOADS, KEY("%.*s", SLICE_ARG(r->uid)))
BUILD(service, ss_service, SECTION_SERVICES,
      KEY("%.*s/%.*s", SLICE_ARG(r->namespace), SLICE_ARG(r->name)))
BUILD(policy, ss_policy, SECTION_POLICIES, KEY("%.*s", SLICE_ARG(r->id)))
BUILD(provider, ss_provider, SECTION_PROVIDERS, KEY("%.*s", SLICE_ARG(r->id)))
BUILD(limit, ss_limit, SECTION_LIMITS, KEY("%.*s", SLICE_ARG(r->id)))
BUILD(trust_root, ss_trust_root, SECTION_TRUST, ((void)r, KEY("root%05u", i)))
#undef KEY
#undef BUILD

static inline enum err build_link(struct build *b, const char *self, struct snapshot **out)
{
	b->why.text[0] = 0;
	return snapshot_new((struct generation){1, 1}, b->sections, b->count, slice_str(self), out,
			    &b->why);
}

static inline void build_free(struct build *b)
{
	for (uint32_t i = 0; i < b->count; i++)
		snapshot_section_unref(b->sections[i]);
	*b = (struct build){0};
}
