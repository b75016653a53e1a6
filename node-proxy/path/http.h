// SPDX-License-Identifier: GPL-3.0-or-later
// L7 state of an exchange, shared by the request, relay and reply stages. Exists from the first byte
// of a request until its answer is complete; an idle keep-alive connection holds none.
#pragma once

#include "core/http1_edit.h"
#include "core/match.h"
#include "path/exchange.h"

#define HTTP_LOG_PATH_MAX   256
#define HTTP_LOG_HOST_MAX   128
#define HTTP_LOG_METHOD_MAX HTTP1_METHOD_MAX
// Empty lines before a request that are skipped (RFC 9112 2.2 asks for one).
#define EMPTY_LINES_MAX 4
// Requests of one connection that are looked at in a turn: who sends thousands at once waits as others do.
#define REQUESTS_PER_TURN_MAX 64
// Readings of a path that count as one more request of a turn.
#define READINGS_PER_REQUEST 16

struct http {
	struct http1 request;
	struct http1 response;
	size_t scanned[SIDES];	// http1_find_head's progress
	uint32_t head_bytes;	// of the request, at the front of in[DOWN]; 0 once forwarded
	struct http1_edit edit; // of the request's head
	bool request_forwarded; // at least a byte went upstream
	bool reused;		// over a connection that had carried a request before
	bool response_begun;	// at least a byte of the final response went downstream
	bool response_head;	// final head has been parsed
	bool response_stays;	// the pod keeps its connection behind the response
	bool keep_alive;	// the client may send another request
	bool to_head;		// the method is HEAD
	bool expects_continue;	// the client may be waiting to be asked for the body
	bool pod_closes;	// it was asked to behind its answer
	bool pod_spent;		// behind its answer may be what is no answer
	bool ending;		// the answer is whole; what comes of either side is thrown away
	uint32_t upgrades;	// that were offered and may pass, as http1_upgrades says
	uint16_t status;
	uint32_t interim_bytes; // heads of 1xx responses so far
	const char *error;	// static text: why a message was refused
	uint16_t method_len, path_len, host_len;
	char method[HTTP_LOG_METHOD_MAX];
	char path[HTTP_LOG_PATH_MAX];
	char host[HTTP_LOG_HOST_MAX];
};

// NULL: pool is full.
struct http *http_new(struct exchange *x);
void http_free(struct exchange *x);
// Judge the head at the front of in[DOWN]; the request stage's work.
enum step http_judge(struct exchange *x, size_t head_bytes);
// The relay's two directions.
enum step http_relay_request(struct exchange *x);
enum step http_relay_response(struct exchange *x);
enum step http_upstream_ended(struct exchange *x, bool reset);
// The pod, or the rest of a body, has been waited for long enough (h->ending), or will not come.
enum step http_end_timeout(struct exchange *x);
// What the next hop is to see, but for what the message itself says.
struct http1_hop http_hop(const struct exchange *x);
// The answer is queued whole and the connection ends behind it: log, FIN, linger.
enum step finish_after_reply(struct exchange *x);
// The exchange is whole: log it, then the next request of the connection.
enum step http_next(struct exchange *x);
// The pod's answer cannot be read: 502 if nothing of it has gone out, else the end.
enum step http_bad_response(struct exchange *x, const char *error);
// A local answer of this status; x->http says about which request. Returns STEP_REPLY.
enum step http_refuse(struct exchange *x, uint16_t status, enum end_reason reason,
		      const char *error);
