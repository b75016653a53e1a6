// SPDX-License-Identifier: GPL-3.0-or-later
// Small whole files: read with a bound, replaced atomically. A reader sees the old content or the
// new, also after a crash: written beside, synced, renamed, directory synced.
#pragma once

#include <sys/types.h>
#include "common/buf.h"

// Appends the file's content to out; more than bytes_max is ERR_TOO_LARGE. ERR_NOT_FOUND; ERR_IO with
// errno. Regular files only (ERR_UNSUPPORTED): a fifo would block its reader for ever.
enum err must_check file_read(const char *path, size_t bytes_max, struct buf *out);
// Replaces path by content with exactly this mode. ERR_IO with errno; nothing is left behind then.
enum err must_check file_write(const char *path, mode_t mode, struct slice content);
// A directory that nobody else may enter: made with mode 0700 where missing. ERR_DENIED: it is there
// and open to others, or is no directory. ERR_IO with errno.
enum err must_check file_make_private_directory(const char *path);
