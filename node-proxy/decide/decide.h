// SPDX-License-Identifier: GPL-3.0-or-later
// The whole decision as one library: identity, JWT, authorization, limits. The data path asks it
// for every connection and request at the destination; `policy-sync explain` links the
// same code, so what it says is what happens.
// A request passes: CIDR Deny ▶ per-address limits ▶ JWT ▶ authorization ▶ shared limits.
#pragma once

#include "core/policy.h"
#include "core/ratelimit.h"
#include "core/snapshot.h"

enum verdict {
	VERDICT_DENY = 0, // 403, or RST
	VERDICT_ALLOW,
	VERDICT_UNAUTHENTICATED, // 401
	VERDICT_LIMITED,	 // 429
	VERDICT_BROKEN,		 // 500, or RST: a policy is invalid, so its target refuses
	VERDICT_NEEDS_L7,	 // connection only: an enforced rule has to read the request
	VERDICT_MALFORMED, // 400: what is asked for can be read in too many ways to judge them all
	VERDICT_COUNT
};

// Why, as a stable word for log and metric.
enum decide_reason {
	DECIDE_NONE = 0,
	DECIDE_NO_POLICY, // allowed: nothing covers this port
	DECIDE_RULE_ALLOW,
	DECIDE_RULE_DENY,
	DECIDE_DEFAULT_ALLOW,
	DECIDE_DEFAULT_DENY,
	DECIDE_CIDR_DENY,
	DECIDE_RATE_LIMIT,
	DECIDE_JWT, // decision.jwt says which refusal
	DECIDE_POLICY_INVALID,
	DECIDE_UNKNOWN_SOURCE,
	DECIDE_TARGET, // MALFORMED
	DECIDE_REASON_COUNT
};

struct decision {
	enum verdict verdict;
	enum decide_reason reason;
	enum jwt_refusal jwt;
	struct slice policy;
	struct slice rule;
	struct slice target;
	bool would_deny; // an Audit policy, or a limit in shadow mode
	struct slice audit_policy;
	struct slice audit_rule;
	// By which reading of the path (core/reading) it was refused; 0: as sent. And by which field's, or NULL.
	uint64_t reading;
	const char *field;
	// What reading the path, and fields that stand for it, has taken of what a request may take, in
	// READINGS_MAX parts; 0: nothing had to be read in several ways.
	uint32_t readings;
	uint64_t retry_after_ns; // LIMITED
	uint64_t limit_requests; // of the limit that refused, or the tightest one that applied
	uint64_t limit_remaining;
	uint32_t limit_unit_s; // 0: no limit applied
};

// Verified tokens, so that a token costs one signature check and then a hash: bounded, per worker.
// An entry never outlives exp, nor the providers section that it was verified with (keys may have
// gone).
struct token_cache;
struct token_cache *token_cache_new(uint32_t entries, uint64_t seed);
void token_cache_free(struct token_cache *c);

// What a decision takes of its arena at most: tokens, readings, and what its caller keeps there.
#define DECIDE_SCRATCH_BYTES (JWT_ARENA_BYTES + 2 * READINGS_ARENA_BYTES + (24u << 10))

struct decide_context {
	const struct snapshot *snapshot;
	struct ratelimit_table *limits; // NULL: limits are not taken (explain)
	struct token_cache *tokens;	// NULL: no cache
	struct arena *arena;		// scratch of the request
	uint64_t now_ns;
	int64_t now_unix_s;
};

struct decide_subject {
	const struct workload *destination;
	const struct policy *policy; // of destination and port; NULL: none
};

// L4: at accept or OPEN. NEEDS_L7 where an enforced rule reads requests: then every answer is an HTTP one. Where
// only others do, nothing is said of who would refuse: that is known with the requests.
void decide_connection(const struct decide_context *c, const struct decide_subject *s,
		       const struct policy_input *in, struct decision *out);
// Of a connection whose request has been judged and is not kept: the best that any request of it could get
// now. ALLOW says nothing of the one that is under way; everything else is certain. Takes from no limit.
void decide_at_best(const struct decide_context *c, const struct decide_subject *s,
		    const struct policy_input *in, struct decision *out);
// L7: one request, whose path and host are sound (path_form, host_canonicalize). The whole policy is asked
// once for each reading of the path, and the strictest answer counts; a limit counts once if any reading
// fits. Tokens in it are ignored: found, verified and used by this function. Refusals take
// time in this order: no signature is checked for an address that a limit or a CIDR rule refuses.
void decide_request(const struct decide_context *c, const struct decide_subject *s,
		    const struct policy_input *in, struct decision *out);

// Is a port opaque, and does something that refuses nothing read its requests?
bool decide_observes(const struct policy *p);
// Of such a port, a request that passes anyway, as for decide_request: who would refuse it? Nothing of out is set
// but would_deny, who, and readings. Spends what limits in shadow mode have, and there are no others.
void decide_observed(const struct decide_context *c, const struct decide_subject *s,
		     const struct policy_input *in, struct decision *out);
// The same of bytes in which no request can be read: of requests everything is unknown.
void decide_unreadable(const struct decide_context *c, const struct decide_subject *s,
		       const struct policy_input *in, struct decision *out);

const char *verdict_name(enum verdict v);
const char *decide_reason_name(enum decide_reason r);
// The HTTP status of a refusal; 0 for ALLOW.
uint16_t decide_status(const struct decision *d);
