// SPDX-License-Identifier: GPL-3.0-or-later
// SecurityPolicy and ClusterSecurityPolicy, as rows of words: targets, and what stands around the rules. One
// with an error is kept as broken, so that its targets refuse. See read.h.
#include "model/read.h"

#include <stdio.h>

#define TARGETS_MAX 16

static const char *const modes[] = {"Enforce", "Audit", NULL}; // enum enforcement_mode
static const char *const core_group[] = {"", NULL};

// ---- labels ------------------------------------------------------------------------------------

static const struct word selector_rows[] = {
	{
		.name = "matchLabels",
		.says = "All of these labels; {} selects everything.",
		.example = "{app: web}",
		.since = "0.1",
		.type = WORD_LABELS,
		.may_be_empty = true,
		.max = 253,
		.entries = 64,
	},
	{
		.name = "matchExpressions",
		.says = "Labels by operators.",
		.type = WORD_ANY,
	},
};
const struct words words_label_selector = WORDS(selector_rows, sizeof(struct labels), NULL);

// ---- targets -----------------------------------------------------------------------------------

enum target_choice { ON_NAMESPACE = 1, ON_SERVICE = 2, ON_POD = 4 };

static bool check_target(const struct reading *r, const struct view *v, void *object, void *value)
{
	struct target *t = object;
	struct view name = view_get(v, "name");

	(void)value;
	t->tree = v->tree;
	if (t->kind != TARGET_NAMESPACE || slice_eq(t->name, r->meta->namespace))
		return true;
	view_error(&name, "has to be the policy's own namespace, %.*s",
		   SLICE_ARG(r->meta->namespace));
	return false;
}

static const char *const target_kinds[] = {"Namespace", "Service", "Pod", NULL};
static const struct word target_rows[] = {
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
		.says = "What is protected: all pods of the policy's own namespace, those that a "
			"Service selects, or those with some labels.",
		.example = "Service",
		.since = "0.1",
		.type = WORD_CHOICE,
		.required = true,
		.choices = target_kinds,
		.first = TARGET_NAMESPACE,
		WORD_AT(target, kind),
	},
	{
		.name = "name",
		.says = "Of the Service, or the policy's own namespace.",
		.example = "shop",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 253,
		.with = "kind",
		.with_choices = ON_NAMESPACE | ON_SERVICE,
		WORD_AT(target, name),
	},
	{
		.name = "sectionName",
		.says = "The name of one of the Service's ports.",
		.example = "http",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 63,
		.with = "kind",
		.with_choices = ON_SERVICE,
		WORD_AT(target, section),
	},
	{
		.name = "selector",
		.says = "The pods' labels; {} selects all of the namespace.",
		.since = "0.1",
		.type = WORD_MAP,
		.required = true,
		.may_be_empty = true,
		.with = "kind",
		.with_choices = ON_POD,
		.members = &words_label_selector,
		WORD_AT(target, selector),
	},
};
const struct words words_target = WORDS(target_rows, sizeof(struct target), check_target);

// ---- SecurityPolicy ----------------------------------------------------------------------------

static bool check_part(const struct reading *r, const struct view *v, void *object, void *value)
{
	struct policy_spec *spec = object;

	(void)r;
	(void)value;
	spec->tree = v->tree;
	return true;
}

static bool check_spec(const struct reading *r, const struct view *v, void *object, void *value)
{
	struct security_policy *p = object;

	if (!tree_get(v->tree, "authorization") && !tree_get(v->tree, "jwt"))
		view_warn(v, "has neither authorization nor jwt: it does nothing");
	return check_part(r, v, &p->spec, value);
}

#define AUTHORIZATION(...)                                                                         \
	{                                                                                          \
		.name = "authorization", .says = "Who may do what.", .since = "0.1",               \
		.type = WORD_MAP, .members = &words_authorization, __VA_ARGS__                     \
	}
#define JWT(...)                                                                                   \
	{                                                                                          \
		.name = "jwt", .says = "Every request needs a token of one of these providers.",   \
		.since = "0.1", .type = WORD_MAP, .members = &words_jwt, __VA_ARGS__               \
	}
#define MODE                                                                                       \
	{                                                                                          \
		.name = "mode",                                                                    \
		.says = "Audit refuses nothing, and reports what it would refuse.",                \
		.example = "Enforce", .since = "0.1", .type = WORD_CHOICE, .choices = modes,       \
		WORD_AT(security_policy, mode)                                                     \
	}
#define LATER(word, what)                                                                          \
	{                                                                                          \
		.name = word, .says = what, .type = WORD_ANY                                       \
	}

static const struct word spec_rows[] = {
	{
		.name = "targetRefs",
		.says = "What it protects.",
		.since = "0.1",
		.type = WORD_MAP,
		.required = true,
		.members = &words_target,
		WORD_LIST(security_policy, targets, target_count, TARGETS_MAX),
	},
	MODE,
	AUTHORIZATION(WORD_AT(security_policy, spec)),
	JWT(WORD_AT(security_policy, spec)),
	LATER("peerTLS", "Plaintext or mTLS only between pods."),
	LATER("oidc", "Login with OpenID Connect."),
	LATER("oauth2", "Token introspection."),
	LATER("apiKeyAuth", "Keys of the API's clients."),
	LATER("basicAuth", "Name and password."),
	LATER("extAuth", "A server that is asked."),
};
static const struct words spec_words = WORDS(spec_rows, sizeof(struct security_policy), check_spec);
static const struct word policy_rows[] = {WORDS_OBJECT(&spec_words, false)};
const struct words words_security_policy = WORDS(policy_rows, sizeof(struct security_policy), NULL);

