// SPDX-License-Identifier: GPL-3.0-or-later
// inotify(7) over a tree. Watches are set anew at every rescan: adding one that exists costs
// nothing, and those that the walk did not meet again are removed.
#include "publish/watch.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "model/scan.h"

#define DIRECTORIES_MAX 4096
#define ENTRIES_MAX	100000
#define DEPTH_MAX	SCAN_DEPTH_MAX
#define WRITERS_MAX	64
#define WRITER_MS	2000
#define QUIET_MS	20
#define LATEST_MS	100
#define READS_MAX	64
#define EVENT_BYTES	16384
#define EVENTS                                                                                     \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_MODIFY |        \
	 IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

struct watch_directory {
	int wd;
	uint32_t round; // of the rescan that met it last
	char *path;
};

// A file that was changed and not closed since.
struct watch_writer {
	int wd;
	uint64_t name_hash;
	dev_t device;
	ino_t inode;
	uint64_t since_ns;
};

struct watch {
	int fd;
	char root[PATH_MAX];
	char name[NAME_MAX + 1]; // root's, in its parent
	int parent;		 // watch of the parent; -1: part of the tree too
	uint32_t round;
	uint32_t count;
	uint32_t entries;  // of this rescan
	uint64_t first_ns; // 0: nothing has changed
	uint64_t last_ns;
	uint64_t looked_ns; // of the last rescan
	bool writing;	    // the last event says that somebody is in the middle of a file
	bool limited;	    // has been logged
	uint32_t writer_count;
	struct watch_writer writers[WRITERS_MAX];
	struct watch_directory directories[DIRECTORIES_MAX];
};

enum err watch_new(const char *directory, struct watch **out)
{
	struct watch *w = calloc(1, sizeof(*w));
	char copy[PATH_MAX];

	if (!w)
		return ERR_NOMEM;
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd < 0 || strlen(directory) >= sizeof(w->root)) {
		watch_free(w);
		return ERR_IO;
	}
	snprintf(w->root, sizeof(w->root), "%s", directory);
	snprintf(copy, sizeof(copy), "%s", directory);
	snprintf(w->name, sizeof(w->name), "%s", basename(copy));
	watch_rescan(w);
	*out = w;
	return ERR_OK;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	for (uint32_t i = 0; i < w->count; i++)
		free(w->directories[i].path);
	free(w);
}

int watch_fd(const struct watch *w)
{
	return w->fd;
}

static int watch_add(struct watch *w, const char *path)
{
	int wd = inotify_add_watch(w->fd, path, EVENTS | IN_ONLYDIR);

	if (wd < 0) {
		if (errno == ENOSPC && !w->limited)
			log_event(LOG_ERROR, "watch_limit_reached", LOG_S("path", path),
				  LOG_S("hint", "raise fs.inotify.max_user_watches"));
		w->limited = w->limited || errno == ENOSPC;
		return -1;
	}
	for (uint32_t i = 0; i < w->count; i++) {
		if (w->directories[i].wd != wd)
			continue;
		if (w->directories[i].round == w->round && wd == w->parent)
			w->parent = -1; // the walk came by here
		w->directories[i].round = w->round;
		return wd;
	}
	if (w->count < DIRECTORIES_MAX)
		w->directories[w->count++] = (struct watch_directory){wd, w->round, strdup(path)};
	else
		inotify_rm_watch(w->fd, wd);
	return wd;
}

// Where a symbolic link leads to, the directory of it: a file there may be replaced.
static void watch_add_target(struct watch *w, const char *path)
{
	char target[PATH_MAX];

	if (realpath(path, target))
		watch_add(w, dirname(target));
}

struct watch_walk {
	char path[PATH_MAX];
	int depth;
};

// One directory: its watch, and its subdirectories onto the stack of those still to be walked.
static void watch_walk_one(struct watch *w, const struct watch_walk *at, struct watch_walk *stack,
			   uint32_t *stacked, uint32_t stack_max)
{
	DIR *d = opendir(at->path);
	struct dirent *entry;

	if (!d)
		return;
	watch_add(w, at->path);
	while ((entry = readdir(d)) != NULL && w->entries++ < ENTRIES_MAX) {
		struct watch_walk *next = &stack[*stacked];
		struct stat st;
		int n;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (entry->d_type == DT_REG || *stacked == stack_max || at->depth == DEPTH_MAX)
			continue;
		n = snprintf(next->path, sizeof(next->path), "%s/%s", at->path, entry->d_name);
		if (n < 0 || (size_t)n >= sizeof(next->path))
			continue;
		if (entry->d_type == DT_LNK)
			watch_add_target(w, next->path);
		if (stat(next->path, &st) != 0 || !S_ISDIR(st.st_mode))
			continue;
		next->depth = at->depth + 1;
		(*stacked)++;
	}
	closedir(d);
}

static void watch_walk(struct watch *w)
{
	const uint32_t stack_max = 256; // open branches; deeper or wider trees are not policy
	struct watch_walk *stack = calloc(stack_max + 1, sizeof(*stack));
	uint32_t stacked = 0;

	if (!stack)
		return;
	snprintf(stack[stacked++].path, sizeof(stack->path), "%s", w->root);
	for (uint32_t i = 0; i < DIRECTORIES_MAX && stacked > 0; i++) {
		struct watch_walk at = stack[--stacked];

		watch_walk_one(w, &at, stack, &stacked, stack_max);
	}
	free(stack);
}

