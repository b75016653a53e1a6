// SPDX-License-Identifier: GPL-3.0-or-later
// libyaml's events to a tree; see tree.h. A stack instead of recursion.
#include "files/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>
#include "common/hash.h"

#define TEXT_CHUNK_BYTES 4096
#define SEEN_SLOTS	 512
#define SEEN_BYTES_MAX	 64
// Up to here a map's keys are compared one by one as they come, beyond when it ends.
#define SMALL_MAP 32

struct builder {
	const char *file;
	struct arena *arena;
	struct diagnostics *diagnostics;
	struct tree *stack[TREE_DEPTH_MAX];
	struct tree *last[TREE_DEPTH_MAX]; // last child of each open container
	uint32_t children[TREE_DEPTH_MAX];
	struct slice key; // waiting for its value
	bool have_key;
	uint32_t key_line, key_column;
	int depth; // of the open container; -1: between documents
	uint32_t nodes;
	uint32_t document_line; // where the document begins, or the one before ended
	struct tree *documents, *last_document;
	// Texts lie one behind the other; those that come again and again (keys, names) lie there once.
	size_t input_bytes;
	uint8_t *chunk;
	size_t chunk_left;
	struct slice seen[SEEN_SLOTS];
};

static enum err tree_fail(struct builder *b, const yaml_mark_t *at, enum err e, const char *what)
{
	diagnostics_add(b->diagnostics, SEVERITY_ERROR, b->file, (uint32_t)at->line + 1,
			(uint32_t)at->column + 1, "", "%s", what);
	return e;
}

static enum err tree_fail_twice(struct builder *b, const yaml_mark_t *at, struct slice key)
{
	char what[120];

	snprintf(what, sizeof(what), "key is given twice: %.*s", key.len < 64 ? (int)key.len : 64,
		 (const char *)key.ptr);
	return tree_fail(b, at, ERR_MALFORMED, what);
}

// YAML's core schema.
static bool scalar_is_null(const yaml_event_t *e)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};
	struct slice s = slice_make(e->data.scalar.value, e->data.scalar.length);
	bool found = false;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		found |= slice_eq_str(s, words[i]);
	return found && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

// A copy with a NUL behind it. ptr NULL: no room.
static struct slice tree_copy(struct builder *b, struct slice s)
{
	size_t usual = b->input_bytes < TEXT_CHUNK_BYTES ? b->input_bytes : TEXT_CHUNK_BYTES;
	uint8_t *at;

	if (b->chunk_left < s.len + 1) {
		b->chunk_left = s.len + 1 > usual ? s.len + 1 : usual;
		b->chunk = arena_alloc(b->arena, 1, b->chunk_left);
		if (!b->chunk) {
			b->chunk_left = 0;
			return (struct slice){0};
		}
	}
	at = b->chunk;
	if (s.len > 0)
		memcpy(at, s.ptr, s.len);
	at[s.len] = 0;
	b->chunk += s.len + 1;
	b->chunk_left -= s.len + 1;
	return slice_make(at, s.len);
}

static struct slice tree_text(struct builder *b, struct slice s)
{
	struct slice *seen;

	if (s.len > SEEN_BYTES_MAX)
		return tree_copy(b, s);
	seen = &b->seen[hash_bytes(s, 0) % SEEN_SLOTS];
	if (!seen->ptr || !slice_eq(*seen, s))
		*seen = tree_copy(b, s);
	return *seen;
}

static struct tree *tree_new(struct builder *b, const yaml_event_t *e, enum tree_kind kind)
{
	struct tree *t = b->nodes++ < TREE_NODES_MAX ? arena_alloc(b->arena, 1, sizeof(*t)) : NULL;

	if (!t)
		return NULL;
	t->kind = (uint8_t)kind;
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
		// A value in lines of its own is found by its key.
		if (t->line > b->key_line) {
			t->line = b->key_line;
			t->column = b->key_column;
		}
	}
	t->parent = b->stack[b->depth];
	t->index = b->last[b->depth] ? b->last[b->depth]->index + 1 : 0;
	b->children[b->depth]++;
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
	b->children[b->depth] = 0;
	return ERR_OK;
}

