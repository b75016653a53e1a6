// SPDX-License-Identifier: GPL-3.0-or-later
// One connection at a time, servers in turn, backoff with jitter between tries.
#include "control/sync_client.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "control/resolve.h"
#include "io/crypto.h"

#define BACKOFF_MIN_MS	    50
#define BACKOFF_MAX_MS	    3000
#define STABLE_MS	    5000
#define RESOLVE_TIMEOUT_MS  5000
#define CONNECT_TIMEOUT_MS  5000
#define GREETING_TIMEOUT_MS 5000
#define PENDING_MAX	    (1u << 20)
#define TRUST_PEM_MAX	    (256u << 10)
#define TOKEN_MAX	    8192
#define MESSAGE_ARENA_BYTES (1u << 20)
#define MESSAGES_PER_TURN   256

enum sync_client_state {
	CLIENT_WAITING = 0, // for the backoff
	CLIENT_RESOLVING,
	CLIENT_CONNECTING, // TCP and TLS
	CLIENT_GREETING,   // HELLO is sent
	CLIENT_LIVE,
};

struct sync_client {
	struct sync_client_options options;
	const struct sync_client_events *events;
	void *context;
	struct resolve_target servers[SYNC_CLIENT_SERVERS_MAX];
	uint32_t server_count;
	uint32_t server;
	enum sync_client_state state;
	uint64_t deadline_ns; // of the state; CLIENT_LIVE has the wire's
	uint64_t live_ns;     // since when
	uint32_t backoff_ms;
	uint64_t attempts;
	struct resolve_job *job;
	struct sync_wire wire; // from CONNECTING on
	bool more;	       // messages are left over from the last turn
	size_t token_len;
	uint8_t token[TOKEN_MAX];
};

static enum err must_check sync_client_parse(struct sync_client *c, const char *text,
					     struct reason *why)
{
	struct slice rest = slice_str(text);

	while (rest.len > 0) {
		size_t end = slice_find(rest, ',');
		struct slice one = slice_make(rest.ptr, end);

		if (c->server_count == SYNC_CLIENT_SERVERS_MAX)
			return err_because(ERR_CONFIG, why, "more than %d servers",
					   SYNC_CLIENT_SERVERS_MAX);
		if (resolve_parse(one, &c->servers[c->server_count]) != ERR_OK)
			return err_because(ERR_CONFIG, why, "'%.*s' is not HOST:PORT",
					   SLICE_ARG(one));
		c->server_count++;
		rest = end == rest.len ? (struct slice){0}
				       : slice_make(rest.ptr + end + 1, rest.len - end - 1);
	}
	return c->server_count > 0 ? ERR_OK : err_because(ERR_CONFIG, why, "no server is named");
}

enum err sync_client_new(const struct sync_client_options *options,
			 const struct sync_client_events *events, void *context,
			 struct sync_client **out, struct reason *why)
{
	struct sync_client *c = calloc(1, sizeof(*c));
	enum err e;

	if (!c)
		return err_because(ERR_NOMEM, why, "out of memory");
	c->options = *options;
	c->events = events;
	c->context = context;
	e = sync_client_parse(c, options->servers, why);
	if (e) {
		free(c);
		return e;
	}
	*out = c;
	return ERR_OK;
}

static void sync_client_drop(struct sync_client *c)
{
	resolve_end(c->job);
	c->job = NULL;
	if (c->wire.stream)
		sync_wire_deinit(&c->wire);
	c->more = false;
}

void sync_client_free(struct sync_client *c)
{
	if (!c)
		return;
	sync_client_drop(c);
	explicit_bzero(c->token, sizeof(c->token));
	free(c);
}

const char *sync_client_server(const struct sync_client *c)
{
	return c->servers[c->server].host;
}

uint64_t sync_client_attempts(const struct sync_client *c)
{
	return c->attempts;
}

bool sync_client_is_live(const struct sync_client *c)
{
	return c->state == CLIENT_LIVE;
}

void sync_client_restart(struct sync_client *c, const char *why, uint64_t now_ns)
{
	bool was_live = c->state == CLIENT_LIVE;
	uint32_t random = 0;
	enum err e = crypto_random(&random, sizeof(random));

	(void)e; // without randomness: without jitter
	log_event(LOG_WARN, was_live ? "sync_disconnected" : "sync_connect_failed",
		  LOG_S("server", sync_client_server(c)), LOG_N("port", c->servers[c->server].port),
		  LOG_S("reason", why));
	sync_client_drop(c);
	if (!was_live)
		c->server = (c->server + 1) % c->server_count;
	c->state = CLIENT_WAITING;
	// A connection that ended as soon as it was there is no reason to hurry.
	if (was_live && now_ns >= c->live_ns + STABLE_MS * NS_PER_MS)
		c->backoff_ms = 0;
	c->backoff_ms = c->backoff_ms == 0 ? BACKOFF_MIN_MS : c->backoff_ms * 2;
	if (c->backoff_ms > BACKOFF_MAX_MS)
		c->backoff_ms = BACKOFF_MAX_MS;
	// Half of it at least, so that no two nodes keep in step.
	c->deadline_ns =
		now_ns + (c->backoff_ms / 2 + random % (c->backoff_ms / 2 + 1)) * NS_PER_MS;
	c->events->ended(c->context);
}

