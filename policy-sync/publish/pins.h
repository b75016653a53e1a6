// SPDX-License-Identifier: GPL-3.0-or-later
// pins: which keys each node's certificates use. The receiver of a tunnel accepts a node's
// certificate only with a key that is pinned in its snapshot, so a node that is removed is revoked
// at once, and a stolen CA signature alone is worth nothing. Kept in a file: after a restart of
// policy-sync the tunnels that run must still find their keys pinned.
#pragma once

#include "common/slice.h"
#include "common/snapshot_schema.h"

struct pins;

// Loads path where it exists; lines that cannot be read are an error, never left out.
enum err must_check pins_open(const char *path, struct pins **out, struct reason *why);
void pins_free(struct pins *p);
// Notes a key and when the last certificate for it ends; the newest comes first, the oldest beyond
// NODE_PINS_MAX goes. *changed: the key was not pinned before. Not saved yet.
enum err must_check pins_add(struct pins *p, struct slice node, const uint8_t pin[NODE_PIN_BYTES],
			     int64_t not_after_unix_s, bool *changed);
void pins_remove(struct pins *p, struct slice node);
// All keys of the node go from one table to another, each for as long as it was pinned. ERR_NOT_FOUND: none.
enum err must_check pins_move(struct pins *from, struct pins *to, struct slice node);
bool pins_has(const struct pins *p, struct slice node, const uint8_t pin[NODE_PIN_BYTES]);
// Forgets keys whose certificates have ended. Returns whether there were any.
bool pins_expire(struct pins *p, int64_t now_unix_s);
// NODE_PIN_BYTES each, newest first; borrowed until the next change.
struct slice pins_of(const struct pins *p, struct slice node);
// Calls keep for every node; false removes it.
void pins_filter(struct pins *p, bool (*keep)(void *context, struct slice node), void *context);
// Durable when it returns; nothing is written where nothing changed.
enum err must_check pins_save(struct pins *p);
