// SPDX-License-Identifier: GPL-3.0-or-later
// core/match: the canonical path of anything is canonical, and has no form that a server would read as
// another path.
#include <stdlib.h>
#include "core/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has(struct slice s, const char *text)
{
	return s.len > 0 && memmem(s.ptr, s.len, text, strlen(text)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t first[PATH_BYTES_MAX], second[PATH_BYTES_MAX], host[PATH_BYTES_MAX];
	struct slice path, query, again, name;
	bool changed;

	(void)!host_canonicalize(slice_make(data, size), host, sizeof(host), &name);
	if (path_canonicalize(slice_make(data, size), first, sizeof(first), &path, &query, &changed) !=
	    ERR_OK)
		return 0;
	if (path.len == 0 || path.ptr[0] != '/' || has(path, "//") || has(path, "/./") ||
	    has(path, "/../") || has(path, "%2F") || has(path, "%2e") || has(path, "%2E") ||
	    has(path, "%00") || has(path, "\\") || has(path, "#"))
		abort();
	if (path_canonicalize(path, second, sizeof(second), &again, &query, &changed) != ERR_OK ||
	    changed || !slice_eq(path, again))
		abort();
	return 0;
}
