// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes ▶ trees ▶ documents ▶ objects, for one file; see text.h.
#include "model/text.h"

#include <stdio.h>
#include <stdlib.h>
#include "model/read.h"
#include "model/strangers.h"

#define TEXT_ARENA_MAX	   (1u << 30)
#define DOCUMENTS_MAX	   1000000
#define DOCUMENTS_ROOM_MIN 8
#define BROKEN_MAX	   100	      // documents of a file; each costs its reader a start
#define OBJECT_BYTES_MAX   (3u << 19) // etcd's limit of a request

// ---- what there is -----------------------------------------------------------------------------

static bool is_cut(const struct document *d)
{
	const struct tree *t = d->tree;

	while (t->parent)
		t = t->parent;
	return t->cut;
}

static enum err text_keep(struct text *t, const struct document *d)
{
	if (t->count == t->room) {
		uint32_t room = t->room ? t->room * 2 : DOCUMENTS_ROOM_MIN;
		struct document *grown = t->count < DOCUMENTS_MAX
						 ? realloc(t->documents, room * sizeof(*grown))
						 : NULL;

		if (!grown)
			return ERR_NOMEM;
		t->documents = grown;
		t->room = room;
	}
	t->documents[t->count++] = *d;
	t->has_data |= d->kind->kind == OBJECT_SECRET || d->kind->kind == OBJECT_CONFIG_MAP;
	return ERR_OK;
}

// Of a document that an error cut off, the error is finding enough.
static struct view text_view(struct text *t, const struct tree *tree, struct diagnostics *unheard,
			     bool cut, bool *failed)
{
	return view_root(tree, t->file, &t->arena, cut ? unheard : &t->findings, failed);
}

static void text_meet(struct text *t, const struct stranger *s)
{
	for (uint32_t i = 0; i < t->stranger_count; i++) {
		if (slice_eq(t->strangers[i].group, s->group) &&
		    slice_eq(t->strangers[i].kind, s->kind))
			return;
	}
	if (s->why && !t->strangers)
		t->strangers = arena_alloc(&t->arena, TEXT_STRANGERS_MAX, sizeof(*s));
	if (s->why && t->strangers && t->stranger_count < TEXT_STRANGERS_MAX)
		t->strangers[t->stranger_count++] = *s;
}

static enum err text_note(struct text *t, const struct tree *tree, struct diagnostics *unheard)
{
	struct document d = {.tree = tree};
	struct stranger stranger = {0};
	struct view v = text_view(t, tree, unheard, is_cut(&d), &d.failed);

	d.kind = read_identity(&v, &d.namespace, &d.name, &stranger);
	if (!is_cut(&d))
		text_meet(t, &stranger);
	t->whole = t->whole && (d.kind || !d.failed);
	return d.kind ? text_keep(t, &d) : ERR_OK;
}

static enum err text_list(struct text *t, const struct tree *tree, struct diagnostics *unheard)
{
	bool failed = false;
	struct view v = text_view(t, tree, unheard, tree->cut, &failed), items;
	enum err err = ERR_OK;

	bool list = read_is_list(&v, &items);

	t->whole = t->whole && !failed;
	if (!list)
		return text_note(t, tree, unheard);
	for (const struct tree *i = items.tree ? items.tree->first : NULL; i && err == ERR_OK;
	     i = i->next)
		err = text_note(t, i, unheard);
	return err;
}

// ---- what it says ------------------------------------------------------------------------------

// Of a policy that is too large its targets are enough: they refuse.
static void forget_rules(const struct tree *object)
{
	const struct tree *spec = tree_get(object, "spec");

	for (struct tree *i = spec ? spec->first : NULL; i; i = i->next) {
		if (!slice_eq_str(i->key, "targetRefs") &&
		    !slice_eq_str(i->key, "namespaceSelector"))
			i->first = NULL;
	}
}

