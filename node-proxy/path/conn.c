// SPDX-License-Identifier: GPL-3.0-or-later
// Descriptors, their kernel operations and their end; see conn.h. Knows nothing of legs, tunnels or
// HTTP: owners are told through conn_events.
#include "path/conn.h"

#include <errno.h>
#include "io/sock.h"
#include "path/pressure.h"
#include "path/worker.h"

static struct pool *conn_chunks(const struct conn *c)
{
	return c->group == RING_GROUP_TUNNEL ? &c->worker->tunnel_chunks : &c->worker->chunks;
}

static bool conn_is_idle(const struct conn *c)
{
	for (int i = 0; i < CONN_OP_COUNT; i++) {
		if (c->ops[i].armed)
			return false;
	}
	return true;
}

static struct conn *conn_new(struct worker *w, int fd, enum conn_state state, enum ring_group group,
			     const struct conn_events *events, void *owner)
{
	struct conn *c = pool_get(&w->conns);

	if (!c) {
		w->counters.pool_full++;
		return NULL;
	}
	for (uint8_t i = 0; i < CONN_OP_COUNT; i++)
		c->ops[i].tag = i;
	c->timer.tag = TIMER_CONN;
	c->worker = w;
	c->fd = fd;
	c->state = state;
	c->group = group;
	c->events = events;
	c->owner = owner;
	w->counters.conns_open++;
	holder_take(&w->holders, &c->holders, HOLDER_DESCRIPTORS);
	return c;
}

void conn_held_by(struct conn *c, const struct holder_set *holders)
{
	struct holder_table *t = &c->worker->holders;

	holder_give(t, &c->holders, HOLDER_DESCRIPTORS);
	c->holders = *holders;
	holder_take(t, &c->holders, HOLDER_DESCRIPTORS);
}

struct conn *conn_new_open(struct worker *w, int fd, enum ring_group group,
			   const struct conn_events *events, void *owner)
{
	return conn_new(w, fd, CONN_OPEN, group, events, owner);
}

static void conn_connect(struct conn *c)
{
	struct sockaddr_storage to;

	if (c->ops[CONN_OP_CONNECT].armed)
		return;
	sock_address_to(c->to, &to);
	ring_connect(c->worker->ring, &c->ops[CONN_OP_CONNECT], c->fd, &to);
}

struct conn *conn_new_connect(struct worker *w, int fd, struct addr_port to, enum ring_group group,
			      const struct conn_events *events, void *owner)
{
	struct conn *c = conn_new(w, fd, CONN_CONNECTING, group, events, owner);

	if (!c)
		return NULL;
	c->to = to;
	conn_connect(c);
	return c;
}

static void conn_cancel(struct conn *c, enum conn_op target, enum conn_op cancel)
{
	if (c->ops[target].armed && !c->ops[cancel].armed)
		ring_cancel(c->worker->ring, &c->ops[cancel], &c->ops[target]);
}

static void conn_arm_recv(struct conn *c)
{
	struct io_op *op = &c->ops[CONN_OP_RECV];

	if (!c->read_wanted || c->read_eof || op->armed ||
	    (c->state != CONN_OPEN && c->state != CONN_FLUSHING))
		return;
	// A tunnel is always read: what it brings was promised.
	uint32_t most = c->group == RING_GROUP_STREAM ? pressure_receive_max(c->worker) : 0;
	bool many = c->read_many && most == 0;

	ring_recv(c->worker->ring, op, c->fd, c->read_bulk && !many ? RING_GROUP_BULK : c->group,
		  many, most);
}

void conn_read_start(struct conn *c)
{
	c->read_wanted = true;
	conn_arm_recv(c);
}

void conn_read_pause(struct conn *c)
{
	if (!c->read_wanted)
		return;
	c->read_wanted = false;
	// A multishot receive goes on delivering until its cancel arrives; a source that outran its
	// sink once will do so again, so from here on it is asked one buffer at a time.
	c->read_many = false;
	c->was_paused = true;
	conn_cancel(c, CONN_OP_RECV, CONN_OP_CANCEL_RECV);
}

void conn_read_many(struct conn *c)
{
	c->read_many = !c->was_paused;
}

static void conn_mark_dirty(struct conn *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	fair_put(&c->worker->dirty_conns, c->flow, &c->turn);
}

enum err conn_write(struct conn *c, struct slice data)
{
	enum err err;

	if (c->send_error)
		return ERR_OK; // its owner hears of it when all that came before has been read
	err = queue_put(&c->out, conn_chunks(c), data);
	c->worker->counters.bytes_copied += data.len;
	conn_mark_dirty(c);
	return err;
}

void conn_write_finish(struct conn *c)
{
	c->write_shut = true;
	conn_mark_dirty(c);
}

