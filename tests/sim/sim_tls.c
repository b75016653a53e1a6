// SPDX-License-Identifier: GPL-3.0-or-later
// io/tls.h without cryptography: records in clear under a checksum that knows their number, so that a byte
// lost, doubled, changed or out of order between two ends is seen at once; a handshake of TLS 1.3's shape
// (the client is done before it has been judged); records of the layer's own in the midst of others.
#include "sim/sim_tls.h"

#include <stdlib.h>

#include "common/hash.h"
#include "sim/sim.h"

#define HEADER_BYTES 11 // type, length, checksum
#define BODY_MAX     TLS_RECORD_PLAINTEXT_MAX
#define MAGIC	     0x715e5510u

enum record_type {
	HELLO_CLIENT = 1,
	HELLO_SERVER,
	FINISHED,
	ALERT = 21,
	DATA = 23,
	UPDATE,
	UPDATE_REPLY
};

struct tls_context {
	const char *uri;
	uint8_t pin[SIM_PIN_BYTES];
	bool trusted;
	int64_t not_after_unix_s;
	uint32_t refs;
};

struct hello {
	char uri[128];
	uint8_t pin[SIM_PIN_BYTES];
	int64_t not_after_unix_s;
	bool trusted;
};

struct tls_session {
	uint32_t magic;
	struct tls_context *context;
	tls_sink sink;
	void *sink_context;
	bool server;
	bool started;
	bool established;
	bool failed;
	bool closed; // the peer's close_notify
	struct slice offered;
	uint64_t sent, received; // records
	struct hello peer;
	uint8_t record[HEADER_BYTES + BODY_MAX]; // as far as it has come
	uint32_t record_bytes;
	uint32_t read_at; // of a data record that the caller has not taken whole; 0: none
};

// ---- contexts ----------------------------------------------------------------------------------

struct tls_context *sim_tls_context_new(const char *uri, const uint8_t pin[SIM_PIN_BYTES],
					bool trusted, int64_t not_after_unix_s)
{
	struct tls_context *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->uri = uri;
	memcpy(c->pin, pin, SIM_PIN_BYTES);
	c->trusted = trusted;
	c->not_after_unix_s = not_after_unix_s;
	c->refs = 1;
	sim.contexts++;
	return c;
}

void tls_context_ref(struct tls_context *c)
{
	c->refs++;
}

void tls_context_unref(struct tls_context *c)
{
	if (!c || --c->refs > 0)
		return;
	sim.contexts--;
	free(c);
}

// ---- sessions ----------------------------------------------------------------------------------

enum err tls_session_new(struct tls_context *c, bool server, tls_sink sink, void *sink_context,
			 struct tls_session **out)
{
	struct tls_session *s;

	if (sim_chance(sim.knobs.tls_trouble))
		return ERR_NOMEM;
	s = malloc(sizeof(*s));
	if (!s)
		abort();
	memset(s, 0, offsetof(struct tls_session, record));
	s->record_bytes = s->read_at = 0;
	s->magic = MAGIC;
	s->context = c;
	s->server = server;
	s->sink = sink;
	s->sink_context = sink_context;
	tls_context_ref(c);
	sim.sessions++;
	*out = s;
	return ERR_OK;
}

void tls_session_free(struct tls_session *s)
{
	if (!s)
		return;
	if (s->magic != MAGIC)
		sim_fail("a TLS session is freed twice");
	s->magic = 0;
	tls_context_unref(s->context);
	sim.sessions--;
	free(s);
}

void tls_offer(struct tls_session *s, struct slice ciphertext)
{
	if (s->offered.len > 0 && !s->failed && !s->closed)
		sim_fail("ciphertext is offered before what came before it was read");
	s->offered = ciphertext;
}

static uint64_t record_checksum(uint64_t number, enum record_type type, struct slice body)
{
	return hash_bytes(body, number * 64 + type);
}

