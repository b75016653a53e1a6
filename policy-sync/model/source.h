// SPDX-License-Identifier: GPL-3.0-or-later
// source: a directory as a model, with a memory. An edit that cannot be read must neither drop what was in
// force nor open a door:
//   an object that turned invalid          the last good one stays
//   a security policy that turned invalid  its targets refuse (model/read keeps it as broken)
//   a file that cannot be read whole       what it said before stays; its security policies refuse
//   an empty file                          cannot be read: only its removal takes objects away
//   a file that somebody has open to write what it does not say (yet) stays
//   a directory that cannot be listed      nothing is said at all
//   a target that is gone                  what it selected last is covered, until the policy goes
// With a directory of its own (source_remember) all of that holds over a restart too.
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
// Before the first load: what was known when this directory was written last. ERR_IO, ERR_DENIED (it is open to
// others), ERR_NOMEM, ERR_CONFIG.
enum err must_check source_remember(struct source *s, const char *directory);
// Is anything known from before? Otherwise nobody knows what a file protects that cannot be read.
bool source_remembers(const struct source *s);
// Writes what changed, some files at a time. more: call again.
enum err must_check source_save(struct source *s, bool *more);
// The next load looks into every file, whatever its dates say.
void source_distrust(struct source *s);
// What holds now. *out is the caller's, and lives on its own. Findings, those of files that did not
// change too, go to d. ERR_IO, ERR_TOO_LARGE: the directory cannot be read whole, with a finding and
// without a model. ERR_NOMEM.
enum err must_check source_load(struct source *s, struct diagnostics *d, struct model **out);