static int tree_order(const void *a, const void *b)
{
	const struct tree *const *left = a, *const *right = b;

	return slice_cmp((*left)->key, (*right)->key);
}

// The keys of a wide map at its end: sorted, equal ones are neighbours.
static enum err tree_check_keys(struct builder *b, const yaml_event_t *e)
{
	uint32_t count = b->children[b->depth], n = 0;
	const struct tree **list = malloc(count * sizeof(struct tree *));
	enum err err = ERR_OK;

	if (!list)
		return tree_fail(b, &e->start_mark, ERR_TOO_LARGE, "too much");
	for (const struct tree *t = b->stack[b->depth]->first; t && n < count; t = t->next)
		list[n++] = t;
	qsort(list, n, sizeof(struct tree *), tree_order);
	for (uint32_t i = 1; i < n && err == ERR_OK; i++) {
		const struct tree *t = list[i]->line > list[i - 1]->line ? list[i] : list[i - 1];
		yaml_mark_t at = {.line = t->line - 1, .column = t->column - 1};

		if (tree_order(&list[i - 1], &list[i]) == 0)
			err = tree_fail_twice(b, &at, t->key);
	}
	free(list);
	return err;
}

static enum err tree_close(struct builder *b, const yaml_event_t *e)
{
	bool wide = e->type == YAML_MAPPING_END_EVENT && b->children[b->depth] > SMALL_MAP;
	enum err err = wide ? tree_check_keys(b, e) : ERR_OK;

	b->depth--;
	return err;
}

static enum err tree_key(struct builder *b, const yaml_event_t *e)
{
	struct slice key = slice_make(e->data.scalar.value, e->data.scalar.length);

	for (const struct tree *t = b->stack[b->depth]->first;
	     t && b->children[b->depth] <= SMALL_MAP; t = t->next) {
		if (slice_eq(t->key, key))
			return tree_fail_twice(b, &e->start_mark, key);
	}
	b->key = tree_text(b, key);
	b->have_key = true;
	b->key_line = (uint32_t)e->start_mark.line + 1;
	b->key_column = (uint32_t)e->start_mark.column + 1;
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
	t->text = tree_text(b, slice_make(e->data.scalar.value, e->data.scalar.length));
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
		return tree_close(b, e);
	case YAML_DOCUMENT_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		b->document_line = (uint32_t)e->start_mark.line;
		break;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
		break;
	}
	return ERR_OK;
}

// What libyaml could not read. Bytes that are no text have an offset and no mark.
static enum err tree_refuse(struct builder *b, const yaml_parser_t *parser, struct slice text,
			    uint32_t first_line)
{
	const char *what = parser->problem ? parser->problem : "not YAML";
	yaml_mark_t at = parser->problem_mark;
	char message[120];

	if (parser->error != YAML_READER_ERROR)
		return tree_fail(b, &at, ERR_MALFORMED, what);
	at = (yaml_mark_t){.line = first_line};
	for (size_t i = 0; i < parser->problem_offset && i < text.len; i++) {
		at.column = text.ptr[i] == '\n' ? 0 : at.column + 1;
		at.line += text.ptr[i] == '\n';
	}
	snprintf(message, sizeof(message), "is no text in UTF-8: %s", what);
	return tree_fail(b, &at, ERR_RANGE, message);
}

static enum err tree_run(struct builder *b, struct slice text, uint32_t first_line)
{
	bool done = false;
	enum err err = ERR_OK;
	yaml_parser_t parser;

	if (!yaml_parser_initialize(&parser))
		return ERR_NOMEM;
	// Of nothing, too, libyaml wants to be told where it is.
	yaml_parser_set_input_string(&parser, text.len ? text.ptr : (const uint8_t *)"", text.len);
	parser.mark.line = first_line;
	while (!done && err == ERR_OK) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			err = tree_refuse(b, &parser, text, first_line);
			break;
		}
		done = event.type == YAML_STREAM_END_EVENT;
		err = tree_event(b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return err;
}

