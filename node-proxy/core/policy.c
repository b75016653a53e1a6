// SPDX-License-Identifier: GPL-3.0-or-later
// Evaluation of an effective policy; see policy.h for its meaning, policy_table.h for the tables.
// A set of candidate rules starts full and loses, column by column, the rules that the attribute's
// value does not satisfy; an unknown attribute takes away the Allow rules that need it and keeps the
// Deny rules. What is left are the rules that match.
#include "core/policy_table.h"

#include "core/match.h"

struct evaluation {
	const struct policy *policy;
	const struct policy_input *in;
	bool all;		 // every rule is a candidate: rules is not filled yet
	struct rule_bits rules;	 // candidates
	struct rule_bits column; // of the column at hand: rules that its value satisfies
};

const struct ss_policy *policy_source(const struct policy *p)
{
	return p->source;
}

void policy_mask_addr(struct addr *a, uint8_t bits)
{
	for (uint32_t i = 0; i < sizeof(a->bytes); i++) {
		uint32_t keep = bits > i * 8 ? bits - i * 8u : 0;

		if (keep < 8)
			a->bytes[i] &= (uint8_t)(0xff00u >> keep);
	}
}

// ---- sets --------------------------------------------------------------------------------------

static const uint32_t no_rule = UINT32_MAX;

// Takes the lowest bit out of *live.
static uint32_t next_word(uint64_t *live)
{
	uint32_t word = (uint32_t)__builtin_ctzll(*live);

	*live &= *live - 1;
	return word;
}

static void candidates_are(struct evaluation *e, const struct rule_set *set)
{
	e->all = false;
	e->rules.live = set->live;
	for (uint64_t left = set->live; left;) {
		uint32_t i = next_word(&left);

		e->rules.words[i] = set->words[i];
	}
}

static void candidates_keep(struct evaluation *e, uint32_t word, uint64_t rules)
{
	e->rules.words[word] &= rules;
	if (e->rules.words[word] == 0)
		e->rules.live &= ~(1ull << word);
}

// The first candidate that is in the set.
static uint32_t first_of(const struct evaluation *e, const struct rule_set *set)
{
	for (uint64_t left = e->rules.live & set->live; left;) {
		uint32_t i = next_word(&left);

		if (e->rules.words[i] & set->words[i])
			return i * 64 +
			       (uint32_t)__builtin_ctzll(e->rules.words[i] & set->words[i]);
	}
	return no_rule;
}

// Does a candidate depend on the column? If so, the column is emptied to be filled.
static bool column_begin(struct evaluation *e, const struct rule_set *open, bool used)
{
	e->column.live = 0;
	if (e->all || !used)
		return used;
	for (uint64_t left = e->rules.live; left;) {
		uint32_t i = next_word(&left);

		if (e->rules.words[i] & ~open->words[i])
			return true;
	}
	return false;
}

static void column_end(struct evaluation *e, const struct rule_set *open)
{
	uint64_t filled = e->column.live;

	if (e->all) {
		// The first column: what satisfies it is all that is left.
		candidates_are(e, open);
		for (uint64_t left = filled; left;) {
			uint32_t i = next_word(&left);

			e->rules.words[i] = open->words[i] | e->column.words[i];
		}
		e->rules.live |= filled;
		return;
	}
	for (uint64_t left = e->rules.live; left;) {
		uint32_t i = next_word(&left);

		candidates_keep(e, i, open->words[i] | (filled >> i & 1 ? e->column.words[i] : 0));
	}
}

// Nobody can say: an Allow rule that needs it does not match, a Deny rule does.
static void column_unknown(struct evaluation *e, const struct rule_set *open)
{
	if (e->all)
		candidates_are(e, &e->policy->every);
	for (uint64_t left = e->rules.live; left;) {
		uint32_t i = next_word(&left);

		candidates_keep(e, i, open->words[i] | e->policy->deny_all.words[i]);
	}
}

static void look_up(struct evaluation *e, enum rule_space space, uint32_t number, struct slice a,
		    struct slice b, struct slice c)
{
	struct rule_key key = {space, number, {a, b, c}};

	rule_index_look_up(&e->policy->index, &key, &e->column);
}

static void look_up_text(struct evaluation *e, enum rule_space space, struct slice text)
{
	static const struct slice none;

	look_up(e, space, 0, text, none, none);
}

// ---- the connection ----------------------------------------------------------------------------

