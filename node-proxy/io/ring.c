// SPDX-License-Identifier: GPL-3.0-or-later
// io_uring behind ring.h. Flags and the problem that each solves:
//   SINGLE_ISSUER, DEFER_TASKRUN  completions are made ready only when we ask, on our own thread:
//                                 no interrupts of the worker, batches by nature
//   COOP_TASKRUN                  where DEFER_TASKRUN is not to be had
//   NO_SQARRAY (6.6)              one indirection less a submission
//   CQSIZE                        room for a burst of multishot completions
//   R_DISABLED + RESTRICTIONS     io_uring passes seccomp by: only the verbs below may be asked
//   registered ring descriptor    a turn need not count references of a file shared by all threads
//   CQE_SKIP_SUCCESS              a lazy send that the socket took whole says nothing, so it does not end the
//                                 wait that it was submitted with: a turn is one system call, not two
//   one TIMEOUT kept armed        for the timer that is next; a turn's own time-out would set up and
//                                 tear down a kernel timer each time
// What the running kernel has is found out by trying, never by its version.
#include "io/ring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "common/clock.h"

#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16)
#endif

struct ring_buffers {
	struct io_uring_buf_ring *ring;
	uint8_t *memory;
	uint32_t count;
	uint32_t bytes;
	int mask;
	int returned; // of this turn, published together
};

// Lazy sends of one submission: those that the kernel says nothing about were taken whole.
#define LAZY_MAX 1024
// In user_data: a completion of a lazy send can only be a failure.
#define LAZY_FAILED 1u
// A time-out that is no longer the next one is left to fire; so many may be under way.
#define TIMEOUTS_MAX 4

struct ring_timeout {
	struct io_op op;
	struct __kernel_timespec at;
	uint64_t at_ns;
};

struct ring {
	struct io_uring uring;
	bool lazy_works;
	uint32_t lazy_count;
	struct io_op *lazy[LAZY_MAX];
	struct ring_timeout timeouts[TIMEOUTS_MAX];
	// Addresses to connect to, one for each place of the submission queue: the kernel copies
	// when it takes the submission, and only then the place is used again.
	struct sockaddr_storage *addresses;
	struct ring_buffers groups[RING_GROUP_COUNT];
	struct ring_counters counters;
};

static const uint8_t allowed_operations[] = {
	IORING_OP_ACCEPT,  IORING_OP_RECV,	   IORING_OP_SEND,
	IORING_OP_SENDMSG, IORING_OP_CONNECT,	   IORING_OP_POLL_ADD,
	IORING_OP_CLOSE,   IORING_OP_ASYNC_CANCEL, IORING_OP_TIMEOUT,
};

static enum err ring_restrict(struct ring *r)
{
	struct io_uring_restriction list[sizeof(allowed_operations) + 2];
	uint32_t n = 0;

	memset(list, 0, sizeof(list));
	for (; n < sizeof(allowed_operations); n++) {
		list[n].opcode = IORING_RESTRICTION_SQE_OP;
		list[n].sqe_op = allowed_operations[n];
	}
	list[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	list[n++].sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
	list[n].opcode =
		IORING_RESTRICTION_REGISTER_OP; // for ring_free; nothing is registered anew
	list[n++].register_op = IORING_UNREGISTER_RING_FDS;
	return io_uring_register_restrictions(&r->uring, list, n) < 0 ? ERR_UNSUPPORTED : ERR_OK;
}

// Multishot receive came with SINGLE_ISSUER (6.0), provided buffer rings before; the rest is asked.
static enum err ring_check(struct ring *r, struct reason *why)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(&r->uring);
	bool all = probe && (r->uring.features & IORING_FEAT_NODROP) &&
		   (r->uring.features & IORING_FEAT_EXT_ARG);

	for (size_t i = 0; all && i < sizeof(allowed_operations); i++)
		all = io_uring_opcode_supported(probe, allowed_operations[i]);
	io_uring_free_probe(probe);
	return all ? ERR_OK
		   : err_because(ERR_UNSUPPORTED, why,
				 "this kernel's io_uring lacks operations that node-proxy needs: "
				 "Linux 6.1 or later is needed");
}

static enum err ring_setup(struct ring *r, const struct ring_config *c, struct reason *why)
{
	uint32_t tries[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY,
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
	};
	int error = 0;

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct io_uring_params p = {
			.flags = tries[i] | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED,
			.cq_entries = c->completion_entries,
		};

