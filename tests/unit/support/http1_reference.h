// SPDX-License-Identifier: GPL-3.0-or-later
// A second reader of HTTP/1.1 messages, written from RFC 9112 and from nothing else: slow, strict, plain.
// What core/http1 accepts this one has to accept too, and to read in the same way; the unit tests and
// the fuzz target ask both. It knows no limits and judges no methods, targets or hosts.
#pragma once

#include "core/http1.h"

struct reference {
	struct slice method, target; // requests
	uint16_t status;	     // responses
	uint8_t minor;
	uint32_t header_count;
	struct http1_header headers[HTTP1_HEADERS_MAX];
	bool chunked, has_length;
	uint64_t content_length;
	size_t head_bytes;
};

enum reference_body { REFERENCE_BAD = 0, REFERENCE_MORE, REFERENCE_DONE };

static inline bool reference_token(struct slice s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];
		bool alphanumeric =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!alphanumeric && (c == 0 || !strchr(others, c)))
			return false;
	}
	return s.len > 0;
}

// field-vchar, SP and HTAB; obs-text counts as field-vchar.
static inline bool reference_text(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((s.ptr[i] < ' ' && s.ptr[i] != '\t') || s.ptr[i] == 0x7f)
			return false;
	}
	return true;
}

static inline bool reference_digits(struct slice s, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit = (uint64_t)s.ptr[i] - '0';

		if (digit > 9 || *value > (INT64_MAX - digit) / 10)
			return false;
		*value = *value * 10 + digit;
	}
	return s.len > 0;
}

static inline struct slice reference_skip(struct slice s, size_t bytes)
{
	return slice_make(s.ptr + bytes, s.len - bytes);
}

// The bytes before CRLF; no other CR or LF may come before it. *whole: the CRLF is there.
static inline bool reference_line(struct slice in, struct slice *line, bool *whole)
{
	size_t cr = slice_find(in, '\r'), lf = slice_find(in, '\n');

	*line = slice_make(in.ptr, cr);
	*whole = lf < in.len;
	return *whole ? cr + 1 == lf : cr == in.len || cr + 1 == in.len;
}

static inline bool reference_version(struct slice s, uint8_t *minor)
{
	if (s.len != 8 || memcmp(s.ptr, "HTTP/1.", 7) != 0)
		return false;
	*minor = s.ptr[7] - '0';
	return *minor <= 1;
}

static inline bool reference_request_line(struct slice line, struct reference *out)
{
	size_t first = slice_find(line, ' ');

	if (first == line.len)
		return false;
	out->method = slice_make(line.ptr, first);
	line = reference_skip(line, first + 1);
	size_t second = slice_find(line, ' ');

	if (second == line.len || second == 0)
		return false;
	out->target = slice_make(line.ptr, second);
	for (size_t i = 0; i < second; i++) {
		if (line.ptr[i] < 0x21 || line.ptr[i] > 0x7e)
			return false;
	}
	return reference_token(out->method) &&
	       reference_version(reference_skip(line, second + 1), &out->minor);
}

static inline bool reference_status_line(struct slice line, struct reference *out)
{
	uint64_t status;

	if (line.len < 12 || !reference_version(slice_make(line.ptr, 8), &out->minor) ||
	    line.ptr[8] != ' ' || !reference_digits(slice_make(line.ptr + 9, 3), &status) ||
	    status < 100)
		return false;
	out->status = (uint16_t)status;
	return line.len == 12 || line.ptr[12] == ' ';
}

static inline bool reference_field(struct slice line, struct http1_header *out)
{
	size_t colon = slice_find(line, ':');

	if (colon == line.len)
		return false;
	out->name = slice_make(line.ptr, colon);
	out->value = slice_trim_ows(reference_skip(line, colon + 1));
	return reference_token(out->name) && reference_text(out->value);
}

// Where no body can be (RFC 9112 6.3), fields frame nothing.
static inline bool reference_framing(struct reference *r, bool response)
{
	bool none = response && (r->status < 200 || r->status == 204);

	for (uint32_t i = 0; i < r->header_count; i++) {
		const struct http1_header *h = &r->headers[i];

		if (slice_eq_nocase(h->name, SLICE_LIT("transfer-encoding"))) {
			if (!none && (r->chunked || r->minor == 0))
				return false;
			if (!none && !slice_eq_nocase(h->value, SLICE_LIT("chunked")))
				return false;
			r->chunked = true;
		} else if (slice_eq_nocase(h->name, SLICE_LIT("content-length"))) {
			if (r->has_length || !reference_digits(h->value, &r->content_length))
				return false;
			r->has_length = true;
		}
	}
	return none || !(r->chunked && r->has_length);
}