static void look_up_workload(struct evaluation *e, uint32_t kinds, struct slice domain)
{
	static const struct slice none;
	const struct principal *p = e->in->source;

	if (kinds & 1u << PATTERN_ACCOUNT)
		look_up(e, SPACE_SOURCE, PATTERN_ACCOUNT, domain, p->namespace, p->service_account);
	if (kinds & 1u << PATTERN_NAMESPACE)
		look_up(e, SPACE_SOURCE, PATTERN_NAMESPACE, domain, p->namespace, none);
	if (kinds & 1u << PATTERN_TRUST_DOMAIN)
		look_up(e, SPACE_SOURCE, PATTERN_TRUST_DOMAIN, domain, none, none);
	if (kinds & 1u << PATTERN_WORKLOAD)
		look_up(e, SPACE_SOURCE, PATTERN_WORKLOAD, none, none, none);
}

static bool column_source(struct evaluation *e)
{
	static const struct slice none;
	const struct principal *p = e->in->source;

	switch (p ? p->type : PRINCIPAL_UNKNOWN) {
	case PRINCIPAL_WORKLOAD:
		look_up_workload(e, e->policy->account_kinds, none);
		look_up_workload(e, e->policy->source_kinds, p->trust_domain);
		return true;
	case PRINCIPAL_NODE:
		look_up(e, SPACE_SOURCE, PATTERN_NODE, none, none, none);
		return true;
	case PRINCIPAL_GATEWAY:
		look_up(e, SPACE_SOURCE, PATTERN_GATEWAY, none, none, none);
		return true;
	case PRINCIPAL_UNAUTHENTICATED:
		look_up(e, SPACE_SOURCE, PATTERN_UNAUTHENTICATED, none, none, none);
		return true;
	case PRINCIPAL_UNKNOWN:
		break;
	}
	return false;
}

// One look-up for each prefix length that the policy uses. An IPv6 network holds no IPv4 address
// (cidr_contains).
static bool column_cidr(struct evaluation *e)
{
	static const struct slice none;

	bool v4 = addr_is_v4(e->in->client);

	if (addr_is_none(e->in->client))
		return false;
	for (uint32_t i = 0; i < e->policy->cidr_bits_count; i++) {
		struct addr masked = e->in->client;

		if (v4 && e->policy->cidr_bits[i] < 96)
			continue;

		policy_mask_addr(&masked, e->policy->cidr_bits[i]);
		look_up(e, SPACE_CIDR, e->policy->cidr_bits[i],
			slice_make(masked.bytes, sizeof(masked.bytes)), none, none);
	}
	return true;
}

static bool column_port(struct evaluation *e)
{
	static const struct slice none;

	look_up(e, SPACE_PORT, e->in->port, none, none, none);
	return e->in->port != 0;
}

// ---- the request -------------------------------------------------------------------------------

static bool column_method(struct evaluation *e)
{
	look_up_text(e, SPACE_METHOD, e->in->method);
	return e->in->method.len > 0;
}

// Exact, and every prefix that ends before a slash or at the end.
static void look_up_path(struct evaluation *e, struct slice path)
{
	if (path.len <= e->policy->path_len_max)
		look_up_text(e, SPACE_PATH, path);
	for (size_t i = 0; i <= path.len && i < e->policy->prefix_len_max; i++) {
		if (i == path.len || path.ptr[i] == '/')
			look_up_text(e, SPACE_PREFIX, slice_make(path.ptr, i));
	}
}

// The path has two readings: servers differ on whether ";x" belongs to an element's name. What is satisfied by
// only one of them is unknown: a Deny rule matches, an Allow rule does not.
static __attribute__((noinline)) bool look_up_second_reading(struct evaluation *e)
{
	struct rule_bits first = e->column, *second = &e->column;
	uint8_t text[PATH_BYTES_MAX];
	struct slice plain;

	if (e->in->path.len > sizeof(text))
		return false;
	if (!path_without_parameters(e->in->path, text, &plain))
		return true;
	second->live = 0;
	look_up_path(e, plain);
	for (uint64_t left = first.live | second->live; left;) {
		uint32_t i = next_word(&left);
		uint64_t a = first.live >> i & 1 ? first.words[i] : 0;
		uint64_t b = second->live >> i & 1 ? second->words[i] : 0;

		second->words[i] = (a & b) | ((a | b) & e->policy->deny_all.words[i]);
		second->live |= 1ull << i;
	}
	return true;
}

static bool column_path(struct evaluation *e)
{
	struct slice path = e->in->path;

	if (path.len == 0)
		return false;
	look_up_path(e, path);
	if (memchr(path.ptr, ';', path.len) || memchr(path.ptr, '%', path.len))
		return look_up_second_reading(e);
	return true;
}

