// SPDX-License-Identifier: GPL-3.0-or-later
// libyaml's events to a tree; see tree.h. A stack instead of recursion.
#include "files/tree.h"

#include <yaml.h>

struct builder {
	const char *file;
	struct arena *arena;
	struct diagnostics *diagnostics;
	struct tree *stack[TREE_DEPTH_MAX];
	struct tree *last[TREE_DEPTH_MAX]; // last child of each open container
	struct slice key;		   // waiting for its value
	bool have_key;
	uint32_t key_line, key_column;
	int depth; // of the open container; -1: between documents
	uint32_t nodes;
	struct tree *documents, *last_document;
};

static enum err tree_fail(struct builder *b, const yaml_mark_t *at, enum err e, const char *what)
{
	diagnostics_add(b->diagnostics, SEVERITY_ERROR, b->file, (uint32_t)at->line + 1,
			(uint32_t)at->column + 1, "", "%s", what);
	return e;
}

static bool scalar_is_null(const yaml_event_t *e)
{
	struct slice s = slice_make(e->data.scalar.value, e->data.scalar.length);

	return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (s.len == 0 || slice_eq_str(s, "~") || slice_eq_str(s, "null"));
}

static struct tree *tree_new(struct builder *b, const yaml_event_t *e, enum tree_kind kind)
{
	struct tree *t = b->nodes++ < TREE_NODES_MAX ? arena_alloc(b->arena, 1, sizeof(*t)) : NULL;

	if (!t)
		return NULL;
	t->kind = kind;
	t->line = (uint32_t)e->start_mark.line + 1;
	t->column = (uint32_t)e->start_mark.column + 1;
	return t;
}

static void tree_link(struct builder *b, struct tree *t)
{
	if (b->depth < 0) {
		if (b->last_document)
			b->last_document->next = t;
		else
			b->documents = t;
		b->last_document = t;
		return;
	}
	if (b->have_key) {
		t->key = b->key;
		b->have_key = false;
	}
	if (b->last[b->depth])
		b->last[b->depth]->next = t;
	else
		b->stack[b->depth]->first = t;
	b->last[b->depth] = t;
}

static bool wants_key(const struct builder *b)
{
	return b->depth >= 0 && b->stack[b->depth]->kind == TREE_MAP && !b->have_key;
}

static enum err tree_open(struct builder *b, const yaml_event_t *e, enum tree_kind kind)
{
	struct tree *t;

	if (wants_key(b))
		return tree_fail(b, &e->start_mark, ERR_MALFORMED, "a key has to be a word");
	if (b->depth + 1 == TREE_DEPTH_MAX)
		return tree_fail(b, &e->start_mark, ERR_TOO_LARGE, "nested too deeply");
	t = tree_new(b, e, kind);
	if (!t)
		return tree_fail(b, &e->start_mark, ERR_TOO_LARGE, "too much");
	tree_link(b, t);
	b->stack[++b->depth] = t;
	b->last[b->depth] = NULL;
	return ERR_OK;
}

static enum err tree_key(struct builder *b, const yaml_event_t *e)
{
	struct slice key = slice_make(e->data.scalar.value, e->data.scalar.length);

	for (const struct tree *t = b->stack[b->depth]->first; t; t = t->next) {
		if (slice_eq(t->key, key))
			return tree_fail(b, &e->start_mark, ERR_MALFORMED, "key is given twice");
	}
	b->key = arena_copy(b->arena, key);
	b->have_key = true;
	return b->key.ptr ? ERR_OK : tree_fail(b, &e->start_mark, ERR_TOO_LARGE, "too much");
}

static enum err tree_scalar(struct builder *b, const yaml_event_t *e)
{
	struct tree *t;

	if (wants_key(b))
		return tree_key(b, e);
	t = tree_new(b, e, scalar_is_null(e) ? TREE_NULL : TREE_SCALAR);
	if (!t)
		return tree_fail(b, &e->start_mark, ERR_TOO_LARGE, "too much");
	t->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	t->text = arena_copy(b->arena, slice_make(e->data.scalar.value, e->data.scalar.length));
	if (!t->text.ptr)
		return tree_fail(b, &e->start_mark, ERR_TOO_LARGE, "too much");
	tree_link(b, t);
	return ERR_OK;
}

static enum err tree_event(struct builder *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_ALIAS_EVENT:
		return tree_fail(b, &e->start_mark, ERR_UNSUPPORTED, "aliases are not supported");
	case YAML_SCALAR_EVENT:
		return tree_scalar(b, e);
	case YAML_SEQUENCE_START_EVENT:
		return tree_open(b, e, TREE_LIST);
	case YAML_MAPPING_START_EVENT:
		return tree_open(b, e, TREE_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return ERR_OK;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return ERR_OK;
}

enum err tree_parse(struct slice text, const char *file, struct arena *a, struct diagnostics *d,
		    struct tree **documents)
{
	struct builder b = {.file = file, .arena = a, .diagnostics = d, .depth = -1};
	bool done = false;
	enum err err = ERR_OK;
	yaml_parser_t parser;

	*documents = NULL;
	if (!yaml_parser_initialize(&parser))
		return ERR_NOMEM;
	yaml_parser_set_input_string(&parser, text.ptr, text.len);
	while (!done && err == ERR_OK) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			err = tree_fail(&b, &parser.problem_mark, ERR_MALFORMED,
					parser.problem ? parser.problem : "not YAML");
			break;
		}
		done = event.type == YAML_STREAM_END_EVENT;
		err = tree_event(&b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	*documents = b.documents;
	return err;
}

const struct tree *tree_get(const struct tree *map, const char *key)
{
	const struct tree *t = map && map->kind == TREE_MAP ? map->first : NULL;

	while (t && !slice_eq_str(t->key, key))
		t = t->next;
	return t;
}

uint32_t tree_count(const struct tree *t)
{
	uint32_t n = 0;

	for (const struct tree *c = t ? t->first : NULL; c; c = c->next)
		n++;
	return n;
}
