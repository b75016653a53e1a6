// SPDX-License-Identifier: GPL-3.0-or-later
// What the enforce stage shares with the request stage and with recheck: one way to ask.
#pragma once

#include "path/exchange.h"

void enforce_context(struct exchange *x, struct arena *scratch, struct decide_context *c);
void enforce_input(const struct exchange *x, struct policy_input *in);
// The L4 question, again after a new snapshot; and what is left of the L7 one when the request is not kept.
void enforce_connection(struct exchange *x, struct decision *out);
void enforce_at_best(struct exchange *x, struct decision *out);
