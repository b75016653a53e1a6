// SPDX-License-Identifier: GPL-3.0-or-later
// The readings of a path, as explain shows them; empty for a path that has one.
#pragma once

#include "common/buf.h"
#include "decide/decide.h"

// Lines, each with the text and how it is come by.
void explain_readings_text(struct buf *b, struct slice path, const struct decision *d);
// Members of an object, each behind a comma.
void explain_readings_json(struct buf *b, struct slice path, const struct decision *d);
