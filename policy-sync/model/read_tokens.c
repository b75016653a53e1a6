// SPDX-License-Identifier: GPL-3.0-or-later
// SecurityPolicy.jwt: providers, where their tokens are found and their keys; and two helpers that all
// readers of policies share. See read.h.
#include "model/read.h"

#include <stdio.h>

// Rows of a list into an array of the arena: what every list below has in common.
void *read_list(const struct view *list, uint32_t max, size_t item_bytes)
{
	uint32_t n = tree_count(list->tree);
	void *items;

	if (!view_require(list, TREE_LIST))
		return NULL;
	if (n == 0) { // to Kubernetes empty is unset, and unset would match everything
		view_error(list, "must not be empty");
		return NULL;
	}
	items = n <= max ? arena_alloc(list->arena, n, item_bytes) : NULL;
	if (!items)
		view_error(list, "has more than %u entries", max);
	return items;
}

struct slice read_lower(struct arena *a, struct slice s)
{
	struct slice copy = arena_copy(a, s);

	for (size_t i = 0; i < copy.len; i++) {
		uint8_t *c = (uint8_t *)(uintptr_t)&copy.ptr[i];

		if (*c >= 'A' && *c <= 'Z')
			*c |= 0x20;
	}
	return copy;
}

// ---- JWT ---------------------------------------------------------------------------------------

static bool read_token_headers(const struct view *v, struct ss_provider *p)
{
	static const char *const keys[] = {"name", "valuePrefix", NULL};
	struct view extract = view_get(v, "extractFrom"), list = view_get(&extract, "headers");
	uint32_t index = 0;

	if (!view_present(&list)) {
		p->headers = arena_alloc(v->arena, 1, sizeof(*p->headers));
		if (!p->headers)
			return false;
		p->headers[p->header_count++] =
			(struct ss_header_source){SLICE_LIT("authorization"), SLICE_LIT("Bearer ")};
		return true;
	}
	p->headers = read_list(&list, 16, sizeof(*p->headers));
	if (!p->headers)
		return false;
	for (struct view i = view_first(&list); i.tree; i = view_next(&list, &i, &index)) {
		struct view name = view_get(&i, "name"), prefix = view_get(&i, "valuePrefix");
		struct ss_header_source *h = &p->headers[p->header_count++];

		view_only(&i, keys);
		if (!view_short_text(&name, 255, &h->name) ||
		    (view_present(&prefix) && !view_short_text(&prefix, 255, &h->prefix)))
			return false;
		h->name = read_lower(v->arena, h->name);
	}
	return true;
}

static bool read_value_ref(const struct reading *r, const struct view *v, struct slice *out)
{
	static const char *const keys[] = {"group", "kind", "name", "key", NULL};
	static const char *const kinds[] = {"ConfigMap", "Secret", NULL};
	struct view kind = view_get(v, "kind"), name = view_get(v, "name"),
		    key = view_get(v, "key");
	struct slice object, member = SLICE_LIT("jwks"), ns = r->meta->namespace;
	int index = 0;

	if (!view_require(v, TREE_MAP))
		return false;
	view_only(v, keys);
	if ((view_present(&kind) && !view_word(&kind, kinds, &index)) ||
	    !view_text(&name, &object) || (view_present(&key) && !view_text(&key, &member)))
		return false;
	bool vanished = false;
	const struct data_object *d = model_data(r->model, ns, object, index == 1, &vanished);

	*r->uses_data = true;
	if (vanished)
		view_warn(&name,
			  "there is no %s %.*s in namespace %.*s any more: its last content "
			  "counts",
			  kinds[index], SLICE_ARG(object), SLICE_ARG(ns));

	if (!d) {
		view_error(&name, "there is no %s %.*s in namespace %.*s", kinds[index],
			   SLICE_ARG(object), SLICE_ARG(ns));
		return false;
	}
	for (uint32_t i = 0; i < d->data.count; i++) {
		if (slice_eq(d->data.list[i].key, member)) {
			*out = d->data.list[i].value;
			return true;
		}
	}
	view_error(v, "%s %.*s has no key %.*s", kinds[index], SLICE_ARG(object),
		   SLICE_ARG(member));
	return false;
}

