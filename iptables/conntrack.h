// SPDX-License-Identifier: GPL-3.0-or-later
// Connection tracking's memory of what was captured.
#pragma once

#include "iptables/rules_config.h"

// Forgets every tracked connection that bears our connmark: entries of segments that went to the
// proxy. Left behind, they would swallow a direct connection that reuses their ports after removal.
enum err must_check conntrack_forget_ours(const struct routing *routing, enum family f);