static void record_send(struct tls_session *s, enum record_type type, struct slice body)
{
	uint8_t bytes[HEADER_BYTES + BODY_MAX];
	uint64_t checksum = record_checksum(s->sent++, type, body);

	bytes[0] = (uint8_t)type;
	bytes[1] = (uint8_t)(body.len >> 8);
	bytes[2] = (uint8_t)body.len;
	memcpy(bytes + 3, &checksum, sizeof(checksum));
	if (body.len > 0)
		memcpy(bytes + HEADER_BYTES, body.ptr, body.len);
	s->sink(s->sink_context, slice_make(bytes, HEADER_BYTES + body.len));
}

static void record_take(struct tls_session *s, uint32_t upto)
{
	size_t n = s->record_bytes < upto ? upto - s->record_bytes : 0;

	if (n > s->offered.len)
		n = s->offered.len;
	if (n > 0)
		memcpy(s->record + s->record_bytes, s->offered.ptr, n);
	s->record_bytes += (uint32_t)n;
	s->offered.ptr += n;
	s->offered.len -= n;
}

// The next whole record, or NONE. The bytes lie in s->record until record_done.
static enum err record_receive(struct tls_session *s, enum record_type *type, struct slice *body)
{
	uint32_t len;
	uint64_t checksum;

	record_take(s, HEADER_BYTES);
	if (s->record_bytes < HEADER_BYTES)
		return ERR_AGAIN;
	len = (uint32_t)s->record[1] << 8 | s->record[2];
	if (len > BODY_MAX)
		sim_fail("a TLS record of %u bytes: the stream is out of step", len);
	record_take(s, HEADER_BYTES + len);
	if (s->record_bytes < HEADER_BYTES + len)
		return ERR_AGAIN;
	*type = (enum record_type)s->record[0];
	*body = slice_make(s->record + HEADER_BYTES, len);
	memcpy(&checksum, s->record + 3, sizeof(checksum));
	if (checksum != record_checksum(s->received, *type, *body))
		sim_fail(
			"TLS record %llu is not what was sent: bytes were lost, doubled or changed",
			(unsigned long long)s->received);
	s->received++;
	return ERR_OK;
}

static void record_done(struct tls_session *s)
{
	s->record_bytes = 0;
	s->read_at = 0;
}

// ---- handshake ---------------------------------------------------------------------------------

static void hello_send(struct tls_session *s, enum record_type type)
{
	struct hello h;

	memset(&h, 0, sizeof(h));
	strncpy(h.uri, s->context->uri, sizeof(h.uri) - 1);
	memcpy(h.pin, s->context->pin, sizeof(h.pin));
	h.trusted = s->context->trusted;
	h.not_after_unix_s = s->context->not_after_unix_s;
	record_send(s, type, slice_make(&h, sizeof(h)));
}

static enum err hello_judge(struct tls_session *s, struct slice body, struct reason *why)
{
	if (body.len != sizeof(s->peer))
		sim_fail("a hello of %zu bytes", body.len);
	memcpy(&s->peer, body.ptr, sizeof(s->peer));
	if (s->peer.trusted && !sim_chance(sim.knobs.tls_trouble))
		return ERR_OK;
	record_send(s, ALERT, (struct slice){0});
	s->failed = true;
	return err_because(ERR_DENIED, why, "peer's certificate is not signed by a trusted CA");
}

static enum err handshake_step(struct tls_session *s, enum record_type type, struct slice body,
			       struct reason *why)
{
	enum err err;

	if (type == ALERT) {
		s->failed = true;
		return err_because(ERR_DENIED, why, "peer refused us");
	}
	if (s->server && type == HELLO_CLIENT) {
		hello_send(s, HELLO_SERVER);
		return ERR_AGAIN;
	}
	if (type != (s->server ? FINISHED : HELLO_SERVER))
		sim_fail("a handshake meets a record of type %d", type);
	err = hello_judge(s, body, why);
	if (err != ERR_OK)
		return err;
	if (!s->server)
		hello_send(s, FINISHED);
	s->established = true;
	return ERR_OK;
}

enum err tls_handshake(struct tls_session *s, struct reason *why)
{
	enum record_type type;
	struct slice body;
	enum err err = ERR_AGAIN;

