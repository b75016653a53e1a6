// SPDX-License-Identifier: GPL-3.0-or-later
// Which fields of a request decide about it.
#pragma once

#include "core/policy.h"
#include "core/snapshot.h"

// Does an enforced rule, a limit or a token's provider of this policy read that field? p may be NULL.
bool decide_reads_field(const struct snapshot *s, const struct policy *p, struct http1_name name);