static void conn_close_when_idle(struct conn *c)
{
	if (conn_is_idle(c))
		ring_close(c->worker->ring, &c->ops[CONN_OP_CLOSE], c->fd);
}

static void conn_close_soon(struct conn *c)
{
	conn_cancel(c, CONN_OP_RECV, CONN_OP_CANCEL_RECV);
	conn_cancel(c, CONN_OP_SEND, CONN_OP_CANCEL_SEND);
	conn_cancel(c, CONN_OP_CONNECT, CONN_OP_CANCEL_SEND);
	conn_cancel(c, CONN_OP_ROOM, CONN_OP_CANCEL_ROOM);
	conn_close_when_idle(c);
}

static void conn_begin_close(struct conn *c)
{
	c->state = CONN_CLOSING;
	timer_cancel(&c->worker->timers, &c->timer);
	if (c->reset)
		sock_reset_on_close(c->fd);
	conn_close_soon(c);
}

// Something of its own may take so long, and is looked after.
static void conn_set_limit(struct conn *c)
{
	c->until_ns = c->worker->now_ns + USER_TIMEOUT_MS * NS_PER_MS;
	timer_set(&c->worker->timers, &c->timer, c->until_ns);
}

// A RST destroys what is under way; it is what a close sends too where the far end has not finished.
static bool conn_waits_until_told(const struct conn *c)
{
	return c->reset || !c->read_eof;
}

// Is there anything to be done before it closes?
static bool conn_has_tail(const struct conn *c, enum conn_end_how how)
{
	if (c->state != CONN_OPEN || c->send_error || how == CONN_END_RESET)
		return false;
	return c->out.bytes > 0 || (c->reset && c->write_shut && !c->write_done) ||
	       (conn_waits_until_told(c) && sock_has_untold(c->fd));
}

void conn_end(struct conn *c, enum conn_end_how how)
{
	c->events = NULL;
	c->owner = NULL;
	if (c->state == CONN_CLOSING || c->state == CONN_FLUSHING)
		return;
	c->reset = how != CONN_END_FLUSH;
	if (!conn_has_tail(c, how)) {
		conn_begin_close(c);
		return;
	}
	c->state = CONN_FLUSHING;
	// Should the process end first, what was cut must not look whole.
	sock_reset_on_close(c->fd);
	conn_mark_dirty(c);
	c->read_wanted = true; // and thrown away
	conn_set_limit(c);
	conn_arm_recv(c);
}

// At the latest with the worker's next housekeeping it asks again for what it wants.
static void conn_wait(struct conn *c)
{
	struct conn **list = &c->worker->waiting_conns;

	if (c->at_waiting)
		return;
	c->next_waiting = *list;
	c->at_waiting = list;
	if (c->next_waiting)
		c->next_waiting->at_waiting = &c->next_waiting;
	*list = c;
}

static void conn_wait_no_more(struct conn *c)
{
	if (!c->at_waiting)
		return;
	*c->at_waiting = c->next_waiting;
	if (c->next_waiting)
		c->next_waiting->at_waiting = c->at_waiting;
	c->at_waiting = NULL;
}

static void conn_free(struct conn *c)
{
	struct worker *w = c->worker;

	conn_wait_no_more(c);
	queue_clear(&c->out, conn_chunks(c));
	c->state = CONN_CLOSED;
	w->counters.conns_open--;
	holder_give(&w->holders, &c->holders, HOLDER_DESCRIPTORS);
	// A conn on the dirty or starved list is taken off when that list is walked; until then it
	// must not go back to the pool.
	if (c->dirty || c->starved)
		return;
	pool_put(&w->conns, c);
}

// ---- completions -------------------------------------------------------------------------------

static void conn_fail(struct conn *c, int error)
{
	if (c->events)
		c->events->failed(c, error);
	else
		conn_begin_close(c); // flushing, and nobody is left to tell
}

// The kernel tells of room at an edge. Were there none (it had no memory, not the socket no room), a second is
// not too long to ask again.
static void conn_await_room(struct conn *c)
{
	c->no_room = true;
	if (!c->ops[CONN_OP_ROOM].armed)
		ring_room(c->worker->ring, &c->ops[CONN_OP_ROOM], c->fd);
	conn_wait(c);
}

// Asks for all that is wanted and not asked for.
static void conn_resume(struct conn *c)
{
	conn_wait_no_more(c);
	switch (c->state) {
	case CONN_CONNECTING:
		conn_connect(c);
		break;
	case CONN_OPEN:
	case CONN_FLUSHING:
		conn_arm_recv(c);
		if (!c->read_wanted)
			conn_cancel(c, CONN_OP_RECV, CONN_OP_CANCEL_RECV);
		c->no_room = false;
		if (c->out.bytes > 0 || c->write_shut || c->state == CONN_FLUSHING)
			conn_mark_dirty(c);
		break;
	case CONN_CLOSING:
		conn_close_soon(c);
		break;
	case CONN_CLOSED:
		break;
	}
}

