// SPDX-License-Identifier: GPL-3.0-or-later
// core/http1 and core/detect: any bytes as a request, as a response and as one to HEAD. What is accepted a second
// reader, written from RFC 9112 alone, accepts and reads in the same way: every span, the framing, and where
// the message ends. None of it depends on how the bytes are cut, nor does it change when a head is written
// anew from its spans.
#include <stdlib.h>
#include "core/detect.h"
#include "core/http1_edit.h"
#include "support/http1_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum kind { REQUEST, RESPONSE, RESPONSE_TO_HEAD };

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void start(struct http1 *p, enum kind kind)
{
	if (kind == REQUEST)
		http1_init_request(p);
	else
		http1_init_response(p, kind == RESPONSE_TO_HEAD);
}

// In one piece, and in two that are cut at cut.
static enum err find(struct slice in, size_t cut, size_t *head)
{
	size_t scanned = 0;
	enum err err = http1_find_head(slice_make(in.ptr, cut), &scanned, head);

	require(scanned <= cut);
	return err == ERR_AGAIN ? http1_find_head(in, &scanned, head) : err;
}

static void same_message(const struct http1_message *m, const struct reference *r)
{
	require(slice_eq(m->method, r->method) && slice_eq(m->target, r->target));
	require(m->status == r->status && m->minor == r->minor && m->minor <= 1);
	require(m->chunked == r->chunked && m->has_length == r->has_length);
	require(m->content_length == r->content_length && m->header_count == r->header_count);
	for (uint32_t i = 0; i < m->header_count; i++)
		require(slice_eq(m->headers[i].name, r->headers[i].name) &&
			slice_eq(m->headers[i].value, r->headers[i].value));
}

// The head written anew from its spans, with one space where OWS was, says the same.
static void written_anew(const struct http1_message *m, enum kind kind, struct slice head)
{
	static uint8_t text[1u << 16];
	static struct http1_message again;
	size_t first = slice_find(head, '\n') + 1, len = first;
	struct http1 p;

	if (head.len + m->header_count > sizeof(text))
		return;
	memcpy(text, head.ptr, first);
	for (uint32_t i = 0; i < m->header_count; i++) {
		struct slice parts[] = {m->headers[i].name, SLICE_LIT(": "), m->headers[i].value,
					SLICE_LIT("\r\n")};

		for (size_t k = 0; k < 4; k++) {
			if (parts[k].len > 0)
				memcpy(text + len, parts[k].ptr, parts[k].len);
			len += parts[k].len;
		}
	}
	memcpy(text + len, "\r\n", 2);
	start(&p, kind);
	require(http1_head(&p, slice_make(text, len + 2), &again) == ERR_OK);
	require(again.keep_alive == m->keep_alive && again.upgrade == m->upgrade);
	require(again.chunked == m->chunked && again.content_length == m->content_length);
	require(again.header_count == m->header_count && slice_eq(again.target, m->target));
}

// Changed for the next hop it is a message still, that is framed as before; nothing in it is this hop's alone,
// and nothing is left to change.
static void changed(const struct http1_message *m, enum kind kind, struct slice head, uint8_t how)
{
	static uint8_t text[1u << 16];
	static struct http1_message again;
	struct http1_hop hop = {.upgrade = how & 1,
				.close = how & 2,
				.stays = (how & 6) == 4,
				.bodiless = kind != REQUEST && http1_is_bodiless(m->status)};
	struct http1_edit edit = {0};
	uint32_t at = 0;
	size_t len = 0;
	struct slice piece;
	struct http1 p;

	if (head.len + 64 > sizeof(text))
		return;
	enum err err = http1_edit_hop(&edit, m, head, &hop);

	require(err == ERR_OK || err == ERR_TOO_LARGE);
	while (http1_edit_next(&edit, head, &at, &piece)) {
		memcpy(text + len, piece.ptr, piece.len);
		len += piece.len;
	}
	require(len <= head.len + strlen("Connection: close\r\n"));
	// The field that we add may be one more than we take.
	if (err != ERR_OK || (hop.close && m->header_count == HTTP1_HEADERS_MAX))
		return;
	head = slice_make(text, len);
	start(&p, kind);
	require(http1_head(&p, head, &again) == ERR_OK);
	require(slice_eq(again.method, m->method) && slice_eq(again.target, m->target));
	require(hop.bodiless ? !again.chunked && !again.has_length
			     : again.chunked == m->chunked && again.has_length == m->has_length &&
				       again.content_length == m->content_length);
	require(!hop.close || (again.options == HTTP1_OPTION_CLOSE &&
			       http1_count(&again, SLICE_LIT("connection")) == 1));
	require(!hop.stays || !(again.options & HTTP1_OPTION_CLOSE));
	require(!again.upgrade || (hop.upgrade && m->upgrade));
	edit.count = 0;
	hop.close = false;
	require(http1_edit_hop(&edit, &again, head, &hop) == ERR_OK && edit.count == 0);
}

