// SPDX-License-Identifier: GPL-3.0-or-later
// server: what policy-sync says to its nodes. One thread, one epoll: accepts, numbers generations,
// keeps the last few so that nodes get patches. The conversation with one node is in subscriber;
// root rotation and the control socket are in rotation and control. Input comes by server_publish
// (publish/serve compiles), which coalesces: a burst of changes is one generation.
#pragma once

#include "common/addr.h"
#include "common/memory.h"
#include "publish/authenticate.h"
#include "publish/meshed.h"
#include "publish/pins.h"
#include "publish/section_set.h"
#include "publish/trust.h"

#define SERVER_SETS_KEPT		8
#define SERVER_CONNECTIONS_MAX		20000
#define SERVER_STRANGERS_MAX		256 // connections that have not proven who they are
#define SERVER_CONNECTIONS_PER_NODE_MAX 4   // an upgrade has two for a while
#define SERVER_EVENTS_MAX		64
#define SERVER_TICK_MS			250 // deadlines are in seconds
#define SERVER_COALESCE_MS		20
#define SERVER_COALESCE_MAX_MS		100

struct subscriber;
struct control;
struct rotation;

// What an epoll event belongs to: first member of whatever waits for one.
struct server_source {
	void (*ready)(struct server_source *source, uint32_t events, uint64_t now_ns);
	int fd;
};

struct server_options {
	struct addr_port listen;
	const char *state_directory;
	const char *trust_file; // NULL: none is written
	int ca_fd;
	struct authenticator *authenticator; // NULL: nobody may connect
	uint32_t certificate_lifetime_s;
	struct slice trust_domain; // until server_publish brings another
};

struct server {
	struct server_options options;
	struct server_source listener; // first member
	int epoll_fd;
	struct trust trust;
	struct pins *pins;
	struct pins *revoked; // never pinned again, until no certificate of theirs is good any more
	struct meshed *meshed;
	struct control *control;
	struct rotation *rotation;
	struct generation generation;		    // of sets[0]
	struct section_set *sets[SERVER_SETS_KEPT]; // newest first
	struct memory_mark memory;
	uint32_t set_count;
	uint64_t published_ns; // when sets[0] was made
	// the last compilation: nodes without pins, no trust section
	struct section_input *inputs;
	uint32_t input_count;
	struct slice *nodes; // names, sorted; they point into inputs
	uint32_t node_count;
	// coalescing
	uint64_t changed_first_ns; // 0: nothing is waiting
	uint64_t changed_last_ns;
	// connections
	struct subscriber *subscribers;
	struct subscriber *dead; // freed at the end of the turn
	uint32_t subscriber_count;
	uint32_t stranger_count;
	uint64_t next_id;
	uint64_t tick_ns; // when deadlines are looked at next
	bool answered;	  // somebody answered a generation in this turn
};

// Opens the state directory's files, listens. why in one sentence.
enum err must_check server_new(const struct server_options *options, struct server **out,
			       struct reason *why);
void server_free(struct server *s);
// Readable: call server_turn.
int server_fd(const struct server *s);
// Handles what is ready and what is due. ERR_CLOSED: the CA process has gone.
enum err must_check server_turn(struct server *s, uint64_t now_ns);
// When server_turn has something to do without any event, monotonic.
uint64_t server_due_ns(const struct server *s);
uint16_t server_port(const struct server *s);

// A compilation's result: every section but trust, nodes without pins. Copied; becomes a generation
// after the coalescing time, if anything differs.
enum err must_check server_publish(struct server *s, const struct section_input *inputs,
				   uint32_t count, struct slice trust_domain, uint64_t now_ns);

// For subscriber, rotation and control.
void server_want_refresh(struct server *s, uint64_t now_ns);
bool server_knows_node(const struct server *s, struct slice node);
bool server_watch(struct server *s, struct server_source *source, uint32_t events, bool add);
enum err must_check server_save_pins(struct server *s);
// Takes all keys of a node away: its tunnels end, and it gets a certificate for another key only.
enum err must_check server_revoke_node(struct server *s, struct slice node, uint64_t now_ns,
				       struct reason *why);
// A node says what its rules do (enum sync_capture); what it does not say changes nothing.
void server_note_capture(struct server *s, const char *node, uint32_t capture, uint64_t now_ns);
// The bundle has changed: file, certificates, sections.
void server_bundle_changed(struct server *s, uint64_t now_ns);
