// SPDX-License-Identifier: GPL-3.0-or-later
// The kernel's side of a simulated ring: what was submitted moves, in any order, and completes. See
// sim_kernel.h.
#include "sim/sim_kernel.h"

#include <errno.h>

#include "io/sock.h"
#include "sim/sim.h"
#include "sim/sim_net.h"

#define LATE_MAX_MS 20 // a cancellation that came too late ends its target within this

void kernel_check_still(const struct io_op *op, enum io_kind kind, uint8_t tag)
{
	if (!op->armed || op->kind != kind || op->tag != tag)
		sim_fail("an operation of kind %d was overwritten while it was armed", kind);
}

// ---- submission --------------------------------------------------------------------------------

static struct sim_op *armed_find(struct ring *r, const struct io_op *op)
{
	for (uint32_t i = 0; i < r->armed_count; i++) {
		if (r->armed[i].op == op)
			return &r->armed[i];
	}
	return NULL;
}

static bool names_descriptor(enum io_kind kind)
{
	return kind == IO_RECV || kind == IO_SEND || kind == IO_CONNECT || kind == IO_ROOM;
}

// Seldom enough that what is cut into small pieces gets through before its time is over: after each the product
// waits a second.
static bool lacks_memory(void)
{
	if (sim.now_ns < sim.memory_until_ns)
		return false;
	sim.memory_until_ns = sim.now_ns + 3 * NS_PER_S;
	return true;
}

// What passes: the simulator's own list, because the product's (ring_outcome.c) is what is tried.
static int32_t passing_result(enum io_kind kind)
{
	static const int32_t every[] = {EAGAIN, ECANCELED, EINTR};
	static const int32_t accept[] = {EAGAIN, ECANCELED, EINTR, EPERM, ECONNABORTED, EPROTO};
	static const int32_t connect[] = {EAGAIN, ECANCELED, EINTR, EINPROGRESS, EALREADY};

	if (sim_chance(300) && lacks_memory())
		return -(kind == IO_ACCEPT		      ? EMFILE
			 : kind == IO_SEND && sim_chance(500) ? ENOBUFS
							      : ENOMEM);
	switch (kind) {
	case IO_ACCEPT:
		return -accept[sim_random(6)];
	case IO_CONNECT:
		return -connect[sim_random(5)];
	case IO_RECV:
		return sim_chance(200) ? -ENOBUFS : -every[sim_random(3)];
	case IO_CLOSE:
		return -every[sim_random(2)]; // not interrupted: then it is closed
	default:
		return -every[sim_random(3)];
	}
}

static int32_t submit_cancel(struct ring *r, const struct io_op *target)
{
	struct sim_op *o = armed_find(r, target);

	if (!o || o->kind == IO_CLOSE || o->kind == IO_CANCEL || o->ready || o->silent)
		return -ENOENT;
	if (o->cancelled || o->cancel_ns)
		return -EALREADY;
	if (sim_chance(sim.knobs.cancel_late)) {
		o->cancel_ns = sim.now_ns + sim_random(LATE_MAX_MS) * NS_PER_MS + 1;
		o->multishot = false; // what is about to complete does so, and that is all
		return -EALREADY;
	}
	o->cancelled = true;
	return 0;
}

// Moves some of one piece; returns how much.
static uint32_t send_some(struct sim_op *o)
{
	uint32_t skip = o->sent, moved = 0;

	for (uint32_t i = 0; i < o->vector_count && moved == 0; i++) {
		uint32_t len = (uint32_t)o->vector[i].iov_len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		len -= skip;
		if (sim_chance(sim.knobs.partial))
			len = 1 + (uint32_t)sim_random(len);
		moved = sim_net_write(o->fd, (const uint8_t *)o->vector[i].iov_base + skip, len);
	}
	o->sent += moved;
	return moved;
}

// All of it now, or as much as there is room for, and that is told.
static void submit_lazy(struct ring *r, struct sim_op *o)
{
	if (sim_net_is_reset(o->fd))
		return; // fails as every other
	while (o->sent < o->total && !sim_chance(sim.knobs.short_send) &&
	       sim_net_writable(o->fd) > 0)
		send_some(o);
	o->silent = o->sent == o->total;
	o->ready = !o->silent;
	o->res = (int32_t)o->sent;
	r->counters.short_sends += !o->silent;
}

