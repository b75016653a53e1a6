// SPDX-License-Identifier: GPL-3.0-or-later
// How rough a world is. Drawn from its seed; sim --set NAME=VALUE fixes one, sim --knobs names them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sim_knobs {
	// the world
	uint32_t calm;	     // 1: nothing is done to it but what must harm nobody
	uint32_t workers;    // of each node
	uint32_t clients;    // that call
	uint32_t arrival_ms; // over which they come
	uint32_t under_way;  // requests of one workload at a worker, while others ask too
	uint32_t mischief;   // per mille of the steps in which something is done to it
	uint32_t trouble_ms; // then everything is healed, and has to come to its end
	uint32_t
		sudden_drain; // per mille of the mischief: not healed, but drained in the midst of it
	uint32_t idle_turn;   // per mille: a worker turns though nothing has happened
	// the ring
	uint32_t queue_entries;	  // of the submission queue: beyond, submitted at once
	uint32_t completions_max; // of one turn: the rest overflows into the next
	uint32_t stream_buffers, stream_buffer_bytes;
	uint32_t tunnel_buffers, tunnel_buffer_bytes;
	uint32_t short_send;  // per mille: a send ends early though nothing is wrong
	uint32_t lost_more;   // per mille: a multishot ends though nothing is wrong
	uint32_t cancel_late; // per mille: a cancellation comes too late (-EALREADY)
	uint32_t passing;     // per mille: an operation ends with a result that passes
	uint32_t poll_idle;   // per mille of the turns: a readiness comes for nothing
	// sockets
	uint32_t socket_bytes;	 // what a socket takes before its reader reads
	uint32_t latency_max_us; // of bytes between two sockets
	uint32_t partial;	 // per mille: bytes move piecemeal
	uint32_t rst_overtakes;	 // per mille: a RST does so with bytes under way, or unread
	uint32_t accept_error;	 // per mille: -EMFILE instead of a connection
	uint32_t dial_error;	 // per mille: no socket to dial with
	uint32_t
		reuse_descriptors; // per mille: lowest free one, as the kernel does; else a new one
	// memory and TLS
	uint32_t chunks_taken; // of a worker, by thousands of others who are not played: pressure.h
	uint32_t pool_empty;   // per mille: a pool refuses
	uint32_t tls_trouble;  // per mille: no memory for a session, a record, a handshake refused
	uint32_t key_update;   // per mille: a record of the TLS layer's own
};

// Of the seed that sim_reset was given, but for what has been fixed.
void sim_knobs_draw(struct sim_knobs *k);
// "name=value"; false: no such knob.
bool sim_knobs_fix(const char *text);
// All of them with their values.
void sim_knobs_print(const struct sim_knobs *k);
