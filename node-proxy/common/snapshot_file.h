// SPDX-License-Identifier: GPL-3.0-or-later
// A whole snapshot as one file: what `policy-sync compile -o` writes and what a node keeps as its last
// good one. A header with the generation and the manifest, then the sections' bytes. Pure; the header
// has a checksum of its own, sections are checked against their sha256 by whoever decodes them.
#pragma once

#include "common/arena.h"
#include "common/section.h"

struct snapshot_file {
	uint32_t schema;
	struct generation generation;
	uint32_t count;
	struct section_ref *refs;
	struct slice *sections; // parallel to refs; their lengths are the refs'
};

void snapshot_file_encode(struct buf *out, const struct snapshot_file *f);
// Slices point into bytes, arrays are in the arena. ERR_VERSION: a schema that we do not read;
// ERR_MALFORMED: truncated, damaged or no snapshot; ERR_TOO_LARGE, ERR_NOMEM. why in one sentence.
enum err must_check snapshot_file_decode(struct slice bytes, struct arena *a,
					 struct snapshot_file *out, struct reason *why);
