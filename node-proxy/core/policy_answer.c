// SPDX-License-Identifier: GPL-3.0-or-later
// What comes of the rules that match: the parts of a policy are asked in order, and a Deny of any of them is
// the last word; see policy.h. Which rules match is core/policy.c's.
#include "core/policy_match.h"

const struct ss_policy *policy_source(const struct policy *p)
{
	return p->source;
}

const struct ss_rule *policy_rule(const struct policy *p, uint32_t number)
{
	for (uint32_t i = 0; i < p->part_count; i++) {
		if (number < p->parts[i].set->count)
			return &p->parts[i].set->source[number];
		number -= p->parts[i].set->count;
	}
	return NULL;
}

static bool rule_reads_field(const struct ss_rule *r, struct http1_name name)
{
	for (uint32_t i = 0; i < r->header_count; i++) {
		if (http1_name_is(name, r->headers[i].name))
			return true;
	}
	return false;
}

bool policy_reads_field(const struct policy *p, struct http1_name name)
{
	for (uint32_t i = 0; i < p->part_count; i++) {
		const struct policy_set *set = p->parts[i].set;

		for (uint32_t k = 0; set->header_count > 0 && k < set->count; k++) {
			if (set->source[k].mode != MODE_AUDIT &&
			    rule_reads_field(&set->source[k], name))
				return true;
		}
	}
	return false;
}

bool policy_reads_paths(const struct policy *p)
{
	for (uint32_t i = 0; i < p->part_count; i++) {
		if (p->parts[i].set->reads_paths)
			return true;
	}
	return false;
}

bool policy_enforces_paths(const struct policy *p)
{
	for (uint32_t i = 0; i < p->part_count; i++) {
		if (p->parts[i].set->enforces_paths)
			return true;
	}
	return false;
}

bool policy_denies_paths(const struct policy *p)
{
	for (uint32_t i = 0; i < p->part_count; i++) {
		if (p->parts[i].set->denies_paths)
			return true;
	}
	return false;
}

// What the parts of a policy have said so far.
struct tally {
	const struct ss_rule *deny, *deny_audit, *allow; // the first of each
	uint32_t granted;				 // groups with an Allow
	uint32_t granted_audit;				 // where Audit rules count too
};

static void evaluation_of(struct evaluation *e, const struct policy_part *part)
{
	e->part = part;
	e->set = part->set;
	e->rest = NULL;
}

static void answer_rule(const struct ss_rule *r, struct policy_answer *out)
{
	out->action = r->action;
	out->policy = r->policy;
	out->rule = r->name;
}

// False: denied, and nobody else need be asked.
static bool tally_part(const struct evaluation *e, bool audits, struct tally *t)
{
	const struct ss_rule *allow;

	t->deny = policy_match_first(e, &e->set->deny);
	if (t->deny)
		return false;
	allow = e->part->groups ? policy_match_first(e, &e->set->allow) : NULL;
	if (allow)
		t->granted |= e->part->groups;
	if (!t->allow)
		t->allow = allow;
	if (!audits)
		return true;
	if (!t->deny_audit)
		t->deny_audit = policy_match_first(e, &e->set->deny_audit);
	if (policy_match_first(e, &e->set->allow_all))
		t->granted_audit |= e->part->groups;
	return true;
}

static void answer_enforced(const struct ss_policy *source, const struct policy_input *in,
			    const struct tally *t, struct policy_answer *out)
{
	if (t->deny) {
		answer_rule(t->deny, out);
		return;
	}
	for (uint32_t g = 0; g < source->group_count && !in->deny_only; g++) {
		const struct ss_group *group = &source->groups[g];

		if (t->granted & (1u << g) || group->default_action == RULE_ALLOW ||
		    group->default_mode == MODE_AUDIT)
			continue;
		out->action = RULE_DENY;
		out->policy = group->default_policy;
		out->target = group->target;
		return;
	}
	out->action = RULE_ALLOW;
	if (t->allow)
		answer_rule(t->allow, out);
	else if (source->group_count > 0)
		out->policy = source->groups[0].default_policy;
}

