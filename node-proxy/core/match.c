// SPDX-License-Identifier: GPL-3.0-or-later
// The canonical path and host, and what is matched against them; see match.h.
#include "core/match.h"

static bool is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static uint8_t hex_digit(uint8_t v)
{
	return (uint8_t)(v < 10 ? '0' + v : 'A' + v - 10);
}

// One character or escape of the source into out (never more bytes than it had), decoded where that is
// the canonical form.
static size_t take_one(struct slice in, size_t *at, uint8_t *out)
{
	int v = path_escape_value(slice_make(in.ptr + *at, in.len - *at));

	if (v < 0) {
		out[0] = in.ptr[(*at)++];
		return 1;
	}
	*at += 3;
	if (is_unreserved((uint8_t)v)) {
		out[0] = (uint8_t)v;
		return 1;
	}
	out[0] = '%';
	out[1] = hex_digit((uint8_t)v >> 4);
	out[2] = hex_digit((uint8_t)v & 15);
	return 3;
}

// A segment is complete (out ends behind it, start is its first byte): dot segments go, RFC 3986
// 5.2.4. *len is the new end; returns whether no '/' is to follow.
static bool close_segment(uint8_t *out, size_t *len, size_t start)
{
	size_t bytes = *len - start;

	if (bytes == 1 && out[start] == '.') {
		*len = start;
		return true;
	}
	if (bytes == 2 && out[start] == '.' && out[start + 1] == '.') {
		// start is behind a '/'; go behind the one before it, if there is one.
		size_t end = start - 1;

		while (end > 0 && out[end - 1] != '/')
			end--;
		*len = end > 0 ? end : 1;
		return true;
	}
	return bytes == 0;
}

bool query_is_plain(struct slice query)
{
	for (size_t i = 0; i < query.len; i++) {
		uint8_t c = query.ptr[i];

		if (c <= 0x20 || c >= 0x7f || c == '#')
			return false;
	}
	return true;
}

enum err path_canonicalize(struct slice target, uint8_t *out, size_t out_max, struct slice *path,
			   struct slice *query, bool *changed)
{
	size_t end = slice_find(target, '?');
	struct slice in = slice_make(target.ptr, end);
	size_t len = 0, start, at;

	*query = slice_make(target.ptr + end, target.len - end);
	if (in.len > PATH_BYTES_MAX || in.len > out_max)
		return ERR_TOO_LARGE;
	if (path_form(in) == PATH_MALFORMED || !query_is_plain(*query))
		return ERR_MALFORMED;
	out[len++] = '/';
	at = start = 1;
	// Never longer than what came: an escape is decoded or kept, the rest is copied or dropped.
	while (at < in.len) {
		if (in.ptr[at] != '/') {
			len += take_one(in, &at, out + len);
			continue;
		}
		if (!close_segment(out, &len, start))
			out[len++] = '/';
		start = len;
		at++;
	}
	close_segment(out, &len, start);
	*path = slice_make(out, len);
	*changed = !slice_eq(*path, in);
	return ERR_OK;
}

static bool host_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

// port = *DIGIT (RFC 3986 3.2.3), but a number that a port can have.
static bool port_is_valid(struct slice port)
{
	uint32_t value = 0;

	if (port.len > 5)
		return false;
	for (size_t i = 0; i < port.len; i++) {
		if (port.ptr[i] < '0' || port.ptr[i] > '9')
			return false;
		value = value * 10 + (port.ptr[i] - '0');
	}
	return value <= UINT16_MAX;
}

// "[v6]:port": one address has many spellings, so it is written anew (RFC 5952), with its brackets.
static enum err host_canonicalize_v6(struct slice host, uint8_t *out, size_t out_max,
				     struct slice *name)
{
	size_t close = slice_find(host, ']');
	struct slice inner = slice_make(host.ptr + 1, close - 1);
	char text[ADDR_TEXT_MAX];
	struct addr a;

	if (close == host.len || slice_find(inner, ':') == inner.len ||
	    addr_parse(inner, &a) != ERR_OK)
		return ERR_MALFORMED;
	if (close + 1 < host.len &&
	    (host.ptr[close + 1] != ':' ||
	     !port_is_valid(slice_make(host.ptr + close + 2, host.len - close - 2))))
		return ERR_MALFORMED;
	struct slice plain = slice_str(addr_format(a, text));
	size_t bracket = addr_is_v4(a) ? 0 : 1; // a mapped IPv4 address is that IPv4 address

	if (plain.len + 2 * bracket > out_max)
		return ERR_TOO_LARGE;
	out[0] = '[';
	memcpy(out + bracket, plain.ptr, plain.len);
	if (bracket)
		out[plain.len + 1] = ']';
	*name = slice_make(out, plain.len + 2 * bracket);
	return ERR_OK;
}

enum err host_canonicalize(struct slice host, uint8_t *out, size_t out_max, struct slice *name)
{
	size_t end = slice_find(host, ':');

	*name = slice_make(out, 0);
	if (host.len > 0 && host.ptr[0] == '[')
		return host_canonicalize_v6(host, out, out_max, name);
	if (end < host.len && !port_is_valid(slice_make(host.ptr + end + 1, host.len - end - 1)))
		return ERR_MALFORMED;
	if (host.len == 0)
		return ERR_OK;
	if (end > 1 && host.ptr[end - 1] == '.')
		end--;
	if (end > HOST_BYTES_MAX || end > out_max)
		return ERR_TOO_LARGE;
	for (size_t i = 0; i < end; i++) {
		uint8_t c = host.ptr[i];

		out[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
		// A label is never empty.
		if (!host_byte(out[i]) || (c == '.' && (i == 0 || out[i - 1] == '.')))
			return ERR_MALFORMED;
	}
	if (end == 0 || out[end - 1] == '.')
		return ERR_MALFORMED;
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
		v = path_prefix_trim(v);
		return slice_starts(path, v) && path.len > 0 &&
		       (path.len == v.len || path.ptr[v.len] == '/');
	case PATH_REGEX:
		break; // refused when the policy is compiled
	}
	return false;
}

struct slice path_prefix_trim(struct slice prefix)
{
	while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
		prefix.len--;
	return prefix;
}

bool host_match(struct slice pattern, struct slice host)
{
	struct slice suffix = host_wildcard_suffix(pattern);

	if (suffix.len == 0)
		return slice_eq(pattern, host) && host.len > 0;
	return host.len > suffix.len && host.ptr[0] != '.' &&
	       slice_eq(slice_make(host.ptr + host.len - suffix.len, suffix.len), suffix);
}

struct slice host_wildcard_suffix(struct slice pattern)
{
	if (pattern.len > 2 && pattern.ptr[0] == '*' && pattern.ptr[1] == '.')
		return slice_make(pattern.ptr + 1, pattern.len - 1);
	return (struct slice){0};
}
