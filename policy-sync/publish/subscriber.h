// SPDX-License-Identifier: GPL-3.0-or-later
// subscriber: the conversation with one connected node (common/sync_proto.h says who sends what
// when). It proves itself, gets a certificate once its new key is pinned everywhere, and follows
// the generations, one at a time: the next one goes out when it has answered the one before, so a
// slow node gets fewer, larger steps and never a queue.
#pragma once

#include "common/log.h"
#include "core/snapshot.h"
#include "io/sync_wire.h"
#include "publish/server.h"

enum subscriber_state {
	SUBSCRIBER_CLOSED = 0, // on the dead list
	SUBSCRIBER_HANDSHAKE,
	SUBSCRIBER_HELLO,    // waits for it
	SUBSCRIBER_CHECKING, // waits for the authenticator
	SUBSCRIBER_LIVE,
	SUBSCRIBER_LEAVING, // a refusal is on its way out
};

enum subscriber_certificate {
	CERTIFICATE_NONE = 0,
	CERTIFICATE_PINNING, // its key is in a generation that not every other node goes by yet
	CERTIFICATE_DUE,     // to be signed and sent
	CERTIFICATE_SENT,
	CERTIFICATE_INSTALLED,
};

enum subscriber_transfer { TRANSFER_NONE = 0, TRANSFER_SENDING, TRANSFER_SENT };

struct subscriber {
	struct server_source source; // first member
	struct server *server;
	struct subscriber *next, *previous;
	uint64_t id;
	struct sync_wire wire;
	enum subscriber_state state;
	short events;	      // asked of epoll
	uint64_t deadline_ns; // of HANDSHAKE to CHECKING, and of LEAVING
	struct addr_port peer;
	char node[254];
	// generations
	struct section_set *base;   // what it holds: acknowledged, or said in HELLO
	struct section_set *target; // on its way
	enum subscriber_transfer transfer;
	struct section_ref *lines; // of the manifest, while SENDING
	uint32_t line_count;
	uint32_t line_at;
	struct generation acknowledged;
	struct generation refused; // the last one that it did not take
	struct reason refusal;
	uint64_t behind_since_ns; // there is a newer generation than it goes by; 0: there is not
	uint64_t behind_log_ns;
	// certificate
	enum subscriber_certificate certificate;
	enum ca_stage certificate_stage; // of the CA when it was signed
	uint8_t public_der[CA_PUBLIC_BYTES];
	uint8_t public_asked[CA_PUBLIC_BYTES]; // by RENEW, until the token is checked
	bool renewing;
	uint64_t pinned_counter;     // generation that holds its pin; 0: the next one
	uint64_t certificate_due_ns; // go on at the latest (PINNING); not before (DUE)
	int64_t not_after_unix_s;
};

// Takes fd. NULL: out of memory; fd is closed.
struct subscriber *subscriber_new(struct server *server, int fd, struct addr_port peer,
				  uint64_t now_ns);
// event: the log's; NULL: none. Freed at the end of the turn.
void subscriber_close(struct subscriber *s, const char *event, const char *why);
void subscriber_free(struct subscriber *s);
// Sends whatever is to be sent now: certificate, then the next piece of a generation.
void subscriber_pump(struct subscriber *s, uint64_t now_ns);
// Deadlines and silence; the server calls it every SERVER_TICK_MS.
void subscriber_tick(struct subscriber *s, uint64_t now_ns);
// Somebody has answered a generation: its certificate may wait for that.
void subscriber_on_answers(struct subscriber *s, uint64_t now_ns);
// The server made a new generation.
void subscriber_on_generation(struct subscriber *s, uint64_t now_ns);
// A certificate by the CA as it is now, please.
void subscriber_want_certificate(struct subscriber *s, uint64_t now_ns);
// It has not proven who it is.
bool subscriber_is_stranger(const struct subscriber *s);
// Has it answered this generation of our epoch, or a later one?
bool subscriber_has_answered(const struct subscriber *s, uint64_t counter);

// ---- between subscriber.c and subscriber_receive.c ----

void subscriber_set_state(struct subscriber *s, enum subscriber_state state);
void subscriber_log(const struct subscriber *s, enum log_level level, const char *event,
		    const char *why);
// Closes on failure.
enum err must_check subscriber_send(struct subscriber *s, const struct sync_message *m,
				    uint64_t now_ns);
// Says why and leaves.
void subscriber_refuse(struct subscriber *s, const char *why, uint64_t now_ns);
// Pins the key that it showed; false: cannot be saved, so must not be certified.
bool subscriber_pin(struct subscriber *s, uint64_t now_ns);
// The generation on its way is answered.
void subscriber_drop_target(struct subscriber *s);
// Takes all messages that are there.
void subscriber_receive(struct subscriber *s, uint64_t now_ns);
