// SPDX-License-Identifier: GPL-3.0-or-later
// Files, their last good texts, and the model made of them. Good means: parses, and every document
// but security policies reads without a finding; those judge themselves (model/read keeps a policy
// that cannot be read as broken).
#include "publish/source.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/file.h"
#include "model/load.h"
#include "model/read.h"

#define DEPTH_MAX 16

struct text {
	uint8_t *ptr; // NULL: none
	size_t len;
};

struct source_file {
	char *path;
	struct text good;
	struct text now;
	bool parses;  // now does
	bool is_good; // now is the good text
	uint32_t round;
	struct tree *trees; // of now, or of good if now does not parse
	struct tree *good_trees;
};

struct source {
	char directory[PATH_MAX];
	uint32_t round;
	struct source_file *files;
	uint32_t count;
	uint32_t room;
};

enum err source_new(const char *directory, struct source **out)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s)
		return ERR_NOMEM;
	if ((size_t)snprintf(s->directory, sizeof(s->directory), "%s", directory) >=
	    sizeof(s->directory)) {
		free(s);
		return ERR_CONFIG;
	}
	*out = s;
	return ERR_OK;
}

static void source_free_file(struct source_file *f)
{
	free(f->path);
	free(f->good.ptr);
	free(f->now.ptr);
}

void source_free(struct source *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->count; i++)
		source_free_file(&s->files[i]);
	free(s->files);
	free(s);
}

// ---- finding files -----------------------------------------------------------------------------

static struct source_file *source_file(struct source *s, const char *path)
{
	struct source_file *f;

	for (uint32_t i = 0; i < s->count; i++) {
		if (strcmp(s->files[i].path, path) == 0)
			return &s->files[i];
	}
	if (s->count == LOAD_FILES_MAX)
		return NULL;
	if (s->count == s->room) {
		uint32_t room = s->room ? 2 * s->room : 64;
		struct source_file *more = realloc(s->files, room * sizeof(*more));

		if (!more)
			return NULL;
		s->files = more;
		s->room = room;
	}
	f = &s->files[s->count];
	memset(f, 0, sizeof(*f));
	f->path = strdup(path);
	if (!f->path)
		return NULL;
	s->count++;
	return f;
}

static enum err must_check source_read(struct source *s, const char *path, struct diagnostics *d)
{
	struct source_file *f = source_file(s, path);
	struct buf b;
	enum err e;

	if (!f)
		return ERR_NOMEM;
	f->round = s->round;
	free(f->now.ptr);
	f->now = (struct text){0};
	buf_init_growing(&b, LOAD_FILE_BYTES_MAX);
	e = file_read(path, LOAD_FILE_BYTES_MAX, &b);
	if (e == ERR_NOT_FOUND) // between listing and reading: the next event tells
		f->round--;
	else if (e)
		diagnostics_add(d, SEVERITY_ERROR, f->path, 0, 0, "", "cannot be read: %s",
				err_name(e));
	if (e) {
		buf_deinit(&b);
		return ERR_OK;
	}
	f->now = (struct text){b.ptr, b.len}; // takes what the buffer owns
	if (!f->now.ptr)
		f->now.ptr = calloc(1, 1);
	return ERR_OK;
}

static bool source_is_yaml(const char *name)
{
	const char *dot = strrchr(name, '.');

	return name[0] != '.' && dot &&
	       (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);
}

static int source_by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static enum err must_check source_walk(struct source *s, const char *directory, int depth,
				       struct diagnostics *d)
{
	struct dirent **entries;
	int n = scandir(directory, &entries, NULL, source_by_name);
	enum err e = ERR_OK;

	if (n < 0) {
		diagnostics_add(d, SEVERITY_ERROR, s->directory, 0, 0, "", "%s cannot be read",
				directory);
		return ERR_OK;
	}
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		char path[PATH_MAX];
		struct stat st;
		int len = snprintf(path, sizeof(path), "%s/%s", directory, name);

