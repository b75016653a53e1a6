// SPDX-License-Identifier: GPL-3.0-or-later
// The decision, in its order: CIDR Deny ▶ per-address limits ▶ JWT ▶ authorization ▶ shared limits; see
// decide.h. Asked by the data path and by `policy-sync explain` alike. Limits: decide_limits.c; tokens:
// decide_token.c; rules: core/policy.c.
#include "decide/decide.h"

#include "core/deny_view.h"
#include "decide/decide_limits.h"
#include "decide/decide_token.h"

const char *verdict_name(enum verdict v)
{
	static const char *const names[VERDICT_COUNT] = {
		[VERDICT_DENY] = "deny",
		[VERDICT_ALLOW] = "allow",
		[VERDICT_UNAUTHENTICATED] = "unauthenticated",
		[VERDICT_LIMITED] = "limited",
		[VERDICT_BROKEN] = "broken",
		[VERDICT_NEEDS_L7] = "needs_l7",
		[VERDICT_MALFORMED] = "malformed",
	};

	return (unsigned int)v < VERDICT_COUNT ? names[v] : "invalid";
}

const char *decide_reason_name(enum decide_reason r)
{
	static const char *const names[DECIDE_REASON_COUNT] = {
		[DECIDE_NONE] = "none",
		[DECIDE_NO_POLICY] = "no_policy",
		[DECIDE_RULE_ALLOW] = "rule_allow",
		[DECIDE_RULE_DENY] = "rule_deny",
		[DECIDE_DEFAULT_ALLOW] = "default_allow",
		[DECIDE_DEFAULT_DENY] = "default_deny",
		[DECIDE_CIDR_DENY] = "cidr_deny",
		[DECIDE_RATE_LIMIT] = "rate_limit",
		[DECIDE_JWT] = "jwt",
		[DECIDE_POLICY_INVALID] = "policy_invalid",
		[DECIDE_UNKNOWN_SOURCE] = "unknown_source",
		[DECIDE_TARGET] = "target",
	};

	return (unsigned int)r < DECIDE_REASON_COUNT ? names[r] : "invalid";
}

uint16_t decide_status(const struct decision *d)
{
	switch (d->verdict) {
	case VERDICT_UNAUTHENTICATED:
		return 401;
	case VERDICT_LIMITED:
		return 429;
	case VERDICT_BROKEN:
		return 500;
	case VERDICT_MALFORMED:
		return 400;
	case VERDICT_DENY:
	case VERDICT_NEEDS_L7:
		return 403;
	case VERDICT_ALLOW:
	case VERDICT_COUNT:
		break;
	}
	return 0;
}

static void decide_as(struct decision *out, enum verdict v, enum decide_reason r,
		      struct slice policy, struct slice rule)
{
	out->verdict = v;
	out->reason = r;
	out->policy = policy;
	out->rule = rule;
}

// What holds whatever is asked: false if the decision has been made.
static bool decide_open(const struct decide_subject *s, const struct policy_input *in,
			struct decision *out)
{
	static const struct slice none;

	memset(out, 0, sizeof(*out));
	if (in->source->type == PRINCIPAL_UNKNOWN) {
		decide_as(out, VERDICT_DENY, DECIDE_UNKNOWN_SOURCE, none, none);
		return false;
	}
	if (!s->policy) {
		decide_as(out, VERDICT_ALLOW, DECIDE_NO_POLICY, none, none);
		return false;
	}
	return true;
}

static bool decide_broken(const struct ss_policy *p, struct decision *out)
{
	if (p->broken.len == 0)
		return false;
	decide_as(out, VERDICT_BROKEN, DECIDE_POLICY_INVALID, p->broken_policy, (struct slice){0});
	return true;
}

static void audited_by(const struct policy_answer *a, struct decision *out)
{
	out->would_deny = true;
	out->audit_policy = a->audit_policy;
	out->audit_rule = a->audit_rule;
}

