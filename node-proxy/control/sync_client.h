// SPDX-License-Identifier: GPL-3.0-or-later
// sync_client: the connection to policy-sync: which server, when to try again, that it is the right
// one (TLS to the trust bundle, name policy-sync), HELLO. What is said on it afterwards is the
// loader's. Never blocks.
#pragma once

#include <poll.h>
#include "io/sync_wire.h"

#define SYNC_CLIENT_SERVERS_MAX 8

struct sync_client;

struct sync_client_events {
	// Adds to HELLO what only the owner knows; slices stay valid until the call has returned
	// and HELLO is sent.
	enum err (*hello)(void *context, struct sync_message *hello);
	// WELCOME has come, too.
	void (*message)(void *context, const struct sync_message *m, uint64_t now_ns);
	void (*ended)(void *context);
	// The newest bundle that policy-sync gave us, or empty: tried in turn with the file.
	struct slice (*trust)(void *context);
};

struct sync_client_options {
	const char *node;
	const char *servers;	// HOST:PORT[,HOST:PORT...]
	const char *token_file; // read at each HELLO: tokens rotate
	const char *trust_file; // read at each connection
};

// options' strings are borrowed for good. ERR_CONFIG with why: a server that is none.
enum err must_check sync_client_new(const struct sync_client_options *options,
				    const struct sync_client_events *events, void *context,
				    struct sync_client **out, struct reason *why);
void sync_client_free(struct sync_client *c);
// What to poll for; fd -1 (ignored by poll) while there is nothing but time to wait for.
struct pollfd sync_client_poll(const struct sync_client *c);
// When to call sync_client_turn without an event, monotonic.
uint64_t sync_client_due_ns(const struct sync_client *c);
void sync_client_turn(struct sync_client *c, uint64_t now_ns);
// ERR_CLOSED: not connected. A failure ends the connection.
enum err must_check sync_client_send(struct sync_client *c, const struct sync_message *m,
				     uint64_t now_ns);
// Give the connection up and try again, after the backoff.
void sync_client_restart(struct sync_client *c, const char *why, uint64_t now_ns);
bool sync_client_is_live(const struct sync_client *c);
// The token for RENEW, from its file; NUL-terminated in a buffer that is wiped by the next call.
enum err must_check sync_client_token(struct sync_client *c, struct slice *out);
const char *sync_client_server(const struct sync_client *c);
uint64_t sync_client_attempts(const struct sync_client *c);
