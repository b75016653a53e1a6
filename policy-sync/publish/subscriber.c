// SPDX-License-Identifier: GPL-3.0-or-later
// One node's conversation: who it is, its certificate, its generations. What comes from the node is
// hostile until its token was checked, and bounded ever after.
#include "publish/subscriber.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "io/crypto.h"
#include "publish/rotation.h"

#define PENDING_MAX	    (2 * SYNC_FRAME_BYTES_MAX)
#define PENDING_LOW	    (256u << 10) // send the next piece when less is unsent
#define FRAME_FROM_NODE_MAX (256u << 10)
#define STRANGER_TIMEOUT_MS 5000
#define LEAVING_TIMEOUT_MS  1000
#define PIN_WAIT_MS	    1000 // for other nodes to go by a new key
#define SIGN_RETRY_MS	    1000
#define PIN_MARGIN_S	    120
#define BEHIND_LOG_MS	    30000

static void subscriber_on_ready(struct server_source *source, uint32_t events, uint64_t now_ns);

bool subscriber_is_stranger(const struct subscriber *s)
{
	return s->state == SUBSCRIBER_HANDSHAKE || s->state == SUBSCRIBER_HELLO ||
	       s->state == SUBSCRIBER_CHECKING;
}

void subscriber_set_state(struct subscriber *s, enum subscriber_state state)
{
	bool before = subscriber_is_stranger(s);

	s->state = state;
	s->server->stranger_count += (uint32_t)subscriber_is_stranger(s) - (uint32_t)before;
}

struct subscriber *subscriber_new(struct server *server, int fd, struct addr_port peer,
				  uint64_t now_ns)
{
	struct subscriber *s = calloc(1, sizeof(*s));
	struct tls_stream *stream;

	if (!s) {
		close(fd);
		return NULL;
	}
	if (tls_stream_accept(fd, server->trust.server, PENDING_MAX, &stream) != ERR_OK) {
		free(s);
		return NULL;
	}
	sync_wire_init(&s->wire, stream, FRAME_FROM_NODE_MAX, now_ns);
	s->server = server;
	s->id = server->next_id++;
	s->peer = peer;
	s->source.fd = fd;
	s->source.ready = subscriber_on_ready;
	s->events = POLLIN;
	s->deadline_ns = now_ns + STRANGER_TIMEOUT_MS * NS_PER_MS;
	subscriber_set_state(s, SUBSCRIBER_HANDSHAKE);
	s->next = server->subscribers;
	if (s->next)
		s->next->previous = s;
	server->subscribers = s;
	server->subscriber_count++;
	if (!server_watch(server, &s->source, EPOLLIN, true))
		subscriber_close(s, "node_connection_lost", "epoll");
	return s;
}

void subscriber_log(const struct subscriber *s, enum log_level level, const char *event,
		    const char *why)
{
	char peer[ADDR_PORT_TEXT_MAX];

	log_event(level, event, LOG_S("node", s->node),
		  LOG_S("peer", addr_port_format(s->peer, peer)), LOG_S("reason", why ? why : ""));
}

void subscriber_close(struct subscriber *s, const char *event, const char *why)
{
	struct server *server = s->server;

	if (s->state == SUBSCRIBER_CLOSED)
		return;
	if (event)
		subscriber_log(s, LOG_WARN, event, why);
	subscriber_set_state(s, SUBSCRIBER_CLOSED);
	if (s->previous)
		s->previous->next = s->next;
	else
		server->subscribers = s->next;
	if (s->next)
		s->next->previous = s->previous;
	server->subscriber_count--;
	sync_wire_deinit(&s->wire); // closes the descriptor, which leaves epoll by that
	s->next = server->dead;
	server->dead = s;
	server->answered = true; // who waited for it need not any more
}

void subscriber_free(struct subscriber *s)
{
	section_set_unref(s->base);
	section_set_unref(s->target);
	free(s->lines);
	free(s);
}

enum err subscriber_send(struct subscriber *s, const struct sync_message *m, uint64_t now_ns)
{
	enum err e = sync_wire_send(&s->wire, m, now_ns);

