// SPDX-License-Identifier: GPL-3.0-or-later
// Encoding and decoding of tunnel frames; see tunnel_proto.h. HELLO and OPEN are msgpack maps with
// small integer keys, of which only the scalar forms are used: they are written and read here by
// hand because the data path opens a stream with it and allocates nothing. All reads are bounded by the
// payload, nothing recurses, unknown keys with a scalar value are skipped.
#include "core/tunnel_proto.h"

#define MAP_KEYS_MAX 15	 // fixmap
#define TEXT_MAX     255 // str8, bin8

enum hello_key {
	HELLO_VERSION = 1,
	HELLO_GROUP,
	HELLO_BULK,
	HELLO_EPOCH,
	HELLO_COUNTER,
	HELLO_RESETS_ON_BULK,
	HELLO_KEYS = HELLO_RESETS_ON_BULK,
};

enum open_key {
	OPEN_KIND = 1,
	OPEN_CLIENT_ADDR,
	OPEN_CLIENT_PORT,
	OPEN_SOURCE_UID,
	OPEN_SOURCE_NAMESPACE,
	OPEN_SOURCE_ACCOUNT,
	OPEN_DESTINATION_UID,
	OPEN_DESTINATION_ADDR,
	OPEN_DESTINATION_PORT,
	OPEN_EPOCH,
	OPEN_COUNTER,
	OPEN_CREDIT,
	OPEN_KEYS = OPEN_CREDIT,
};

// ---- frames ------------------------------------------------------------------------------------

enum err tunnel_decode_header(struct slice in, struct tunnel_header *out)
{
	struct cursor c;

	if (in.len < TUNNEL_HEADER_BYTES)
		return ERR_AGAIN;
	cursor_init(&c, in);
	uint32_t first = cursor_be32(&c);

	out->type = (uint8_t)(first >> 24);
	out->bytes = first & 0xffffffu;
	out->stream = cursor_be32(&c);
	if (out->type == TUNNEL_NONE)
		return ERR_MALFORMED;
	if (out->type == TUNNEL_DATA && out->bytes > TUNNEL_DATA_MAX)
		return ERR_TOO_LARGE;
	return out->bytes > TUNNEL_SKIP_MAX ? ERR_TOO_LARGE : ERR_OK;
}

void tunnel_encode_header(uint8_t out[TUNNEL_HEADER_BYTES], enum tunnel_frame type, uint32_t bytes,
			  uint32_t stream)
{
	uint32_t first = (uint32_t)type << 24 | bytes;

	for (int i = 0; i < 4; i++) {
		out[i] = (uint8_t)(first >> (24 - 8 * i));
		out[4 + i] = (uint8_t)(stream >> (24 - 8 * i));
	}
}

static void put_header(struct buf *out, enum tunnel_frame type, uint32_t bytes, uint32_t stream)
{
	uint8_t *at = buf_reserve(out, TUNNEL_HEADER_BYTES);

	if (at)
		tunnel_encode_header(at, type, bytes, stream);
}

void tunnel_encode_u16(struct buf *out, enum tunnel_frame type, uint32_t stream, uint16_t value)
{
	put_header(out, type, 2, stream);
	buf_put_be16(out, value);
}

void tunnel_encode_goaway(struct buf *out, uint16_t reason, uint32_t within_ms)
{
	put_header(out, TUNNEL_GOAWAY, 6, 0);
	buf_put_be16(out, reason);
	buf_put_be32(out, within_ms);
}

void tunnel_encode_u32(struct buf *out, enum tunnel_frame type, uint32_t stream, uint32_t value)
{
	put_header(out, type, 4, stream);
	buf_put_be32(out, value);
}

void tunnel_encode_u64(struct buf *out, enum tunnel_frame type, uint64_t value)
{
	put_header(out, type, 8, 0);
	buf_put_be64(out, value);
}

void tunnel_encode_empty(struct buf *out, enum tunnel_frame type, uint32_t stream)
{
	put_header(out, type, 0, stream);
}

enum err tunnel_decode_u16(struct slice payload, uint16_t *out)
{
	struct cursor c;

