// SPDX-License-Identifier: GPL-3.0-or-later
// What is settled when all levels have been joined: in which groups the sets of rules count and what their
// names of providers mean there, what tokens the groups ask for; and the record. See effective.h.
#include <stdio.h>
#include "common/snapshot_codec.h"
#include "compile/effective.h"

// ---- providers ---------------------------------------------------------------------------------

// The provider of this name among those; INDEX_NONE: none.
static uint32_t provider_named(const struct effective *e, uint32_t bits, struct slice name)
{
	for (uint32_t i = 0; i < e->out.provider_count; i++) {
		if ((bits & (1u << i)) && slice_eq(e->provider_names[i], name))
			return i;
	}
	return INDEX_NONE;
}

// Those of the groups in which all names of a statement mean what they mean in the first of them.
static uint32_t groups_meaning_the_same(const struct effective *e, const struct statement *says,
					uint32_t groups)
{
	uint32_t first = e->ways[__builtin_ctz(groups)].providers, same = groups;

	for (uint32_t g = 0; g < e->out.group_count; g++) {
		uint32_t here = e->ways[g].providers;

		for (uint32_t i = 0; (groups & (1u << g)) && here != first && i < says->name_count;
		     i++) {
			if (provider_named(e, here, says->names[i].name) !=
			    provider_named(e, first, says->names[i].name))
				same &= ~(1u << g);
		}
	}
	return same;
}

// Does a name mean two providers, in different groups?
static bool names_differ(const struct effective *e)
{
	for (uint32_t i = 0; i < e->out.provider_count; i++) {
		if (provider_named(e, UINT32_MAX, e->provider_names[i]) != i)
			return true;
	}
	return false;
}

static bool names_are_known(struct effective *e, const struct statement *says, uint32_t group)
{
	for (uint32_t i = 0; i < says->name_count; i++) {
		// What would only watch breaks nothing.
		if (says->names[i].audit ||
		    provider_named(e, e->ways[group].providers, says->names[i].name) != INDEX_NONE)
			continue;
		effective_break_at(e, says->names[i].policy,
				   "a rule names a JWT provider that the policy does not have");
		return false;
	}
	return true;
}

static bool add_set(struct effective *e, const struct statement *says, uint32_t groups,
		    uint32_t providers)
{
	if (e->out.set_count == PARTS_MAX) {
		effective_break_at(e, says->first,
				   "more targets with policies than a port of a pod may have");
		return false;
	}
	e->sets[e->out.set_count++] = (struct ss_set_ref){says->set_id, groups, providers};
	return true;
}

static void refer_part(struct effective *e, const struct effective_part *p, bool differ)
{
	const struct statement *says = p->says;
	uint32_t groups = effective_part_groups(e, p), same;

	if (says->name_count == 0) {
		(void)add_set(e, says, groups, 0);
		return;
	}
	for (; groups; groups &= ~same) {
		uint32_t first = (uint32_t)__builtin_ctz(groups);

		same = groups_meaning_the_same(e, says, groups);
		if (!names_are_known(e, says, first) ||
		    !add_set(e, says, same, differ ? e->ways[first].providers : 0))
			return;
	}
}

// The policy at which a part has more rules than there is room for.
static uint32_t policy_beyond(const struct effective *e, const struct effective_part *p,
			      uint32_t room)
{
	struct related policies = related_to(&e->c->index.class_policies, p->class);

	for (uint32_t i = 0; i < policies.count; i++) {
		const struct security_policy *at = e->c->model->policies.items[policies.items[i]];
		uint32_t rules = statement_spec(at, p->overrides)->rule_count;

		if (at->broken.len > 0)
			continue;
		if (rules > room)
			return policies.items[i];
		room -= rules;
	}
	return p->says->first;
}

