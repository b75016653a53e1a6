// SPDX-License-Identifier: GPL-3.0-or-later
// Sockets for transparent proxying; see sock.h.
#include "io/sock.h"

#include <errno.h>
#include <linux/tcp.h> // its tcp_info says what has not been sent
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP_STATE_CLOSE	     7 // the kernel's own; <netinet/tcp.h> has it, and an older tcp_info
#define KEEPALIVE_IDLE_S     30
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES     3
// Ports of tunnels that we dial: between our own listeners and Kubernetes' node ports (30000 on).
#define SOURCE_PORT_FIRST 16000
#define SOURCE_PORT_LAST  29999
#define SOURCE_PORT_TRIES 64

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

socklen_t sock_address_to(struct addr_port a, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (addr_is_v4(a.addr)) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)out;

		v4->sin_family = AF_INET;
		v4->sin_port = htons(a.port);
		memcpy(&v4->sin_addr, a.addr.bytes + 12, 4);
		return sizeof(*v4);
	}
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(a.port);
	memcpy(&v6->sin6_addr, a.addr.bytes, 16);
	return sizeof(*v6);
}

enum err sock_address_from(const struct sockaddr_storage *in, struct addr_port *out)
{
	if (in->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)in;

		out->addr = addr_from_v4(ntohl(v4->sin_addr.s_addr));
		out->port = ntohs(v4->sin_port);
		return ERR_OK;
	}
	if (in->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)in;

		memcpy(out->addr.bytes, &v6->sin6_addr, 16);
		out->port = ntohs(v6->sin6_port);
		return ERR_OK;
	}
	return ERR_UNSUPPORTED;
}

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int set_transparent(int fd, bool v4)
{
	return v4 ? set_option(fd, SOL_IP, IP_TRANSPARENT, 1)
		  : set_option(fd, SOL_IPV6, IPV6_TRANSPARENT, 1);
}

// Closes on failure, keeping errno for the caller's sentence.
static enum err give_up(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
	return ERR_IO;
}

static int socket_new(bool v4)
{
	return socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

enum err sock_listen(struct addr_port at, const struct sock_listen_options *o, int *out)
{
	bool v4 = addr_is_v4(at.addr);
	struct sockaddr_storage address;
	socklen_t bytes = sock_address_to(at, &address);
	int fd = socket_new(v4);

	if (fd < 0)
		return ERR_IO;
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
	    (o->reuse_port && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) ||
	    (!v4 && set_option(fd, SOL_IPV6, IPV6_V6ONLY, 1) < 0) ||
	    (o->transparent && set_transparent(fd, v4) < 0))
		return give_up(fd);
	if (o->mark && set_option(fd, SOL_SOCKET, SO_MARK, (int)o->mark) < 0)
		return give_up(fd);
	if (o->packet_info && v4 && set_option(fd, SOL_IP, IP_PKTINFO, 1) < 0)
		return give_up(fd);
	if (bind(fd, (struct sockaddr *)&address, bytes) < 0 || listen(fd, o->backlog) < 0)
		return give_up(fd);
	*out = fd;
	return ERR_OK;
}

// The interface that the handshake came in by: the kernel notes it in the new socket as where
// multicast would leave (inet->mc_index, np->mcast_oif). IPv6 has an option that reads it; IPv4 tells
// it through the packet options of a socket with IP_PKTINFO. (IPv6's packet options would keep the
// SYN, and clone every later packet, as long as the connection lives.)
static uint32_t ingress_interface(int fd, bool v4)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[256];
	} control;
	socklen_t len = sizeof(control.bytes);

	if (!v4) {
		int index = 0;

		len = sizeof(index);
		if (getsockopt(fd, SOL_IPV6, IPV6_MULTICAST_IF, &index, &len) < 0 || index < 0)
			return 0;
		return (uint32_t)index;
	}
	if (getsockopt(fd, SOL_IP, IP_PKTOPTIONS, control.bytes, &len) < 0)
		return 0;
	struct msghdr m = {.msg_control = control.bytes, .msg_controllen = len};

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		struct in_pktinfo info;

		if (c->cmsg_level != SOL_IP || c->cmsg_type != IP_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		return (uint32_t)info.ipi_ifindex;
	}
	return 0;
}

