// SPDX-License-Identifier: GPL-3.0-or-later
// holder: who holds how much of what a worker has to give, and may he take one more? A holder may, while he
// holds less than a share of what is still free (dynamic thresholds, as pressure.h does for bytes): one large
// ingress controller gets two thirds of everything, a crowd of holders each less, and whoever holds
// nothing yet always finds something. What is held has up to three holders at once: the workload that
// asks, the peer node that speaks for it, and the pod that is asked. O(1) each.
#pragma once

#include "common/addr.h"
#include "common/pool.h"

enum holder_resource {
	HOLDER_EXCHANGES = 0,
	HOLDER_DESCRIPTORS,
	HOLDER_HEADS_SMALL, // buffers of unread bytes, by class
	HOLDER_HEADS_LARGE,
	HOLDER_HEADS_HUGE,
	HOLDER_HANDSHAKES, // accepted tunnels on which nobody has proven himself yet
	HOLDER_TUNNELS,	   // on which somebody has
	HOLDER_OPENS,	   // OPENs that wait for our snapshot
	HOLDER_RESOURCES
};

enum holder_role {
	HOLDER_SOURCE = 0,  // workload, or address from outside
	HOLDER_NODE,	    // peer; of handshakes: all strangers together
	HOLDER_DESTINATION, // pod
	HOLDER_ROLES,
	HOLDER_NOBODY = HOLDER_ROLES, // nobody holds too much
	HOLDER_EVERYBODY,	      // nothing is left
};

// What kind of name a key is made of, so that none stands for two holders.
enum holder_key {
	HOLDER_KEY_NONE = 0,
	HOLDER_KEY_LINK,    // a local pod's interface: an address is easily changed
	HOLDER_KEY_ADDR,    // of somebody outside
	HOLDER_KEY_CLAIMED, // a workload, as a peer node says
	HOLDER_KEY_NODE,
	HOLDER_KEY_POD,
	HOLDER_KEY_STRANGERS,
};

struct holder;

// A thing's place among all of one holder: the oldest first.
struct holder_place {
	struct holder *holder; // NULL: it stands nowhere
	struct holder_place *older, *newer;
};

struct holder {
	struct holder *next;
	uint64_t key;
	uint32_t uses;
	uint32_t held[HOLDER_RESOURCES];
	struct holder_place *oldest, *newest;
};

// By whom one thing is held; NULL: nobody in that role.
struct holder_set {
	struct holder *by[HOLDER_ROLES];
};

#define HOLDER_BUCKETS 4096

struct holder_table {
	struct pool pool;
	uint64_t seed;
	uint32_t limit[HOLDER_RESOURCES];
	uint32_t used[HOLDER_RESOURCES];
	uint64_t refused[HOLDER_RESOURCES][HOLDER_EVERYBODY + 1]; // counted by who asks
	struct holder *buckets[HOLDER_BUCKETS];
};

void holder_table_init(struct holder_table *t, const uint32_t limit[HOLDER_RESOURCES],
		       uint64_t seed);
void holder_table_deinit(struct holder_table *t);

uint64_t holder_key_of(const struct holder_table *t, enum holder_key kind, struct slice a,
		       struct slice b);
// Somebody outside by what he cannot change at will: of an IPv6 address the first 64 bits.
uint64_t holder_key_of_addr(const struct holder_table *t, struct addr a);

// A use of the holder of this key, who is made with his first use and goes with his last. NULL: no memory.
struct holder *holder_use(struct holder_table *t, uint64_t key);
void holder_let_go(struct holder_table *t, struct holder *h);
// Uses of all of them.
void holder_set_let_go(struct holder_table *t, struct holder_set *s);

// Who of them holds too much to take one more.
enum holder_role holder_refuses(const struct holder_table *t, const struct holder_set *s,
				enum holder_resource r);
// Taken by all of them, whether it was refused or not; each take has one give with the same set.
void holder_take(struct holder_table *t, const struct holder_set *s, enum holder_resource r);
void holder_give(struct holder_table *t, const struct holder_set *s, enum holder_resource r);

// The newest of h's. A use of its own.
void holder_enter(struct holder_place *p, struct holder *h);
void holder_leave(struct holder_table *t, struct holder_place *p);
// As if it came now.
void holder_renew(struct holder_place *p);

const char *holder_resource_name(enum holder_resource r);
const char *holder_role_name(enum holder_role role);
