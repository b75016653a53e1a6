// SPDX-License-Identifier: GPL-3.0-or-later
// The one vocabulary of failure. A fallible function returns enum err and leaves its result by
// its last pointer; a caller handles the error or passes it up, never logs *and* passes it up.
// What it does not: carry text. Where a person needs a sentence, the function takes a
// struct reason (below) beside it.
#pragma once

#define must_check __attribute__((warn_unused_result))

enum err {
	ERR_OK = 0,
	ERR_AGAIN,     // more input or another try is needed; nothing is lost
	ERR_NOMEM,     // a bounded pool, arena or heap is used up
	ERR_FULL,      // a bounded table, queue or buffer is full
	ERR_MALFORMED, // bytes from outside break their grammar
	ERR_TOO_LARGE, // within the grammar, above a published limit
	ERR_RANGE,     // a number outside its allowed range
	ERR_NOT_FOUND,
	ERR_EXISTS,
	ERR_UNSUPPORTED, // understood, and not done here
	ERR_VERSION,	 // schema or protocol version that we do not speak
	ERR_STALE,	 // older than what is held already
	ERR_DENIED,	 // a policy or a trust check says no
	ERR_EXPIRED,	 // a certificate, token or deadline has passed
	ERR_SIGNATURE,	 // a signature or digest does not match
	ERR_CLOSED,	 // the other side has gone
	ERR_IO,		 // a system call failed; errno is still that call's
	ERR_CRYPTO,	 // the TLS or crypto library refused, and it is not a peer's fault
	ERR_CONFIG,	 // an operator's setting is wrong
	ERR_INTERNAL,	 // an invariant does not hold; a bug
	ERR_COUNT
};

// Short stable token for logs and metrics ("malformed"). Never NULL.
const char *err_name(enum err e);

// One clear sentence for a person, bounded. Writers truncate silently.
#define REASON_BYTES_MAX 256
struct reason {
	char text[REASON_BYTES_MAX];
};

// printf into why (NULL is allowed) and return e, so that a check reads as one line.
enum err err_because(enum err e, struct reason *why, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
