// SPDX-License-Identifier: GPL-3.0-or-later
// Names of end reasons and their form on the tunnel; see end_reason.h.
#include "path/end_reason.h"

struct end_reason_row {
	const char *name;
	enum tunnel_reason tunnel;
	bool behind; // see end_reason_goes_behind
};

static const struct end_reason_row rows[END_COUNT] = {
	[END_NONE] = {"none", TUNNEL_REASON_RESET, false},
	[END_CLOSED] = {"closed", TUNNEL_REASON_NONE, false},
	[END_CLIENT_RESET] = {"client_reset", TUNNEL_REASON_RESET, true},
	[END_SERVER_RESET] = {"server_reset", TUNNEL_REASON_RESET, true},
	[END_DENIED] = {"denied", TUNNEL_REASON_DENIED, false},
	[END_UNAUTHENTICATED] = {"unauthenticated", TUNNEL_REASON_DENIED, false},
	[END_RATE_LIMITED] = {"rate_limited", TUNNEL_REASON_DENIED, false},
	[END_POLICY_INVALID] = {"policy_invalid", TUNNEL_REASON_DENIED, false},
	[END_POLICY_CHANGED] = {"policy_changed", TUNNEL_REASON_POLICY_CHANGED, false},
	[END_UNKNOWN_SOURCE] = {"unknown_source", TUNNEL_REASON_IDENTITY, false},
	[END_SOURCE_GONE] = {"source_gone", TUNNEL_REASON_RESET, false},
	[END_DESTINATION_GONE] = {"destination_gone", TUNNEL_REASON_DESTINATION, false},
	[END_NO_SNAPSHOT] = {"no_snapshot", TUNNEL_REASON_NO_SNAPSHOT, false},
	[END_NO_ROUTE] = {"no_route", TUNNEL_REASON_DESTINATION, false},
	[END_UNKNOWN_DESTINATION] = {"unknown_destination", TUNNEL_REASON_DESTINATION, false},
	[END_NO_ENDPOINT] = {"no_endpoint", TUNNEL_REASON_DESTINATION, false},
	[END_SOURCE_RANGE] = {"source_range", TUNNEL_REASON_DENIED, false},
	[END_UNREACHABLE] = {"unreachable", TUNNEL_REASON_UNREACHABLE, false},
	[END_CONNECT_TIMEOUT] = {"connect_timeout", TUNNEL_REASON_TIMEOUT, true},
	[END_TUNNEL_LOST] = {"tunnel_lost", TUNNEL_REASON_SHUTDOWN, true},
	[END_PEER_REFUSED] = {"peer_refused", TUNNEL_REASON_IDENTITY, false},
	[END_HEADER_TIMEOUT] = {"header_timeout", TUNNEL_REASON_TIMEOUT, false},
	[END_IDLE_TIMEOUT] = {"idle_timeout", TUNNEL_REASON_TIMEOUT, true},
	[END_BAD_REQUEST] = {"bad_request", TUNNEL_REASON_DENIED, false},
	[END_BAD_RESPONSE] = {"bad_response", TUNNEL_REASON_RESET, false},
	[END_NOT_HTTP] = {"not_http", TUNNEL_REASON_DENIED, false},
	[END_TOO_LARGE] = {"too_large", TUNNEL_REASON_DENIED, false},
	[END_OVERLOADED] = {"overloaded", TUNNEL_REASON_OVERLOADED, false},
	[END_DRAINED] = {"drained", TUNNEL_REASON_SHUTDOWN, false},
	[END_INTERNAL] = {"internal", TUNNEL_REASON_PROTOCOL, false},
};

const char *end_reason_name(enum end_reason r)
{
	return (unsigned int)r < END_COUNT ? rows[r].name : "invalid";
}

enum tunnel_reason end_reason_to_tunnel(enum end_reason r)
{
	return (unsigned int)r < END_COUNT ? rows[r].tunnel : TUNNEL_REASON_PROTOCOL;
}

bool end_reason_goes_behind(enum end_reason r)
{
	return (unsigned int)r < END_COUNT && rows[r].behind;
}

enum end_reason end_reason_from_tunnel(enum tunnel_reason r)
{
	switch (r) {
	case TUNNEL_REASON_DENIED:
		return END_DENIED;
	case TUNNEL_REASON_IDENTITY:
		return END_PEER_REFUSED;
	case TUNNEL_REASON_DESTINATION:
		return END_DESTINATION_GONE;
	case TUNNEL_REASON_UNREACHABLE:
		return END_UNREACHABLE;
	case TUNNEL_REASON_TIMEOUT:
		return END_CONNECT_TIMEOUT;
	case TUNNEL_REASON_OVERLOADED:
		return END_OVERLOADED;
	case TUNNEL_REASON_POLICY_CHANGED:
		return END_POLICY_CHANGED;
	case TUNNEL_REASON_NO_SNAPSHOT:
		return END_NO_SNAPSHOT;
	case TUNNEL_REASON_SHUTDOWN:
	case TUNNEL_REASON_IDLE:
		return END_TUNNEL_LOST;
	case TUNNEL_REASON_NONE:
		return END_CLOSED;
	case TUNNEL_REASON_RESET:
	case TUNNEL_REASON_PROTOCOL:
	case TUNNEL_REASON_COUNT:
		break;
	}
	return END_SERVER_RESET;
}
