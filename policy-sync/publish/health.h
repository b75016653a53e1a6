// SPDX-License-Identifier: GPL-3.0-or-later
// health: GET /healthz, /readyz and /metrics of policy-sync, for probes: is what the directory says published,
// and how far does each node stand behind. Public matter only. One request a connection.
#pragma once

#include "publish/server.h"

// What serve knows and the server does not.
struct health_status {
	bool published;			    // something is
	bool incomplete;		    // it is not all that the directory holds
	uint64_t unpublished_since_unix_ms; // the last reading could not be published; 0: it was
	struct reason why;		    // of either
	uint32_t errors, warnings;	    // findings
};

struct health;

// ERR_IO, ERR_NOMEM with why. status is borrowed.
enum err must_check health_new(struct server *server, struct addr_port listen,
			       const struct health_status *status, struct health **out,
			       struct reason *why);
void health_free(struct health *h); // NULL is allowed; before the server
// The pages, for the listener and for tests. False: there is no such page.
bool health_page(const struct server *s, const struct health_status *status, struct slice path,
		 int *code, struct buf *out);
