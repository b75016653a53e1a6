// SPDX-License-Identifier: GPL-3.0-or-later
// Rows ▶ structs; see words.h.
#include "model/words.h"

#include <stdio.h>
#include "model/read.h"

const struct word *words_find(const struct words *w, struct slice name)
{
	for (uint32_t i = 0; i < w->count; i++) {
		if (slice_eq_str(name, w->list[i].name))
			return &w->list[i];
	}
	return NULL;
}

// ---- values ------------------------------------------------------------------------------------

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

// YAML's core schema: what an API server would refuse where a string belongs.
static bool is_plain_number(struct slice s)
{
	size_t i = s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '+'), digits = 0, points = 0;

	if (s.len - i > 2 && s.ptr[i] == '0' && (s.ptr[i + 1] == 'x' || s.ptr[i + 1] == 'o'))
		return true;
	for (; i < s.len && (is_digit(s.ptr[i]) || s.ptr[i] == '.'); i++) {
		digits += is_digit(s.ptr[i]);
		points += s.ptr[i] == '.';
	}
	if (digits == 0 || points > 1)
		return false;
	if (i + 1 < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
		i += 1 + (s.ptr[i + 1] == '-' || s.ptr[i + 1] == '+');
		for (digits = i; i < s.len && is_digit(s.ptr[i]);)
			i++;
		return i == s.len && i > digits;
	}
	return i == s.len;
}

static bool is_plain_bool(struct slice s)
{
	return slice_eq_nocase(s, SLICE_LIT("true")) || slice_eq_nocase(s, SLICE_LIT("false"));
}

static bool read_text(const struct view *v, uint64_t bytes_max, bool may_be_empty,
		      struct slice *out)
{
	if (!view_short_text(v, bytes_max, out))
		return false;
	if (!v->tree->quoted && (is_plain_number(*out) || is_plain_bool(*out))) {
		view_error(v, "has to be a text: write it in quotes");
		return false;
	}
	if (out->len == 0 && !may_be_empty)
		view_error(v, "must not be empty");
	return out->len > 0 || may_be_empty;
}

static bool read_choice(const struct word *w, const struct view *v, void *to)
{
	struct slice s;
	int index;

	if (!view_text(v, &s))
		return false;
	for (uint32_t i = 0; w->choices_later && w->choices_later[i]; i++) {
		if (!slice_eq_str(s, w->choices_later[i]))
			continue;
		view_error(v, "%.*s is not supported yet", SLICE_ARG(s));
		return false;
	}
	if (!view_word(v, w->choices, &index))
		return false;
	uint32_t number = w->first + (uint32_t)index;

	memcpy(to, &number, w->width);
	return true;
}

static bool read_number(const struct word *w, const struct view *v, void *to)
{
	uint64_t n;

	if (!view_number(v, w->min, w->max, &n))
		return false;
	if (w->width == sizeof(uint16_t))
		*(uint16_t *)to = (uint16_t)n;
	else if (w->width == sizeof(uint32_t))
		*(uint32_t *)to = (uint32_t)n;
	else
		*(uint64_t *)to = n;
	return true;
}

static bool read_duration(const struct word *w, const struct view *v, void *to)
{
	uint64_t ms;

	if (!view_duration_ms(v, &ms))
		return false;
	if (ms < w->min || ms > w->max) {
		view_error(v, "has to lie between %llums and %lluh", (unsigned long long)w->min,
			   (unsigned long long)w->max / 3600000);
		return false;
	}
	*(uint32_t *)to = (uint32_t)ms;
	return true;
}

static bool read_label_map(const struct word *w, const struct view *v, struct labels *to)
{
	uint32_t index = 0;

	if (!view_require(v, TREE_MAP))
		return false;
	if (tree_count(v->tree) > w->entries) {
		view_error(v, "has more than %u entries", w->entries);
		return false;
	}
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		struct slice text;

		if (i.tree->kind == TREE_NULL) {
			view_error(&i, "must not be null: give it a value, or leave it out");
			return false;
		}
		if (!read_text(&i, w->max, true, &text))
			return false;
	}
	return read_labels(v, to);
}

static bool read_map(const struct reading *r, const struct word *w, const struct view *v, void *to)
{
	if (!view_require(v, TREE_MAP))
		return false;
	if (!v->tree->first && !w->may_be_empty) {
		view_error(v, "must not be empty");
		return false;
	}
	return words_read(r, w->members, v, to);
}

static bool read_value(const struct reading *r, const struct word *w, const struct view *v,
		       void *object, void *to)
{
	bool good = false;

	if (w->type != WORD_ANY && v->tree->kind == TREE_NULL) {
		view_error(v, "must not be null: give it a value, or leave it out");
		return false;
	}
	switch (w->type) {
	case WORD_ANY:
		return true;
	case WORD_TEXT:
		good = read_text(v, w->max, w->may_be_empty, to);
		break;
	case WORD_CHOICE:
		good = read_choice(w, v, to);
		break;
	case WORD_NUMBER:
		good = read_number(w, v, to);
		break;
	case WORD_BOOL:
		good = view_bool(v, to);
		break;
	case WORD_DURATION:
		good = read_duration(w, v, to);
		break;
	case WORD_CIDR:
		good = view_cidr(v, to);
		break;
	case WORD_LABELS:
		good = read_label_map(w, v, to);
		break;
	case WORD_MAP:
		good = read_map(r, w, v, to);
		break;
	}
	return good && (!w->check || w->check(r, v, object, to));
}

