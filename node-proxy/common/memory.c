// SPDX-License-Identifier: GPL-3.0-or-later
// See memory.h.
#include "common/memory.h"

#include <malloc.h>

#define MAPPED_BYTES_MIN (128 << 10)

void memory_init(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
}

void memory_settle(struct memory_mark *m, size_t bytes)
{
	if (bytes >= m->bytes_most / 2) {
		m->bytes_most = bytes > m->bytes_most ? bytes : m->bytes_most;
		return;
	}
	malloc_trim(0);
	m->bytes_most = bytes;
}
