// SPDX-License-Identifier: GPL-3.0-or-later
// handshake: what an accepted tunnel may cost before its certificate has said who dials, and after. A node
// that the snapshot knows by its address has places of its own; all others share the strangers'. Whoever
// comes when his places are used up takes that of the oldest: a crowd of half-open connections waits for
// itself alone. Whoever has proven himself holds a tunnel instead.
#pragma once

#include "path/mux.h"

// m->remote is known. False: no place.
bool handshake_enter(struct mux *m);
// m->node has been proven. False: that node has too many tunnels.
bool handshake_proven(struct mux *m);
// Idempotent.
void handshake_leave(struct mux *m);
// Is this failure of m's worth a line?
bool handshake_may_log(const struct mux *m);
