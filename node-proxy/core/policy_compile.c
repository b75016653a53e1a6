// SPDX-License-Identifier: GPL-3.0-or-later
// Builds the tables of a policy; see policy_table.h. Everything is sized by one pass over the rules
// and lives in the caller's arena; texts are borrowed from the record. The index and its keys are bounded by
// POLICY_PAIRS_MAX and by what is written, not by the arena: a value takes there what it takes, however few
// bytes it has in its record.
#include "core/deny_view.h"
#include "core/match.h"
#include "core/policy_table.h"

struct compiler {
	struct policy_set *to;
	struct arena *arena;
	struct arena own;     // the index and its keys: as large as they need, see measure
	struct arena scratch; // the readings of one path
	uint32_t rule;	      // being compiled
	enum err err;	      // first failure
	// How many rules have a condition at a position.
	uint32_t headers[POLICY_CONDITIONS_MAX];
	uint32_t claims[POLICY_CONDITIONS_MAX];
	uint32_t scopes[POLICY_CONDITIONS_MAX];
};

static bool rule_reads_token(const struct ss_rule *r)
{
	return r->jwt_provider.len > 0 || r->claim_count > 0 || r->scope_count > 0;
}

static bool rule_reads_request(const struct ss_rule *r)
{
	return rule_reads_token(r) || r->header_count > 0 || r->method_count > 0 ||
	       r->path_count > 0 || r->host_count > 0;
}

static void set_bit(struct rule_set *set, uint32_t rule)
{
	set->words[rule / 64] |= 1ull << (rule % 64);
	set->live |= 1ull << (rule / 64);
}

static void add(struct compiler *c, struct rule_key key)
{
	if (c->err == ERR_OK)
		c->err = rule_index_add(&c->to->index, &key, c->rule);
}

// ---- checks and sizes --------------------------------------------------------------------------

static enum err rule_check(const struct ss_rule *r)
{
	if (r->jwt_provider.len == 0 && rule_reads_token(r))
		return ERR_MALFORMED;
	if (r->header_count > POLICY_CONDITIONS_MAX || r->claim_count > POLICY_CONDITIONS_MAX ||
	    r->scope_count > POLICY_CONDITIONS_MAX)
		return ERR_TOO_LARGE;
	for (uint32_t i = 0; i < r->path_count; i++) {
		if (r->paths[i].type == PATH_REGEX)
			return ERR_UNSUPPORTED;
	}
	return ERR_OK;
}

// What an index and the keys made for it take: linear in what is written, since every pair is a value, a
// Deny rule's path one in each of at most RULE_READINGS_MAX readings.
struct size {
	uint64_t pairs;
	uint64_t key_bytes;
};

static void size_key(struct size *to, size_t bytes)
{
	to->key_bytes += (bytes | (ARENA_ALIGN - 1)) + 1;
}

// A rule's path, in every reading if it is odd. The list is in scratch.
static enum err read_path(struct slice path, struct arena *scratch, struct path_reading *plain,
			  struct path_readings *all)
{
	*plain = (struct path_reading){path, 0};
	*all = (struct path_readings){plain, 1};
	if (path_form(path) != PATH_ODD)
		return ERR_OK;
	arena_reset(scratch);
	return readings_of(path, RULE_READINGS_MAX, READINGS_BYTES_MAX, scratch, all);
}

static enum err size_denied(const struct ss_rule *r, struct arena *scratch, struct size *to)
{
	struct path_reading plain;
	struct path_readings all;

	for (uint32_t i = 0; i < r->method_count; i++)
		size_key(to, r->methods[i].len);
	for (uint32_t i = 0; i < r->path_count; i++) {
		enum err err = read_path(r->paths[i].value, scratch, &plain, &all);

		if (err != ERR_OK)
			return err;
		to->pairs += all.count - 1;
		for (uint32_t k = 0; k < all.count; k++)
			size_key(to, all.list[k].path.len);
	}
	return ERR_OK;
}

static uint64_t rule_pairs(const struct ss_rule *r)
{
	uint64_t n = (uint64_t)r->source_count + r->client_cidr_count + r->port_count +
		     r->method_count + r->path_count + r->host_count + r->scope_count + 1;

	for (uint32_t i = 0; i < r->header_count; i++)
		n += (uint64_t)r->headers[i].value_count + 1;
	for (uint32_t i = 0; i < r->claim_count; i++)
		n += (uint64_t)r->claims[i].value_count + 1;
	return n;
}