		error = io_uring_queue_init_params(c->entries, &r->uring, &p);
		if (error == 0)
			return ERR_OK;
		if (error != -EINVAL)
			break;
	}
	if (error == -EPERM || error == -EACCES)
		return err_because(ERR_UNSUPPORTED, why,
				   "io_uring is forbidden here (kernel.io_uring_disabled, or a "
				   "seccomp profile): node-proxy needs it");
	if (error == -ENOSYS || error == -EINVAL)
		return err_because(
			ERR_UNSUPPORTED, why,
			"this kernel's io_uring is too old: Linux 6.1 or later is needed");
	return err_because(ERR_NOMEM, why, "io_uring: %s", strerror(-error));
}

static enum err ring_add_group(struct ring *r, enum ring_group group, uint32_t count,
			       uint32_t bytes)
{
	struct ring_buffers *g = &r->groups[group];

	g->memory = mmap(NULL, (size_t)count * bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->memory == MAP_FAILED) {
		g->memory = NULL;
		return ERR_NOMEM;
	}
	g->count = count;
	g->bytes = bytes;
	// Our own memory, because under restrictions it can only be let go with the whole ring.
	void *entries = mmap(NULL, count * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (entries == MAP_FAILED)
		return ERR_NOMEM;
	g->ring = entries;
	struct io_uring_buf_reg registration = {
		.ring_addr = (uintptr_t)entries,
		.ring_entries = count,
		.bgid = (uint16_t)group,
	};

	if (io_uring_register_buf_ring(&r->uring, &registration, 0) < 0)
		return ERR_UNSUPPORTED;
	io_uring_buf_ring_init(g->ring);
	g->mask = io_uring_buf_ring_mask(count);
	for (uint32_t i = 0; i < count; i++)
		io_uring_buf_ring_add(g->ring, g->memory + (size_t)i * bytes, bytes,
				      (unsigned short)i, g->mask, (int)i);
	io_uring_buf_ring_advance(g->ring, (int)count);
	return ERR_OK;
}

static enum err ring_configure(struct ring *r, const struct ring_config *c, struct reason *why)
{
	enum err err = ring_check(r, why);

	if (err != ERR_OK)
		return err;
	r->addresses = calloc(r->uring.sq.ring_entries, sizeof(*r->addresses));
	if (!r->addresses)
		return err_because(ERR_NOMEM, why, "no memory for a ring");
	if (ring_add_group(r, RING_GROUP_STREAM, c->stream_buffers, c->stream_buffer_bytes) !=
		    ERR_OK ||
	    ring_add_group(r, RING_GROUP_TUNNEL, c->tunnel_buffers, c->tunnel_buffer_bytes) !=
		    ERR_OK ||
	    ring_add_group(r, RING_GROUP_BULK, c->bulk_buffers, c->bulk_buffer_bytes) != ERR_OK)
		return err_because(ERR_NOMEM, why,
				   "no receive buffers: out of memory, or not powers of two");
	(void)io_uring_register_ring_fd(&r->uring); // only quicker
	if (c->restrict_operations && ring_restrict(r) != ERR_OK)
		return err_because(ERR_UNSUPPORTED, why, "io_uring could not be restricted");
	if (io_uring_enable_rings(&r->uring) < 0)
		return err_because(ERR_UNSUPPORTED, why, "io_uring could not be enabled");
	return ERR_OK;
}

// Does this kernel tell of a lazy send that was cut short, and say nothing of one that was not?
static bool ring_try_lazy(struct ring *r)
{
	struct ring_buffers *g = &r->groups[RING_GROUP_STREAM];
	struct slice whole = slice_make(g->memory, 1);
	struct slice too_much = slice_make(g->memory, (size_t)g->count * g->bytes);
	struct io_op ops[2] = {0};
	struct io_uring_cqe *cqe;
	int pair[2], least = 0;
	uint32_t head, told = 0;
	bool cut = false;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return false;
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	r->lazy_works = true;
	ring_send(r, &ops[0], pair[0], whole, RING_SEND_LAZY);
	ring_send(r, &ops[1], pair[0], too_much, RING_SEND_LAZY);
	io_uring_submit_and_get_events(&r->uring);
	io_uring_for_each_cqe (&r->uring, head, cqe) {
		told++;
		cut = cqe->user_data == ((uintptr_t)&ops[1] | LAZY_FAILED) &&
		      (cqe->res == -EAGAIN || (cqe->res > 0 && (size_t)cqe->res < too_much.len));
	}
	io_uring_cq_advance(&r->uring, told);
	close(pair[0]);
	close(pair[1]);
	r->lazy_count = 0;
	r->counters = (struct ring_counters){0};
	return told == 1 && cut;
}

enum err ring_new(const struct ring_config *c, struct ring **out, struct reason *why)
{
	struct ring *r = calloc(1, sizeof(*r));

	if (!r)
		return err_because(ERR_NOMEM, why, "no memory for a ring");
	enum err err = ring_setup(r, c, why);

	if (err != ERR_OK) {
		free(r);
		return err;
	}
	err = ring_configure(r, c, why);
	if (err != ERR_OK) {
		ring_free(r);
		return err;
	}
	r->lazy_works = ring_try_lazy(r);
	*out = r;
	return ERR_OK;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	io_uring_queue_exit(&r->uring); // ends what is armed, and the registrations
	for (int i = 0; i < RING_GROUP_COUNT; i++) {
		struct ring_buffers *g = &r->groups[i];

		if (g->ring)
			munmap(g->ring, g->count * sizeof(struct io_uring_buf));
		if (g->memory)
			munmap(g->memory, (size_t)g->count * g->bytes);
	}
	free(r->addresses);
	free(r);
}

// ---- verbs -------------------------------------------------------------------------------------

static struct io_uring_sqe *ring_sqe(struct ring *r, struct io_op *op, enum io_kind kind)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);

	// The queue is full: make room. The kernel takes everything, or, for want of memory, some of
	// it; there is nowhere else to go but to ask again.
	while (!sqe) {
		r->counters.queue_full++;
		io_uring_submit(&r->uring);
		sqe = io_uring_get_sqe(&r->uring);
	}
	op->kind = kind;
	op->armed = true;
	r->counters.submissions++;
	return sqe;
}

