// SPDX-License-Identifier: GPL-3.0-or-later
// `run`: keeps the rule set in place for as long as it lives, and says in rules.json whether it is.
#pragma once

#include "iptables/rules.h"

// Returns ERR_OK on SIGTERM or SIGINT; the rules stay. SIGHUP reads config_path again (a mistake in
// it is logged, the former configuration stays).
enum err must_check watch_run(const char *config_path, struct rules_config *c, struct rules *r,
			      struct reason *why);