static void text_read(struct text *t, struct document *d, struct model *m,
		      struct diagnostics *unheard)
{
	bool cut = is_cut(d);
	struct view v = text_view(t, d->tree, unheard, cut, &d->failed);
	struct object_meta meta = {.namespace = d->namespace, .name = d->name};
	struct reading r = {.v = &v, .meta = &meta, .model = m, .uses_data = &t->uses_data};

	d->failed |= cut;
	if (tree_json_bytes(d->tree) > OBJECT_BYTES_MAX) {
		view_error(
			&v,
			"is larger than 1.5 MiB, more than an API server keeps of an object: it is "
			"not read");
		if (!d->kind->is_ours)
			return;
		forget_rules(d->tree);
		v.diagnostics = unheard; // that sentence is enough
	}
	// A policy is kept whatever is wrong with it: its targets refuse.
	if ((!read_meta(&v, &meta) || cut) && !d->kind->is_ours)
		return;
	d->what = read_object(d->kind, &r);
}

static void text_read_kind(struct text *t, bool ours, struct model *m)
{
	struct diagnostics unheard;

	diagnostics_init(&unheard);
	for (uint32_t i = 0; i < t->count; i++) {
		if (t->documents[i].kind->is_ours == ours)
			text_read(t, &t->documents[i], m, &unheard);
	}
	diagnostics_deinit(&unheard);
}

void text_read_ours(struct text *t, struct model *m)
{
	if (!t->read_ours)
		text_read_kind(t, true, m);
	t->read_ours = true;
}

// One that says of which kind it is, leaves nothing open.
static bool may_be_ours(const struct text *t, uint32_t first, struct slice text)
{
	for (uint32_t i = first; i < t->count; i++) {
		if (is_cut(&t->documents[i]) && !t->documents[i].kind->is_ours)
			return false;
	}
	return stranger_may_be_ours(text, read_is_our_kind);
}

static bool says_nothing(const struct tree *document)
{
	return document->kind == TREE_NULL ||
	       (document->kind == TREE_MAP && !document->first && !document->cut);
}

// What was read up to the next error, or to the end.
static enum err text_take(struct text *t, const struct tree *trees, struct diagnostics *unheard)
{
	enum err err = ERR_OK;

	for (const struct tree *i = trees; i && err == ERR_OK; i = i->next) {
		if (says_nothing(i))
			continue;
		t->empty = false;
		err = text_list(t, i, unheard);
	}
	return err;
}

static uint32_t count_whole(const struct text *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->count; i++)
		n += !is_cut(&t->documents[i]);
	return n;
}

// A file of templates alone is none of objects; where one stands among objects, or may be a policy of ours, it
// holds something that is not known.
static void text_judge(struct text *t, struct diagnostics *errors)
{
	const struct diagnostic *first = &errors->list[0];

	t->is_template = t->is_template && count_whole(t) == 0;
	if (!t->is_template) {
		diagnostics_append(&t->findings, errors);
		return;
	}
	t->count = 0;
	diagnostics_add(&t->findings, SEVERITY_NOTE, t->file, first->line, first->column, "",
			"is a template, no object: passed over from here on");
}

static enum err text_load(struct text *t, struct slice bytes)
{
	struct diagnostics unheard, errors;
	struct tree_text at = {.rest = bytes};
	enum err err = ERR_OK;

	diagnostics_init(&unheard);
	diagnostics_init(&errors);
	t->whole = t->empty = t->is_template = true;
	for (uint32_t errors_left = BROKEN_MAX; err == ERR_OK && errors_left > 0; errors_left--) {
		uint32_t before = t->count;
		struct tree *trees;
		enum err read = tree_parse_on(&at, t->file, &t->arena, &errors, &trees);

		err = read == ERR_NOMEM ? read : text_take(t, trees, &unheard);
		if (read == ERR_OK)
			break;
		t->whole = t->empty = false;
		t->is_template = t->is_template && stranger_is_template(at.stopped) &&
				 !may_be_ours(t, before, at.stopped);
		if (at.rest.len == 0)
			break;
	}
	t->is_template = t->is_template && errors.count > 0 && at.rest.len == 0;
	if (err == ERR_OK && errors.count > 0)
		text_judge(t, &errors);
	diagnostics_deinit(&errors);
	diagnostics_deinit(&unheard);
	if (err == ERR_OK)
		text_read_kind(t, false, NULL);
	return err;
}

