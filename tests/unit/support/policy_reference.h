// SPDX-License-Identifier: GPL-3.0-or-later
// The meaning of a policy, written down a second time from the prose of the design and without any
// regard to speed: what core/policy is compared with.
//
//   "Any Deny at any level wins; then any Allow; then defaultAction" - and every group has to agree.
//   "An attribute that cannot be read is unknown: an Allow rule that needs it does not match, a Deny
//   rule that needs it does." Audit changes nothing but what is reported.
#pragma once

#include "core/cidr.h"
#include "core/match.h"
#include "core/policy.h"

enum reference_fit { NO, UNKNOWN, YES };

static inline enum reference_fit both(enum reference_fit a, enum reference_fit b)
{
	return a < b ? a : b;
}

static inline enum reference_fit known(bool is_known, bool fits)
{
	return !is_known ? UNKNOWN : fits ? YES : NO;
}

static inline enum reference_fit source_fit(const struct ss_rule *r, const struct policy_input *in)
{
	bool any = false;

	if (r->source_count == 0)
		return YES;
	for (uint32_t i = 0; i < r->source_count; i++)
		any |= identity_source_matches(&r->sources[i], in->source);
	return known(in->source->type != PRINCIPAL_UNKNOWN, any);
}

static inline enum reference_fit cidr_fit(const struct ss_rule *r, const struct policy_input *in)
{
	bool any = false;

	if (r->client_cidr_count == 0)
		return YES;
	for (uint32_t i = 0; i < r->client_cidr_count; i++)
		any |= cidr_contains(r->client_cidrs[i], in->client);
	return known(!addr_is_none(in->client), any);
}

static inline enum reference_fit port_fit(const struct ss_rule *r, const struct policy_input *in)
{
	bool any = false;

	if (r->port_count == 0)
		return YES;
	for (uint32_t i = 0; i < r->port_count; i++)
		any |= r->ports[i] == in->port;
	return known(in->port != 0, any);
}

static inline enum reference_fit method_fit(const struct ss_rule *r, const struct policy_input *in)
{
	bool any = false;

	if (r->method_count == 0)
		return YES;
	for (uint32_t i = 0; i < r->method_count; i++)
		any |= slice_eq(r->methods[i], in->method);
	return known(in->l7 && in->method.len > 0, any);
}

// With path parameters a path has two readings; where they differ nobody can say.
static inline enum reference_fit path_fit(const struct ss_rule *r, const struct policy_input *in)
{
	bool with = false, without = false;
	uint8_t text[PATH_BYTES_MAX];
	struct slice plain;

	if (r->path_count == 0)
		return YES;
	path_without_parameters(in->path, text, &plain);
	for (uint32_t i = 0; i < r->path_count; i++) {
		with |= path_match(&r->paths[i], in->path);
		without |= path_match(&r->paths[i], plain);
	}
	return known(in->l7 && in->path.len > 0 && with == without, with);
}

static inline enum reference_fit host_fit(const struct ss_rule *r, const struct policy_input *in)
{
	bool any = false;

	if (r->host_count == 0)
		return YES;
	for (uint32_t i = 0; i < r->host_count; i++)
		any |= host_match(r->hosts[i], in->host);
	return known(in->l7 && in->host.len > 0, any);
}

static inline enum reference_fit header_fit(const struct ss_rule *r, const struct policy_input *in)
{
	enum reference_fit all = YES;

	for (uint32_t i = 0; i < r->header_count; i++) {
		const struct ss_header_match *m = &r->headers[i];
		struct slice value;
		bool fits = in->header && in->header(in->headers, m->name, &value);

		if (fits && m->value_count > 0) {
			bool any = false;

			for (uint32_t k = 0; k < m->value_count; k++)
				any |= slice_eq(m->values[k], value);
			fits = any;
		}
		all = both(all, known(in->l7 && in->header, fits));
	}
	return all;
}

