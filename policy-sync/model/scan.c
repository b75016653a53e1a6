// SPDX-License-Identifier: GPL-3.0-or-later
// Directories one below the other on a stack of listings; see scan.h.
#include "model/scan.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scan_level {
	struct dirent **entries;
	int count;
	int next;
	size_t path_len; // of the directory
};

struct scan {
	scan_fn *found;
	void *context;
	struct reason *why;
	uint32_t files;
	int depth; // open levels
	struct scan_level levels[SCAN_DEPTH_MAX];
	char path[PATH_MAX];
};

static bool scan_wants(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (strcasecmp(dot, ".yaml") == 0 || strcasecmp(dot, ".yml") == 0 ||
		       strcasecmp(dot, ".json") == 0);
}

static int scan_visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int scan_by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

// The directory that path names.
static enum err must_check scan_open(struct scan *s)
{
	struct scan_level *level = &s->levels[s->depth];

	if (s->depth == SCAN_DEPTH_MAX)
		return err_because(ERR_TOO_LARGE, s->why, "%s: more than %d directories deep",
				   s->path, SCAN_DEPTH_MAX);
	level->next = 0;
	level->path_len = strlen(s->path);
	level->count = scandir(s->path, &level->entries, scan_visible, scan_by_name);
	if (level->count < 0) {
		// A directory that went while its parent was being listed is no failure.
		if (s->depth > 0 && errno == ENOENT)
			return ERR_OK;
		return err_because(ERR_IO, s->why, "%s: the directory cannot be listed: %s",
				   s->path, strerror(errno));
	}
	s->depth++;
	return ERR_OK;
}

static void scan_close(struct scan *s)
{
	struct scan_level *level = &s->levels[--s->depth];

	for (int i = 0; i < level->count; i++)
		free(level->entries[i]);
	free(level->entries);
}

static enum err must_check scan_file(struct scan *s, const struct stat *st, const char *wrong)
{
	if (++s->files > SCAN_FILES_MAX)
		return err_because(ERR_TOO_LARGE, s->why, "there are more than %d files",
				   SCAN_FILES_MAX);
	return s->found(s->context, s->path, st, wrong);
}

static enum err must_check scan_entry(struct scan *s, const char *name)
{
	struct scan_level *level = &s->levels[s->depth - 1];
	size_t room = sizeof(s->path) - level->path_len;
	struct stat st;

	if ((size_t)snprintf(s->path + level->path_len, room, "/%s", name) >= room)
		return err_because(ERR_TOO_LARGE, s->why, "%.200s...: the path is too long",
				   s->path);
	if (stat(s->path, &st) != 0) {
		int error = errno;

		// Gone since it was listed; or a link that leads nowhere.
		if (lstat(s->path, &st) != 0 || !scan_wants(name))
			return ERR_OK;
		return scan_file(s, &st,
				 error == ENOENT ? "is a link to nothing" : strerror(error));
	}
	if (S_ISDIR(st.st_mode))
		return scan_open(s);
	if (!scan_wants(name))
		return ERR_OK;
	return scan_file(s, &st, S_ISREG(st.st_mode) ? NULL : "is not a regular file");
}

enum err scan_directory(const char *directory, scan_fn *found, void *context, struct reason *why)
{
	struct scan *s = calloc(1, sizeof(*s));
	enum err err;

	if (!s)
		return err_because(ERR_NOMEM, why, "out of memory");
	s->found = found;
	s->context = context;
	s->why = why;
	snprintf(s->path, sizeof(s->path), "%s", directory);
	err = scan_open(s);
	while (err == ERR_OK && s->depth > 0) {
		struct scan_level *level = &s->levels[s->depth - 1];

		if (level->next == level->count)
			scan_close(s);
		else
			err = scan_entry(s, level->entries[level->next++]->d_name);
	}
	while (s->depth > 0)
		scan_close(s);
	free(s);
	return err;
}
