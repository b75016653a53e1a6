// SPDX-License-Identifier: GPL-3.0-or-later
// mux: one TLS connection to a peer node and the streams on it (design: datapath.md, Tunnel). What
// a turn produced for the peer is sealed into few records and leaves in one send at the end of
// the turn. A tunnel whose flows become large gets a second, bulk connection: the streams' table stays
// with the first. mux.c: life; mux_streams.c: the table; mux_send.c: sending; mux_receive.c: frames from the
// peer and its bounds; mux_bulk.c: the pair; peer.c: which mux a new stream takes, dialling and backoff.
#pragma once

#include "io/timer.h"
#include "io/tls.h"
#include "path/holder.h"
#include "path/leg.h"

enum mux_state {
	MUX_NONE = 0,
	MUX_CONNECTING,
	MUX_HANDSHAKE,
	MUX_GREETING, // dialled: we believe the peer; its HELLO will say that it believes us
	MUX_OPEN,
	MUX_GOAWAY, // no new streams; ends when the last one has
	MUX_LINGER, // drained: FIN sent, what still comes is thrown away until the peer's
	MUX_DEAD,   // freed at the end of the turn
};

#define MUX_PAGE 256

struct mux_page {
	struct leg *slots[MUX_PAGE];
};

// Events of the running second, against a hostile peer.
struct mux_rates {
	uint64_t second;
	uint32_t opens, resets, pings, credits, empty_data, skipped_bytes;
};

struct mux {
	struct worker *worker;
	struct conn *conn;
	struct tls_session *tls;
	struct peer *peer; // dialling side
	enum mux_state state;
	bool server;
	bool bulk;	 // second connection of a group; its streams are the partner's
	bool bulk_spent; // the group has had its bulk connection
	bool hello_received;
	bool resets_on_bulk; // the peer takes RESETs on a bulk connection
	bool dirty;
	bool record_failed;
	char node[256]; // the peer's name: expected (dialled), or proven by its certificate
	uint8_t group[16];
	struct mux *partner; // the other connection of the group; NULL: there is none
	uint64_t bulk_not_before_ns;
	struct mux *next; // worker's list
	struct mux *previous;
	struct mux *next_dirty;
	struct mux *next_dead;
	struct timer timer;
	uint64_t last_received_ns;
	uint64_t last_busy_ns;
	int64_t certificate_not_after_unix_s;
	uint64_t leave_by_ns; // server: its streams end by then; 0: they may stay
	uint64_t retire_ns;   // dialling side: new streams take a new tunnel from then on
	uint8_t key_pin[32];
	struct holder_set holders; // handshake.h
	enum holder_resource holding;
	struct holder_place unproven[HOLDER_ROLES];
	struct addr_port remote;
	// streams
	struct mux_page *pages[STREAMS_PER_TUNNEL_MAX / MUX_PAGE];
	uint32_t streams;
	uint32_t next_slot;
	uint16_t generations;	   // upper half of the next id
	struct fair_queue pending; // legs with something to put on the wire
	// sending: plaintext of the record being filled
	uint8_t *record;
	uint32_t record_bytes;
	uint32_t tail_stream; // the record ends with a DATA frame of this stream; 0: with another
	uint32_t tail_at;     // where that frame begins
	// receiving: frames may span records
	struct tunnel_header frame;
	uint32_t frame_left;
	uint32_t header_bytes;
	uint8_t header[TUNNEL_HEADER_BYTES];
	uint32_t control_bytes;
	uint8_t control[TUNNEL_CONTROL_MAX];
	struct mux_rates rates;
};

// An accepted tunnel descriptor. Owns fd from here on.
void mux_accept(struct worker *w, int fd);
// Dial a node; NULL where no descriptor, memory or credentials are to be had.
struct mux *mux_dial(struct worker *w, struct peer *p);
// Dial the bulk connection of a tunnel that we dialled; as above.
struct mux *mux_dial_bulk(struct mux *primary);
bool mux_can_open(const struct mux *m);
// A new stream for l, which describes itself through exchange_describe_open.
enum err must_check mux_open(struct mux *m, struct leg *l);
// The far side opened it: sent by the inbound path when the pod has accepted or was refused.
void mux_send_opened(struct leg *l);
void mux_send_refused(struct leg *l, enum tunnel_reason reason);
// leg.c's doors.
enum err must_check mux_write(struct leg *l, struct slice data);
void mux_write_fin(struct leg *l);
void mux_grant(struct leg *l, uint32_t bytes);
void mux_detach(struct leg *l, enum tunnel_reason reason);
// Lets go of a stream in good order: what was written to it arrives. The far side learns that nobody reads
// what it still sends.
void mux_leave(struct leg *l);
// As mux_detach, and the RESET does not overtake what has been sent.
void mux_reset_behind(struct leg *l, enum tunnel_reason reason);
// No new streams; those open go on.
void mux_goaway(struct mux *m, enum tunnel_reason reason);
// The last stream has left a tunnel that takes no new ones. Who dialled, closes: the bulk connection
// first.
void mux_drained(struct mux *m);
// The peer's HELLO has come: it has checked us.
void mux_on_greeted(struct mux *m);
// Frames can be exchanged.
bool mux_is_up(const struct mux *m);
// Ends the connection and resets every stream with the reason.
void mux_fail(struct mux *m, enum tunnel_reason reason, const char *log_reason);
// End of turn: seal and send what all dirty ones hold; free the dead.
void mux_flush_dirty(struct worker *w);
void mux_on_timer(struct mux *m);
// After a snapshot or credentials change: ends tunnels to nodes that are gone or whose key is.
void mux_recheck(struct worker *w);

// mux_receive.c
void mux_receive(struct mux *m, struct slice plaintext);
// mux_streams.c. credit: what we may send at once; window: what the far side may.
struct leg *mux_find(struct mux *m, uint32_t stream);
enum err must_check mux_attach(struct mux *m, struct leg *l, uint32_t stream, uint32_t credit,
			       uint32_t window);
// Every stream is gone: dead legs, whose exchanges are told.
void mux_reset_streams(struct mux *m, enum tunnel_reason reason);
// The far side sends no more; it reads no more (which ends the stream once it has finished as well).
void mux_on_finished(struct leg *l);
void mux_on_stopped(struct leg *l);
// One stream is gone: its exchange is told; the far side too, where tell is not NONE.
void mux_lose_stream(struct leg *l, enum tunnel_reason reason, enum tunnel_reason tell);

// mux_bulk.c
// Dialling side: a flow of this tunnel has become large. Dials the bulk connection once.
void mux_bulk_want(struct mux *primary);
// Accepting side, at the HELLO of a bulk connection: false: it belongs to no tunnel of that peer.
bool mux_bulk_join(struct mux *bulk);
// m ends: what it shares with its partner ends too.
void mux_bulk_part(struct mux *m, bool was_open);
// Should what this stream sends go over the bulk connection from here on? Tells the far side.
bool mux_bulk_move(struct leg *l);
// Frames: the far side's direction has moved; what came before that was known.
void mux_bulk_on_move(struct mux *m, struct leg *l);
void mux_bulk_keep(struct leg *l, struct slice data);
