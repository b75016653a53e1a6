// SPDX-License-Identifier: GPL-3.0-or-later
// SecurityPolicy.jwt as rows of words: providers, where their tokens are found and their keys; and two helpers
// that all readers of policies share. See read.h.
#include "model/read.h"

#include <stdio.h>

#define EXAMPLE_JWKS                                                                               \
	"'{\"keys\": [{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": "                            \
	"\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}'"

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

// ---- key sets ----------------------------------------------------------------------------------

enum data_kind { DATA_CONFIG_MAP = 0, DATA_SECRET };
enum key_set_type { KEY_SET_UNSET = 0, KEY_SET_INLINE, KEY_SET_VALUE_REF };
enum key_set_choice { IS_INLINE = 1, IS_VALUE_REF = 2 };

struct key_set {
	enum key_set_type type;
	struct slice text;
	enum data_kind kind;
	struct slice name, key;
};

static const char *const core_group[] = {"", NULL};
static const char *const data_kinds[] = {"ConfigMap", "Secret", NULL};
static const struct word value_ref_rows[] = {
	{
		.name = "group",
		.says = "Kubernetes' core group.",
		.example = "\"\"",
		.since = "0.1",
		.type = WORD_CHOICE,
		.may_be_empty = true,
		.choices = core_group,
	},
	{
		.name = "kind",
		.says = "In the policy's namespace.",
		.example = "ConfigMap",
		.since = "0.1",
		.type = WORD_CHOICE,
		.choices = data_kinds,
		WORD_AT(key_set, kind),
	},
	{
		.name = "name",
		.says = "The object that has the key set.",
		.example = "keys",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 253,
		WORD_AT(key_set, name),
	},
	{
		.name = "key",
		.says = "Its entry; jwks where it is absent.",
		.example = "jwks",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 253,
		WORD_AT(key_set, key),
	},
};
static const struct words value_ref_words = WORDS(value_ref_rows, sizeof(struct key_set), NULL);

static const char *const key_set_types[] = {"Inline", "ValueRef", NULL};
static const struct word key_set_rows[] = {
	{
		.name = "type",
		.says = "Where the key set is; what is written where it is absent.",
		.example = "Inline",
		.since = "0.1",
		.type = WORD_CHOICE,
		.choices = key_set_types,
		.first = KEY_SET_INLINE,
		WORD_AT(key_set, type),
	},
	{
		.name = "inline",
		.says = "A JSON Web Key Set; keys that are not understood are left out.",
		.example = EXAMPLE_JWKS,
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 1u << 20,
		.rival = "valueRef",
		.with = "type",
		.with_choices = IS_INLINE,
		WORD_AT(key_set, text),
	},
	{
		.name = "valueRef",
		.says = "A ConfigMap's or a Secret's entry in the policy's namespace; a "
			"ClusterSecurityPolicy has none.",
		.since = "0.1",
		.type = WORD_MAP,
		.required = true,
		.rival = "inline",
		.with = "type",
		.with_choices = IS_VALUE_REF,
		.members = &value_ref_words,
	},
};

static const struct data_object *find_data(const struct reading *r, const struct view *ref,
					   const struct key_set *k)
{
	struct view name = view_get(ref, "name");
	struct slice ns = r->meta->namespace;
	const struct data_object *d;
	bool vanished = false;

	if (ns.len == 0) {
		view_error(ref, "a ClusterSecurityPolicy has no namespace: write the keys inline");
		return NULL;
	}
	d = model_data(r->model, ns, k->name, k->kind == DATA_SECRET, &vanished);
	*r->uses_data = true;
	if (vanished)
		view_warn(&name,
			  "there is no %s %.*s in namespace %.*s any more: its last content "
			  "counts",
			  data_kinds[k->kind], SLICE_ARG(k->name), SLICE_ARG(ns));
	if (!d)
		view_error(&name, "there is no %s %.*s in namespace %.*s", data_kinds[k->kind],
			   SLICE_ARG(k->name), SLICE_ARG(ns));
	return d;
}

static bool read_value_ref(const struct reading *r, const struct view *ref, struct key_set *k)
{
	const struct data_object *d = find_data(r, ref, k);

	if (!d)
		return false;
	if (k->key.len == 0)
		k->key = SLICE_LIT("jwks");
	for (uint32_t i = 0; i < d->data.count; i++) {
		if (slice_eq(d->data.list[i].key, k->key)) {
			k->text = d->data.list[i].value;
			return true;
		}
	}
	view_error(ref, "%s %.*s has no key %.*s", data_kinds[k->kind], SLICE_ARG(k->name),
		   SLICE_ARG(k->key));
	return false;
}

static bool check_key_set(const struct reading *r, const struct view *v, void *object, void *value)
{
	struct view text = view_get(v, "inline"), ref = view_get(v, "valueRef");
	struct key_set *k = value;

	if (text.tree)
		return read_jwks(&text, k->text, object);
	if (ref.tree)
		return read_value_ref(r, &ref, k) && read_jwks(&ref, k->text, object);
	view_error(&text, "is required, or valueRef");
	return false;
}

static const struct words key_set_words = WORDS(key_set_rows, sizeof(struct key_set), NULL);

