// SPDX-License-Identifier: GPL-3.0-or-later
// What the rules process says of itself: rules.json in the run directory, written by portcullis-rules
// every few seconds. /readyz asks it.
#pragma once

#include "common/err.h"

// ERR_OK: verified within the last seconds. ERR_CLOSED: the operator has removed them. ERR_NOT_FOUND, ERR_STALE,
// ERR_DENIED (it says they are not in place), ERR_MALFORMED; why in one sentence.
enum err must_check rules_status_check(const char *run_dir, struct reason *why);