static void sync_client_fail(struct sync_client *c, enum err e, const struct reason *why,
			     uint64_t now_ns)
{
	sync_client_restart(c, why->text[0] ? why->text : err_name(e), now_ns);
}

enum err sync_client_token(struct sync_client *c, struct slice *out)
{
	struct buf b;
	enum err e;

	explicit_bzero(c->token, sizeof(c->token));
	buf_init_fixed(&b, c->token, sizeof(c->token));
	e = file_read(c->options.token_file, sizeof(c->token), &b);
	if (e)
		return e;
	c->token_len = b.len;
	while (c->token_len > 0 &&
	       (c->token[c->token_len - 1] == '\n' || c->token[c->token_len - 1] == '\r'))
		c->token_len--;
	*out = slice_make(c->token, c->token_len);
	return ERR_OK;
}

static void sync_client_start(struct sync_client *c, uint64_t now_ns)
{
	c->attempts++;
	if (resolve_start(&c->servers[c->server], &c->job) != ERR_OK) {
		sync_client_restart(c, "cannot start a look-up", now_ns);
		return;
	}
	c->state = CLIENT_RESOLVING;
	c->deadline_ns = now_ns + RESOLVE_TIMEOUT_MS * NS_PER_MS;
}

// Trust from the file (the operator's word), or from the bundle that we were given last: a root
// that was rotated in since the file was written is only in the latter.
static enum err must_check sync_client_context(struct sync_client *c, struct tls_context **out,
					       struct reason *why)
{
	struct tls_config config = {.alpn = slice_str(SYNC_ALPN)};
	struct slice given = c->events->trust(c->context);
	struct buf pem;
	enum err e = ERR_OK;

	buf_init_growing(&pem, TRUST_PEM_MAX);
	if (given.len > 0 && c->attempts % 2 == 0) {
		config.trust_pem = given;
	} else {
		e = file_read(c->options.trust_file, TRUST_PEM_MAX, &pem);
		config.trust_pem = buf_slice(&pem);
		if (e || pem.len == 0)
			e = err_because(e ? e : ERR_CONFIG, why, "cannot read trust bundle %s: %s",
					c->options.trust_file,
					e == ERR_NOT_FOUND ? "not there (yet)"
					: e		   ? strerror(errno)
							   : "it is empty");
	}
	if (!e)
		e = tls_context_new(&config, out, why);
	buf_deinit(&pem);
	return e;
}

static void sync_client_connect(struct sync_client *c, struct addr_port to, uint64_t now_ns)
{
	struct tls_context *context = NULL;
	struct tls_stream *stream;
	struct reason why = {0};
	enum err e = sync_client_context(c, &context, &why);

	if (!e) {
		e = tls_stream_connect(to, context, SYNC_SERVER_NAME, PENDING_MAX, &stream);
		tls_context_unref(context);
		if (e == ERR_IO)
			err_because(e, &why, "connect: %s", strerror(errno));
	}
	if (e) {
		sync_client_fail(c, e, &why, now_ns);
		return;
	}
	sync_wire_init(&c->wire, stream, SYNC_FRAME_BYTES_MAX, now_ns);
	c->state = CLIENT_CONNECTING;
	c->deadline_ns = now_ns + CONNECT_TIMEOUT_MS * NS_PER_MS;
}

static void sync_client_resolved(struct sync_client *c, uint64_t now_ns)
{
	struct addr_port to;
	enum err e = resolve_result(c->job, &to);

	if (e == ERR_AGAIN)
		return;
	resolve_end(c->job);
	c->job = NULL;
	if (e)
		sync_client_restart(c, "no such host", now_ns);
	else
		sync_client_connect(c, to, now_ns);
}

