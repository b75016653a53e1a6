// SPDX-License-Identifier: GPL-3.0-or-later
// From what a request says to the rules that name it: an exact-match index from a key (which
// attribute, which value) to a set of rules, built once in an arena, then read only. Sets are sparse
// here and dense where they are used (core/policy ANDs one per attribute). For core/policy only.
#pragma once

#include "common/arena.h"
#include "common/hash.h"
#include "common/snapshot_schema.h"

#define RULE_WORDS_MAX (SNAPSHOT_RULES_PER_POLICY_MAX / 64)
_Static_assert(RULE_WORDS_MAX <= 64, "one word says which words of a set are not empty");

// A set of rules on the stack. Words whose bit in live is not set are empty, whatever they hold: a
// set of thousands of rules costs as much as it has members.
struct rule_bits {
	uint64_t live;
	uint64_t words[RULE_WORDS_MAX];
};

enum rule_space {
	SPACE_NONE = 0,
	SPACE_SOURCE, // number: identity_pattern_kind; trust domain, namespace, account
	SPACE_CIDR,   // number: bits; masked address
	SPACE_PORT,
	SPACE_METHOD,
	SPACE_PATH,
	SPACE_PREFIX,  // without trailing slash
	SPACE_WRITTEN, // as SPACE_PATH and SPACE_PREFIX: Allow rules' odd paths
	SPACE_WRITTEN_PREFIX,
	SPACE_HOST,
	SPACE_SUFFIX,	     // ".example.com"
	SPACE_PROVIDER,	     // id
	SPACE_HEADER,	     // number: position in the rule; name, value
	SPACE_HEADER_ANY,    // number: position; name
	SPACE_HEADER_DENIED, // the same: Deny rules that name values
	SPACE_CLAIM,	     // number: position; provider, name, value
	SPACE_CLAIM_ANY,     // number: position; provider, name
	SPACE_SCOPE,	     // number: position; provider, scope
};

struct rule_key {
	enum rule_space space;
	uint32_t number;
	struct slice text[3];
};

struct rule_entry;
struct rule_cell;

struct rule_index {
	struct hash_index hash;
	struct rule_entry *entries;
	uint32_t entry_count;
	struct rule_cell *cells;
	uint32_t cell_count;
	uint32_t pairs_max;
};

// What an index of so many pairs takes of an arena, at most.
size_t rule_index_bytes(uint32_t pairs_max);
// Room for so many (key, rule) pairs. ERR_NOMEM.
enum err must_check rule_index_init(struct rule_index *x, struct arena *a, uint32_t pairs_max);
// Rules come in ascending order. Keys' texts are borrowed as long as the index lives. ERR_FULL: more
// pairs than were promised.
enum err must_check rule_index_add(struct rule_index *x, const struct rule_key *key, uint32_t rule);
// Adds the key's rules.
void rule_index_look_up(const struct rule_index *x, const struct rule_key *key,
			struct rule_bits *rules);
// Those of them that are in the set too (words as a rule_bits').
void rule_index_look_up_among(const struct rule_index *x, const struct rule_key *key,
			      const uint64_t *among, struct rule_bits *rules);
bool rule_index_has(const struct rule_index *x, const struct rule_key *key);
