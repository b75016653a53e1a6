// SPDX-License-Identifier: GPL-3.0-or-later
// What iptables-save (or iptables -S, chain by chain) says about one table, reduced to what is ours:
// our chains' content as a digest, the jumps into them and where they stand. Pure; the text is a host's
// own output, still bounded.
#pragma once

#include "common/buf.h"
#include "iptables/render.h"

#define SAVED_CHAINS_MAX 16
#define SAVED_JUMPS_MAX	 32

struct saved_jump {
	struct slice chain; // where it stands
	struct slice spec;  // chain and everything behind, as after "-A "
	uint32_t position;  // 1: the first rule of its chain
};

struct saved_table {
	uint64_t digest; // of our chains' names and rules, counters aside
	struct slice chains[SAVED_CHAINS_MAX];
	uint32_t chain_count;
	struct saved_jump jumps[SAVED_JUMPS_MAX]; // from chains that are not ours
	uint32_t jump_count;
};

// Slices borrow from text. ERR_FULL: more of our chains or jumps than we ever make.
enum err must_check saved_parse(struct slice text, enum table t, struct saved_table *out);

// Does every jump that c wants stand first in its hook chain, once, and no other anywhere? The
// sentence in why says what is wrong. ERR_NOT_FOUND otherwise.
enum err must_check saved_check_jumps(const struct saved_table *s, const struct rules_config *c,
				      enum table t, struct reason *why);

// "-D …" lines for all jumps into our chains: the first part of both a new rule set and a removal.
void saved_put_deletions(const struct saved_table *s, struct buf *out);

// A transaction for iptables-restore --noflush that takes all of ours out of the table.
void saved_put_removal(const struct saved_table *s, enum table t, struct buf *out);
