// SPDX-License-Identifier: GPL-3.0-or-later
// What a worker writes down, as records in its ring; see record.h. Never blocks.
#pragma once

#include "path/exchange.h"

struct mux;

// One access log line for the exchange, or for its current request.
void worker_log_exchange(struct exchange *x);
// event: "tunnel_established", "tunnel_closed", "tunnel_failed"; why may be NULL.
void worker_log_tunnel(struct worker *w, const struct mux *m, const char *event, const char *why);