// ---- lists -------------------------------------------------------------------------------------

// A list that is not right is none: nobody takes half of it for the whole.
static bool put_list(const struct word *w, void *object, uint8_t *items, uint32_t count)
{
	memcpy((uint8_t *)object + w->at, &items, sizeof(items));
	memcpy((uint8_t *)object + w->count_at, &count, sizeof(count));
	return true;
}

static bool read_word_list(const struct reading *r, const struct word *w, const struct view *v,
			   void *object)
{
	uint8_t *items = read_list(v, w->entries, w->width);
	uint32_t index = 0;
	bool good = items != NULL;

	for (struct view i = view_first(v); items && i.tree; i = view_next(v, &i, &index))
		good &= read_value(r, w, &i, object, items + (size_t)index * w->width);
	return good && put_list(w, object, items, index) &&
	       (!w->check_list || w->check_list(r, v, object, items));
}

// Its only item is part of the object.
static bool read_in_place(const struct reading *r, const struct word *w, const struct view *v,
			  void *object)
{
	struct view only = view_first(v);

	return read_list(v, w->entries, 1) && read_value(r, w, &only, object, object);
}

static bool read_one_of_list(const struct reading *r, const struct word *w, const struct view *v,
			     void *object)
{
	uint8_t *item = arena_alloc(v->arena, 1, w->width);

	if (!item)
		view_error(v, "there is too much in this file");
	return item && read_value(r, w, v, object, item) && put_list(w, object, item, 1);
}

static bool read_apart(const struct reading *r, const struct word *w, const struct view *v,
		       void *object)
{
	void *apart = arena_alloc(v->arena, 1, w->members->bytes);

	if (!apart)
		view_error(v, "there is too much in this file");
	return apart && read_value(r, w, v, object, apart);
}

// ---- members -----------------------------------------------------------------------------------

static bool is_before(const struct tree *a, const struct tree *b)
{
	while (a && a != b)
		a = a->next;
	return a == b;
}

// Which word of the choice that decides about this member is written; -1: none that there is.
static int choice_beside(const struct words *all, const struct word *w, const struct tree *map)
{
	const struct word *with = words_find(all, slice_str(w->with));
	const struct tree *t = tree_get(map, w->with);

	if (!t)
		return (int)with->absent - (int)with->first;
	for (int i = 0; t->kind == TREE_SCALAR && with->choices[i]; i++) {
		if (slice_eq_str(t->text, with->choices[i]))
			return i;
	}
	return -1;
}

static bool goes_with(const struct words *all, const struct word *w, const struct tree *map)
{
	int choice = w->with ? choice_beside(all, w, map) : -1;

	return !w->with || choice < 0 || (w->with_choices & (1u << choice)) != 0;
}

// May it stand here at all?
static bool word_is_allowed(const struct words *all, const struct word *w, const struct view *map,
			    const struct view *v)
{
	const struct tree *rival = w->rival ? tree_get(map->tree, w->rival) : NULL;

	if (!w->since) {
		view_error(v, "is not supported yet");
		return false;
	}
	if (rival && is_before(rival, v->tree)) {
		view_error(v, "contradicts %s: write one of the two", w->rival);
		return false;
	}
	if (!goes_with(all, w, map->tree)) {
		const struct word *with = words_find(all, slice_str(w->with));

		view_error(v, "does not go with %s %s", w->with,
			   with->choices[choice_beside(all, w, map->tree)]);
		return false;
	}
	return true;
}

static bool read_member(const struct reading *r, const struct words *all, const struct view *map,
			const struct view *v, void *object)
{
	const struct word *w = words_find(all, v->tree->key);

	if (!w) {
		view_error(v, "unknown field");
		return false;
	}
	if (!word_is_allowed(all, w, map, v))
		return false;
	if (w->list && v->tree->kind != TREE_NULL)
		return w->in_place ? read_in_place(r, w, v, object)
				   : read_word_list(r, w, v, object);
	if (w->one_of_list)
		return read_one_of_list(r, w, v, object);
	if (w->apart)
		return read_apart(r, w, v, object);
	return read_value(r, w, v, object, (uint8_t *)object + w->at);
}

// What is not written.
static bool read_absent(const struct words *all, const struct word *w, const struct view *map,
			void *object)
{
	struct view v = view_get(map, w->name);
	int choice = w->with ? choice_beside(all, w, map->tree) : 0;

	if (v.tree)
		return true;
	if (w->type == WORD_CHOICE && w->absent)
		memcpy((uint8_t *)object + w->at, &w->absent, w->width);
	if (!w->required || choice < 0 || (w->with && !goes_with(all, w, map->tree)) ||
	    (w->rival && tree_get(map->tree, w->rival)))
		return true;
	view_error(&v, "is required");
	return false;
}

bool words_read(const struct reading *r, const struct words *w, const struct view *v, void *object)
{
	uint32_t index = 0;
	bool good = view_require(v, TREE_MAP);

	if (!good)
		return false;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index))
		good &= read_member(r, w, v, &i, object);
	for (uint32_t i = 0; i < w->count; i++)
		good &= read_absent(w, &w->list[i], v, object);
	return good && (!w->done || w->done(r, v, object, NULL));
}