void ring_accept(struct ring *r, struct io_op *op, int fd, bool many)
{
	const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
	struct io_uring_sqe *sqe = ring_sqe(r, op, IO_ACCEPT);

	if (many)
		io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, flags);
	else
		io_uring_prep_accept(sqe, fd, NULL, NULL, flags);
	io_uring_sqe_set_data(sqe, op);
}

void ring_recv(struct ring *r, struct io_op *op, int fd, enum ring_group group, bool multishot,
	       uint32_t bytes_max)
{
	struct io_uring_sqe *sqe = ring_sqe(r, op, IO_RECV);

	if (multishot)
		io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	else
		io_uring_prep_recv(sqe, fd, NULL, bytes_max, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	op->group = (uint8_t)group;
	sqe->buf_group = (uint16_t)group;
	io_uring_sqe_set_data(sqe, op);
}

static void ring_finish_send(struct ring *r, struct io_op *op, struct io_uring_sqe *sqe,
			     uint32_t bytes, enum ring_send_how how)
{
	r->counters.sends++;
	op->bytes = bytes;
	io_uring_sqe_set_data(sqe, op);
	if (how == RING_SEND_NOW)
		sqe->msg_flags |= MSG_DONTWAIT;
	if (how != RING_SEND_LAZY || !r->lazy_works || r->lazy_count == LAZY_MAX)
		return;
	io_uring_sqe_set_data64(sqe, (uintptr_t)op | LAZY_FAILED);
	// DONTWAIT and WAITALL: all of it now, or a failure (which is told) with what was taken.
	sqe->msg_flags |= MSG_DONTWAIT;
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	op->kind = IO_SEND_LAZY;
	r->lazy[r->lazy_count++] = op;
	r->counters.lazy_sends++;
}

void ring_send(struct ring *r, struct io_op *op, int fd, struct slice data, enum ring_send_how how)
{
	struct io_uring_sqe *sqe = ring_sqe(r, op, IO_SEND);

	io_uring_prep_send(sqe, fd, data.ptr, data.len, MSG_NOSIGNAL | MSG_WAITALL);
	ring_finish_send(r, op, sqe, (uint32_t)data.len, how);
}

void ring_send_vector(struct ring *r, struct io_op *op, int fd, const struct msghdr *msg,
		      uint32_t bytes, enum ring_send_how how)
{
	struct io_uring_sqe *sqe = ring_sqe(r, op, IO_SEND);

	io_uring_prep_sendmsg(sqe, fd, msg, MSG_NOSIGNAL | MSG_WAITALL);
	ring_finish_send(r, op, sqe, bytes, how);
}

void ring_connect(struct ring *r, struct io_op *op, int fd, const struct sockaddr_storage *to)
{
	struct io_uring_sqe *sqe = ring_sqe(r, op, IO_CONNECT);
	struct sockaddr_storage *kept = &r->addresses[sqe - r->uring.sq.sqes];
	socklen_t bytes =
		to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

	r->counters.connects++;
	*kept = *to;
	io_uring_prep_connect(sqe, fd, (const struct sockaddr *)kept, bytes);
	io_uring_sqe_set_data(sqe, op);
}

void ring_poll(struct ring *r, struct io_op *op, int fd)
{
	struct io_uring_sqe *sqe = ring_sqe(r, op, IO_POLL);

	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	io_uring_sqe_set_data(sqe, op);
}

void ring_room(struct ring *r, struct io_op *op, int fd)
{
	struct io_uring_sqe *sqe = ring_sqe(r, op, IO_ROOM);

	// Edges. The kernel adds POLLRDHUP to whatever is asked for, so that a poll for one event would end
	// at once where the far end has finished.
	io_uring_prep_poll_multishot(sqe, fd, POLLOUT);
	io_uring_sqe_set_data(sqe, op);
}

void ring_close(struct ring *r, struct io_op *op, int fd)
{
	struct io_uring_sqe *sqe = ring_sqe(r, op, IO_CLOSE);

	io_uring_prep_close(sqe, fd);
	io_uring_sqe_set_data(sqe, op);
}

void ring_cancel(struct ring *r, struct io_op *op, struct io_op *target)
{
	struct io_uring_sqe *sqe = ring_sqe(r, op, IO_CANCEL);

	io_uring_prep_cancel(sqe, target, 0);
	io_uring_sqe_set_data(sqe, op);
}

// ---- the turn ----------------------------------------------------------------------------------

static void ring_return_buffer(struct ring_buffers *g, uint32_t id)
{
	io_uring_buf_ring_add(g->ring, g->memory + (size_t)id * g->bytes, g->bytes,
			      (unsigned short)id, g->mask, g->returned++);
}

static void ring_lazy_failed(struct ring *r, struct ring_completion *c)
{
	c->op->kind = IO_SEND;
	for (uint32_t i = 0; i < r->lazy_count; i++) { // empty, unless completions overflowed
		if (r->lazy[i] == c->op)
			r->lazy[i] = NULL;
	}
	if (c->res < 0 && c->res != -EAGAIN)
		return; // an error as every other
	c->res = c->res < 0 ? 0 : c->res;
	c->flags |= RING_SHORT;
	r->counters.short_sends++;
}

// False: it was the ring's own.
static bool ring_dispatch(struct ring *r, const struct io_uring_cqe *cqe, ring_handler handler,
			  void *context)
{
	struct io_op *op = (struct io_op *)(uintptr_t)(cqe->user_data & ~(uint64_t)LAZY_FAILED);
	struct ring_completion c = {.op = op, .res = cqe->res};
	struct ring_buffers *g = NULL;
	uint32_t id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

	if (!op)
		return false;
	if (op->kind == IO_TIMEOUT) {
		op->armed = false;
		return false; // it has ended the wait, which is all that it is for
	}
	if (op->kind == IO_ROOM && cqe->res > 0 && (cqe->flags & IORING_CQE_F_MORE) &&
	    !(cqe->res & (POLLOUT | POLLERR | POLLHUP)))
		return false; // the far end has finished, which makes no room
	if (cqe->user_data & LAZY_FAILED)
		ring_lazy_failed(r, &c);
	if (cqe->flags & IORING_CQE_F_MORE)
		c.flags |= RING_MORE;
	else
		op->armed = false;
	if (cqe->flags & IORING_CQE_F_BUFFER) {
		g = &r->groups[op->group];
		c.flags |= RING_BUFFER;
		c.data = slice_make(g->memory + (size_t)id * g->bytes,
				    cqe->res > 0 ? (size_t)cqe->res : 0);
	}
	if (op->kind == IO_RECV)
		r->counters.recvs++;
	else if (op->kind == IO_ACCEPT)
		r->counters.accepts++;
	if (cqe->res == -ENOBUFS)
		r->counters.enobufs++;
	handler(context, &c);
	if (g)
		ring_return_buffer(g, id);
	return true;
}

// Lazy sends of which the kernel has told no failure went well. That is known only once all have been
// submitted and no completion waits outside the queue.
static void ring_dispatch_lazy(struct ring *r, ring_handler handler, void *context)
{
	uint32_t n = r->lazy_count;
	struct io_uring_cqe *cqe;
	uint32_t head;

	if (n == 0 || io_uring_sq_ready(&r->uring) > 0 || io_uring_cq_has_overflow(&r->uring))
		return;
	io_uring_for_each_cqe (&r->uring, head, cqe) {
		if (cqe->user_data & LAZY_FAILED)
			((struct io_op *)(uintptr_t)(cqe->user_data - LAZY_FAILED))->kind = IO_SEND;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct io_op *op = r->lazy[i];

		if (!op || op->kind != IO_SEND_LAZY)
			continue;
		op->kind = IO_SEND;
		op->armed = false;
		handler(context, &(struct ring_completion){.op = op, .res = (int32_t)op->bytes});
	}
	// What the handlers asked for meanwhile stays for the next turn.
	r->lazy_count -= n;
	memmove(r->lazy, r->lazy + n, r->lazy_count * sizeof(r->lazy[0]));
}

static uint32_t ring_dispatch_all(struct ring *r, ring_handler handler, void *context)
{
	struct io_uring_cqe *cqe;
	uint32_t head, n = 0, handed = 0;

	ring_dispatch_lazy(r, handler, context);
	io_uring_for_each_cqe (&r->uring, head, cqe) {
		handed += ring_dispatch(r, cqe, handler, context);
		n++;
	}
	io_uring_cq_advance(&r->uring, n);
	for (int i = 0; i < RING_GROUP_COUNT; i++) {
		struct ring_buffers *g = &r->groups[i];

		if (g->returned > 0)
			io_uring_buf_ring_advance(g->ring, g->returned);
		g->returned = 0;
	}
	return handed;
}

// Does a time-out that the kernel keeps end the wait in time? One is armed if there is a place.
static bool ring_keeps_timeout(struct ring *r, uint64_t until_ns)
{
	struct ring_timeout *free_one = NULL;

	for (uint32_t i = 0; i < TIMEOUTS_MAX; i++) {
		struct ring_timeout *t = &r->timeouts[i];

		if (!t->op.armed)
			free_one = t;
		else if (t->at_ns <= until_ns)
			return true;
	}
	if (!free_one)
		return false;
	struct io_uring_sqe *sqe = ring_sqe(r, &free_one->op, IO_TIMEOUT);

	free_one->at_ns = until_ns;
	free_one->at.tv_sec = (int64_t)(until_ns / NS_PER_S);
	free_one->at.tv_nsec = (long long)(until_ns % NS_PER_S);
	io_uring_prep_timeout(sqe, &free_one->at, 0, IORING_TIMEOUT_ABS);
	io_uring_sqe_set_data(sqe, &free_one->op);
	return true;
}

static int ring_submit_and_wait(struct ring *r, uint64_t wait_until_ns)
{
	struct __kernel_timespec left;
	struct io_uring_cqe *cqe;
	uint64_t now;

	if (wait_until_ns == 0)
		return io_uring_submit_and_get_events(&r->uring);
	if (wait_until_ns == UINT64_MAX || ring_keeps_timeout(r, wait_until_ns))
		return io_uring_submit_and_wait(&r->uring, 1);
	now = clock_monotonic_ns();
	if (wait_until_ns <= now)
		return io_uring_submit_and_get_events(&r->uring);
	r->counters.waits_timed++;
	left.tv_sec = (int64_t)((wait_until_ns - now) / NS_PER_S);
	left.tv_nsec = (long long)((wait_until_ns - now) % NS_PER_S);
	return io_uring_submit_and_wait_timeout(&r->uring, &cqe, 1, &left, NULL);
}

uint32_t ring_turn(struct ring *r, uint64_t wait_until_ns, ring_handler handler, void *context,
		   uint64_t *now_ns)
{
	r->counters.turns++;
	int result = ring_submit_and_wait(r, wait_until_ns);

	// Other failures (-ETIME, -EINTR, for want of memory -EAGAIN) leave nothing behind that the
	// next turn would not do.
	if (result == -EBADR)
		r->counters.lost++;
	*now_ns = clock_monotonic_ns();
	if (io_uring_cq_has_overflow(&r->uring))
		r->counters
			.overflows++; // the kernel keeps them and hands them over as room appears
	uint32_t n = ring_dispatch_all(r, handler, context);

	r->counters.completions += n;
	return n;
}

const struct ring_counters *ring_counters(const struct ring *r)
{
	return &r->counters;
}
