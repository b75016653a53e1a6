// SPDX-License-Identifier: GPL-3.0-or-later
// What a node says, and what follows: HELLO, RENEW, ACK, NACK, INSTALLED. Hostile until its token
// was checked, and bounded ever after.
#include "publish/subscriber.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"

#define MESSAGE_ARENA_BYTES (1u << 20)
#define MESSAGES_PER_TURN   64 // a node says one or two things a generation: more is a flood
#define REFUSED_RETRY_MS    30000

static void subscriber_close_oldest(struct subscriber *s)
{
	struct subscriber *oldest = NULL;
	uint32_t count = 0;

	for (struct subscriber *i = s->server->subscribers; i; i = i->next) {
		if (i->state != SUBSCRIBER_LIVE || strcmp(i->node, s->node) != 0)
			continue;
		count++;
		if (i != s && (!oldest || i->id < oldest->id))
			oldest = i;
	}
	if (count > SERVER_CONNECTIONS_PER_NODE_MAX)
		subscriber_close(oldest, "node_connection_replaced", "the node has too many");
}

static void subscriber_welcome(struct subscriber *s, uint64_t now_ns)
{
	struct sync_message m = {.type = SYNC_WELCOME,
				 .version = SYNC_PROTO_VERSION,
				 .schema_min = SNAPSHOT_SCHEMA_VERSION,
				 .schema_max = SNAPSHOT_SCHEMA_VERSION};

	if (!subscriber_pin(s, now_ns)) {
		subscriber_refuse(s, "the key was taken away, or its pin cannot be saved", now_ns);
		return;
	}
	if (subscriber_send(s, &m, now_ns) != ERR_OK)
		return;
	subscriber_set_state(s, SUBSCRIBER_LIVE);
	log_event(LOG_INFO, "node_connected", LOG_S("node", s->node),
		  LOG_N("held_epoch", s->acknowledged.epoch),
		  LOG_N("held_counter", s->acknowledged.counter));
	subscriber_close_oldest(s);
	subscriber_pump(s, now_ns);
}

static void subscriber_renewed(struct subscriber *s, enum err e, const char *why, uint64_t now_ns)
{
	s->renewing = false;
	if (e) {
		// The certificate that it has stays good: only the new one is refused.
		subscriber_log(s, LOG_WARN, "renewal_refused", why);
		return;
	}
	memcpy(s->public_der, s->public_asked, sizeof(s->public_der));
	if (subscriber_pin(s, now_ns))
		subscriber_pump(s, now_ns);
}

static void subscriber_on_checked(void *context, uint64_t id, enum err e, const char *why)
{
	struct server *server = context;
	uint64_t now_ns = clock_monotonic_ns();
	struct subscriber *s = server->subscribers;

	while (s && s->id != id)
		s = s->next;
	if (!s)
		return; // it left meanwhile
	if (s->state == SUBSCRIBER_LIVE && s->renewing)
		subscriber_renewed(s, e, why, now_ns);
	else if (s->state == SUBSCRIBER_CHECKING && e)
		subscriber_refuse(s, why, now_ns);
	else if (s->state == SUBSCRIBER_CHECKING && !server_knows_node(server, slice_str(s->node)))
		subscriber_refuse(s, "unknown node: the cluster has none of this name", now_ns);
	else if (s->state == SUBSCRIBER_CHECKING)
		subscriber_welcome(s, now_ns);
}

static void subscriber_check(struct subscriber *s, struct slice token)
{
	struct authenticator *a = s->server->options.authenticator;

	if (a)
		a->check(a, slice_str(s->node), token, s->id, subscriber_on_checked, s->server);
	else
		subscriber_on_checked(s->server, s->id, ERR_DENIED,
				      "no way to authenticate nodes is configured");
}

// The generation that it says it holds, if it is one of ours with the very same content.
static struct generation subscriber_find_held(const struct subscriber *s, struct generation g)
{
	for (uint32_t i = 0; i < s->server->set_count; i++) {
		const struct section_set *set = s->server->sets[i];

		if (memcmp(&g, &set->generation, sizeof(g)) == 0 && section_set_same(s->base, set))
			return g;
	}
	return (struct generation){0};
}

static void subscriber_on_hello(struct subscriber *s, const struct sync_message *m, uint64_t now_ns)
{
	if (m->node.len > 0 && m->node.len < sizeof(s->node) && authenticate_is_node_name(m->node))
		memcpy(s->node, m->node.ptr, m->node.len);
	if (m->type != SYNC_HELLO || s->node[0] == 0) {
		subscriber_refuse(s, "not a HELLO with a node name", now_ns);
		return;
	}
	if (m->version != SYNC_PROTO_VERSION) {
		subscriber_refuse(s, "other version of the sync protocol", now_ns);
		return;
	}
	if (m->schema_min > SNAPSHOT_SCHEMA_VERSION || m->schema_max < SNAPSHOT_SCHEMA_VERSION) {
		subscriber_refuse(s, "the node does not read our snapshot schema", now_ns);
		return;
	}
	if (m->public_key.len != sizeof(s->public_der)) {
		subscriber_refuse(s, "not a P-256 public key", now_ns);
		return;
	}
	memcpy(s->public_der, m->public_key.ptr, sizeof(s->public_der));
	if (section_set_of_node(m->generation, m->refs, m->ref_count, s->server->sets,
				s->server->set_count, &s->base) != ERR_OK) {
		subscriber_refuse(s, "the held sections make no sense", now_ns);
		return;
	}
	s->acknowledged = subscriber_find_held(s, m->generation);
	subscriber_set_state(s, SUBSCRIBER_CHECKING);
	subscriber_check(s, m->token);
}

