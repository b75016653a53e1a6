// SPDX-License-Identifier: GPL-3.0-or-later
// meshed: the nodes that have acknowledged capture: what their pods say comes by tunnel, so nobody else is
// believed to have their addresses. Kept in a file, one name a line. Silence ends nothing: a node is
// forgotten when it says that its rules were removed, or when the cluster has it no more.
#pragma once

#include "common/err.h"
#include "common/slice.h"

struct meshed;

// Loads path where it exists; a line that cannot be read is an error, never left out.
enum err must_check meshed_open(const char *path, struct meshed **out, struct reason *why);
void meshed_free(struct meshed *m);
bool meshed_has(const struct meshed *m, struct slice node);
// *changed: it was not so before. Not saved yet.
enum err must_check meshed_set(struct meshed *m, struct slice node, bool on, bool *changed);
// Calls keep for every node; false forgets it.
void meshed_filter(struct meshed *m, bool (*keep)(void *context, struct slice node), void *context);
// Durable when it returns; nothing is written where nothing changed.
enum err must_check meshed_save(struct meshed *m);
