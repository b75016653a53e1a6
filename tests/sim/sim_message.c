// SPDX-License-Identifier: GPL-3.0-or-later
// HTTP/1.1 messages of the simulated ends: written piecemeal, read and judged byte by byte. See sim_end.h.
#include <stdio.h>
#include <stdlib.h>

#include "sim/sim.h"
#include "sim/sim_end.h"

#define PART_MAX  4096
#define CHUNK_MAX 3000

uint32_t message_id(const struct end *client, uint32_t n)
{
	return client->id << 4 | n;
}

static uint32_t scramble(uint32_t id)
{
	return (id ^ id >> 7) * 2654435761u >> 3;
}

uint32_t message_request_bytes(uint32_t id)
{
	return scramble(id) % 30000;
}

uint32_t message_response_bytes(uint32_t id)
{
	return scramble(id + 2) % 5 ? scramble(id + 3) % 2000 : scramble(id + 4) % 100000;
}

void message_pad(char *text, size_t room)
{
	size_t at = strlen(text), end = at + 33000 + sim_random(14000);

	if (!sim_chance(15) || at < 2 || end + 64 > room)
		return;
	at -= 2; // the empty line
	while (at < end)
		at += (size_t)snprintf(text + at, room - at, "X-Pad: %0600u\r\n", 0);
	snprintf(text + at, room - at, "\r\n");
}

uint32_t message_value(const char *head, const char *field)
{
	const char *at = strstr(head, field);

	return at ? (uint32_t)strtoul(at + strlen(field), NULL, 10) : 0;
}

// ---- writing -----------------------------------------------------------------------------------

void writer_begin(struct writer *w, uint32_t id, uint32_t body_bytes, bool chunked)
{
	w->text_at = 0;
	w->text_bytes = (uint32_t)strlen(w->text);
	w->id = id;
	w->body_at = w->part_left = 0;
	w->body_left = body_bytes;
	w->chunked = chunked;
}

bool writer_is_done(const struct writer *w)
{
	return w->text_at == w->text_bytes && w->body_left == 0 && !w->chunked;
}

static void writer_refill(struct writer *w)
{
	const char *crlf = w->body_at > 0 ? "\r\n" : "";

	w->part_left = w->body_left;
	if (!w->chunked)
		return;
	w->text_at = 0;
	if (w->body_left > 0) {
		uint32_t most = w->body_left < CHUNK_MAX ? w->body_left : CHUNK_MAX;

		w->part_left = 1 + (uint32_t)sim_random(most);
		w->text_bytes = (uint32_t)snprintf(w->text, sizeof(w->text), "%s%x\r\n", crlf,
						   w->part_left);
	} else {
		w->text_bytes = (uint32_t)snprintf(w->text, sizeof(w->text), "%s0\r\n\r\n", crlf);
		w->chunked = false;
	}
}

static uint32_t write_some(struct end *e, const void *bytes, uint32_t len)
{
	uint32_t room = sim_net_writable(e->fd);

	if (len > room)
		len = room;
	if (len > 1 && sim_chance(300))
		len = 1 + (uint32_t)sim_random(len);
	len = len > 0 ? sim_net_write(e->fd, bytes, len) : 0;
	e->sent += len;
	return len;
}

bool writer_step(struct end *e)
{
	struct writer *w = &e->writer;
	uint8_t bytes[PART_MAX];
	uint32_t n;

	if (writer_is_done(w))
		return false;
	if (w->text_at == w->text_bytes && w->part_left == 0)
		writer_refill(w);
	if (w->text_at < w->text_bytes) {
		n = write_some(e, w->text + w->text_at, w->text_bytes - w->text_at);
		w->text_at += n;
		return n > 0;
	}
	n = w->part_left < sizeof(bytes) ? w->part_left : sizeof(bytes);
	for (uint32_t i = 0; i < n; i++)
		bytes[i] = end_byte(w->id, 4 + w->body_at + i);
	n = write_some(e, bytes, n);
	w->body_at += n;
	w->part_left -= n;
	w->body_left -= n;
	return n > 0;
}

// ---- reading -----------------------------------------------------------------------------------

void reader_next(struct reader *r)
{
	r->state = READ_HEAD;
	r->head_bytes = 0;
	r->head[0] = 0;
}

enum reader_event reader_begin_body(struct reader *r, enum reader_state how, uint32_t bytes)
{
	r->state = how;
	r->left = bytes;
	r->body_at = 0;
	if (how == READ_CHUNK_LINE)
		r->head_bytes = 0;
	return how == READ_BODY && bytes == 0 ? READER_MESSAGE_DONE : READER_MORE;
}

uint32_t reader_room(const struct reader *r)
{
	return r->state == READ_BODY || r->state == READ_CHUNK ? r->left : 1;
}

// True: the text ends here, with end.
static bool reader_text(struct end *e, uint8_t byte, const char *end)
{
	struct reader *r = &e->reader;
	size_t len = strlen(end);

	if (r->head_bytes + 1 >= sizeof(r->head))
		sim_fail("http end %x receives a head beyond its bound", e->id);
	r->head[r->head_bytes++] = (char)byte;
	r->head[r->head_bytes] = 0;
	return r->head_bytes >= len && memcmp(r->head + r->head_bytes - len, end, len) == 0;
}

static uint32_t reader_body(struct end *e, const uint8_t *bytes, uint32_t len)
{
	struct reader *r = &e->reader;
	uint32_t n = r->state == READ_TO_END || len < r->left ? len : r->left;

	for (uint32_t i = 0; i < n && r->id; i++) {
		if (bytes[i] != end_byte(r->id, 4 + r->body_at + i))
			sim_fail("http end %x receives a wrong byte at %u of message %x", e->id,
				 r->body_at + i, r->id);
	}
	r->body_at += n;
	if (r->state != READ_TO_END)
		r->left -= n;
	return n;
}

// The line of a chunk is whole. An empty one ends the chunk before.
static void reader_chunk_line(struct reader *r)
{
	if (r->head_bytes > 2) {
		r->left = (uint32_t)strtoul(r->head, NULL, 16);
		r->state = r->left > 0 ? READ_CHUNK : READ_LAST;
	}
	r->head_bytes = 0;
}

enum reader_event reader_take(struct end *e, const uint8_t *bytes, uint32_t len, uint32_t *used)
{
	struct reader *r = &e->reader;

	for (*used = 0; *used < len;) {
		const uint8_t *at = bytes + *used;

		switch (r->state) {
		case READ_HEAD:
			++*used;
			if (reader_text(e, *at, "\r\n\r\n"))
				return READER_HEAD_DONE;
			break;
		case READ_CHUNK_LINE:
			++*used;
			if (reader_text(e, *at, "\r\n"))
				reader_chunk_line(r);
			break;
		case READ_LAST:
			++*used;
			if (reader_text(e, *at, "\r\n"))
				return READER_MESSAGE_DONE;
			break;
		case READ_BODY:
		case READ_TO_END:
		case READ_CHUNK:
			*used += reader_body(e, at, len - *used);
			if (r->state == READ_BODY && r->left == 0)
				return READER_MESSAGE_DONE;
			if (r->state == READ_CHUNK && r->left == 0)
				r->state = READ_CHUNK_LINE;
			break;
		}
	}
	return READER_MORE;
}
