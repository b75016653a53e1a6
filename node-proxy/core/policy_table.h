// SPDX-License-Identifier: GPL-3.0-or-later
// A compiled policy: what policy_compile.c builds and policy.c asks. It is a list of parts, each a set of
// rules and what they count for here; sets are shared between policies. In a set rules are bits. Every
// attribute is a column: the rules that leave it open, and an index from its values to the rules that
// name them. A request's rules are the AND over columns, so the cost of a decision does not follow the
// number of rules that cannot match.
#pragma once

#include "core/policy.h"
#include "core/rule_index.h"

#define PREFIX_LENGTHS_MAX 129 // /0 to /128

// A set that a policy keeps; live as in struct rule_bits, and empty words are zero.
struct rule_set {
	uint64_t live;
	uint64_t *words;
};

enum policy_column {
	COLUMN_SOURCE = 0,
	COLUMN_CIDR,
	COLUMN_PORT,
	COLUMN_METHOD,
	COLUMN_PATH,
	COLUMN_HOST,
	COLUMN_PROVIDER,
	COLUMN_COUNT
};

// What one position of a list of conditions (all of which must hold) can name: headers[k] of every rule,
// claims[k], scopes[k].
struct policy_condition {
	struct slice provider; // claims, scopes
	struct slice name;     // headers, claims
};

struct policy_conditions {
	struct rule_set open;	       // rules that have no condition at this position
	struct policy_condition *list; // distinct
	uint32_t count;
};

struct policy_set {
	const struct ss_rule *source;
	uint32_t count;
	uint32_t words; // of a set of rules
	struct rule_index index;
	struct rule_set open[COLUMN_COUNT];
	bool used[COLUMN_COUNT];			     // some rule is not open
	struct policy_conditions *headers, *claims, *scopes; // by position
	uint32_t header_count, claim_count, scope_count;
	struct rule_set every;
	struct rule_set deny; // Enforce
	struct rule_set deny_audit;
	struct rule_set deny_all;
	struct rule_set reads_request;
	struct rule_set address;   // Enforce Deny rules with nothing but CIDRs and ports
	struct rule_set allow;	   // Enforce
	struct rule_set allow_all; // Audit too
	bool has_address;
	bool reads_paths;    // a rule does
	bool enforces_paths; // one that refuses or lets in does
	bool denies_paths;   // a Deny rule
	bool denies_methods;
	bool denies_headers;
	bool audits; // a rule is in Audit mode
	// What need not be looked up because no rule has it.
	uint32_t source_kinds;	// bit identity_pattern_kind, of patterns with a trust domain
	uint32_t account_kinds; // of patterns without
	uint8_t cidr_bits[PREFIX_LENGTHS_MAX];
	uint32_t cidr_bits_count;
	size_t path_len_max;
	size_t prefix_len_max;	// plus one; 0: there are none
	size_t written_len_max; // of odd paths in Allow rules, plus one
	size_t suffix_len_max;
};

// A set as it counts in one policy.
struct policy_part {
	const struct policy_set *set;
	uint32_t groups;    // bits of the policy's
	uint32_t providers; // bits of the policy's that its names mean; 0: all
	bool by_name;	    // its rules name providers by name, not by id
};

struct policy {
	const struct ss_policy *source;
	struct policy_part *parts; // in order
	uint32_t part_count;
	bool has_address; // some part has
	bool audits;	  // a rule or a default is in Audit mode
};

// Clears the host bits.
void policy_mask_addr(struct addr *a, uint8_t bits);
