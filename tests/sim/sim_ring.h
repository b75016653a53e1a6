// SPDX-License-Identifier: GPL-3.0-or-later
// What the world asks a simulated ring, beyond io/ring.h.
#pragma once

#include "io/ring.h"

// Until when its worker sleeps, as of its last turn, unless something completes; would something now?
uint64_t sim_ring_next_ns(const struct ring *r);
bool sim_ring_has_work(struct ring *r);
// Its last turn ended for nothing: it was not due, and nothing completed. acted: the worker asked for
// something after it all the same, which it would have slept over.
bool sim_ring_was_quiet(const struct ring *r, bool *acted);
