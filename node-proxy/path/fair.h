// SPDX-License-Identifier: GPL-3.0-or-later
// Fair queueing: one line a flow, one item of each line in turn, so that whoever floods waits behind himself.
// Flows are source workloads, hashed; two that share a line share its turns. Line 0 is for what carries
// everybody's. Items are embedded in what waits, and owned by it; an item is in one line at most, and its
// owner remembers whether, and in which.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/addr.h"

#define FAIR_FLOWS  64
#define FAIR_SHARED 0

struct fair_item {
	struct fair_item *next, *previous;
};

struct fair_queue {
	struct fair_item *head[FAIR_FLOWS];
	struct fair_item *tail[FAIR_FLOWS];
	uint64_t waiting; // bit i: somebody stands in line i
	uint32_t next;	  // whose turn it is
};

// The line of a source workload, by its address; never FAIR_SHARED.
uint8_t fair_flow(struct addr source);
// To the end of its line.
void fair_put(struct fair_queue *q, uint8_t flow, struct fair_item *item);
// The first of the next line; NULL: nobody waits.
struct fair_item *fair_take(struct fair_queue *q);
// Out of its line, in which it has to be.
void fair_remove(struct fair_queue *q, uint8_t flow, struct fair_item *item);