		// Hidden names are ConfigMap volumes' inside: reached by the links beside them.
		if (!e && name[0] != '.' && len > 0 && (size_t)len < sizeof(path) &&
		    stat(path, &st) == 0) {
			if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
				e = source_walk(s, path, depth + 1, d);
			else if (S_ISREG(st.st_mode) && source_is_yaml(name))
				e = source_read(s, path, d);
		}
		free(entries[i]);
	}
	free(entries);
	return e;
}

static int source_by_path(const void *a, const void *b)
{
	return strcmp(((const struct source_file *)a)->path, ((const struct source_file *)b)->path);
}

// Files that were not met this time are gone.
static void source_forget(struct source *s)
{
	for (uint32_t i = s->count; i-- > 0;) {
		if (s->files[i].round == s->round)
			continue;
		source_free_file(&s->files[i]);
		s->files[i] = s->files[--s->count];
	}
	if (s->count > 0)
		qsort(s->files, s->count, sizeof(*s->files), source_by_path);
}

// ---- judging texts -----------------------------------------------------------------------------

enum document_class { DOCUMENT_PLAIN = 0, DOCUMENT_OURS, DOCUMENT_SECURITY };

// Policies name ConfigMaps, Secrets and namespaces: those are read first.
static enum document_class source_class(const struct tree *t)
{
	const struct tree *version = tree_get(t, "apiVersion");
	const struct tree *kind = tree_get(t, "kind");

	if (!version || !slice_starts(version->text, SLICE_LIT("policy.portcullis.dev/")))
		return DOCUMENT_PLAIN;
	if (kind && (slice_eq_str(kind->text, "SecurityPolicy") ||
		     slice_eq_str(kind->text, "ClusterSecurityPolicy")))
		return DOCUMENT_SECURITY;
	return DOCUMENT_OURS;
}

static struct slice source_slice(struct text t)
{
	return slice_make(t.ptr, t.len);
}

// One document into a model; false where it had a finding.
static bool source_read_document(struct model *m, const struct source_file *f, const struct tree *t,
				 struct diagnostics *d)
{
	bool failed = false;
	struct view v = view_root(t, f->path, &m->arena, d, &failed);

	read_document(m, &v);
	return !failed;
}

// Is the new text good? Tried on a model of its own, so that nothing of a bad text gets into the
// real one. Findings of a bad one go to d; a good one is read again, and has its say then.
static enum err must_check source_judge(struct source_file *f, struct diagnostics *d)
{
	struct model *trial = model_new();
	struct diagnostics findings;
	struct tree *trees = NULL;
	bool good;

	if (!trial)
		return ERR_NOMEM;
	diagnostics_init(&findings);
	f->parses = f->now.ptr && tree_parse(source_slice(f->now), f->path, &trial->arena,
					     &findings, &trees) == ERR_OK;
	good = f->parses;
	for (const struct tree *t = trees; t; t = t->next) {
		if (t->kind != TREE_NULL && source_class(t) != DOCUMENT_SECURITY)
			good = source_read_document(trial, f, t, &findings) && good;
	}
	f->is_good = good;
	for (uint32_t i = 0; i < findings.count && !good; i++) {
		const struct diagnostic *one = &findings.list[i];
		char field[VIEW_PATH_MAX];

		snprintf(field, sizeof(field), "%.*s", SLICE_ARG(one->field));
		diagnostics_add(d, one->severity, f->path, one->line, one->column, field, "%.*s",
				SLICE_ARG(one->message));
	}
	diagnostics_deinit(&findings);
	model_free(trial);
	if (good) {
		free(f->good.ptr);
		f->good = f->now;
		f->now = (struct text){0};
	}
	return ERR_OK;
}

static bool source_is_unchanged(const struct source_file *f)
{
	return f->now.ptr && f->good.ptr && slice_eq(source_slice(f->now), source_slice(f->good));
}

