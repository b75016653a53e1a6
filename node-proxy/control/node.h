// SPDX-License-Identifier: GPL-3.0-or-later
// node: the process as a whole: opens or takes over the listeners, starts workers, loader, logger and
// admin, waits for signals, drains, ends.
#pragma once

#include "control/config.h"

// Runs until SIGTERM (or a successor has taken over) and everything has drained. Returns the exit
// status; why is filled when it could not start.
enum err must_check node_run(const struct config *c, struct reason *why);
