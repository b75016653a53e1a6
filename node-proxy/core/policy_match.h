// SPDX-License-Identifier: GPL-3.0-or-later
// One set of rules asked about one connection or request: what matches. For policy.c and policy_answer.c only.
#pragma once

#include "core/policy_table.h"

struct evaluation {
	const struct policy_part *part;
	const struct policy_set *set; // its
	const struct policy_input *in;
	bool all;		 // every rule is a candidate: rules is not filled yet
	struct rule_bits rules;	 // candidates
	struct rule_bits column; // of the column at hand: rules that its value satisfies
};

// Candidates are then the rules that match.
void policy_match_rules(struct evaluation *e);
// The same, had the best request come: see policy_evaluate_at_best.
void policy_match_at_best(struct evaluation *e);
// The same of rules with nothing but CIDRs and ports.
void policy_match_address(struct evaluation *e);
// The first candidate that is in the set; NULL: none.
const struct ss_rule *policy_match_first(const struct evaluation *e, const struct rule_set *set);
