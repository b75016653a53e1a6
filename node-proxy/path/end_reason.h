// SPDX-License-Identifier: GPL-3.0-or-later
// Why an exchange ended: one vocabulary for access log, metric and local reply.
#pragma once

#include "core/tunnel_proto.h"

enum end_reason {
	END_NONE = 0,
	END_CLOSED, // both sides finished
	END_CLIENT_RESET,
	END_SERVER_RESET,
	END_DENIED,
	END_UNAUTHENTICATED,
	END_RATE_LIMITED,
	END_POLICY_INVALID,
	END_POLICY_CHANGED,
	END_UNKNOWN_SOURCE,
	END_SOURCE_GONE,
	END_DESTINATION_GONE,
	END_NO_SNAPSHOT,
	END_NO_ROUTE,		 // nothing known behind the dialled address
	END_UNKNOWN_DESTINATION, // held, and still no pod that anybody knows
	END_NO_ENDPOINT,	 // a Service without a ready pod
	END_SOURCE_RANGE,	 // not one that the Service's load balancer addresses are for
	END_UNREACHABLE,	 // the pod refused or did not answer
	END_CONNECT_TIMEOUT,
	END_TUNNEL_LOST,
	END_PEER_REFUSED, // the peer node's checks
	END_HEADER_TIMEOUT,
	END_IDLE_TIMEOUT,
	END_BAD_REQUEST,
	END_BAD_RESPONSE,
	END_NOT_HTTP, // an L7 rule covers the port and the bytes cannot be read
	END_TOO_LARGE,
	END_OVERLOADED,
	END_DRAINED,
	END_INTERNAL,
	END_COUNT
};

// "denied", "client_reset", ... Never NULL.
const char *end_reason_name(enum end_reason r);
// What the peer node is told when this reason ends a stream, and back.
enum tunnel_reason end_reason_to_tunnel(enum end_reason r);
enum end_reason end_reason_from_tunnel(enum tunnel_reason r);
// Somebody's connection has ended and nobody was refused anything: what it brought before is handed on before
// its reset is. Everything else cuts at once.
bool end_reason_goes_behind(enum end_reason r);
