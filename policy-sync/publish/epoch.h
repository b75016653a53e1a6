// SPDX-License-Identifier: GPL-3.0-or-later
// epoch: the upper half of every generation that this run of policy-sync numbers. Each start takes
// a higher one than any before and writes it down before it is used; so counters need no file, a
// crash loses none, and a state directory that was lost or restored from a backup heals itself.
#pragma once

#include <stdint.h>
#include "common/err.h"

// path holds the last epoch taken; where it is missing or broken, the clock alone decides.
// ERR_IO: cannot be written, so must not be used.
enum err must_check epoch_take(const char *path, int64_t now_unix_s, uint64_t *out,
			       struct reason *why);
