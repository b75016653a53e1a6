// SPDX-License-Identifier: GPL-3.0-or-later
// Who calls and where that leads, as the data path finds it out (path/identify, path/pick, path/claim): by which
// principal a source is known, which endpoints may be chosen, and where a connection ends before any policy
// is asked. For the verb explain.
#pragma once

#include "core/identity.h"
#include "core/snapshot.h"
#include "model/objects.h"

#define WALK_REASON_MAX 200

enum walk_end {
	WALK_ENFORCED = 0, // the destination's policy decides
	WALK_PASSED,	   // nobody enforces anything
	WALK_REFUSED,	   // ends before
};

// To one of the addresses that may be chosen.
struct walk_way {
	enum walk_end end;
	const char *reason; // but of ENFORCED: as the log names it
	const char *why;    // and in a sentence
	struct addr_port target;
	const struct workload *destination; // NULL: no pod
	struct slice node;		    // where that is; empty: not known
};

struct walk {
	const struct model *model;
	const struct snapshot *snapshot;
	struct arena *arena;
	// who
	struct principal source;
	const struct workload *pod; // NULL: none
	bool captured;		    // by the source's node
	struct addr client;	    // in the family of what is dialled
	struct slice node;	    // where the source is; empty: outside
	// whom
	struct walk_way *ways;
	uint32_t count;
	char problem[WALK_REASON_MAX]; // why nothing can be said
};

// "NS/POD", "IP" or "outside:IP". False with a problem.
bool walk_from(struct walk *w, const char *from);
// "SERVICE.NS:PORT", "NS/POD:PORT" or "IP:PORT"; after walk_from.
bool walk_to(struct walk *w, const char *to);
