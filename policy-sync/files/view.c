// SPDX-License-Identifier: GPL-3.0-or-later
// Typed reading with findings; see view.h.
#include "files/view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct view view_root(const struct tree *document, const char *file, struct arena *a,
		      struct diagnostics *d, bool *failed)
{
	return (struct view){
		.tree = document,
		.parent = document,
		.root = document,
		.file = file,
		.diagnostics = d,
		.arena = a,
		.failed = failed,
	};
}

struct view view_get(const struct view *v, const char *key)
{
	struct view out = *v;

	out.tree = tree_get(v->tree, key);
	if (out.tree) {
		out.parent = v->tree;
		return out;
	}
	if (v->tree)
		out.parent = v->tree;
	if (out.absent_count < VIEW_ABSENT_MAX)
		out.absent[out.absent_count++] = key;
	return out;
}

static struct view view_item(const struct view *list, const struct tree *item)
{
	struct view out = *list;

	out.tree = item;
	out.parent = list->tree ? list->tree : list->parent;
	return out;
}

struct view view_first(const struct view *list)
{
	return view_item(list, list->tree ? list->tree->first : NULL);
}

struct view view_next(const struct view *list, const struct view *item, uint32_t *index)
{
	++*index;
	return view_item(list, item->tree->next);
}

char *view_path(const struct view *v, char out[VIEW_PATH_MAX])
{
	const struct tree *way[TREE_DEPTH_MAX];
	const struct tree *t = v->tree ? v->tree : v->parent;
	int depth = 0;
	struct buf b;

	for (; t && t != v->root && t->parent && depth < TREE_DEPTH_MAX; t = t->parent)
		way[depth++] = t;
	buf_init_fixed(&b, out, VIEW_PATH_MAX - 1);
	while (depth > 0) {
		t = way[--depth];
		if (t->parent->kind == TREE_LIST)
			buf_printf(&b, "[%u]", t->index);
		else
			buf_printf(&b, "%s%.*s", b.len ? "." : "",
				   t->key.len < 64 ? (int)t->key.len : 64,
				   (const char *)t->key.ptr);
	}
	for (uint8_t i = 0; !v->tree && i < v->absent_count; i++)
		buf_printf(&b, "%s%s", b.len ? "." : "", v->absent[i]);
	out[b.len] = 0;
	return out;
}

static void view_say(const struct view *v, enum severity severity, const char *format, va_list l)
{
	const struct tree *at = v->tree ? v->tree : v->parent;
	char message[400], path[VIEW_PATH_MAX];

	vsnprintf(message, sizeof(message), format, l);
	diagnostics_add(v->diagnostics, severity, v->file, at ? at->line : 0, at ? at->column : 0,
			view_path(v, path), "%s", message);
}

void view_error(const struct view *v, const char *format, ...)
{
	va_list l;

	*v->failed = true;
	va_start(l, format);
	view_say(v, SEVERITY_ERROR, format, l);
	va_end(l);
}

void view_warn(const struct view *v, const char *format, ...)
{
	va_list l;

	va_start(l, format);
	view_say(v, SEVERITY_WARNING, format, l);
	va_end(l);
}

void view_note(const struct view *v, const char *format, ...)
{
	va_list l;

	va_start(l, format);
	view_say(v, SEVERITY_NOTE, format, l);
	va_end(l);
}

void view_only(const struct view *map, const char *const *keys)
{
	uint32_t index = 0;

	if (!map->tree || map->tree->kind != TREE_MAP)
		return;
	for (struct view v = view_first(map); v.tree; v = view_next(map, &v, &index)) {
		bool known = false;

		for (int i = 0; keys[i] && !known; i++)
			known = slice_eq_str(v.tree->key, keys[i]);
		if (!known)
			view_error(&v, "unknown field");
	}
}

bool view_require(const struct view *v, enum tree_kind kind)
{
	static const char *const names[] = {"nothing", "null", "a value", "a map", "a list"};

	if (v->tree && v->tree->kind == kind)
		return true;
	if (!view_present(v))
		view_error(v, "is required");
	else
		view_error(v, "has to be %s", names[kind]);
	return false;
}

bool view_text(const struct view *v, struct slice *out)
{
	if (!view_require(v, TREE_SCALAR))
		return false;
	*out = v->tree->text;
	return true;
}

bool view_short_text(const struct view *v, size_t bytes_max, struct slice *out)
{
	if (!view_text(v, out))
		return false;
	if (out->len > bytes_max)
		view_error(v, "is longer than %zu bytes", bytes_max);
	return out->len <= bytes_max;
}

