// SPDX-License-Identifier: GPL-3.0-or-later
// Directory ▶ documents ▶ model; see load.h.
#include "model/load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model/read.h"

#define DEPTH_MAX 16

struct document {
	const char *file;
	struct tree *tree;
};

struct load {
	struct model *model;
	struct diagnostics *diagnostics;
	struct document *documents;
	uint32_t count;
	uint32_t capacity;
	uint32_t files;
};

static bool load_add(struct load *l, const char *file, struct tree *tree)
{
	if (l->count == l->capacity) {
		uint32_t capacity = l->capacity ? l->capacity * 2 : 256;
		struct document *grown = realloc(l->documents, capacity * sizeof(*grown));

		if (!grown)
			return false;
		l->documents = grown;
		l->capacity = capacity;
	}
	l->documents[l->count++] = (struct document){file, tree};
	return true;
}

static void load_parse(struct load *l, const char *file, struct slice text)
{
	struct arena *a = &l->model->arena;
	struct slice name = arena_copy(a, slice_str(file));
	struct tree *t, *next;

	if (!name.ptr)
		return;
	// What was whole before an error is used: the rest of the file is reported.
	if (tree_parse(text, (const char *)name.ptr, a, l->diagnostics, &t) != ERR_OK)
		l->model->incomplete = true;
	for (; t; t = next) {
		next = t->next;
		if (t->kind != TREE_NULL && !load_add(l, (const char *)name.ptr, t))
			l->model->incomplete = true;
	}
}

// Policies name ConfigMaps, Secrets and namespaces: those are read first.
static bool is_ours(const struct tree *t)
{
	const struct tree *version = tree_get(t, "apiVersion");

	return version && slice_starts(version->text, SLICE_LIT("policy.portcullis.dev/"));
}

static void load_read(struct load *l)
{
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < l->count; i++) {
			bool failed = false;
			struct view v = view_root(l->documents[i].tree, l->documents[i].file,
						  &l->model->arena, l->diagnostics, &failed);

			if (is_ours(l->documents[i].tree) == (pass == 1))
				read_document(l->model, &v);
		}
	}
	free(l->documents);
}

static bool has_ending(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 ||
		       strcmp(dot, ".json") == 0);
}

static void load_file(struct load *l, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *bytes = NULL;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > (off_t)LOAD_FILE_BYTES_MAX ||
	    ++l->files > LOAD_FILES_MAX || !(bytes = malloc((size_t)st.st_size + 1))) {
		diagnostics_add(l->diagnostics, SEVERITY_ERROR, path, 0, 0, "",
				"cannot be read: %s", fd < 0 ? strerror(errno) : "too large");
		l->model->incomplete = true;
	} else {
		while (len < (size_t)st.st_size) {
			ssize_t n = read(fd, bytes + len, (size_t)st.st_size - len);

			if (n <= 0)
				break;
			len += (size_t)n;
		}
		load_parse(l, path, slice_make(bytes, len));
	}
	free(bytes);
	if (fd >= 0)
		close(fd);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_walk(struct load *l, const char *directory, int depth)
{
	struct dirent **entries;
	int n = scandir(directory, &entries, NULL, by_name);

	if (n < 0) {
		diagnostics_add(l->diagnostics, SEVERITY_ERROR, directory, 0, 0, "",
				"cannot be read: %s", strerror(errno));
		l->model->incomplete = true;
		return;
	}
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		char path[4096];
		struct stat st;

		if (name[0] != '.' &&
		    snprintf(path, sizeof(path), "%s/%s", directory, name) < (int)sizeof(path) &&
		    stat(path, &st) == 0) {
			if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
				load_walk(l, path, depth + 1);
			else if (S_ISREG(st.st_mode) && has_ending(name))
				load_file(l, path);
		}
		free(entries[i]);
	}
	free(entries);
}

struct model *load_directory(const char *directory, struct diagnostics *d)
{
	struct load l = {.model = model_new(), .diagnostics = d};

	if (!l.model)
		return NULL;
	load_walk(&l, directory, 0);
	load_read(&l);
	return l.model;
}

void load_text(struct model *m, const char *file, struct slice text, struct diagnostics *d)
{
	struct load l = {.model = m, .diagnostics = d};

	load_parse(&l, file, text);
	load_read(&l);
}