static void decide_by(const struct policy_answer *a, struct decision *out)
{
	out->verdict = a->action == RULE_ALLOW ? VERDICT_ALLOW : VERDICT_DENY;
	if (a->rule.len > 0)
		out->reason = a->action == RULE_ALLOW ? DECIDE_RULE_ALLOW : DECIDE_RULE_DENY;
	else
		out->reason = a->action == RULE_ALLOW ? DECIDE_DEFAULT_ALLOW : DECIDE_DEFAULT_DENY;
	out->policy = a->policy;
	out->rule = a->rule;
	out->target = a->target;
	if (a->would_deny) // a shadow limit may have spoken
		audited_by(a, out);
}

// One more reading: the strictest answer counts, the first of those.
static void decide_also(const struct policy_answer *a, const struct policy_input *in,
			struct decision *out)
{
	if (a->action == RULE_DENY) {
		decide_by(a, out);
		out->reading = in->path_steps;
	} else if (a->would_deny && !out->would_deny) {
		audited_by(a, out);
	}
}

// Once for each other reading; false: refused.
static bool decide_readings(const struct policy *p, const struct policy_input *in,
			    const struct path_readings *all, uint32_t first, struct decision *out)
{
	struct policy_input one = *in;
	struct policy_answer a;

	for (uint32_t i = first; i < all->count && out->verdict == VERDICT_ALLOW; i++) {
		one.path = all->list[i].path;
		one.path_sent = in->path;
		one.path_steps = all->list[i].steps;
		policy_evaluate(p, &one, &a);
		decide_also(&a, &one, out);
	}
	return out->verdict == VERDICT_ALLOW;
}

// What a request may have of readings, whatever they are of.
struct readings_left {
	uint32_t count;
	size_t bytes;
};

// The share that has been taken, in READINGS_MAX parts.
static uint32_t readings_taken(const struct readings_left *left)
{
	size_t bytes = (READINGS_BYTES_MAX - left->bytes) / (READINGS_BYTES_MAX / READINGS_MAX);
	uint32_t count = READINGS_MAX - left->count;

	return count > bytes ? count : (uint32_t)bytes;
}

static void readings_take(struct readings_left *left, const struct path_readings *all)
{
	left->count -= all->count;
	for (uint32_t i = 0; i < all->count; i++)
		left->bytes -= all->list[i].path.len;
}

// False: it cannot be read, or there is too much to read; nothing is left then.
static bool readings_within(const struct decide_context *c, struct readings_left *left,
			    struct path_reading *plain, struct path_readings *all)
{
	enum path_form form = path_form(plain->path);

	*all = (struct path_readings){plain, 1};
	if (left->count == 0 || left->bytes < plain->path.len || form == PATH_MALFORMED ||
	    (form == PATH_ODD &&
	     readings_of(plain->path, left->count, left->bytes, c->arena, all) != ERR_OK)) {
		*left = (struct readings_left){0};
		return false;
	}
	readings_take(left, all);
	return true;
}

// False: refused. A path that cannot be read is unknown.
static bool decide_other_target(const struct decide_context *c, const struct policy *p,
				const struct policy_input *in, struct readings_left *left,
				struct decision *out)
{
	static const struct path_reading unknown;
	struct path_reading plain = {in->path, 0};
	struct path_readings all;
	struct policy_input other = *in;

	if (!readings_within(c, left, &plain, &all)) {
		all = (struct path_readings){&unknown, 1};
		other.path = unknown.path;
	}
	return decide_readings(p, &other, &all, 0, out);
}

