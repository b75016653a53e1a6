// SPDX-License-Identifier: GPL-3.0-or-later
// The sending side of a tunnel: frames into records, credit, fair queues; see mux.h. Life and death are
// mux.c's, streams mux_streams.c's.
#include "path/mux_send.h"

#include "path/conn.h"
#include "path/exchange.h"
#include "path/worker.h"

// A record with less room than this is sealed rather than filled up with the beginning of a frame.
#define RECORD_REST_MIN 2048

// ---- sending -----------------------------------------------------------------------------------

void mux_mark_dirty(struct mux *m)
{
	if (m->dirty)
		return;
	m->dirty = true;
	m->next_dirty = m->worker->dirty_muxes;
	m->worker->dirty_muxes = m;
}

void mux_sink(void *context, struct slice ciphertext)
{
	struct mux *m = context;

	// Nothing follows a hole: the peer would take it for an attack.
	if (!m->record_failed && m->conn && conn_write(m->conn, ciphertext) == ERR_OK)
		return;
	m->record_failed = true;
	mux_mark_dirty(m); // acted upon where it is safe, and in this turn: mux_flush
}

static void mux_seal(struct mux *m)
{
	if (m->record_bytes == 0)
		return;
	m->worker->counters.records_sealed++;
	if (tls_write(m->tls, slice_make(m->record, m->record_bytes)) != ERR_OK)
		m->record_failed = true;
	m->record_bytes = 0;
	m->tail_stream = 0;
}

uint8_t *mux_reserve(struct mux *m, uint32_t bytes)
{
	if (!mux_is_up(m))
		return NULL;
	if (m->record_bytes + bytes > TLS_RECORD_PLAINTEXT_MAX)
		mux_seal(m);
	if (!m->record)
		m->record = pool_get_raw(&m->worker->records);
	if (!m->record) {
		m->record_failed = true;
		mux_mark_dirty(m);
		return NULL;
	}
	uint8_t *at = m->record + m->record_bytes;

	m->record_bytes += bytes;
	m->tail_stream = 0;
	m->worker->counters.frames_sent++;
	mux_mark_dirty(m);
	return at;
}

void mux_put_frame(struct mux *m, const struct buf *frame)
{
	uint8_t *at;

	if (frame->err != ERR_OK) {
		m->record_failed = true;
		return;
	}
	at = mux_reserve(m, (uint32_t)frame->len);
	if (at)
		memcpy(at, frame->ptr, frame->len);
}

void mux_put_u16(struct mux *m, enum tunnel_frame type, uint32_t stream, uint16_t value)
{
	uint8_t bytes[16];
	struct buf b;

	buf_init_fixed(&b, bytes, sizeof(bytes));
	tunnel_encode_u16(&b, type, stream, value);
	mux_put_frame(m, &b);
}

void mux_put_empty(struct mux *m, enum tunnel_frame type, uint32_t stream)
{
	uint8_t *at = mux_reserve(m, TUNNEL_HEADER_BYTES);

	if (at)
		tunnel_encode_header(at, type, 0, stream);
}

static bool mux_is_backlogged(const struct mux *m)
{
	return !m->conn || m->conn->out.bytes >= TUNNEL_HIGH_BYTES;
}

// What one more frame may carry: up to the record's end, unless that is hardly worth a frame.
static uint32_t mux_data_room(const struct mux *m)
{
	uint32_t room = TLS_RECORD_PLAINTEXT_MAX - m->record_bytes;

	return room >= RECORD_REST_MIN ? room - TUNNEL_HEADER_BYTES : TUNNEL_DATA_MAX;
}

// The last frame of the record goes on, where it is this stream's: a head and its body are one frame.
static uint8_t *mux_extend(struct mux *m, uint32_t stream, uint32_t bytes)
{
	uint32_t payload = m->record_bytes - m->tail_at - TUNNEL_HEADER_BYTES + bytes;

	if (m->tail_stream != stream || m->record_bytes + bytes > TLS_RECORD_PLAINTEXT_MAX)
		return NULL;
	tunnel_encode_header(m->record + m->tail_at, TUNNEL_DATA, payload, stream);
	m->record_bytes += bytes;
	return m->record + m->record_bytes - bytes;
}

// Moves up to one frame's worth of data into the record; returns what it took.
static uint32_t mux_put_data(struct mux *m, struct leg *l, struct slice data)
{
	uint32_t room = mux_data_room(m);
	uint32_t bytes = (uint32_t)(data.len < room ? data.len : room);
	uint8_t *at;

	if (bytes > l->credit)
		bytes = l->credit;
	if (bytes == 0)
		return 0;
	at = mux_extend(m, l->stream_id, bytes);
	if (!at) {
		at = mux_reserve(m, TUNNEL_HEADER_BYTES + bytes);
		if (!at)
			return 0;
		tunnel_encode_header(at, TUNNEL_DATA, bytes, l->stream_id);
		m->tail_stream = l->stream_id;
		m->tail_at = (uint32_t)(at - m->record);
		at += TUNNEL_HEADER_BYTES;
	}
	memcpy(at, data.ptr, bytes);
	m->worker->counters.bytes_copied += bytes;
	l->credit -= bytes;
	return bytes;
}

// The connection that DATA and FIN of this stream take; the rest takes the tunnel's first one.
static struct mux *mux_sender(const struct leg *l)
{
	return l->on_bulk ? l->mux->partner : l->mux;
}

enum err mux_write(struct leg *l, struct slice data)
{
	struct mux *m = l->mux;