// Counts a rule's conditions by position; returns how many positions there are by now.
static uint32_t count_conditions(uint32_t at[POLICY_CONDITIONS_MAX], uint32_t count, uint32_t max)
{
	for (uint32_t i = 0; i < count; i++)
		at[i]++;
	return count > max ? count : max;
}

static enum err measure(struct compiler *c, struct size *sum)
{
	struct policy_set *to = c->to;

	for (uint32_t i = 0; i < to->count; i++) {
		const struct ss_rule *r = &to->source[i];
		enum err err = rule_check(r);

		if (err != ERR_OK)
			return err;
		sum->pairs += rule_pairs(r);
		if (sum->pairs > POLICY_PAIRS_MAX)
			return ERR_TOO_LARGE;
		for (uint32_t k = 0; k < r->client_cidr_count; k++)
			size_key(sum, sizeof(struct cidr));
		err = r->action == RULE_DENY ? size_denied(r, &c->scratch, sum) : ERR_OK;
		if (err != ERR_OK)
			return err;
		to->header_count = count_conditions(c->headers, r->header_count, to->header_count);
		to->claim_count = count_conditions(c->claims, r->claim_count, to->claim_count);
		to->scope_count = count_conditions(c->scopes, r->scope_count, to->scope_count);
	}
	to->words = (to->count + 63) / 64;
	return sum->pairs > POLICY_PAIRS_MAX ? ERR_TOO_LARGE : ERR_OK;
}

static enum err make_index(struct compiler *c, const struct size *size)
{
	uint32_t pairs = (uint32_t)size->pairs;
	size_t bytes = rule_index_bytes(pairs) + size->key_bytes;
	void *block = arena_grant(c->arena, bytes);

	if (!block)
		return ERR_NOMEM;
	arena_init_fixed(&c->own, block, bytes);
	return rule_index_init(&c->to->index, &c->own, pairs);
}

static struct rule_set make_set(struct compiler *c)
{
	struct rule_set set = {0, arena_alloc(c->arena, c->to->words, sizeof(uint64_t))};

	if (!set.words)
		c->err = ERR_NOMEM;
	return set;
}

static struct policy_conditions *make_conditions(struct compiler *c, uint32_t count,
						 const uint32_t rules[POLICY_CONDITIONS_MAX])
{
	struct policy_conditions *list = arena_alloc(c->arena, count, sizeof(*list));

	for (uint32_t i = 0; list && i < count; i++) {
		list[i].open = make_set(c);
		list[i].list = arena_alloc(c->arena, rules[i], sizeof(*list[i].list));
		if (!list[i].list)
			c->err = ERR_NOMEM;
	}
	if (!list)
		c->err = ERR_NOMEM;
	return list;
}

static void make_tables(struct compiler *c)
{
	struct policy_set *to = c->to;

	for (int i = 0; i < COLUMN_COUNT; i++)
		to->open[i] = make_set(c);
	to->headers = make_conditions(c, to->header_count, c->headers);
	to->claims = make_conditions(c, to->claim_count, c->claims);
	to->scopes = make_conditions(c, to->scope_count, c->scopes);
	to->every = make_set(c);
	to->deny = make_set(c);
	to->deny_audit = make_set(c);
	to->deny_all = make_set(c);
	to->reads_request = make_set(c);
	to->address = make_set(c);
	to->allow = make_set(c);
	to->allow_all = make_set(c);
}

// ---- one rule ----------------------------------------------------------------------------------

static void compile_sources(struct compiler *c, const struct ss_rule *r)
{
	for (uint32_t i = 0; i < r->source_count; i++) {
		struct identity_pattern m = identity_pattern_of(&r->sources[i]);

		if (m.kind == PATTERN_NEVER)
			continue;
		if (m.trust_domain.len > 0)
			c->to->source_kinds |= 1u << m.kind;
		else
			c->to->account_kinds |= 1u << m.kind;
		add(c, (struct rule_key){
			       SPACE_SOURCE, m.kind, {m.trust_domain, m.namespace, m.account}});
	}
}

static void note_cidr_bits(struct policy_set *to, uint8_t bits)
{
	for (uint32_t i = 0; i < to->cidr_bits_count; i++) {
		if (to->cidr_bits[i] == bits)
			return;
	}
	to->cidr_bits[to->cidr_bits_count++] = bits;
}

