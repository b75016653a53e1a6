// SPDX-License-Identifier: GPL-3.0-or-later
// What is changed in a head on its way: spans of it, each left out or replaced. A head without changes goes
// on byte for byte, and of one with changes all the rest. Spans are offsets into the head, so that it may
// move in memory; what stands in their place is borrowed until the head has been written.
#pragma once

#include "common/snapshot_schema.h"
#include "core/http1.h"

#define HTTP1_CUTS_MAX	   24
#define HTTP1_OPTIONS_MAX  32			 // of all Connection fields
#define HTTP1_UPGRADES_MAX SNAPSHOT_UPGRADES_MAX // that are allowed by name

struct http1_cut {
	uint32_t at;
	uint32_t bytes;
	struct slice put;
};

struct http1_edit {
	uint32_t count;
	struct http1_cut cuts[HTTP1_CUTS_MAX]; // in order; none overlaps another
};

// What the next hop is to see.
struct http1_hop {
	const struct slice *upgrades; // tokens that may pass beside "websocket"
	uint32_t upgrade_count;
	bool upgrade;  // an offer that is allowed passes, or its acceptance, and what belongs to it
	bool close;    // exactly one "Connection: close"
	bool stays;    // no "close": the connection stays on this side
	bool bodiless; // no Content-Length and no Transfer-Encoding
};

// Replace bytes of the head at this offset. ERR_TOO_LARGE: too many changes.
enum err must_check http1_edit_put(struct http1_edit *e, size_t at, size_t bytes, struct slice put);
// Take out what Connection names and it itself but for what hop wants, upgrades that may not pass, and
// framing where there is none (RFC 9110 7.6.1, 7.8). ERR_TOO_LARGE: too many changes or options.
enum err must_check http1_edit_hop(struct http1_edit *e, const struct http1_message *m,
				   struct slice head, const struct http1_hop *hop);
// Which of the upgrades that may pass the message names, a bit each: 1 is websocket, 2 << i is upgrades[i].
// *others: it names another one, too.
uint32_t http1_upgrades(const struct http1_message *m, const struct http1_hop *hop, bool *others);

// The head with its changes, piece by piece: begin with *piece 0; false behind the last one.
bool http1_edit_next(const struct http1_edit *e, struct slice head, uint32_t *piece,
		     struct slice *out);