	cursor_init(&c, payload);
	*out = cursor_be16(&c);
	return c.err == ERR_OK && cursor_left(&c) == 0 ? ERR_OK : ERR_MALFORMED;
}

enum err tunnel_decode_goaway(struct slice payload, uint16_t *reason, uint32_t *within_ms)
{
	struct cursor c;

	cursor_init(&c, payload);
	*reason = cursor_be16(&c);
	*within_ms = cursor_left(&c) > 0 ? cursor_be32(&c) : 0;
	return c.err; // what a later version adds is skipped
}

enum err tunnel_decode_u32(struct slice payload, uint32_t *out)
{
	struct cursor c;

	cursor_init(&c, payload);
	*out = cursor_be32(&c);
	return c.err == ERR_OK && cursor_left(&c) == 0 ? ERR_OK : ERR_MALFORMED;
}

// ---- msgpack, the scalar forms -----------------------------------------------------------------

static void put_map(struct buf *out, uint8_t keys)
{
	buf_put_u8(out, 0x80 | keys);
}

static void put_uint(struct buf *out, uint8_t key, uint64_t value)
{
	buf_put_u8(out, key);
	if (value < 0x80) {
		buf_put_u8(out, (uint8_t)value);
	} else if (value <= UINT16_MAX) {
		buf_put_u8(out, 0xcd);
		buf_put_be16(out, (uint16_t)value);
	} else {
		buf_put_u8(out, 0xcf);
		buf_put_be64(out, value);
	}
}

static void put_bytes(struct buf *out, uint8_t key, uint8_t form, struct slice value)
{
	if (value.len > TEXT_MAX) {
		out->err = ERR_TOO_LARGE;
		return;
	}
	buf_put_u8(out, key);
	buf_put_u8(out, form);
	buf_put_u8(out, (uint8_t)value.len);
	buf_put_slice(out, value);
}

static void put_text(struct buf *out, uint8_t key, struct slice value)
{
	put_bytes(out, key, 0xd9, value);
}

static void put_binary(struct buf *out, uint8_t key, const void *ptr, size_t len)
{
	put_bytes(out, key, 0xc4, slice_make(ptr, len));
}

struct scalar {
	bool is_number;
	uint64_t number;
	struct slice bytes;
};

static void take_number(struct cursor *c, struct scalar *out, uint64_t value)
{
	(void)c;
	out->is_number = true;
	out->number = value;
}

// One scalar value of any form; a container or an extension ends the reading.
static void take_scalar(struct cursor *c, struct scalar *out)
{
	uint8_t form = cursor_u8(c);

	*out = (struct scalar){0};
	if (form < 0x80)
		take_number(c, out, form);
	else if (form >= 0xa0 && form <= 0xbf)
		out->bytes = cursor_take(c, form & 0x1f);
	else if (form == 0xc2 || form == 0xc3)
		take_number(c, out, form & 1);
	else if (form == 0xc4 || form == 0xd9)
		out->bytes = cursor_take(c, cursor_u8(c));
	else if (form == 0xc5 || form == 0xda)
		out->bytes = cursor_take(c, cursor_be16(c));
	else if (form == 0xcc)
		take_number(c, out, cursor_u8(c));
	else if (form == 0xcd)
		take_number(c, out, cursor_be16(c));
	else if (form == 0xce)
		take_number(c, out, cursor_be32(c));
	else if (form == 0xcf)
		take_number(c, out, cursor_be64(c));
	else if (form != 0xc0) // nil
		c->err = ERR_MALFORMED;
}

typedef enum err (*take_member)(void *context, uint64_t key, const struct scalar *value);

static enum err take_map(struct slice payload, take_member take, void *context)
{
	struct cursor c;

	cursor_init(&c, payload);
	uint8_t form = cursor_u8(&c);

