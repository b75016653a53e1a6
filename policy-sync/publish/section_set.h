// SPDX-License-Identifier: GPL-3.0-or-later
// section_set: one generation as policy-sync publishes it. Sections are kept once (blobs, by
// digest, shared between generations and nodes); a patch between two versions is computed once for
// all nodes that need it. One thread; plain reference counts.
#pragma once

#include "common/section.h"

struct section_blob {
	uint32_t refs;
	struct section_ref ref;
	uint8_t *bytes; // NULL: a node says that it holds it, we do not know its content
	uint8_t patch_from[32];
	uint8_t *patch; // NULL: none computed; no gain: patch_bytes 0
	size_t patch_bytes;
	bool patch_known;
};

struct section_set {
	uint32_t refs;
	struct generation generation;
	uint8_t digest[32]; // over all refs, sync_digest_refs
	uint32_t count;
	struct section_blob *blobs[]; // in the order of sync_ref_order
};

// One compiled section: empty ones are left out of a set.
struct section_input {
	struct section_name name;
	struct slice bytes;
};

// Copies. Blobs of before (may be NULL) are shared where nothing changed. ERR_TOO_LARGE, ERR_NOMEM,
// ERR_INTERNAL (a name twice).
enum err must_check section_set_new(struct generation g, const struct section_input *inputs,
				    uint32_t count, const struct section_set *before,
				    struct section_set **out);
// What a node says that it holds, with the bytes of known sets (newest first) where they are the
// same.
enum err must_check section_set_of_node(struct generation g, const struct section_ref *refs,
					uint32_t count, struct section_set *const *known,
					uint32_t known_count, struct section_set **out);
struct section_set *section_set_ref(struct section_set *s);
void section_set_unref(struct section_set *s); // NULL is allowed
size_t section_set_bytes(const struct section_set *s);
bool section_set_same(const struct section_set *a, const struct section_set *b);
struct section_blob *section_set_find(const struct section_set *s, struct section_name name);
// Lines of the manifest from one set to the next, in order; gone sections have bytes 0. lines has
// room for SNAPSHOT_SECTIONS_MAX; returns how many.
uint32_t section_set_differences(const struct section_set *from, const struct section_set *to,
				 struct section_ref *lines);
// The patch that makes to of from; empty: send it whole. Borrowed from to until the next call.
struct slice section_blob_patch(struct section_blob *to, const struct section_blob *from);
