// SPDX-License-Identifier: GPL-3.0-or-later
// A set of networks as a longest-prefix table: built once into an arena, then read only; look-up
// cost does not depend on how many networks it holds.
#pragma once

#include "common/addr.h"
#include "common/arena.h"

struct cidr_set;

// ERR_NOMEM when the arena is full. count 0 gives an empty set that contains nothing.
enum err must_check cidr_set_build(struct arena *a, const struct cidr *list, uint32_t count,
				   struct cidr_set **out);
bool cidr_set_contains(const struct cidr_set *s, struct addr a);
bool cidr_set_is_empty(const struct cidr_set *s);
