// SPDX-License-Identifier: GPL-3.0-or-later
// core/match, core/reading: the canonical path of anything is canonical and a fixed point; its readings differ and
// are what their steps make of it. Host names likewise.
#include <stdlib.h>
#include "core/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool has(struct slice s, const char *text)
{
	return s.len > 0 && memmem(s.ptr, s.len, text, strlen(text)) != NULL;
}

static bool ends(struct slice s, const char *text)
{
	size_t len = strlen(text);

	return s.len >= len && memcmp(s.ptr + s.len - len, text, len) == 0;
}

static uint8_t hex(uint8_t c)
{
	require((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
	return (uint8_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

static void check_path(struct slice path)
{
	require(path.len > 0 && path.ptr[0] == '/');
	for (size_t i = 0; i < path.len; i++) {
		uint8_t c = path.ptr[i];

		require(c > 0x20 && c < 0x7f && c != '#' && c != '?');
		if (c == '%') {
			require(i + 2 < path.len);
			c = (uint8_t)(hex(path.ptr[i + 1]) << 4 | hex(path.ptr[i + 2]));
			require(c != 0 && c != '.');
			i += 2;
		}
	}
	require(!has(path, "//") && !has(path, "/./") && !has(path, "/../") && !ends(path, "/.") &&
		!ends(path, "/.."));
}

// Readings differ, the first is the path itself, and each is what its steps make of it.
static void fuzz_readings(struct slice target)
{
	static uint8_t text[PATH_BYTES_MAX], spare[PATH_BYTES_MAX];
	struct slice path = slice_make(target.ptr, slice_find(target, '?'));
	struct path_readings all;
	struct arena a;

	arena_init(&a, READINGS_ARENA_BYTES * 2);
	if (path_form(path) != PATH_MALFORMED &&
	    readings_of(path, READINGS_MAX, READINGS_BYTES_MAX, &a, &all) == ERR_OK) {
		require(all.count > 0 && slice_eq(all.list[0].path, path));
		require(all.count == 1 || path_form(path) == PATH_ODD);
		for (uint32_t i = 0; i < all.count; i++) {
			struct slice is = reading_apply(all.list[i].steps, path, text, spare);

			require(is.len > 0 && is.len <= path.len && is.ptr[0] == '/');
			require(slice_eq(is, all.list[i].path));
			require(i == 0 || !slice_eq(is, all.list[i - 1].path));
		}
	}
	arena_deinit(&a);
}

static void fuzz_path(struct slice target)
{
	static uint8_t first[PATH_BYTES_MAX], second[PATH_BYTES_MAX];
	struct ss_path_match exact = {PATH_EXACT, {0}}, prefix = {PATH_PREFIX, {0}};
	struct slice path, query, again, rest;
	bool changed;

	if (path_canonicalize(target, first, sizeof(first), &path, &query, &changed) != ERR_OK)
		return;
	check_path(path);
	require(path.len + query.len <= target.len);
	require(changed == !(path.len + query.len == target.len &&
			     memcmp(path.ptr, target.ptr, path.len) == 0));
	require(path_canonicalize(path, second, sizeof(second), &again, &rest, &changed) == ERR_OK);
	require(!changed && rest.len == 0 && slice_eq(path, again));
	exact.value = path;
	prefix.value = path;
	require(path_match(&exact, path) && path_match(&prefix, path));
	prefix.value = SLICE_LIT("/");
	require(path_match(&prefix, path));
}

static void fuzz_host(struct slice host)
{
	static uint8_t first[HOST_BYTES_MAX + 64], second[HOST_BYTES_MAX + 64];
	struct slice name, again;

	if (host_canonicalize(host, first, sizeof(first), &name) != ERR_OK || name.len == 0)
		return;
	require(name.len <= HOST_BYTES_MAX && !has(name, "..") && !has(name, "@") &&
		!has(name, "%"));
	require(name.ptr[0] == '[' || (!has(name, ":") && !ends(name, ".")));
	require(host_canonicalize(name, second, sizeof(second), &again) == ERR_OK);
	require(slice_eq(name, again) && host_match(name, name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_path(slice_make(data, size));
	fuzz_readings(slice_make(data, size));
	fuzz_host(slice_make(data, size));
	return 0;
}
