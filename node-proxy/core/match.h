// SPDX-License-Identifier: GPL-3.0-or-later
// Matching of strings that users wrote against what a request says: exact, Gateway API path
// prefix (whole elements), host with leading wildcard. Also the one canonical path.
#pragma once

#include "common/arena.h"
#include "common/snapshot_schema.h"

#define PATH_BYTES_MAX 8192

// The canonical form of an origin-form request target's path (RFC 3986 6.2.2, RFC 9110 4.2.3):
// unreserved characters decoded, remaining escapes upper case, dot segments removed, slashes
// merged, query cut off (returned apart, with its '?', byte for byte). out has room for out_max.
// ERR_MALFORMED: not starting with '/', a bad escape, %2F, %5C, backslash, %00, '#', controls or
// bytes above 0x7e. *changed says whether out differs from what came, so that the unchanged
// request can be forwarded byte for byte.
enum err must_check path_canonicalize(struct slice target, uint8_t *out, size_t out_max,
				      struct slice *path, struct slice *query, bool *changed);
// Host or authority: lower case, port cut off, trailing dot cut off. ERR_MALFORMED.
enum err must_check host_canonicalize(struct slice host, uint8_t *out, size_t out_max,
				      struct slice *name);
bool path_match(const struct ss_path_match *m, struct slice canonical_path);
bool host_match(struct slice pattern, struct slice canonical_host);
