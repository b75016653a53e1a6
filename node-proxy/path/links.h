// SPDX-License-Identifier: GPL-3.0-or-later
// links: which interface each local pod's address belongs to, as an immutable table. Identity is
// pinned to (address, interface): a packet from a known address by another interface is another
// pod's, and is held until the snapshot has caught up. So is
// what an endpoint leads to that is no known pod, if it lies behind such an interface. Built by
// control/link_watch from the routing table; read by workers at identify and pick. No I/O here.
#pragma once

#include "common/addr.h"

struct links;

struct link_pin {
	struct addr addr;
	struct slice uid; // of the workload that the pin was made for; empty: a stranger, no known pod
	uint32_t ifindex; // 0: dead, its interface has gone; a stranger's: it leads to no local pod
};

enum link_answer {
	LINK_UNKNOWN = 0, // no pin for this pod yet: hold
	LINK_MATCHES,
	LINK_DIFFERS, // pinned to another interface, or its interface has gone: hold, then refuse
};

// Copies pins (and their uids). Order does not matter; an address comes once.
enum err must_check links_new(const struct link_pin *pins, uint32_t count, struct links **out);
void links_free(struct links *l);
// May a connection from a that came in by ifindex speak for workload uid? l may be NULL (none yet).
// ifindex 0 (the kernel did not say) never matches.
enum link_answer links_check(const struct links *l, struct addr a, struct slice uid,
			     uint32_t ifindex);
// May an endpoint that is no known pod be dialled? Only what surely leads to no pod of this node: an interface
// that is none of the uplinks has an unknown pod behind it. What has not been asked about yet may not.
bool links_lead_outside(const struct links *l, struct addr a);
// The pin of an address, or NULL.
const struct link_pin *links_find(const struct links *l, struct addr a);
uint32_t links_count(const struct links *l);
