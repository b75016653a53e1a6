// SPDX-License-Identifier: GPL-3.0-or-later
// The loader's surroundings for tests: a worker that takes from its inbox what a worker takes, the
// real policy-sync (sync_world), and one that says what the test wants.
#pragma once

#include "control/loader.h"
#include "sync_world.h"

#define HOLDS_MAX 16

struct worker_play {
	struct inbox inbox;
	struct hold *snapshots[HOLDS_MAX]; // newest last
	uint32_t snapshot_count;
	struct hold *links;
	struct hold *credentials;
	bool keep_old; // exchanges stand on them
	uint32_t snapshots_seen, links_seen, credentials_seen;
	int64_t not_after;
};

// A policy-sync that says what the test wants.
struct evil {
	int listen_fd;
	uint16_t port;
	struct sync_wire wire;
	bool connected;
	bool ended;
	uint32_t connections, hellos;
	struct generation held; // of the last HELLO
	uint32_t held_count;
	struct section_ref held_refs[SNAPSHOT_SECTIONS_MAX];
	uint8_t public_der[X509_PUBLIC_DER_MAX]; // of the last HELLO
	size_t public_len;
	uint32_t acks, nacks;
	uint32_t installed, not_installed;
	struct reason not_installed_why;
	struct reason nack;
	struct generation acked;
};

struct test {
	struct world w;
	struct worker_play worker;
	struct inbox *inboxes[1];
	struct loader *loader;
	struct loader_status status;
	struct evil evil;
	char servers[64];
	char token[96];
};

void play_worker_turn(struct worker_play *p);
void play_release_old(struct worker_play *p);
const struct snapshot *play_snapshot(const struct worker_play *p);

void evil_drop(struct evil *v);
// Another identity from here on: what was said under the old one does not count.
void evil_forget(struct evil *v);
void evil_send(struct evil *v, const struct sync_message *m);

void play_turn(struct world *w, void *context, uint64_t now_ns);
void play_start_loader(struct test *t, uint16_t port);
void play_stop_loader(struct test *t);
// The loader follows the real server, with certificates of an hour or of seconds; or evil.
int play_setup(void **state);
int play_setup_short_lives(void **state);
int play_setup_evil(void **state);
int play_teardown(void **state);
// The real server has nothing more to tell, and the loader has answered all of it.
bool play_is_served(void *context);
