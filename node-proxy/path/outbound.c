// SPDX-License-Identifier: GPL-3.0-or-later
// The source node's side of a connection: capture, and the table of its stages. Routes (Gateway API)
// will add sniff, request and route between identify and pick.
#include "path/outbound.h"

#include <unistd.h>
#include "io/sock.h"
#include "path/conn.h"
#include "path/holding.h"
#include "path/stages.h"
#include "path/worker.h"

// A connection that TPROXY steered to us: who called and whom it dialled are the socket's own names.
void outbound_capture(struct worker *w, int fd)
{
	struct addr_port client, dialled;
	struct exchange *x;
	struct conn *c;
	uint32_t ifindex;

	w->counters.accepts++;
	if (sock_accepted(fd, &client, &dialled, &ifindex) != ERR_OK) {
		close(fd); // gone before it was looked at
		return;
	}
	x = exchange_new(w, EXCHANGE_OUTBOUND, outbound_stages);
	if (!x) {
		w->counters.overloaded++;
		sock_reset_on_close(fd);
		close(fd);
		return;
	}
	x->client = client;
	x->flow = fair_flow(client.addr);
	x->dialled = x->target = dialled;
	x->ifindex = ifindex;
	c = NULL;
	if (holding_begin_captured(x) && holding_has_room(x, HOLDER_DESCRIPTORS))
		c = conn_new_open(w, fd, RING_GROUP_STREAM, &leg_conn_events, &x->leg[DOWN]);
	if (!c) {
		sock_reset_on_close(fd);
		close(fd);
		x->leg[DOWN].dead = true;
		exchange_end(x, END_OVERLOADED);
		exchange_abort(x);
		return;
	}
	conn_held_by(c, &x->holders);
	sock_tune(fd, USER_TIMEOUT_MS);
	leg_init_tcp(&x->leg[DOWN], x, DOWN, c, true);
	exchange_start(x);
}

const struct stage outbound_stages[] = {
	{"identify", identify_enter, identify_on_event},
	{"pick", pick_enter, pick_on_event}, // same node: goes on in the inbound table, at enforce
	{"tunnel", tunnel_enter, tunnel_on_event},
	{"relay", relay_enter, relay_on_event},
	{"linger", linger_enter, linger_on_event}, // where bytes still wait for credit
	{0},
};
