// SPDX-License-Identifier: GPL-3.0-or-later
// Clients and pods: the ends of every connection, each with a script. They know what they sent, so what
// arrives is judged byte by byte, and how a stream ended: FIN only behind everything, a reset never
// dressed up as an end.
#pragma once

#include "sim/sim_world.h"

#define SIM_ENDS_MAX 256

void sim_actors_reset(void);
// A client in a pod that will call; which, whom and how is random. L7 clients call WEB pods.
void sim_actors_add_client(void);
// Listeners of the serving pods; what reaches a pod if nothing is wrong with it, or SIM_ROUTE_REFUSED.
void sim_actors_listen(void);
int sim_actors_listener(uint32_t pod);
// The source's log line of an exchange that a client began.
void sim_actors_logged(const struct record *r);
// Lets one of them do one thing. False: nobody could.
bool sim_actors_step(void);
uint64_t sim_actors_next_ns(void);
bool sim_actors_are_done(void);
// One who is not done yet, and what it is at: for the sentence of a failure.
const char *sim_actors_waiting(void);
// No more calls, no more stalls: everybody reads what comes and closes.
void sim_actors_hurry(void);
void sim_actors_check_end(void);
