// SPDX-License-Identifier: GPL-3.0-or-later
// A seeded world in place of the kernel: the data path (node-proxy/path) runs unchanged over sim_ring.c,
// sim_sock.c, sim_tls.c, sim_pool.c and sim_host.c, which implement the headers of io/ and common/ that
// the real ones implement. One thread, virtual time, every choice out of one number: a failure is
// reproduced by its seed (sim --seed N --trace).
//
// Where to read next: sim_world.h (nodes, workers, what happens to them), sim_net.h (sockets),
// sim_actor.h (clients and pods and what is checked about them), sim_check.h (what is checked about
// the workers), faults.sh (planted faults that have to be caught).
#pragma once

#include <stdint.h>
#include "common/clock.h"
#include "common/slice.h"
#include "sim/sim_knobs.h"

struct sim {
	uint64_t seed;
	uint64_t random;
	uint64_t now_ns;
	uint64_t steps;
	uint64_t memory_until_ns; // the kernel lacks none until then
	uint64_t digest;	  // of everything that the rings did: equal for equal seeds
	struct sim_knobs knobs;
	uint64_t tell_from, tell_to; // steps that are told
	uint32_t node;		     // whose process runs now
	bool cut;	   // a process has ended with connections open: what it held goes with it
	uint32_t sessions; // of TLS, alive
	uint32_t contexts;
	uint32_t objects; // out of pools, alive
	uint64_t shutdowns;
};

extern struct sim sim;

// Everything that a world leaves behind is set back here and in the stand-ins' own resets.
void sim_reset(uint64_t seed);
// Tell the steps from .. to of the worlds to come.
void sim_tell_steps(uint64_t from, uint64_t to);
// Uniform below n (n > 0).
uint64_t sim_random(uint64_t n);
bool sim_chance(uint32_t per_mille);
void sim_digest(uint64_t what);
// The world is not as it has to be: says so with the seed, and ends the process.
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define sim_trace(...)                                                                             \
	do {                                                                                       \
		if (sim.steps >= sim.tell_from && sim.steps <= sim.tell_to)                        \
			sim_tell(__VA_ARGS__);                                                     \
	} while (0)

// ---- what the stand-ins tell each other --------------------------------------------------------

// An object of a pool is about to be freed: no armed op may lie in it, no armed send name its bytes.
void sim_ring_check_free(const void *object, size_t bytes);
// The queue of messages behind an event descriptor.
bool sim_wake_is_event(int fd);
bool sim_wake_signalled(int fd); // something new since sim_wake_forget: an edge
void sim_wake_forget(int fd);
bool sim_wake_is_readable(int fd); // not cleared yet
void sim_wake_check_end(void);
void sim_sock_reset(void);
void sim_pool_check_end(void);
