// SPDX-License-Identifier: GPL-3.0-or-later
// Targets that are equal are one class, whoever names them: a namespace, a Service or one port of it, a selector
// of pods or of namespaces. What all policies of a class say is compiled once, so that the size of a
// snapshot follows what was written, not how many pods it covers. For compile_index only.
#pragma once

#include "compile/compile_index.h"

// refs, classes and their relations in x. services: from name to number; namespaces of pods are known.
// Policies that name a port which their Service does not have are marked (any_section). ERR_NOMEM.
enum err must_check target_classes_init(struct compile_index *x, const struct model *m,
					const struct hash_index *services, struct arena *a);
