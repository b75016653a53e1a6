// SPDX-License-Identifier: GPL-3.0-or-later
// last_good: the held snapshot on disk (0600, replaced atomically), so that a node that starts
// while policy-sync is away serves what it served before. Checked like anything from outside when
// read.
#pragma once

#include "control/holdings.h"

// ERR_IO with errno, ERR_TOO_LARGE.
enum err must_check last_good_save(const char *path, const struct holdings *h);
// Fills empty holdings; *out is the caller's. ERR_NOT_FOUND: there is none; else why.
enum err must_check last_good_load(const char *path, struct holdings *h, struct slice self,
				   struct snapshot **out, struct reason *why);
