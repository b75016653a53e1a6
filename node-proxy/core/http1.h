// SPDX-License-Identifier: GPL-3.0-or-later
// HTTP/1.1 messages (RFC 9110, RFC 9112) by llhttp: a head is parsed when it is whole, in place,
// strict; the body is only framed. What is ambiguous is an error here and never travels on.
// The caller owns the bytes; spans point into them.
#pragma once

#include "common/err.h"
#include "common/slice.h"

#define HTTP1_HEADERS_MAX 100
#define HTTP1_STATE_WORDS 24
#define HTTP1_TRAILER_MAX 20 // longer than any name that is no trailer's

struct http1_header {
	struct slice name;
	struct slice value; // without surrounding OWS
};

struct http1_message {
	struct slice method;
	struct slice target; // as sent
	uint16_t status;     // responses
	uint8_t minor;	     // HTTP/1.minor
	bool keep_alive;     // may another message follow?
	bool upgrade;	     // HTTP/1.1, Connection: upgrade with one Upgrade field
	bool chunked;
	bool has_length;
	bool expects_continue;
	uint64_t content_length;
	struct slice host; // requests: the Host field
	struct slice upgrade_token;
	uint32_t header_count;
	struct http1_header headers[HTTP1_HEADERS_MAX];
};

struct http1 {
	uint64_t state[HTTP1_STATE_WORDS]; // llhttp_t
	struct http1_message *message;	   // being filled; borrowed for http1_head
	const char *error;		   // static text
	uint32_t overhead_bytes;	   // chunk extensions and trailers so far
	bool in_field;
	bool complete;
	bool head_done;
	bool is_response;
	bool skip_body; // response to HEAD
	uint8_t trailer_bytes;
	char trailer[HTTP1_TRAILER_MAX]; // the trailer field's name, as far as it tells
};

void http1_init_request(struct http1 *p);
// to_head: the request was HEAD; its response has no body.
void http1_init_response(struct http1 *p, bool to_head);

// Length of the head (with its empty line) in in, if it is there: ERR_AGAIN if not, ERR_MALFORMED
// (bare LF, NUL) with p untouched. *scanned remembers how far the search got; start with 0.
enum err must_check http1_find_head(struct slice in, size_t *scanned, size_t *head_bytes);
// Parse a head that http1_find_head measured. ERR_MALFORMED (p->error says what), ERR_TOO_LARGE (too many
// fields), ERR_UNSUPPORTED (CONNECT; a method that llhttp does not know; a version other than 1.0 and
// 1.1).
enum err must_check http1_head(struct http1 *p, struct slice head, struct http1_message *out);
// After the head: frame the body. *used bytes of in belong to this message; *complete: it ends
// there. ERR_MALFORMED.
enum err must_check http1_body(struct http1 *p, struct slice in, size_t *used, bool *complete);
// Is the message complete without (more) body bytes?
bool http1_is_complete(const struct http1 *p);
// The peer closed: a response without framing ends here (true), everything else was cut (false).
bool http1_finish(struct http1 *p);

// First field of that (lower-case) name; false if absent.
bool http1_find(const struct http1_message *m, struct slice lower_name, struct slice *value);
// How many fields of that name there are.
uint32_t http1_count(const struct http1_message *m, struct slice lower_name);