	if (e)
		subscriber_close(s, "node_connection_lost",
				 e == ERR_TOO_LARGE ? "a section is larger than a frame may be"
						    : err_name(e));
	return e;
}

// Goes as soon as the refusal is out.
static void subscriber_leave(struct subscriber *s)
{
	if (s->state == SUBSCRIBER_LEAVING && tls_stream_pending(s->wire.stream) == 0)
		subscriber_close(s, NULL, NULL);
}

void subscriber_refuse(struct subscriber *s, const char *why, uint64_t now_ns)
{
	struct sync_message m = {.type = SYNC_REFUSED, .reason = slice_str(why)};

	subscriber_log(s, LOG_WARN, "node_refused", why);
	if (subscriber_send(s, &m, now_ns) != ERR_OK)
		return;
	subscriber_set_state(s, SUBSCRIBER_LEAVING);
	s->deadline_ns = now_ns + LEAVING_TIMEOUT_MS * NS_PER_MS;
	subscriber_leave(s);
}

// ---- certificate -------------------------------------------------------------------------------

// Pins the key that the node showed. Its certificate waits until the others know the pin, lest they
// turn its first tunnels away.
bool subscriber_pin(struct subscriber *s, uint64_t now_ns)
{
	struct server *server = s->server;
	int64_t not_after_unix_s = (int64_t)time(NULL) + server->trust.lifetime_s + PIN_MARGIN_S;
	uint8_t pin[NODE_PIN_BYTES];
	bool changed;
	enum err e;

	crypto_sha256(slice_make(s->public_der, sizeof(s->public_der)), pin);
	if (pins_has(server->revoked, slice_str(s->node), pin)) {
		subscriber_log(s, LOG_WARN, "key_refused",
			       "it was taken away: another one is needed");
		return false;
	}
	e = pins_add(server->pins, slice_str(s->node), pin, not_after_unix_s, &changed);
	if (!e)
		e = server_save_pins(server);
	if (e) {
		subscriber_log(s, LOG_ERROR, "pins_not_saved", err_name(e));
		return false;
	}
	s->certificate = changed ? CERTIFICATE_PINNING : CERTIFICATE_DUE;
	s->pinned_counter = 0;
	s->certificate_due_ns = changed ? now_ns + PIN_WAIT_MS * NS_PER_MS : now_ns;
	if (changed)
		server_want_refresh(server, now_ns);
	return true;
}

void subscriber_want_certificate(struct subscriber *s, uint64_t now_ns)
{
	if (s->state != SUBSCRIBER_LIVE || s->certificate == CERTIFICATE_PINNING)
		return;
	s->certificate = CERTIFICATE_DUE;
	s->certificate_due_ns = now_ns;
	subscriber_pump(s, now_ns);
}

bool subscriber_has_answered(const struct subscriber *s, uint64_t counter)
{
	uint64_t epoch = s->server->generation.epoch;

	return (s->acknowledged.epoch == epoch && s->acknowledged.counter >= counter) ||
	       (s->refused.epoch == epoch && s->refused.counter >= counter);
}

void subscriber_on_answers(struct subscriber *s, uint64_t now_ns)
{
	if (s->state != SUBSCRIBER_LIVE || s->certificate != CERTIFICATE_PINNING)
		return;
	if (s->pinned_counter == 0 && now_ns < s->certificate_due_ns)
		return;
	for (struct subscriber *i = s->server->subscribers; i; i = i->next) {
		if (i->state == SUBSCRIBER_LIVE && strcmp(i->node, s->node) != 0 &&
		    !subscriber_has_answered(i, s->pinned_counter) &&
		    now_ns < s->certificate_due_ns)
			return;
	}
	s->certificate = CERTIFICATE_DUE;
	s->certificate_due_ns = now_ns;
	subscriber_pump(s, now_ns);
}

