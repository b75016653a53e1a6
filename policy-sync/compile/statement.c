// SPDX-License-Identifier: GPL-3.0-or-later
// See statement.h.
#include "compile/statement.h"

#include <stdlib.h>
#include "common/snapshot_codec.h"

struct stating {
	struct compiler *c;
	struct statement *to;
	struct related policies;
	bool overrides;
};

// One more of each mode than a port may have, so that it is said.
#define STATED_PROVIDERS_MAX (2 * (SNAPSHOT_PROVIDERS_PER_POLICY_MAX + 1))

const struct policy_spec *statement_spec(const struct security_policy *p, bool overrides)
{
	return overrides ? &p->overrides : &p->spec;
}

static bool rule_reads_request(const struct ss_rule *r)
{
	return r->jwt_provider.len > 0 || r->claim_count || r->scope_count || r->header_count ||
	       r->method_count || r->path_count || r->host_count;
}

// What is on trial reads requests where they pass anyway.
static void state_l7(struct statement *to, bool enforce)
{
	to->needs_l7 |= enforce;
	to->audits_l7 |= !enforce;
}

static void note_first(uint32_t *first, uint32_t policy)
{
	if (*first == INDEX_NONE)
		*first = policy;
}

// ---- tokens ------------------------------------------------------------------------------------

static void state_providers(struct statement *to, uint32_t policy, const struct policy_spec *spec,
			    bool audit)
{
	for (uint32_t i = 0; i < spec->provider_count; i++) {
		struct slice name = spec->providers[i].name;
		uint32_t k = 0;

		while (k < to->provider_count && ((to->providers[k].audit && !audit) ||
						  !slice_eq(to->providers[k].provider->name, name)))
			k++;
		if (k == to->provider_count && k < STATED_PROVIDERS_MAX)
			to->providers[to->provider_count++] =
				(struct stated_provider){policy, &spec->providers[i], audit};
	}
}

static void state_jwt(struct statement *to, uint32_t policy, const struct security_policy *p,
		      const struct policy_spec *spec)
{
	bool audit = p->mode == MODE_AUDIT;

	if (!spec->has_jwt)
		return;
	state_l7(to, !audit);
	to->audits_token |= audit;
	for (uint32_t i = audit; i < 2; i++) {
		to->token_optional[i] |= spec->jwt_optional;
		to->token_required[i] |= !spec->jwt_optional;
		note_first(&to->asks[i], policy);
	}
	state_providers(to, policy, spec, audit);
}

static void state_name(struct statement *to, uint32_t policy, struct slice name, bool audit)
{
	for (uint32_t i = 0; i < to->name_count; i++) {
		if (!slice_eq(to->names[i].name, name))
			continue;
		if (to->names[i].audit && !audit)
			to->names[i] = (struct stated_name){policy, name, false};
		return;
	}
	// More than a port may have providers: one of them is missing, and that is said.
	if (to->name_count <= SNAPSHOT_PROVIDERS_PER_POLICY_MAX)
		to->names[to->name_count++] = (struct stated_name){policy, name, audit};
}

// ---- policies ----------------------------------------------------------------------------------

static void state_policy(struct statement *to, uint32_t number, const struct security_policy *p,
			 const struct policy_spec *spec)
{
	bool enforce = p->mode == MODE_ENFORCE;

	to->audits |= !enforce;
	if (p->broken.len > 0) {
		// What would only watch refuses nothing, not even when it is broken.
		if (enforce)
			note_first(&to->broken, number);
		to->needs_l7 |= enforce && p->means_requests;
		return;
	}
	state_jwt(to, number, p, spec);
	for (uint32_t audit = enforce ? 0 : 1; audit < 2; audit++) {
		if (spec->has_authorization || spec->has_jwt)
			note_first(&to->speaks[audit], number);
		if (spec->has_authorization)
			note_first(&to->decides[audit], number);
	}
	if (!spec->has_authorization)
		return;
	if (spec->rule_count > 0)
		note_first(&to->first, number);
	to->rule_count += spec->rule_count;
	for (uint32_t i = 0; i < spec->rule_count; i++) {
		if (rule_reads_request(&spec->rules[i]))
			state_l7(to, enforce);
		if (spec->rules[i].jwt_provider.len > 0)
			state_name(to, number, spec->rules[i].jwt_provider, !enforce);
	}
}

