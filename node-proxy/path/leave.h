// SPDX-License-Identifier: GPL-3.0-or-later
// leave: connections that have to end by a known time, because their process drains or because the tunnel that
// brings them takes no new streams. An HTTP/1 one ends behind its next answer, which says so; where no
// request comes it is closed at a time of its own, so that clients do not come back all at once.
#pragma once

#include "path/exchange.h"

// When it ends at the latest; 0: it may stay.
uint64_t leave_by_ns(const struct exchange *x);
// How long a connection between two requests may stay quiet, at most idle_ms.
uint64_t leave_quiet_ms(struct exchange *x, uint64_t idle_ms);
// EVENT_LEAVE for all of a worker (m NULL), or for those that came by m.
void leave_tell(struct worker *w, const struct mux *m);
