// SPDX-License-Identifier: GPL-3.0-or-later
// Linux capabilities of the calling thread, and of every thread that it starts afterwards: the kernel keeps
// them a thread, so they are dropped before there is a second one.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "common/err.h"

#define CAPABILITY(cap) (1ull << (cap)) // CAP_NET_RAW, ... of linux/capability.h

// Keeps those of the mask that the thread has, in effect and permitted, and nothing inheritable, ambient or (where
// it may) in the bounding set. ERR_IO with why.
enum err must_check capabilities_keep(uint64_t keep, struct reason *why);
// Runs enough with no others than these in effect, then takes the former back. ERR_UNSUPPORTED: it said no.
enum err must_check capabilities_try(uint64_t these, bool (*enough)(void), struct reason *why);
// What the thread may do now.
uint64_t capabilities_effective(void);

// Nobody may look into this process, nor dump it. A sanitized build stays open: its leak checker looks into the
// process from outside, and without CAP_SYS_PTRACE it would wait for ever.
int process_close(void);
