// SPDX-License-Identifier: GPL-3.0-or-later
// SecurityPolicy.authorization, as rows of words: who asks, what for, and what follows. See read.h.
#include "model/read.h"

#define RULES_MAX 256
#define LIST_MAX  1024

static const char *const actions[] = {"Deny", "Allow", NULL}; // enum rule_action

// ---- principal ---------------------------------------------------------------------------------

enum source_choice { BY_ACCOUNT = 1, BY_SPIFFE = 2 };

static const struct word account_rows[] = {
	{
		.name = "namespace",
		.says = "The account's namespace.",
		.example = "shop",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 63,
		WORD_AT(ss_source, namespace),
	},
	{
		.name = "name",
		.says = "The account; * is each of the namespace.",
		.example = "web",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 253,
		WORD_AT(ss_source, name),
	},
};
static const struct words account_words = WORDS(account_rows, sizeof(struct ss_source), NULL);

static bool check_spiffe(const struct reading *r, const struct view *v, void *object, void *value)
{
	(void)r;
	(void)object;
	if (slice_starts(*(struct slice *)value, SLICE_LIT("spiffe://")))
		return true;
	view_error(v, "has to begin with spiffe://");
	return false;
}

static bool check_source(const struct reading *r, const struct view *v, void *object, void *value)
{
	(void)r;
	(void)value;
	warn_source(v, object);
	return true;
}

static const char *const source_types[] = {"ServiceAccount", "SPIFFE",		"Gateway",
					   "Node",	     "Unauthenticated", NULL};
static const struct word source_rows[] = {
	{
		.name = "type",
		.says = "Who asks: a workload by its service account or SPIFFE id, a node, or "
			"whoever proves nothing.",
		.example = "Node",
		.since = "0.1",
		.type = WORD_CHOICE,
		.required = true,
		.choices = source_types,
		.first = SOURCE_SERVICE_ACCOUNT,
		WORD_AT(ss_source, type),
	},
	{
		.name = "serviceAccount",
		.says = "Which account.",
		.since = "0.1",
		.type = WORD_MAP,
		.required = true,
		.with = "type",
		.with_choices = BY_ACCOUNT,
		.members = &account_words,
	},
	{
		.name = "spiffe",
		.says = "The id, or a prefix of whole parts that ends in /*.",
		.example = "spiffe://cluster.local/ns/shop/sa/web",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 512,
		.with = "type",
		.with_choices = BY_SPIFFE,
		WORD_AT(ss_source, name),
		.check = check_spiffe,
	},
};
static const struct words source_words = WORDS(source_rows, sizeof(struct ss_source), check_source);

static const char *const value_types[] = {"String", "StringArray", NULL};
static const struct word claim_rows[] = {
	{
		.name = "name",
		.says = "The claim; dots lead into nested ones.",
		.example = "roles",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 255,
		WORD_AT(ss_claim_match, name),
	},
	{
		.name = "valueType",
		.says = "Said for readers: what the token has decides, one text or a list of them.",
		.example = "StringArray",
		.since = "0.1",
		.type = WORD_CHOICE,
		.choices = value_types,
	},
	{
		.name = "values",
		.says = "Any of them matches.",
		.example = "admin",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 4096,
		WORD_LIST(ss_claim_match, values, value_count, 256),
	},
};
static const struct words claim_words = WORDS(claim_rows, sizeof(struct ss_claim_match), NULL);

static const struct word token_rows[] = {
	{
		.name = "provider",
		.says = "A provider of the effective policy, by its name.",
		.example = "issuer",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 200,
		WORD_AT(ss_rule, jwt_provider),
	},
	{
		.name = "claims",
		.says = "All of them have to match.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &claim_words,
		WORD_LIST(ss_rule, claims, claim_count, 64),
	},
	{
		.name = "scopes",
		.says = "All of them have to be in the token.",
		.example = "read",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 4096,
		WORD_LIST(ss_rule, scopes, scope_count, 64),
	},
};
static const struct words token_words = WORDS(token_rows, sizeof(struct ss_rule), NULL);

