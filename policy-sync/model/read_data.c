// SPDX-License-Identifier: GPL-3.0-or-later
// Secrets and ConfigMaps: what policies take key sets from. A Secret's data and a ConfigMap's binaryData
// are base64 (RFC 4648 4), a Secret's stringData and a ConfigMap's data are the text itself. Values
// are never shown in a finding.
#include "model/read.h"

static bool base64_digit(uint8_t c, uint32_t *v)
{
	if (c >= 'A' && c <= 'Z')
		*v = c - 'A';
	else if (c >= 'a' && c <= 'z')
		*v = c - 'a' + 26u;
	else if (c >= '0' && c <= '9')
		*v = c - '0' + 52u;
	else if (c == '+')
		*v = 62;
	else if (c == '/')
		*v = 63;
	else
		return false;
	return true;
}

// Line breaks are passed over, as Kubernetes' own reader does; padding has to be complete.
static bool base64_decode(struct slice text, struct arena *a, struct slice *out)
{
	uint8_t *to = arena_alloc(a, 1, text.len / 4 * 3 + 3);
	uint32_t bits = 0, digits = 0, padding = 0, v;
	size_t len = 0;

	for (size_t i = 0; to && i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (c == '\n' || c == '\r')
			continue;
		if (c == '=') {
			padding++;
			continue;
		}
		if (padding > 0 || !base64_digit(c, &v))
			return false;
		bits = bits << 6 | v;
		if (++digits % 4 != 0)
			continue;
		to[len++] = (uint8_t)(bits >> 16);
		to[len++] = (uint8_t)(bits >> 8);
		to[len++] = (uint8_t)bits;
	}
	if (!to || digits % 4 == 1 || padding != (4 - digits % 4) % 4)
		return false;
	if (digits % 4 >= 2)
		to[len++] = (uint8_t)(digits % 4 == 2 ? bits >> 4 : bits >> 10);
	if (digits % 4 == 3)
		to[len++] = (uint8_t)(bits >> 2);
	*out = slice_make(to, len);
	return true;
}

static bool read_values(const struct view *v, bool encoded, struct labels *out)
{
	uint32_t index = 0;

	if (!view_present(v))
		return true;
	if (!view_require(v, TREE_MAP))
		return false;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		struct label *l = &out->list[out->count];

		l->key = i.tree->key;
		if (i.tree->kind == TREE_NULL)
			l->value = SLICE_LIT("");
		else if (!view_text(&i, &l->value))
			return false;
		if (encoded && !base64_decode(l->value, v->arena, &l->value)) {
			view_error(&i, "is not in base64");
			return false;
		}
		out->count++;
	}
	return true;
}

// What stands in the first of the two counts, as in the API.
static void *read_data(const struct reading *r, const char *first, bool first_encoded,
		       const char *second, bool second_encoded)
{
	struct view a = view_get(r->v, first), b = view_get(r->v, second);
	struct data_object *d = arena_alloc(r->v->arena, 1, sizeof(*d));

	if (d)
		d->data.list = arena_alloc(r->v->arena, tree_count(a.tree) + tree_count(b.tree),
					   sizeof(*d->data.list));
	if (!d || !d->data.list) {
		view_error(r->v, "there is too much in this file");
		return NULL;
	}
	d->namespace = r->meta->namespace;
	d->name = r->meta->name;
	return read_values(&a, first_encoded, &d->data) && read_values(&b, second_encoded, &d->data)
		       ? d
		       : NULL;
}

void *read_config_map(const struct reading *r)
{
	return read_data(r, "data", false, "binaryData", true);
}

void *read_secret(const struct reading *r)
{
	return read_data(r, "stringData", false, "data", true);
}
