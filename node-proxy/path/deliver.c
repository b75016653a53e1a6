// SPDX-License-Identifier: GPL-3.0-or-later
// Stage deliver: dial the pod from the client's own address, so that it sees who calls. The port is
// the kernel's choice. A pod that reaches itself is dialled from the node's address, as
// kube-proxy does: its own address as source would be a martian. So is a process of this node: its answers to a
// pod's address would go to that pod and not to us.
#include <unistd.h>
#include "io/sock.h"
#include "path/conn.h"
#include "path/holding.h"
#include "path/mux.h"
#include "path/stages.h"
#include "path/worker.h"

// This node's own address in the pod's family; none: the kernel chooses.
static struct addr deliver_node_address(const struct exchange *x)
{
	const struct ss_node *self =
		snapshot_node_by_name(x->pin->snapshot, x->worker->config.node);

	for (uint32_t i = 0; self && i < self->addr_count; i++) {
		if (addr_is_v4(self->addrs[i]) == addr_is_v4(x->target.addr))
			return self->addrs[i];
	}
	return (struct addr){0};
}

static bool deliver_is_own_node(const struct exchange *x)
{
	const struct ss_node *node = snapshot_node_by_addr(x->pin->snapshot, x->target.addr);

	return node && slice_eq(node->name, x->worker->config.node);
}

static bool deliver_dial(struct exchange *x)
{
	struct worker *w = x->worker;
	struct sock_dial_options options = {
		.source = x->client.addr,
		.mark = w->config.mark,
		.user_timeout_ms = USER_TIMEOUT_MS,
	};
	struct conn *c;
	int fd;

	if (addr_eq(x->client.addr, x->target.addr) || deliver_is_own_node(x) ||
	    addr_is_v4(x->client.addr) != addr_is_v4(x->target.addr))
		options.source = deliver_node_address(x);
	if (!holding_destination(x) || !holding_has_room(x, HOLDER_DESCRIPTORS) ||
	    sock_dial(x->target, &options, &fd) != ERR_OK)
		return false;
	c = conn_new_connect(w, fd, x->target, RING_GROUP_STREAM, &leg_conn_events, &x->leg[UP]);
	if (!c) {
		close(fd);
		return false;
	}
	conn_held_by(c, &x->holders);
	leg_init_tcp(&x->leg[UP], x, UP, c, false);
	return true;
}

enum step deliver_enter(struct exchange *x)
{
	struct leg *up = &x->leg[UP];

	if (leg_is_open(up) && !up->read_fin)
		return STEP_NEXT; // kept alive from the request before
	// What is still to be told about the connection that went meanwhile is not about the next.
	leg_close(up, false, TUNNEL_REASON_NONE);
	exchange_consume(x, UP, x->in[UP].len);
	if (!deliver_dial(x))
		return exchange_end(x, END_OVERLOADED);
	exchange_set_timer(x, snapshot_meta(x->pin->snapshot)->connect_timeout_ms);
	return STEP_WAIT;
}

enum step deliver_on_event(struct exchange *x, enum event e)
{
	struct leg *down = &x->leg[DOWN];

	if (e != EVENT_CONNECTED)
		return stage_default_event(x, e);
	exchange_cancel_timer(x);
	if (down->type == LEG_STREAM && !down->connected) {
		down->connected = true;
		mux_send_opened(down);
	}
	return STEP_NEXT;
}
