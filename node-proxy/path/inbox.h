// SPDX-License-Identifier: GPL-3.0-or-later
// What other threads tell a worker, and how it answers: one queue a worker (io/wake), a small
// vocabulary, no locks. Two shapes of message:
//   hold   a worker's share of a publication: one immutable thing given to every worker
//	    (snapshot, links, credentials). The worker says once that it goes by it
//	    (inbox_adopt) and once that nothing of it is used any more (inbox_release); when the
//	    last worker has let go, control/publish frees the thing.
//   rest   a descriptor, an order or a question: the receiver ends each with inbox_done.
// Who sends: control/publish (holds), control/drain and admin (orders, questions), path/worker
// (descriptors to its siblings).
#pragma once

#include "common/buf.h"
#include "io/tls.h"
#include "io/wake.h"
#include "path/links.h"

struct snapshot;
struct worker;

enum inbox_type {
	INBOX_NONE = 0,
	INBOX_SNAPSHOT,	   // hold: decide by this generation from now on
	INBOX_LINKS,	   // hold: which interface each local pod's address is pinned to
	INBOX_CREDENTIALS, // hold: certificate and trust of new tunnels
	INBOX_FD,	   // inbox_fd: an accepted tunnel that this worker serves
	INBOX_DRAIN,	   // inbox_order: stop accepting, GOAWAY, end what is left at at_ns
	INBOX_STOP,	   // inbox_order: end everything and leave the loop
	INBOX_QUERY,	   // inbox_query: answer on the worker's own thread
	INBOX_TYPE_COUNT
};

struct inbox {
	struct wake_queue queue; // its event_fd goes to ring_poll
	struct wake_message *taken;
};

struct inbox_credentials {
	struct tls_context
		*client; // kept alive by the publication; sessions keep their own reference
	struct tls_context *server;
	int64_t not_after_unix_s;
};

struct hold {
	struct wake_message message; // first member: type says INBOX_SNAPSHOT, _LINKS, _CREDENTIALS
	struct publication *publication;
};

// Made and freed by control/publish; constant for workers but for the two counters, which
// inbox_adopt and inbox_release keep.
struct publication {
	enum inbox_type type;
	uint32_t worker_count;
	union {
		const struct snapshot *snapshot;
		const struct links *links;
		struct inbox_credentials credentials;
	};
	struct publication *next; // publisher's list
	uint64_t sent_ns;
	int event_fd;		    // the publisher's: written when a counter reaches zero
	_Atomic uint32_t unadopted; // workers that have not taken it up yet
	_Atomic uint32_t held;	    // workers that still use it
	struct hold holds[];	    // one a worker
};

struct inbox_fd {
	struct wake_message message;
	int fd;
};

struct inbox_order {
	struct wake_message message;
	uint64_t at_ns; // monotonic
};

// A question that a control thread waits for. run writes text or JSON into out, which is bounded.
typedef void (*inbox_question)(struct worker *w, uint64_t argument, struct buf *out);
struct inbox_query {
	struct wake_message message;
	inbox_question run;
	uint64_t argument;
	struct buf out;
	int answered_fd;
	_Atomic uint32_t refs;	   // asker and worker
	_Atomic uint32_t answered; // out may be read
};

enum err must_check inbox_init(struct inbox *b);
// Ends messages that nobody took: descriptors are closed, holds are released.
void inbox_deinit(struct inbox *b);

// --- the worker's side ---

// When event_fd became readable: inbox_clear, then inbox_next until it returns NULL.
void inbox_clear(struct inbox *b);
struct wake_message *inbox_next(struct inbox *b);
static inline struct hold *inbox_hold(struct wake_message *m)
{
	return (struct hold *)m;
}
// The worker goes by it from now on. Once for each hold.
void inbox_adopt(struct hold *h);
// Nothing of the worker refers to it any more. Once for each hold; h is gone afterwards.
void inbox_release(struct hold *h);
// INBOX_FD (the descriptor is the worker's now), _DRAIN, _STOP.
void inbox_done(struct wake_message *m);
// INBOX_QUERY: runs the question on w and wakes who asked.
void inbox_answer(struct wake_message *m, struct worker *w);

// --- the senders' side: any thread ---

// fd stays the caller's on failure (ERR_NOMEM).
enum err must_check inbox_send_fd(struct inbox *to, int fd);
// type is INBOX_DRAIN or INBOX_STOP.
enum err must_check inbox_send_order(struct inbox *to, enum inbox_type type, uint64_t at_ns);
// Asks and waits; the answer (at most bytes_max) is appended to out. ERR_EXPIRED after timeout_ms.
enum err must_check inbox_ask(struct inbox *to, inbox_question run, uint64_t argument,
			      size_t bytes_max, uint32_t timeout_ms, struct buf *out);
