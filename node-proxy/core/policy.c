// SPDX-License-Identifier: GPL-3.0-or-later
// Which rules of a set match; see policy.h for the meaning, policy_table.h for the tables, policy_answer.c
// for what comes of it.
// A set of candidate rules starts full and loses, column by column, the rules that the attribute's
// value does not satisfy; an unknown attribute takes away the Allow rules that need it and keeps the
// Deny rules. What is left are the rules that match.
#include "core/policy_match.h"

void policy_mask_addr(struct addr *a, uint8_t bits)
{
	for (uint32_t i = 0; i < sizeof(a->bytes); i++) {
		uint32_t keep = bits > i * 8 ? bits - i * 8u : 0;

		if (keep < 8)
			a->bytes[i] &= (uint8_t)(0xff00u >> keep);
	}
}

// ---- sets --------------------------------------------------------------------------------------

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

const struct ss_rule *policy_match_first(const struct evaluation *e, const struct rule_set *set)
{
	for (uint64_t left = e->rules.live & set->live; left;) {
		uint32_t i = next_word(&left);
		uint64_t both = e->rules.words[i] & set->words[i];

		if (both)
			return &e->set->source[i * 64 + (uint32_t)__builtin_ctzll(both)];
	}
	return NULL;
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
		candidates_are(e, &e->set->every);
	for (uint64_t left = e->rules.live; left;) {
		uint32_t i = next_word(&left);

		candidates_keep(e, i, open->words[i] | e->set->deny_all.words[i]);
	}
}

void policy_look_up(struct evaluation *e, enum rule_space space, uint32_t number, struct slice a,
		    struct slice b, struct slice c)
{
	struct rule_key key = {space, number, {a, b, c}};

	rule_index_look_up(&e->set->index, &key, &e->column);
}

void policy_look_up_text(struct evaluation *e, enum rule_space space, struct slice text)
{
	static const struct slice none;

	policy_look_up(e, space, 0, text, none, none);
}

// ---- the connection ----------------------------------------------------------------------------

static void look_up_workload(struct evaluation *e, uint32_t kinds, struct slice domain)
{
	static const struct slice none;
	const struct principal *p = e->in->source;

	if (kinds & 1u << PATTERN_ACCOUNT)
		policy_look_up(e, SPACE_SOURCE, PATTERN_ACCOUNT, domain, p->namespace,
			       p->service_account);
	if (kinds & 1u << PATTERN_NAMESPACE)
		policy_look_up(e, SPACE_SOURCE, PATTERN_NAMESPACE, domain, p->namespace, none);
	if (kinds & 1u << PATTERN_TRUST_DOMAIN)
		policy_look_up(e, SPACE_SOURCE, PATTERN_TRUST_DOMAIN, domain, none, none);
	if (kinds & 1u << PATTERN_WORKLOAD)
		policy_look_up(e, SPACE_SOURCE, PATTERN_WORKLOAD, none, none, none);
}