static bool read_local_jwks(const struct reading *r, const struct view *v, struct ss_provider *p)
{
	static const char *const keys[] = {"type", "inline", "valueRef", NULL};
	static const char *const types[] = {"Inline", "ValueRef", NULL};
	struct view type = view_get(v, "type"), text = view_get(v, "inline");
	struct view ref = view_get(v, "valueRef");
	struct slice json;
	int index;

	if (!view_require(v, TREE_MAP))
		return false;
	view_only(v, keys);
	index = view_present(&ref) && !view_present(&text);
	if (view_present(&type) && !view_word(&type, types, &index))
		return false;
	if (index == 1)
		return read_value_ref(r, &ref, &json) && read_jwks(&ref, json, p);
	return view_text(&text, &json) && read_jwks(&text, json, p);
}

static bool read_provider(const struct reading *r, const struct view *v, struct ss_provider *p)
{
	static const char *const keys[] = {"name",	  "issuer",    "audiences",  "localJWKS",
					   "extractFrom", "clockSkew", "remoteJWKS", NULL};
	struct view name = view_get(v, "name"), issuer = view_get(v, "issuer");
	struct view audiences = view_get(v, "audiences"), local = view_get(v, "localJWKS");
	struct view skew = view_get(v, "clockSkew"), remote = view_get(v, "remoteJWKS");
	char id[512];
	uint64_t ms = 0;

	view_only(v, keys);
	if (view_present(&remote)) {
		view_error(&remote, "remote key sets are not supported yet");
		return false;
	}
	if (!view_short_text(&name, 200, &p->name) ||
	    (view_present(&issuer) && !view_short_text(&issuer, 2048, &p->issuer)))
		return false;
	if (view_present(&audiences) &&
	    !view_texts(&audiences, 64, &p->audiences, &p->audience_count))
		return false;
	if (view_present(&skew) && !view_duration_ms(&skew, &ms))
		return false;
	p->clock_skew_s = (uint32_t)(ms / 1000);
	snprintf(id, sizeof(id), "%.*s/%.*s/%.*s", SLICE_ARG(r->meta->namespace),
		 SLICE_ARG(r->meta->name), SLICE_ARG(p->name));
	p->id = arena_copy(v->arena, slice_str(id));
	return read_token_headers(v, p) && read_local_jwks(r, &local, p);
}

bool read_jwt(const struct reading *r, const struct view *v, struct policy_spec *spec)
{
	static const char *const keys[] = {"providers", "optional", NULL};
	struct view providers = view_get(v, "providers"), optional = view_get(v, "optional");
	uint32_t index = 0;

	if (!view_require(v, TREE_MAP))
		return false;
	view_only(v, keys);
	spec->has_jwt = true;
	if (view_present(&optional) && !view_bool(&optional, &spec->jwt_optional))
		return false;
	spec->providers = read_list(&providers, 16, sizeof(*spec->providers));
	if (!spec->providers)
		return false;
	for (struct view i = view_first(&providers); i.tree;
	     i = view_next(&providers, &i, &index)) {
		if (!read_provider(r, &i, &spec->providers[spec->provider_count]))
			return false;
		for (uint32_t k = 0; k < spec->provider_count; k++) {
			if (!slice_eq(spec->providers[k].name,
				      spec->providers[spec->provider_count].name))
				continue;
			view_error(&i, "another provider is called %.*s too",
				   SLICE_ARG(spec->providers[k].name));
			return false;
		}
		spec->provider_count++;
	}
	if (spec->provider_count == 0)
		view_error(&providers, "names no provider");
	return spec->provider_count > 0;
}
