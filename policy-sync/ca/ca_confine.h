// SPDX-License-Identifier: GPL-3.0-or-later
// A seccomp filter for the CA process: memory, its files, its one socket, time and randomness.
// No new sockets, no exec, no fork, no look into other processes.
#pragma once

#include "common/err.h"

// ERR_UNSUPPORTED: built for a sanitizer or for a machine whose call numbers are not listed.
enum err must_check ca_confine(void);