void effective_refer(struct effective *e)
{
	uint32_t room = SNAPSHOT_RULES_PER_POLICY_MAX;
	bool differ = names_differ(e);

	for (uint32_t i = 0; i < e->part_count && e->out.broken.len == 0; i++) {
		const struct effective_part *p = &e->parts[i];

		if (p->says->rule_count > room)
			effective_break_at(e, policy_beyond(e, p, room),
					   "more rules than a port of a pod may have");
		else if (p->says->too_large)
			effective_break_at(e, p->says->first,
					   "more rules and values than a port of a pod may have");
		else if (p->says->rule_count > 0)
			refer_part(e, p, differ);
		room -= p->says->rule_count > room ? room : p->says->rule_count;
	}
	// What refuses everything asks nobody.
	if (e->out.broken.len > 0)
		e->out.set_count = 0;
}

// ---- tokens ------------------------------------------------------------------------------------

static bool way_is_optional(const struct effective_group *w)
{
	return w->any_optional && !w->any_required;
}

// Where all that ask ask for the same, the policy itself says it.
void effective_ask_tokens(struct effective *e)
{
	uint32_t all = e->out.provider_count == 32 ? UINT32_MAX : (1u << e->out.provider_count) - 1;
	const struct effective_group *first = NULL;
	bool differ = e->audits_token;

	e->out.jwt_optional = true;
	for (uint32_t g = 0; g < e->out.group_count; g++) {
		const struct effective_group *w = &e->ways[g];

		if (w->providers == 0 || (e->audit_twins & (1u << g)))
			continue;
		first = first ? first : w;
		e->out.jwt_optional &= way_is_optional(w);
		differ |= w->providers != all || way_is_optional(w) != way_is_optional(first);
	}
	e->out.jwt_optional = e->out.jwt_optional && first;
	if (first)
		e->out.jwt_policy = first->jwt_policy;
	for (uint32_t g = 0; g < e->out.group_count && differ; g++) {
		const struct effective_group *w = &e->ways[g];

		if (w->providers == 0 || ((e->audit_twins & (1u << g)) && !e->audits_token))
			continue;
		e->groups[g].providers = w->providers;
		e->groups[g].jwt_optional = way_is_optional(w);
		e->groups[g].jwt_policy = w->jwt_policy;
	}
}

// ---- the record --------------------------------------------------------------------------------

// What no node would take: it says so instead.
static void shorten(struct effective *e, const struct reason *why)
{
	char text[REASON_BYTES_MAX + 64];

	snprintf(text, sizeof(text), "what all policies of a port say together: %s", why->text);
	struct slice broken = arena_copy(e->c->arena, slice_str(text));

	if (!broken.ptr) {
		e->c->err = ERR_NOMEM;
		return;
	}
	e->out = (struct ss_policy){
		.needs_l7 = e->out.needs_l7,
		.broken = broken,
		.broken_policy = e->out.broken_policy,
	};
}

// The id is what the policy says: pods with equal policies share one record.
static bool put_once(struct effective *e, struct slice *id, struct reason *why)
{
	char hex[RECORD_ID_BYTES];
	bool taken;
	struct buf b;

	buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
	e->out.id = (struct slice){0};
	snapshot_encode_policy(&b, &e->out);
	e->out.id = *id = arena_copy(e->c->arena, compile_record_id(buf_slice(&b), hex));
	if (!compile_has(e->c, SECTION_POLICIES, *id)) {
		buf_reset(&b);
		snapshot_encode_policy(&b, &e->out);
	}
	taken = compile_put(e->c, SECTION_POLICIES, *id, &b, why);
	buf_deinit(&b);
	return taken;
}

static struct slice put_record(struct effective *e)
{
	struct reason why;
	struct slice id;

	if (put_once(e, &id, &why))
		return id;
	shorten(e, &why);
	if (!put_once(e, &id, &why))
		e->c->err = ERR_INTERNAL;
	return id;
}

struct slice effective_put(struct effective *e)
{
	bool any = e->out.broken.len > 0 || e->out.provider_count > 0 || e->out.limit_count > 0;

	for (uint32_t g = 0; g < e->out.group_count; g++)
		any |= e->ways[g].has_default;
	return any ? put_record(e) : (struct slice){0};
}
