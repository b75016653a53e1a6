// SPDX-License-Identifier: GPL-3.0-or-later
// Matching of strings that users wrote against what a request says: exact, Gateway API path
// prefix (whole elements), host with leading wildcard. Also the canonical path and host. How servers read a
// path: core/reading.
#pragma once

#include "common/arena.h"
#include "common/snapshot_schema.h"
#include "core/reading.h"

#define HOST_BYTES_MAX 253

// The canonical form of an origin-form request target's path (RFC 3986 6.2.2): unreserved characters decoded,
// remaining escapes upper case, slashes merged, then dot segments removed; the query is cut off (returned
// apart, with its '?', byte for byte). Canonical paths are fixed points. out has room for out_max;
// target.len is always enough. ERR_MALFORMED: path_form says so, or query_is_plain does not. ERR_TOO_LARGE:
// longer than PATH_BYTES_MAX or out_max. *changed says whether the path differs from what came.
enum err must_check path_canonicalize(struct slice target, uint8_t *out, size_t out_max,
				      struct slice *path, struct slice *query, bool *changed);
// No raw '#', space, control or byte above 0x7e.
bool query_is_plain(struct slice query);
// Host or authority (RFC 9110 7.2): lower case, port cut off, one trailing dot cut off; an IPv6
// literal keeps its brackets and is written as RFC 5952 says (IPv4-mapped: as IPv4). An empty host gives an empty name
// (HTTP/1.0): to a rule it is unknown. out has room for out_max; the larger of host.len and
// ADDR_TEXT_MAX + 2 is always enough. ERR_MALFORMED: anything but letters, digits, '-', '_' and single
// dots (user info, escapes, commas), a bad address or port. ERR_TOO_LARGE: above HOST_BYTES_MAX.
enum err must_check host_canonicalize(struct slice host, uint8_t *out, size_t out_max,
				      struct slice *name);
// Exact, or Gateway API's PathPrefix: whole elements, a trailing slash of the prefix says nothing.
// PATH_REGEX never matches: whoever compiles rules has to refuse it.
bool path_match(const struct ss_path_match *m, struct slice path);
// What is compared of a prefix: without trailing slashes; empty for "/".
struct slice path_prefix_trim(struct slice prefix);
// Exact, or "*.example.com": one or more labels before the suffix, never none. An empty host
// matches nothing.
bool host_match(struct slice pattern, struct slice canonical_host);
// ".example.com" of "*.example.com"; empty where the pattern is no wildcard.
struct slice host_wildcard_suffix(struct slice pattern);
