// SPDX-License-Identifier: GPL-3.0-or-later
// The admin listener, on loopback only: GET /healthz, /readyz, /metrics, /debug/snapshot,
// /debug/connections. One request a connection, one connection at a time, all bounded: it serves
// kubelet, Prometheus and an engineer, never traffic.
#pragma once

#include "control/loader.h"

struct admin_options {
	int listen_fd; // borrowed
	const char *run_dir;
	struct loader *loader;
	struct inbox *const *workers;
	uint32_t worker_count;
};

// The listener became readable: accepts and answers one request.
void admin_serve(const struct admin_options *o);
