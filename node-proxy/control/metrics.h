// SPDX-License-Identifier: GPL-3.0-or-later
// /metrics in the Prometheus text format (0.0.4): portcullis_*_{total,seconds,bytes}. No label carries
// an identity: sums over workers, reasons and states only.
#pragma once

#include "control/loader.h"
#include "path/worker.h"

struct node;

// A question for inbox_ask: appends the worker's counters as bytes (struct metrics_sample).
void metrics_sample_worker(struct worker *w, uint64_t argument, struct buf *out);

struct metrics_sample {
	struct worker_counters counters;
	struct ring_counters ring;
	uint64_t log_dropped;
	uint64_t chunks_used, chunks_limit, exchanges_limit;
	uint64_t tls_heap_bytes, tls_allocations;
	uint64_t pool_objects_taken;
	uint64_t resource_used[HOLDER_RESOURCES], resource_limit[HOLDER_RESOURCES];
	uint64_t share_refusals[HOLDER_RESOURCES][HOLDER_EVERYBODY + 1];
};

void metrics_write(struct buf *out, const struct metrics_sample *workers, uint32_t count,
		   const struct loader_status *loader, bool rules_verified);
