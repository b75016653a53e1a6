// SPDX-License-Identifier: GPL-3.0-or-later
// scan: the files of a directory that are meant to be read: *.yaml, *.yml, *.json in any case, also in directories
// below, in the order of their names. Names that begin with a dot are passed over: editors' files, and the
// inside of ConfigMap volumes ("..data"), which is reached by the links beside it.
#pragma once

#include <sys/stat.h>
#include "common/err.h"

#define SCAN_FILES_MAX 10000
#define SCAN_DEPTH_MAX 16 // of directories

// wrong: NULL, or why the file cannot be read (st is then not filled in).
typedef enum err scan_fn(void *context, const char *path, const struct stat *st, const char *wrong);

// ERR_IO: a directory cannot be listed, nobody knows what is missing; ERR_TOO_LARGE: too many files, or
// directories too deep; both with why. What the callback fails with is passed up.
enum err must_check scan_directory(const char *directory, scan_fn *found, void *context,
				   struct reason *why);
