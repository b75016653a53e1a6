// SPDX-License-Identifier: GPL-3.0-or-later
// Frames from a peer node: an incremental parser over plaintext (frames may span records in any
// way), credit accounting, and the bounds on a hostile peer. Whether an OPEN is believed is the
// peer stage's question (inbound.c).
#include <string.h>
#include "path/conn.h"
#include "path/exchange.h"
#include "path/inbound.h"
#include "path/leave.h"
#include "path/mux_send.h"
#include "path/worker.h"
#include "path/worker_log.h"

static void mux_protocol_error(struct mux *m, const char *why)
{
	m->worker->counters.protocol_errors++;
	mux_fail(m, TUNNEL_REASON_PROTOCOL, why);
}

// Counts an event of the running second; false beyond max.
static bool mux_rate(struct mux *m, uint32_t *count, uint32_t add, uint32_t max)
{
	uint64_t second = m->worker->now_ns / NS_PER_S;

	if (m->rates.second != second) {
		memset(&m->rates, 0, sizeof(m->rates));
		m->rates.second = second;
	}
	*count += add;
	return *count <= max;
}

static void mux_on_hello(struct mux *m, struct slice payload)
{
	struct tunnel_hello hello;

	if (m->hello_received || tunnel_decode_hello(payload, &hello) != ERR_OK) {
		mux_protocol_error(m, "bad HELLO");
		return;
	}
	m->hello_received = true;
	m->resets_on_bulk = hello.resets_on_bulk;
	if (m->server) {
		memcpy(m->group, hello.group, sizeof(m->group));
		m->bulk = hello.bulk;
		if (m->bulk && !mux_bulk_join(m)) {
			mux_protocol_error(m, "bulk connection of no tunnel");
			return;
		}
		mux_put_hello(m);
	}
	mux_on_greeted(m);
}

static void mux_on_open(struct mux *m, uint32_t stream, struct slice payload)
{
	struct tunnel_open open;

	if (!m->server || TUNNEL_SLOT(stream) == 0 ||
	    tunnel_decode_open(payload, &open) != ERR_OK) {
		mux_protocol_error(m, "bad OPEN");
		return;
	}
	if (!mux_rate(m, &m->rates.opens, 1, TUNNEL_OPENS_PER_S_MAX)) {
		mux_protocol_error(m, "too many OPENs");
		return;
	}
	// After our GOAWAY too: the peer may have opened it before it knew.
	if (m->streams >= STREAMS_PER_TUNNEL_MAX - 1) {
		mux_put_u16(m, TUNNEL_REFUSED, stream, TUNNEL_REASON_OVERLOADED);
		return;
	}
	if (!inbound_open(m, stream, &open))
		mux_put_u16(m, TUNNEL_REFUSED, stream, TUNNEL_REASON_OVERLOADED);
}

static void mux_on_opened(struct leg *l)
{
	if (!l || l->connected)
		return;
	l->connected = true;
	exchange_post(l->exchange, EVENT_CONNECTED);
}

static void mux_on_stream_end(struct mux *m, struct leg *l, struct slice payload)
{
	uint16_t reason;

	if (!mux_rate(m, &m->rates.resets, 1, TUNNEL_RESETS_PER_S_MAX) ||
	    tunnel_decode_u16(payload, &reason) != ERR_OK) {
		mux_protocol_error(m, "too many or bad RESETs");
		return;
	}
	if (reason == TUNNEL_REASON_NONE || reason >= TUNNEL_REASON_COUNT)
		reason = TUNNEL_REASON_RESET;
	if (l && m->bulk && !l->remote_moved) {
		l->early_reset = true; // behind what is kept until the MOVE
		l->reset_reason = (enum tunnel_reason)reason;
	} else if (l) {
		mux_lose_stream(l, (enum tunnel_reason)reason, TUNNEL_REASON_NONE);
	}
}

static void mux_on_credit(struct mux *m, struct leg *l, struct slice payload)
{
	uint32_t bytes;

	if (!mux_rate(m, &m->rates.credits, 1, TUNNEL_CREDITS_PER_S_MAX) ||
	    tunnel_decode_u32(payload, &bytes) != ERR_OK) {
		mux_protocol_error(m, "too many or bad CREDITs");
		return;
	}
	if (!l)
		return;
	if (bytes > TUNNEL_CREDIT_MAX || l->credit + bytes > TUNNEL_CREDIT_MAX) {
		mux_protocol_error(m, "credit beyond the maximum");
		return;
	}
	l->credit += bytes;
	mux_mark_pending(l);
}

