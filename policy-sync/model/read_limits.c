// SPDX-License-Identifier: GPL-3.0-or-later
// RateLimitPolicy and MeshConfig, as rows of words. Half of one is none: with an error the last good one stays.
// See read.h.
#include "model/read.h"

#include <stdio.h>
#include "core/http1_edit.h"

#define RULES_MAX	 64
#define KEYS_MAX_DEFAULT 100000
#define AMOUNT_MAX	 1000000000
#define DAY_MS		 86400000

// ---- RateLimitPolicy ---------------------------------------------------------------------------

static const char *const cidr_types[] = {"Exact", "Distinct", NULL}; // enum limit_key
static const struct word source_cidr_rows[] = {
	{
		.name = "type",
		.says = "Exact: one count for all of the network; Distinct: one for each address.",
		.example = "Distinct",
		.since = "0.1",
		.type = WORD_CHOICE,
		.choices = cidr_types,
		WORD_AT(ss_limit, key),
	},
	{
		.name = "value",
		.says = "The network.",
		.example = "10.0.0.0/8",
		.since = "0.1",
		.type = WORD_CIDR,
		.required = true,
		WORD_ONE(ss_limit, client_cidrs, client_cidr_count),
	},
};
static const struct words source_cidr_words =
	WORDS(source_cidr_rows, sizeof(struct ss_limit), NULL);

static const struct word selector_rows[] = {
	{
		.name = "sourceCIDR",
		.says = "The client's address.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &source_cidr_words,
	},
	{
		.name = "headers",
		.says = "All of them have to match.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &words_header,
		WORD_LIST(ss_limit, headers, header_count, 64),
	},
	{
		.name = "methods",
		.says = "Any of them, in capitals.",
		.example = "GET",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 255,
		WORD_LIST(ss_limit, methods, method_count, 64),
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
		WORD_ONE(ss_limit, paths, path_count),
	},
	{
		.name = "paths",
		.says = "Any of them.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &words_path,
		.rival = "path",
		WORD_LIST(ss_limit, paths, path_count, 1024),
	},
};
static const struct words selector_words = WORDS(selector_rows, sizeof(struct ss_limit), NULL);

static bool check_unit(const struct reading *r, const struct view *v, void *object, void *value)
{
	static const uint32_t seconds[] = {1, 60, 3600, DAY_MS / 1000};
	uint32_t *unit = value;

	(void)r;
	(void)v;
	(void)object;
	*unit = seconds[*unit];
	return true;
}

static const char *const units[] = {"Second", "Minute", "Hour", "Day", NULL};
static const struct word amount_rows[] = {
	{
		.name = "requests",
		.says = "So many in each unit.",
		.example = "10",
		.since = "0.1",
		.type = WORD_NUMBER,
		.required = true,
		.min = 1,
		.max = AMOUNT_MAX,
		WORD_AT(ss_limit, requests),
	},
	{
		.name = "unit",
		.says = "Of time.",
		.example = "Minute",
		.since = "0.1",
		.type = WORD_CHOICE,
		.required = true,
		.choices = units,
		WORD_AT(ss_limit, unit_s),
		.check = check_unit,
	},
	{
		.name = "burst",
		.says = "So many at once; as requests where it is absent.",
		.example = "20",
		.since = "0.1",
		.type = WORD_NUMBER,
		.min = 1,
		.max = AMOUNT_MAX,
		WORD_AT(ss_limit, burst),
	},
};
static const struct words amount_words = WORDS(amount_rows, sizeof(struct ss_limit), NULL);

static const struct word rule_rows[] = {
	{
		.name = "name",
		.says = "By which it is counted.",
		.example = "ten-a-minute",
		.since = "0.1",
		.type = WORD_TEXT,
		.required = true,
		.max = 200,
		WORD_AT(ss_limit, rule),
	},
	{
		.name = "clientSelectors",
		.says = "Whom and what it counts; everything where it is absent. One is supported "
			"yet: write several rules.",
		.since = "0.1",
		.type = WORD_MAP,
		.list = true,
		.in_place = true,
		.entries = 1,
		.members = &selector_words,
	},
	{
		.name = "limit",
		.says = "How many.",
		.since = "0.1",
		.type = WORD_MAP,
		.required = true,
		.members = &amount_words,
	},
	{
		.name = "shadowMode",
		.says = "Counts and reports, and refuses nothing.",
		.example = "false",
		.since = "0.1",
		.type = WORD_BOOL,
		WORD_AT(ss_limit, shadow),
	},
};
static const struct words rule_words = WORDS(rule_rows, sizeof(struct ss_limit), NULL);

