// SPDX-License-Identifier: GPL-3.0-or-later
// One set of rules asked about one connection or request: what matches. For policy.c,
// policy_request.c and policy_answer.c only.
#pragma once

#include "core/policy_table.h"

struct evaluation {
	const struct policy_part *part;
	const struct policy_set *set; // its
	const struct policy_input *in;
	const uint64_t *rest;	 // found before, of this part (struct policy_rest), or NULL
	bool all;		 // every rule is a candidate: rules is not filled yet
	struct rule_bits rules;	 // candidates
	struct rule_bits column; // of the column at hand: rules that its value satisfies
};

// What is left of each part but for the path: which words are not empty, then those words.
struct policy_rest {
	const uint64_t **parts;
};

// The rules that match, had they no paths.
void policy_match_but_path(struct evaluation *e);
// Candidates are then the rules that match.
void policy_match_rules(struct evaluation *e);
// The same, had the best request come: see policy_evaluate_at_best.
void policy_match_at_best(struct evaluation *e);
// The same of rules with nothing but CIDRs and ports.
void policy_match_address(struct evaluation *e);
// The first candidate that is in the set; NULL: none.
const struct ss_rule *policy_match_first(const struct evaluation *e, const struct rule_set *set);
// Adds the rules of a key to the column.
void policy_look_up(struct evaluation *e, enum rule_space space, uint32_t number, struct slice a,
		    struct slice b, struct slice c);
void policy_look_up_text(struct evaluation *e, enum rule_space space, struct slice text);
// Columns whose values servers read in more ways than one; false where the attribute is unknown.
bool policy_column_method(struct evaluation *e);
bool policy_column_path(struct evaluation *e);
// Deny rules whose condition at this place a less strict server finds in the fields.
void policy_deny_headers(struct evaluation *e, uint32_t at);
