// SPDX-License-Identifier: GPL-3.0-or-later
// leg: one side of an exchange, a byte pipe with backpressure, half-close and reset, and no
// descriptor of its own: a TCP connection (conn) or a stream of a tunnel (mux). Legs never call
// up while bytes are written to them; what happens to them becomes an event of the exchange.
#pragma once

#include "core/tunnel_proto.h"
#include "path/fair.h"
#include "path/queue.h"

struct conn;
struct exchange;
struct mux;
struct worker;

enum leg_type { LEG_NONE = 0, LEG_TCP, LEG_STREAM };

struct leg {
	enum leg_type type;
	uint8_t side; // enum side of exchange.h
	struct exchange *exchange;
	struct conn *conn;		 // TCP
	struct mux *mux;		 // STREAM; NULL once the tunnel or the stream has gone
	bool connected;			 // bytes can flow (TCP established, OPENED received)
	bool read_fin;			 // the far end has finished; delivered as an event
	bool write_fin;			 // we have finished; after everything queued
	bool dead;			 // reset or lost, by either side
	enum tunnel_reason reset_reason; // why it died, as far as the other side said
	uint64_t bytes_in;
	uint64_t bytes_out;
	// STREAM
	uint32_t stream_id;
	uint32_t credit;       // bytes that we may still send
	uint32_t granted;      // bytes that the peer may still send
	uint32_t unreleased;   // bytes received and not yet given back as credit
	uint32_t window;       // what granted + unreleased add up to
	struct queue out;      // waits for credit, the handshake or the tunnel's turn
	struct queue early;    // came over the bulk connection before this direction's MOVE
	struct fair_item turn; // in the fair queue of a mux
	struct mux *pending;   // that one; NULL: in none
	bool open_wanted;
	bool fin_sent;
	bool on_bulk;	     // what we send has moved to the group's bulk connection
	bool remote_moved;   // what the far side sends has
	bool early_fin;	     // early ends with a FIN
	bool remote_stopped; // the far side reads no more
	bool early_reset;    // and, or, with a RESET of reset_reason
};

// Adopt an accepted or connecting conn, whose owner it becomes.
extern const struct conn_events leg_conn_events;
void leg_init_tcp(struct leg *l, struct exchange *x, uint8_t side, struct conn *c, bool connected);

enum err must_check leg_write(struct leg *l, struct slice data);
void leg_write_fin(struct leg *l);
// Bytes accepted and not yet on their way.
uint32_t leg_pending(const struct leg *l);
// Their end is waited for from here on.
void leg_await_sent(struct leg *l);
// As many of them as hold up whoever they came from. So few that the end of their send is not told
// (SEND_LAZY_BYTES_MAX) are none: nobody may wait for them, whatever lies unread besides.
uint32_t leg_pending_on_source(const struct leg *l);
// Of what this leg delivered, so many bytes still lie with us: resumes or pauses the reading, or
// grants credit. mark is where reading has to stop; whole: what lies here is a part that may have so many bytes
// before anything of it can go on, 0: it is none.
void leg_outstanding(struct leg *l, uint32_t bytes, uint32_t mark, uint32_t whole);
// Let go: gracefully if flush is set and both directions have come to their end, else by reset with reason. What is
// queued is waited for before, by the exchange (exchange.c).
void leg_close(struct leg *l, bool flush, enum tunnel_reason reason);
// Let go by a reset that comes behind everything accepted.
void leg_close_behind(struct leg *l, enum tunnel_reason reason);
bool leg_is_open(const struct leg *l);
