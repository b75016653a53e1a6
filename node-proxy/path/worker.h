// SPDX-License-Identifier: GPL-3.0-or-later
// worker: one thread's whole world, shared with nobody: ring, pools, timers, listeners, tunnels,
// exchanges, the snapshot it goes by. One turn: completions, events, timers, then everything
// that was produced is sent, then the dead are freed. A worker never takes a lock, reads a file,
// resolves a name or writes a log line itself.
#pragma once

#include "common/clock.h"
#include "io/ring.h"
#include "io/timer.h"
#include "path/admission.h"
#include "path/exchange.h"
#include "path/holder.h"
#include "path/inbox.h"
#include "path/mux.h"
#include "path/queue.h"

#define WORKER_SEND_VECTORS    256
#define WORKER_PLAINTEXT_BYTES (TLS_RECORD_PLAINTEXT_MAX + 1)
// Tunnel k of a peer dials from a port congruent to k: the receiver hands it to worker k mod W.
#define TUNNEL_PORT_MODULUS  64
#define WORKER_LISTENERS_MAX 8
#define WORKER_PINS	     4

struct worker_send_vector {
	struct msghdr msg;
	struct iovec vector[SEND_VECTOR_MAX];
};

enum listener_kind { LISTENER_NONE = 0, LISTENER_CAPTURE, LISTENER_TUNNEL };

struct listener {
	struct io_op accept;
	struct io_op cancel;
	enum listener_kind kind;
	int fd; // borrowed: the process owns listeners (they outlive workers, for hand-over)
	bool rearm;
};

// A generation that exchanges of this worker stand on.
struct snapshot_pin {
	const struct snapshot *snapshot;
	struct hold *hold; // given back when refs is zero
	uint32_t refs;	   // exchanges; the current pin holds one of its own
};

// How long turns take, from the end of the wait: upper bounds of all buckets but the last.
#define WORKER_TURN_BUCKETS 15
extern const uint32_t worker_turn_bounds_us[WORKER_TURN_BUCKETS - 1];

struct worker_counters {
	uint64_t conns_open, exchanges_open, streams_open, tunnels_open;
	uint64_t accepts, accept_errors, exchanges, requests;
	uint64_t bytes_received, bytes_sent, sends, records_sealed, frames_sent, frames_received;
	uint64_t bytes_copied; // by us, on the way of bodies and heads; TLS copies besides
	uint64_t pool_full, overloaded, tunnels_dialled, tunnels_failed;
	uint64_t held_sources, held_destinations;
	uint64_t handshakes, checks_failed, protocol_errors;
	uint64_t turns, turn_ns_max, turn_ns_sum;
	uint64_t turn_buckets[WORKER_TURN_BUCKETS]; // by worker_turn_bounds_us; the last: longer
	uint64_t ended[END_COUNT];
	uint64_t responses[6];	// by status class
	uint64_t relieved;	// exchanges reset because they held the most
	uint64_t requests_held; // for others of their workload (admission.h)
	uint64_t rate_limited, rate_overflow, would_deny;
};

struct tally;

struct worker_config {
	uint32_t index;
	uint32_t count;
	struct slice node; // this node's name
	uint32_t mark;	   // SO_MARK of what we dial and accept
	uint32_t uplinks[8];
	uint32_t uplink_count;
	uint32_t exchanges_max;
	uint32_t descriptors_max;    // of this worker's connections
	uint32_t requests_under_way; // of a workload, while others ask too
	uint64_t seed;
	bool log_exchanges;
	struct ratelimit_table *limits;
	struct tally *tally; // of all workers; NULL: connectionsPerPod is nobody's to ask
	struct affinity_table *affinity; // NULL: clients are not remembered
	struct inbox *const *siblings;	 // all workers' inboxes, by index
	int log_event_fd;		 // wakes the logger
};

struct peer;