	if (c.err != ERR_OK || (form & 0xf0) != 0x80)
		return ERR_MALFORMED;
	for (uint8_t left = form & MAP_KEYS_MAX; left > 0; left--) {
		struct scalar key, value;

		take_scalar(&c, &key);
		take_scalar(&c, &value);
		if (c.err != ERR_OK || !key.is_number)
			return ERR_MALFORMED;
		enum err err = take(context, key.number, &value);

		if (err != ERR_OK)
			return err;
	}
	return cursor_left(&c) == 0 ? ERR_OK : ERR_MALFORMED;
}

static enum err take_port(const struct scalar *v, uint16_t *out)
{
	if (!v->is_number || v->number == 0 || v->number > UINT16_MAX)
		return ERR_MALFORMED;
	*out = (uint16_t)v->number;
	return ERR_OK;
}

static enum err take_addr(const struct scalar *v, struct addr *out)
{
	if (v->bytes.len != sizeof(out->bytes))
		return ERR_MALFORMED;
	memcpy(out->bytes, v->bytes.ptr, sizeof(out->bytes));
	return ERR_OK;
}

// ---- HELLO -------------------------------------------------------------------------------------

// The payload is measured by encoding it behind a header that is filled in afterwards.
static void finish_frame(struct buf *out, size_t start, enum tunnel_frame type, uint32_t stream)
{
	if (out->err != ERR_OK)
		return;
	tunnel_encode_header(out->ptr + start, type,
			     (uint32_t)(out->len - start - TUNNEL_HEADER_BYTES), stream);
}

void tunnel_encode_hello(struct buf *out, const struct tunnel_hello *v)
{
	size_t start = out->len;

	put_header(out, TUNNEL_HELLO, 0, 0);
	put_map(out, HELLO_KEYS);
	put_uint(out, HELLO_VERSION, v->version);
	put_binary(out, HELLO_GROUP, v->group, sizeof(v->group));
	put_uint(out, HELLO_BULK, v->bulk);
	put_uint(out, HELLO_EPOCH, v->generation.epoch);
	put_uint(out, HELLO_COUNTER, v->generation.counter);
	put_uint(out, HELLO_RESETS_ON_BULK, v->resets_on_bulk);
	finish_frame(out, start, TUNNEL_HELLO, 0);
}

static enum err hello_member(void *context, uint64_t key, const struct scalar *v)
{
	struct tunnel_hello *out = context;

	switch (key) {
	case HELLO_VERSION:
		out->version = v->number > UINT32_MAX ? UINT32_MAX : (uint32_t)v->number;
		return ERR_OK;
	case HELLO_GROUP:
		if (v->bytes.len != sizeof(out->group))
			return ERR_MALFORMED;
		memcpy(out->group, v->bytes.ptr, sizeof(out->group));
		return ERR_OK;
	case HELLO_BULK:
		out->bulk = v->number != 0;
		return ERR_OK;
	case HELLO_EPOCH:
		out->generation.epoch = v->number;
		return ERR_OK;
	case HELLO_COUNTER:
		out->generation.counter = v->number;
		return ERR_OK;
	case HELLO_RESETS_ON_BULK:
		out->resets_on_bulk = v->number != 0;
		return ERR_OK;
	default:
		return ERR_OK; // a later version's
	}
}

enum err tunnel_decode_hello(struct slice payload, struct tunnel_hello *out)
{
	memset(out, 0, sizeof(*out));
	enum err err = take_map(payload, hello_member, out);

	if (err == ERR_OK && out->version == 0)
		return ERR_MALFORMED;
	return err;
}

// ---- OPEN --------------------------------------------------------------------------------------

void tunnel_encode_open(struct buf *out, uint32_t stream, const struct tunnel_open *v)
{
	size_t start = out->len;

	put_header(out, TUNNEL_OPEN, 0, stream);
	put_map(out, OPEN_KEYS);
	put_uint(out, OPEN_KIND, v->kind);
	put_binary(out, OPEN_CLIENT_ADDR, v->client.addr.bytes, sizeof(v->client.addr.bytes));
	put_uint(out, OPEN_CLIENT_PORT, v->client.port);
	put_text(out, OPEN_SOURCE_UID, v->source_uid);
	put_text(out, OPEN_SOURCE_NAMESPACE, v->source_namespace);
	put_text(out, OPEN_SOURCE_ACCOUNT, v->source_account);
	put_text(out, OPEN_DESTINATION_UID, v->destination_uid);
	put_binary(out, OPEN_DESTINATION_ADDR, v->destination.addr.bytes,
		   sizeof(v->destination.addr.bytes));
	put_uint(out, OPEN_DESTINATION_PORT, v->destination.port);
	put_uint(out, OPEN_EPOCH, v->generation.epoch);
	put_uint(out, OPEN_COUNTER, v->generation.counter);
	put_uint(out, OPEN_CREDIT, v->credit);
	finish_frame(out, start, TUNNEL_OPEN, stream);
}

