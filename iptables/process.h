// SPDX-License-Identifier: GPL-3.0-or-later
// Runs one of the host's programs (iptables-save, iptables-restore), with its input, its bounded
// output and a time limit. No shell.
#pragma once

#include "common/buf.h"

#define PROCESS_TIMEOUT_MS 20000

// argv ends in NULL; argv[0] is searched in PATH and the usual system directories. Output is
// appended. *status is the exit status, 127 where there is no such program. ERR_IO with errno;
// ERR_EXPIRED: killed at the time limit; ERR_TOO_LARGE: more output than fits.
enum err must_check process_run(const char *const argv[], struct slice input, struct buf *output,
				struct buf *errors, int *status);

// Can argv[0] be found as an executable?
bool process_exists(const char *name);
