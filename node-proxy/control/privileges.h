// SPDX-License-Identifier: GPL-3.0-or-later
// What the data path process may do once its sockets are open: keep CAP_NET_RAW (IP_TRANSPARENT) and,
// where marks are set, CAP_NET_ADMIN; gain nothing; leave no core dump.
#pragma once

#include <stdbool.h>
#include "common/err.h"

// Before any key exists: no core dumps, not traceable, no new privileges, descriptors up to the hard limit.
enum err must_check privileges_prepare(struct reason *why);
// After the listeners are open.
enum err must_check privileges_drop(bool keep_net_admin, struct reason *why);