static void compile_connection(struct compiler *c, const struct ss_rule *r)
{
	for (uint32_t i = 0; i < r->client_cidr_count; i++) {
		const struct cidr *net = &r->client_cidrs[i];
		struct cidr *masked = arena_alloc(&c->own, 1, sizeof(*masked));

		if (!masked || net->bits > 128) {
			c->err = masked ? ERR_RANGE : ERR_NOMEM;
			return;
		}
		*masked = *net;
		policy_mask_addr(&masked->addr, net->bits);
		note_cidr_bits(c->to, net->bits);
		add(c,
		    (struct rule_key){SPACE_CIDR, net->bits, {slice_make(masked->addr.bytes, 16)}});
	}
	for (uint32_t i = 0; i < r->port_count; i++)
		add(c, (struct rule_key){SPACE_PORT, r->ports[i], {{0}}});
}

static void longest(size_t *max, size_t len)
{
	if (len > *max)
		*max = len;
}

static void compile_allowed_path(struct compiler *c, const struct ss_path_match *m)
{
	static const enum rule_space spaces[2][2] = {{SPACE_PATH, SPACE_PREFIX},
						     {SPACE_WRITTEN, SPACE_WRITTEN_PREFIX}};
	bool prefix = m->type == PATH_PREFIX, odd;
	struct slice value = prefix ? path_prefix_trim(m->value) : m->value;

	odd = value.len > 0 && path_form(value) == PATH_ODD;
	if (odd)
		longest(&c->to->written_len_max, value.len + 1);
	else
		longest(prefix ? &c->to->prefix_len_max : &c->to->path_len_max, value.len + prefix);
	add(c, (struct rule_key){spaces[odd][prefix], 0, {value}});
}

// What has no letter case and no trailing slash is compared (core/deny_view).
static void compile_denied_reading(struct compiler *c, enum path_match_type type, struct slice path)
{
	uint8_t *text = arena_alloc(&c->own, 1, path.len);
	bool prefix = type == PATH_PREFIX;

	if (!text) {
		c->err = ERR_NOMEM;
		return;
	}
	path = deny_lower(path, text);
	path = prefix ? path_prefix_trim(path) : deny_trim(path);
	longest(prefix ? &c->to->prefix_len_max : &c->to->path_len_max, path.len + prefix);
	add(c, (struct rule_key){prefix ? SPACE_PREFIX : SPACE_PATH, 0, {path}});
}

// No reading of a denied path passes.
static void compile_denied_path(struct compiler *c, const struct ss_path_match *m)
{
	struct path_reading plain;
	struct path_readings all;
	enum err err = read_path(m->value, &c->scratch, &plain, &all);

	if (err != ERR_OK) {
		c->err = err;
		return;
	}
	for (uint32_t i = 0; i < all.count; i++)
		compile_denied_reading(c, m->type, all.list[i].path);
}

static void compile_paths(struct compiler *c, const struct ss_rule *r)
{
	for (uint32_t i = 0; i < r->path_count; i++) {
		c->to->reads_paths = true;
		c->to->enforces_paths |= r->mode == MODE_ENFORCE;
		if (r->action == RULE_DENY) {
			c->to->denies_paths = true;
			compile_denied_path(c, &r->paths[i]);
		} else {
			compile_allowed_path(c, &r->paths[i]);
		}
	}
}

static void compile_methods(struct compiler *c, const struct ss_rule *r)
{
	for (uint32_t i = 0; i < r->method_count; i++) {
		struct slice method = r->methods[i];

		if (r->action == RULE_DENY) {
			uint8_t *text = arena_alloc(&c->own, 1, method.len);

			if (!text) {
				c->err = ERR_NOMEM;
				return;
			}
			c->to->denies_methods = true;
			method = deny_upper(method, text);
		}
		add(c, (struct rule_key){SPACE_METHOD, 0, {method}});
	}
}

static void compile_request(struct compiler *c, const struct ss_rule *r)
{
	struct policy_set *to = c->to;

	compile_methods(c, r);
	compile_paths(c, r);
	to->denies_headers |= r->action == RULE_DENY && r->header_count > 0;
	for (uint32_t i = 0; i < r->host_count; i++) {
		struct slice suffix = host_wildcard_suffix(r->hosts[i]);

		longest(&to->suffix_len_max, suffix.len);
		add(c, suffix.len > 0 ? (struct rule_key){SPACE_SUFFIX, 0, {suffix}}
				      : (struct rule_key){SPACE_HOST, 0, {r->hosts[i]}});
	}
	if (r->jwt_provider.len > 0)
		add(c, (struct rule_key){SPACE_PROVIDER, 0, {r->jwt_provider}});
}