enum err sock_accepted(int fd, struct addr_port *peer, struct addr_port *destination,
		       uint32_t *ifindex)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return ERR_IO;
	enum err err = sock_address_from(&address, destination);

	if (err != ERR_OK)
		return err;
	len = sizeof(address);
	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0)
		return ERR_IO;
	*ifindex = ingress_interface(fd, addr_is_v4(destination->addr));
	return sock_address_from(&address, peer);
}

void sock_tune(int fd, uint32_t user_timeout_ms)
{
	// A socket that refuses an option still works; it only notices a dead peer later.
	(void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	(void)set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	(void)set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	(void)set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	(void)set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
	(void)set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)user_timeout_ms);
}

// A port congruent to base modulo modulus. SO_REUSEADDR lets connections to different addresses share
// it; each dial begins one further, so that a second one to the same address, or one into a
// TIME_WAIT, seldom meets the first (connect would say EADDRNOTAVAIL, and the next dial tries anew).
static enum err bind_congruent(int fd, struct addr_port source, const struct sock_dial_options *o)
{
	static _Atomic uint32_t next;
	uint32_t modulus = o->source_port_modulus;
	uint32_t first =
		(SOURCE_PORT_FIRST + modulus - 1) / modulus * modulus + o->source_port_base;
	uint32_t ports = (SOURCE_PORT_LAST - first) / modulus + 1;

	if (o->source_port_base >= modulus || first > SOURCE_PORT_LAST) {
		errno = EINVAL;
		return ERR_IO;
	}
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0)
		return ERR_IO;
	for (uint32_t i = 0; i < SOURCE_PORT_TRIES; i++) {
		uint32_t nth = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % ports;
		struct addr_port at = {source.addr, (uint16_t)(first + nth * modulus)};
		struct sockaddr_storage address;
		socklen_t bytes = sock_address_to(at, &address);

		if (bind(fd, (struct sockaddr *)&address, bytes) == 0)
			return ERR_OK;
		if (errno != EADDRINUSE)
			return ERR_IO;
	}
	return ERR_IO;
}

static enum err bind_source(int fd, bool v4, const struct sock_dial_options *o)
{
	struct addr_port source = {.addr = o->source};
	struct sockaddr_storage address;

	if (o->source_port_modulus) {
		if (addr_is_none(source.addr) && v4)
			source.addr = addr_from_v4(INADDR_ANY);
		return bind_congruent(fd, source, o);
	}
	if (addr_is_none(o->source))
		return ERR_OK;
	socklen_t bytes = sock_address_to(source, &address);

	if (set_transparent(fd, v4) < 0 || set_option(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1) < 0 ||
	    bind(fd, (struct sockaddr *)&address, bytes) < 0)
		return ERR_IO;
	return ERR_OK;
}

enum err sock_dial(struct addr_port to, const struct sock_dial_options *o, int *out)
{
	bool v4 = addr_is_v4(to.addr);
	int fd = socket_new(v4);

	if (fd < 0)
		return ERR_IO;
	if ((o->mark && set_option(fd, SOL_SOCKET, SO_MARK, (int)o->mark) < 0) ||
	    (o->transparent && set_transparent(fd, v4) < 0))
		return give_up(fd);
	if (bind_source(fd, v4, o) != ERR_OK)
		return give_up(fd);
	sock_tune(fd, o->user_timeout_ms);
	*out = fd;
	return ERR_OK;
}

void sock_bound_unsent(int fd, uint32_t bytes)
{
	(void)set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)bytes);
}

void sock_bound_buffers(int fd, uint32_t bytes)
{
	(void)set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)bytes);
	(void)set_option(fd, SOL_SOCKET, SO_RCVBUF, (int)bytes);
}

static void set_linger(int fd, int on)
{
	struct linger now = {.l_onoff = on, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void sock_reset_on_close(int fd)
{
	set_linger(fd, 1);
}

void sock_finish_on_close(int fd)
{
	set_linger(fd, 0);
}

void sock_shutdown_write(int fd)
{
	(void)shutdown(fd, SHUT_WR);
}

bool sock_has_untold(int fd)
{
	struct tcp_info info = {0};
	socklen_t bytes = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0 &&
	       info.tcpi_state != TCP_STATE_CLOSE &&
	       (info.tcpi_unacked > 0 || info.tcpi_notsent_bytes > 0);
}