static void subscriber_on_answer(struct subscriber *s, const struct sync_message *m,
				 uint64_t now_ns)
{
	struct generation g = m->generation;
	char why[REASON_BYTES_MAX];

	if (s->transfer != TRANSFER_SENT || memcmp(&g, &s->target->generation, sizeof(g)) != 0) {
		if (m->type == SYNC_ACK || s->transfer != TRANSFER_SENDING)
			return; // of a generation that is not on its way: late or made up
	}
	s->server->answered = true;
	if (m->type == SYNC_ACK) {
		section_set_unref(s->base);
		s->base = section_set_ref(s->target);
		s->acknowledged = g;
		log_event(LOG_INFO, "snapshot_acknowledged", LOG_S("node", s->node),
			  LOG_N("epoch", g.epoch), LOG_N("counter", g.counter),
			  LOG_N("after_ms", (now_ns - s->server->published_ns) / NS_PER_MS));
	} else {
		s->refused = s->target->generation;
		snprintf(s->refusal.text, sizeof(s->refusal.text), "%.*s", SLICE_ARG(m->reason));
		snprintf(why, sizeof(why), "%s", s->refusal.text);
		log_event(LOG_ERROR, "snapshot_refused_by_node", LOG_S("node", s->node),
			  LOG_N("epoch", s->refused.epoch), LOG_N("counter", s->refused.counter),
			  LOG_S("reason", why));
	}
	subscriber_drop_target(s);
	subscriber_pump(s, now_ns);
}

static void subscriber_on_installed(struct subscriber *s, const struct sync_message *m,
				    uint64_t now_ns)
{
	if (m->reason.len > 0) {
		log_event(LOG_ERROR, "certificate_refused_by_node", LOG_S("node", s->node),
			  LOG_B("reason", m->reason));
		if (s->certificate == CERTIFICATE_SENT) {
			s->certificate = CERTIFICATE_DUE;
			s->certificate_due_ns = now_ns + REFUSED_RETRY_MS * NS_PER_MS;
		}
		return;
	}
	if (s->certificate != CERTIFICATE_SENT ||
	    m->not_after_unix_s != (uint64_t)s->not_after_unix_s)
		return; // of an earlier one
	s->certificate = CERTIFICATE_INSTALLED;
	s->server->answered = true;
}

static void subscriber_on_message(struct subscriber *s, const struct sync_message *m,
				  uint64_t now_ns)
{
	if (s->state == SUBSCRIBER_HELLO) {
		subscriber_on_hello(s, m, now_ns);
		return;
	}
	if (s->state != SUBSCRIBER_LIVE)
		return;
	if (m->type == SYNC_ACK || m->type == SYNC_NACK) {
		subscriber_on_answer(s, m, now_ns);
	} else if (m->type == SYNC_INSTALLED) {
		subscriber_on_installed(s, m, now_ns);
	} else if (m->type == SYNC_PING) {
		server_note_capture(s->server, s->node, m->capture, now_ns);
	} else if (m->type == SYNC_RENEW && !s->renewing) {
		if (m->public_key.len != sizeof(s->public_asked)) {
			subscriber_log(s, LOG_WARN, "renewal_refused", "not a P-256 public key");
			return;
		}
		memcpy(s->public_asked, m->public_key.ptr, sizeof(s->public_asked));
		s->renewing = true;
		subscriber_check(s, m->token);
	}
}

void subscriber_receive(struct subscriber *s, uint64_t now_ns)
{
	struct sync_message m;
	struct arena arena;
	enum err e = ERR_OK;

	arena_init(&arena, MESSAGE_ARENA_BYTES);
	for (int i = 0; !e && s->state != SUBSCRIBER_CLOSED; i++) {
		arena_reset(&arena);
		e = i < MESSAGES_PER_TURN ? sync_wire_next(&s->wire, &arena, now_ns, &m)
					  : ERR_TOO_LARGE;
		if (!e)
			subscriber_on_message(s, &m, now_ns);
	}
	arena_deinit(&arena);
	if (e && e != ERR_AGAIN)
		subscriber_close(s, s->state == SUBSCRIBER_LEAVING ? NULL : "node_disconnected",
				 err_name(e));
}
