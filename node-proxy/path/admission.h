// SPDX-License-Identifier: GPL-3.0-or-later
// admission: while requests of several workloads come to a worker, each workload has a bounded number of them
// under way: looked at, and without a response head. What comes beyond waits unread in its workload's line. So
// a flood is one short batch after another to everything on its way (both proxies, servers, the flooding client
// itself), and whoever asks seldom finds short turns and short queues. A request stops counting after
// ADMISSION_EPOCH_NS: slow servers, long polls and slow clients hold nobody up. A workload alone is not
// bounded.
#pragma once

#include "path/fair.h"

struct exchange;
struct worker;

struct admission_line {
	uint64_t since_ns; // when this epoch began
	uint32_t epoch;
	uint32_t under_way; // of this epoch
};

// An exchange's.
struct admission_place {
	struct fair_item turn; // in its line, while waiting
	bool waiting;	       // the next request is held
	bool admitted;	       // a request is under way ...
	uint32_t epoch;	       // ... and was counted in this one
};

struct admission {
	struct fair_queue waiting; // exchanges whose next request is held
	struct admission_line lines[FAIR_FLOWS];
	uint8_t latest;	    // whose request was the latest
	uint64_t latest_ns; // and when it came
	uint64_t mixed_ns;  // when one last came soon behind another workload's; 0: never
};

// May this exchange's next request be looked at? If not, EVENT_TURN comes when it may.
bool admission_enter(struct exchange *x);
// Its response head has come, or nothing more will be done about it. Idempotent.
void admission_leave(struct exchange *x);
// End of turn: those whose turn it is are posted EVENT_TURN.
void admission_release(struct worker *w);
// When the next turn comes without anybody's doing; in the past: it has come. UINT64_MAX: nobody waits.
uint64_t admission_next_ns(const struct worker *w);