void watch_rescan(struct watch *w)
{
	char parent[PATH_MAX];

	w->first_ns = 0;
	w->looked_ns = clock_monotonic_ns();
	w->writing = false;
	w->round++;
	w->entries = 0;
	// The directory itself may be replaced, or be a link that is swapped.
	w->parent = -1;
	snprintf(parent, sizeof(parent), "%s", w->root);
	w->parent = watch_add(w, dirname(parent));
	watch_walk(w);
	for (uint32_t i = w->count; i-- > 0;) {
		if (w->directories[i].round == w->round)
			continue;
		inotify_rm_watch(w->fd, w->directories[i].wd);
		free(w->directories[i].path);
		w->directories[i] = w->directories[--w->count];
	}
}

// Of the parent, only our own name counts: it may be /tmp.
static bool watch_counts(const struct watch *w, const struct inotify_event *e)
{
	if (e->wd == w->parent && w->parent >= 0 && e->len > 0)
		return strcmp(e->name, w->name) == 0;
	return (e->mask & (EVENTS | IN_Q_OVERFLOW)) != 0;
}

static bool watch_is_writing(const struct inotify_event *e)
{
	return (e->mask & IN_MODIFY) != 0 || (e->mask & (IN_CREATE | IN_ISDIR)) == IN_CREATE;
}

// ---- writers -----------------------------------------------------------------------------------

static void watch_drop_writer(struct watch *w, int wd, uint64_t name_hash)
{
	for (uint32_t i = w->writer_count; i-- > 0;) {
		if (w->writers[i].wd == wd && w->writers[i].name_hash == name_hash)
			w->writers[i] = w->writers[--w->writer_count];
	}
}

static void watch_note_writer(struct watch *w, const struct inotify_event *e, uint64_t name_hash,
			      uint64_t now_ns)
{
	const char *directory = NULL;
	char path[PATH_MAX];
	struct stat st;

	for (uint32_t i = 0; i < w->writer_count; i++) {
		if (w->writers[i].wd == e->wd && w->writers[i].name_hash == name_hash)
			return;
	}
	for (uint32_t i = 0; i < w->count && !directory; i++) {
		if (w->directories[i].wd == e->wd)
			directory = w->directories[i].path;
	}
	if (!directory || w->writer_count == WRITERS_MAX ||
	    snprintf(path, sizeof(path), "%s/%s", directory, e->name) >= (int)sizeof(path) ||
	    stat(path, &st) != 0)
		return;
	w->writers[w->writer_count++] =
		(struct watch_writer){e->wd, name_hash, st.st_dev, st.st_ino, now_ns};
}

static void watch_follow_writers(struct watch *w, const struct inotify_event *e, uint64_t now_ns)
{
	uint64_t name_hash = e->len > 0 ? hash_bytes(slice_str(e->name), 0) : 0;

	if (e->mask & IN_Q_OVERFLOW)
		w->writer_count = 0; // who has closed what is not known any more
	else if (e->mask & IN_MODIFY)
		watch_note_writer(w, e, name_hash, now_ns);
	else if (e->mask & (IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO))
		watch_drop_writer(w, e->wd, name_hash);
}

bool watch_is_written(const struct watch *w, const struct stat *st, uint64_t now_ns)
{
	for (uint32_t i = 0; i < w->writer_count; i++) {
		const struct watch_writer *one = &w->writers[i];

		if (one->inode == st->st_ino && one->device == st->st_dev &&
		    now_ns < one->since_ns + WRITER_MS * NS_PER_MS)
			return true;
	}
	return false;
}

// When the first writer has been waited for long enough, of those that had not been at the last look.
static uint64_t watch_writers_due_ns(const struct watch *w)
{
	uint64_t due_ns = UINT64_MAX;

	for (uint32_t i = 0; i < w->writer_count; i++) {
		uint64_t at_ns = w->writers[i].since_ns + WRITER_MS * NS_PER_MS;

		if (at_ns > w->looked_ns && at_ns < due_ns)
			due_ns = at_ns;
	}
	return due_ns;
}

bool watch_read(struct watch *w, uint64_t now_ns)
{
	char bytes[EVENT_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool any = false;

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t n = read(w->fd, bytes, sizeof(bytes));
		ssize_t at = 0;

		if (n <= 0)
			break;
		while (at + (ssize_t)sizeof(struct inotify_event) <= n) {
			const struct inotify_event *e = (struct inotify_event *)(bytes + at);

			if (watch_counts(w, e)) {
				any = true;
				w->writing = watch_is_writing(e);
				watch_follow_writers(w, e, now_ns);
			}
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	}
	if (!any)
		return false;
	w->last_ns = now_ns;
	if (w->first_ns == 0)
		w->first_ns = now_ns;
	return true;
}

uint64_t watch_due_ns(const struct watch *w)
{
	uint64_t latest_ns = w->first_ns + LATEST_MS * NS_PER_MS;
	uint64_t quiet_ns = w->last_ns + QUIET_MS * NS_PER_MS;

	uint64_t writers_ns = watch_writers_due_ns(w);

	if (w->first_ns == 0)
		return writers_ns;
	// A half-written file reads as an empty one: wait for its writer as long as may be.
	if (w->writing)
		return latest_ns;
	return quiet_ns < latest_ns ? quiet_ns : latest_ns;
}
