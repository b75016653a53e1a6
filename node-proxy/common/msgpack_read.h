// SPDX-License-Identifier: GPL-3.0-or-later
// Reading msgpack from hostile bytes, in place: a cursor, no allocation, bounded depth. (msgpack-c
// writes for us; its unpacker allocates by declared counts before it has seen the elements.)
// Errors stick in the cursor, as in buf.h.
#pragma once

#include "common/buf.h"

#define MSGPACK_DEPTH_MAX 16

// Number of members of the map or elements of the array that begins here; never more than bytes are
// left, so that a count can be trusted for an allocation.
uint32_t msgpack_read_map(struct cursor *c);
uint32_t msgpack_read_array(struct cursor *c);
// A non-negative integer; true and false count as 1 and 0.
uint64_t msgpack_read_uint(struct cursor *c);
// str or bin of any width; borrowed.
struct slice msgpack_read_bytes(struct cursor *c);
// Over one value of any form.
void msgpack_skip(struct cursor *c);