static bool make_rules(const struct stating *s, struct ss_rule *rules)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->policies.count; i++) {
		const struct security_policy *p = s->c->model->policies.items[s->policies.items[i]];
		const struct policy_spec *spec = statement_spec(p, s->overrides);

		for (uint32_t k = 0;
		     p->broken.len == 0 && spec->has_authorization && k < spec->rule_count; k++) {
			rules[n] = spec->rules[k];
			rules[n].policy = p->title;
			rules[n++].mode = p->mode;
		}
	}
	return n > 0;
}

// One record of all rules: what says the same has the same id.
static void put_rules(const struct stating *s)
{
	struct compiler *c = s->c;
	struct ss_rule_set set = {.rule_count = s->to->rule_count};
	char id[RECORD_ID_BYTES];
	struct reason why;
	struct buf b;

	set.rules = calloc(set.rule_count, sizeof(*set.rules));
	if (!set.rules) {
		c->err = ERR_NOMEM;
		return;
	}
	buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX - 64);
	if (make_rules(s, set.rules))
		snapshot_encode_rule_set(&b, &set);
	s->to->too_large = b.err != ERR_OK;
	set.id = compile_record_id(buf_slice(&b), id);
	if (!s->to->too_large && !compile_has(c, SECTION_RULE_SETS, set.id)) {
		buf_deinit(&b);
		buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
		snapshot_encode_rule_set(&b, &set);
		// Each policy by itself would be taken: they are too much together.
		s->to->too_large = !compile_put(c, SECTION_RULE_SETS, set.id, &b, &why);
	}
	s->to->set_id = arena_copy(c->arena, set.id);
	buf_deinit(&b);
	free(set.rules);
}

static void make_statement(const struct stating *s)
{
	struct statement *to = s->to;
	uint32_t room = SNAPSHOT_PROVIDERS_PER_POLICY_MAX + 1;

	to->first = to->broken = to->asks[0] = to->asks[1] = INDEX_NONE;
	to->speaks[0] = to->speaks[1] = to->decides[0] = to->decides[1] = INDEX_NONE;
	to->providers = arena_alloc(s->c->arena, STATED_PROVIDERS_MAX, sizeof(*to->providers));
	to->names = arena_alloc(s->c->arena, room, sizeof(*to->names));
	if (!to->providers || !to->names) {
		s->c->err = ERR_NOMEM;
		return;
	}
	for (uint32_t i = 0; i < s->policies.count; i++) {
		uint32_t number = s->policies.items[i];
		const struct security_policy *p = s->c->model->policies.items[number];

		state_policy(to, number, p, statement_spec(p, s->overrides));
	}
	if (to->rule_count > 0 && to->rule_count <= SNAPSHOT_RULES_PER_POLICY_MAX)
		put_rules(s);
}

const struct statement *statement_of(struct compiler *c, uint32_t class, bool overrides)
{
	uint32_t at = 2 * class + overrides;

	if (!c->statements) {
		c->statements = calloc(2u * c->index.class_count, sizeof(struct statement *));
		if (!c->statements)
			c->err = ERR_NOMEM;
	}
	if (c->err == ERR_OK && !c->statements[at]) {
		struct statement *made = arena_alloc(c->arena, 1, sizeof(*made));
		struct stating s = {c, made, related_to(&c->index.class_policies, class),
				    overrides};

		if (made)
			make_statement(&s);
		else
			c->err = ERR_NOMEM;
		c->statements[at] = made;
	}
	return c->err == ERR_OK ? c->statements[at] : NULL;
}

void statements_deinit(struct compiler *c)
{
	free(c->statements);
	c->statements = NULL;
}
