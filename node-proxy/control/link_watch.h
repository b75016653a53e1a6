// SPDX-License-Identifier: GPL-3.0-or-later
// link_watch: pins each local pod's address to the interface that the routing table leads to it by
// (rtnetlink), and follows the interfaces. A pin belongs to (address, pod UID): it is made once,
// when the pod appears in the snapshot or when its route does, and never moves; an interface that
// vanished leaves it dead. So an address that another pod took over is nobody's until the snapshot
// says so. Endpoints that are no known pod (a Service without a selector names them) are strangers: of them
// it says by which interface they are reached now, so that a pod of this node that nobody knows is told from
// the world outside. Used by the loader's thread; workers read the result (path/links).
#pragma once

#include "core/snapshot.h"
#include "path/links.h"

#define LINK_WATCH_UPLINKS_MAX 8

struct link_watch;

// Addresses that are reached by an uplink, or by no more than a default route, are no local pods'.
// ERR_IO with errno; ERR_TOO_LARGE: too many uplinks.
enum err must_check link_watch_new(const uint32_t *uplinks, uint32_t uplink_count,
				   struct link_watch **out);
void link_watch_free(struct link_watch *w);
// Readable: something changed; call link_watch_read.
int link_watch_fd(const struct link_watch *w);
// *changed: pins died or were found; publish link_watch_table.
enum err must_check link_watch_read(struct link_watch *w, bool *changed);
// Pins for this snapshot's local pods and for strangers; those that stayed are kept as they are.
enum err must_check link_watch_follow(struct link_watch *w, const struct snapshot *s);
// The table as it stands (the caller's).
enum err must_check link_watch_table(const struct link_watch *w, struct links **out);

struct link_watch_metrics {
	uint32_t pinned;
	uint32_t pending;   // pods without a route yet
	uint32_t dead;	    // pods whose interface has vanished
	uint64_t overflows; // events that the kernel had to drop; all was looked at again
};
void link_watch_metrics(const struct link_watch *w, struct link_watch_metrics *out);
