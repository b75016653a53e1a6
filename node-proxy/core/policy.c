// SPDX-License-Identifier: GPL-3.0-or-later
// Evaluation of an effective policy; see policy.h for its meaning. Rules are those that cover one port
// of one pod: the number of policies in the cluster does not matter here.
#include "core/policy.h"

#include "core/cidr.h"
#include "core/match.h"

// How well a rule's part fits: in doubt (unknown) a Deny counts and an Allow does not.
enum fit { FIT_NO = 0, FIT_UNKNOWN, FIT_YES };

struct policy_rule {
	const struct ss_rule *rule;
	struct cidr_set *clients;
	bool reads_request;
	bool only_clients; // nothing but CIDRs (and ports): judged before all else
};

struct policy {
	const struct ss_policy *source;
	bool reads_token;
	bool audits; // a rule or default is in Audit mode
	uint32_t count;
	struct policy_rule rules[];
};

const struct ss_policy *policy_source(const struct policy *p)
{
	return p->source;
}

bool policy_reads_token(const struct policy *p)
{
	return p->reads_token;
}

enum err policy_compile(const struct ss_policy *p, struct arena *a, const struct policy **out)
{
	struct policy *c = arena_alloc(a, 1, sizeof(*c) + p->rule_count * sizeof(c->rules[0]));

	if (!c)
		return ERR_NOMEM;
	c->source = p;
	c->count = p->rule_count;
	for (uint32_t i = 0; i < p->group_count; i++)
		c->audits |= p->groups[i].default_mode == MODE_AUDIT;
	for (uint32_t i = 0; i < p->rule_count; i++) {
		const struct ss_rule *r = &p->rules[i];
		struct policy_rule *to = &c->rules[i];
		bool reads_token = r->jwt_provider.len > 0 || r->claim_count || r->scope_count;

		for (uint32_t k = 0; k < r->path_count; k++) {
			if (r->paths[k].type == PATH_REGEX)
				return ERR_UNSUPPORTED;
		}
		if (cidr_set_build(a, r->client_cidrs, r->client_cidr_count, &to->clients) != ERR_OK)
			return ERR_NOMEM;
		to->rule = r;
		to->reads_request = reads_token || r->header_count || r->method_count ||
				    r->path_count || r->host_count;
		to->only_clients = r->client_cidr_count && !to->reads_request && !r->source_count;
		c->reads_token |= reads_token;
		c->audits |= r->mode == MODE_AUDIT;
	}
	*out = c;
	return ERR_OK;
}

// ---- one rule ----------------------------------------------------------------------------------

static bool any_text(const struct slice *list, uint32_t count, struct slice value)
{
	for (uint32_t i = 0; i < count; i++) {
		if (slice_eq(list[i], value))
			return true;
	}
	return false;
}

static bool connection_fits(const struct policy_rule *c, const struct policy_input *in)
{
	const struct ss_rule *r = c->rule;
	bool port = r->port_count == 0, source = r->source_count == 0;

	for (uint32_t i = 0; i < r->port_count && !port; i++)
		port = r->ports[i] == in->port;
	for (uint32_t i = 0; i < r->source_count && !source; i++)
		source = identity_source_matches(&r->sources[i], in->source);
	return port && source &&
	       (r->client_cidr_count == 0 || cidr_set_contains(c->clients, in->client));
}

static bool token_fits(const struct ss_rule *r, const struct policy_input *in)
{
	if (r->jwt_provider.len == 0 && r->claim_count == 0 && r->scope_count == 0)
		return true;
	if (!in->token || (r->jwt_provider.len > 0 && !slice_eq(r->jwt_provider, in->token_provider)))
		return false;
	for (uint32_t i = 0; i < r->claim_count; i++) {
		if (!jwt_claim_matches(in->token, &r->claims[i]))
			return false;
	}
	for (uint32_t i = 0; i < r->scope_count; i++) {
		if (!jwt_has_scope(in->token, r->scopes[i]))
			return false;
	}
	return true;
}

static bool headers_fit(const struct ss_rule *r, const struct policy_input *in)
{
	for (uint32_t i = 0; i < r->header_count; i++) {
		const struct ss_header_match *m = &r->headers[i];
		struct slice value;

		if (!in->header(in->headers, m->name, &value) ||
		    (m->value_count > 0 && !any_text(m->values, m->value_count, value)))
			return false;
	}
	return true;
}

