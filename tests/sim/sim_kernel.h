// SPDX-License-Identifier: GPL-3.0-or-later
// What sim_ring.c (the verbs and the turn) and sim_kernel.c (what becomes of what was asked) share.
#pragma once

#include "io/ring.h"

#define SIM_OPS_MAX	512
#define SIM_VECTORS_MAX 32
#define SIM_BUFFERS_MAX 64

struct sim_op {
	struct io_op *op;
	enum io_kind kind;
	uint8_t tag; // as it was: op must lie still
	int fd;
	uint8_t group;
	bool multishot;
	bool cancelled;	    // ends with -ECANCELED, or with what it had
	uint64_t cancel_ns; // ends so at the latest by then; 0: not asked to
	uint32_t vector_count;
	struct iovec vector[SIM_VECTORS_MAX];
	uint32_t sent;
	uint32_t total;
	struct sockaddr_storage to;
	const struct io_op *target;
	int32_t res; // of what ends at submission (close, cancel, a send that does not wait, what passes)
	bool ready;
	bool lazy;
	bool now;    // ends at once with what the socket took
	bool silent; // a lazy send that the socket took whole: told when something else ends the wait
};

struct sim_completion {
	struct io_op *op;
	int32_t res;
	uint32_t flags;
	int buffer; // -1: none
	uint8_t group;
	uint8_t tag;
	enum io_kind kind;
};

struct sim_buffers {
	uint8_t *memory;
	uint32_t count, bytes;
	uint32_t free_count;
	uint16_t free[SIM_BUFFERS_MAX];
};

struct ring {
	struct ring_counters counters;
	struct sim_op queued[SIM_OPS_MAX]; // not submitted yet
	uint32_t queued_count;
	struct sim_op armed[SIM_OPS_MAX];
	uint32_t armed_count;
	struct sim_completion posted[2 * SIM_OPS_MAX]; // and not dispatched yet
	uint32_t posted_count;
	uint32_t dispatched; // of posted
	struct sim_buffers groups[RING_GROUP_COUNT];
	uint64_t wait_until_ns;
	bool quiet;    // the last turn had no cause
	bool told;     // but lazy sends were told of in it
	uint64_t ends; // submissions other than sends
	uint64_t submissions_at_wait, ends_at_wait, shutdowns_at_wait;
};

// The kernel takes what is queued.
void kernel_submit(struct ring *r);
// Lets ops move in any order until the queue of completions is full or nothing moves. True: more
// completions wait outside the queue.
bool kernel_move(struct ring *r);
bool kernel_can_move(const struct ring *r);
// Lazy sends that went well are told of with whatever has ended the wait, before or after it, unless
// completions wait outside the queue.
void kernel_tell_silent(struct ring *r);
void kernel_poll_for_nothing(struct ring *r);
// An op lies still while it is armed.
void kernel_check_still(const struct io_op *op, enum io_kind kind, uint8_t tag);