// ---- where tokens are --------------------------------------------------------------------------

static const struct word token_header_rows[] = {
	{
		.name = "name",
		.says = "The field's name.",
		.example = "x-token",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 255,
		WORD_AT(ss_header_source, name),
		.check = check_field_name,
	},
	{
		.name = "valuePrefix",
		.says = "What stands before the token; nothing where it is absent or empty.",
		.example = "\"Bearer \"",
		.since = "0.1",
		.type = WORD_TEXT,
		.may_be_empty = true,
		.max = 255,
		WORD_AT(ss_header_source, prefix),
	},
};
static const struct words token_header_words =
	WORDS(token_header_rows, sizeof(struct ss_header_source), NULL);

static const struct word extract_rows[] = {
	{
		.name = "headers",
		.says = "The first of them that the request has.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &token_header_words,
		WORD_LIST(ss_provider, headers, header_count, 16),
	},
	{.name = "cookies", .says = "Names of cookies.", .type = WORD_ANY},
	{.name = "params", .says = "Names of the query.", .type = WORD_ANY},
};
static const struct words extract_words = WORDS(extract_rows, sizeof(struct ss_provider), NULL);

// ---- providers ---------------------------------------------------------------------------------

static bool check_skew(const struct reading *r, const struct view *v, void *object, void *value)
{
	uint32_t *skew = value;

	(void)r;
	(void)v;
	(void)object;
	*skew /= 1000;
	return true;
}

static bool check_provider(const struct reading *r, const struct view *v, void *object, void *value)
{
	struct ss_provider *p = object;
	char id[512];

	(void)value;
	snprintf(id, sizeof(id), "%.*s/%.*s/%.*s", SLICE_ARG(r->meta->namespace),
		 SLICE_ARG(r->meta->name), SLICE_ARG(p->name));
	p->id = arena_copy(v->arena, slice_str(id));
	if (p->header_count > 0)
		return true;
	p->headers = arena_alloc(v->arena, 1, sizeof(*p->headers));
	if (!p->headers)
		return false;
	p->headers[p->header_count++] =
		(struct ss_header_source){SLICE_LIT("authorization"), SLICE_LIT("Bearer ")};
	return true;
}

static const struct word provider_rows[] = {
	{
		.name = "name",
		.says = "By which rules name it.",
		.example = "issuer",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 200,
		WORD_AT(ss_provider, name),
	},
	{
		.name = "issuer",
		.says = "What iss has to be; not asked where it is absent.",
		.example = "https://issuer.example",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 2048,
		WORD_AT(ss_provider, issuer),
	},
	{
		.name = "audiences",
		.says = "One of which aud has to name; not asked where it is absent.",
		.example = "orders",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 4096,
		WORD_LIST(ss_provider, audiences, audience_count, 64),
	},
	{
		.name = "localJWKS",
		.says = "The keys by which tokens are verified.",
		.since = "0.1",
		.type = WORD_MAP,
		.required = true,
		.apart = true,
		.rival = "remoteJWKS",
		.members = &key_set_words,
		.check = check_key_set,
	},
	{
		.name = "remoteJWKS",
		.says = "Keys fetched from their issuer.",
		.type = WORD_ANY,
		.rival = "localJWKS",
	},
	{
		.name = "extractFrom",
		.says = "Where the token is; Authorization: Bearer where it is absent.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &extract_words,
	},
	{
		.name = "clockSkew",
		.says = "By how much clocks may differ.",
		.example = "30s",
		.since = "0.1",
		.type = WORD_DURATION,
		.max = 86400000,
		WORD_AT(ss_provider, clock_skew_s),
		.check = check_skew,
	},
};
static const struct words provider_words =
	WORDS(provider_rows, sizeof(struct ss_provider), check_provider);

static bool check_providers(const struct reading *r, const struct view *v, void *object,
			    void *value)
{
	const struct ss_provider *list = value;
	uint32_t index = 0;

	(void)r;
	(void)object;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		struct view name = view_get(&i, "name");

		for (uint32_t k = 0; k < index; k++) {
			if (!slice_eq(list[k].name, list[index].name))
				continue;
			view_error(&name, "another provider is called %.*s too",
				   SLICE_ARG(list[k].name));
			return false;
		}
	}
	return true;
}

static bool check_jwt(const struct reading *r, const struct view *v, void *object, void *value)
{
	struct policy_spec *spec = object;

	(void)r;
	(void)v;
	(void)value;
	spec->has_jwt = true;
	return true;
}

static const struct word jwt_rows[] = {
	{
		.name = "providers",
		.says = "Any of them may have made the token.",
		.since = "0.1",
		.type = WORD_MAP,
		.required = true,
		.members = &provider_words,
		WORD_LIST(policy_spec, providers, provider_count, 16),
		.check_list = check_providers,
	},
	{
		.name = "optional",
		.says = "A request without a token passes; one with a bad token does not.",
		.example = "false",
		.since = "0.1",
		.type = WORD_BOOL,
		WORD_AT(policy_spec, jwt_optional),
	},
};
const struct words words_jwt = WORDS(jwt_rows, sizeof(struct policy_spec), check_jwt);
