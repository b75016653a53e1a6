// SPDX-License-Identifier: GPL-3.0-or-later
// Columns whose values servers read in more ways than one: methods, paths, fields. See policy_match.h.
#include "core/deny_view.h"
#include "core/match.h"
#include "core/policy_match.h"

// Odd prefixes of Allow rules that are looked at in one path: more stand in each other's shadow.
#define WRITTEN_PREFIXES_MAX 8

// ---- the deny view -----------------------------------------------------------------------------
// What servers read otherwise adds Deny rules to a column, never Allow rules.

static void deny(struct evaluation *e, enum rule_space space, uint32_t number, struct slice a,
		 struct slice b)
{
	struct rule_key key = {space, number, {a, b, {0}}};

	rule_index_look_up_among(&e->set->index, &key, e->set->deny_all.words, &e->column);
}

// Nobody can say what the column's value is.
static void deny_unknown(struct evaluation *e)
{
	const struct rule_set *denies = &e->set->deny_all;

	for (uint32_t i = 0; i < e->set->words; i++) {
		if (!(denies->live >> i & 1))
			continue;
		e->column.words[i] =
			denies->words[i] | (e->column.live >> i & 1 ? e->column.words[i] : 0);
	}
	e->column.live |= denies->live;
}

static void deny_method(struct evaluation *e, struct slice method)
{
	uint8_t text[DENY_METHOD_MAX];
	static const struct slice none;

	if (method.len > 0 && method.len <= sizeof(text))
		deny(e, SPACE_METHOD, 0, deny_upper(method, text), none);
}

static void deny_methods(struct evaluation *e)
{
	struct slice name, value, element;
	struct deny_list list = {0};
	uint8_t text[DENY_VALUE_MAX];

	deny_method(e, e->in->method);
	for (uint32_t i = 0; e->in->field && e->in->field(e->in->headers, i, &name, &value); i++) {
		if (!deny_overrides_method(name))
			continue;
		deny_list_begin(&list, value);
		while (deny_list_next(&list, &element))
			deny_method(e, deny_unquote(element, text));
	}
	if (list.over)
		deny_unknown(e);
}

static __attribute__((noinline)) void deny_paths(struct evaluation *e)
{
	const struct policy_set *p = e->set;
	static const struct slice none;
	uint8_t text[PATH_BYTES_MAX];
	struct slice path = e->in->path, exact;

	if (path.len > sizeof(text))
		return;
	path = deny_lower(path, text);
	exact = deny_trim(path);
	if (exact.len <= p->path_len_max)
		deny(e, SPACE_PATH, 0, exact, none);
	for (size_t i = 0; i <= path.len && i < p->prefix_len_max; i++) {
		if (i == path.len || path.ptr[i] == '/')
			deny(e, SPACE_PREFIX, 0, slice_make(path.ptr, i), none);
	}
}

static void deny_field(struct evaluation *e, uint32_t at, struct slice name, struct slice value,
		       struct deny_list *list)
{
	static const struct slice none;
	uint8_t text[DENY_VALUE_MAX];
	struct slice element;

	deny(e, SPACE_HEADER_ANY, at, name, none);
	deny(e, SPACE_HEADER, at, name, value);
	deny_list_begin(list, value);
	while (deny_list_next(list, &element))
		deny(e, SPACE_HEADER, at, name, deny_unquote(element, text));
	if (list->over)
		deny(e, SPACE_HEADER_DENIED, at, name, none);
}

void policy_deny_headers(struct evaluation *e, uint32_t at)
{
	const struct policy_conditions *c = &e->set->headers[at];
	struct deny_list list = {0};
	struct slice name, value;

	for (uint32_t i = 0; e->in->field && e->in->field(e->in->headers, i, &name, &value); i++) {
		for (uint32_t k = 0; k < c->count; k++) {
			if (deny_name_is(name, c->list[k].name))
				deny_field(e, at, c->list[k].name, value, &list);
		}
	}
}

// ---- columns -----------------------------------------------------------------------------------

bool policy_column_method(struct evaluation *e)
{
	policy_look_up_text(e, SPACE_METHOD, e->in->method);
	if (e->set->denies_methods)
		deny_methods(e);
	return e->in->method.len > 0;
}

// Every prefix that ends before a slash or at the end.
static size_t next_prefix(struct slice path, size_t at)
{
	return at + slice_find(slice_make(path.ptr + at, path.len - at), '/');
}

// Allow rules whose own path is odd count where it matches as it is written, and still does when both are
// read in the same way.
static __attribute__((noinline)) void look_up_written(struct evaluation *e)
{
	static const struct slice none;
	const struct policy_set *p = e->set;
	const struct policy_input *in = e->in;
	struct slice sent = in->path_steps ? in->path_sent : in->path;
	uint8_t text[PATH_BYTES_MAX], spare[PATH_BYTES_MAX];
	uint32_t found = 0;

	if (sent.len > sizeof(text))
		return;
	policy_look_up_text(e, SPACE_WRITTEN, sent);
	for (size_t i = next_prefix(sent, 0);
	     i < p->written_len_max && found < WRITTEN_PREFIXES_MAX; i = next_prefix(sent, i + 1)) {
		struct rule_key key = {
			SPACE_WRITTEN_PREFIX, 0, {slice_make(sent.ptr, i), none, none}};
		struct ss_path_match m = {.type = PATH_PREFIX};

		if (rule_index_has(&p->index, &key)) {
			found++;
			m.value = reading_apply(in->path_steps, key.text[0], text, spare);
			if (path_match(&m, in->path))
				rule_index_look_up(&p->index, &key, &e->column);
		}
		if (i == sent.len)
			break;
	}
}

// Exact, and prefixes.
static void look_up_path(struct evaluation *e, struct slice path)
{
	if (path.len <= e->set->path_len_max)
		policy_look_up_text(e, SPACE_PATH, path);
	for (size_t i = 0; i <= path.len && i < e->set->prefix_len_max; i++) {
		if (i == path.len || path.ptr[i] == '/')
			policy_look_up_text(e, SPACE_PREFIX, slice_make(path.ptr, i));
	}
}

bool policy_column_path(struct evaluation *e)
{
	struct slice path = e->in->path;

	if (path.len == 0)
		return false;
	look_up_path(e, path);
	if (e->set->denies_paths && deny_path_differs(path))
		deny_paths(e);
	if (e->set->written_len_max > 0)
		look_up_written(e);
	return true;
}