static bool column_source(struct evaluation *e)
{
	static const struct slice none;
	const struct principal *p = e->in->source;

	switch (p ? p->type : PRINCIPAL_UNKNOWN) {
	case PRINCIPAL_WORKLOAD:
		look_up_workload(e, e->set->account_kinds, none);
		look_up_workload(e, e->set->source_kinds, p->trust_domain);
		return true;
	case PRINCIPAL_NODE:
		policy_look_up(e, SPACE_SOURCE, PATTERN_NODE, none, none, none);
		return true;
	case PRINCIPAL_GATEWAY:
		policy_look_up(e, SPACE_SOURCE, PATTERN_GATEWAY, none, none, none);
		return true;
	case PRINCIPAL_UNAUTHENTICATED:
		policy_look_up(e, SPACE_SOURCE, PATTERN_UNAUTHENTICATED, none, none, none);
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
	for (uint32_t i = 0; i < e->set->cidr_bits_count; i++) {
		struct addr masked = e->in->client;

		if (v4 && e->set->cidr_bits[i] < 96)
			continue;

		policy_mask_addr(&masked, e->set->cidr_bits[i]);
		policy_look_up(e, SPACE_CIDR, e->set->cidr_bits[i],
			       slice_make(masked.bytes, sizeof(masked.bytes)), none, none);
	}
	return true;
}

static bool column_port(struct evaluation *e)
{
	static const struct slice none;

	policy_look_up(e, SPACE_PORT, e->in->port, none, none, none);
	return e->in->port != 0;
}

// ---- the request -------------------------------------------------------------------------------

static bool column_host(struct evaluation *e)
{
	struct slice host = e->in->host;
	size_t max = e->set->suffix_len_max;

	if (host.len == 0)
		return false;
	policy_look_up_text(e, SPACE_HOST, host);
	// ".example.com" of "a.b.example.com", never of the whole name.
	for (size_t i = host.len > max ? host.len - max : 1; i < host.len; i++) {
		if (i > 0 && host.ptr[i] == '.' && host.ptr[0] != '.')
			policy_look_up_text(e, SPACE_SUFFIX,
					    slice_make(host.ptr + i, host.len - i));
	}
	return true;
}

// The request's tokens one by one, as far as the rules at hand can mean their providers.
static bool next_token(const struct evaluation *e, uint32_t *at, struct slice *provider,
		       const struct jwt **token)
{
	const struct policy_input *in = e->in;
	const struct policy_token first = {in->token, in->token_provider, in->token_name,
					   in->token_number};

	while (*at < 1 + in->more_token_count) {
		uint32_t i = (*at)++;
		const struct policy_token *t = i == 0 ? &first : &in->more_tokens[i - 1];

		if (!t->jwt || (e->part->providers && !(e->part->providers & (1u << t->number))))
			continue;
		*provider = e->part->by_name ? t->name : t->provider;
		*token = t->jwt;
		return true;
	}
	return false;
}

static bool column_provider(struct evaluation *e)
{
	const struct jwt *token;
	struct slice provider;
	uint32_t at = 0;

	while (next_token(e, &at, &provider, &token))
		policy_look_up_text(e, SPACE_PROVIDER, provider);
	return true;
}

static const struct jwt *token_of(const struct evaluation *e, struct slice provider)
{
	const struct jwt *token;
	struct slice from;
	uint32_t at = 0;

	while (next_token(e, &at, &from, &token)) {
		if (slice_eq(from, provider))
			return token;
	}
	return NULL;
}

static bool position_headers(struct evaluation *e, uint32_t at)
{
	static const struct slice none;
	const struct policy_conditions *c = &e->set->headers[at];
	struct slice value;

	for (uint32_t i = 0; e->in->header && i < c->count; i++) {
		if (!e->in->header(e->in->headers, c->list[i].name, &value))
			continue;
		policy_look_up(e, SPACE_HEADER_ANY, at, c->list[i].name, none, none);
		policy_look_up(e, SPACE_HEADER, at, c->list[i].name, value, none);
	}
	if (e->set->denies_headers)
		policy_deny_headers(e, at);
	return e->in->header != NULL;
}

static bool position_claims(struct evaluation *e, uint32_t at)
{
	static const struct slice none;
	const struct policy_conditions *c = &e->set->claims[at];

	for (uint32_t i = 0; i < c->count; i++) {
		struct slice provider = c->list[i].provider, name = c->list[i].name, text;
		const struct jwt *token = token_of(e, provider);
		struct jwt_values values;

		if (!token || !jwt_values_begin(token, name, &values))
			continue;
		policy_look_up(e, SPACE_CLAIM_ANY, at, provider, name, none);
		while (jwt_values_next(&values, &text))
			policy_look_up(e, SPACE_CLAIM, at, provider, name, text);
	}
	return true;
}

static bool position_scopes(struct evaluation *e, uint32_t at)
{
	static const struct slice none;
	const struct policy_conditions *c = &e->set->scopes[at];

	for (uint32_t i = 0; i < c->count; i++) {
		const struct jwt *token = token_of(e, c->list[i].provider);
		struct jwt_scopes scopes;
		struct slice text;

		if (!token)
			continue;
		jwt_scopes_begin(token, &scopes);
		while (jwt_scopes_next(&scopes, &text))
			policy_look_up(e, SPACE_SCOPE, at, c->list[i].provider, text, none);
	}
	return true;
}

// ---- all columns -------------------------------------------------------------------------------

// Each returns false where the attribute is unknown.
static bool (*const columns[COLUMN_COUNT])(struct evaluation *e) = {
	[COLUMN_SOURCE] = column_source,     [COLUMN_CIDR] = column_cidr,
	[COLUMN_PORT] = column_port,	     [COLUMN_METHOD] = policy_column_method,
	[COLUMN_PATH] = policy_column_path,  [COLUMN_HOST] = column_host,
	[COLUMN_PROVIDER] = column_provider,
};

static void apply_column(struct evaluation *e, enum policy_column c)
{
	const struct rule_set *open = &e->set->open[c];

	if (!column_begin(e, open, e->set->used[c]))
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
	const struct policy_set *p = e->set;

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

static void match_fields(struct evaluation *e)
{
	const struct policy_set *p = e->set;

	apply_column(e, COLUMN_HOST);
	apply_positions(e, p->headers, p->header_count, position_headers);
	apply_column(e, COLUMN_PROVIDER);
	apply_positions(e, p->claims, p->claim_count, position_claims);
	apply_positions(e, p->scopes, p->scope_count, position_scopes);
	if (e->all)
		candidates_are(e, &p->every);
}

void policy_match_but_path(struct evaluation *e)
{
	match_connection(e);
	apply_column(e, COLUMN_METHOD);
	match_fields(e);
}

// The path's column is the last one that is asked.
static void match_path(struct evaluation *e)
{
	const uint64_t *word = e->rest;

	e->all = false;
	e->rules.live = *word++;
	for (uint64_t left = e->rules.live; left;)
		e->rules.words[next_word(&left)] = *word++;
	apply_column(e, COLUMN_PATH);
}

void policy_match_rules(struct evaluation *e)
{
	if (e->rest) {
		match_path(e);
		return;
	}
	match_connection(e);
	if (!e->in->l7) {
		apply_no_request(e);
		return;
	}
	apply_column(e, COLUMN_METHOD);
	apply_column(e, COLUMN_PATH);
	match_fields(e);
}

void policy_match_at_best(struct evaluation *e)
{
	const struct policy_set *p = e->set;

	match_connection(e);
	if (e->all)
		candidates_are(e, &p->every);
	for (uint64_t left = e->rules.live; left;) {
		uint32_t i = next_word(&left);

		candidates_keep(e, i, ~(p->reads_request.words[i] & p->deny_all.words[i]));
	}
}

void policy_match_address(struct evaluation *e)
{
	candidates_are(e, &e->set->address);
	apply_column(e, COLUMN_CIDR);
	apply_column(e, COLUMN_PORT);
}