// Buckets are counted under the rule's name: two of one name would be one, taken twice.
static bool check_rules(const struct reading *r, const struct view *v, void *object, void *value)
{
	const struct ss_limit *list = value;
	uint32_t index = 0;

	(void)r;
	(void)object;
	for (struct view i = view_first(v); i.tree; i = view_next(v, &i, &index)) {
		struct view name = view_get(&i, "name");

		for (uint32_t k = 0; k < index; k++) {
			if (!slice_eq(list[k].rule, list[index].rule))
				continue;
			view_error(&name, "another rule is called %.*s too",
				   SLICE_ARG(list[k].rule));
			return false;
		}
	}
	return true;
}

static const char *const scopes[] = {"Node", NULL};
static const char *const scopes_later[] = {"Cluster", NULL};
static const struct word spec_rows[] = {
	{
		.name = "targetRefs",
		.says = "What it limits.",
		.since = "0.1",
		.type = WORD_MAP,
		.required = true,
		.members = &words_target,
		WORD_LIST(rate_limit_policy, targets, target_count, 16),
	},
	{
		.name = "scope",
		.says = "Node: each destination node counts for itself.",
		.example = "Node",
		.since = "0.1",
		.type = WORD_CHOICE,
		.required = true,
		.choices = scopes,
		.choices_later = scopes_later,
	},
	{
		.name = "rules",
		.says = "Each of them counts.",
		.since = "0.1",
		.type = WORD_MAP,
		.required = true,
		.members = &rule_words,
		WORD_LIST(rate_limit_policy, limits, limit_count, RULES_MAX),
		.check_list = check_rules,
	},
	{
		.name = "maxTrackedKeys",
		.says = "A bound of its own; all limits of a node share one bounded table.",
		.type = WORD_ANY,
	},
};
static const struct words spec_words = WORDS(spec_rows, sizeof(struct rate_limit_policy), NULL);
static const struct word policy_rows[] = {WORDS_OBJECT(&spec_words, false)};
const struct words words_rate_limit_policy =
	WORDS(policy_rows, sizeof(struct rate_limit_policy), NULL);

void *read_rate_limit_policy(const struct reading *r)
{
	struct rate_limit_policy *p = arena_alloc(r->v->arena, 1, sizeof(*p));

	if (!p || !words_read(r, &words_rate_limit_policy, r->v, p) || *r->v->failed)
		return NULL;
	p->origin = r->meta->origin;
	p->namespace = r->meta->namespace;
	p->name = r->meta->name;
	p->created_unix_ms = r->meta->created_unix_ms;
	p->title = read_title(r->v, "RateLimitPolicy", r->meta);
	for (uint32_t i = 0; i < p->limit_count; i++) {
		struct ss_limit *l = &p->limits[i];
		char id[600];

		l->policy = p->title;
		l->keys_max = KEYS_MAX_DEFAULT;
		snprintf(id, sizeof(id), "%.*s/%.*s/%.*s", SLICE_ARG(p->namespace),
			 SLICE_ARG(p->name), SLICE_ARG(l->rule));
		l->id = arena_copy(r->v->arena, slice_str(id));
	}
	return p;
}

// ---- MeshConfig --------------------------------------------------------------------------------

// An identity with a trust domain of another form could not be parsed by any node (SPIFFE-ID 2.1).
static bool check_trust_domain(const struct reading *r, const struct view *v, void *object,
			       void *value)
{
	const struct slice *domain = value;

	(void)r;
	(void)object;
	for (size_t i = 0; i < domain->len; i++) {
		uint8_t c = domain->ptr[i];

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
		    c == '_')
			continue;
		view_error(v, "has to be lower-case letters, digits, dots, dashes and underscores");
		return false;
	}
	return true;
}

#define TIMEOUT(word, what, member)                                                                \
	{                                                                                          \
		.name = word, .says = what, .example = "10s", .since = "0.1",                      \
		.type = WORD_DURATION, .min = 10, .max = DAY_MS, WORD_AT(ss_meta, member)          \
	}
static const struct word timeout_rows[] = {
	TIMEOUT("requestHeader", "In which a request's head is complete.", header_timeout_ms),
	TIMEOUT("httpIdle", "Between two requests of a connection.", http_idle_timeout_ms),
	TIMEOUT("connect", "To reach a pod.", connect_timeout_ms),
	TIMEOUT("hold", "For which a connection of a pod not known yet waits.", hold_timeout_ms),
};
static const struct words timeout_words = WORDS(timeout_rows, sizeof(struct ss_meta), NULL);

static const struct word mesh_limit_rows[] = {
	{
		.name = "headerBytes",
		.says = "Of a request's or an answer's head.",
		.example = "16384",
		.since = "0.1",
		.type = WORD_NUMBER,
		.min = 1024,
		.max = 65536,
		WORD_AT(ss_meta, header_bytes_max),
	},
	{
		.name = "connectionsPerPod",
		.says = "That one pod has open at once, counted on its node; not those to it.",
		.example = "10000",
		.since = "0.1",
		.type = WORD_NUMBER,
		.min = 1,
		.max = 1000000,
		WORD_AT(ss_meta, connections_per_pod_max),
	},
};
static const struct words mesh_limit_words = WORDS(mesh_limit_rows, sizeof(struct ss_meta), NULL);

