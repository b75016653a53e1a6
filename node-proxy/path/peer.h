// SPDX-License-Identifier: GPL-3.0-or-later
// peer: a node that this worker tunnels to. Which mux a new stream takes, dialling on demand,
// backoff with jitter, exchanges that wait. One table a worker.
#pragma once

#include "path/exchange.h"

struct peer {
	struct peer *next;
	char name[256];
	struct addr_port address; // as of the last dial
	struct mux *mux;	  // that new streams take; NULL: to be dialled
	struct worker *worker;
	struct timer timer;
	uint32_t backoff_ms;
	uint64_t dial_not_before_ns;
};

// The peer of a node of the current snapshot; made on first use. NULL: out of memory.
struct peer *peer_get(struct worker *w, const struct ss_node *node);
// A mux that takes new streams now, dialling if needed; NULL: not before the peer's backoff is over
// (the exchange is posted EVENT_RECHECK when it may try again).
struct mux *peer_mux(struct peer *p, const struct ss_node *node);
// From mux: it is open / it ended.
void peer_on_open(struct peer *p, struct mux *m);
void peer_on_end(struct peer *p, struct mux *m, bool was_open);
void peer_on_timer(struct peer *p);
void peers_free(struct worker *w);
