// SPDX-License-Identifier: GPL-3.0-or-later
// The canonical path and host, and what is matched against them; see match.h. What is judged is what
// is forwarded, so every form of a path has to end up as one.
#include "core/match.h"

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static uint8_t hex_digit(uint8_t v)
{
	return (uint8_t)(v < 10 ? '0' + v : 'A' + v - 10);
}

// One character or escape of the source, decoded where that is the canonical form. ERR_MALFORMED for
// what no two servers read alike.
static enum err take_one(struct slice in, size_t *at, uint8_t out[3], size_t *out_len)
{
	uint8_t c = in.ptr[*at];

	if (c <= 0x20 || c >= 0x7f || c == '\\' || c == '#')
		return ERR_MALFORMED;
	if (c != '%') {
		out[0] = c;
		*out_len = 1;
		*at += 1;
		return ERR_OK;
	}
	if (in.len - *at < 3)
		return ERR_MALFORMED;
	int high = hex_value(in.ptr[*at + 1]), low = hex_value(in.ptr[*at + 2]);

	if (high < 0 || low < 0)
		return ERR_MALFORMED;
	uint8_t v = (uint8_t)(high << 4 | low);

	if (v == '/' || v == '\\' || v == 0)
		return ERR_MALFORMED;
	*at += 3;
	if (is_unreserved(v)) {
		out[0] = v;
		*out_len = 1;
		return ERR_OK;
	}
	out[0] = '%';
	out[1] = hex_digit(v >> 4);
	out[2] = hex_digit(v & 15);
	*out_len = 3;
	return ERR_OK;
}

// A segment is complete (out ends behind it, start is its first byte): dot segments go, RFC 3986
// 5.2.4. Returns the new length. Whether the path goes on with '/' is the caller's.
static size_t close_segment(uint8_t *out, size_t len, size_t start, bool *dropped)
{
	size_t bytes = len - start;

	*dropped = true;
	if (bytes == 1 && out[start] == '.')
		return start;
	if (bytes == 2 && out[start] == '.' && out[start + 1] == '.') {
		// start is behind a '/'; go behind the one before it, if there is one.
		size_t end = start - 1;

		while (end > 0 && out[end - 1] != '/')
			end--;
		return end > 0 ? end : 1;
	}
	*dropped = false;
	return len;
}

enum err path_canonicalize(struct slice target, uint8_t *out, size_t out_max, struct slice *path,
			   struct slice *query, bool *changed)
{
	size_t end = slice_find(target, '?');
	struct slice in = slice_make(target.ptr, end);
	size_t len = 0, start, at = 0;
	bool dropped;

	*query = slice_make(target.ptr + end, target.len - end);
	if (in.len == 0 || in.ptr[0] != '/')
		return ERR_MALFORMED;
	if (in.len > PATH_BYTES_MAX || in.len > out_max)
		return ERR_TOO_LARGE;
	for (size_t i = 0; i < query->len; i++) {
		uint8_t c = query->ptr[i];

		if (c <= 0x20 || c >= 0x7f || c == '#')
			return ERR_MALFORMED;
	}
	out[len++] = '/';
	at = start = 1;
	// Never longer than what came: an escape is decoded or kept, the rest is copied or dropped.
	while (at < in.len) {
		uint8_t one[3];
		size_t one_len;

		if (in.ptr[at] == '/') {
			len = close_segment(out, len, start, &dropped);
			if (!dropped && len > start)
				out[len++] = '/';
			start = len;
			at++;
			continue;
		}
		enum err err = take_one(in, &at, one, &one_len);

		if (err != ERR_OK)
			return err;
		memcpy(out + len, one, one_len);
		len += one_len;
	}
	len = close_segment(out, len, start, &dropped);
	*path = slice_make(out, len);
	*changed = !slice_eq(*path, in);
	return ERR_OK;
}

static bool host_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

static bool port_is_valid(struct slice port)
{
	if (port.len == 0 || port.len > 5)
		return false;
	for (size_t i = 0; i < port.len; i++) {
		if (port.ptr[i] < '0' || port.ptr[i] > '9')
			return false;
	}
	return true;
}

// "[v6]:port": the address is kept with its brackets, as users write it.
static enum err host_canonicalize_v6(struct slice host, uint8_t *out, struct slice *name)
{
	size_t close = slice_find(host, ']');
	struct addr a;

	if (close == host.len || addr_parse(slice_make(host.ptr + 1, close - 1), &a) != ERR_OK)
		return ERR_MALFORMED;
	if (close + 1 < host.len &&
	    (host.ptr[close + 1] != ':' ||
	     !port_is_valid(slice_make(host.ptr + close + 2, host.len - close - 2))))
		return ERR_MALFORMED;
	for (size_t i = 0; i <= close; i++) {
		uint8_t c = host.ptr[i];

		out[i] = c >= 'A' && c <= 'F' ? (uint8_t)(c | 0x20) : c;
	}
	*name = slice_make(out, close + 1);
	return ERR_OK;
}

enum err host_canonicalize(struct slice host, uint8_t *out, size_t out_max, struct slice *name)
{
	size_t end = slice_find(host, ':');

	if (host.len > out_max)
		return ERR_TOO_LARGE;
	if (host.len > 0 && host.ptr[0] == '[')
		return host_canonicalize_v6(host, out, name);
	if (end < host.len && !port_is_valid(slice_make(host.ptr + end + 1, host.len - end - 1)))
		return ERR_MALFORMED;
	for (size_t i = 0; i < end; i++) {
		uint8_t c = host.ptr[i];

		out[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
		if (!host_byte(out[i]))
			return ERR_MALFORMED;
	}
	if (end > 0 && out[end - 1] == '.')
		end--;
	*name = slice_make(out, end);
	return ERR_OK;
}

bool path_match(const struct ss_path_match *m, struct slice path)
{
	struct slice v = m->value;

	switch (m->type) {
	case PATH_EXACT:
		return slice_eq(v, path);
	case PATH_PREFIX:
		// Whole elements; a trailing slash of the prefix says nothing (Gateway API).
		while (v.len > 0 && v.ptr[v.len - 1] == '/')
			v.len--;
		return slice_starts(path, v) && (path.len == v.len || path.ptr[v.len] == '/');
	case PATH_REGEX:
		break; // refused when the policy is compiled
	}
	return false;
}

bool host_match(struct slice pattern, struct slice host)
{
	if (pattern.len > 2 && pattern.ptr[0] == '*' && pattern.ptr[1] == '.') {
		struct slice suffix = slice_make(pattern.ptr + 1, pattern.len - 1);

		return host.len > suffix.len &&
		       slice_eq(slice_make(host.ptr + host.len - suffix.len, suffix.len), suffix);
	}
	return slice_eq(pattern, host);
}
