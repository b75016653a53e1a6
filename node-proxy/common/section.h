// SPDX-License-Identifier: GPL-3.0-or-later
// Sections and what travels: a section is a run of records, each msgpack [key, map], in strictly
// ascending order of keys. A patch turns one version of a section into the next (records put and
// keys deleted) so that one pod's change costs one record on the wire; the digest of the
// result says whether nobody has drifted. Pure: digests are made by the caller (io/crypto).
#pragma once

#include "common/buf.h"
#include "common/snapshot_schema.h"

#define SECTION_NAME_MAX 32 // "workloads/ff"
#define SECTION_SHARDS	 256

struct section_name {
	enum section_kind kind;
	uint8_t shard; // 0 where the kind is not sharded
};

// One manifest line: which version of a section this generation uses.
struct section_ref {
	struct section_name name;
	uint8_t sha256[32];
	uint32_t bytes;
};

bool section_kind_is_sharded(enum section_kind kind);
char *section_name_format(struct section_name n, char text[SECTION_NAME_MAX]);
enum err must_check section_name_parse(struct slice text, struct section_name *out);

// Append a record; keys must come in ascending order (ERR_INTERNAL in out->err otherwise is
// not checked here: section_iterate does).
void section_put(struct buf *out, struct slice key, struct slice value);

struct section_iterator {
	struct slice rest;
	struct slice last_key;
	enum err err; // ERR_MALFORMED: not msgpack, not [key, map], or out of order
};
void section_iterate(struct section_iterator *it, struct slice section);
// False at the end or at the first error; record is the whole [key, value].
bool section_next(struct section_iterator *it, struct slice *key, struct slice *value,
		  struct slice *record);

// Patch from old to new; apply gives new's bytes back exactly.
enum err must_check section_diff(struct slice old, struct slice new, struct buf *patch);
enum err must_check section_patch(struct slice old, struct slice patch, struct buf *new);