static inline bool token_is_good(const struct ss_rule *r, const struct jwt *t)
{
	for (uint32_t i = 0; i < r->claim_count; i++) {
		if (!jwt_claim_matches(t, &r->claims[i]))
			return false;
	}
	for (uint32_t i = 0; i < r->scope_count; i++) {
		if (!jwt_has_scope(t, r->scopes[i]))
			return false;
	}
	return true;
}

static inline enum reference_fit token_fit(const struct ss_rule *r, const struct policy_input *in)
{
	bool fits = false;

	if (r->jwt_provider.len == 0)
		return YES;
	if (in->token && slice_eq(in->token_provider, r->jwt_provider))
		fits = token_is_good(r, in->token);
	for (uint32_t i = 0; i < in->more_token_count; i++) {
		if (slice_eq(in->more_tokens[i].provider, r->jwt_provider))
			fits |= token_is_good(r, in->more_tokens[i].jwt);
	}
	return known(in->l7, fits);
}

static inline bool reference_matches(const struct ss_rule *r, const struct policy_input *in)
{
	enum reference_fit fit = both(source_fit(r, in), cidr_fit(r, in));

	fit = both(fit, both(port_fit(r, in), method_fit(r, in)));
	fit = both(fit, both(path_fit(r, in), host_fit(r, in)));
	fit = both(fit, both(header_fit(r, in), token_fit(r, in)));
	return fit == YES || (fit == UNKNOWN && r->action == RULE_DENY);
}

static inline const struct ss_rule *reference_first(const struct ss_policy *p,
						    const struct policy_input *in,
						    enum rule_action action, uint32_t groups,
						    bool audit_too)
{
	for (uint32_t i = 0; i < p->rule_count; i++) {
		const struct ss_rule *r = &p->rules[i];

		if (r->action == action && (audit_too || r->mode == MODE_ENFORCE) &&
		    (action == RULE_DENY || (r->groups & groups)) && reference_matches(r, in))
			return r;
	}
	return NULL;
}

// Enforced: what happens. Otherwise: what would happen if Audit policies were enforced too.
static inline void reference_judge(const struct ss_policy *p, const struct policy_input *in,
				   bool audit_too, struct policy_answer *out)
{
	const struct ss_rule *r = reference_first(p, in, RULE_DENY, 0, audit_too);

	memset(out, 0, sizeof(*out));
	for (uint32_t g = 0; !r && g < p->group_count; g++) {
		const struct ss_group *group = &p->groups[g];

		if (reference_first(p, in, RULE_ALLOW, 1u << g, audit_too) ||
		    group->default_action == RULE_ALLOW ||
		    (group->default_mode == MODE_AUDIT && !audit_too))
			continue;
		out->policy = group->default_policy;
		out->target = group->target;
		return;
	}
	if (!r) {
		out->action = RULE_ALLOW;
		r = reference_first(p, in, RULE_ALLOW, UINT32_MAX, audit_too);
	}
	if (r) {
		out->policy = r->policy;
		out->rule = r->name;
	} else if (p->group_count > 0) {
		out->policy = p->groups[0].default_policy;
	}
}

static inline void reference_evaluate(const struct ss_policy *p, const struct policy_input *in,
				      struct policy_answer *out)
{
	struct policy_answer audit;

	reference_judge(p, in, false, out);
	reference_judge(p, in, true, &audit);
	if (out->action == RULE_DENY || audit.action == RULE_ALLOW)
		return;
	out->would_deny = true;
	out->audit_policy = audit.policy;
	out->audit_rule = audit.rule;
}

static inline const struct ss_rule *reference_address(const struct ss_policy *p,
						      const struct policy_input *in)
{
	for (uint32_t i = 0; i < p->rule_count; i++) {
		const struct ss_rule *r = &p->rules[i];

		if (r->action == RULE_DENY && r->mode == MODE_ENFORCE && r->client_cidr_count > 0 &&
		    r->source_count + r->method_count + r->path_count + r->host_count +
				    r->header_count + r->jwt_provider.len ==
			    0 &&
		    reference_matches(r, in))
			return r;
	}
	return NULL;
}