struct worker {
	struct ring *ring;
	struct worker_config config;
	struct inbox *inbox;
	struct io_op wake;
	struct listener listeners[WORKER_LISTENERS_MAX];
	uint32_t listener_count;
	uint64_t now_ns;
	int64_t now_unix_s;
	uint64_t random_state;
	struct timer_wheel timers;
	// pools
	struct pool conns;
	struct pool exchanges;
	struct pool chunks;	   // queues of legs
	struct pool small;	   // unread bytes (heads)
	struct pool tunnel_chunks; // ciphertext that waits for tunnels' sockets
	struct pool large;	   // unread bytes beyond that
	struct pool huge;	   // and beyond that
	struct pool https;
	struct pool observers;
	struct pool claims;
	struct pool muxes;
	struct pool mux_pages;
	struct pool records; // plaintext being filled for a tunnel
	struct admission admission;
	struct holder_table holders;
	uint64_t strangers_logged_at; // this second ...
	uint32_t strangers_logged;    // ... so many
	// lists of the turn
	struct fair_queue dirty_conns;
	struct conn *starved_conns;
	struct conn *waiting_conns, *due_conns; // ask again with the next housekeeping; being asked
	struct mux *dirty_muxes;
	struct exchange *run_head, *run_tail;
	struct exchange *dead;
	struct mux *dead_muxes;
	uint32_t send_vectors_used;
	struct worker_send_vector *send_vectors;
	// everything alive
	struct exchange *all;
	int64_t promised_bytes;	  // credit given to streams, and not yet taken back
	uint64_t relieved_ns;	  // when the largest holders were last looked for
	struct exchange *recheck; // next to be re-asked after a swap; NULL: done
	struct mux *muxes_list;
	struct peer *peers;
	uint32_t peer_count;
	// configuration in force
	struct snapshot_pin pins[WORKER_PINS];
	struct snapshot_pin *pin;  // current; NULL before the first snapshot
	const struct links *links; // address ▶ interface pins
	struct hold *links_hold;
	struct hold *credentials_hold;
	struct tls_context *tls_client;
	struct tls_context *tls_server;
	struct token_cache *tokens;
	bool draining;
	bool stopping;
	uint64_t drain_until_ns;
	uint64_t next_exchange_id;
	struct record_ring log;
	struct worker_counters counters;
	struct http1_message *message; // scratch: the head being parsed
	uint8_t *plaintext;	       // scratch: one record as it was opened
	uint8_t *scratch;	       // arena of one decision
	struct timer housekeeping;
};

enum err must_check worker_new(const struct worker_config *config, struct ring *ring,
			       struct inbox *inbox, struct worker **out, struct reason *why);
void worker_free(struct worker *w);
// From all of its pools, so far: what would be allocator calls.
uint64_t worker_objects_taken(struct worker *w);
void worker_listen(struct worker *w, enum listener_kind kind, int fd);
// One turn; waits until wait_until_ns at the latest. Driven by the worker's thread, or by the
// simulator. False: everything has ended after a stop or drain.
bool worker_turn(struct worker *w, uint64_t wait_until_ns);
// Thread body: turns until the worker is told to stop.
void worker_run(struct worker *w);

static inline const struct snapshot *worker_snapshot(const struct worker *w)
{
	return w->pin ? w->pin->snapshot : NULL;
}
// Does that interface lead to no local pod?
bool worker_is_uplink(const struct worker *w, uint32_t ifindex);
struct snapshot_pin *worker_pin(struct worker *w);
void worker_unpin(struct worker *w, struct snapshot_pin *pin);
// Small fast PRNG for choices that need no secrecy (load spreading, jitter).
uint64_t worker_random(struct worker *w);

// What a timer belongs to.
enum timer_tag {
	TIMER_NONE = 0,
	TIMER_CONN,
	TIMER_EXCHANGE,
	TIMER_MUX,
	TIMER_PEER,
	TIMER_HOUSEKEEPING,
};
