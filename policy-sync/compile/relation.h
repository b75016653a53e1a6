// SPDX-License-Identifier: GPL-3.0-or-later
// Relations in the making: pairs of numbers that become lists by the first, and label selectors matched
// against all pods at once. For compile_index only.
#pragma once

#include "compile/compile_index.h"

struct pair {
	uint32_t a, b;
};

// Zero is an empty one.
struct pairs {
	struct pair *list;
	uint32_t count, room;
	enum err err; // first failure
};

void pairs_add(struct pairs *p, uint32_t a, uint32_t b);
void pairs_deinit(struct pairs *p);
// Sorted, each once. ERR_NOMEM.
enum err must_check pairs_relate(struct pairs *p, uint32_t a_count, struct arena *arena,
				 struct relation *out);

// matchLabels of one namespace; empty: all pods of it.
struct selector {
	struct slice namespace;
	const struct labels *labels;
	uint32_t number;
};

// A pair (pod, selector's number) for each match. Costs what pods have labels, and matches.
enum err must_check selectors_match(const struct selector *list, uint32_t count,
				    const struct model *m, struct pairs *out);
