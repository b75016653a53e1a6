// SPDX-License-Identifier: GPL-3.0-or-later
// The authorization decision, pure: an effective policy (all levels joined by policy-sync)
// compiled to tables, asked with what is known of a connection or request.
// Meaning (design: policy.md "Order and merging"): any matching Deny wins; then every group needs a
// matching Allow or a default of Allow. An attribute that cannot be read is *unknown*: an Allow
// rule that needs it does not match, a Deny rule that needs it does.
#pragma once

#include "common/arena.h"
#include "core/identity.h"
#include "core/jwt.h"

struct policy; // compiled, in a section's or snapshot's arena

// What is known. Pointers are borrowed for the call. l7 false: method, path, host, headers and
// token are unknown.
struct policy_input {
	const struct principal *source;
	struct addr client; // for CIDR rules
	uint16_t port;	    // of the destination pod
	bool l7;
	struct slice method;
	struct slice path; // canonical
	struct slice host; // canonical
	const void *headers;
	// The header's value (first line; a repeated name: joined by the caller's view), false if absent.
	bool (*header)(const void *headers, struct slice lower_name, struct slice *value);
	const struct jwt *token;    // a *verified* token, or NULL
	struct slice token_provider; // name of the provider that verified it
};

struct policy_answer {
	enum rule_action action; // zero is Deny
	struct slice policy;	 // who decided: rule's policy, or the default's
	struct slice rule;	 // empty: the default action
	struct slice target;	 // group that refused by default
	bool would_deny;	 // an Audit policy would have denied
	struct slice audit_policy;
	struct slice audit_rule;
};

enum err must_check policy_compile(const struct ss_policy *p, struct arena *a,
				   const struct policy **out);
const struct ss_policy *policy_source(const struct policy *p);
// Does a rule read claims or scopes of the token?
bool policy_reads_token(const struct policy *p);
void policy_evaluate(const struct policy *p, const struct policy_input *in,
		     struct policy_answer *out);
// CIDR Deny rules only, the first step of a request's way.
bool policy_denies_address(const struct policy *p, const struct policy_input *in,
			   struct policy_answer *out);