struct framing {
	struct http1 parser;
	size_t used;
	bool complete;
};

// A parser that has read the head; it points into itself and is never copied.
static void read_head(struct framing *f, struct slice head, enum kind kind)
{
	static struct http1_message m;

	start(&f->parser, kind);
	require(http1_head(&f->parser, head, &m) == ERR_OK);
}

// The body in pieces of cut and the rest. False: refused.
static bool frame(struct framing *f, struct slice in, size_t cut)
{
	size_t used;

	if (http1_body(&f->parser, slice_make(in.ptr, cut), &f->used, &f->complete) != ERR_OK)
		return false;
	require(f->used <= cut && (f->complete || f->used == cut));
	require(f->complete == http1_is_complete(&f->parser));
	if (f->complete)
		return true;
	if (http1_body(&f->parser, reference_skip(in, cut), &used, &f->complete) != ERR_OK)
		return false;
	require(used <= in.len - cut && (f->complete || used == in.len - cut));
	f->used += used;
	return true;
}

static void body(struct slice head, const struct reference *r, struct slice in, enum kind kind,
		 size_t cut)
{
	struct framing one, two;
	bool until_close;
	size_t expected;

	read_head(&one, head, kind);
	read_head(&two, head, kind);
	bool whole = frame(&one, in, in.len);

	require(whole == frame(&two, in, cut));
	if (!whole)
		return;
	require(one.used == two.used && one.complete == two.complete);
	enum reference_body end = reference_body(r, in, kind != REQUEST, kind == RESPONSE_TO_HEAD,
						 &expected, &until_close);

	require(end != REFERENCE_BAD && one.complete == (end == REFERENCE_DONE));
	require(!one.complete || one.used == expected);
	// Only the end of the connection ends what has no framing, and it ends nothing else.
	require(http1_finish(&one.parser) == (one.complete || until_close));
}

static void message(struct slice in, enum kind kind, size_t cut)
{
	static struct http1_message m;
	static struct reference r;
	size_t head = 0, part_head = 0;
	enum err found = find(in, in.len, &head);
	struct http1 p;

	require(found == ERR_OK || found == ERR_AGAIN || found == ERR_MALFORMED);
	// A fold may be seen only when the line behind it has come; then llhttp refuses it.
	enum err part = find(in, cut, &part_head);

	require(part != ERR_AGAIN || found == ERR_AGAIN);
	if (found != ERR_OK && part == ERR_OK) {
		start(&p, kind);
		require(http1_head(&p, slice_make(in.ptr, part_head), &m) != ERR_OK);
	}
	if (found != ERR_OK)
		return;
	require(head <= in.len && (part != ERR_OK || part_head == head));
	start(&p, kind);
	if (http1_head(&p, slice_make(in.ptr, head), &m) != ERR_OK)
		return;
	require(reference_head(in, kind != REQUEST, &r) && r.head_bytes == head);
	same_message(&m, &r);
	written_anew(&m, kind, slice_make(in.ptr, head));
	changed(&m, kind, slice_make(in.ptr, head), (uint8_t)cut);
	for (size_t n = 0; kind == REQUEST && n <= head; n++) {
		enum detect_protocol d = detect_first_bytes(slice_make(in.ptr, n));

		require(d == DETECT_HTTP1 || d == DETECT_NEED_MORE);
	}
	struct slice rest = reference_skip(in, head);

	body(slice_make(in.ptr, head), &r, rest, kind, cut < rest.len ? cut : rest.len / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in;
	size_t cut;

	if (size == 0)
		return 0;
	// The last byte says where it is cut: a corpus reads as what it is.
	in = slice_make(data, size - 1);
	cut = in.len * data[size - 1] / 255;
	(void)detect_first_bytes(in);
	message(in, REQUEST, cut);
	message(in, RESPONSE, cut);
	message(in, RESPONSE_TO_HEAD, cut);
	return 0;
}