// What the Audit policies would have done, had they been enforced with the others.
static void answer_audited(const struct ss_policy *source, const struct policy_input *in,
			   const struct tally *t, struct policy_answer *out)
{
	if (t->deny_audit) {
		out->would_deny = true;
		out->audit_policy = t->deny_audit->policy;
		out->audit_rule = t->deny_audit->name;
		return;
	}
	for (uint32_t g = 0; g < source->group_count && !in->deny_only; g++) {
		const struct ss_group *group = &source->groups[g];

		if (group->default_mode != MODE_AUDIT || group->default_action != RULE_DENY ||
		    t->granted_audit & (1u << g))
			continue;
		out->would_deny = true;
		out->audit_policy = group->default_policy;
		return;
	}
}

static void ask_parts(const struct policy *p, const struct policy_input *in,
		      void (*match)(struct evaluation *e), bool audits, struct tally *t)
{
	struct evaluation e;
	bool open = true;

	e.in = in;
	for (uint32_t i = 0; i < p->part_count && open; i++) {
		evaluation_of(&e, &p->parts[i]);
		e.rest = in->rest ? in->rest->parts[i] : NULL;
		match(&e);
		open = tally_part(&e, audits, t);
	}
}

// A set costs as much as it has members.
static const uint64_t *rest_keep(const struct rule_bits *rules, struct arena *a)
{
	uint32_t n = 0;
	uint64_t *kept =
		arena_alloc(a, 1 + (size_t)__builtin_popcountll(rules->live), sizeof(*kept));

	if (!kept)
		return NULL;
	kept[n++] = rules->live;
	for (uint64_t left = rules->live; left; left &= left - 1)
		kept[n++] = rules->words[__builtin_ctzll(left)];
	return kept;
}

const struct policy_rest *policy_rest_of(const struct policy *p, const struct policy_input *in,
					 struct arena *a)
{
	struct policy_rest *rest = arena_alloc(a, 1, sizeof(*rest));
	struct evaluation e;
	bool kept = rest != NULL;

	if (rest)
		rest->parts = arena_alloc(a, p->part_count, sizeof(*rest->parts));
	kept = kept && (rest->parts || p->part_count == 0);
	e.in = in;
	for (uint32_t i = 0; kept && i < p->part_count; i++) {
		evaluation_of(&e, &p->parts[i]);
		policy_match_but_path(&e);
		rest->parts[i] = rest_keep(&e.rules, a);
		kept = rest->parts[i] != NULL;
	}
	return kept ? rest : NULL;
}

void policy_evaluate(const struct policy *p, const struct policy_input *in,
		     struct policy_answer *out)
{
	struct tally t = {0};

	memset(out, 0, sizeof(*out));
	ask_parts(p, in, policy_match_rules, p->audits, &t);
	answer_enforced(p->source, in, &t, out);
	if (p->audits && out->action == RULE_ALLOW)
		answer_audited(p->source, in, &t, out);
}

void policy_evaluate_at_best(const struct policy *p, const struct policy_input *in,
			     struct policy_answer *out)
{
	struct tally t = {0};

	memset(out, 0, sizeof(*out));
	ask_parts(p, in, policy_match_at_best, false, &t);
	answer_enforced(p->source, in, &t, out);
}

bool policy_denies_address(const struct policy *p, const struct policy_input *in,
			   struct policy_answer *out)
{
	const struct ss_rule *rule = NULL;
	struct evaluation e;

	if (!p->has_address)
		return false;
	e.in = in;
	for (uint32_t i = 0; i < p->part_count && !rule; i++) {
		evaluation_of(&e, &p->parts[i]);
		if (!e.set->has_address)
			continue;
		policy_match_address(&e);
		rule = policy_match_first(&e, &e.set->address);
	}
	if (!rule)
		return false;
	memset(out, 0, sizeof(*out));
	answer_rule(rule, out);
	return true;
}
