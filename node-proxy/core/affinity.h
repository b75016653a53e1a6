// SPDX-License-Identifier: GPL-3.0-or-later
// sessionAffinity ClientIP: which endpoint a client was led to last, one atomic word each in one fixed table that all
// workers share (and the old and the new process during an upgrade: it may lie in shared memory, and holds no
// pointers). Bounded: where a set is full, the client that was not seen for longest is forgotten.
#pragma once

#include "common/err.h"
#include "common/slice.h"

struct affinity_table;

// Bytes for so many clients (rounded up to a power of two).
size_t affinity_table_bytes(uint32_t clients);
// Lays a table out in zeroed memory, or adopts the one already there; its seed stays. ERR_VERSION: the memory holds
// something else. ERR_RANGE: too small.
enum err must_check affinity_table_init(void *memory, size_t bytes, uint64_t seed,
					struct affinity_table **out);
uint64_t affinity_seed(const struct affinity_table *t);

// What stands for an endpoint, from a hash of it; never 0.
uint32_t affinity_tag(uint64_t hash);
// The tag that is remembered for the key (a seeded hash of Service, port and client), and the client is seen now;
// 0: none, or not seen for longer than timeout_s.
uint32_t affinity_find(struct affinity_table *t, uint64_t key, uint32_t timeout_s, uint64_t now_s);
// Remembers tag instead of what affinity_find said (was). Returns what counts from now on: another's tag,
// where that one was faster.
uint32_t affinity_keep(struct affinity_table *t, uint64_t key, uint32_t was, uint32_t tag,
		       uint32_t timeout_s, uint64_t now_s);
