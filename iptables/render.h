// SPDX-License-Identifier: GPL-3.0-or-later
// The rule set as text for iptables-restore: pure, no kernel, no files. Which packet takes which way
// through these chains is told in README.md; why each rule is there, beside it in render.c.
#pragma once

#include "common/buf.h"
#include "iptables/rules_config.h"

// In the order in which they are put in; they are taken away in the opposite order (see rules.c).
enum table { TABLE_FILTER = 0, TABLE_NAT, TABLE_MANGLE, TABLE_RAW, TABLE_COUNT };

#define RENDER_CHAIN_PREFIX    "PORTCULLIS-"
#define RENDER_JUMPS_MAX       2
#define RENDER_TABLE_BYTES_MAX (256 * 1024)

const char *table_name(enum table t);

// One jump of ours: `-I HOOK 1 MATCH -j PORTCULLIS-HOOK`.
struct render_jump {
	const char *hook;
	char match[96];
};

// The jumps that table t must have, each as the first rule of its hook chain. Returns their number.
uint32_t render_jumps(const struct rules_config *c, enum table t,
		      struct render_jump out[RENDER_JUMPS_MAX]);

// The chains of ours in table t, without RENDER_CHAIN_PREFIX; NULL ends the list.
const char *const *render_chains(enum table t);

// One transaction for `iptables-restore --noflush`: old_jumps (lines "-D …", may be empty) are
// deleted, our chains are filled anew, and one jump stands at the top of each hook chain.
void render_table(const struct rules_config *c, enum family f, enum table t, struct slice old_jumps,
		  struct buf *out);

// The same as a person would type it, with the routing part: what `--dry-run` and `render` print.
void render_routing(const struct rules_config *c, enum family f, struct buf *out);