static void note_condition(struct policy_conditions *at, struct slice provider, struct slice name)
{
	for (uint32_t i = 0; i < at->count; i++) {
		if (slice_eq(at->list[i].provider, provider) && slice_eq(at->list[i].name, name))
			return;
	}
	at->list[at->count++] = (struct policy_condition){provider, name};
}

static void compile_conditions(struct compiler *c, const struct ss_rule *r)
{
	static const struct slice none;
	struct slice provider = r->jwt_provider;

	for (uint32_t i = 0; i < r->header_count; i++) {
		const struct ss_header_match *m = &r->headers[i];

		note_condition(&c->to->headers[i], none, m->name);
		if (m->value_count == 0)
			add(c, (struct rule_key){SPACE_HEADER_ANY, i, {m->name}});
		else if (r->action == RULE_DENY)
			add(c, (struct rule_key){SPACE_HEADER_DENIED, i, {m->name}});
		for (uint32_t k = 0; k < m->value_count; k++)
			add(c, (struct rule_key){SPACE_HEADER, i, {m->name, m->values[k]}});
	}
	for (uint32_t i = 0; i < r->claim_count; i++) {
		const struct ss_claim_match *m = &r->claims[i];

		note_condition(&c->to->claims[i], provider, m->name);
		if (m->value_count == 0)
			add(c, (struct rule_key){SPACE_CLAIM_ANY, i, {provider, m->name}});
		for (uint32_t k = 0; k < m->value_count; k++)
			add(c,
			    (struct rule_key){SPACE_CLAIM, i, {provider, m->name, m->values[k]}});
	}
	for (uint32_t i = 0; i < r->scope_count; i++) {
		note_condition(&c->to->scopes[i], provider, none);
		add(c, (struct rule_key){SPACE_SCOPE, i, {provider, r->scopes[i]}});
	}
}

static void compile_open(struct compiler *c, const struct ss_rule *r)
{
	const bool open[COLUMN_COUNT] = {
		[COLUMN_SOURCE] = r->source_count == 0,
		[COLUMN_CIDR] = r->client_cidr_count == 0,
		[COLUMN_PORT] = r->port_count == 0,
		[COLUMN_METHOD] = r->method_count == 0,
		[COLUMN_PATH] = r->path_count == 0,
		[COLUMN_HOST] = r->host_count == 0,
		[COLUMN_PROVIDER] = r->jwt_provider.len == 0,
	};
	struct policy_set *to = c->to;

	set_bit(&to->every, c->rule);
	for (int i = 0; i < COLUMN_COUNT; i++) {
		to->used[i] |= !open[i];
		if (open[i])
			set_bit(&to->open[i], c->rule);
	}
	for (uint32_t i = r->header_count; i < to->header_count; i++)
		set_bit(&to->headers[i].open, c->rule);
	for (uint32_t i = r->claim_count; i < to->claim_count; i++)
		set_bit(&to->claims[i].open, c->rule);
	for (uint32_t i = r->scope_count; i < to->scope_count; i++)
		set_bit(&to->scopes[i].open, c->rule);
}

static void compile_effect(struct compiler *c, const struct ss_rule *r)
{
	struct policy_set *to = c->to;
	bool audit = r->mode == MODE_AUDIT;

	to->audits |= audit;
	if (rule_reads_request(r))
		set_bit(&to->reads_request, c->rule);
	if (r->action == RULE_ALLOW) {
		set_bit(&to->allow_all, c->rule);
		if (!audit)
			set_bit(&to->allow, c->rule);
		return;
	}
	set_bit(&to->deny_all, c->rule);
	set_bit(audit ? &to->deny_audit : &to->deny, c->rule);
	if (!audit && r->client_cidr_count > 0 && r->source_count == 0 && !rule_reads_request(r)) {
		set_bit(&to->address, c->rule);
		to->has_address = true;
	}
}

static enum err compile_set(struct compiler *c)
{
	struct policy_set *to = c->to;
	struct size size = {0};
	enum err err = measure(c, &size);

	if (err == ERR_OK)
		err = make_index(c, &size);
	if (err != ERR_OK)
		return err;
	make_tables(c);
	for (c->rule = 0; c->rule < to->count && c->err == ERR_OK; c->rule++) {
		const struct ss_rule *r = &to->source[c->rule];

		compile_open(c, r);
		compile_effect(c, r);
		compile_sources(c, r);
		compile_connection(c, r);
		compile_request(c, r);
		compile_conditions(c, r);
	}
	return c->err;
}