static void sync_client_greet(struct sync_client *c, uint64_t now_ns)
{
	struct sync_message hello = {.type = SYNC_HELLO,
				     .version = SYNC_PROTO_VERSION,
				     .schema_min = SNAPSHOT_SCHEMA_OLDEST,
				     .schema_max = SNAPSHOT_SCHEMA_VERSION,
				     .node = slice_str(c->options.node)};
	struct reason why = {0};
	enum err e = sync_client_token(c, &hello.token);

	if (e)
		err_because(e, &why, "cannot read token file %s", c->options.token_file);
	else
		e = c->events->hello(c->context, &hello);
	if (!e)
		e = sync_wire_send(&c->wire, &hello, now_ns);
	explicit_bzero(c->token, sizeof(c->token));
	if (e) {
		sync_client_fail(c, e, &why, now_ns);
		return;
	}
	c->state = CLIENT_GREETING;
	c->deadline_ns = now_ns + GREETING_TIMEOUT_MS * NS_PER_MS;
}

static void sync_client_take(struct sync_client *c, const struct sync_message *m, uint64_t now_ns)
{
	struct reason why = {0};

	if (m->type == SYNC_REFUSED) {
		err_because(ERR_DENIED, &why, "refused: %.*s", SLICE_ARG(m->reason));
		sync_client_restart(c, why.text, now_ns);
		return;
	}
	if (c->state == CLIENT_GREETING) {
		if (m->type != SYNC_WELCOME || m->version != SYNC_PROTO_VERSION) {
			sync_client_restart(c, "not a WELCOME of our version", now_ns);
			return;
		}
		log_event(LOG_INFO, "sync_connected", LOG_S("server", sync_client_server(c)),
			  LOG_N("port", c->servers[c->server].port),
			  LOG_S("group", tls_group_name(tls_stream_session(c->wire.stream))));
		c->state = CLIENT_LIVE;
		c->live_ns = now_ns;
	}
	c->events->message(c->context, m, now_ns);
}

static void sync_client_receive(struct sync_client *c, uint64_t now_ns)
{
	struct sync_message m;
	struct arena arena;
	enum err e = ERR_OK;

	arena_init(&arena, MESSAGE_ARENA_BYTES);
	c->more = true;
	for (int i = 0; i < MESSAGES_PER_TURN && c->wire.stream; i++) {
		arena_reset(&arena);
		e = sync_wire_next(&c->wire, &arena, now_ns, &m);
		if (e)
			break;
		sync_client_take(c, &m, now_ns);
	}
	arena_deinit(&arena);
	if (!c->wire.stream)
		return; // ended by what it said
	if (e)
		c->more = false;
	if (e && e != ERR_AGAIN)
		sync_client_restart(
			c, e == ERR_CLOSED ? "policy-sync has closed the connection" : err_name(e),
			now_ns);
}

static void sync_client_advance(struct sync_client *c, uint64_t now_ns)
{
	struct reason why = {0};
	enum err e = tls_stream_advance(c->wire.stream, &why);

	if (e && e != ERR_AGAIN) {
		sync_client_fail(c, e, &why, now_ns);
		return;
	}
	if (!e && c->state == CLIENT_CONNECTING)
		sync_client_greet(c, now_ns);
	if (!e && c->state >= CLIENT_GREETING)
		sync_client_receive(c, now_ns);
	if (c->state == CLIENT_LIVE && sync_wire_tick(&c->wire, now_ns) != ERR_OK)
		sync_client_restart(c, "policy-sync is silent", now_ns);
}

void sync_client_turn(struct sync_client *c, uint64_t now_ns)
{
	switch (c->state) {
	case CLIENT_WAITING:
		if (now_ns >= c->deadline_ns)
			sync_client_start(c, now_ns);
		break;
	case CLIENT_RESOLVING:
		sync_client_resolved(c, now_ns);
		break;
	case CLIENT_CONNECTING:
	case CLIENT_GREETING:
	case CLIENT_LIVE:
		sync_client_advance(c, now_ns);
		break;
	}
	if (c->state != CLIENT_LIVE && c->state != CLIENT_WAITING && now_ns >= c->deadline_ns)
		sync_client_restart(c, "timed out", now_ns);
}

struct pollfd sync_client_poll(const struct sync_client *c)
{
	if (c->job)
		return (struct pollfd){.fd = resolve_fd(c->job), .events = POLLIN};
	if (c->wire.stream)
		return (struct pollfd){.fd = tls_stream_fd(c->wire.stream),
				       .events = tls_stream_events(c->wire.stream)};
	return (struct pollfd){.fd = -1};
}

uint64_t sync_client_due_ns(const struct sync_client *c)
{
	if (c->more)
		return 0;
	return c->state == CLIENT_LIVE ? sync_wire_due_ns(&c->wire) : c->deadline_ns;
}

enum err sync_client_send(struct sync_client *c, const struct sync_message *m, uint64_t now_ns)
{
	enum err e;

	if (c->state != CLIENT_LIVE)
		return ERR_CLOSED;
	e = sync_wire_send(&c->wire, m, now_ns);
	if (e)
		sync_client_restart(c, err_name(e), now_ns);
	return e;
}
