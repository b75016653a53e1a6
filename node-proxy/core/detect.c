// SPDX-License-Identifier: GPL-3.0-or-later
// First-bytes detection; see detect.h.
#include "core/detect.h"

#include "core/http1.h"

// Longest method that is looked for before saying "not HTTP": one that is too long for us is told so.
#define METHOD_BYTES_MAX (4 * HTTP1_METHOD_MAX)

static bool white_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum detect_protocol detect_tls(struct slice head)
{
	// handshake record, version 3.x (RFC 8446 5.1)
	if (head.len < 3)
		return DETECT_NEED_MORE;
	return head.ptr[1] == 3 && head.ptr[2] <= 4 ? DETECT_TLS : DETECT_UNKNOWN;
}

enum detect_protocol detect_first_bytes(struct slice head)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	struct slice full = SLICE_LIT(preface);

	// White space before a request is malformed HTTP, or an empty line that is skipped (RFC 9112 2.2).
	while (head.len > 0 && white_space(head.ptr[0]))
		head = slice_make(head.ptr + 1, head.len - 1);
	if (head.len == 0)
		return DETECT_NEED_MORE;
	if (head.ptr[0] == 0x16)
		return detect_tls(head);
	if (head.ptr[0] == 'P') {
		size_t n = head.len < full.len ? head.len : full.len;

		if (n >= 3 && memcmp(head.ptr, preface, n) == 0)
			return head.len < full.len ? DETECT_NEED_MORE : DETECT_HTTP2;
	}
	for (size_t i = 0; i < head.len; i++) {
		if (head.ptr[i] == ' ')
			return i > 0 ? DETECT_HTTP1 : DETECT_UNKNOWN;
		if (!http1_is_token(slice_make(&head.ptr[i], 1)) || i >= METHOD_BYTES_MAX)
			return DETECT_UNKNOWN;
	}
	return DETECT_NEED_MORE;
}

const char *detect_name(enum detect_protocol p)
{
	switch (p) {
	case DETECT_UNKNOWN:
		return "unknown";
	case DETECT_NEED_MORE:
		return "incomplete";
	case DETECT_HTTP1:
		return "http/1";
	case DETECT_HTTP2:
		return "http/2";
	case DETECT_TLS:
		return "tls";
	}
	return "unknown";
}