static void subscriber_send_certificate(struct subscriber *s, uint64_t now_ns)
{
	struct trust *trust = &s->server->trust;
	const struct ca_reply *reply;
	struct reason why = {0};
	struct sync_message m = {.type = SYNC_CERTIFICATE};
	int64_t now_unix_s = (int64_t)time(NULL);
	enum err e =
		trust_sign_node(trust, slice_str(s->node),
				slice_make(s->public_der, sizeof(s->public_der)), &reply, &why);

	if (e) {
		subscriber_log(s, LOG_ERROR, "certificate_not_signed", why.text);
		s->certificate_due_ns = now_ns + SIGN_RETRY_MS * NS_PER_MS;
		return;
	}
	m.chain_pem = slice_make(reply->chain_pem, reply->chain_bytes);
	m.trust_pem = trust_bundle(trust);
	m.not_after_unix_s = (uint64_t)reply->not_after_unix_s;
	m.renew_at_unix_s = (uint64_t)(now_unix_s + (reply->not_after_unix_s - now_unix_s) / 2);
	s->not_after_unix_s = reply->not_after_unix_s;
	s->certificate_stage = trust->stage;
	s->certificate = CERTIFICATE_SENT;
	if (subscriber_send(s, &m, now_ns) == ERR_OK)
		log_event(LOG_INFO, "certificate_signed", LOG_S("node", s->node),
			  LOG_N("not_after_unix_s", s->not_after_unix_s),
			  LOG_S("ca_stage", trust_stage_name(trust->stage)));
}

// ---- generations -------------------------------------------------------------------------------

void subscriber_drop_target(struct subscriber *s)
{
	section_set_unref(s->target);
	s->target = NULL;
	free(s->lines);
	s->lines = NULL;
	s->transfer = TRANSFER_NONE;
}

// Begins with the newest generation, unless the node has it or has refused it.
static bool subscriber_begin(struct subscriber *s, uint64_t now_ns)
{
	struct server *server = s->server;
	struct section_set *newest = server->set_count ? server->sets[0] : NULL;
	struct sync_message m = {.type = SYNC_MANIFEST,
				 .schema_min = SNAPSHOT_SCHEMA_VERSION,
				 .schema_max = SNAPSHOT_SCHEMA_VERSION};

	if (!newest || subscriber_has_answered(s, newest->generation.counter))
		return false;
	s->lines = calloc(SNAPSHOT_SECTIONS_MAX, sizeof(*s->lines));
	if (!s->lines)
		return false;
	s->target = section_set_ref(newest);
	s->line_count = section_set_differences(s->base, newest, s->lines);
	s->line_at = 0;
	s->transfer = TRANSFER_SENDING;
	m.generation = newest->generation;
	m.refs = s->lines;
	m.ref_count = s->line_count;
	return subscriber_send(s, &m, now_ns) == ERR_OK;
}

static void subscriber_send_section(struct subscriber *s, const struct section_ref *line,
				    uint64_t now_ns)
{
	struct section_blob *from = section_set_find(s->base, line->name);
	struct section_blob *to = section_set_find(s->target, line->name);
	struct sync_message m = {.type = SYNC_SECTION, .section = line->name};

	if (line->bytes == 0 || !to || !to->bytes)
		return; // gone: the manifest has said so
	memcpy(m.sha256, to->ref.sha256, sizeof(m.sha256));
	m.bytes = section_blob_patch(to, from);
	if (m.bytes.len > 0) {
		m.type = SYNC_PATCH;
		memcpy(m.from_sha256, from->ref.sha256, sizeof(m.from_sha256));
	} else {
		m.bytes = slice_make(to->bytes, to->ref.bytes);
	}
	if (subscriber_send(s, &m, now_ns) != ERR_OK)
		return;
}

static void subscriber_commit(struct subscriber *s, uint64_t now_ns)
{
	struct sync_message m = {.type = SYNC_COMMIT, .generation = s->target->generation};

	memcpy(m.sha256, s->target->digest, sizeof(m.sha256));
	s->transfer = TRANSFER_SENT;
	free(s->lines);
	s->lines = NULL;
	if (subscriber_send(s, &m, now_ns) != ERR_OK)
		return;
}

static void subscriber_watch(struct subscriber *s)
{
	short events = tls_stream_events(s->wire.stream);

	if (events == s->events)
		return;
	s->events = events;
	if (!server_watch(s->server, &s->source, events & POLLOUT ? EPOLLIN | EPOLLOUT : EPOLLIN,
			  false))
		subscriber_close(s, "node_connection_lost", "epoll");
}

