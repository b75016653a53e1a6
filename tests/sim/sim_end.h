// SPDX-License-Identifier: GPL-3.0-or-later
// One end of a connection, for sim_actor.c (all of them), sim_stream.c (L4, and what follows an upgrade),
// sim_message.c, sim_client.c and sim_server.c (L7).
#pragma once

#include "path/end_reason.h"
#include "sim/sim_actor.h"

#define END_TEXT_MAX	 50000 // some heads are larger than a stream's first credit
#define END_REQUESTS_MAX 6

enum end_state { END_FREE = 0, END_LATER, END_CALLING, END_TALKING, END_GONE };

// What an L4 end means to do.
struct end_script {
	uint32_t send_bytes;
	bool waits_for_peer; // sends nothing before something has come
	bool fin_when_asked; // FIN only behind the peer's
	bool echoes;	     // never sends more than it has received
	bool closes_at_once; // close instead of FIN, whatever still comes
	bool resets;	     // by RST after reset_after bytes have come or gone
	uint32_t reset_after;
	uint32_t stall_after; // bytes read, then not reading for stall_ns
	uint64_t stall_ns;
};

// What a client wants of one request; the server does as it is told (X-Want).
enum want {
	WANT_ADMIN = 1 << 0,   // what policy denies
	WANT_BODY = 1 << 1,    // the request has one
	WANT_CHUNKED = 1 << 2, // the answer's body is; so is the request's
	WANT_TO_END = 1 << 3,  // the answer's body ends with the connection
	WANT_EARLY = 1 << 4,   // the answer comes before the request's body has been read
	WANT_INTERIM = 1 << 5, // 1xx before it
	WANT_UPGRADE = 1 << 6, // to a protocol of its own
	WANT_CLOSE = 1 << 7,   // Connection: close
	WANT_DELETE = 1 << 8,  // whose body a server may leave unread: the last of its connection
	WANT_LAST = WANT_TO_END | WANT_EARLY | WANT_UPGRADE | WANT_CLOSE, // ends the connection
};

// Sends one message.
struct writer {
	char text[END_TEXT_MAX];
	uint32_t text_at, text_bytes;
	uint32_t id;
	uint32_t body_at, body_left, part_left; // part: of the chunk, or all of it
	bool chunked;				// its last chunk is still to come
};

enum reader_state { READ_HEAD = 0, READ_BODY, READ_TO_END, READ_CHUNK_LINE, READ_CHUNK, READ_LAST };

// Takes one message after the other.
struct reader {
	char head[END_TEXT_MAX]; // or the line of a chunk
	uint32_t head_bytes;
	enum reader_state state;
	uint32_t left; // of the body, or of the chunk
	uint32_t body_at;
	uint32_t id; // whose bytes the body has to be; 0: a local reply's, not looked at
	uint16_t status;
};

enum reader_event { READER_MORE = 0, READER_HEAD_DONE, READER_MESSAGE_DONE };

struct http_client {
	uint32_t requests, sent, answered;
	uint32_t pipeline; // outstanding at most
	bool writing;
	uint16_t wants[END_REQUESTS_MAX];
};

struct http_server {
	bool answering;
	bool early;    // what still comes of this request is read away
	bool closing;  // when the answer has gone
	bool told;     // by the request to close behind its answer
	uint32_t want; // of the request being answered
	uint32_t served;
	uint32_t idle_close_after; // answers, then it closes though it said keep-alive; 0: never
	uint32_t quits_at;	   // bytes of an answer's body, then it closes; 0: never
	uint32_t babbles;	   // per mille: an answer that is none
};

struct end {
	enum end_state state;
	bool is_client;
	bool is_http;
	bool upgraded; // and speaks as an L4 end does from here on
	uint32_t id;   // of what it sends
	uint32_t peer; // index of the other end, once known; SIM_ENDS_MAX: not yet
	uint32_t pod;
	int fd;
	uint64_t wake_ns; // does nothing before
	struct addr_port to, local;
	enum sim_role calls; // whose role
	bool logged;	     // by its source, so many times for L7
	uint64_t logged_in, logged_out;
	enum end_reason logged_reason;
	struct end_script script;
	uint32_t sent, received;
	uint8_t first[4]; // of what came: the peer's id
	bool fin_sent, fin_seen, rst_seen, refused;
	struct http_client client;
	struct http_server server;
	struct writer writer;
	struct reader reader;
};

extern struct end sim_ends[SIM_ENDS_MAX];

void end_close(struct end *e, bool by_reset);

// sim_stream.c
// The byte that the end of this id sends at an offset (an L4 end's first four are the id).
uint8_t end_byte(uint32_t id, uint32_t at);
struct end_script end_random_script(bool is_client);
bool stream_step(struct end *e);
// A RST has come, and all that came before it has been read.
void end_judge_reset(const struct end *e);
// Now both ends know each other.
void end_meet(struct end *a, struct end *b);
struct end *end_of_id(uint32_t id); // NULL: nobody's
// Who answered this request with a 101.
struct end *end_upgraded_by(uint32_t message);

// sim_message.c
// What is known of a request from its number alone, on both sides.
uint32_t message_id(const struct end *client, uint32_t n);
uint32_t message_request_bytes(uint32_t id);
uint32_t message_response_bytes(uint32_t id);
uint32_t message_value(const char *head, const char *field);
// Fields that make a head large, now and then.
void message_pad(char *text, size_t room);
// text is in place; a body of so many bytes follows.
void writer_begin(struct writer *w, uint32_t id, uint32_t body_bytes, bool chunked);
bool writer_is_done(const struct writer *w);
// True: some bytes have gone.
bool writer_step(struct end *e);
// Takes what belongs to the message, at most up to its end or its head's.
enum reader_event reader_take(struct end *e, const uint8_t *bytes, uint32_t len, uint32_t *used);
// How many bytes may be read from the socket without touching what comes behind this message.
uint32_t reader_room(const struct reader *r);
// After the head: how the body comes. READER_MESSAGE_DONE: there is none.
enum reader_event reader_begin_body(struct reader *r, enum reader_state how, uint32_t bytes);
void reader_next(struct reader *r);

void http_client_init(struct end *e);
void http_server_init(struct end *e);
bool http_client_step(struct end *e);
bool http_server_step(struct end *e);
void http_check_end(const struct end *e);