enum err policy_set_compile(const struct ss_rule *rules, uint32_t count, struct arena *a,
			    const struct policy_set **out)
{
	struct policy_set *to = arena_alloc(a, 1, sizeof(*to));
	struct compiler c = {.to = to, .arena = a};
	enum err err;

	if (!to)
		return ERR_NOMEM;
	if (count > SNAPSHOT_RULES_PER_POLICY_MAX)
		return ERR_TOO_LARGE;
	to->source = rules;
	to->count = count;
	arena_init(&c.scratch, READINGS_ARENA_BYTES);
	err = compile_set(&c);
	arena_deinit(&c.scratch);
	if (err == ERR_OK)
		*out = to;
	return err;
}

// ---- policies ----------------------------------------------------------------------------------

static uint32_t bits_below(uint32_t count)
{
	return count >= 32 ? UINT32_MAX : (1u << count) - 1;
}

// A group may ask for tokens of the policy's own providers only; a rule may belong to its own groups only.
static enum err policy_check(const struct ss_policy *p)
{
	if (p->rule_count > SNAPSHOT_RULES_PER_POLICY_MAX ||
	    p->group_count > SNAPSHOT_GROUPS_PER_POLICY_MAX ||
	    p->provider_count > POLICY_PROVIDERS_MAX || p->set_count > SNAPSHOT_SETS_PER_POLICY_MAX)
		return ERR_TOO_LARGE;
	for (uint32_t i = 0; i < p->group_count; i++) {
		if (p->groups[i].providers & ~bits_below(p->provider_count))
			return ERR_MALFORMED;
	}
	for (uint32_t i = 0; i < p->rule_count; i++) {
		if (p->rules[i].groups & ~bits_below(p->group_count))
			return ERR_MALFORMED;
	}
	for (uint32_t i = 0; i < p->set_count; i++) {
		if ((p->sets[i].groups & ~bits_below(p->group_count)) ||
		    (p->sets[i].providers & ~bits_below(p->provider_count)))
			return ERR_MALFORMED;
	}
	return ERR_OK;
}

// Of the rules from there on, how many belong to the same groups.
static uint32_t same_groups(const struct ss_policy *p, uint32_t at)
{
	uint32_t n = 1;

	while (at + n < p->rule_count && p->rules[at + n].groups == p->rules[at].groups)
		n++;
	return n;
}

static void add_part(struct policy *to, struct policy_part part)
{
	to->parts[to->part_count++] = part;
	to->has_address |= part.set->has_address;
	to->audits |= part.set->audits;
}

static struct policy *make_policy(const struct ss_policy *p, struct arena *a, uint32_t parts)
{
	struct policy *to = arena_alloc(a, 1, sizeof(*to));

	if (!to)
		return NULL;
	to->source = p;
	to->parts = arena_alloc(a, parts, sizeof(*to->parts));
	for (uint32_t i = 0; i < p->group_count; i++)
		to->audits |= p->groups[i].default_mode == MODE_AUDIT;
	return to->parts ? to : NULL;
}

enum err policy_compile(const struct ss_policy *p, struct arena *a, const struct policy **out)
{
	enum err err = policy_check(p);
	uint32_t runs = 0, i, n;
	struct policy *to;

	if (err != ERR_OK)
		return err;
	for (i = 0; i < p->rule_count; i += same_groups(p, i))
		runs++;
	to = make_policy(p, a, runs);
	if (!to)
		return ERR_NOMEM;
	for (i = 0; i < p->rule_count; i += n) {
		struct policy_part part = {.groups = p->rules[i].groups};

		n = same_groups(p, i);
		err = policy_set_compile(&p->rules[i], n, a, &part.set);
		if (err != ERR_OK)
			return err;
		add_part(to, part);
	}
	*out = to;
	return ERR_OK;
}

enum err policy_link(const struct policy *own, const struct policy_set *const *sets,
		     struct arena *a, const struct policy **out)
{
	const struct ss_policy *p = own->source;
	struct policy *to = make_policy(p, a, own->part_count + p->set_count);

	if (!to)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < own->part_count; i++)
		add_part(to, own->parts[i]);
	for (uint32_t i = 0; i < p->set_count; i++)
		add_part(to, (struct policy_part){.set = sets[i],
						  .groups = p->sets[i].groups,
						  .providers = p->sets[i].providers,
						  .by_name = true});
	*out = to;
	return ERR_OK;
}