enum err text_new(const char *file, struct slice bytes, struct text **out)
{
	struct text *t = calloc(1, sizeof(*t));
	enum err err;

	if (!t)
		return ERR_NOMEM;
	t->refs = 1;
	diagnostics_init(&t->findings);
	arena_init(&t->arena, TEXT_ARENA_MAX);
	t->file = (const char *)arena_copy(&t->arena, slice_str(file)).ptr;
	err = t->file ? text_load(t, bytes) : ERR_NOMEM;
	if (err == ERR_OK)
		*out = t;
	else
		text_unref(t);
	return err;
}

void text_ref(struct text *t)
{
	t->refs++;
}

void text_unref(struct text *t)
{
	if (!t || --t->refs > 0)
		return;
	diagnostics_deinit(&t->findings);
	arena_deinit(&t->arena);
	free(t->documents);
	free(t);
}

// ---- into a model ------------------------------------------------------------------------------

struct object text_object(struct text *t, const struct document *d)
{
	return (struct object){
		.kind = d->kind->kind,
		.namespace = d->namespace,
		.name = d->name,
		.what = d->what,
		.text = t,
		.tree = d->tree,
	};
}

// One name twice. Word for word the same (a file being moved, perhaps) is one object.
static enum err text_add_again(struct text *t, const struct document *d, struct model *m,
			       struct diagnostics *findings)
{
	struct object o = text_object(t, d);
	const struct object *first = model_find(m, o.kind, o.namespace, o.name);
	bool same = tree_equal(first->tree, d->tree);
	bool security =
		o.kind == OBJECT_SECURITY_POLICY || o.kind == OBJECT_CLUSTER_SECURITY_POLICY;

	diagnostics_add(findings, same ? SEVERITY_WARNING : SEVERITY_ERROR, t->file, d->tree->line,
			d->tree->column, "metadata.name", "%s %.*s%s%.*s is in %s:%u already%s",
			d->kind->name, SLICE_ARG(o.namespace), o.namespace.len ? "/" : "",
			SLICE_ARG(o.name), first->text->file, first->tree->line,
			same	   ? ", word for word"
			: security ? ", and says something else: the targets of both refuse"
				   : ", and says something else: that one counts");
	return security && !same ? model_add_disputed(m, &o) : ERR_OK;
}

// Of every kind once, however many files have some.
static enum err text_add_strangers(struct text *t, struct model *m, struct diagnostics *d)
{
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < t->stranger_count && err == ERR_OK; i++) {
		const struct stranger *s = &t->strangers[i];
		uint64_t hash = lookup_hash_pair(s->group, s->kind);
		uint32_t at = UINT32_MAX, known;

		if (lookup_next(&m->strangers, hash, &at, &known))
			continue;
		err = lookup_put(&m->strangers, hash, 0);
		diagnostics_add(d, SEVERITY_WARNING, t->file, s->tree->line, s->tree->column,
				"kind", "%.*s of %.*s %s", SLICE_ARG(s->kind), SLICE_ARG(s->group),
				s->why);
	}
	return err;
}

enum err text_add(struct text *t, bool ours, struct model *m, struct diagnostics *d,
		  text_left_fn *left, void *context)
{
	enum err err = ours ? ERR_OK : text_add_strangers(t, m, d);

	for (uint32_t i = 0; i < t->count && err == ERR_OK; i++) {
		const struct document *one = &t->documents[i];
		struct object o = text_object(t, one);

		if (one->kind->is_ours != ours)
			continue;
		if (one->what)
			err = model_add(m, &o);
		else if (one->failed && left)
			err = left(context, m, one, t);
		if (err == ERR_EXISTS)
			err = text_add_again(t, one, m, d);
	}
	return err;
}