static enum err open_member(void *context, uint64_t key, const struct scalar *v)
{
	struct tunnel_open *out = context;

	switch (key) {
	case OPEN_KIND:
		if (v->number == 0 || v->number >= TUNNEL_SOURCE_COUNT)
			return ERR_MALFORMED;
		out->kind = (enum tunnel_source_kind)v->number;
		return ERR_OK;
	case OPEN_CLIENT_ADDR:
		return take_addr(v, &out->client.addr);
	case OPEN_CLIENT_PORT:
		return take_port(v, &out->client.port);
	case OPEN_SOURCE_UID:
		out->source_uid = v->bytes;
		return ERR_OK;
	case OPEN_SOURCE_NAMESPACE:
		out->source_namespace = v->bytes;
		return ERR_OK;
	case OPEN_SOURCE_ACCOUNT:
		out->source_account = v->bytes;
		return ERR_OK;
	case OPEN_DESTINATION_UID:
		out->destination_uid = v->bytes;
		return ERR_OK;
	case OPEN_DESTINATION_ADDR:
		return take_addr(v, &out->destination.addr);
	case OPEN_DESTINATION_PORT:
		return take_port(v, &out->destination.port);
	case OPEN_EPOCH:
		out->generation.epoch = v->number;
		return ERR_OK;
	case OPEN_COUNTER:
		out->generation.counter = v->number;
		return ERR_OK;
	case OPEN_CREDIT:
		if (v->number == 0 || v->number > TUNNEL_CREDIT_MAX)
			return ERR_MALFORMED;
		out->credit = (uint32_t)v->number;
		return ERR_OK;
	default:
		return ERR_OK; // a later version's
	}
}

enum err tunnel_decode_open(struct slice payload, struct tunnel_open *out)
{
	memset(out, 0, sizeof(*out));
	out->credit = TUNNEL_CREDIT_INITIAL;
	enum err err = take_map(payload, open_member, out);

	if (err != ERR_OK)
		return err;
	if (out->kind == TUNNEL_SOURCE_NONE || addr_is_none(out->client.addr) ||
	    addr_is_none(out->destination.addr) || out->client.port == 0 ||
	    out->destination.port == 0 || out->destination_uid.len == 0)
		return ERR_MALFORMED;
	return ERR_OK;
}

const char *tunnel_reason_name(enum tunnel_reason r)
{
	static const char *const names[TUNNEL_REASON_COUNT] = {
		[TUNNEL_REASON_NONE] = "none",
		[TUNNEL_REASON_DENIED] = "denied",
		[TUNNEL_REASON_IDENTITY] = "identity",
		[TUNNEL_REASON_DESTINATION] = "destination",
		[TUNNEL_REASON_UNREACHABLE] = "unreachable",
		[TUNNEL_REASON_TIMEOUT] = "timeout",
		[TUNNEL_REASON_OVERLOADED] = "overloaded",
		[TUNNEL_REASON_PROTOCOL] = "protocol",
		[TUNNEL_REASON_RESET] = "reset",
		[TUNNEL_REASON_POLICY_CHANGED] = "policy_changed",
		[TUNNEL_REASON_SHUTDOWN] = "shutdown",
		[TUNNEL_REASON_NO_SNAPSHOT] = "no_snapshot",
		[TUNNEL_REASON_IDLE] = "idle",
	};

	return (unsigned int)r < TUNNEL_REASON_COUNT ? names[r] : "invalid";
}
