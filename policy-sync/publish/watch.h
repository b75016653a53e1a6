// SPDX-License-Identifier: GPL-3.0-or-later
// watch: tells when anything below a directory may have changed (inotify): files written in place,
// replaced by rename as editors do, ConfigMap volumes (a symbolic link that is swapped),
// subdirectories that come and go. It says "look again", never what changed.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "common/err.h"

struct watch;

// ERR_IO with errno. The directory itself may come later.
enum err must_check watch_new(const char *directory, struct watch **out);
void watch_free(struct watch *w);
// Readable: call watch_read.
int watch_fd(const struct watch *w);
// Takes all events. True: something has changed, look again when watch_due_ns says so.
bool watch_read(struct watch *w, uint64_t now_ns);
// Is somebody in the middle of writing this file, as far as events tell that have been read? For at most
// two seconds: who keeps a file open for longer does not hold up what it says.
bool watch_is_written(const struct watch *w, const struct stat *st, uint64_t now_ns);
// When to look: 20 ms after the last change, also after a writer that has not closed its file yet,
// but no later than 100 ms after the first; and when a writer has been waited for long enough.
// UINT64_MAX: nothing has changed.
uint64_t watch_due_ns(const struct watch *w);
// Just before looking: forgets the changes, and follows directories and links as they are now.
void watch_rescan(struct watch *w);
