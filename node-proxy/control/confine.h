// SPDX-License-Identifier: GPL-3.0-or-later
// The seccomp filter of the data path process: which system calls its threads may ask for once it serves.
// Three answers: what a proxy needs is allowed; what only an intruder asks for (a program, another process's
// memory, a module, a new ring) kills the process; anything else fails with EPERM and is told once, so that a C
// library that tries a newer call first falls back instead of taking a node's traffic down. io_uring
// passes seccomp by, so the rings are restricted by themselves (io/ring), and no other can be made.
#pragma once

#include <stdint.h>
#include "common/err.h"

// On every thread of the process, and what they start. ERR_UNSUPPORTED: this kernel has no seccomp filters.
enum err must_check confine_process(struct reason *why);
// Tells newly refused calls in the log. From the control turn.
void confine_report(void);
// Calls refused so far.
uint64_t confine_refused(void);
