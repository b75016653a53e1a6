// SPDX-License-Identifier: GPL-3.0-or-later
// A directory, or a text, as a model, once: what compile, check and explain start from. serve has a memory
// (model/source).
#pragma once

#include "model/objects.h"

// See source_load.
enum err must_check load_directory(const char *directory, struct diagnostics *d,
				   struct model **out);
// One text as if it were a file; for tests and fuzzing.
void load_text(struct model *m, const char *file, struct slice text, struct diagnostics *d);
