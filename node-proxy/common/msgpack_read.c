// SPDX-License-Identifier: GPL-3.0-or-later
// Bounded msgpack cursor; see msgpack_read.h. Forms: https://msgpack.org specification.
#include "common/msgpack_read.h"

static void fail(struct cursor *c)
{
	if (c->err == ERR_OK)
		c->err = ERR_MALFORMED;
}

static uint32_t read_count(struct cursor *c, uint8_t fix, uint8_t form16, uint32_t bytes_each)
{
	uint8_t form = cursor_u8(c);
	uint32_t n = 0;

	if ((form & 0xf0) == fix)
		n = form & 0x0f;
	else if (form == form16)
		n = cursor_be16(c);
	else if (form == form16 + 1)
		n = cursor_be32(c);
	else
		fail(c);
	// Every element takes at least a byte: a count beyond that is a lie.
	if (c->err == ERR_OK && n > cursor_left(c) / bytes_each)
		fail(c);
	return c->err == ERR_OK ? n : 0;
}

uint32_t msgpack_read_map(struct cursor *c)
{
	return read_count(c, 0x80, 0xde, 2);
}

uint32_t msgpack_read_array(struct cursor *c)
{
	return read_count(c, 0x90, 0xdc, 1);
}

uint64_t msgpack_read_uint(struct cursor *c)
{
	uint8_t form = cursor_u8(c);

	if (form < 0x80)
		return form;
	switch (form) {
	case 0xc2:
	case 0xc3:
		return form & 1;
	case 0xcc:
		return cursor_u8(c);
	case 0xcd:
		return cursor_be16(c);
	case 0xce:
		return cursor_be32(c);
	case 0xcf:
		return cursor_be64(c);
	default:
		fail(c);
		return 0;
	}
}

struct slice msgpack_read_bytes(struct cursor *c)
{
	uint8_t form = cursor_u8(c);

	if ((form & 0xe0) == 0xa0)
		return cursor_take(c, form & 0x1f);
	switch (form) {
	case 0xc4:
	case 0xd9:
		return cursor_take(c, cursor_u8(c));
	case 0xc5:
	case 0xda:
		return cursor_take(c, cursor_be16(c));
	case 0xc6:
	case 0xdb:
		return cursor_take(c, cursor_be32(c));
	default:
		fail(c);
		return (struct slice){0};
	}
}

// Bytes behind the form byte of a scalar; SIZE_MAX where the length itself is still to be read.
static size_t scalar_bytes(uint8_t form)
{
	static const uint8_t fixed[] = {
		[0xca - 0xc0] = 4, [0xcb - 0xc0] = 8, [0xcc - 0xc0] = 1,  [0xcd - 0xc0] = 2,
		[0xce - 0xc0] = 4, [0xcf - 0xc0] = 8, [0xd0 - 0xc0] = 1,  [0xd1 - 0xc0] = 2,
		[0xd2 - 0xc0] = 4, [0xd3 - 0xc0] = 8, [0xd4 - 0xc0] = 2,  [0xd5 - 0xc0] = 3,
		[0xd6 - 0xc0] = 5, [0xd7 - 0xc0] = 9, [0xd8 - 0xc0] = 17,
	};

	return form >= 0xc0 && form <= 0xd8 ? fixed[form - 0xc0] : 0;
}

static void skip_bytes(struct cursor *c, uint8_t form)
{
	size_t len;

	if (form < 0x80 || form >= 0xe0)
		return; // fixint
	if ((form & 0xe0) == 0xa0)
		len = form & 0x1f;
	else if (form == 0xc4 || form == 0xd9)
		len = cursor_u8(c);
	else if (form == 0xc5 || form == 0xda)
		len = cursor_be16(c);
	else if (form == 0xc6 || form == 0xdb)
		len = cursor_be32(c);
	else if (form == 0xc7)
		len = cursor_u8(c) + 1u;
	else if (form == 0xc8)
		len = cursor_be16(c) + 1u;
	else if (form == 0xc9)
		len = (size_t)cursor_be32(c) + 1;
	else
		len = scalar_bytes(form);
	if (form == 0xc1)
		fail(c); // never used
	cursor_take(c, len);
}

void msgpack_skip(struct cursor *c)
{
	// Values still to be skipped at each open container; a loop, not recursion.
	uint64_t left[MSGPACK_DEPTH_MAX] = {1};
	int depth = 0;

	while (depth >= 0 && c->err == ERR_OK) {
		if (left[depth] == 0) {
			depth--;
			continue;
		}
		left[depth]--;
		if (cursor_left(c) == 0) {
			fail(c);
			return;
		}
		uint8_t form = *c->ptr;
		bool map = (form & 0xf0) == 0x80 || form == 0xde || form == 0xdf;
		bool array = (form & 0xf0) == 0x90 || form == 0xdc || form == 0xdd;

		if (!map && !array) {
			skip_bytes(c, cursor_u8(c));
			continue;
		}
		if (depth + 1 == MSGPACK_DEPTH_MAX) {
			fail(c);
			return;
		}
		left[++depth] = map ? 2ull * msgpack_read_map(c) : msgpack_read_array(c);
	}
}