// ---- the model ---------------------------------------------------------------------------------

// A text into the model's arena. Its findings were reported when it was judged; what was whole
// before an error is used where nothing better is known.
static enum err must_check source_parse(struct model *m, const struct source_file *f,
					struct text text, struct tree **out)
{
	struct diagnostics known;
	enum err e = ERR_OK;

	*out = NULL;
	if (!text.ptr)
		return ERR_OK;
	diagnostics_init(&known);
	e = tree_parse(source_slice(text), f->path, &m->arena, &known, out);
	diagnostics_deinit(&known);
	return e == ERR_NOMEM ? e : ERR_OK;
}

// Which documents of which text: plain ones from the good text, security policies from the new one
// as long as it parses.
static void source_read_file(struct model *m, struct source_file *f, bool ours,
			     struct diagnostics *d)
{
	struct diagnostics known;
	struct tree *plain = f->good_trees ? f->good_trees : f->trees;

	diagnostics_init(&known); // findings of a bad text were reported when it was judged
	for (const struct tree *t = plain; t; t = t->next) {
		enum document_class class =
			t->kind == TREE_NULL ? DOCUMENT_SECURITY : source_class(t);

		if (class != DOCUMENT_SECURITY && (class == DOCUMENT_OURS) == ours)
			(void)source_read_document(m, f, t, f->is_good ? d : &known);
	}
	for (const struct tree *t = f->trees; t && ours; t = t->next) {
		if (t->kind != TREE_NULL && source_class(t) == DOCUMENT_SECURITY)
			(void)source_read_document(m, f, t, f->parses ? d : &known);
	}
	diagnostics_deinit(&known);
}

// The policies of a text that does not parse any more: what they ask for now is not known.
static void source_break_policies(struct model *m, const struct source_file *f)
{
	for (uint32_t i = 0; i < m->policies.count; i++) {
		struct security_policy *p = m->policies.items[i];
		char why[REASON_BYTES_MAX];

		if (strcmp(p->origin.file, f->path) != 0)
			continue;
		snprintf(why, sizeof(why), "%s does not parse", f->path);
		p->broken = arena_copy(&m->arena, slice_str(why));
	}
}

static enum err must_check source_parse_file(struct model *m, struct source_file *f)
{
	enum err e = source_parse(m, f, f->good, &f->good_trees);

	if (e)
		return e;
	if (f->is_good || (!f->parses && f->good.ptr))
		f->trees = f->good_trees;
	else
		e = source_parse(m, f, f->now, &f->trees);
	return e;
}

static enum err must_check source_build(struct source *s, struct diagnostics *d, struct model **out)
{
	struct model *m = model_new();
	enum err e = m ? ERR_OK : ERR_NOMEM;

	for (uint32_t i = 0; i < s->count && !e; i++)
		e = source_parse_file(m, &s->files[i]);
	for (uint32_t i = 0; i < 2 * s->count && !e; i++)
		source_read_file(m, &s->files[i % s->count], i >= s->count, d);
	for (uint32_t i = 0; i < s->count && !e; i++) {
		if (!s->files[i].parses)
			source_break_policies(m, &s->files[i]);
	}
	if (e)
		model_free(m);
	else
		*out = m;
	return e;
}

enum err source_load(struct source *s, struct diagnostics *d, struct model **out, bool *incomplete)
{
	uint32_t before = d->errors;
	enum err e;

	s->round++;
	e = source_walk(s, s->directory, 0, d);
	if (e)
		return e;
	*incomplete = d->errors > before;
	source_forget(s);
	for (uint32_t i = 0; i < s->count && !e; i++) {
		struct source_file *f = &s->files[i];

		f->parses = f->is_good = true;
		if (!source_is_unchanged(f))
			e = source_judge(f, d);
		*incomplete = *incomplete || (!f->parses && !f->good.ptr);
	}
	return e ? e : source_build(s, d, out);
}