// Behind a 101 nobody reads what is spoken.
static bool check_upgrade(const struct reading *r, const struct view *v, void *object, void *value)
{
	static const char *const read_ones[] = {"*",	"h2c",	 "h2",	"h3",
						"http", "https", "tls", "ssl"};
	struct slice name = *(const struct slice *)value;
	size_t slash = slice_find(name, '/');
	struct slice version = slice_make(name.ptr + slash, name.len - slash);

	(void)r;
	(void)object;
	name.len = slash;
	for (size_t i = 0; i < sizeof(read_ones) / sizeof(read_ones[0]); i++) {
		if (!slice_eq_nocase(name, slice_str(read_ones[i])))
			continue;
		view_error(v,
			   "%.*s is no upgrade that may pass unread: there are no wildcards, and "
			   "HTTP or TLS behind it would be under no policy",
			   SLICE_ARG(name));
		return false;
	}
	if (http1_is_token(name) &&
	    (version.len == 0 || http1_is_token(slice_make(version.ptr + 1, version.len - 1))))
		return true;
	view_error(v, "has to be a protocol of an Upgrade field, as SPDY/3.1");
	return false;
}

static const struct word http_rows[] = {
	{
		.name = "upgrades",
		.says = "Protocols beside websocket that requests may upgrade to; what they speak "
			"is opaque.",
		.example = "SPDY/3.1",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 64,
		WORD_LIST(ss_meta, upgrades, upgrade_count, SNAPSHOT_UPGRADES_MAX),
		.check = check_upgrade,
	},
};
static const struct words http_words = WORDS(http_rows, sizeof(struct ss_meta), NULL);

static const struct word mesh_ingress_rows[] = {
	{
		.name = "nodeSelector",
		.says = "Nodes whose word is taken for what comes from outside the cluster.",
		.example = "{matchLabels: {edge: \"true\"}}",
		.since = "0.1",
		.type = WORD_MAP,
		.required = true,
		.members = &words_label_selector,
		WORD_AT(mesh_config, ingress_nodes),
	},
};
static const struct words mesh_ingress_words =
	WORDS(mesh_ingress_rows, sizeof(struct mesh_config), NULL);

static bool check_tunnel_port(const struct reading *r, const struct view *v, void *object,
			      void *value)
{
	uint16_t port = *(const uint16_t *)value;

	(void)r;
	(void)object;
	if (port_is_nodes_own(port))
		view_error(v, "%u is a port that something else of the node has", port);
	return !port_is_nodes_own(port);
}

static const struct word mesh_rows[] = {
	{
		.name = "trustDomain",
		.says = "Of all identities.",
		.example = "cluster.local",
		.since = "0.1",
		.type = WORD_TEXT,
		.max = 255,
		WORD_AT(mesh_config, meta.trust_domain),
		.check = check_trust_domain,
	},
	{
		.name = "tunnelPort",
		.says = "At which nodes wait for each other's tunnels.",
		.example = "15008",
		.since = "0.1",
		.type = WORD_NUMBER,
		.min = 1,
		.max = 65535,
		WORD_AT(mesh_config, tunnel_port),
		.check = check_tunnel_port,
	},
	{
		.name = "timeouts",
		.says = "How long things may take.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &timeout_words,
		WORD_AT(mesh_config, meta),
	},
	{
		.name = "limits",
		.says = "How large things may be.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &mesh_limit_words,
		WORD_AT(mesh_config, meta),
	},
	{
		.name = "http",
		.says = "What requests may do.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &http_words,
		WORD_AT(mesh_config, meta),
	},
	{
		.name = "ingress",
		.says = "What comes from outside the cluster.",
		.since = "0.1",
		.type = WORD_MAP,
		.members = &mesh_ingress_words,
	},
};
static const struct words mesh_spec_words = WORDS(mesh_rows, sizeof(struct mesh_config), NULL);
static const struct word mesh_config_rows[] = {WORDS_OBJECT(&mesh_spec_words, true)};
const struct words words_mesh_config = WORDS(mesh_config_rows, sizeof(struct mesh_config), NULL);

void *read_mesh_config(const struct reading *r)
{
	struct mesh_config *c = arena_alloc(r->v->arena, 1, sizeof(*c));
	struct view meta = view_get(r->v, "metadata"), name = view_get(&meta, "name");

	if (!slice_eq_str(r->meta->name, "default"))
		view_error(&name, "MeshConfig is a singleton: its name has to be default");
	if (!c)
		return NULL;
	mesh_config_defaults(c);
	return words_read(r, &words_mesh_config, r->v, c) && !*r->v->failed ? c : NULL;
}
