// SPDX-License-Identifier: GPL-3.0-or-later
// What the admin listener answers, page by page; who asks is admin.c's matter.
#pragma once

#include "control/admin.h"

struct admin_answer {
	int status; // 200, unless a page says otherwise
	const char *type;
	struct buf body; // empty: the status in words
};

// The page of a path; false: there is none.
bool admin_page(const struct admin_options *o, struct slice path, struct admin_answer *a);
