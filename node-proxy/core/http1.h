// SPDX-License-Identifier: GPL-3.0-or-later
// HTTP/1.1 messages (RFC 9110, RFC 9112): a head is parsed by llhttp when it is whole, in place, strict; the
// body is only framed. What is ambiguous is an error here and never travels on.
// The caller owns the bytes; spans point into them.
#pragma once

#include "common/err.h"
#include "common/slice.h"

#define HTTP1_HEADERS_MAX  100
#define HTTP1_METHOD_MAX   64
#define HTTP1_TRAILERS_MAX 100

struct http1_header {
	struct slice name;
	struct slice value; // without surrounding OWS
};

// A field's name as servers with CGI's habits read it: without case, and '_' is '-'. Equal names are equal; that
// others are, too, is as good as impossible where nobody gains by it.
struct http1_name {
	size_t bytes;
	uint64_t hash;
};

// What Connection fields say (RFC 9110 7.6.1), a bit each.
enum http1_option {
	HTTP1_OPTION_CLOSE = 1,
	HTTP1_OPTION_KEEP_ALIVE = 2,
	HTTP1_OPTION_UPGRADE = 4,
	HTTP1_OPTION_OTHER = 8,
};

struct http1_message {
	struct slice method; // any token
	struct slice target; // as sent
	uint16_t status;     // responses
	uint8_t minor;	     // HTTP/1.minor
	uint8_t options;     // of Connection
	bool hop_field;	     // a field Keep-Alive or Close, which these options would name
	bool keep_alive;     // may another message follow?
	bool upgrade;	     // HTTP/1.1, Connection: upgrade and an Upgrade field
	bool chunked;
	bool has_length;
	bool until_close; // nothing frames the response but the connection's end
	bool expects_continue;
	uint64_t content_length;
	struct slice host; // requests: the Host field
	uint32_t header_count;
	struct http1_header headers[HTTP1_HEADERS_MAX];
};

enum http1_framing {
	HTTP1_NO_BODY = 0,
	HTTP1_LENGTH,
	HTTP1_CHUNKED,
	HTTP1_UNTIL_CLOSE,
};

struct http1 {
	const char *error;	 // static text
	uint64_t left;		 // of a body with a length, or of the chunk
	uint32_t overhead_bytes; // chunk extensions and trailers so far
	uint8_t framing;	 // enum http1_framing
	uint8_t chunk;		 // where in the chunked coding's grammar
	bool complete;
	bool is_response;
	bool skip_body; // response to HEAD
	uint8_t trailers;
	struct http1_name trailer; // the one that is being read
	// May be set behind http1_head: which trailers are refused beside those that belong in every head.
	bool (*refuses)(const void *context, struct http1_name trailer);
	const void *context;
};

void http1_init_request(struct http1 *p);
// to_head: the request was HEAD; its response has no body.
void http1_init_response(struct http1 *p, bool to_head);

// Length of the head (with its empty line) in in, if it is there: ERR_AGAIN if not, ERR_MALFORMED
// (bare LF, NUL) with p untouched. *scanned remembers how far the search got; start with 0.
enum err must_check http1_find_head(struct slice in, size_t *scanned, size_t *head_bytes);
// Parse a head that http1_find_head measured. ERR_MALFORMED (p->error says what), ERR_TOO_LARGE (too many
// fields), ERR_UNSUPPORTED (CONNECT, PRI; a method beyond HTTP1_METHOD_MAX; a version other than 1.0 and
// 1.1).
enum err must_check http1_head(struct http1 *p, struct slice head, struct http1_message *out);
// After the head: frame the body. *used bytes of in belong to this message; *complete: it ends
// there. ERR_MALFORMED.
enum err must_check http1_body(struct http1 *p, struct slice in, size_t *used, bool *complete);
// For http1_head: what follows it.
void http1_body_init(struct http1 *p, enum http1_framing framing, uint64_t length);
// Is the message complete without (more) body bytes?
bool http1_is_complete(const struct http1 *p);
// The peer closed: a response without framing ends here (true), everything else was cut (false).
bool http1_finish(struct http1 *p);

// A response of this status has no body, whatever its fields say (RFC 9110 6.4.1, 15.2, 15.3.5).
bool http1_is_bodiless(uint16_t status);
// Of these methods a body is read by every server that knows them: their RFCs give it a meaning. What others
// leave unread of one is their connection's next request.
bool http1_method_has_body(struct slice method);
// RFC 9110 5.6.2.
bool http1_is_token(struct slice s);
// The next element of a comma-separated list, without OWS; empty ones are passed over. False: there is none.
bool http1_next_element(struct slice *rest, struct slice *element);
struct http1_name http1_name(struct slice text);
bool http1_name_is(struct http1_name name, struct slice text);
// First field of that (lower-case) name; false if absent.
bool http1_find(const struct http1_message *m, struct slice lower_name, struct slice *value);
// How many fields of that name there are.
uint32_t http1_count(const struct http1_message *m, struct slice lower_name);