bool view_bool(const struct view *v, bool *out)
{
	struct slice s;

	if (!view_text(v, &s))
		return false;
	if (!v->tree->quoted && (slice_eq_str(s, "true") || slice_eq_str(s, "false"))) {
		*out = slice_eq_str(s, "true");
		return true;
	}
	view_error(v, "has to be true or false, is \"%.*s\"", SLICE_ARG(s));
	return false;
}

bool view_number(const struct view *v, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;
	struct slice s;

	if (!view_text(v, &s))
		return false;
	bool good = s.len > 0 && s.len < 20 && !v->tree->quoted;

	for (size_t i = 0; i < s.len && good; i++) {
		good = s.ptr[i] >= '0' && s.ptr[i] <= '9';
		n = n * 10 + (uint64_t)(s.ptr[i] - '0');
	}
	if (!good || n < min || n > max) {
		view_error(v, "has to be a number from %llu to %llu, is \"%.*s\"",
			   (unsigned long long)min, (unsigned long long)max, SLICE_ARG(s));
		return false;
	}
	*out = n;
	return true;
}

bool view_addr(const struct view *v, struct addr *out)
{
	struct slice s;

	if (!view_text(v, &s))
		return false;
	if (addr_parse(s, out) == ERR_OK)
		return true;
	view_error(v, "is no IP address: \"%.*s\"", SLICE_ARG(s));
	return false;
}

bool view_cidr(const struct view *v, struct cidr *out)
{
	struct slice s;

	if (!view_text(v, &s))
		return false;
	enum err err = cidr_parse(s, false, out);

	if (err == ERR_RANGE && cidr_parse(s, true, out) == ERR_RANGE)
		view_error(v, "\"%.*s\": the prefix is longer than the address", SLICE_ARG(s));
	else if (err == ERR_RANGE)
		view_error(v, "\"%.*s\": bits are set behind the prefix", SLICE_ARG(s));
	else if (err != ERR_OK)
		view_error(v, "is no CIDR: \"%.*s\"", SLICE_ARG(s));
	return err == ERR_OK;
}

bool view_word(const struct view *v, const char *const *words, int *out)
{
	char list[200] = "";
	struct slice s;

	if (!view_text(v, &s))
		return false;
	for (int i = 0; words[i]; i++) {
		if (slice_eq_str(s, words[i])) {
			*out = i;
			return true;
		}
		size_t used = strlen(list);

		snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
			 words[i][0] ? words[i] : "\"\"");
	}
	view_error(v, "has to be %s%s, is \"%.*s\"", words[1] ? "one of " : "", list, SLICE_ARG(s));
	return false;
}

bool view_texts(const struct view *v, uint32_t max, struct slice **out, uint32_t *count)
{
	uint32_t n = tree_count(v->tree), index = 0;
	struct slice *list;

	*count = 0;
	if (!view_require(v, TREE_LIST))
		return false;
	if (n == 0) {
		view_error(v, "must not be empty");
		return false;
	}
	list = n <= max ? arena_alloc(v->arena, n, sizeof(*list)) : NULL;
	if (!list) {
		view_error(v, "has more than %u entries", max);
		return false;
	}
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		if (!view_text(&i, &list[*count]))
			return false;
		(*count)++;
	}
	*out = list;
	return true;
}

bool view_duration_ms(const struct view *v, uint64_t *out)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
	uint64_t total = 0;
	struct slice s, rest;

	if (!view_text(v, &s))
		return false;
	for (rest = s; rest.len > 0;) {
		uint64_t n = 0;
		size_t digits = 0;

		while (digits < rest.len && digits < 6 && rest.ptr[digits] >= '0' &&
		       rest.ptr[digits] <= '9')
			n = n * 10 + (uint64_t)(rest.ptr[digits++] - '0');
		size_t i = 0;

		rest = slice_make(rest.ptr + digits, rest.len - digits);
		while (i < 4 && !slice_starts(rest, slice_str(units[i].unit)))
			i++;
		if (digits == 0 || i == 4) {
			view_error(v, "is no duration such as 10s or 1h30m: \"%.*s\"",
				   SLICE_ARG(s));
			return false;
		}
		total += n * units[i].ms;
		rest = slice_make(rest.ptr + strlen(units[i].unit),
				  rest.len - strlen(units[i].unit));
	}
	*out = total;
	if (s.len == 0)
		view_error(v, "must not be empty");
	return s.len > 0;
}
