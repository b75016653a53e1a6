// SPDX-License-Identifier: GPL-3.0-or-later
// observe: where only Audit policies and limits in shadow mode read requests, the port is opaque, and the client's
// bytes are looked at as they pass. Says who would be refused by whom, in the log and a counter; holds no byte, ends
// no connection, asks nobody for more. What cannot be read as requests (no HTTP, a head beyond OBSERVED_HEAD_MAX, no
// place to look from) counts once as would be refused, and is looked at no further.
#pragma once

#include "core/http1.h"
#include "path/exchange.h"
#include "path/limits.h"

enum observing {
	OBSERVING_NOTHING = 0,
	OBSERVING_REQUESTS,
	OBSERVING_OFFERED, // as before, but an upgrade was offered: what is no request then is its bytes
	OBSERVING_ENDED,
};

// A request that has not come whole.
struct observer {
	struct http1 request;
	size_t scanned;
	uint32_t head_bytes; // so far; 0: its body is being framed
	uint8_t head[OBSERVED_HEAD_MAX];
};

// The relay begins; does nothing where nobody wants to look.
void observe_begin(struct exchange *x);
void observe_bytes(struct exchange *x, struct slice in);
// The client's bytes are all there were. Idempotent.
void observe_end(struct exchange *x);
