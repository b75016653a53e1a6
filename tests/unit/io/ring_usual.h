// SPDX-License-Identifier: GPL-3.0-or-later
// For the tests of the ring: a small one, with every kind of buffer.
#pragma once

#include "io/ring.h"

static struct ring_config usual = {
	.entries = 64,
	.completion_entries = 256,
	.stream_buffers = 8,
	.stream_buffer_bytes = 4096,
	.tunnel_buffers = 4,
	.tunnel_buffer_bytes = 16384,
	.bulk_buffers = 4,
	.bulk_buffer_bytes = 65536,
	.restrict_operations = true,
};