static void conn_starve(struct conn *c)
{
	if (c->starved)
		return;
	c->starved = true;
	c->next_starved = c->worker->starved_conns;
	c->worker->starved_conns = c;
}

// A result that passes (ring_outcome): nothing has failed, nothing has been done.
static void conn_on_passing(struct conn *c, enum conn_op op, enum ring_outcome outcome, int32_t res)
{
	bool gave_up = op == CONN_OP_SEND && res == -EAGAIN;

	c->send_steps |= gave_up;
	if (c->state == CONN_CLOSING && op < CONN_OP_CLOSE)
		conn_close_when_idle(c); // the end of what was cancelled
	else if (outcome == RING_NO_BUFFER)
		conn_starve(c);
	else if (outcome == RING_NO_MEMORY)
		conn_wait(c);
	else if (gave_up || op == CONN_OP_CONNECT)
		conn_await_room(c);
	else
		conn_resume(c);
}

// The far end takes no more. What it sent before may say why, and lies in the receive buffer: it is read to its
// end, which is told as what it is.
static void conn_stop_sending(struct conn *c, int error)
{
	uint32_t bytes = c->out.bytes;

	if (!c->events || c->read_eof) {
		conn_fail(c, error);
		return;
	}
	c->send_error = error;
	queue_clear(&c->out, conn_chunks(c));
	conn_set_limit(c);
	c->events->sent(c, bytes); // nobody is stopped by them any more
}

static void conn_on_recv(struct conn *c, const struct ring_completion *done)
{
	if (done->res > 0) {
		if (c->send_error)
			conn_set_limit(c);
		c->worker->counters.bytes_received += (uint64_t)done->res;
		c->read_bulk = c->group == RING_GROUP_STREAM && done->res >= READ_BULK_BYTES;
		if (c->events)
			c->events->data(c, done->data);
		conn_arm_recv(c);
	} else if (done->res == 0 && c->send_error) {
		conn_fail(c, c->send_error);
	} else if (done->res == 0) {
		c->read_eof = true;
		c->send_steps = true; // sends cannot wait any more: see ring_send
		if (c->events)
			c->events->eof(c);
	} else {
		conn_fail(c, -done->res);
	}
}

static void conn_on_sent(struct conn *c, const struct ring_completion *done)
{
	if (done->res < 0) {
		conn_stop_sending(c, -done->res);
		return;
	}
	uint32_t bytes = (uint32_t)done->res;

	if (c->state == CONN_FLUSHING)
		conn_set_limit(c);
	c->send_cut = bytes < done->op->bytes;
	c->worker->counters.bytes_sent += bytes;
	queue_consume(&c->out, conn_chunks(c), bytes);
	if (c->send_cut && c->send_steps)
		conn_await_room(c);
	else if (c->out.bytes > 0 || c->write_shut || c->state == CONN_FLUSHING)
		conn_mark_dirty(c);
	if (c->events)
		c->events->sent(c, bytes);
}

static void conn_on_connect(struct conn *c, const struct ring_completion *done)
{
	if (ring_outcome(IO_CONNECT, done->res) == RING_FAILED) {
		conn_fail(c, -done->res);
		return;
	}
	c->state = CONN_OPEN;
	conn_resume(c);
	if (c->events)
		c->events->connected(c);
}

void conn_on_io(struct conn *c, const struct ring_completion *done)
{
	enum conn_op op = (enum conn_op)done->op->tag;
	enum ring_outcome outcome = ring_outcome((enum io_kind)done->op->kind, done->res);

	if (outcome > RING_DONE) {
		conn_on_passing(c, op, outcome, done->res);
		return;
	}
	if (op == CONN_OP_CLOSE) {
		conn_free(c);
		return;
	}
	if (c->state == CONN_CLOSING) {
		conn_close_when_idle(c);
		return;
	}
	switch (op) {
	case CONN_OP_RECV:
		conn_on_recv(c, done);
		break;
	case CONN_OP_SEND:
		conn_on_sent(c, done);
		break;
	case CONN_OP_CONNECT:
		conn_on_connect(c, done);
		break;
	case CONN_OP_ROOM:
		if (c->no_room)
			conn_resume(c);
		break;
	case CONN_OP_CANCEL_RECV:
		conn_arm_recv(c); // wanted again while the cancel was on its way
		break;
	case CONN_OP_CANCEL_SEND:
	case CONN_OP_CANCEL_ROOM:
	case CONN_OP_CLOSE:
	case CONN_OP_COUNT:
		break;
	}
}

