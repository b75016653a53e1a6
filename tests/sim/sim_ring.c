// SPDX-License-Identifier: GPL-3.0-or-later
// io/ring.h over simulated sockets. What the kernel may do and seldom does, this does often: completions in
// any order, sends and receives piecemeal, buffers used up, the completion queue overflowing, multishots
// that end, cancellations that come too late, results that were on their way when the owner gave up.
// And it holds its owner to the rules of the header: an op is armed once, lies still while armed, the bytes
// that it names stay, a descriptor is closed when nothing names it.
#include "sim/sim_ring.h"

#include <stdlib.h>

#include "sim/sim_kernel.h"
#include "sim/sim.h"
#include "sim/sim_net.h"

#define RINGS_MAX 8
#define JUNK	  0xdd
static struct ring *rings[RINGS_MAX];

// ---- life --------------------------------------------------------------------------------------

static void buffers_init(struct sim_buffers *b, uint32_t count, uint32_t bytes)
{
	*b = (struct sim_buffers){.count = count, .bytes = bytes, .free_count = count};
	b->memory = malloc((size_t)count * bytes);
	if (!b->memory || count > SIM_BUFFERS_MAX)
		abort();
	for (uint32_t i = 0; i < count; i++)
		b->free[i] = (uint16_t)i;
}

// config is the world's business (sim.knobs).
enum err ring_new(const struct ring_config *config, struct ring **out, struct reason *why)
{
	struct ring *r = calloc(1, sizeof(*r));

	(void)config;
	(void)why;
	if (!r)
		return ERR_NOMEM;
	buffers_init(&r->groups[RING_GROUP_STREAM], sim.knobs.stream_buffers,
		     sim.knobs.stream_buffer_bytes);
	buffers_init(&r->groups[RING_GROUP_TUNNEL], sim.knobs.tunnel_buffers,
		     sim.knobs.tunnel_buffer_bytes);
	for (int i = 0; i < RINGS_MAX; i++) {
		if (!rings[i]) {
			rings[i] = r;
			*out = r;
			return ERR_OK;
		}
	}
	abort();
}

// Its readiness is asked for as long as the worker lives.
static void check_may_be_left(const struct sim_op *o)
{
	if (o->kind != IO_POLL)
		sim_fail("a ring ends with an operation of kind %d still armed", o->kind);
}

void ring_free(struct ring *r)
{
	for (int i = 0; i < RINGS_MAX; i++) {
		if (rings[i] == r)
			rings[i] = NULL;
	}
	for (uint32_t i = 0; i < r->armed_count && !sim.cut; i++)
		check_may_be_left(&r->armed[i]);
	for (uint32_t i = 0; i < r->queued_count && !sim.cut; i++)
		check_may_be_left(&r->queued[i]);
	for (uint32_t i = 0; i < RING_GROUP_COUNT; i++) {
		if (r->groups[i].free_count != r->groups[i].count)
			sim_fail("a ring ends without all its buffers");
		free(r->groups[i].memory);
	}
	free(r);
}

const struct ring_counters *ring_counters(const struct ring *r)
{
	return &r->counters;
}

uint64_t sim_ring_next_ns(const struct ring *r)
{
	uint64_t next = r->wait_until_ns;

	for (uint32_t i = 0; i < r->armed_count; i++) {
		if (r->armed[i].cancel_ns && r->armed[i].cancel_ns < next)
			next = r->armed[i].cancel_ns;
	}
	return next;
}

bool sim_ring_was_quiet(const struct ring *r, bool *acted)
{
	// Who hears of a lazy send may give credit back; nothing else may have waited for its end.
	*acted = r->told ? r->ends != r->ends_at_wait || sim.shutdowns != r->shutdowns_at_wait
			 : r->counters.submissions != r->submissions_at_wait;
	return r->quiet;
}

// ---- rules -------------------------------------------------------------------------------------

