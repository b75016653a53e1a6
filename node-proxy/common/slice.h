// SPDX-License-Identifier: GPL-3.0-or-later
// A borrowed run of bytes: pointer and length, never NUL-terminated, never owned.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *ptr;
	size_t len;
};

#define SLICE_LIT(s) ((struct slice){(const uint8_t *)(s), sizeof(s) - 1})
// For printf("%.*s").
#define SLICE_ARG(s) (int)(s).len, (const char *)(s).ptr

static inline struct slice slice_make(const void *ptr, size_t len)
{
	return (struct slice){ptr, len};
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){(const uint8_t *)s, strlen(s)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_eq_str(struct slice a, const char *s)
{
	return slice_eq(a, slice_str(s));
}

static inline bool slice_starts(struct slice a, struct slice prefix)
{
	return a.len >= prefix.len &&
	       (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

// ASCII case-insensitive equality, for header names and host names.
bool slice_eq_nocase(struct slice a, struct slice b);
// Lexical order of bytes, shorter first on a tie: -1, 0, 1.
int slice_cmp(struct slice a, struct slice b);
// Index of byte c, or a.len where there is none.
size_t slice_find(struct slice a, uint8_t c);
// Without leading and trailing SP and HTAB (OWS, RFC 9110 5.6.3).
struct slice slice_trim_ows(struct slice a);