static bool request_fits(const struct ss_rule *r, const struct policy_input *in)
{
	bool path = r->path_count == 0, host = r->host_count == 0;

	if (r->method_count > 0 && !any_text(r->methods, r->method_count, in->method))
		return false;
	for (uint32_t i = 0; i < r->path_count && !path; i++)
		path = path_match(&r->paths[i], in->path);
	for (uint32_t i = 0; i < r->host_count && !host; i++)
		host = host_match(r->hosts[i], in->host);
	return path && host && headers_fit(r, in) && token_fits(r, in);
}

static enum fit rule_fit(const struct policy_rule *c, const struct policy_input *in)
{
	if (!connection_fits(c, in))
		return FIT_NO;
	if (!c->reads_request)
		return FIT_YES;
	if (!in->l7)
		return FIT_UNKNOWN;
	return request_fits(c->rule, in) ? FIT_YES : FIT_NO;
}

// ---- all of them -------------------------------------------------------------------------------

static bool counts(enum enforcement_mode mode, bool with_audit)
{
	return mode == MODE_ENFORCE || with_audit;
}

static const struct policy_rule *first_deny(const struct policy *p, const struct policy_input *in,
					    bool with_audit)
{
	for (uint32_t i = 0; i < p->count; i++) {
		const struct ss_rule *r = p->rules[i].rule;

		if (r->action == RULE_DENY && counts(r->mode, with_audit) &&
		    rule_fit(&p->rules[i], in) != FIT_NO)
			return &p->rules[i];
	}
	return NULL;
}

static const struct policy_rule *first_allow(const struct policy *p, const struct policy_input *in,
					     uint32_t group, bool with_audit)
{
	for (uint32_t i = 0; i < p->count; i++) {
		const struct ss_rule *r = p->rules[i].rule;

		if (r->action == RULE_ALLOW && (r->groups & (1u << group)) &&
		    counts(r->mode, with_audit) && rule_fit(&p->rules[i], in) == FIT_YES)
			return &p->rules[i];
	}
	return NULL;
}

static void answer_rule(struct policy_answer *out, const struct ss_rule *r)
{
	out->action = r->action;
	out->policy = r->policy;
	out->rule = r->name;
}

static void evaluate(const struct policy *p, const struct policy_input *in, bool with_audit,
		     struct policy_answer *out)
{
	const struct policy_rule *deny = first_deny(p, in, with_audit);

	memset(out, 0, sizeof(*out));
	if (deny) {
		answer_rule(out, deny->rule);
		return;
	}
	out->action = RULE_ALLOW; // nothing targets it, or every group below agrees
	for (uint32_t g = 0; g < p->source->group_count; g++) {
		const struct ss_group *group = &p->source->groups[g];
		const struct policy_rule *allow = first_allow(p, in, g, with_audit);

		if (allow) {
			answer_rule(out, allow->rule);
			continue;
		}
		if (!counts(group->default_mode, with_audit))
			continue;
		if (group->default_action == RULE_DENY || out->policy.len == 0) {
			out->action = group->default_action;
			out->policy = group->default_policy;
			out->rule = (struct slice){0};
			out->target = group->target;
		}
		if (group->default_action == RULE_DENY)
			return;
	}
}

void policy_evaluate(const struct policy *p, const struct policy_input *in,
		     struct policy_answer *out)
{
	struct policy_answer audit;

	evaluate(p, in, false, out);
	if (!p->audits || out->action == RULE_DENY)
		return;
	evaluate(p, in, true, &audit);
	if (audit.action != RULE_DENY)
		return;
	out->would_deny = true;
	out->audit_policy = audit.policy;
	out->audit_rule = audit.rule;
}

bool policy_denies_address(const struct policy *p, const struct policy_input *in,
			   struct policy_answer *out)
{
	for (uint32_t i = 0; i < p->count; i++) {
		const struct policy_rule *c = &p->rules[i];

		if (!c->only_clients || c->rule->action != RULE_DENY ||
		    c->rule->mode != MODE_ENFORCE || rule_fit(c, in) != FIT_YES)
			continue;
		memset(out, 0, sizeof(*out));
		answer_rule(out, c->rule);
		return true;
	}
	return false;
}
