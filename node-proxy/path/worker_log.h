// SPDX-License-Identifier: GPL-3.0-or-later
// What a worker writes down, as records in its ring; see record.h. Never blocks.
#pragma once

#include "core/http1.h"
#include "path/exchange.h"

struct mux;

// One access log line for the exchange, or for its current request.
void worker_log_exchange(struct exchange *x);
// A request of the exchange, or what cannot be read as one (m and path: NULL), passes and would be refused.
void worker_log_would_deny(const struct exchange *x, const struct http1_message *m,
			   const struct decision *d);
// event: "tunnel_established", "tunnel_closed", "tunnel_failed"; why may be NULL.
void worker_log_tunnel(struct worker *w, const struct mux *m, const char *event, const char *why);