static bool overlaps(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
	return (uintptr_t)a < (uintptr_t)b + b_bytes && (uintptr_t)b < (uintptr_t)a + a_bytes;
}

static void check_free_op(const struct sim_op *o, const void *object, size_t bytes)
{
	if (overlaps(object, bytes, o->op, sizeof(*o->op)))
		sim_fail("an operation of kind %d is freed while it is armed", o->kind);
	for (uint32_t i = 0; i < o->vector_count; i++) {
		if (overlaps(object, bytes, o->vector[i].iov_base, o->vector[i].iov_len))
			sim_fail("bytes are freed while a send names them");
	}
}

void sim_ring_check_free(const void *object, size_t bytes)
{
	for (int i = 0; i < RINGS_MAX; i++) {
		const struct ring *r = rings[i];

		if (!r)
			continue;
		for (uint32_t n = 0; n < r->queued_count; n++)
			check_free_op(&r->queued[n], object, bytes);
		for (uint32_t n = 0; n < r->armed_count; n++)
			check_free_op(&r->armed[n], object, bytes);
		for (uint32_t n = r->dispatched; n < r->posted_count; n++) {
			if (overlaps(object, bytes, r->posted[n].op, sizeof(struct io_op)))
				sim_fail("an operation is freed before its completion was seen");
		}
	}
}

// ---- verbs -------------------------------------------------------------------------------------

static struct sim_op *ring_queue(struct ring *r, struct io_op *op, enum io_kind kind, int fd)
{
	if (op->armed)
		sim_fail("an operation of kind %d is armed twice", kind);
	if (kind != IO_CANCEL && kind != IO_POLL)
		sim_net_get(fd);
	if (r->queued_count >= sim.knobs.queue_entries)
		kernel_submit(r);
	op->kind = kind;
	op->armed = true;
	r->counters.submissions++;
	r->ends += kind != IO_SEND;
	struct sim_op *o = &r->queued[r->queued_count++];

	*o = (struct sim_op){.op = op, .kind = kind, .tag = op->tag, .fd = fd};
	return o;
}

void ring_accept(struct ring *r, struct io_op *op, int fd, bool many)
{
	ring_queue(r, op, IO_ACCEPT, fd)->multishot = many;
}

void ring_recv(struct ring *r, struct io_op *op, int fd, enum ring_group group, bool multishot,
	       uint32_t bytes_max)
{
	struct sim_op *o = ring_queue(r, op, IO_RECV, fd);

	if (multishot && bytes_max)
		sim_fail("a multishot receive has no bound but its buffers'");
	o->total = bytes_max;
	op->group = o->group = (uint8_t)group;
	o->multishot = multishot;
}

static void queue_send(struct ring *r, struct sim_op *o, uint32_t total, enum ring_send_how how)
{
	bool lazy = how == RING_SEND_LAZY;

	if (total == 0)
		sim_fail("a send of nothing");
	o->total = o->op->bytes = total;
	o->lazy = lazy;
	o->now = how == RING_SEND_NOW;
	r->counters.sends++;
	r->counters.lazy_sends += lazy;
}

void ring_send(struct ring *r, struct io_op *op, int fd, struct slice data, enum ring_send_how how)
{
	struct sim_op *o = ring_queue(r, op, IO_SEND, fd);

	o->vector_count = 1;
	o->vector[0] = (struct iovec){(void *)(uintptr_t)data.ptr, data.len};
	queue_send(r, o, (uint32_t)data.len, how);
}

void ring_send_vector(struct ring *r, struct io_op *op, int fd, const struct msghdr *msg,
		      uint32_t bytes, enum ring_send_how how)
{
	struct sim_op *o = ring_queue(r, op, IO_SEND, fd);
	uint32_t total = 0;

	if (msg->msg_iovlen == 0 || msg->msg_iovlen > SIM_VECTORS_MAX)
		sim_fail("a send of %zu pieces", (size_t)msg->msg_iovlen);
	o->vector_count = (uint32_t)msg->msg_iovlen;
	for (uint32_t i = 0; i < o->vector_count; i++) {
		o->vector[i] = msg->msg_iov[i];
		total += (uint32_t)msg->msg_iov[i].iov_len;
	}
	if (total != bytes)
		sim_fail("a send of %u bytes is said to be one of %u", total, bytes);
	queue_send(r, o, total, how);
}