// A whole head at the front of in.
static inline bool reference_head(struct slice in, bool response, struct reference *out)
{
	struct slice line, rest = in;
	bool whole;

	*out = (struct reference){0};
	if (!reference_line(rest, &line, &whole) || !whole ||
	    !(response ? reference_status_line(line, out) : reference_request_line(line, out)) ||
	    !reference_text(line))
		return false;
	for (;;) {
		rest = reference_skip(rest, line.len + 2);
		if (!reference_line(rest, &line, &whole) || !whole)
			return false;
		if (line.len == 0)
			break;
		if (out->header_count == HTTP1_HEADERS_MAX ||
		    !reference_field(line, &out->headers[out->header_count++]))
			return false;
	}
	out->head_bytes = (size_t)(rest.ptr + 2 - in.ptr);
	return reference_framing(out, response);
}

static inline struct slice reference_blanks(struct slice s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = reference_skip(s, 1);
	return s;
}

// What follows a token at the front of s; s itself where there is none.
static inline struct slice reference_behind_token(struct slice s)
{
	while (s.len > 0 && reference_token(slice_make(s.ptr, 1)))
		s = reference_skip(s, 1);
	return s;
}

static inline bool reference_quoted(struct slice *s)
{
	*s = reference_skip(*s, 1);
	while (s->len > 0 && s->ptr[0] != '"')
		*s = reference_skip(*s, s->ptr[0] == '\\' && s->len > 1 ? 2 : 1);
	if (s->len == 0)
		return false;
	*s = reference_skip(*s, 1);
	return true;
}

// *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ), RFC 9112 7.1.1; and blanks before the line's end
static inline bool reference_extensions(struct slice s)
{
	if (!reference_text(s))
		return false;
	while (s.len > 0) {
		s = reference_blanks(s);
		if (s.len == 0)
			return true;
		if (s.ptr[0] != ';')
			return false;
		s = reference_blanks(reference_skip(s, 1));
		struct slice rest = reference_behind_token(s);

		if (rest.len == s.len)
			return false;
		s = rest;
		rest = reference_blanks(rest);
		if (rest.len == 0 || rest.ptr[0] != '=')
			continue;
		s = reference_blanks(reference_skip(rest, 1));
		rest = reference_behind_token(s);
		if (rest.len == s.len &&
		    (s.len == 0 || s.ptr[0] != '"' || !reference_quoted(&rest)))
			return false;
		s = rest;
	}
	return true;
}

static inline bool reference_chunk_line(struct slice line, uint64_t *size)
{
	size_t digits = 0;

	*size = 0;
	for (; digits < line.len; digits++) {
		uint8_t c = line.ptr[digits] | 0x20;
		int value = c >= '0' && c <= '9' && line.ptr[digits] == c ? c - '0'
			    : c >= 'a' && c <= 'f'			  ? c - 'a' + 10
									  : -1;

		if (value < 0)
			break;
		if (*size > INT64_MAX >> 4)
			return false;
		*size = *size << 4 | (uint64_t)value;
	}
	return digits > 0 && reference_extensions(reference_skip(line, digits));
}

// Trailers and the empty line behind them.
static inline enum reference_body reference_trailers(struct slice rest, size_t *used)
{
	struct http1_header field;
	struct slice line;
	bool whole;

	for (;;) {
		if (!reference_line(rest, &line, &whole))
			return REFERENCE_BAD;
		if (!whole)
			return REFERENCE_MORE;
		*used += line.len + 2;
		if (line.len == 0)
			return REFERENCE_DONE;
		if (!reference_field(line, &field))
			return REFERENCE_BAD;
		rest = reference_skip(rest, line.len + 2);
	}
}

static inline enum reference_body reference_chunks(struct slice rest, size_t *used)
{
	for (;;) {
		struct slice line;
		uint64_t size;
		bool whole;

		if (!reference_line(rest, &line, &whole))
			return REFERENCE_BAD;
		if (!whole)
			return REFERENCE_MORE;
		if (!reference_chunk_line(line, &size))
			return REFERENCE_BAD;
		rest = reference_skip(rest, line.len + 2);
		*used += line.len + 2;
		if (size == 0)
			return reference_trailers(rest, used);
		if (size > rest.len)
			return REFERENCE_MORE;
		rest = reference_skip(rest, size);
		*used += size;
		if (rest.len > 0 && rest.ptr[0] != '\r')
			return REFERENCE_BAD;
		if (rest.len > 1 && rest.ptr[1] != '\n')
			return REFERENCE_BAD;
		if (rest.len < 2)
			return REFERENCE_MORE;
		rest = reference_skip(rest, 2);
		*used += 2;
	}
}

// How far the message whose head is r goes into what follows the head. until_close: its end is the
// connection's.
static inline enum reference_body reference_body(const struct reference *r, struct slice in,
						 bool response, bool to_head, size_t *used,
						 bool *until_close)
{
	bool none =
		response && (to_head || r->status < 200 || r->status == 204 || r->status == 304);

	*used = 0;
	*until_close = false;
	if (none)
		return REFERENCE_DONE;
	if (r->chunked)
		return reference_chunks(in, used);
	if (!r->has_length && response) {
		*until_close = true;
		*used = in.len;
		return REFERENCE_MORE;
	}
	*used = in.len < r->content_length ? in.len : r->content_length;
	return *used == r->content_length ? REFERENCE_DONE : REFERENCE_MORE;
}