static bool column_host(struct evaluation *e)
{
	struct slice host = e->in->host;
	size_t max = e->policy->suffix_len_max;

	if (host.len == 0)
		return false;
	look_up_text(e, SPACE_HOST, host);
	// ".example.com" of "a.b.example.com", never of the whole name.
	for (size_t i = host.len > max ? host.len - max : 1; i < host.len; i++) {
		if (i > 0 && host.ptr[i] == '.' && host.ptr[0] != '.')
			look_up_text(e, SPACE_SUFFIX, slice_make(host.ptr + i, host.len - i));
	}
	return true;
}

static bool column_provider(struct evaluation *e)
{
	if (e->in->token)
		look_up_text(e, SPACE_PROVIDER, e->in->token_provider);
	for (uint32_t i = 0; i < e->in->more_token_count; i++)
		look_up_text(e, SPACE_PROVIDER, e->in->more_tokens[i].provider);
	return true;
}

static const struct jwt *token_of(const struct policy_input *in, struct slice provider)
{
	if (in->token && slice_eq(in->token_provider, provider))
		return in->token;
	for (uint32_t i = 0; i < in->more_token_count; i++) {
		if (slice_eq(in->more_tokens[i].provider, provider))
			return in->more_tokens[i].jwt;
	}
	return NULL;
}

static bool position_headers(struct evaluation *e, uint32_t at)
{
	static const struct slice none;
	const struct policy_conditions *c = &e->policy->headers[at];
	struct slice value;

	for (uint32_t i = 0; e->in->header && i < c->count; i++) {
		if (!e->in->header(e->in->headers, c->list[i].name, &value))
			continue;
		look_up(e, SPACE_HEADER_ANY, at, c->list[i].name, none, none);
		look_up(e, SPACE_HEADER, at, c->list[i].name, value, none);
	}
	return e->in->header != NULL;
}

static bool position_claims(struct evaluation *e, uint32_t at)
{
	static const struct slice none;
	const struct policy_conditions *c = &e->policy->claims[at];

	for (uint32_t i = 0; i < c->count; i++) {
		struct slice provider = c->list[i].provider, name = c->list[i].name, text;
		const struct jwt *token = token_of(e->in, provider);
		struct jwt_values values;

		if (!token || !jwt_values_begin(token, name, &values))
			continue;
		look_up(e, SPACE_CLAIM_ANY, at, provider, name, none);
		while (jwt_values_next(&values, &text))
			look_up(e, SPACE_CLAIM, at, provider, name, text);
	}
	return true;
}

static bool position_scopes(struct evaluation *e, uint32_t at)
{
	static const struct slice none;
	const struct policy_conditions *c = &e->policy->scopes[at];

	for (uint32_t i = 0; i < c->count; i++) {
		const struct jwt *token = token_of(e->in, c->list[i].provider);
		struct jwt_scopes scopes;
		struct slice text;

		if (!token)
			continue;
		jwt_scopes_begin(token, &scopes);
		while (jwt_scopes_next(&scopes, &text))
			look_up(e, SPACE_SCOPE, at, c->list[i].provider, text, none);
	}
	return true;
}

// ---- all columns -------------------------------------------------------------------------------

// Each returns false where the attribute is unknown.
static bool (*const columns[COLUMN_COUNT])(struct evaluation *e) = {
	[COLUMN_SOURCE] = column_source,     [COLUMN_CIDR] = column_cidr,
	[COLUMN_PORT] = column_port,	     [COLUMN_METHOD] = column_method,
	[COLUMN_PATH] = column_path,	     [COLUMN_HOST] = column_host,
	[COLUMN_PROVIDER] = column_provider,
};

static void apply_column(struct evaluation *e, enum policy_column c)
{
	const struct rule_set *open = &e->policy->open[c];

	if (!column_begin(e, open, e->policy->used[c]))
		return;
	if (columns[c](e))
		column_end(e, open);
	else
		column_unknown(e, open);
}

static void apply_positions(struct evaluation *e, const struct policy_conditions *list,
			    uint32_t count, bool (*fill)(struct evaluation *e, uint32_t at))
{
	for (uint32_t i = 0; i < count; i++) {
		if (!column_begin(e, &list[i].open, true))
			continue;
		if (fill(e, i))
			column_end(e, &list[i].open);
		else
			column_unknown(e, &list[i].open);
	}
}

// Rules that read the request match only as Deny rules where it is not known.
static void apply_no_request(struct evaluation *e)
{
	const struct policy *p = e->policy;

	if (e->all)
		candidates_are(e, &p->every);
	for (uint64_t left = e->rules.live; left;) {
		uint32_t i = next_word(&left);

		candidates_keep(e, i, ~p->reads_request.words[i] | p->deny_all.words[i]);
	}
}

