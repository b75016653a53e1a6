// SPDX-License-Identifier: GPL-3.0-or-later
// What requests and clients are told by, for rules and limits alike: paths, headers, methods, networks. See
// read.h.
#include "model/read.h"

#include "core/match.h"

// ---- paths -------------------------------------------------------------------------------------

// A rule's path counts as it is written, and in every reading that a request's has (core/reading). A spelling
// that requests do not have is no error: a Deny rule counts for all readings of its own path too.
static bool readable(const struct view *v, struct slice path)
{
	uint8_t *out = arena_alloc(v->arena, 1, path.len);
	struct slice canonical, query;
	struct path_readings readings;
	bool changed = false;

	if (!out ||
	    path_canonicalize(path, out, path.len, &canonical, &query, &changed) != ERR_OK ||
	    query.len > 0) {
		view_error(v, "is no path that a request can have");
		return false;
	}
	if (readings_of(path, RULE_READINGS_MAX, READINGS_BYTES_MAX, v->arena, &readings) !=
	    ERR_OK) {
		view_error(v, "can be read in more ways than anybody means");
		return false;
	}
	if (changed && !slice_eq_nocase(path, canonical))
		view_warn(v,
			  "is compared as it is written: most requests for it say \"%.*s\", which "
			  "an Allow rule does not match",
			  SLICE_ARG(canonical));
	return true;
}

static bool check_path(const struct reading *r, const struct view *v, void *object, void *value)
{
	struct slice *path = value;

	(void)r;
	(void)object;
	if (path->ptr[0] != '/') {
		view_error(v, "has to begin with /");
		return false;
	}
	return readable(v, *path);
}

static bool check_wildcard(const struct reading *r, const struct view *v, void *object, void *value)
{
	const struct ss_path_match *path = object;
	struct view at = view_get(v, "value");

	(void)r;
	(void)value;
	if (memchr(path->value.ptr, '*', path->value.len))
		view_warn(&at, "matches a * alone: paths have no wildcards, and a PathPrefix needs "
			       "none");
	return true;
}

static const char *const path_types[] = {"Exact", "PathPrefix", NULL};
static const char *const path_types_later[] = {"RegularExpression", NULL};
static const struct word path_rows[] = {
	{
		.name = "type",
		.says = "Exact, or whole path elements from the start.",
		.example = "PathPrefix",
		.since = "0.1",
		.type = WORD_CHOICE,
		.choices = path_types,
		.choices_later = path_types_later,
		.absent = PATH_PREFIX,
		WORD_AT(ss_path_match, type),
	},
	{
		.name = "value",
		.says = "The path, without query.",
		.example = "/admin",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 1024,
		WORD_AT(ss_path_match, value),
		.check = check_path,
	},
};
const struct words words_path = WORDS(path_rows, sizeof(struct ss_path_match), check_wildcard);

// ---- headers -----------------------------------------------------------------------------------

bool check_field_name(const struct reading *r, const struct view *v, void *object, void *value)
{
	struct slice *name = value;

	(void)r;
	(void)object;
	warn_header_name(v, *name);
	*name = read_lower(v->arena, *name);
	return true;
}

// Requests' values are compared without the blanks around them.
static bool check_field_value(const struct reading *r, const struct view *v, void *object,
			      void *value)
{
	struct slice s = *(const struct slice *)value;
	bool good = slice_eq(slice_trim_ows(s), s);

	(void)r;
	(void)object;
	for (size_t i = 0; i < s.len; i++)
		good &= s.ptr[i] == '\t' || (s.ptr[i] >= ' ' && s.ptr[i] != 0x7f);
	if (!good)
		view_error(v, "can match nothing: no field's value has blanks around it, or "
			      "control characters");
	return good;
}

static const char *const header_types[] = {"Exact", NULL};
static const char *const header_types_later[] = {"RegularExpression", NULL};
static const struct word header_rows[] = {
	{
		.name = "name",
		.says = "The field's name, in any case.",
		.example = "x-team",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 255,
		WORD_AT(ss_header_match, name),
		.check = check_field_name,
	},
	{
		.name = "type",
		.says = "How values are compared.",
		.example = "Exact",
		.since = "0.1",
		.type = WORD_CHOICE,
		.choices = header_types,
		.choices_later = header_types_later,
	},
	{
		.name = "value",
		.says = "The only value that matches.",
		.example = "red",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 4096,
		.rival = "values",
		WORD_ONE(ss_header_match, values, value_count),
		.check = check_field_value,
	},
	{
		.name = "values",
		.says = "Any of them matches; without value and values the field has to be there.",
		.example = "red",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 4096,
		.rival = "value",
		WORD_LIST(ss_header_match, values, value_count, 256),
		.check = check_field_value,
	},
};
const struct words words_header = WORDS(header_rows, sizeof(struct ss_header_match), NULL);

// ---- hosts, methods, networks ------------------------------------------------------------------

bool check_host(const struct reading *r, const struct view *v, void *object, void *value)
{
	(void)r;
	(void)object;
	return read_host(v, value);
}

bool check_method(const struct reading *r, const struct view *v, void *object, void *value)
{
	(void)r;
	(void)object;
	return read_method(v, *(struct slice *)value);
}

bool check_methods(const struct reading *r, const struct view *v, void *object, void *value)
{
	(void)r;
	(void)object;
	warn_methods(v, value, tree_count(v->tree));
	return true;
}

bool check_cidrs(const struct reading *r, const struct view *v, void *object, void *value)
{
	(void)r;
	(void)object;
	warn_cidrs(v, value, tree_count(v->tree));
	return true;
}

// Of standard objects.
bool read_cidrs(const struct view *v, struct cidr **out, uint32_t *count)
{
	struct cidr *list = read_list(v, 65536, sizeof(*list));
	uint32_t index = 0;

	*count = 0;
	if (!list)
		return false;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		if (!view_cidr(&i, &list[*count]))
			return false;
		(*count)++;
	}
	warn_cidrs(v, list, *count);
	*out = list;
	return true;
}
