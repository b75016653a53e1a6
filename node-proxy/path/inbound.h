// SPDX-License-Identifier: GPL-3.0-or-later
// Entry of tunnelled streams into the data path.
#pragma once

#include "core/tunnel_proto.h"

struct mux;

// A peer's OPEN; the strings are copied. False: no room for it.
bool inbound_open(struct mux *m, uint32_t stream, const struct tunnel_open *open);
