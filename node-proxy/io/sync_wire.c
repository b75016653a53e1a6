// SPDX-License-Identifier: GPL-3.0-or-later
// Frames in and out of a TLS stream. The receive buffer grows with the frame that is on its way and
// never beyond frame_max, whatever the length field promises.
#include "io/sync_wire.h"

#include "common/clock.h"
#include "io/crypto.h"

#define RECEIVE_STEP_BYTES 65536

void sync_wire_init(struct sync_wire *w, struct tls_stream *stream, size_t frame_max,
		    uint64_t now_ns)
{
	memset(w, 0, sizeof(*w));
	w->stream = stream;
	w->frame_max = frame_max;
	w->received_ns = now_ns;
	w->sent_ns = now_ns;
	buf_init_growing(&w->in, frame_max + SYNC_FRAME_HEADER_BYTES + RECEIVE_STEP_BYTES);
	buf_init_growing(&w->out, SYNC_FRAME_BYTES_MAX + SYNC_FRAME_HEADER_BYTES);
}

void sync_wire_deinit(struct sync_wire *w)
{
	tls_stream_close(w->stream);
	w->stream = NULL;
	buf_deinit(&w->in);
	buf_deinit(&w->out);
}

// Drops what was consumed, so that messages start at the buffer's front.
static void sync_wire_compact(struct sync_wire *w)
{
	if (w->at == 0)
		return;
	memmove(w->in.ptr, w->in.ptr + w->at, w->in.len - w->at);
	w->in.len -= w->at;
	w->at = 0;
}

// The length field alone says whether the frame may come at all.
static enum err must_check sync_wire_check_length(const struct sync_wire *w)
{
	struct cursor c;
	uint32_t len;

	if (w->in.len - w->at < SYNC_FRAME_HEADER_BYTES)
		return ERR_OK;
	cursor_init(&c, slice_make(w->in.ptr + w->at, SYNC_FRAME_HEADER_BYTES));
	len = cursor_be32(&c);
	return len > w->frame_max ? ERR_TOO_LARGE : ERR_OK;
}

static enum err must_check sync_wire_receive(struct sync_wire *w, uint64_t now_ns)
{
	size_t before = w->in.len;
	uint8_t *to = buf_reserve(&w->in, RECEIVE_STEP_BYTES);
	size_t len = 0;
	enum err e;

	if (!to)
		return w->in.err;
	e = tls_stream_read(w->stream, to, RECEIVE_STEP_BYTES, &len);
	w->in.len = before + (e ? 0 : len);
	if (!e)
		w->received_ns = now_ns;
	return e;
}

static bool sync_wire_may_ping(struct sync_wire *w, uint64_t now_ns)
{
	uint64_t second = now_ns / NS_PER_S;

	if (w->second != second) {
		w->second = second;
		w->pings = 0;
	}
	return ++w->pings <= SYNC_PINGS_PER_S_MAX;
}

enum err sync_wire_next(struct sync_wire *w, struct arena *a, uint64_t now_ns,
			struct sync_message *out)
{
	for (;;) {
		size_t used = 0;
		enum err e = sync_wire_check_length(w);

		if (e)
			return e;
		e = sync_decode(slice_make(w->in.ptr + w->at, w->in.len - w->at), a, out, &used);
		if (e == ERR_OK) {
			w->at += used;
			if (out->type == SYNC_PING && !sync_wire_may_ping(w, now_ns))
				return ERR_MALFORMED;
			if (out->type != SYNC_PING || out->capture)
				return ERR_OK;
			continue;
		}
		if (e != ERR_AGAIN)
			return e;
		sync_wire_compact(w);
		e = sync_wire_receive(w, now_ns);
		if (e)
			return e;
	}
}

enum err sync_wire_send(struct sync_wire *w, const struct sync_message *m, uint64_t now_ns)
{
	enum err e;

	buf_reset(&w->out);
	sync_encode(&w->out, m);
	if (w->out.err)
		return w->out.err == ERR_FULL ? ERR_TOO_LARGE : w->out.err;
	e = tls_stream_write(w->stream, buf_slice(&w->out));
	if (!e)
		w->sent_ns = now_ns;
	return e;
}

enum err sync_wire_tick(struct sync_wire *w, uint64_t now_ns)
{
	struct sync_message ping = {.type = SYNC_PING};
	enum err e;

	if (now_ns >= w->received_ns + SYNC_SILENCE_MS * NS_PER_MS)
		return ERR_EXPIRED;
	if (now_ns < w->sent_ns + SYNC_PING_AFTER_MS * NS_PER_MS)
		return ERR_OK;
	w->sent_ns = now_ns; // whatever comes of it: the next one is due 10 s from now
	e = sync_wire_send(w, &ping, now_ns);
	// A full queue says as much as a ping would.
	return e == ERR_FULL || e == ERR_AGAIN ? ERR_OK : e;
}

uint64_t sync_wire_due_ns(const struct sync_wire *w)
{
	uint64_t ping_ns = w->sent_ns + SYNC_PING_AFTER_MS * NS_PER_MS;
	uint64_t silence_ns = w->received_ns + SYNC_SILENCE_MS * NS_PER_MS;

	return ping_ns < silence_ns ? ping_ns : silence_ns;
}

int sync_ref_order(const void *a, const void *b)
{
	const struct section_ref *left = a, *right = b;

	if (left->name.kind != right->name.kind)
		return left->name.kind < right->name.kind ? -1 : 1;
	return (int)left->name.shard - (int)right->name.shard;
}

void sync_digest_refs(const struct section_ref *refs, uint32_t count, uint8_t out[32])
{
	static const size_t line_bytes = 2 + sizeof(refs->sha256) + 4;
	struct buf text;

	buf_init_growing(&text, count * line_bytes);
	for (uint32_t i = 0; i < count; i++) {
		buf_put_u8(&text, (uint8_t)refs[i].name.kind);
		buf_put_u8(&text, refs[i].name.shard);
		buf_put(&text, refs[i].sha256, sizeof(refs[i].sha256));
		buf_put_be32(&text, refs[i].bytes);
	}
	// Out of memory on one end only shows as a digest that does not match: refused, and tried
	// again.
	crypto_sha256(buf_slice(&text), out);
	buf_deinit(&text);
}
