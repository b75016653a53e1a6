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

// The octet that the escape at the front of in stands for; -1: there is none.
static int escape_value(struct slice in)
{
	if (in.len < 3 || in.ptr[0] != '%')
		return -1;
	int high = hex_value(in.ptr[1]), low = hex_value(in.ptr[2]);

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

// Escaped UTF-8 that is longer than it need be (RFC 3629 3): who decodes it without minding reads a dot, a
// slash or a letter.
static bool is_overlong(int first, struct slice rest)
{
	int second = first >= 0xc0 ? escape_value(rest) : -1;

	if (second < 0x80 || second > 0xbf)
		return false;
	return first == 0xc0 || first == 0xc1 || (first == 0xe0 && second < 0xa0) ||
	       (first == 0xf0 && second < 0x90) || (first == 0xf8 && second < 0x88) ||
	       (first == 0xfc && second < 0x84);
}

// One character or escape of the source into out (never more bytes than it had), decoded where that is
// the canonical form. ERR_MALFORMED for what no two servers read alike.
static enum err take_one(struct slice in, size_t *at, uint8_t *out, size_t *out_len)
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
	int v = escape_value(slice_make(in.ptr + *at, in.len - *at));

	if (v <= 0 || v == '/' || v == '\\')
		return ERR_MALFORMED;
	*at += 3;
	if (is_overlong(v, slice_make(in.ptr + *at, in.len - *at)))
		return ERR_MALFORMED;
	if (is_unreserved((uint8_t)v)) {
		out[0] = (uint8_t)v;
		*out_len = 1;
		return ERR_OK;
	}
	out[0] = '%';
	out[1] = hex_digit((uint8_t)v >> 4);
	out[2] = hex_digit((uint8_t)v & 15);
	*out_len = 3;
	return ERR_OK;
}

// "." or ".." with path parameters behind it (";x", "%3Bx"): RFC 3986 takes it for a name, servers that
// cut parameters off first (servlet containers) for a dot segment. No honest client sends one.
static bool is_disguised_dots(const uint8_t *segment, size_t bytes)
{
	size_t dots = 0;

	while (dots < bytes && dots < 3 && segment[dots] == '.')
		dots++;
	if (dots == 0 || dots > 2 || dots == bytes)
		return false;
	return segment[dots] == ';' || (bytes - dots >= 3 && memcmp(segment + dots, "%3B", 3) == 0);
}

// A segment is complete (out ends behind it, start is its first byte): dot segments go, RFC 3986
// 5.2.4. *len is the new end; *dropped says that no '/' is to follow.
static enum err close_segment(uint8_t *out, size_t *len, size_t start, bool *dropped)
{
	size_t bytes = *len - start;

	*dropped = true;
	if (bytes == 1 && out[start] == '.') {
		*len = start;
		return ERR_OK;
	}
	if (bytes == 2 && out[start] == '.' && out[start + 1] == '.') {
		// start is behind a '/'; go behind the one before it, if there is one.
		size_t end = start - 1;

		while (end > 0 && out[end - 1] != '/')
			end--;
		*len = end > 0 ? end : 1;
		return ERR_OK;
	}
	*dropped = bytes == 0;
	return is_disguised_dots(out + start, bytes) ? ERR_MALFORMED : ERR_OK;
}

static bool query_is_plain(struct slice query)
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
	bool dropped;
	enum err err;

	*query = slice_make(target.ptr + end, target.len - end);
	if (in.len == 0 || in.ptr[0] != '/' || !query_is_plain(*query))
		return ERR_MALFORMED;
	if (in.len > PATH_BYTES_MAX || in.len > out_max)
		return ERR_TOO_LARGE;
	out[len++] = '/';
	at = start = 1;
	// Never longer than what came: an escape is decoded or kept, the rest is copied or dropped.
	while (at < in.len) {
		size_t one_len;

		if (in.ptr[at] != '/') {
			err = take_one(in, &at, out + len, &one_len);
			if (err != ERR_OK)
				return err;
			len += one_len;
			continue;
		}
		err = close_segment(out, &len, start, &dropped);
		if (err != ERR_OK)
			return err;
		if (!dropped)
			out[len++] = '/';
		start = len;
		at++;
	}
	err = close_segment(out, &len, start, &dropped);
	if (err != ERR_OK)
		return err;
	*path = slice_make(out, len);
	*changed = !slice_eq(*path, in);
	return ERR_OK;
}

bool path_without_parameters(struct slice path, uint8_t *out, struct slice *plain)
{
	size_t len = 0;
	bool any = false, cut = false;

	for (size_t i = 0; i < path.len; i++) {
		uint8_t c = path.ptr[i];

		if (c == '/') {
			cut = false;
		} else if (c == ';' ||
			   (c == '%' && path.len - i >= 3 && memcmp(path.ptr + i, "%3B", 3) == 0)) {
			cut = any = true;
		}
		// The empty elements that are left are merged, as all others have been.
		if (!cut && !(c == '/' && len > 0 && out[len - 1] == '/'))
			out[len++] = c;
	}
	*plain = slice_make(out, len);
	return any;
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
