// SPDX-License-Identifier: GPL-3.0-or-later
// source: a directory as a model, with a memory. An edit that cannot be read must neither drop what was in
// force nor open a door:
//   an object that turned invalid          the last good one stays
//   a security policy that turned invalid  its targets refuse (model/read keeps it as broken)
//   a file that cannot be read whole       what it said before stays; its security policies refuse
//   a directory that cannot be listed      nothing is said at all
// Files that did not change are not read again, and their objects are those of last time.
#pragma once

#include <sys/stat.h>
#include "model/objects.h"

#define SOURCE_FILE_BYTES_MAX (64u << 20)

struct source;

// Is somebody in the middle of writing this file, which has just been read? Then it counts as it was
// before, and whoever says so also says when to load again.
typedef bool source_busy_fn(void *context, const struct stat *st);

// The string is copied. ERR_NOMEM, ERR_CONFIG (too long).
enum err must_check source_new(const char *directory, struct source **out);
void source_free(struct source *s);
void source_set_busy(struct source *s, source_busy_fn *busy, void *context);
// The next load looks into every file, whatever its dates say.
void source_distrust(struct source *s);
// What holds now. *out is the caller's, and lives on its own. Findings, those of files that did not
// change too, go to d. ERR_IO, ERR_TOO_LARGE: the directory cannot be read whole, with a finding and
// without a model. ERR_NOMEM.
enum err must_check source_load(struct source *s, struct diagnostics *d, struct model **out);
