// SPDX-License-Identifier: GPL-3.0-or-later
// Byte pipes over a TCP connection or a tunnel's stream; see leg.h. Frames and credit on the wire
// are the mux's; the kernel is the conn's.
#include "path/leg.h"

#include "io/sock.h"
#include "path/conn.h"
#include "path/exchange.h"
#include "path/mux.h"
#include "path/pressure.h"
#include "path/worker.h"

// ---- TCP: what the conn tells ------------------------------------------------------------------

static void leg_on_data(struct conn *c, struct slice data)
{
	struct leg *l = c->owner;

	l->bytes_in += data.len;
	exchange_on_data(l->exchange, (enum side)l->side, data);
}

static void leg_on_eof(struct conn *c)
{
	struct leg *l = c->owner;

	l->read_fin = true;
	exchange_post(l->exchange, l->side == DOWN ? EVENT_FIN_DOWN : EVENT_FIN_UP);
}

static void leg_on_sent(struct conn *c, uint32_t bytes)
{
	struct leg *l = c->owner;

	(void)bytes;
	exchange_post(l->exchange, l->side == DOWN ? EVENT_SENT_DOWN : EVENT_SENT_UP);
}

static void leg_on_connected(struct conn *c)
{
	struct leg *l = c->owner;

	l->connected = true;
	exchange_post(l->exchange, EVENT_CONNECTED);
}

static void leg_on_failed(struct conn *c, int error)
{
	struct leg *l = c->owner;

	l->exchange->error = error;
	l->dead = true;
	l->reset_reason = l->connected ? TUNNEL_REASON_RESET : TUNNEL_REASON_UNREACHABLE;
	l->conn = NULL;
	conn_end(c, CONN_END_RESET);
	exchange_post(l->exchange, l->side == DOWN ? EVENT_RESET_DOWN : EVENT_RESET_UP);
}

const struct conn_events leg_conn_events = {
	.data = leg_on_data,
	.eof = leg_on_eof,
	.sent = leg_on_sent,
	.connected = leg_on_connected,
	.failed = leg_on_failed,
};

void leg_init_tcp(struct leg *l, struct exchange *x, uint8_t side, struct conn *c, bool connected)
{
	memset(l, 0, sizeof(*l));
	l->type = LEG_TCP;
	l->side = side;
	l->exchange = x;
	l->conn = c;
	l->connected = connected;
	c->owner = l;
	c->flow = x->flow;
	sock_bound_unsent(c->fd, POD_UNSENT_BYTES);
	if (pressure_is_crowd(x->worker))
		sock_bound_buffers(c->fd, CROWD_SOCKET_BYTES);
	conn_read_start(c);
}

// ---- both kinds --------------------------------------------------------------------------------

bool leg_is_open(const struct leg *l)
{
	return l->type != LEG_NONE && !l->dead;
}

enum err leg_write(struct leg *l, struct slice data)
{
	if (!leg_is_open(l) || l->write_fin)
		return ERR_CLOSED;
	l->bytes_out += data.len;
	return l->type == LEG_TCP ? conn_write(l->conn, data) : mux_write(l, data);
}

void leg_write_fin(struct leg *l)
{
	if (!leg_is_open(l) || l->write_fin)
		return;
	l->write_fin = true;
	if (l->type == LEG_TCP)
		conn_write_finish(l->conn);
	else
		mux_write_fin(l);
}

uint32_t leg_pending(const struct leg *l)
{
	if (!leg_is_open(l))
		return 0;
	return l->type == LEG_TCP ? l->conn->out.bytes : l->out.bytes;
}

void leg_await_sent(struct leg *l)
{
	if (l->type == LEG_TCP && l->conn)
		l->conn->awaited = true;
}

uint32_t leg_pending_on_source(const struct leg *l)
{
	uint32_t pending = leg_pending(l);

	return l->type == LEG_TCP && pending <= SEND_LAZY_BYTES_MAX ? 0 : pending;
}

static void leg_outstanding_tcp(struct leg *l, uint32_t bytes, uint32_t mark)
{
	struct conn *c = l->conn;

	if (c->read_wanted && bytes >= mark)
		conn_read_pause(c);
	else if (!c->read_wanted && bytes <= mark / 2)
		conn_read_start(c);
}

static void leg_promise(struct leg *l, uint32_t window, uint32_t granted)
{
	l->exchange->worker->promised_bytes += (int64_t)window - l->window;
	l->window = window;
	if (granted > 0)
		mux_grant(l, granted);
}

// Give back what has left us, in steps of half a window so that credit frames stay few. The window of a
// stream whose reader keeps up grows while memory allows, and shrinks when it no longer does.
static void leg_outstanding_stream(struct leg *l, uint32_t bytes)
{
	struct worker *w = l->exchange->worker;
	uint32_t gone = l->unreleased > bytes ? l->unreleased - bytes : 0;
	uint32_t window = l->window;

	if (!l->mux || gone < window / 2)
		return;
	if (bytes <= window / 4 && l->bytes_in > 2 * (uint64_t)window)
		window = pressure_next_window(w, window);
	if (window + gone < l->window) // a promise cannot be taken back, only not be renewed
		window = l->window - gone;
	uint32_t granted = window + gone - l->window;

	l->unreleased -= gone;
	leg_promise(l, window, granted);
}

// The rest of a part is always promised: whoever sends it would wait for credit, and we for it.
static void leg_promise_whole(struct leg *l, uint32_t bytes, uint32_t whole)
{
	uint32_t has = l->granted + bytes;

	if (l->mux && has < whole)
		leg_promise(l, l->window + (whole - has), whole - has);
}

void leg_outstanding(struct leg *l, uint32_t bytes, uint32_t mark, uint32_t whole)
{
	if (!leg_is_open(l) || l->read_fin)
		return;
	if (l->type == LEG_TCP) {
		leg_outstanding_tcp(l, bytes, mark);
		return;
	}
	leg_outstanding_stream(l, bytes);
	leg_promise_whole(l, bytes, whole);
}

static void leg_close_stream(struct leg *l, enum conn_end_how how, enum tunnel_reason reason)
{
	if (how == CONN_END_RESET) {
		mux_detach(l, reason);
	} else if (how == CONN_END_BEHIND) {
		mux_reset_behind(l, reason);
	} else {
		leg_write_fin(l);
		mux_leave(l);
	}
}

static void leg_let_go(struct leg *l, enum conn_end_how how, enum tunnel_reason reason)
{
	if (l->type == LEG_TCP && l->conn) {
		struct conn *c = l->conn;

		l->conn = NULL;
		conn_end(c, how);
	} else if (l->type == LEG_STREAM && l->mux) {
		leg_close_stream(l, how, reason);
	}
	if (l->type == LEG_STREAM) {
		queue_clear(&l->out, &l->exchange->worker->chunks);
		queue_clear(&l->early, &l->exchange->worker->chunks);
	}
	if (l->exchange)
		exchange_forget(l->exchange, (enum side)l->side);
	l->dead = true;
}

void leg_close(struct leg *l, bool flush, enum tunnel_reason reason)
{
	leg_let_go(l, flush ? CONN_END_FLUSH : CONN_END_RESET, reason);
}

void leg_close_behind(struct leg *l, enum tunnel_reason reason)
{
	leg_let_go(l, CONN_END_BEHIND, reason);
}