// Whoever dialled takes another tunnel; at the other end the exchanges live, which have to end in good order.
static void mux_on_goaway(struct mux *m, struct slice payload)
{
	uint16_t reason;
	uint32_t within_ms;

	if (tunnel_decode_goaway(payload, &reason, &within_ms) != ERR_OK) {
		mux_protocol_error(m, "bad GOAWAY");
		return;
	}
	if (!m->server) {
		mux_goaway(m, TUNNEL_REASON_SHUTDOWN);
		return;
	}
	if (m->leave_by_ns || within_ms == 0)
		return;
	m->leave_by_ns = m->worker->now_ns + within_ms * NS_PER_MS;
	leave_tell(m->worker, m);
}

static void mux_on_ping(struct mux *m, struct slice payload, bool pong)
{
	uint8_t *at;

	if (payload.len != 8 || !mux_rate(m, &m->rates.pings, 1, TUNNEL_PINGS_PER_S_MAX)) {
		mux_protocol_error(m, "too many or bad PINGs");
		return;
	}
	if (pong)
		return;
	at = mux_reserve(m, TUNNEL_HEADER_BYTES + 8);
	if (!at)
		return;
	tunnel_encode_header(at, TUNNEL_PONG, 8, 0);
	memcpy(at + TUNNEL_HEADER_BYTES, payload.ptr, 8);
}

static void mux_on_fin(struct mux *m, struct leg *l)
{
	if (!l || l->read_fin)
		return;
	if (m->bulk && !l->remote_moved) {
		l->early_fin = true;
		return;
	}
	if (!m->bulk && l->remote_moved) {
		mux_lose_stream(l, TUNNEL_REASON_PROTOCOL, TUNNEL_REASON_PROTOCOL);
		return;
	}
	mux_on_finished(l);
}

// On either connection a stream is found in the tunnel's one table.
static struct leg *mux_find_here(struct mux *m, uint32_t stream)
{
	struct mux *table = m->bulk ? m->partner : m;

	return table ? mux_find(table, stream) : NULL;
}

static bool mux_is_for_bulk(uint8_t type)
{
	return type == TUNNEL_HELLO || type == TUNNEL_FIN || type == TUNNEL_RESET ||
	       type == TUNNEL_PING || type == TUNNEL_PONG;
}

static void mux_on_control(struct mux *m, struct slice payload)
{
	uint32_t stream = m->frame.stream;
	struct leg *l = stream ? mux_find_here(m, stream) : NULL;

	if (!m->hello_received && m->frame.type != TUNNEL_HELLO) {
		mux_protocol_error(m, "first frame is not HELLO");
		return;
	}
	if (m->bulk && !mux_is_for_bulk(m->frame.type)) {
		mux_protocol_error(m, "not a frame for a bulk connection");
		return;
	}
	switch ((enum tunnel_frame)m->frame.type) {
	case TUNNEL_HELLO:
		mux_on_hello(m, payload);
		break;
	case TUNNEL_OPEN:
		mux_on_open(m, stream, payload);
		break;
	case TUNNEL_OPENED:
		mux_on_opened(l);
		break;
	case TUNNEL_REFUSED:
	case TUNNEL_RESET:
		mux_on_stream_end(m, l, payload);
		break;
	case TUNNEL_CREDIT:
		mux_on_credit(m, l, payload);
		break;
	case TUNNEL_FIN:
		mux_on_fin(m, l);
		break;
	case TUNNEL_MOVE:
		mux_bulk_on_move(m, l);
		break;
	case TUNNEL_STOP:
		if (l)
			mux_on_stopped(l);
		break;
	case TUNNEL_PING:
	case TUNNEL_PONG:
		mux_on_ping(m, payload, m->frame.type == TUNNEL_PONG);
		break;
	case TUNNEL_GOAWAY:
		mux_on_goaway(m, payload);
		break;
	case TUNNEL_NONE:
	case TUNNEL_DATA:
	case TUNNEL_REQUEST:
	case TUNNEL_RESPONSE:
	case TUNNEL_FRAME_COUNT:
		break; // not handled here, or a later version's: skipped
	}
}

