// SPDX-License-Identifier: GPL-3.0-or-later
// A bounded output buffer with a sticky error: writers append, the owner checks once at the end.
// Two kinds: over a caller's array (never grows) and growing by malloc up to bytes_max
// (control plane only; the data path uses the first kind and chunks of path/queue).
#pragma once

#include "common/err.h"
#include "common/slice.h"

struct buf {
	uint8_t *ptr;
	size_t len;
	size_t cap;
	size_t bytes_max; // growth limit; == cap for a fixed buffer
	enum err err;	  // first failure; later writes are no-ops
	bool owned;	  // ptr came from malloc
};

void buf_init_fixed(struct buf *b, void *ptr, size_t cap);
void buf_init_growing(struct buf *b, size_t bytes_max);
void buf_deinit(struct buf *b);
void buf_reset(struct buf *b);
void buf_put(struct buf *b, const void *ptr, size_t len);
void buf_put_slice(struct buf *b, struct slice s);
void buf_put_str(struct buf *b, const char *s);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_be16(struct buf *b, uint16_t v);
void buf_put_be32(struct buf *b, uint32_t v);
void buf_put_be64(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Text of others for a terminal or a log: controls (C0 and C1), invisible and direction-changing characters and
// invalid UTF-8 are escaped as in JSON (each invalid byte as \ufffd), so that it can neither forge a line nor
// change how one looks. quoted: quotes and backslashes too.
void buf_put_visible(struct buf *b, struct slice s, bool quoted);
// The same as a JSON string, with its quotes.
void buf_put_json_string(struct buf *b, struct slice s);
// Reserve len bytes to be filled by the caller; NULL after a failure.
uint8_t *buf_reserve(struct buf *b, size_t len);
struct slice buf_slice(const struct buf *b);

// A bounded input cursor: every read checks, the first failure sticks (after s2n's stuffer).
struct cursor {
	const uint8_t *ptr;
	const uint8_t *end;
	enum err err;
};

void cursor_init(struct cursor *c, struct slice s);
size_t cursor_left(const struct cursor *c);
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_be16(struct cursor *c);
uint32_t cursor_be32(struct cursor *c);
uint64_t cursor_be64(struct cursor *c);
struct slice cursor_take(struct cursor *c, size_t len);