	if (!m)
		return ERR_CLOSED;
	if (!l->open_wanted && l->out.bytes == 0) {
		struct mux *to = mux_bulk_move(l) ? m->partner : m;

		while (data.len > 0 && !mux_is_backlogged(to)) {
			uint32_t taken = mux_put_data(to, l, data);

			if (taken == 0)
				break;
			data.ptr += taken;
			data.len -= taken;
		}
	}
	if (data.len == 0)
		return ERR_OK;
	m->worker->counters.bytes_copied += data.len;
	enum err err = queue_put(&l->out, &m->worker->chunks, data);

	mux_mark_pending(l);
	return err;
}

// Would serving this stream put anything on the wire?
static bool mux_has_work(const struct leg *l)
{
	if (l->open_wanted)
		return true;
	if (l->out.bytes > 0)
		return l->credit > 0;
	return l->write_fin && !l->fin_sent;
}

void mux_mark_pending(struct leg *l)
{
	struct mux *m = mux_sender(l);

	if (l->pending || !mux_has_work(l))
		return;
	l->pending = m;
	fair_put(&m->pending, l->exchange->flow, &l->turn);
	mux_mark_dirty(m);
}

void mux_unlink_pending(struct leg *l)
{
	if (!l->pending)
		return;
	fair_remove(&l->pending->pending, l->exchange->flow, &l->turn);
	l->pending = NULL;
}

void mux_write_fin(struct leg *l)
{
	if (!l->mux)
		return;
	if (!l->open_wanted && l->out.bytes == 0) {
		mux_put_empty(mux_sender(l), TUNNEL_FIN, l->stream_id);
		l->fin_sent = true;
		return;
	}
	mux_mark_pending(l);
}

static void mux_put_open(struct mux *m, struct leg *l)
{
	uint8_t bytes[TUNNEL_CONTROL_MAX];
	struct tunnel_open open;
	struct buf b;

	exchange_describe_open(l->exchange, &open);
	buf_init_fixed(&b, bytes, sizeof(bytes));
	tunnel_encode_open(&b, l->stream_id, &open);
	mux_put_frame(m, &b);
	l->open_wanted = false;
}

// One turn of one stream: at most a record's worth of DATA, so that streams alternate.
static uint32_t mux_serve_data(struct mux *m, struct leg *l)
{
	uint32_t served = 0;

	while (l->out.bytes > 0 && served < TUNNEL_DATA_MAX) {
		uint32_t taken = mux_put_data(m, l, queue_peek(&l->out));

		if (taken == 0)
			break;
		queue_consume(&l->out, &m->worker->chunks, taken);
		served += taken;
	}
	return served;
}

static void mux_serve(struct mux *m, struct leg *l)
{
	if (l->open_wanted)
		mux_put_open(m, l);
	if (!l->on_bulk && mux_bulk_move(l)) {
		mux_mark_pending(l); // there
		return;
	}
	if (mux_serve_data(m, l) > 0)
		exchange_post(l->exchange, l->side == DOWN ? EVENT_SENT_DOWN : EVENT_SENT_UP);
	if (l->out.bytes == 0 && l->write_fin && !l->fin_sent) {
		mux_put_empty(m, TUNNEL_FIN, l->stream_id);
		l->fin_sent = true;
	}
	mux_mark_pending(l);
}

static struct leg *mux_leg_of(struct fair_item *turn)
{
	return (struct leg *)((uint8_t *)turn - offsetof(struct leg, turn));
}

// Round robin over source workloads, then over the streams of each.
static void mux_pump(struct mux *m)
{
	while (m->pending.waiting && !mux_is_backlogged(m) && !m->record_failed) {
		struct leg *l = mux_leg_of(fair_take(&m->pending));

		l->pending = NULL;
		mux_serve(m, l);
	}
}

void mux_grant(struct leg *l, uint32_t bytes)
{
	uint8_t frame[16];
	struct buf b;

	if (!l->mux)
		return;
	buf_init_fixed(&b, frame, sizeof(frame));
	tunnel_encode_u32(&b, TUNNEL_CREDIT, l->stream_id, bytes);
	mux_put_frame(l->mux, &b);
	l->granted += bytes;
}

void mux_reset_behind(struct leg *l, enum tunnel_reason reason)
{
	struct mux *to = l->mux;

	if (!to)
		return;
	if (l->on_bulk && to->partner->resets_on_bulk)
		to = to->partner;
	if (!l->open_wanted)
		mux_put_u16(to, TUNNEL_RESET, l->stream_id, (uint16_t)reason);
	mux_detach(l, TUNNEL_REASON_NONE);
}

void mux_send_opened(struct leg *l)
{
	if (l->mux)
		mux_put_empty(l->mux, TUNNEL_OPENED, l->stream_id);
}

void mux_send_refused(struct leg *l, enum tunnel_reason reason)
{
	if (!l->mux)
		return;
	mux_put_u16(l->mux, TUNNEL_REFUSED, l->stream_id, (uint16_t)reason);
	mux_detach(l, TUNNEL_REASON_NONE);
}

void mux_flush(struct mux *m)
{
	mux_pump(m);
	mux_seal(m);
	if (m->record) {
		pool_put(&m->worker->records, m->record);
		m->record = NULL;
	}
	if (m->record_failed)
		mux_fail(m, TUNNEL_REASON_OVERLOADED, "out of buffers");
	else if (m->state == MUX_GOAWAY && m->streams == 0 && !m->server)
		mux_drained(m);
}