// Some servers take a field for the target: what is denied there is denied. Behind an unknown one no other need
// be looked at: no path is denied by more rules.
static void decide_other_targets(const struct decide_context *c, const struct policy *p,
				 const struct policy_input *in, struct decision *out)
{
	struct readings_left left = {READINGS_MAX, READINGS_BYTES_MAX};
	struct policy_input other = *in;
	struct slice name, value;
	const char *which;

	if (in->readings)
		readings_take(&left, in->readings);
	other.deny_only = true;
	for (uint32_t i = 0; left.count > 0 && in->field(in->headers, i, &name, &value); i++) {
		if (!deny_overrides_target(name, &which))
			continue;
		if (!other.rest)
			other.rest = policy_rest_of(p, in, c->arena);
		other.path = deny_target_path(value);
		// Without room to keep what is left, one evaluation is what there is.
		if (!other.rest)
			other.path = (struct slice){0};
		if (!decide_other_target(c, p, &other, &left, out)) {
			out->field = which;
			break;
		}
	}
	out->readings = readings_taken(&left);
}

static void decide_authorization(const struct decide_context *c, const struct policy *p,
				 struct policy_input *in, struct decision *out)
{
	static const struct slice none;
	struct policy_answer a;

	if (in->readings && !(in->rest = policy_rest_of(p, in, c->arena))) {
		decide_as(out, VERDICT_MALFORMED, DECIDE_TARGET, none, none);
		return;
	}
	policy_evaluate(p, in, &a);
	decide_by(&a, out);
	if (in->readings && !decide_readings(p, in, in->readings, 1, out))
		return;
	if (in->l7 && in->field && out->verdict == VERDICT_ALLOW && policy_denies_paths(p))
		decide_other_targets(c, p, in, out);
}

static bool decide_address(const struct policy *p, const struct policy_input *in,
			   struct decision *out)
{
	struct policy_answer a;

	if (!policy_denies_address(p, in, &a))
		return false;
	decide_as(out, VERDICT_DENY, DECIDE_CIDR_DENY, a.policy, a.rule);
	return true;
}

void decide_connection(const struct decide_context *c, const struct decide_subject *s,
		       const struct policy_input *in, struct decision *out)
{
	struct policy_input at_l4 = *in;

	at_l4.l7 = false;
	if (!decide_open(s, in, out))
		return;
	if (policy_source(s->policy)->needs_l7) {
		out->verdict = VERDICT_NEEDS_L7;
		return;
	}
	if (!decide_broken(policy_source(s->policy), out) &&
	    !decide_address(s->policy, &at_l4, out))
		decide_authorization(c, s->policy, &at_l4, out);
	if (decide_observes(s->policy)) {
		out->would_deny = false;
		out->audit_policy = out->audit_rule = (struct slice){0};
	}
}

// ---- the request -------------------------------------------------------------------------------

// What has to be proven by token, and who asks.
struct token_demand {
	uint32_t providers; // any of them
	bool optional;
	struct slice policy;
};

// False: refused.
static bool decide_demand(const struct ss_policy *p, const struct decide_tokens *t,
			  const struct token_demand *asked, struct decision *out)
{
	static const struct slice none;
	enum jwt_refusal refusal;

	if (t->accepted_by & asked->providers)
		return true;
	refusal = decide_tokens_refusal(t, p, asked->providers);
	out->jwt = refusal;
	if (t->unavailable & asked->providers) {
		decide_as(out, VERDICT_BROKEN, DECIDE_POLICY_INVALID, asked->policy, none);
		return false;
	}
	if (refusal == JWT_MISSING && asked->optional)
		return true;
	decide_as(out, VERDICT_UNAUTHENTICATED, DECIDE_JWT, asked->policy, none);
	return false;
}

// What a policy on trial asks for refuses nothing.
static void audit_demand(const struct ss_policy *p, const struct decide_tokens *t,
			 const struct token_demand *asked, struct decision *out)
{
	struct decision would = {0};

	if (out->would_deny || decide_demand(p, t, asked, &would))
		return;
	out->would_deny = true;
	out->audit_policy = asked->policy;
}