static const struct word principal_rows[] = {
	{
		.name = "sources",
		.says = "Any of them.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &source_words,
		WORD_LIST(ss_rule, sources, source_count, LIST_MAX),
	},
	{
		.name = "clientCIDRs",
		.says = "Any of them has the client's address.",
		.example = "10.0.0.0/8",
		.since = "0.1",
		.type = WORD_CIDR,
		WORD_LIST(ss_rule, client_cidrs, client_cidr_count, 65536),
		.check_list = check_cidrs,
	},
	{
		.name = "jwt",
		.says = "What its token says.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &token_words,
	},
	{
		.name = "headers",
		.says = "All of them have to match.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &words_header,
		WORD_LIST(ss_rule, headers, header_count, 64),
	},
};
static const struct words principal_words = WORDS(principal_rows, sizeof(struct ss_rule), NULL);

// ---- operation ---------------------------------------------------------------------------------

static const struct word operation_rows[] = {
	{
		.name = "methods",
		.says = "Any of them, in capitals.",
		.example = "GET",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 255,
		WORD_LIST(ss_rule, methods, method_count, 64),
		.check = check_method,
		.check_list = check_methods,
	},
	{
		.name = "path",
		.says = "The only path.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &words_path,
		.rival = "paths",
		WORD_ONE(ss_rule, paths, path_count),
	},
	{
		.name = "paths",
		.says = "Any of them.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &words_path,
		.rival = "path",
		WORD_LIST(ss_rule, paths, path_count, LIST_MAX),
	},
	{
		.name = "hosts",
		.says = "Any of them; *.example.com is one or more labels before.",
		.example = "shop.example",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 512,
		WORD_LIST(ss_rule, hosts, host_count, LIST_MAX),
		.check = check_host,
	},
	{
		.name = "ports",
		.says = "Any of them: the pod's, not the Service's.",
		.example = "8080",
		.since = "0.1",
		.type = WORD_NUMBER,
		.min = 1,
		.max = 65535,
		WORD_LIST(ss_rule, ports, port_count, LIST_MAX),
	},
};
static const struct words operation_words = WORDS(operation_rows, sizeof(struct ss_rule), NULL);

// ---- authorization -----------------------------------------------------------------------------

static bool name_rule(const struct reading *r, const struct view *v, void *object, void *value)
{
	struct ss_rule *rule = object;
	char path[VIEW_PATH_MAX];
	const char *at;

	(void)r;
	(void)value;
	if (rule->name.len > 0)
		return true;
	// Logs name the rule; one without a name is known by its place.
	at = strrchr(view_path(v, path), '[');
	rule->name = arena_copy(v->arena, slice_str(at ? at : path));
	return true;
}

static const struct word rule_rows[] = {
	{
		.name = "name",
		.says = "By which logs and answers call it.",
		.example = "callers",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 200,
		WORD_AT(ss_rule, name),
	},
	{
		.name = "action",
		.says = "Any Deny wins, then any Allow.",
		.example = "Allow",
		.since = "0.1",
		.type = WORD_CHOICE,
		.required = true,
		.choices = actions,
		WORD_AT(ss_rule, action),
	},
	{
		.name = "principal",
		.says = "Who asks; everybody where it is absent.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &principal_words,
	},
	{
		.name = "operation",
		.says = "What for; everything where it is absent.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &operation_words,
	},
};
static const struct words rule_words = WORDS(rule_rows, sizeof(struct ss_rule), name_rule);

static bool check_rules(const struct reading *r, const struct view *v, void *object, void *value)
{
	(void)r;
	(void)value;
	warn_rules(v, object);
	return true;
}

static bool check_authorization(const struct reading *r, const struct view *v, void *object,
				void *value)
{
	struct policy_spec *spec = object;

	(void)r;
	(void)value;
	spec->has_authorization = true;
	spec->has_default = tree_get(v->tree, "defaultAction") != NULL;
	return true;
}

static const struct word authorization_rows[] = {
	{
		.name = "defaultAction",
		.says = "Where no rule matches; Deny where it is absent.",
		.example = "Deny",
		.since = "0.1",
		.type = WORD_CHOICE,
		.choices = actions,
		WORD_AT(policy_spec, default_action),
	},
	{
		.name = "rules",
		.says = "Their order says nothing.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &rule_words,
		WORD_LIST(policy_spec, rules, rule_count, RULES_MAX),
		.check_list = check_rules,
	},
};
const struct words words_authorization =
	WORDS(authorization_rows, sizeof(struct policy_spec), check_authorization);