void subscriber_pump(struct subscriber *s, uint64_t now_ns)
{
	while (s->state == SUBSCRIBER_LIVE && tls_stream_pending(s->wire.stream) < PENDING_LOW) {
		// Before the generation: one that names a new root must find it trusted already.
		if (s->certificate == CERTIFICATE_DUE && now_ns >= s->certificate_due_ns)
			subscriber_send_certificate(s, now_ns);
		else if (s->transfer == TRANSFER_SENDING && s->line_at < s->line_count)
			subscriber_send_section(s, &s->lines[s->line_at++], now_ns);
		else if (s->transfer == TRANSFER_SENDING)
			subscriber_commit(s, now_ns);
		else if (s->transfer == TRANSFER_SENT || !subscriber_begin(s, now_ns))
			break;
	}
	if (s->state != SUBSCRIBER_CLOSED)
		subscriber_watch(s);
}

void subscriber_on_generation(struct subscriber *s, uint64_t now_ns)
{
	if (s->state == SUBSCRIBER_LIVE && s->certificate == CERTIFICATE_PINNING &&
	    s->pinned_counter == 0)
		s->pinned_counter = s->server->generation.counter;
	subscriber_on_answers(s, now_ns);
	subscriber_pump(s, now_ns);
}

// ---- the connection -----------------------------------------------------------------------------

static void subscriber_on_ready(struct server_source *source, uint32_t events, uint64_t now_ns)
{
	struct subscriber *s = (struct subscriber *)source;
	struct reason why = {0};
	enum err e;

	(void)events;
	if (s->state == SUBSCRIBER_CLOSED)
		return; // by an event before this one
	e = tls_stream_advance(s->wire.stream, &why);
	if (e && e != ERR_AGAIN) {
		subscriber_close(s, s->state == SUBSCRIBER_LEAVING ? NULL : "node_disconnected",
				 why.text[0] ? why.text : err_name(e));
		return;
	}
	if (!e && s->state == SUBSCRIBER_HANDSHAKE)
		subscriber_set_state(s, SUBSCRIBER_HELLO);
	if (!e)
		subscriber_receive(s, now_ns);
	subscriber_leave(s);
	if (s->state != SUBSCRIBER_CLOSED)
		subscriber_pump(s, now_ns);
}

// How far it stands behind, said again and again while it lasts.
static void subscriber_note_behind(struct subscriber *s, uint64_t now_ns)
{
	struct generation wanted = s->server->generation;
	bool refused = generation_cmp(s->refused, wanted) == 0;

	if (s->server->set_count == 0 || generation_cmp(s->acknowledged, wanted) == 0) {
		s->behind_since_ns = 0;
		return;
	}
	if (s->behind_since_ns == 0) {
		s->behind_since_ns = now_ns;
		s->behind_log_ns = now_ns + BEHIND_LOG_MS * NS_PER_MS;
	}
	if (now_ns < s->behind_log_ns)
		return;
	s->behind_log_ns = now_ns + BEHIND_LOG_MS * NS_PER_MS;
	log_event(LOG_WARN, "node_behind", LOG_S("node", s->node),
		  LOG_N("wanted_epoch", wanted.epoch), LOG_N("wanted_counter", wanted.counter),
		  LOG_N("held_epoch", s->acknowledged.epoch),
		  LOG_N("held_counter", s->acknowledged.counter),
		  LOG_N("for_ms", (now_ns - s->behind_since_ns) / NS_PER_MS),
		  LOG_S("reason", refused ? s->refusal.text : "it has not answered yet"));
}

void subscriber_tick(struct subscriber *s, uint64_t now_ns)
{
	if (s->state != SUBSCRIBER_LIVE) {
		if (now_ns >= s->deadline_ns)
			subscriber_close(
				s, s->state == SUBSCRIBER_LEAVING ? NULL : "node_disconnected",
				"it did not say who it is in time");
		return;
	}
	if (sync_wire_tick(&s->wire, now_ns) != ERR_OK) {
		subscriber_close(s, "node_disconnected", "silence");
		return;
	}
	subscriber_note_behind(s, now_ns);
	subscriber_on_answers(s, now_ns);
	subscriber_pump(s, now_ns);
}