// ---- ClusterSecurityPolicy ---------------------------------------------------------------------

static const struct word part_rows[] = {AUTHORIZATION(.at = 0), JWT(.at = 0)};
static const struct words part_words = WORDS(part_rows, sizeof(struct policy_spec), check_part);

static bool check_selector(const struct reading *r, const struct view *v, void *object, void *value)
{
	struct security_policy *p = object;

	(void)r;
	(void)v;
	(void)value;
	p->all_namespaces = false;
	return true;
}

static bool check_cluster_spec(const struct reading *r, const struct view *v, void *object,
			       void *value)
{
	(void)r;
	(void)object;
	(void)value;
	if (!tree_get(v->tree, "overrides") && !tree_get(v->tree, "defaults"))
		view_warn(v, "has neither overrides nor defaults: it does nothing");
	return true;
}

static const struct word cluster_rows[] = {
	{
		.name = "namespaceSelector",
		.says = "Which namespaces; all where it is absent or {}.",
		.since = "0.1",
		.type = WORD_MAP,
		.may_be_empty = true,
		.members = &words_label_selector,
		WORD_AT(security_policy, namespace_selector),
		.check = check_selector,
	},
	MODE,
	{
		.name = "overrides",
		.says = "What no policy of a namespace can weaken.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &part_words,
		WORD_AT(security_policy, overrides),
	},
	{
		.name = "defaults",
		.says = "What counts where a namespace says nothing else.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &part_words,
		WORD_AT(security_policy, spec),
	},
};
static const struct words cluster_spec_words =
	WORDS(cluster_rows, sizeof(struct security_policy), check_cluster_spec);
static const struct word cluster_policy_rows[] = {WORDS_OBJECT(&cluster_spec_words, false)};
const struct words words_cluster_security_policy =
	WORDS(cluster_policy_rows, sizeof(struct security_policy), NULL);

// ---- reading -----------------------------------------------------------------------------------

struct slice read_title(const struct view *v, const char *kind, const struct object_meta *meta)
{
	char text[600];

	if (meta->namespace.len > 0)
		snprintf(text, sizeof(text), "%s/%.*s/%.*s", kind, SLICE_ARG(meta->namespace),
			 SLICE_ARG(meta->name));
	else
		snprintf(text, sizeof(text), "%s/%.*s", kind, SLICE_ARG(meta->name));
	return arena_copy(v->arena, slice_str(text));
}

static bool any_of(const struct tree *map, const char *const *keys)
{
	for (int i = 0; keys[i]; i++) {
		if (tree_get(map, keys[i]))
			return true;
	}
	return false;
}

static bool tree_means_requests(const struct tree *spec)
{
	static const char *const of_caller[] = {"jwt", "headers", NULL};
	static const char *const of_request[] = {"methods", "paths", "hosts", NULL};
	const struct tree *rules = tree_get(tree_get(spec, "authorization"), "rules");
	bool any = tree_get(spec, "jwt");

	for (const struct tree *r = rules ? rules->first : NULL; r && !any; r = r->next)
		any = any_of(tree_get(r, "principal"), of_caller) ||
		      any_of(tree_get(r, "operation"), of_request);
	return any;
}

// What could not be read stands in its text alone.
static bool means_requests(const struct tree *policy)
{
	const struct tree *spec = tree_get(policy, "spec");

	return tree_means_requests(spec) || tree_means_requests(tree_get(spec, "overrides")) ||
	       tree_means_requests(tree_get(spec, "defaults"));
}

// What all policies begin with, or NULL with a finding.
static struct security_policy *make_policy(const struct reading *r, const char *kind)
{
	struct security_policy *p = arena_alloc(r->v->arena, 1, sizeof(*p));

	if (!p) {
		view_error(r->v, "there is too much in this file");
		return NULL;
	}
	p->origin = r->meta->origin;
	p->namespace = r->meta->namespace;
	p->name = r->meta->name;
	p->created_unix_ms = r->meta->created_unix_ms;
	p->title = read_title(r->v, kind, r->meta);
	p->means_requests = means_requests(r->v->tree);
	return p;
}

static void *keep_policy(const struct view *v, struct security_policy *p)
{
	if (*v->failed && p->broken.len == 0)
		p->broken = SLICE_LIT("the policy has errors; see policy-sync's log or check");
	return p;
}

// Whom such a policy was meant for cannot be said: the whole namespace refuses.
static void target_namespace(const struct view *v, struct security_policy *p)
{
	p->targets = arena_alloc(v->arena, 1, sizeof(*p->targets));
	p->target_count = p->targets ? 1 : 0;
	if (p->targets)
		p->targets[0] = (struct target){.kind = TARGET_NAMESPACE, .name = p->namespace};
}

void *read_security_policy(const struct reading *r)
{
	struct security_policy *p = make_policy(r, "SecurityPolicy");

	if (!p)
		return NULL;
	if (!words_read(r, &words_security_policy, r->v, p))
		*r->v->failed = true;
	if (p->target_count == 0)
		target_namespace(r->v, p);
	return keep_policy(r->v, p);
}

void *read_cluster_security_policy(const struct reading *r)
{
	struct security_policy *p = make_policy(r, "ClusterSecurityPolicy");

	if (!p)
		return NULL;
	p->all_namespaces = true;
	if (!words_read(r, &words_cluster_security_policy, r->v, p))
		*r->v->failed = true;
	return keep_policy(r->v, p);
}
