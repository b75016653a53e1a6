// SPDX-License-Identifier: GPL-3.0-or-later
// Bounded output buffer and bounded input cursor; see buf.h.
#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST_BYTES 256

void buf_init_fixed(struct buf *b, void *ptr, size_t cap)
{
	*b = (struct buf){.ptr = ptr, .cap = cap, .bytes_max = cap};
}

void buf_init_growing(struct buf *b, size_t bytes_max)
{
	*b = (struct buf){.bytes_max = bytes_max, .owned = true};
}

void buf_deinit(struct buf *b)
{
	if (b->owned)
		free(b->ptr);
	*b = (struct buf){0};
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = ERR_OK;
}

static bool buf_grow(struct buf *b, size_t len)
{
	if (!b->owned || len > b->bytes_max - b->len) {
		b->err = b->owned ? ERR_TOO_LARGE : ERR_FULL;
		return false;
	}
	size_t cap = b->cap ? b->cap : BUF_FIRST_BYTES;

	while (cap < b->len + len)
		cap *= 2;
	if (cap > b->bytes_max)
		cap = b->bytes_max;
	uint8_t *ptr = realloc(b->ptr, cap);

	if (!ptr) {
		b->err = ERR_NOMEM;
		return false;
	}
	b->ptr = ptr;
	b->cap = cap;
	return true;
}

uint8_t *buf_reserve(struct buf *b, size_t len)
{
	if (b->err != ERR_OK)
		return NULL;
	if (len > b->cap - b->len && !buf_grow(b, len))
		return NULL;
	uint8_t *at = b->ptr + b->len;

	b->len += len;
	return at;
}

void buf_put(struct buf *b, const void *ptr, size_t len)
{
	uint8_t *at = len > 0 ? buf_reserve(b, len) : NULL;

	if (at)
		memcpy(at, ptr, len);
}

void buf_put_slice(struct buf *b, struct slice s)
{
	buf_put(b, s.ptr, s.len);
}

void buf_put_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_put_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

static void buf_put_be(struct buf *b, uint64_t v, int bytes)
{
	uint8_t *at = buf_reserve(b, (size_t)bytes);

	for (int i = 0; at && i < bytes; i++)
		at[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

void buf_put_be16(struct buf *b, uint16_t v)
{
	buf_put_be(b, v, 2);
}

void buf_put_be32(struct buf *b, uint32_t v)
{
	buf_put_be(b, v, 4);
}

void buf_put_be64(struct buf *b, uint64_t v)
{
	buf_put_be(b, v, 8);
}

void buf_printf(struct buf *b, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	int n = vsnprintf(text, sizeof(text), format, arguments);

	va_end(arguments);
	if (n < 0 || (size_t)n >= sizeof(text))
		b->err = b->err == ERR_OK ? ERR_TOO_LARGE : b->err;
	else
		buf_put(b, text, (size_t)n);
}

// Bytes of the well-formed UTF-8 sequence at the front (RFC 3629), 0 if it is none.
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
	uint8_t lead = p[0];
	size_t n = lead < 0x80			 ? 1
		   : lead >= 0xc2 && lead < 0xe0 ? 2
		   : (lead & 0xf0) == 0xe0	 ? 3
						 : 4;

	if (lead >= 0x80 && (lead < 0xc2 || lead > 0xf4))
		return 0;
	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	bool overlong = (lead == 0xe0 && p[1] < 0xa0) || (lead == 0xf0 && p[1] < 0x90);
	bool outside = (lead == 0xed && p[1] >= 0xa0) || (lead == 0xf4 && p[1] >= 0x90);

	return overlong || outside ? 0 : n;
}

// Characters that nobody sees, or that change how what stands round them is shown: controls of both kinds (C1 ones
// drive terminals), line separators, marks that turn the direction of a line, and what has no width.
static bool utf8_is_hidden(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{0, 0x1f},	  {0x7f, 0x9f},	    {0xad, 0xad},	{0x61c, 0x61c},
		{0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e},	{0x2060, 0x206f},
		{0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
	};

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (c <= hidden[i].last)
			return c >= hidden[i].first;
	}
	return false;
}

static uint32_t utf8_value(const uint8_t *p, size_t n)
{
	static const uint8_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t c = p[0] & lead_bits[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

// RFC 8259 7: above U+FFFF as a pair.
static void buf_put_json_escape(struct buf *b, uint32_t c)
{
	if (c > 0xffff)
		buf_printf(b, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
			   0xdc00 + ((c - 0x10000) & 0x3ff));
	else
		buf_printf(b, "\\u%04x", c);
}

void buf_put_visible(struct buf *b, struct slice s, bool quoted)
{
	for (size_t i = 0; i < s.len;) {
		uint8_t c = s.ptr[i];
		size_t n = utf8_sequence(s.ptr + i, s.len - i);

		if (n == 0) {
			buf_put_str(b, "\\ufffd");
			n = 1;
		} else if (quoted && (c == '"' || c == '\\')) {
			buf_put_u8(b, '\\');
			buf_put_u8(b, c);
		} else if ((c < 0x20 || c > 0x7e) && utf8_is_hidden(utf8_value(s.ptr + i, n))) {
			buf_put_json_escape(b, utf8_value(s.ptr + i, n));
		} else {
			buf_put(b, s.ptr + i, n);
		}
		i += n;
	}
}

void buf_put_json_string(struct buf *b, struct slice s)
{
	buf_put_u8(b, '"');
	buf_put_visible(b, s, true);
	buf_put_u8(b, '"');
}

struct slice buf_slice(const struct buf *b)
{
	return slice_make(b->ptr, b->len);
}

// ---- cursor ------------------------------------------------------------------------------------

void cursor_init(struct cursor *c, struct slice s)
{
	*c = (struct cursor){.ptr = s.ptr, .end = s.ptr + s.len};
}

size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->ptr);
}

struct slice cursor_take(struct cursor *c, size_t len)
{
	if (c->err != ERR_OK || len > cursor_left(c)) {
		if (c->err == ERR_OK)
			c->err = ERR_MALFORMED;
		return (struct slice){0};
	}
	struct slice s = slice_make(c->ptr, len);

	c->ptr += len;
	return s;
}

static uint64_t cursor_be(struct cursor *c, size_t bytes)
{
	struct slice s = cursor_take(c, bytes);
	uint64_t v = 0;

	for (size_t i = 0; i < s.len; i++)
		v = v << 8 | s.ptr[i];
	return v;
}

uint8_t cursor_u8(struct cursor *c)
{
	return (uint8_t)cursor_be(c, 1);
}

uint16_t cursor_be16(struct cursor *c)
{
	return (uint16_t)cursor_be(c, 2);
}

uint32_t cursor_be32(struct cursor *c)
{
	return (uint32_t)cursor_be(c, 4);
}

uint64_t cursor_be64(struct cursor *c)
{
	return cursor_be(c, 8);
}