// How many bytes of line break stand here: those that libyaml counts lines by.
static size_t line_break(struct slice s, size_t at)
{
	static const char *const breaks[] = {"\r\n",	 "\n",		 "\r",
					     "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
	struct slice here = slice_make(s.ptr + at, s.len - at);

	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		if (slice_starts(here, slice_str(breaks[i])))
			return strlen(breaks[i]);
	}
	return 0;
}

static bool is_marker(struct slice s, size_t at)
{
	struct slice here = slice_make(s.ptr + at, s.len - at);

	return slice_starts(here, SLICE_LIT("---")) &&
	       (here.len == 3 || here.ptr[3] == ' ' || here.ptr[3] == '\t' ||
		line_break(s, at + 3));
}

// To the first document that begins behind the line from. What was read before is not looked at again.
static void skip_document(struct tree_text *at, uint32_t from)
{
	struct slice s = at->rest;
	size_t i = 0, start = 0;
	uint32_t line = at->line;

	while (i < s.len) {
		size_t end = line_break(s, i);

		i += end ? end : 1;
		if (!end)
			continue;
		line++;
		if (line <= from)
			start = i;
		if (line > from && is_marker(s, i))
			break;
	}
	at->stopped = slice_make(s.ptr + start, i - start);
	at->rest = slice_make(s.ptr + i, s.len - i);
	at->line = line;
}

enum err tree_parse_on(struct tree_text *at, const char *file, struct arena *a,
		       struct diagnostics *d, struct tree **documents)
{
	struct builder *b = calloc(1, sizeof(*b));
	enum err err;

	*documents = NULL;
	if (!b)
		return ERR_NOMEM;
	b->file = file;
	b->arena = a;
	b->diagnostics = d;
	b->depth = -1;
	b->input_bytes = at->rest.len;
	b->nodes = at->nodes;
	b->document_line = at->line;
	err = at->rest.len > TREE_BYTES_MAX ? ERR_TOO_LARGE : tree_run(b, at->rest, at->line);
	if (err != ERR_OK && b->depth >= 0)
		b->last_document->cut = true;
	*documents = b->documents;
	at->nodes = b->nodes;
	at->stopped = at->rest;
	// Of bytes that are no text, and of too many, nobody knows more.
	if (err == ERR_MALFORMED || err == ERR_UNSUPPORTED)
		skip_document(at, b->document_line);
	else
		at->rest.len = 0;
	free(b);
	return err == ERR_RANGE ? ERR_MALFORMED : err;
}

enum err tree_parse(struct slice text, const char *file, struct arena *a, struct diagnostics *d,
		    struct tree **documents)
{
	struct tree_text at = {.rest = text};

	return tree_parse_on(&at, file, a, d, documents);
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

static bool tree_same(const struct tree *a, const struct tree *b)
{
	return a->kind == b->kind && a->quoted == b->quoted && slice_eq(a->text, b->text) &&
	       (a->first == NULL) == (b->first == NULL);
}

bool tree_equal(const struct tree *a, const struct tree *b)
{
	const struct tree *x = a, *y = b;

	for (;;) {
		if (!tree_same(x, y) || (x != a && !slice_eq(x->key, y->key)))
			return false;
		if (x->first) {
			x = x->first;
			y = y->first;
			continue;
		}
		while (x != a && !x->next && !y->next) {
			x = x->parent;
			y = y->parent;
		}
		if (x == a)
			return true;
		if (!x->next || !y->next)
			return false;
		x = x->next;
		y = y->next;
	}
}

uint64_t tree_json_bytes(const struct tree *t)
{
	const struct tree *x = t;
	uint64_t bytes = 0;

	for (;;) {
		// Quotes, colon and comma; brackets.
		bytes += x->text.len + 3 + (x != t && x->key.len > 0 ? x->key.len + 3 : 0);
		if (x->first) {
			x = x->first;
			continue;
		}
		while (x != t && !x->next)
			x = x->parent;
		if (x == t)
			return bytes;
		x = x->next;
	}
}
