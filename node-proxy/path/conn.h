// SPDX-License-Identifier: GPL-3.0-or-later
// conn: one descriptor and everything the kernel may be doing with it. The sole owner of io_ops
// and of the close protocol; conn_on_io is the only door from the ring.
//
// Close protocol: conn_end sets the state once and cancels what is armed; from then on completions
// are only counted; when none is armed, close is armed alone, and its completion frees the
// conn. So: no use after free, no cancel that hits another activation, no descriptor reused while
// a request names it.
#pragma once

#include "common/addr.h"
#include "io/ring.h"
#include "io/timer.h"
#include "path/fair.h"
#include "path/holder.h"
#include "path/queue.h"

struct worker;
struct conn;

// What the owner is told. None of these may free the conn; conn_end is always allowed. After
// conn_end no event comes any more.
struct conn_events {
	// Received bytes, borrowed for the call (may be changed in place).
	void (*data)(struct conn *c, struct slice data);
	void (*eof)(struct conn *c);
	// So many bytes of the queue have been taken by the kernel.
	void (*sent)(struct conn *c, uint32_t bytes);
	void (*connected)(struct conn *c);
	// The connection is of no use any more, and all that it brought has been told; error is an errno. Call
	// conn_end.
	void (*failed)(struct conn *c, int error);
};

enum conn_state {
	CONN_CLOSED = 0, // in the pool
	CONN_CONNECTING,
	CONN_OPEN,
	CONN_FLUSHING, // owner has gone; the queue is still being sent and acknowledged, then it closes
	CONN_CLOSING, // cancelled; waiting until nothing is armed
};

enum conn_op {
	CONN_OP_RECV = 0,
	CONN_OP_SEND,
	CONN_OP_CONNECT,
	CONN_OP_ROOM,
	CONN_OP_CLOSE,
	CONN_OP_CANCEL_RECV,
	CONN_OP_CANCEL_SEND,
	CONN_OP_CANCEL_ROOM,
	CONN_OP_COUNT
};

struct conn {
	struct io_op ops[CONN_OP_COUNT];
	struct worker *worker;
	const struct conn_events *events; // NULL once the owner has gone
	void *owner;
	struct queue out;      // its chunks come from conn_chunks
	struct fair_item turn; // among those with bytes to send at the end of the turn, while dirty
	struct conn *next_starved;		 // list of those that found no receive buffer
	struct conn *next_waiting, **at_waiting; // list of those that ask again later
	struct addr_port to;			 // while it connects
	struct timer timer;			 // of what ends by itself
	uint64_t until_ns;			 // of that: when at the latest
	uint32_t look_ms;			 // of that: after how long it is looked at again
	int send_error; // errno: the far end takes no more; what it sent before is still being read
	struct holder_set holders; // who holds the descriptor
	int fd;
	enum conn_state state;
	enum ring_group group;
	uint8_t flow; // its line there: of the source workload; tunnels stand in the shared one
	bool dirty;
	bool starved;
	bool read_wanted;
	bool read_eof;
	bool read_many; // multishot receives: only while nothing has ever had to be paused
	bool was_paused;
	bool write_shut; // FIN wanted once the queue is empty
	bool write_done; // FIN sent
	bool reset;	 // close by RST
	bool read_bulk;	 // the last receive filled its buffer: single-shot ones take a large one
	bool send_cut;	 // the socket did not take the last send whole: the next one waits for room
	bool send_steps; // a send cannot wait for room: each takes what there is, CONN_OP_ROOM tells of more
	bool awaited; // the owner waits for the end of what is queued: no send is lazy
	bool no_room; // there is none just now
};

enum conn_end_how {
	CONN_END_FLUSH = 0, // send what is queued, then FIN and close
	CONN_END_RESET,	    // throw the queue away and close by RST
	// Send what is queued and close by RST once it is acknowledged, because a RST destroys what is under way.
	// What still comes meanwhile is thrown away: who is busy sending shall come to read.
	CONN_END_BEHIND,
};

// Takes over an open descriptor. NULL: pool is full (descriptor is still the caller's).
struct conn *conn_new_open(struct worker *w, int fd, enum ring_group group,
			   const struct conn_events *events, void *owner);
// A descriptor from sock_dial; the connect is armed at once.
struct conn *conn_new_connect(struct worker *w, int fd, struct addr_port to, enum ring_group group,
			      const struct conn_events *events, void *owner);
// Counted as held by them until it is closed; until then by nobody.
void conn_held_by(struct conn *c, const struct holder_set *holders);
void conn_read_start(struct conn *c);
void conn_read_pause(struct conn *c);
// Multishot from the next receive on, unless this source has outrun its sink before.
void conn_read_many(struct conn *c);
// Queue a copy; sent at the end of the turn. ERR_NOMEM: chunk pool is used up.
enum err must_check conn_write(struct conn *c, struct slice data);
// FIN after everything queued.
void conn_write_finish(struct conn *c);
void conn_end(struct conn *c, enum conn_end_how how);
// The single door from the ring: completion of one of a conn's ops.
void conn_on_io(struct conn *c, const struct ring_completion *completion);
// End of turn: arm sends for all dirty conns of the worker; receives for the starved ones.
void conn_flush_dirty(struct worker *w);
void conn_restart_starved(struct worker *w);
// Now and then: those that had no memory, or wait for what the kernel may have failed to tell.
void conn_restart_waiting(struct worker *w);
void conn_on_timer(struct conn *c);

static inline struct conn *conn_of_op(struct io_op *op)
{
	return (struct conn *)((uint8_t *)(op - op->tag) - offsetof(struct conn, ops));
}