static void match_connection(struct evaluation *e)
{
	e->all = true;
	apply_column(e, COLUMN_SOURCE);
	apply_column(e, COLUMN_CIDR);
	apply_column(e, COLUMN_PORT);
}

static void match_rules(struct evaluation *e)
{
	const struct policy *p = e->policy;

	match_connection(e);
	if (!e->in->l7) {
		apply_no_request(e);
		return;
	}
	apply_column(e, COLUMN_METHOD);
	apply_column(e, COLUMN_PATH);
	apply_column(e, COLUMN_HOST);
	apply_positions(e, p->headers, p->header_count, position_headers);
	apply_column(e, COLUMN_PROVIDER);
	apply_positions(e, p->claims, p->claim_count, position_claims);
	apply_positions(e, p->scopes, p->scope_count, position_scopes);
	if (e->all)
		candidates_are(e, &p->every);
}

// ---- the answer --------------------------------------------------------------------------------

static void answer_rule(const struct policy *p, uint32_t rule, struct policy_answer *out)
{
	const struct ss_rule *r = &p->source->rules[rule];

	out->action = r->action;
	out->policy = r->policy;
	out->rule = r->name;
}

static void answer_enforced(const struct evaluation *e, struct policy_answer *out)
{
	const struct policy *p = e->policy;
	const struct ss_policy *source = p->source;
	uint32_t rule = first_of(e, &p->deny), allow = no_rule;

	if (rule != no_rule) {
		answer_rule(p, rule, out);
		return;
	}
	for (uint32_t g = 0; g < source->group_count; g++) {
		const struct ss_group *group = &source->groups[g];

		rule = first_of(e, &p->allow[g]);
		if (rule < allow)
			allow = rule;
		if (rule != no_rule || group->default_action == RULE_ALLOW ||
		    group->default_mode == MODE_AUDIT)
			continue;
		out->action = RULE_DENY;
		out->policy = group->default_policy;
		out->target = group->target;
		return;
	}
	out->action = RULE_ALLOW;
	if (allow != no_rule)
		answer_rule(p, allow, out);
	else if (source->group_count > 0)
		out->policy = source->groups[0].default_policy;
}

// What the Audit policies would have done, had they been enforced with the others.
static void answer_audited(const struct evaluation *e, struct policy_answer *out)
{
	const struct policy *p = e->policy;
	uint32_t rule = first_of(e, &p->deny_audit);

	if (rule != no_rule) {
		out->would_deny = true;
		out->audit_policy = p->source->rules[rule].policy;
		out->audit_rule = p->source->rules[rule].name;
		return;
	}
	for (uint32_t g = 0; g < p->source->group_count; g++) {
		const struct ss_group *group = &p->source->groups[g];

		if (group->default_mode != MODE_AUDIT || group->default_action != RULE_DENY ||
		    first_of(e, &p->allow_all[g]) != no_rule)
			continue;
		out->would_deny = true;
		out->audit_policy = group->default_policy;
		return;
	}
}

void policy_evaluate(const struct policy *p, const struct policy_input *in,
		     struct policy_answer *out)
{
	struct evaluation e;

	e.policy = p;
	e.in = in;
	memset(out, 0, sizeof(*out));
	match_rules(&e);
	answer_enforced(&e, out);
	if (p->audits && out->action == RULE_ALLOW)
		answer_audited(&e, out);
}

void policy_evaluate_at_best(const struct policy *p, const struct policy_input *in,
			     struct policy_answer *out)
{
	struct evaluation e;

	e.policy = p;
	e.in = in;
	memset(out, 0, sizeof(*out));
	match_connection(&e);
	if (e.all)
		candidates_are(&e, &p->every);
	for (uint64_t left = e.rules.live; left;) {
		uint32_t i = next_word(&left);

		candidates_keep(&e, i, ~(p->reads_request.words[i] & p->deny_all.words[i]));
	}
	answer_enforced(&e, out);
}

bool policy_denies_address(const struct policy *p, const struct policy_input *in,
			   struct policy_answer *out)
{
	struct evaluation e;
	uint32_t rule;

	if (!p->has_address)
		return false;
	e.policy = p;
	e.in = in;
	candidates_are(&e, &p->address);
	apply_column(&e, COLUMN_CIDR);
	apply_column(&e, COLUMN_PORT);
	rule = first_of(&e, &p->address);
	if (rule == no_rule)
		return false;
	memset(out, 0, sizeof(*out));
	answer_rule(p, rule, out);
	return true;
}
