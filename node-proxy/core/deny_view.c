// SPDX-License-Identifier: GPL-3.0-or-later
// See deny_view.h.
#include "core/deny_view.h"

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

struct slice deny_lower(struct slice text, uint8_t *out)
{
	for (size_t i = 0; i < text.len; i++)
		out[i] = lower(text.ptr[i]);
	return slice_make(out, text.len);
}

struct slice deny_upper(struct slice text, uint8_t *out)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		out[i] = c >= 'a' && c <= 'z' ? (uint8_t)(c & ~0x20) : c;
	}
	return slice_make(out, text.len);
}

bool deny_path_differs(struct slice path)
{
	bool upper = false;

	for (size_t i = 0; i < path.len; i++)
		upper |= path.ptr[i] >= 'A' && path.ptr[i] <= 'Z';
	return upper || (path.len > 1 && path.ptr[path.len - 1] == '/');
}

struct slice deny_trim(struct slice path)
{
	while (path.len > 1 && path.ptr[path.len - 1] == '/')
		path.len--;
	return path;
}

bool deny_name_is(struct slice name, struct slice lower_name)
{
	if (name.len != lower_name.len)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t a = lower(name.ptr[i]), b = lower_name.ptr[i];

		if ((a == '_' ? '-' : a) != (b == '_' ? '-' : b))
			return false;
	}
	return true;
}

bool deny_overrides_method(struct slice name)
{
	return deny_name_is(name, SLICE_LIT("x-http-method-override")) ||
	       deny_name_is(name, SLICE_LIT("x-http-method")) ||
	       deny_name_is(name, SLICE_LIT("x-method-override"));
}

bool deny_overrides_target(struct slice name, const char **which)
{
	static const char *const names[] = {"x-original-url", "x-rewrite-url"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		*which = names[i];
		if (deny_name_is(name, slice_str(names[i])))
			return true;
	}
	return false;
}

struct slice deny_target_path(struct slice value)
{
	size_t colon = slice_find(value, ':'), slash = slice_find(value, '/');

	// "http://host/path": the first slash of a path stands before any colon.
	if (colon < slash && value.len - colon > 3 && memcmp(value.ptr + colon, "://", 3) == 0) {
		value = slice_make(value.ptr + colon + 3, value.len - colon - 3);
		slash = slice_find(value, '/');
		if (slash == value.len)
			return SLICE_LIT("/");
		value = slice_make(value.ptr + slash, value.len - slash);
	}
	return slice_make(value.ptr, slice_find(value, '?'));
}

// Up to the byte, but for what is quoted.
static size_t find_unquoted(struct slice s, uint8_t c)
{
	bool quoted = false;
	size_t i = 0;

	for (; i < s.len && (quoted || s.ptr[i] != c); i++) {
		if (s.ptr[i] == '"')
			quoted = !quoted;
		else if (quoted && s.ptr[i] == '\\' && i + 1 < s.len)
			i++;
	}
	return i;
}

void deny_list_begin(struct deny_list *l, struct slice value)
{
	l->value = l->rest = value;
	l->naive = false;
}

static struct slice list_cut(struct deny_list *l, size_t end)
{
	struct slice one = slice_make(l->rest.ptr, end);

	end += end < l->rest.len;
	l->rest = slice_make(l->rest.ptr + end, l->rest.len - end);
	return one;
}

bool deny_list_next(struct deny_list *l, struct slice *element)
{
	if (l->rest.len == 0 && !l->naive && slice_find(l->value, '"') < l->value.len) {
		l->naive = true;
		l->rest = l->value;
	}
	l->over |= l->rest.len > 0 && l->elements == DENY_ELEMENTS_MAX;
	if (l->rest.len == 0 || l->over)
		return false;
	l->elements++;
	if (l->naive) {
		size_t comma = slice_find(l->rest, ',');

		*element = list_cut(l, slice_find(slice_make(l->rest.ptr, comma), ';'));
	} else {
		*element = list_cut(l, find_unquoted(l->rest, ','));
		element->len = find_unquoted(*element, ';');
	}
	*element = slice_trim_ows(*element);
	return true;
}

struct slice deny_unquote(struct slice s, uint8_t out[DENY_VALUE_MAX])
{
	size_t n = 0;

	if (s.len < 2 || s.len > DENY_VALUE_MAX || s.ptr[0] != '"' || s.ptr[s.len - 1] != '"')
		return s;
	for (size_t i = 1; i < s.len - 1; i++) {
		i += s.ptr[i] == '\\' && i + 2 < s.len;
		out[n++] = s.ptr[i];
	}
	return slice_make(out, n);
}
