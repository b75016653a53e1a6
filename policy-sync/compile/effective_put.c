// SPDX-License-Identifier: GPL-3.0-or-later
// What is settled when all levels have been joined: which provider a rule means, what tokens the groups ask
// for; and the record. See effective.h.
#include "common/snapshot_codec.h"
#include "compile/effective.h"
#include "io/crypto.h"

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

// Those of the rule's groups in which its name means this provider.
static uint32_t groups_meaning(const struct effective *e, uint32_t groups, struct slice name,
			       uint32_t provider)
{
	uint32_t same = 0;

	for (uint32_t g = 0; g < e->out.group_count; g++) {
		if ((groups & (1u << g)) &&
		    provider_named(e, e->ways[g].providers, name) == provider)
			same |= 1u << g;
	}
	return same;
}

// What a rule's name means in its first group. A Deny rule of no group counts all the same.
static uint32_t first_meaning(const struct effective *e, uint32_t groups, struct slice name)
{
	if (groups == 0)
		return provider_named(e, UINT32_MAX, name);
	return provider_named(e, e->ways[__builtin_ctz(groups)].providers, name);
}

// A copy of the rule behind it; false: no room.
static bool split_rule(struct effective *e, uint32_t at)
{
	if (e->out.rule_count == SNAPSHOT_RULES_PER_POLICY_MAX)
		return false;
	memmove(&e->rules[at + 1], &e->rules[at], (e->out.rule_count - at) * sizeof(e->rules[0]));
	memmove(&e->rule_from[at + 1], &e->rule_from[at],
		(e->out.rule_count - at) * sizeof(e->rule_from[0]));
	e->out.rule_count++;
	return true;
}

void effective_name_providers(struct effective *e)
{
	for (uint32_t i = 0; i < e->out.rule_count && e->out.broken.len == 0; i++) {
		struct slice name = e->rules[i].jwt_provider;
		uint32_t groups = e->rules[i].groups, provider, same;

		if (name.len == 0)
			continue;
		provider = first_meaning(e, groups, name);
		if (provider == INDEX_NONE) {
			effective_break(
				e, &e->rule_from[i]->origin, e->rules[i].policy,
				"a rule names a JWT provider that the policy does not have");
			return;
		}
		same = groups_meaning(e, groups, name, provider);
		if (same != groups) {
			if (!split_rule(e, i)) {
				effective_break(e, &e->rule_from[i]->origin, e->rules[i].policy,
						"more rules than a port of a pod may have");
				return;
			}
			e->rules[i].groups = same;
			e->rules[i + 1].groups = groups & ~same; // its turn comes next
		}
		e->rules[i].jwt_provider = e->providers[provider];
	}
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
	bool differ = false;

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

		if (w->providers == 0 || (e->audit_twins & (1u << g)))
			continue;
		e->groups[g].providers = w->providers;
		e->groups[g].jwt_optional = way_is_optional(w);
		e->groups[g].jwt_policy = w->jwt_policy;
	}
}

// ---- the record --------------------------------------------------------------------------------

// Too large for a record: it says so instead.
static void shorten(struct effective *e, struct buf *b)
{
	if (e->out.rule_count > 0)
		effective_break(e, &e->rule_from[0]->origin, e->rules[0].policy,
				"more rules and values than a port of a pod may have");
	e->out = (struct ss_policy){
		.needs_l7 = e->out.needs_l7,
		.broken = SLICE_LIT("more rules and values than a port of a pod may have"),
		.broken_policy = e->out.rule_count > 0 ? e->rules[0].policy : e->out.broken_policy,
	};
	buf_deinit(b);
	buf_init_growing(b, SNAPSHOT_RECORD_BYTES_MAX);
	snapshot_encode_policy(b, &e->out);
}

// The id is what the policy says: pods with equal policies share one record.
static struct slice put_record(struct effective *e)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[32];
	char id[33] = "";
	struct buf b;

	buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX - 64);
	snapshot_encode_policy(&b, &e->out);
	if (b.err != ERR_OK)
		shorten(e, &b);
	crypto_sha256(buf_slice(&b), digest);
	for (int i = 0; i < 32; i++)
		id[i] = digits[i % 2 ? digest[i / 2] & 15 : digest[i / 2] >> 4];
	e->out.id = slice_make(id, 32);
	if (!compile_has(e->c, SECTION_POLICIES, e->out.id)) {
		buf_deinit(&b);
		buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
		snapshot_encode_policy(&b, &e->out);
		compile_put(e->c, SECTION_POLICIES, e->out.id, buf_slice(&b));
	}
	if (b.err != ERR_OK)
		e->c->err = b.err;
	buf_deinit(&b);
	return arena_copy(e->c->arena, slice_make(id, 32));
}

struct slice effective_put(struct effective *e)
{
	bool any = e->out.broken.len > 0 || e->out.provider_count > 0 || e->out.limit_count > 0;

	for (uint32_t g = 0; g < e->out.group_count; g++)
		any |= e->ways[g].has_default;
	return any ? put_record(e) : (struct slice){0};
}