// ---- end of turn -------------------------------------------------------------------------------

// Does anybody wait for the end of this send? Not while so little is queued that no source is stopped
// by it (leg_pending_on_source), and nothing is to follow it.
static bool conn_may_send_lazily(const struct conn *c)
{
	return c->state == CONN_OPEN && !c->write_shut && !c->awaited && !c->send_cut &&
	       c->out.bytes <= SEND_LAZY_BYTES_MAX;
}

static void conn_send(struct conn *c)
{
	struct worker *w = c->worker;
	struct io_op *op = &c->ops[CONN_OP_SEND];
	struct slice first = queue_peek(&c->out);
	enum ring_send_how how = c->send_steps ? RING_SEND_NOW : RING_SEND_WAIT;
	bool lazy = conn_may_send_lazily(c);

	w->counters.sends++;
	if (first.len == c->out.bytes || w->send_vectors_used == WORKER_SEND_VECTORS) {
		if (lazy && first.len == c->out.bytes)
			how = RING_SEND_LAZY;
		ring_send(w->ring, op, c->fd, first, how);
		return;
	}
	struct worker_send_vector *v = &w->send_vectors[w->send_vectors_used++];
	uint32_t bytes = 0;

	memset(&v->msg, 0, sizeof(v->msg));
	v->msg.msg_iov = v->vector;
	v->msg.msg_iovlen = queue_vector(&c->out, v->vector, SEND_VECTOR_MAX);
	for (uint32_t i = 0; i < v->msg.msg_iovlen; i++)
		bytes += (uint32_t)v->vector[i].iov_len;
	ring_send_vector(w->ring, op, c->fd, &v->msg, bytes, lazy ? RING_SEND_LAZY : how);
}

// The far end's kernel has it all, or has had its time. There is no event for that: it is looked at again and
// again, less and less often.
static void conn_close_when_told(struct conn *c)
{
	struct worker *w = c->worker;

	if (!conn_waits_until_told(c) || w->now_ns >= c->until_ns || !sock_has_untold(c->fd)) {
		if (!c->reset)
			sock_finish_on_close(c->fd);
		conn_begin_close(c);
		return;
	}
	c->look_ms = c->look_ms < UNTOLD_LOOK_MAX_MS ? c->look_ms * 2 + 1 : UNTOLD_LOOK_MAX_MS;
	timer_set(&w->timers, &c->timer, w->now_ns + c->look_ms * NS_PER_MS);
}

static void conn_shut(struct conn *c)
{
	if (!c->write_shut || c->write_done)
		return;
	c->write_done = true;
	sock_shutdown_write(c->fd);
}

void conn_on_timer(struct conn *c)
{
	if (c->send_error)
		conn_fail(c, c->send_error);
	else if (c->out.bytes > 0)
		conn_begin_close(c); // nothing of it has been taken for so long
	else
		conn_close_when_told(c);
}

static void conn_flush(struct conn *c)
{
	if (c->state != CONN_OPEN && c->state != CONN_FLUSHING)
		return;
	if (c->ops[CONN_OP_SEND].armed)
		return; // its completion marks it dirty again
	if (c->out.bytes > 0) {
		if (!c->no_room)
			conn_send(c);
		return;
	}
	conn_shut(c);
	if (c->state == CONN_FLUSHING)
		conn_close_when_told(c);
}

// The kernel sends in this order, one after another, and each send of a pod costs as much as several
// requests' decisions: tunnels first, which others wait for, then workload by workload.
void conn_flush_dirty(struct worker *w)
{
	struct fair_item *turn;

	w->dirty_conns.next = FAIR_SHARED;
	w->send_vectors_used = 0;
	while ((turn = fair_take(&w->dirty_conns)) != NULL) {
		struct conn *c = (struct conn *)((uint8_t *)turn - offsetof(struct conn, turn));

		c->dirty = false;
		if (c->state == CONN_CLOSED) {
			if (!c->starved)
				pool_put(&w->conns, c);
			continue;
		}
		conn_flush(c);
	}
}

void conn_restart_starved(struct worker *w)
{
	struct conn *list = w->starved_conns;

	w->starved_conns = NULL;
	while (list) {
		struct conn *c = list;

		list = c->next_starved;
		c->starved = false;
		if (c->state == CONN_CLOSED) {
			if (!c->dirty)
				pool_put(&w->conns, c);
			continue;
		}
		conn_arm_recv(c);
	}
}

void conn_restart_waiting(struct worker *w)
{
	// Those that wait again wait for the next time.
	w->due_conns = w->waiting_conns;
	w->waiting_conns = NULL;
	if (w->due_conns)
		w->due_conns->at_waiting = &w->due_conns;
	while (w->due_conns)
		conn_resume(w->due_conns);
}
