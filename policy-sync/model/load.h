// SPDX-License-Identifier: GPL-3.0-or-later
// A directory of YAML and JSON files as a model: what serve --from-dir, compile, check and explain
// start from. Files in order of their paths; hidden ones (ConfigMap volumes' "..data") are followed
// only through the names that point into them.
#pragma once

#include "model/objects.h"

#define LOAD_FILES_MAX 10000
#define LOAD_FILE_BYTES_MAX (64u << 20)

// Always gives a model (NULL only without memory): what could not be read is in d. An empty or
// missing directory is an error in d.
struct model *load_directory(const char *directory, struct diagnostics *d);
// One text as if it were a file; for tests and fuzzing.
void load_text(struct model *m, const char *file, struct slice text, struct diagnostics *d);