// Of several Services that select the pod each gets the token that it asks for.
static bool decide_jwt(const struct decide_context *c, const struct ss_policy *p,
		       const struct policy_input *in, struct decide_tokens *t, struct decision *out)
{
	struct token_demand asked = {UINT32_MAX, p->jwt_optional, p->jwt_policy};
	bool by_group = false;

	decide_tokens_verify(c, p, in, t);
	out->jwt = t->refusal;
	for (uint32_t i = 0; i < p->group_count; i++) {
		const struct ss_group *g = &p->groups[i];
		struct token_demand of_group = {g->providers, g->jwt_optional, g->jwt_policy};

		if (g->providers == 0)
			continue;
		by_group = true;
		if (g->default_mode == MODE_AUDIT)
			audit_demand(p, t, &of_group, out);
		else if (!decide_demand(p, t, &of_group, out))
			return false;
	}
	return by_group || decide_demand(p, t, &asked, out);
}

// Where none of the providers that are asked for has a key, no token can be judged, and none is no answer
// either.
static bool decide_keys_are_gone(const struct decide_context *c, const struct ss_policy *p,
				 const struct token_demand *asked, struct decision *out)
{
	bool any = false;

	for (uint32_t i = 0; i < p->provider_count && i < POLICY_PROVIDERS_MAX; i++) {
		const struct ss_provider *provider;

		if (!(asked->providers & (1u << i)))
			continue;
		provider = snapshot_provider(c->snapshot, p->provider_ids[i]);
		if (provider && provider->key_count > 0)
			return false;
		any = true;
	}
	if (!any || asked->optional)
		return false;
	decide_as(out, VERDICT_BROKEN, DECIDE_POLICY_INVALID, asked->policy, (struct slice){0});
	return true;
}

static bool decide_jwt_at_best(const struct decide_context *c, const struct ss_policy *p,
			       struct decision *out)
{
	struct token_demand asked = {UINT32_MAX, p->jwt_optional, p->jwt_policy};
	bool by_group = false;

	for (uint32_t i = 0; i < p->group_count; i++) {
		const struct ss_group *g = &p->groups[i];
		struct token_demand of_group = {g->providers, g->jwt_optional, g->jwt_policy};

		by_group |= g->providers != 0;
		if (g->default_mode != MODE_AUDIT && decide_keys_are_gone(c, p, &of_group, out))
			return false;
	}
	return by_group || !decide_keys_are_gone(c, p, &asked, out);
}

void decide_at_best(const struct decide_context *c, const struct decide_subject *s,
		    const struct policy_input *in, struct decision *out)
{
	struct policy_answer a;

	if (!decide_open(s, in, out))
		return;
	const struct ss_policy *p = policy_source(s->policy);

	if (decide_broken(p, out) || decide_address(s->policy, in, out) ||
	    !decide_jwt_at_best(c, p, out))
		return;
	policy_evaluate_at_best(s->policy, in, &a);
	decide_by(&a, out);
}

// Authentication and authorization; false: refused. in gets the tokens that were accepted.
static bool decide_caller(const struct decide_context *c, const struct policy *policy,
			  struct policy_input *in, struct decision *out)
{
	const struct ss_policy *p = policy_source(policy);
	struct decide_tokens tokens;

	tokens.found_count = tokens.accepted_count = 0;
	if (p->provider_count > 0 && !decide_jwt(c, p, in, &tokens, out))
		return false;
	if (tokens.accepted_count > 0) {
		in->token = tokens.accepted[0].jwt;
		in->token_provider = tokens.accepted[0].provider;
		in->token_name = tokens.accepted[0].name;
		in->token_number = tokens.accepted[0].number;
		in->more_tokens = &tokens.accepted[1];
		in->more_token_count = tokens.accepted_count - 1;
	}
	decide_authorization(c, policy, in, out);
	decide_tokens_keep(c, p, &tokens);
	return out->verdict == VERDICT_ALLOW;
}

// The usual path has one reading, and nobody may ask for any. False: there are too many.
static bool decide_read_path(const struct decide_context *c, const struct policy *p,
			     struct policy_input *in, struct path_readings *all,
			     struct decision *out)
{
	struct readings_left left = {READINGS_MAX, READINGS_BYTES_MAX};
	static const struct slice none;

