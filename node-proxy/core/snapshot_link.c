// SPDX-License-Identifier: GPL-3.0-or-later
// Policies of a snapshot: from the rules of their sets, to the workloads that they cover; see snapshot_link.h.
#include "core/snapshot_link.h"

static const struct policy *find_policy(const struct snapshot *s, struct slice id)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&s->policy_by_id, hash_bytes(id, 0), &at, &i)) {
		if (slice_eq(s->policies[i]->record.id, id))
			return s->linked[i];
	}
	return NULL;
}

static const struct snapshot_rule_set *find_rule_set(const struct snapshot *s, struct slice id)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&s->rule_set_by_id, hash_bytes(id, 0), &at, &i)) {
		if (slice_eq(s->rule_sets[i]->record.id, id))
			return s->rule_sets[i];
	}
	return NULL;
}

// Rules that this version cannot read may be Deny rules.
static enum err refuse_policy(struct snapshot *s, uint32_t i)
{
	struct ss_policy *p = arena_alloc(&s->arena, 1, sizeof(*p));

	if (!p)
		return ERR_NOMEM;
	*p = (struct ss_policy){.id = s->policies[i]->record.id,
				.needs_l7 = true,
				.broken = SLICE_LIT("its rules cannot be read here")};
	return policy_compile(p, &s->arena, &s->linked[i]);
}

// A policy with its sets, in this snapshot's arena: both lie in sections that other generations share.
static enum err link_policy(struct snapshot *s, uint32_t i, struct reason *why)
{
	const struct policy *own = s->policies[i]->compiled;
	const struct ss_policy *p = &s->policies[i]->record;
	const struct policy_set *sets[SNAPSHOT_SETS_PER_POLICY_MAX];

	hash_index_insert(&s->policy_by_id, hash_bytes(p->id, 0), i);
	s->linked[i] = own;
	if (p->set_count == 0)
		return ERR_OK;
	for (uint32_t k = 0; k < p->set_count; k++) {
		const struct snapshot_rule_set *set = find_rule_set(s, p->sets[k].set_id);

		if (set && !set->compiled)
			return refuse_policy(s, i);
		sets[k] = set ? set->compiled : NULL;
		if (!sets[k])
			return err_because(ERR_MALFORMED, why,
					   "policy %.*s names rule set %.*s, which is not there",
					   SLICE_ARG(p->id), SLICE_ARG(p->sets[k].set_id));
	}
	return policy_link(own, sets, &s->arena, &s->linked[i]) == ERR_OK
		       ? ERR_OK
		       : err_because(ERR_NOMEM, why, "snapshot is too large");
}

// The compiled policies lie in their sections, the pointers to them in this snapshot's arena: a
// workload section that did not change is shared, its policies need not be.
static enum err link_workload(struct snapshot *s, uint32_t i, struct reason *why)
{
	struct workload *w = arena_alloc(&s->arena, 1, sizeof(*w));
	uint32_t count = s->workloads[i]->record.policy_count;
	const struct policy **policies = arena_alloc(&s->arena, count, sizeof(*policies));

	if (!w || !policies)
		return err_because(ERR_NOMEM, why, "snapshot is too large");
	w->record = s->workloads[i]->record;
	w->policies = policies;
	s->workloads[i] = w;
	for (uint32_t k = 0; k < count; k++) {
		const struct policy *p = find_policy(s, w->record.policies[k].policy_id);

		if (!p)
			return err_because(ERR_MALFORMED, why,
					   "pod %.*s/%.*s names policy %.*s, "
					   "which is not there",
					   SLICE_ARG(w->record.namespace),
					   SLICE_ARG(w->record.name),
					   SLICE_ARG(w->record.policies[k].policy_id));
		policies[k] = p;
	}
	return ERR_OK;
}

enum err snapshot_link_policies(struct snapshot *s, struct reason *why)
{
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < s->rule_set_count; i++)
		hash_index_insert(&s->rule_set_by_id, hash_bytes(s->rule_sets[i]->record.id, 0), i);
	for (uint32_t i = 0; i < s->policy_count && err == ERR_OK; i++)
		err = link_policy(s, i, why);
	for (uint32_t i = 0; i < s->workload_count && err == ERR_OK; i++)
		err = link_workload(s, i, why);
	return err;
}

static enum err verify_policy(const struct snapshot *s, const struct ss_policy *p,
			      struct reason *why)
{
	for (uint32_t i = 0; i < p->provider_count; i++) {
		if (!snapshot_provider(s, p->provider_ids[i]))
			return err_because(ERR_MALFORMED, why,
					   "policy %.*s names JWT provider %.*s, "
					   "which is not there",
					   SLICE_ARG(p->id), SLICE_ARG(p->provider_ids[i]));
	}
	for (uint32_t i = 0; i < p->limit_count; i++) {
		if (!snapshot_limit(s, p->limit_ids[i]))
			return err_because(ERR_MALFORMED, why,
					   "policy %.*s names limit %.*s, which "
					   "is not there",
					   SLICE_ARG(p->id), SLICE_ARG(p->limit_ids[i]));
	}
	return ERR_OK;
}

enum err snapshot_verify_policies(const struct snapshot *s, struct reason *why)
{
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < s->policy_count && err == ERR_OK; i++)
		err = verify_policy(s, &s->policies[i]->record, why);
	return err;
}
