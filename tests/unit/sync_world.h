// SPDX-License-Identifier: GPL-3.0-or-later
// A policy-sync for tests: the real server, its real CA process, real TLS on loopback, state in a
// directory of its own. One thread drives it and whatever the test polls beside it, so a test waits
// for what it names and never for time to pass.
#pragma once

#include <poll.h>
#include <sys/types.h>
#include "io/sync_wire.h"
#include "publish/server.h"

#define WORLD_TIMEOUT_MS 10000
#define WORLD_INPUTS_MAX 16
#define WORLD_POLLS_MAX	 16

struct world_input {
	struct section_name name;
	struct buf bytes;
};

struct world {
	char dir[64];
	char state[80];
	char tokens[80];
	char trust[80];
	int ca_fd;
	pid_t ca_pid;
	struct server *server;
	struct authenticator *authenticator;
	struct world_input inputs[WORLD_INPUTS_MAX];
	uint32_t input_count;
	uint32_t lifetime_s;
	uint16_t port; // stays over a restart
	// what else to poll, and what to do in every turn
	struct pollfd polls[WORLD_POLLS_MAX];
	uint32_t poll_count;
	void (*turn)(struct world *w, void *context, uint64_t now_ns);
	void *context;
};

void world_open(struct world *w, uint32_t lifetime_s);
void world_close(struct world *w);
// kill -9 and start again: what is not in the state directory is gone.
void world_stop_server(struct world *w);
void world_start_server(struct world *w);
void world_write(const struct world *w, const char *path, const char *text);
// Shell in the directory; output to out. Exit status.
int world_shell(const struct world *w, const char *command, char *out, size_t cap);
// Sections: nodes as named, a meta record, and one service a name, which tests change.
void world_set_nodes(struct world *w, const char *const *names, uint32_t count);
void world_set_services(struct world *w, const char *const *names, uint32_t count);
void world_publish(struct world *w);
// Turns until done(context) or WORLD_TIMEOUT_MS; returns whether it was done.
bool world_until(struct world *w, bool (*done)(void *context), void *context);
// Turns for so long: only to see that something does *not* happen.
void world_for(struct world *w, uint32_t ms);
