// SPDX-License-Identifier: GPL-3.0-or-later
// Sockets without a kernel: streams of bytes that take time, arrive piecemeal, fill up, end by FIN or by
// RST. Both sides of the world use them: the workers through sim_ring.c and sim_sock.c, the clients and
// pods (sim_actor.c) directly. Every descriptor has one owner; every use of one that is not open is a
// failure of the world.
#pragma once

#include "common/addr.h"

#define SIM_SOCKETS_MAX 1024
#define SIM_BACKLOG_MAX 64

enum sim_owner { SIM_ACTORS = 0, SIM_NODE_FIRST }; // and SIM_NODE_FIRST + n: the process of node n

struct sim_socket;

bool sim_net_is_descriptor(int fd);
// Fails the world where fd is not open.
struct sim_socket *sim_net_get(int fd);

int sim_net_socket(enum sim_owner owner);
// The world's router says who reaches it; at is only its name.
int sim_net_listen(enum sim_owner owner, struct addr_port at);
// Whom does a connection from fd reach? Given by the world: a listener's descriptor; -1: refused; -2: nobody
// answers at all. For capture it also says what the accepted end shall know.
struct sim_route {
	int listener;
	struct addr_port destination; // the accepted end's own name
	uint32_t ifindex;
};
#define SIM_ROUTE_REFUSED (-1)
#define SIM_ROUTE_SILENT  (-2)
typedef struct sim_route (*sim_router)(enum sim_owner owner, struct addr_port from,
				       struct addr_port to);
void sim_net_reset(sim_router router);

void sim_net_bind(int fd, struct addr_port local);
struct addr_port sim_net_local(int fd);
struct addr_port sim_net_remote(int fd);
uint32_t sim_net_ifindex(int fd);

void sim_net_connect(int fd, struct addr_port to);
enum sim_connect { SIM_UNCONNECTED = 0, SIM_CONNECTING, SIM_CONNECTED, SIM_REFUSED, SIM_TIMED_OUT };
enum sim_connect sim_net_connect_state(int fd);
bool sim_net_can_accept(int fd);
// The connection's descriptor; its owner is the listener's.
int sim_net_accept(int fd);

// Bytes that have arrived and may be read now.
uint32_t sim_net_readable(int fd);
uint32_t sim_net_read(int fd, void *out, uint32_t cap);
bool sim_net_at_fin(int fd);   // everything before it has been read
bool sim_net_is_reset(int fd); // the peer's RST has come
// Bytes that the peer's buffer still takes.
uint32_t sim_net_writable(int fd);
uint32_t sim_net_write(int fd, const void *bytes, uint32_t len);
// Not writable while so much of what was written has not arrived yet (TCP_NOTSENT_LOWAT).
// It had no room for somebody, who waits for some. room: there is some again, or an end of it.
void sim_net_want_room(int fd);
bool sim_net_room(int fd);
void sim_net_room_told(int fd);
bool sim_net_untold(int fd);  // has something not arrived at its peer yet?
bool sim_net_has_fin(int fd); // the peer's FIN has come, whatever lies unread before it
void sim_net_bound_unsent(int fd, uint32_t bytes);
void sim_net_shutdown(int fd); // FIN
void sim_net_reset_on_close(int fd, bool reset);
// FIN, or RST if asked for or if bytes were left unread, as Linux does.
void sim_net_close(int fd);
// The connection dies in both directions (a node vanished; a middlebox forgot it).
void sim_net_kill(int fd);
// Nothing arrives at either end for so long; a connection that is frozen for longer than TCP waits for
// an answer dies with what was under way.
void sim_net_freeze(int fd, uint64_t ns);
bool sim_net_is_frozen(int fd);
// Operations of rings that name it: close waits for none, and must not.
void sim_net_count_op(int fd, int change);
uint32_t sim_net_ops(int fd);

// When something is due next; UINT64_MAX: nothing is under way.
uint64_t sim_net_next_ns(void);
// Lets one due thing happen. False: nothing was due.
bool sim_net_step(void);
void sim_net_check_end(void);
// A process ends: the kernel closes what it had open.
void sim_net_end_process(enum sim_owner owner);
// An end of a random stream, a node's, whose other end is the actors' or a node's; -1: none. For the
// world's mischief.
int sim_net_any_stream(bool to_actors);