	if (in->path_ordinary || path_form(in->path) != PATH_ODD ||
	    !(policy_reads_paths(p) || decide_limits_read_paths(c, policy_source(p), true)))
		return true;
	enum err err = readings_of(in->path, READINGS_MAX, READINGS_BYTES_MAX, c->arena, all);

	// What only watches goes by the path as it was sent.
	if (err != ERR_OK && !policy_enforces_paths(p) &&
	    !decide_limits_read_paths(c, policy_source(p), false)) {
		out->readings = READINGS_MAX;
		return true;
	}
	if (err != ERR_OK) {
		decide_as(out, VERDICT_MALFORMED, DECIDE_TARGET, none, none);
		out->readings = err == ERR_TOO_LARGE ? READINGS_MAX : 0;
		return false;
	}
	if (all->count > 1)
		in->readings = all;
	readings_take(&left, all);
	out->readings = readings_taken(&left);
	return true;
}

void decide_request(const struct decide_context *c, const struct decide_subject *s,
		    const struct policy_input *plain, struct decision *out)
{
	// One copy, which gets what is found on the way.
	struct policy_input in = *plain;
	struct decide_limits limits;
	struct path_readings all;

	in.readings = NULL;
	in.rest = NULL;
	in.token = NULL;
	in.more_token_count = 0;
	if (!decide_open(s, plain, out))
		return;
	if (decide_broken(policy_source(s->policy), out) || decide_address(s->policy, plain, out) ||
	    !decide_read_path(c, s->policy, &in, &all, out))
		return;
	if (!decide_limits_find(&limits, c, policy_source(s->policy), &in, out) ||
	    !decide_limits_ask(&limits, LIMITS_OF_ADDRESS, out))
		return;
	if (!decide_caller(c, s->policy, &in, out))
		decide_limits_spend(&limits, LIMITS_OF_ADDRESS);
	else if (decide_limits_ask(&limits, LIMITS_SHARED, out))
		decide_limits_take(&limits, out);
}

// ---- requests that pass anyway -----------------------------------------------------------------

bool decide_observes(const struct policy *p)
{
	return p && policy_source(p)->audits_l7 && !policy_source(p)->needs_l7;
}

static void unreadable_token(const struct ss_policy *p, struct decision *out)
{
	for (uint32_t g = 0; g < p->group_count && !out->would_deny; g++) {
		const struct ss_group *group = &p->groups[g];

		if (group->default_mode != MODE_AUDIT || group->providers == 0 ||
		    group->jwt_optional)
			continue;
		out->would_deny = true;
		out->audit_policy = group->jwt_policy;
	}
}

void decide_unreadable(const struct decide_context *c, const struct decide_subject *s,
		       const struct policy_input *in, struct decision *out)
{
	struct policy_input blind = *in;
	struct policy_answer a;

	memset(out, 0, sizeof(*out));
	if (!decide_observes(s->policy))
		return;
	blind.l7 = false;
	policy_evaluate(s->policy, &blind, &a);
	if (a.would_deny)
		audited_by(&a, out);
	unreadable_token(policy_source(s->policy), out);
	decide_limits_unreadable(c, policy_source(s->policy), out);
}

void decide_observed(const struct decide_context *c, const struct decide_subject *s,
		     const struct policy_input *in, struct decision *out)
{
	struct decision d;

	memset(out, 0, sizeof(*out));
	if (!decide_observes(s->policy))
		return;
	decide_request(c, s, in, &d);
	if (d.verdict == VERDICT_MALFORMED)
		decide_unreadable(c, s, in, out);
	out->readings = d.readings;
	if (!d.would_deny)
		return;
	out->would_deny = true;
	out->audit_policy = d.audit_policy;
	out->audit_rule = d.audit_rule;
}
