// SPDX-License-Identifier: GPL-3.0-or-later
// Access log records: what a worker hands to the logger thread, one an exchange. Strings are
// copied behind the fixed part (bounded); formatting happens on the logger's thread
// (control/accesslog). The ring is single producer, single consumer, and drops with a count when the
// logger cannot follow: the data path never waits.
#pragma once

#include <stdatomic.h>
#include "common/addr.h"
#include "decide/decide.h"

enum record_kind {
	RECORD_NONE = 0,
	RECORD_EXCHANGE,     // one access log line
	RECORD_TUNNEL,	     // a tunnel was established, lost or refused
	RECORD_WOULD_DENY,   // a request of an opaque port that somebody would have refused
	RECORD_CHECK_FAILED, // the receiver's identity checks
};

enum record_string {
	RECORD_SOURCE = 0,  // identity text
	RECORD_SOURCE_POD,  // ns/name
	RECORD_DESTINATION, // identity text
	RECORD_DESTINATION_POD,
	RECORD_SERVICE, // ns/name
	RECORD_POLICY,
	RECORD_RULE,
	RECORD_AUDIT_POLICY,
	RECORD_AUDIT_RULE,
	RECORD_METHOD,
	RECORD_PATH,
	RECORD_HOST,
	RECORD_DETAIL, // one sentence or token: what exactly was wrong
	RECORD_NODE,   // the peer node
	RECORD_STRINGS
};

#define RECORD_STRING_MAX 512

struct record {
	uint8_t kind;
	uint8_t reporter; // 0 source, 1 destination, 2 both (same node)
	uint8_t end_reason;
	uint8_t verdict;
	uint8_t decide_reason;
	uint8_t jwt_refusal;
	bool l7;
	bool would_deny;
	uint16_t status;		  // HTTP; 0 for L4
	uint16_t strings[RECORD_STRINGS]; // lengths
	uint32_t bytes;			  // whole record with its strings, set by record_ring_put
	uint64_t exchange_id;
	uint32_t sequence;
	uint64_t unix_ms;
	uint64_t duration_us;
	uint64_t bytes_in;
	uint64_t bytes_out;
	struct addr_port client;
	struct addr_port dialled;
	struct addr_port target;
};

struct record_ring {
	uint8_t *bytes;
	uint32_t size;	       // power of two
	_Atomic uint64_t head; // written by the worker
	_Atomic uint64_t tail; // written by the logger
	_Atomic uint64_t dropped;
	int event_fd; // the logger sleeps on it
	_Atomic bool logger_sleeps;
};

enum err must_check record_ring_init(struct record_ring *r, uint32_t size, int event_fd);
void record_ring_deinit(struct record_ring *r);
// False: full, counted.
bool record_ring_put(struct record_ring *r, const struct record *fixed,
		     const struct slice strings[RECORD_STRINGS]);
// Logger: the oldest record copied to out (at least RECORD_BYTES_MAX), or false.
#define RECORD_BYTES_MAX (sizeof(struct record) + RECORD_STRINGS * RECORD_STRING_MAX)
bool record_ring_take(struct record_ring *r, void *out, struct slice strings[RECORD_STRINGS]);
