// SPDX-License-Identifier: GPL-3.0-or-later
// io/sock.h over simulated sockets. Listeners are the world's (sim_world.c).
#include "io/sock.h"

#include <errno.h>

#include "sim/sim.h"
#include "sim/sim_net.h"

#define SOURCE_PORT_FIRST 16000

static uint32_t next_source_port;

void sim_sock_reset(void)
{
	next_source_port = 0;
}

socklen_t sock_address_to(struct addr_port a, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	v6->sin6_family = AF_INET6;
	v6->sin6_port = a.port; // whoever reads it is below
	memcpy(&v6->sin6_addr, a.addr.bytes, 16);
	return sizeof(*v6);
}

enum err sock_address_from(const struct sockaddr_storage *in, struct addr_port *out)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)in;

	if (in->ss_family != AF_INET6)
		return ERR_UNSUPPORTED;
	memcpy(out->addr.bytes, &v6->sin6_addr, 16);
	out->port = v6->sin6_port;
	return ERR_OK;
}

enum err sock_listen(struct addr_port at, const struct sock_listen_options *o, int *fd)
{
	(void)o;
	*fd = sim_net_listen(SIM_NODE_FIRST + sim.node, at);
	return ERR_OK;
}

enum err sock_accepted(int fd, struct addr_port *peer, struct addr_port *destination,
		       uint32_t *ifindex)
{
	// It may have been reset before it was looked at.
	if (sim_net_is_reset(fd) && sim_chance(500))
		return ERR_IO;
	*peer = sim_net_remote(fd);
	*destination = sim_net_local(fd);
	*ifindex = sim_net_ifindex(fd);
	return ERR_OK;
}

enum err sock_dial(struct addr_port to, const struct sock_dial_options *o, int *fd)
{
	struct addr_port local = {.addr = o->source};

	(void)to;
	if (sim_chance(sim.knobs.dial_error)) {
		errno = EMFILE;
		return ERR_IO;
	}
	if (o->source_port_modulus)
		local.port = (uint16_t)(SOURCE_PORT_FIRST / o->source_port_modulus *
						o->source_port_modulus +
					o->source_port_base +
					next_source_port++ % 64 * o->source_port_modulus);
	*fd = sim_net_socket(SIM_NODE_FIRST + sim.node);
	sim_net_bind(*fd, local);
	return ERR_OK;
}

void sock_tune(int fd, uint32_t user_timeout_ms)
{
	(void)user_timeout_ms;
	(void)sim_net_get(fd);
}

void sock_bound_unsent(int fd, uint32_t bytes)
{
	sim_net_bound_unsent(fd, bytes);
}

void sock_bound_buffers(int fd, uint32_t bytes)
{
	(void)sim_net_get(fd); // they are what the world made them
	(void)bytes;
}

void sock_reset_on_close(int fd)
{
	sim_net_reset_on_close(fd, true);
}

void sock_finish_on_close(int fd)
{
	sim_net_reset_on_close(fd, false);
}

void sock_shutdown_write(int fd)
{
	sim.shutdowns++;
	sim_net_shutdown(fd);
}

bool sock_has_untold(int fd)
{
	return sim_net_untold(fd);
}
