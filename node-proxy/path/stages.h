// SPDX-License-Identifier: GPL-3.0-or-later
// Every stage's two doors; the tables that order them end outbound.c and inbound.c. One file a stage
// (request.c, relay.c and reply.c share path/http.h for L7).
#pragma once

#include "path/exchange.h"

#define STAGE_DECLARE(name)                                                                        \
	enum step name##_enter(struct exchange *x);                                                \
	enum step name##_on_event(struct exchange *x, enum event e)

STAGE_DECLARE(identify); // who is calling: captured address and interface ▶ principal
STAGE_DECLARE(pick);	 // what was dialled ▶ a pod, or an address to pass through to
STAGE_DECLARE(tunnel);	 // a stream to the pod's node
STAGE_DECLARE(claim);	 // receiver: is the claimed identity one pod of the sender's node?
STAGE_DECLARE(enforce);	 // L4 policy; does a rule have to read requests?
STAGE_DECLARE(request);	 // L7: a request head, judged
STAGE_DECLARE(deliver);	 // dial the pod from the client's address
STAGE_DECLARE(relay);	 // bytes both ways, framed where L7
STAGE_DECLARE(reply);	 // a local answer
STAGE_DECLARE(linger);	 // until the answer has left

extern const struct stage outbound_stages[];
extern const struct stage inbound_stages[];

// After a new snapshot: is who was identified, or what was claimed, still so? The last one says why not;
// NULL: it is.
bool identify_still_holds(struct exchange *x);
const char *claim_still_holds(const struct exchange *x);

// What every stage before relay does with events that are not its own: the client going away ends
// the exchange, bytes wait.
enum step stage_default_event(struct exchange *x, enum event e);