void ring_connect(struct ring *r, struct io_op *op, int fd, const struct sockaddr_storage *to)
{
	ring_queue(r, op, IO_CONNECT, fd)->to = *to;
	r->counters.connects++;
}

void ring_poll(struct ring *r, struct io_op *op, int fd)
{
	if (!sim_wake_is_event(fd))
		sim_fail("poll of %d, which is no event", fd);
	ring_queue(r, op, IO_POLL, fd)->multishot = true;
}

void ring_room(struct ring *r, struct io_op *op, int fd)
{
	ring_queue(r, op, IO_ROOM, fd)->multishot = true;
}

void ring_close(struct ring *r, struct io_op *op, int fd)
{
	ring_queue(r, op, IO_CLOSE, fd);
}

void ring_cancel(struct ring *r, struct io_op *op, struct io_op *target)
{
	ring_queue(r, op, IO_CANCEL, -1)->target = target;
}
// ---- the turn ----------------------------------------------------------------------------------

bool sim_ring_has_work(struct ring *r)
{
	return r->queued_count > 0 || r->posted_count > 0 || r->wait_until_ns <= sim.now_ns ||
	       kernel_can_move(r);
}

static void dispatch(struct ring *r, const struct sim_completion *p, ring_handler handler,
		     void *context)
{
	struct sim_buffers *b = &r->groups[p->group];
	struct ring_completion c = {.op = p->op, .res = p->res, .flags = p->flags};
	uint8_t *bytes = p->buffer >= 0 ? b->memory + (size_t)p->buffer * b->bytes : NULL;

	kernel_check_still(p->op, p->kind, p->tag);
	if (!(p->flags & RING_MORE))
		p->op->armed = false;
	if (bytes)
		c.data = slice_make(bytes, (size_t)p->res);
	handler(context, &c);
	if (bytes)
		memset(bytes, JUNK, b->bytes); // borrowed until the handler returned, and no longer
}

uint32_t ring_turn(struct ring *r, uint64_t wait_until_ns, ring_handler handler, void *context,
		   uint64_t *now_ns)
{
	uint32_t n;
	bool overflow;

	r->counters.turns++;
	r->wait_until_ns = wait_until_ns;
	r->submissions_at_wait = r->counters.submissions;
	r->ends_at_wait = r->ends;
	r->shutdowns_at_wait = sim.shutdowns;
	kernel_submit(r);
	if (sim_chance(sim.knobs.poll_idle))
		kernel_poll_for_nothing(r);
	overflow = kernel_move(r);
	r->quiet = r->posted_count == 0 && wait_until_ns > sim.now_ns;
	// A quiet turn may tell of them too (a time-out that is not the next one any more): nobody waits for
	// their end, so nothing may come of it.
	if (r->quiet ? sim_chance(300) : !overflow)
		kernel_tell_silent(r);
	r->told = r->quiet && r->posted_count > 0;
	*now_ns = sim.now_ns;
	while (r->dispatched < r->posted_count)
		dispatch(r, &r->posted[r->dispatched++], handler, context);
	// Buffers go back together.
	for (n = 0; n < r->posted_count; n++) {
		const struct sim_completion *p = &r->posted[n];

		if (p->buffer >= 0)
			r->groups[p->group].free[r->groups[p->group].free_count++] =
				(uint16_t)p->buffer;
	}
	n = r->posted_count;
	r->posted_count = r->dispatched = 0;
	r->counters.completions += n;
	return n;
}
