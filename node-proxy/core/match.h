// SPDX-License-Identifier: GPL-3.0-or-later
// Matching of strings that users wrote against what a request says: exact, Gateway API path
// prefix (whole elements), host with leading wildcard. Also the one canonical path.
#pragma once

#include "common/arena.h"
#include "common/snapshot_schema.h"

#define PATH_BYTES_MAX 8192
#define HOST_BYTES_MAX 253

// The canonical form of an origin-form request target's path (RFC 3986 6.2.2, RFC 9110 4.2.3):
// unreserved characters decoded, remaining escapes upper case, dot segments removed, slashes
// merged (before dot segments are looked at), query cut off (returned apart, with its '?', byte for
// byte). Canonical paths are fixed points. out has room for out_max; target.len is always enough.
// ERR_MALFORMED: not starting with '/', a bad escape, %2F, %5C, backslash, %00, '#', spaces, controls or
// bytes above 0x7e, in the path; '#', spaces, controls or bytes above 0x7e in the query; "." or
// ".." with path parameters ("/..;x/"), which some servers read as dot segments; and escaped UTF-8 of
// more bytes than the character needs ("%c0%af"), which some decode. ERR_TOO_LARGE: longer
// than PATH_BYTES_MAX or out_max. *changed says whether the path differs from what came, so that the
// unchanged request can be forwarded byte for byte.
enum err must_check path_canonicalize(struct slice target, uint8_t *out, size_t out_max,
				      struct slice *path, struct slice *query, bool *changed);
// The canonical path as servers read it that cut path parameters off: without ";x" (or "%3Bx") behind
// elements, and without the empty elements that this leaves. False: it has none. out has room for path.len.
bool path_without_parameters(struct slice canonical_path, uint8_t *out, struct slice *plain);
// Host or authority (RFC 9110 7.2): lower case, port cut off, one trailing dot cut off; an IPv6
// literal keeps its brackets and is written as RFC 5952 says (IPv4-mapped: as IPv4). An empty host gives an empty name
// (HTTP/1.0): to a rule it is unknown. out has room for out_max; the larger of host.len and
// ADDR_TEXT_MAX + 2 is always enough. ERR_MALFORMED: anything but letters, digits, '-', '_' and single
// dots (user info, escapes, commas), a bad address or port. ERR_TOO_LARGE: above HOST_BYTES_MAX.
enum err must_check host_canonicalize(struct slice host, uint8_t *out, size_t out_max,
				      struct slice *name);
// Exact, or Gateway API's PathPrefix: whole elements, a trailing slash of the prefix says nothing.
// PATH_REGEX never matches: whoever compiles rules has to refuse it.
bool path_match(const struct ss_path_match *m, struct slice canonical_path);
// What is compared of a prefix: without trailing slashes; empty for "/".
struct slice path_prefix_trim(struct slice prefix);
// Exact, or "*.example.com": one or more labels before the suffix, never none. An empty host
// matches nothing.
bool host_match(struct slice pattern, struct slice canonical_host);
// ".example.com" of "*.example.com"; empty where the pattern is no wildcard.
struct slice host_wildcard_suffix(struct slice pattern);