static void submit_now(struct sim_op *o)
{
	if (sim_net_is_reset(o->fd))
		return; // fails as every other
	while (o->sent < o->total && sim_net_writable(o->fd) > 0)
		send_some(o);
	if (o->sent < o->total)
		sim_net_want_room(o->fd);
	o->ready = true;
	o->res = o->sent > 0 ? (int32_t)o->sent : -EAGAIN;
}

static void submit_connect(struct sim_op *o)
{
	struct addr_port to;

	if (sock_address_from(&o->to, &to) != ERR_OK)
		sim_fail("connect to no address");
	if (sim_net_connect_state(o->fd) == SIM_UNCONNECTED)
		sim_net_connect(o->fd, to);
	else if (sim_net_connect_state(o->fd) == SIM_CONNECTED)
		o->res = -EISCONN;
	o->ready = o->res < 0;
}

static void submit_op(struct ring *r, struct sim_op *queued)
{
	switch (queued->kind) {
	case IO_CLOSE:
		sim_net_close(queued->fd);
		queued->ready = true;
		break;
	case IO_CANCEL:
		queued->res = submit_cancel(r, queued->target);
		queued->ready = true;
		break;
	case IO_CONNECT:
		submit_connect(queued);
		break;
	case IO_SEND:
		if (queued->lazy)
			submit_lazy(r, queued);
		else if (queued->now)
			submit_now(queued);
		break;
	case IO_ROOM:
		sim_net_want_room(queued->fd);
		break;
	case IO_NONE:
	case IO_ACCEPT:
	case IO_RECV:
	case IO_POLL:
	case IO_SEND_LAZY:
	case IO_TIMEOUT:
		break;
	}
}

static void submit_one(struct ring *r, struct sim_op *queued)
{
	if (r->armed_count == SIM_OPS_MAX)
		sim_fail("more than %d operations: the world is too large", SIM_OPS_MAX);
	kernel_check_still(queued->op, queued->kind, queued->tag);
	if (sim_chance(sim.knobs.passing)) {
		queued->ready = true;
		queued->lazy = false; // a failure of one is told as every other's
		queued->res = passing_result(queued->kind);
	} else {
		submit_op(r, queued);
	}
	if (names_descriptor(queued->kind))
		sim_net_count_op(queued->fd, 1);
	r->armed[r->armed_count++] = *queued;
}

void kernel_submit(struct ring *r)
{
	for (uint32_t i = 0; i < r->queued_count; i++)
		submit_one(r, &r->queued[i]);
	r->queued_count = 0;
}

// ---- what may complete now ---------------------------------------------------------------------

static bool op_is_cancelled(const struct sim_op *o)
{
	return o->cancelled || (o->cancel_ns && o->cancel_ns <= sim.now_ns);
}

static bool op_can_move(const struct sim_op *o)
{
	if (o->silent)
		return false;
	if (o->ready || op_is_cancelled(o))
		return true;
	switch (o->kind) {
	case IO_ACCEPT:
		return sim_net_can_accept(o->fd);
	case IO_RECV:
		return sim_net_readable(o->fd) > 0 || sim_net_at_fin(o->fd) ||
		       sim_net_is_reset(o->fd);
	case IO_SEND:
		// Where the far end has finished the kernel does not wait for room.
		return sim_net_is_reset(o->fd) || sim_net_writable(o->fd) > 0 ||
		       sim_net_has_fin(o->fd);
	case IO_ROOM:
		return sim_net_room(o->fd);
	case IO_CONNECT:
		return sim_net_connect_state(o->fd) > SIM_CONNECTING;
	case IO_POLL:
		// Level when it is armed, then edges.
		return o->sent == 0 ? sim_wake_is_readable(o->fd) : sim_wake_signalled(o->fd);
	case IO_CLOSE:
	case IO_CANCEL:
	case IO_NONE:
	case IO_SEND_LAZY:
	case IO_TIMEOUT:
		break;
	}
	return false;
}

// ---- completions -------------------------------------------------------------------------------

