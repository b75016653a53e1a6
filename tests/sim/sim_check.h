// SPDX-License-Identifier: GPL-3.0-or-later
// What is checked about the workers from outside: the access log, memory, the policy that they have
// taken up, turns that should have done nothing, and what is left at the end.
#pragma once

#include "sim/sim_world.h"

void sim_check_reset(void);
// After every turn of a worker.
void sim_check_turn(uint32_t node, uint32_t index);
// A process has ended its workers' loops; after it they are freed.
void sim_check_workers_end(uint32_t node);
// Bytes of a node on their way to the pod at this address: does what its workers go by allow any?
void sim_check_delivery(uint32_t node, struct addr_port to);
