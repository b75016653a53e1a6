// SPDX-License-Identifier: GPL-3.0-or-later
// source: a directory of YAML as the model to publish, with a memory. An edit that cannot be read
// must neither drop what was in force nor open a door: a file counts as its last good text, except
// that security policies of a text that does not parse are broken (their targets refuse).
#pragma once

#include "model/objects.h"

struct source;

// The string is copied. ERR_NOMEM, ERR_CONFIG (too long).
enum err must_check source_new(const char *directory, struct source **out);
void source_free(struct source *s);
// Reads everything anew. *out is the caller's. *incomplete: a file cannot be read and never could,
// so that nobody knows what it asks for. ERR_NOMEM. Findings go to d.
enum err must_check source_load(struct source *s, struct diagnostics *d, struct model **out,
				bool *incomplete);
