// SPDX-License-Identifier: GPL-3.0-or-later
// What the data path process may do: CAP_NET_RAW (IP_TRANSPARENT, SO_MARK) and nothing else, gain nothing, leave
// no core dump. Which system calls it may ask for is confine.h.
#pragma once

#include "common/err.h"

// Before any key exists: no core dumps, not traceable, no new privileges, descriptors up to the hard limit.
enum err must_check privileges_prepare(struct reason *why);
// Once the listeners are open and before a second thread is started: capabilities are a thread's own. CAP_NET_ADMIN
// stays only where this kernel wants it for what workers set on their sockets (before 5.17).
enum err must_check privileges_drop(struct reason *why);
