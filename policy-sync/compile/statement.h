// SPDX-License-Identifier: GPL-3.0-or-later
// What all policies of one class of targets say together, wherever it counts: their rules as one set of the
// snapshot, and of everything else what a joined policy needs to know. Made once, so that an effective
// policy costs what has targets there, not what has rules. For compile_join and effective_put only.
#pragma once

#include "compile/compile.h"

// A policy's provider, as it joins others by name.
struct stated_provider {
	uint32_t policy; // number
	const struct ss_provider *provider;
	bool audit; // counts in the groups that refuse nothing
};

// A provider that some rule names, and the first policy that does.
struct stated_name {
	uint32_t policy;
	struct slice name;
	bool audit; // no rule of Enforce does
};

// Policies are numbers in order of age, INDEX_NONE: there is none. By audit: 0 of Enforce policies alone, 1 of
// all.
struct statement {
	struct slice set_id; // empty: no rules
	uint32_t rule_count;
	uint32_t first;	     // policy with rules
	bool too_large;	     // for a record
	bool needs_l7;	     // something of Enforce reads requests
	bool audits_l7;	     // something of Audit does
	bool audits;	     // some policy is in Audit mode
	uint32_t broken;     // Enforce
	uint32_t speaks[2];  // says who may call
	uint32_t decides[2]; // sets a default action
	uint32_t asks[2];    // for a token
	bool token_optional[2], token_required[2];
	bool audits_token;		   // some Audit policy asks for one
	struct stated_provider *providers; // of one name the first, and the first of Enforce
	uint32_t provider_count;
	struct stated_name *names;
	uint32_t name_count;
};

// overrides: of ClusterSecurityPolicies those instead of their defaults. NULL: c->err says why.
const struct statement *statement_of(struct compiler *c, uint32_t class, bool overrides);
const struct policy_spec *statement_spec(const struct security_policy *p, bool overrides);
void statements_deinit(struct compiler *c);
