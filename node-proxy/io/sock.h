// SPDX-License-Identifier: GPL-3.0-or-later
// Sockets as Portcullis needs them: TPROXY listeners, the original destination, dialling a pod
// from the client's address, resets. Everything non-blocking and close-on-exec.
#pragma once

#include <netinet/in.h>
#include "common/addr.h"

struct sockaddr_storage;

socklen_t sock_address_to(struct addr_port a, struct sockaddr_storage *out);
enum err must_check sock_address_from(const struct sockaddr_storage *in, struct addr_port *out);

struct sock_listen_options {
	bool transparent; // IP_TRANSPARENT, for TPROXY
	bool reuse_port;  // SO_REUSEPORT: one listener a worker
	bool packet_info; // what it accepts can tell the interface it came in by (sock_accepted)
	uint32_t mark;	  // SO_MARK, inherited by what it accepts; 0: none
	int backlog;
};
// ERR_IO with errno.
enum err must_check sock_listen(struct addr_port at, const struct sock_listen_options *o, int *fd);

// Of an accepted connection: who called, whom it dialled (ClusterIP under TPROXY), and the index of
// the interface its SYN came in by (0: unknown).
enum err must_check sock_accepted(int fd, struct addr_port *peer, struct addr_port *destination,
				  uint32_t *ifindex);

struct sock_dial_options {
	struct addr source; // none: the node's own; others need, and set, transparent
	bool transparent;   // IP_TRANSPARENT
	uint32_t mark;	    // SO_MARK; 0: none
	// 0: any port. Else one that is congruent to base modulo modulus; dials to different addresses
	// share ports, so that their number is not bounded by them.
	uint16_t source_port_base;
	uint16_t source_port_modulus;
	uint32_t user_timeout_ms; // TCP_USER_TIMEOUT
};
// A socket ready to connect. A source that is not ours needs IP_TRANSPARENT
// (IP_BIND_ADDRESS_NO_PORT: the kernel picks a port per 4-tuple).
enum err must_check sock_dial(struct addr_port to, const struct sock_dial_options *o, int *fd);
// Options of every stream socket: TCP_NODELAY, keepalive, TCP_USER_TIMEOUT.
void sock_tune(int fd, uint32_t user_timeout_ms);
// At most so much may lie unsent in the kernel (TCP_NOTSENT_LOWAT); sends wait beyond it.
void sock_bound_unsent(int fd, uint32_t bytes);
// Fixed buffers in the kernel instead of those that it would grow.
void sock_bound_buffers(int fd, uint32_t bytes);
// Make the close send RST (SO_LINGER 0), also the one at the process's end; and take that back.
void sock_reset_on_close(int fd);
void sock_finish_on_close(int fd);
void sock_shutdown_write(int fd);
// Is there anything that the far end has not acknowledged yet, and still may?
bool sock_has_untold(int fd);
