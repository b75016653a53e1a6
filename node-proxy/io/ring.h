// SPDX-License-Identifier: GPL-3.0-or-later
// The kernel's door: io_uring behind a small set of verbs. One ring a worker, used by one thread.
// tests/sim links another implementation of this header in its place (seeded, hostile).
//
// Ownership: an io_op is embedded in the entity that asks; from a verb until its last completion
// (flags without RING_MORE) the kernel owns the op and every byte it names. armed says so and
// is kept by the ring alone: the ring clears it before the handler of the last completion runs, so
// that the handler may ask again with the same op, or free it. user_data is the op's address.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "common/err.h"
#include "common/slice.h"

enum io_kind {
	IO_NONE = 0,
	IO_ACCEPT, // multishot: res is a descriptor
	IO_RECV,   // multishot, or single shot; a buffer comes with res > 0
	IO_SEND,
	IO_CONNECT,
	IO_CLOSE,
	IO_CANCEL,
	IO_POLL, // multishot readiness of an eventfd
	IO_SEND_LAZY,
	IO_TIMEOUT, // the ring's own
	IO_ROOM,    // multishot: a socket takes bytes again
};

// What a result means to who asked for it: one table for every kind of operation (ring_outcome.c).
enum ring_outcome {
	RING_FAILED = 0,
	RING_DONE,
	RING_AGAIN,	// nothing is wrong and nothing has happened: ask again
	RING_NO_BUFFER, // ask again when buffers are given back, which is at the turn's end
	RING_NO_MEMORY, // ask again later
};
enum ring_outcome ring_outcome(enum io_kind kind, int32_t res);

struct io_op {
	uint8_t kind; // enum io_kind
	bool armed;
	uint8_t group;	// of a receive: where its buffers come from (kept by the ring)
	uint8_t tag;	// the owner's own mark: which of its ops this is
	uint32_t bytes; // of a send: how many it was asked for (kept by the ring)
};

enum ring_flags {
	RING_MORE = 1 << 0,   // multishot goes on: further completions follow
	RING_BUFFER = 1 << 1, // data is valid (borrowed until the handler returns)
	RING_NOTIFY = 1 << 2, // zero-copy notification: buffers are free again
	RING_SHORT = 1 << 3,  // a lazy send: the socket took less (res bytes, perhaps none)
};

struct ring_completion {
	struct io_op *op;
	int32_t res; // >= 0, or -errno
	uint32_t flags;
	struct slice data; // received bytes; the handler may write in place through (uint8_t *)
};

struct ring_config {
	uint32_t entries; // submission queue
	uint32_t completion_entries;
	uint32_t stream_buffers; // provided buffers for pods' connections ...
	uint32_t stream_buffer_bytes;
	uint32_t tunnel_buffers;      // ... and a ring reserved for tunnels, so that stalled
	uint32_t tunnel_buffer_bytes; // readers never starve control frames
	uint32_t bulk_buffers; // large ones for pods that send much: fewer receives, fewer ACKs
	uint32_t bulk_buffer_bytes;
	bool restrict_operations; // IORING_REGISTER_RESTRICTIONS to the verbs below
};

enum ring_group { RING_GROUP_STREAM = 0, RING_GROUP_TUNNEL, RING_GROUP_BULK, RING_GROUP_COUNT };

struct ring;

// ERR_UNSUPPORTED with one sentence where the kernel or a sysctl forbids io_uring.
enum err must_check ring_new(const struct ring_config *config, struct ring **out,
			     struct reason *why);
void ring_free(struct ring *r);

// Verbs only queue; they go to the kernel at the next ring_turn (or when the queue is full, at
// once). They cannot fail: errors come as completions.
// many: one after another until it is cancelled; else one.
void ring_accept(struct ring *r, struct io_op *op, int fd, bool many);
// bytes_max: of one (single-shot) receive; 0: what a buffer holds.
void ring_recv(struct ring *r, struct io_op *op, int fd, enum ring_group group, bool multishot,
	       uint32_t bytes_max);
enum ring_send_how {
	// Until the socket has taken all: res < len only on error or close. But where the far end has finished
	// the kernel cannot wait for room (its poll ends at once, each time): it gives up (-EAGAIN, or with
	// what it had sent), or spends a thread.
	RING_SEND_WAIT = 0,
	// For a send whose end nobody waits for. Its completion never wakes the worker: it comes with the next
	// turn that something else ends. It does not wait for room either: what the socket does not take at
	// once is left (RING_SHORT), and the next send must not be lazy.
	RING_SEND_LAZY,
	// What the socket takes at once: res < len, or -EAGAIN. ring_room tells when it takes more.
	RING_SEND_NOW,
};
// data stays valid until the completion.
void ring_send(struct ring *r, struct io_op *op, int fd, struct slice data, enum ring_send_how how);
// msg and its vector are copied at the latest by the next ring_turn; the bytes they name (bytes in all)
// stay valid until the completion.
void ring_send_vector(struct ring *r, struct io_op *op, int fd, const struct msghdr *msg,
		      uint32_t bytes, enum ring_send_how how);
// Completes each time that the socket takes bytes again after it took less than it was given, when it is armed
// and does, and when it has failed. It may complete for nothing.
void ring_room(struct ring *r, struct io_op *op, int fd);
// to is copied at once.
void ring_connect(struct ring *r, struct io_op *op, int fd, const struct sockaddr_storage *to);
void ring_poll(struct ring *r, struct io_op *op, int fd);
void ring_close(struct ring *r, struct io_op *op, int fd);
// op is the cancellation's own; target's last completion still comes (-ECANCELED or its result),
// before or after this one (0, -ENOENT: it had completed, -EALREADY: it is about to).
void ring_cancel(struct ring *r, struct io_op *op, struct io_op *target);

typedef void (*ring_handler)(void *context, const struct ring_completion *c);

// One turn: submit, wait until something completed or wait_until_ns (monotonic; 0: do not wait;
// UINT64_MAX: for ever), hand every completion to handler, give buffers back. Returns the
// number of completions. *now_ns is the time after the wait.
uint32_t ring_turn(struct ring *r, uint64_t wait_until_ns, ring_handler handler, void *context,
		   uint64_t *now_ns);

struct ring_counters {
	uint64_t turns, submissions, completions, enobufs;
	uint64_t overflows; // turns in which completions waited in the kernel for room in the queue
	uint64_t lost;	    // turns in which the kernel had no memory to keep them: their ops hang
	uint64_t queue_full; // submissions in the midst of a turn, because the queue was full
	uint64_t sends, recvs, accepts, connects;
	uint64_t lazy_sends,
		short_sends;  // of sends: without a completion of the kernel's; cut short
	uint64_t waits_timed; // turns that had to bring a time-out of their own
};
const struct ring_counters *ring_counters(const struct ring *r);
