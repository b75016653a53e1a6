// SPDX-License-Identifier: GPL-3.0-or-later
// Memory of generations goes back to the system. glibc keeps what is freed: it raises its own threshold for
// mapped blocks with every large one that is freed, and never trims the middle of its heaps. What a large
// configuration took would be held long after it is gone.
#pragma once

#include <stddef.h>

// Once, before threads: large blocks are mapped and unmapped, however many were freed before.
void memory_init(void);

// The most that was held since memory was last given back. Zero is a new one.
struct memory_mark {
	size_t bytes_most;
};

// After an old generation was freed; bytes is what is held now. Free pages are given back once that is less than
// half of what it was: not at every small change, which would only fault them in again.
void memory_settle(struct memory_mark *m, size_t bytes);
