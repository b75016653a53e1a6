// SPDX-License-Identifier: GPL-3.0-or-later
// Time as plain numbers. core never asks for it: whoever drives core passes now_ns (monotonic)
// and now_unix_s (wall) in.
#pragma once

#include <stdint.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

uint64_t clock_monotonic_ns(void);
uint64_t clock_unix_ms(void);
