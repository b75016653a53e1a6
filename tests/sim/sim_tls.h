// SPDX-License-Identifier: GPL-3.0-or-later
// Credentials of the simulated TLS.
#pragma once

#include "io/tls.h"

#define SIM_PIN_BYTES 32

// uri is borrowed for ever. trusted: its certificate hangs on the root that everybody trusts.
struct tls_context *sim_tls_context_new(const char *uri, const uint8_t pin[SIM_PIN_BYTES],
					bool trusted, int64_t not_after_unix_s);
