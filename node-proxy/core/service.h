// SPDX-License-Identifier: GPL-3.0-or-later
// What a Service's own fields say about a connection to it, as kube-proxy enforces them: capture takes the traffic from
// it. internalTrafficPolicy is about cluster IPs; externalTrafficPolicy about all others, for sources outside the
// cluster; loadBalancerSourceRanges about a load balancer's addresses, whoever dials them.
#pragma once

#include "common/snapshot_schema.h"

enum service_door {
	DOOR_CLUSTER = 0,
	DOOR_EXTERNAL, // externalIPs
	DOOR_BALANCER,
	DOOR_NODE_PORT,
};

struct service_visit {
	const struct ss_service *service;
	enum service_door door;
	struct addr dialled;
	struct addr client;
	bool from_cluster; // the client is a pod
	struct slice
		node; // that it came to; empty: nobody knows, every node's endpoints may be meant
};

// An address that is none of the Service's: a node's, by its node port.
enum service_door service_door_of(const struct ss_service *s, struct addr dialled);
// Ranges of the other family hold nobody of this one.
bool service_admits(const struct service_visit *v);
// Only endpoints on the node of the visit?
bool service_is_local(const struct service_visit *v);
// Those that are ready, else (terminating) those that still serve.
bool service_is_usable(const struct service_visit *v, const struct ss_endpoint *e,
		       bool terminating);
