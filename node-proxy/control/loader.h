// SPDX-License-Identifier: GPL-3.0-or-later
// loader: the thread that keeps this node's configuration: follows policy-sync, checks and builds
// snapshots, keeps the last good one on disk, holds the node's certificate, watches the pods'
// interfaces, and publishes all of it to the workers. When policy-sync is away the data path does
// not notice (fail static); before the first snapshot there is none (fail closed).
#pragma once

#include "control/certs.h"
#include "control/link_watch.h"
#include "control/publish.h"

struct loader;

struct loader_options {
	const char *node;
	const char *servers; // HOST:PORT[,HOST:PORT...]
	const char *token_file;
	const char *trust_file;
	const char *run_directory; // holds last-good.snapshot; NULL: none is kept
	struct inbox *const *workers;
	uint32_t worker_count;
	uint32_t uplinks[LINK_WATCH_UPLINKS_MAX];
	uint32_t uplink_count;
};

// A node that goes by an older generation for longer is not ready, one that refused the newest never is.
#define LOADER_BEHIND_MAX_MS 30000

// What admin and metrics show.
struct loader_status {
	bool connected;
	char server[256];
	struct generation held;	   // built and published
	struct generation adopted; // every worker goes by it
	bool from_file; // held came from the last-good file, policy-sync has not confirmed it
	uint64_t snapshot_unix_ms; // when held was published here
	size_t snapshot_bytes;
	uint32_t snapshots_live;
	uint64_t snapshots_accepted;
	uint64_t snapshots_refused;
	struct reason refusal;	       // the last one's
	struct generation wanted;      // the newest that policy-sync has named
	uint64_t behind_since_unix_ms; // it is newer than what every worker goes by; 0: it is not
	bool wanted_refused;	       // it will not be taken: refusal says why
	uint64_t connections;
	struct certs_metrics certs;
	struct link_watch_metrics links;
};

// Strings are borrowed for the loader's life. Starts the thread; the last good snapshot, if any, is
// published before anything else. ERR_CONFIG, ERR_NOMEM, ERR_IO with why.
enum err must_check loader_start(const struct loader_options *options, struct loader **out,
				 struct reason *why);
// Ends the thread; workers still hold what they were given.
void loader_stop(struct loader *l);
// After the workers have ended.
void loader_free(struct loader *l);
// Any thread.
void loader_status(struct loader *l, struct loader_status *out);