static void op_remove(struct ring *r, struct sim_op *o)
{
	if (names_descriptor(o->kind))
		sim_net_count_op(o->fd, -1);
	*o = r->armed[--r->armed_count];
}

// o is gone afterwards unless more.
static void post(struct ring *r, struct sim_op *o, int32_t res, bool more, int buffer)
{
	kernel_check_still(o->op, o->kind, o->tag);
	r->posted[r->posted_count++] = (struct sim_completion){
		.op = o->op,
		.res = res,
		.flags = (more ? RING_MORE : 0u) | (buffer >= 0 ? RING_BUFFER : 0u) |
			 (o->lazy && o->ready ? RING_SHORT : 0u),
		.buffer = buffer,
		.group = o->group,
		.tag = o->tag,
		.kind = o->kind,
	};
	sim_digest((uint64_t)o->kind << 56 ^ (uint64_t)(uint32_t)o->fd << 32 ^ (uint32_t)res);
	sim_trace("    posts kind %d fd %d res %d%s", o->kind, o->fd, res, more ? " more" : "");
	if (!more)
		op_remove(r, o);
}

static bool more_after_this(const struct sim_op *o)
{
	return o->multishot && !sim_chance(sim.knobs.lost_more);
}

static void move_recv(struct ring *r, struct sim_op *o)
{
	struct sim_buffers *b = &r->groups[o->group];
	uint32_t readable = sim_net_readable(o->fd);

	if (readable == 0 || (sim_net_is_reset(o->fd) && sim_chance(sim.knobs.rst_overtakes))) {
		post(r, o, sim_net_is_reset(o->fd) ? -ECONNRESET : 0, false, -1);
		return;
	}
	if (b->free_count == 0) {
		r->counters.enobufs++;
		post(r, o, -ENOBUFS, false, -1);
		return;
	}
	uint32_t which = (uint32_t)sim_random(b->free_count);
	uint16_t buffer = b->free[which];

	b->free[which] = b->free[--b->free_count];
	uint32_t cap =
		sim_chance(sim.knobs.partial) ? 1 + (uint32_t)sim_random(b->bytes) : b->bytes;
	if (o->total && cap > o->total)
		cap = o->total;
	uint32_t n = sim_net_read(o->fd, b->memory + (size_t)buffer * b->bytes, cap);

	r->counters.recvs++;
	post(r, o, (int32_t)n, more_after_this(o), buffer);
}

static void move_send_reset(struct ring *r, struct sim_op *o)
{
	int32_t res = sim_chance(500) ? -EPIPE : -ECONNRESET;

	post(r, o, o->sent > 0 ? (int32_t)o->sent : res, false, -1);
}

// Moves some of what is left; completes when all has gone.
static void move_send(struct ring *r, struct sim_op *o)
{
	uint32_t moved;

	if (sim_net_is_reset(o->fd)) {
		move_send_reset(r, o);
		return;
	}
	moved = send_some(o);
	if (moved == 0) {
		sim_net_want_room(o->fd);
		post(r, o, o->sent > 0 ? (int32_t)o->sent : -EAGAIN, false, -1);
		return;
	}
	if (o->sent == o->total || sim_chance(sim.knobs.short_send))
		post(r, o, (int32_t)o->sent, false, -1);
}

static void move_accept(struct ring *r, struct sim_op *o)
{
	if (sim_chance(sim.knobs.accept_error)) {
		post(r, o, -EMFILE, false, -1);
		return;
	}
	int fd = sim_net_accept(o->fd);

	r->counters.accepts++;
	post(r, o, fd, more_after_this(o), -1);
}

static void move_connect(struct ring *r, struct sim_op *o)
{
	static const int32_t results[] = {
		[SIM_CONNECTED] = 0, [SIM_REFUSED] = -ECONNREFUSED, [SIM_TIMED_OUT] = -ETIMEDOUT};

	post(r, o, results[sim_net_connect_state(o->fd)], false, -1);
}