// A piece of a DATA frame, delivered as it comes.
static void mux_on_stream_data(struct mux *m, struct slice data)
{
	struct leg *l = mux_find_here(m, m->frame.stream);

	if (!l || l->read_fin || (m->bulk && l->early_fin))
		return; // reset by us meanwhile
	// Promised less, or sent where this direction no longer goes: this stream ends, the tunnel stays.
	if (data.len > l->granted || (!m->bulk && l->remote_moved)) {
		m->worker->counters.protocol_errors++;
		mux_lose_stream(l, TUNNEL_REASON_PROTOCOL, TUNNEL_REASON_PROTOCOL);
		return;
	}
	l->granted -= (uint32_t)data.len;
	l->unreleased += (uint32_t)data.len;
	l->bytes_in += data.len;
	if (m->bulk && !l->remote_moved) {
		mux_bulk_keep(l, data);
		return;
	}
	if (l->bytes_in >= BULK_AFTER_BYTES)
		mux_bulk_want(m);
	exchange_on_data(l->exchange, (enum side)l->side, data);
}

static bool mux_is_known_control(uint8_t type)
{
	return type != TUNNEL_NONE && type != TUNNEL_DATA &&
	       (type < TUNNEL_REQUEST || type == TUNNEL_STOP);
}

// The header is whole: is the frame allowed, and how is its payload taken?
static bool mux_begin_frame(struct mux *m)
{
	if (tunnel_decode_header(slice_make(m->header, sizeof(m->header)), &m->frame) != ERR_OK) {
		mux_protocol_error(m, "bad frame header");
		return false;
	}
	m->worker->counters.frames_received++;
	m->frame_left = m->frame.bytes;
	m->control_bytes = 0;
	if (mux_is_known_control(m->frame.type) && m->frame.bytes > TUNNEL_CONTROL_MAX) {
		mux_protocol_error(m, "control frame is too large");
		return false;
	}
	if (m->frame.type == TUNNEL_DATA && m->frame.bytes == 0 &&
	    !mux_rate(m, &m->rates.empty_data, 1, TUNNEL_EMPTY_DATA_PER_S_MAX)) {
		mux_protocol_error(m, "too many empty DATA frames");
		return false;
	}
	if (m->frame.type >= TUNNEL_REQUEST && m->frame.type != TUNNEL_STOP &&
	    !mux_rate(m, &m->rates.skipped_bytes, m->frame.bytes + TUNNEL_HEADER_BYTES,
		      TUNNEL_SKIPPED_BYTES_PER_S_MAX)) {
		mux_protocol_error(m, "too many unknown frames");
		return false;
	}
	return true;
}

static struct slice mux_take(struct slice *in, uint32_t bytes)
{
	struct slice part = slice_make(in->ptr, in->len < bytes ? in->len : bytes);

	in->ptr += part.len;
	in->len -= part.len;
	return part;
}

// One piece of payload; control frames are collected unless they lie in one piece.
static void mux_take_payload(struct mux *m, struct slice *in)
{
	struct slice part = mux_take(in, m->frame_left);

	m->frame_left -= (uint32_t)part.len;
	if (m->frame.type == TUNNEL_DATA) {
		if (part.len > 0)
			mux_on_stream_data(m, part);
		return;
	}
	if (!mux_is_known_control(m->frame.type))
		return; // skipped
	if (m->frame_left == 0 && m->control_bytes == 0) {
		mux_on_control(m, part);
		return;
	}
	memcpy(m->control + m->control_bytes, part.ptr, part.len);
	m->control_bytes += (uint32_t)part.len;
	if (m->frame_left == 0)
		mux_on_control(m, slice_make(m->control, m->control_bytes));
}

void mux_receive(struct mux *m, struct slice in)
{
	while (in.len > 0 && m->state != MUX_DEAD) {
		if (m->header_bytes < TUNNEL_HEADER_BYTES) {
			struct slice part = mux_take(&in, TUNNEL_HEADER_BYTES - m->header_bytes);

			memcpy(m->header + m->header_bytes, part.ptr, part.len);
			m->header_bytes += (uint32_t)part.len;
			if (m->header_bytes < TUNNEL_HEADER_BYTES)
				return;
			if (!mux_begin_frame(m))
				return;
		}
		mux_take_payload(m, &in);
		if (m->frame_left == 0)
			m->header_bytes = 0;
	}
}