	if (s->failed)
		return ERR_DENIED;
	if (!s->server && !s->started)
		record_send(s, HELLO_CLIENT, (struct slice){0});
	s->started = true;
	while (err == ERR_AGAIN && record_receive(s, &type, &body) == ERR_OK) {
		err = handshake_step(s, type, body, why);
		record_done(s);
	}
	return err;
}

// ---- bytes -------------------------------------------------------------------------------------

// Records that are not the caller's; ERR_AGAIN: dealt with.
static enum err record_own(struct tls_session *s, enum record_type type)
{
	record_done(s);
	switch (type) {
	case UPDATE:
		record_send(s, UPDATE_REPLY, (struct slice){0});
		return ERR_AGAIN;
	case UPDATE_REPLY:
		return ERR_AGAIN;
	case ALERT:
		s->closed = true;
		return ERR_CLOSED;
	case HELLO_CLIENT:
	case HELLO_SERVER:
	case FINISHED:
	case DATA:
		break;
	}
	sim_fail("a session meets a record of type %d", type);
}

enum err tls_read(struct tls_session *s, void *out, size_t cap, size_t *len)
{
	struct slice body;
	enum record_type type = DATA;
	enum err err = ERR_OK;

	*len = 0;
	if (!s->established || s->failed || s->closed)
		return ERR_CLOSED;
	if (s->read_at == 0) {
		do {
			err = record_receive(s, &type, &body);
			if (err != ERR_OK)
				return err;
			if (type != DATA)
				err = record_own(s, type);
		} while (err == ERR_AGAIN);
		if (err != ERR_OK)
			return err;
		s->read_at = HEADER_BYTES;
	}
	*len = s->record_bytes - s->read_at < cap ? s->record_bytes - s->read_at : cap;
	memcpy(out, s->record + s->read_at, *len);
	s->read_at += (uint32_t)*len;
	if (s->read_at == s->record_bytes)
		record_done(s);
	return ERR_OK;
}

enum err tls_write(struct tls_session *s, struct slice plaintext)
{
	if (!s->established || s->failed)
		return ERR_CLOSED;
	if (sim_chance(sim.knobs.tls_trouble / 8)) {
		s->failed = true;
		return ERR_NOMEM;
	}
	while (plaintext.len > 0) {
		size_t part = plaintext.len < BODY_MAX ? plaintext.len : BODY_MAX;

		if (sim_chance(sim.knobs.key_update))
			record_send(s, UPDATE, (struct slice){0});
		record_send(s, DATA, slice_make(plaintext.ptr, part));
		plaintext.ptr += part;
		plaintext.len -= part;
	}
	return ERR_OK;
}

void tls_close_notify(struct tls_session *s)
{
	if (s->established)
		record_send(s, ALERT, (struct slice){0});
}

void tls_why(const struct tls_session *s, struct reason *why)
{
	(void)s;
	(void)err_because(ERR_OK, why, "simulated");
}

enum err tls_peer(const struct tls_session *s, struct tls_peer *out)
{
	memset(out, 0, sizeof(*out));
	if (!s->established)
		return ERR_NOT_FOUND;
	out->uri = slice_str(s->peer.uri);
	memcpy(out->key_pin, s->peer.pin, sizeof(out->key_pin));
	out->not_after_unix_s = s->peer.not_after_unix_s;
	return ERR_OK;
}

const char *tls_group_name(const struct tls_session *s)
{
	(void)s;
	return "none";
}

const char *tls_cipher_name(const struct tls_session *s)
{
	(void)s;
	return "none";
}

enum err tls_set_server_name(struct tls_session *s, const char *name)
{
	(void)s;
	(void)name;
	return ERR_OK;
}

enum err tls_update_keys(struct tls_session *s)
{
	record_send(s, UPDATE, (struct slice){0});
	return ERR_OK;
}

void tls_thread_heap(size_t bytes_max)
{
	(void)bytes_max;
}

size_t tls_thread_heap_used(void)
{
	return sim.sessions * sizeof(struct tls_session);
}

size_t tls_thread_heap_allocations(void)
{
	return sim.sessions;
}

enum err tls_global_init(void)
{
	return ERR_OK;
}
