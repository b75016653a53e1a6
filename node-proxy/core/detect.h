// SPDX-License-Identifier: GPL-3.0-or-later
// What protocol do the first bytes of a connection speak? Chooses how a refusal is worded and
// how the stream is read, never whether policy applies.
#pragma once

#include "common/slice.h"

enum detect_protocol {
	DETECT_UNKNOWN = 0, // no protocol we know
	DETECT_NEED_MORE,
	DETECT_HTTP1,
	DETECT_HTTP2, // connection preface, RFC 9113 3.4
	DETECT_TLS,   // ClientHello record
};

enum detect_protocol detect_first_bytes(struct slice head);
const char *detect_name(enum detect_protocol p);
