// SPDX-License-Identifier: GPL-3.0-or-later
// holding: by whom an exchange is held, and what becomes of one whose holder has his share (holder.h). Where
// that holder has an exchange that has been quiet for long, it makes room; else the new one is refused.
#pragma once

#include "path/exchange.h"

// Captured here: by the pod's interface, or by the address from outside.
bool holding_begin_captured(struct exchange *x);
// Opened by a peer: by the workload that it names, and by the peer.
bool holding_begin_opened(struct exchange *x, struct slice node);
// The pod that it goes to is known. Idempotent.
bool holding_destination(struct exchange *x);
// Room for one more of r? False: x has been noted to end as overloaded, by whom.
bool holding_has_room(struct exchange *x, enum holder_resource r);
// It has ended; what is left of it holds only what it has not given back.
void holding_end(struct exchange *x);
// The last use.
void holding_forget(struct exchange *x);
// Bytes have come.
void holding_renew(struct exchange *x);
// What one side's unread bytes are held by: who sends them.
struct holder_set holding_of_side(const struct exchange *x, enum side s);
// An OPEN waits for our snapshot, or does not any more. Idempotent.
bool holding_open_waits(struct exchange *x);
void holding_open_done(struct exchange *x);
