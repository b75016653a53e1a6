// SPDX-License-Identifier: GPL-3.0-or-later
// exchange: the stage machine. One downstream leg and one upstream leg (retries and mirrors will add
// upstream legs), a table of stages, one log line. L4 is one exchange a connection; HTTP/1 a
// sequence of them on the same object (AGAIN).
//
// A stage is a row {name, enter, on_event}. Both return a step; no stage calls another: the tables
// in outbound.c and inbound.c are the documentation. Bytes are handed straight down within the
// turn (exchange_on_data); everything else is an event. Nothing is freed before the end of the turn.
#pragma once

#include "decide/decide.h"
#include "io/timer.h"
#include "path/admission.h"
#include "path/end_reason.h"
#include "path/holder.h"
#include "path/leg.h"
#include "path/record.h"

enum side { DOWN = 0, UP = 1, SIDES = 2 };

// In the order of delivery: bytes before their end, the end before a reset.
enum event {
	EVENT_DATA_DOWN = 0,
	EVENT_DATA_UP,
	EVENT_CONNECTED, // upstream
	EVENT_SENT_DOWN, // bytes left the queue towards the client
	EVENT_SENT_UP,
	EVENT_FIN_DOWN,
	EVENT_FIN_UP,
	EVENT_RESET_DOWN,
	EVENT_RESET_UP, // refused, reset, lost
	EVENT_RECHECK,	// something changed that a waiting stage may be waiting for
	EVENT_TIMER,
	EVENT_LEAVE, // it has to end soon, in good order (leave.h)
	EVENT_TURN,  // a request that was held may be looked at (admission.h)
	EVENT_COUNT
};

enum step {
	STEP_WAIT = 0, // until the next event
	STEP_NEXT,     // the next row of the table
	STEP_DONE,     // to finish, reason set by exchange_end
	STEP_REPLY,    // local answer: x->reply says which
	STEP_LINGER,   // the answer is queued whole; wait until it has left
	STEP_AGAIN,    // next request of the same connection
	STEP_LOCAL,    // same node: go on in the inbound table, at enforce
	STEP_RELAY,    // opaque from here on (after 101)
};

struct stage {
	const char *name;
	enum step (*enter)(struct exchange *x);
	enum step (*on_event)(struct exchange *x, enum event e);
};

// Bytes received and not yet consumed by a stage, contiguous because heads are parsed in place.
struct unread {
	uint8_t *ptr;
	uint32_t
		start; // of what is left: it is moved to the front only when room is needed behind it
	uint32_t len;
	uint32_t cap;
};

enum exchange_kind {
	EXCHANGE_NONE = 0,
	EXCHANGE_OUTBOUND, // captured here
	EXCHANGE_INBOUND,  // a stream of a peer's tunnel
};

struct http; // L7 state, path/http.h

// What the OPEN of an inbound stream says, copied.
struct claim {
	struct tunnel_open open; // its texts lie in text
	char text[320];
};

struct exchange {
	struct worker *worker;
	const struct stage *stages; // the table
	uint8_t stage;
	uint8_t kind;
	uint8_t end_reason;
	uint8_t flow; // its line where exchanges wait for each other: by source workload
	bool ended;   // on the worker's dead list
	bool queued;  // on the run queue
	bool running;
	bool local; // captured and delivered on this node
	bool l7;
	bool decided;  // x->decision is of this exchange and generation
	bool relaying; // the stage is relay: unread limits are those of a pipe
	bool replied;  // ended by a local answer: flush it
	bool logged;   // the last log line is out
	bool aborted; // ended from outside: what waits is not sent any more, but for a local answer
	uint32_t events; // pending, bit per enum event
	struct exchange *next_run;
	struct exchange *next_dead;
	struct exchange *next, *previous; // all of the worker
	struct leg leg[SIDES];
	struct unread unread[SIDES];
	struct slice in[SIDES]; // unconsumed bytes while a stage runs; then saved to unread
	struct timer timer;
	struct http *http;
	struct observer *observer; // a request of an opaque port under way (observe.h)
	uint8_t observing;	   // enum observing
	uint8_t observed_lines;	   // that are in the log
	// what is known
	struct snapshot_pin *pin; // the generation that every pointer below belongs to
	const struct workload *source;
	const struct workload *destination;
	const struct ss_service *service;
	const struct policy *policy;
	const struct ss_node *node; // to tunnel to
	struct principal principal;
	struct addr_port client;
	struct addr_port dialled; // the original destination
	struct addr_port target;  // pod address and port
	uint32_t ifindex;
	struct decision decision;
	const char *check_failed; // static text: which of the receiver's checks
	int error;		  // errno of the connection that failed; 0: none did
	uint16_t reply_status;
	uint8_t empty_lines;   // before the request that is awaited
	uint8_t turn_requests; // looked at in this turn
	uint32_t turn;
	struct admission_place admission;
	// what it holds, and by whom (holding.h)
	struct holder_set holders;
	struct holder_set held_by; // as its place was counted
	struct holder_place places[HOLDER_ROLES];
	uint64_t renewed_ns; // bytes came, in steps of HOLDER_RENEW_MS
	bool counted;
	bool open_waits;
	uint32_t tally; // its place among its pod's, + 1; 0: not counted
	bool crowded; // it ended for want of crowded_resource, of which crowded_role has its share
	uint8_t crowded_resource;
	uint8_t crowded_role;
	uint32_t linger_bytes;
	uint32_t linger_pending;
	struct claim *claim; // of an inbound stream, until it has been checked
	// the log line
	uint64_t id;
	uint64_t started_ns;
	uint64_t bytes_logged[SIDES];
	uint32_t sequence;
	uint64_t moved_ns; // when bytes moved last, while it relays
};

// NULL: limit reached (counted).
struct exchange *exchange_new(struct worker *w, enum exchange_kind kind,
			      const struct stage *stages);
void exchange_start(struct exchange *x);
// End it from outside of its machine, with the reason given to exchange_end before.
void exchange_abort(struct exchange *x);
// Post an event; the exchange runs later in this turn.
void exchange_post(struct exchange *x, enum event e);
// Are its legs let go in good order, or by a reset that comes behind what was received before it? Neither: at once.
bool exchange_ends_well(const struct exchange *x);
bool exchange_ends_behind(const struct exchange *x);
// Drop what is still to be delivered about a leg that has been let go.
void exchange_forget(struct exchange *x, enum side s);
// Bytes from a leg, borrowed: runs the machine at once, keeps what no stage consumed.
void exchange_on_data(struct exchange *x, enum side s, struct slice data);
void exchange_consume(struct exchange *x, enum side s, size_t bytes);
// Note why it ends (first reason wins); returns STEP_DONE so that stages can return it.
enum step exchange_end(struct exchange *x, enum end_reason reason);
// The claim has been checked.
void exchange_forget_claim(struct exchange *x);
// How much may lie unread with us before the source is stopped, in this stage.
void exchange_balance(struct exchange *x);
void exchange_run_queue(struct worker *w);
void exchange_free_dead(struct worker *w);
void exchange_set_timer(struct exchange *x, uint64_t after_ms);
void exchange_cancel_timer(struct exchange *x);
// Let the exchange's pointers follow to the worker's current snapshot; false: what it stands on is gone
// (end_reason says what).
bool exchange_repin(struct exchange *x, enum end_reason *reason);
const char *exchange_stage_name(const struct exchange *x);
void exchange_set_principal(struct exchange *x, const struct workload *source);
// The OPEN frame's content, for mux.
void exchange_describe_open(const struct exchange *x, struct tunnel_open *out);
