// SPDX-License-Identifier: GPL-3.0-or-later
// The authorization decision, pure: an effective policy (all levels joined by policy-sync)
// compiled to tables, asked with what is known of a connection or request.
// Meaning (design: policy.md "Order and merging"): any matching Deny wins; then every group needs a
// matching Allow or a default of Allow. An attribute that cannot be read is *unknown*: an Allow
// rule that needs it does not match, a Deny rule that needs it does.
// A Deny rule also matches what servers that are less strict read (core/deny_view): letter case of paths and
// methods, a trailing slash behind an exact path, lists and quoted values, X_Role for X-Role, methods that
// a field overrides. An Allow rule reads the plain form alone.
#pragma once

#include "common/arena.h"
#include "core/http1.h"
#include "core/identity.h"
#include "core/jwt.h"
#include "core/reading.h"

#define POLICY_CONDITIONS_MAX 64 // headers, claims and scopes of a rule, each
#define POLICY_PROVIDERS_MAX  SNAPSHOT_PROVIDERS_PER_POLICY_MAX
#define POLICY_PAIRS_MAX      (1u << 20) // values of all rules

struct policy;	    // compiled, in a section's or snapshot's arena
struct policy_rest; // of a request, found once where its path has several readings
struct policy_set;  // rules that policies share, compiled, in a section's arena

struct policy_token {
	const struct jwt *jwt; // verified
	struct slice provider; // id of the provider that verified it
	struct slice name;     // of that provider
	uint32_t number;       // its place in the policy's list
};

// What is known. Pointers are borrowed for the call. l7 false: method, path, host, headers and
// token are unknown; so is a method, path or host that is empty, a client address that is none, and a
// source of type UNKNOWN. That there is no token, or no such header, is known.
struct policy_input {
	const struct principal *source;
	struct addr client; // for CIDR rules
	uint16_t port;	    // of the destination pod
	bool l7;
	struct slice method;
	// In one reading: who asks about a path that has several asks once for each (decide). Without steps: as
	// it came.
	struct slice path;
	bool path_ordinary;	// path_form has said so, and nobody need look again
	struct slice path_sent; // as it came, where path_steps led to path
	uint64_t path_steps;
	const struct path_readings *readings; // all of path_sent's; NULL: it has one
	const struct policy_rest
		*rest;	   // of this policy, and of all here but the path; NULL: not found yet
	bool deny_only;	   // nothing but Deny rules counts: path is what some servers take for it
	struct slice host; // canonical
	const void *headers;
	// The header's value (first line; a repeated name: joined by the caller's view), false if absent.
	bool (*header)(const void *headers, struct slice lower_name, struct slice *value);
	// The fields in turn, for the deny view; false behind the last.
	bool (*field)(const void *headers, uint32_t i, struct slice *name, struct slice *value);
	const struct jwt *token; // a *verified* token, or NULL; the rest as in struct policy_token
	struct slice token_provider;
	struct slice token_name;
	uint32_t token_number;
	// Tokens of further providers, where a request carries several.
	const struct policy_token *more_tokens;
	uint32_t more_token_count;
};

struct policy_answer {
	enum rule_action action; // zero is Deny
	struct slice policy;	 // who decided: rule's policy, or the default's
	struct slice rule;	 // empty: the default action
	struct slice target;	 // group that refused by default
	bool would_deny;	 // allowed, but an Audit policy would have denied
	struct slice audit_policy;
	struct slice audit_rule; // empty: its default action
};

// The policy with its own rules; those of its sets come by policy_link.
// p and what it points to are borrowed as long as the result lives. ERR_UNSUPPORTED: a regular
// expression (no engine is built in; whoever writes snapshots marks such a policy broken).
// ERR_MALFORMED: a group that does not exist, claims or scopes without a provider. ERR_TOO_LARGE: above the limits here and of the schema. ERR_NOMEM: the arena is full.
enum err must_check policy_compile(const struct ss_policy *p, struct arena *a,
				   const struct policy **out);
// Rules of a set: they name providers by name and belong to no group yet. Errors as above.
enum err must_check policy_set_compile(const struct ss_rule *rules, uint32_t count, struct arena *a,
				       const struct policy_set **out);
// own with its sets, parallel to its record's, all borrowed. ERR_NOMEM.
enum err must_check policy_link(const struct policy *own, const struct policy_set *const *sets,
				struct arena *a, const struct policy **out);
const struct ss_policy *policy_source(const struct policy *p);
// The rule with this number in the order of the record, its own first; NULL: there are no more.
const struct ss_rule *policy_rule(const struct policy *p, uint32_t number);
// Does a rule in Enforce mode read that field?
bool policy_reads_field(const struct policy *p, struct http1_name name);
// Does a rule, or a Deny rule, ask for paths?
bool policy_reads_paths(const struct policy *p);
// As above, of the rules that are enforced.
bool policy_enforces_paths(const struct policy *p);
bool policy_denies_paths(const struct policy *p);
// The first matching rule in the order of the record is the one that is named. An Audit policy's
// rules and defaults change nothing but would_deny. Without groups everything that no rule denies
// is allowed. A broken policy is not evaluated here: its caller refuses.
void policy_evaluate(const struct policy *p, const struct policy_input *in,
		     struct policy_answer *out);
// What of the rules is left but for the path, of a request (l7): with it in the input an evaluation asks for
// the path alone, so that readings do not multiply what fields cost. NULL: the arena is full.
const struct policy_rest *policy_rest_of(const struct policy *p, const struct policy_input *in,
					 struct arena *a);
// The best answer that any request of this connection could get: Deny rules that read the request do not
// match, Allow rules that do match, so that Deny here is certain. Audit is not asked.
void policy_evaluate_at_best(const struct policy *p, const struct policy_input *in,
			     struct policy_answer *out);
// The first step of a request's way: Deny rules that ask for CIDRs (and ports) and nothing else.
bool policy_denies_address(const struct policy *p, const struct policy_input *in,
			   struct policy_answer *out);
