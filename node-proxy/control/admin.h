// SPDX-License-Identifier: GPL-3.0-or-later
// The admin listener, on loopback only: GET /healthz, /readyz, /metrics, /debug/snapshot,
// /debug/connections. One request a connection. It serves kubelet, Prometheus and an engineer, never
// traffic, and none of them waits for another: nothing here blocks on a client, each has a time in
// which to ask and one in which to take the answer, and where all places are taken the oldest goes.
#pragma once

#include <poll.h>
#include "control/loader.h"

#define ADMIN_CLIENTS_MAX	8
#define ADMIN_FDS_MAX		(ADMIN_CLIENTS_MAX + 1)
#define ADMIN_REQUEST_BYTES_MAX 2048
#define ADMIN_ANSWER_BYTES_MAX	(4u << 20)
#define ADMIN_ASK_MS		2000  // from accept to a whole request
#define ADMIN_TAKE_MS		10000 // from then to the last byte of the answer

struct admin_options {
	int listen_fd; // borrowed; non-blocking
	const char *run_dir;
	void (*status)(void *context, struct loader_status *out);
	void *context;
	struct inbox *const *workers;
	uint32_t worker_count;
};

struct admin_client {
	int fd; // -1: free
	bool answering;
	uint64_t since_ns;    // accepted
	uint64_t deadline_ns; // then it is closed
	uint32_t request_bytes;
	char request[ADMIN_REQUEST_BYTES_MAX];
	struct buf answer;
	size_t sent;
};

struct admin {
	struct admin_options options;
	struct admin_client clients[ADMIN_CLIENTS_MAX];
};

void admin_init(struct admin *a, const struct admin_options *options);
void admin_deinit(struct admin *a);
// What to poll for; the listener only where listening. Returns how many.
uint32_t admin_poll(const struct admin *a, bool listening, struct pollfd fds[ADMIN_FDS_MAX]);
// Milliseconds until the first deadline, at most max_ms.
int admin_timeout_ms(const struct admin *a, uint64_t now_ns, int max_ms);
// After poll: accepts, reads, answers, closes. Never waits for a client.
void admin_turn(struct admin *a, const struct pollfd *fds, uint32_t count, uint64_t now_ns);