// What was cancelled ends: with what it had sent, with bytes that had come just before, or with nothing.
static void move_cancelled(struct ring *r, struct sim_op *o)
{
	if (o->kind == IO_SEND && o->sent > 0)
		post(r, o, (int32_t)o->sent, false, -1);
	else if (o->kind == IO_RECV && sim_net_readable(o->fd) > 0 && sim_chance(300))
		move_recv(r, o);
	else if (o->kind == IO_ACCEPT && sim_net_can_accept(o->fd) && sim_chance(300))
		move_accept(r, o);
	else if (o->kind == IO_CONNECT && sim_net_connect_state(o->fd) > SIM_CONNECTING)
		move_connect(r, o);
	else
		post(r, o, -ECANCELED, false, -1);
}

static void move_one(struct ring *r, struct sim_op *o)
{
	if (o->ready) {
		post(r, o, o->res, false, -1);
		return;
	}
	if (op_is_cancelled(o)) {
		move_cancelled(r, o);
		return;
	}
	if (sim_chance(sim.knobs.passing)) {
		post(r, o,
		     o->sent > 0 && o->kind == IO_SEND ? (int32_t)o->sent : passing_result(o->kind),
		     false, -1);
		return;
	}
	switch (o->kind) {
	case IO_ACCEPT:
		move_accept(r, o);
		break;
	case IO_RECV:
		move_recv(r, o);
		break;
	case IO_SEND:
		move_send(r, o);
		break;
	case IO_CONNECT:
		move_connect(r, o);
		break;
	case IO_ROOM:
		sim_net_room_told(o->fd);
		post(r, o, 1, more_after_this(o), -1);
		break;
	case IO_POLL:
		o->sent = 1; // from here on edges
		sim_wake_forget(o->fd);
		post(r, o, 1, more_after_this(o), -1);
		break;
	case IO_NONE:
	case IO_CLOSE:
	case IO_CANCEL:
	case IO_SEND_LAZY:
	case IO_TIMEOUT:
		break;
	}
}

void kernel_tell_silent(struct ring *r)
{
	struct sim_completion told[SIM_OPS_MAX];
	uint32_t before = r->posted_count, n;

	for (uint32_t i = 0; i < r->armed_count;) {
		struct sim_op *o = &r->armed[i];

		if (o->silent)
			post(r, o, o->res, false, -1);
		else
			i++;
	}
	n = r->posted_count - before;
	if (n == 0 || sim_chance(500))
		return;
	memcpy(told, r->posted + before, n * sizeof(told[0]));
	memmove(r->posted + n, r->posted, before * sizeof(told[0]));
	memcpy(r->posted, told, n * sizeof(told[0]));
}

static struct sim_op *any_that_moves(struct ring *r)
{
	uint32_t start = r->armed_count ? (uint32_t)sim_random(r->armed_count) : 0;

	for (uint32_t i = 0; i < r->armed_count; i++) {
		struct sim_op *o = &r->armed[(start + i) % r->armed_count];

		if (op_can_move(o))
			return o;
	}
	return NULL;
}

// A send that moves need not come to its end.
static bool any_that_completes(struct ring *r)
{
	for (uint32_t i = 0; i < r->armed_count; i++) {
		struct sim_op *o = &r->armed[i];

		if (op_can_move(o) && (o->kind != IO_SEND || o->ready || op_is_cancelled(o) ||
				       sim_net_is_reset(o->fd)))
			return true;
	}
	return false;
}

bool kernel_move(struct ring *r)
{
	uint32_t tries = sim.knobs.completions_max * 2 + 2;
	struct sim_op *o;

	while (tries-- > 0 && (o = any_that_moves(r)) != NULL) {
		if (r->posted_count >= sim.knobs.completions_max) {
			bool waits = any_that_completes(r);

			r->counters.overflows += waits;
			return waits;
		}
		move_one(r, o);
	}
	return false;
}

void kernel_poll_for_nothing(struct ring *r)
{
	for (uint32_t i = 0; i < r->armed_count; i++) {
		if (r->armed[i].kind == IO_POLL) {
			post(r, &r->armed[i], 1, more_after_this(&r->armed[i]), -1);
			return;
		}
	}
}

bool kernel_can_move(const struct ring *r)
{
	for (uint32_t i = 0; i < r->armed_count; i++) {
		if (op_can_move(&r->armed[i]))
			return true;
	}
	return false;
}
