// SPDX-License-Identifier: GPL-3.0-or-later
// The meaning of a policy, written down a second time from the prose of the design and without any
// regard to speed: what core/policy is compared with.
//
//   "Any Deny at any level wins; then any Allow; then defaultAction" - and every group has to agree.
//   "An attribute that cannot be read is unknown: an Allow rule that needs it does not match, a Deny
//   rule that needs it does." Audit changes nothing but what is reported.
#pragma once

#include <ctype.h>
#include <stdio.h>
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

// "For Deny only, what servers read otherwise counts too": letter case, a trailing slash behind Exact, lists
// and quoted values, '_' for '-'.
static inline bool reference_method(const struct ss_rule *r, struct slice rule, struct slice is)
{
	return r->action == RULE_DENY ? slice_eq_nocase(rule, is) : slice_eq(rule, is);
}

static inline enum reference_fit method_fit(const struct ss_rule *r, const struct policy_input *in)
{
	bool any = false;

	if (r->method_count == 0)
		return YES;
	for (uint32_t i = 0; i < r->method_count; i++)
		any |= reference_method(r, r->methods[i], in->method);
	return known(in->l7 && in->method.len > 0, any);
}

static inline struct slice reference_trim(struct slice path)
{
	while (path.len > 1 && path.ptr[path.len - 1] == '/')
		path.len--;
	return path;
}

static inline bool reference_denied(enum path_match_type type, struct slice rule, struct slice path)
{
	struct slice front;

	if (type == PATH_EXACT)
		return slice_eq_nocase(reference_trim(rule), reference_trim(path));
	while (rule.len > 0 && rule.ptr[rule.len - 1] == '/')
		rule.len--;
	if (path.len < rule.len)
		return false;
	front = slice_make(path.ptr, rule.len);
	return slice_eq_nocase(front, rule) && path.len > 0 &&
	       (path.len == rule.len || path.ptr[rule.len] == '/');
}

// A Deny rule's own path counts in every reading that it has.
static inline bool reference_path(const struct ss_rule *r, const struct ss_path_match *m,
				  struct slice path)
{
	struct path_readings all;
	bool any = false;
	struct arena a;

	if (r->action != RULE_DENY)
		return path_match(m, path);
	if (path_form(m->value) != PATH_ODD)
		return reference_denied(m->type, m->value, path);
	arena_init(&a, 1u << 20);
	any = readings_of(m->value, READINGS_MAX, READINGS_BYTES_MAX, &a, &all) != ERR_OK;
	for (uint32_t i = 0; !any && i < all.count; i++)
		any = reference_denied(m->type, all.list[i].path, path);
	arena_deinit(&a);
	return any;
}

static inline enum reference_fit path_fit(const struct ss_rule *r, const struct policy_input *in)
{
	bool any = false;

	if (r->path_count == 0)
		return YES;
	for (uint32_t i = 0; i < r->path_count; i++)
		any |= reference_path(r, &r->paths[i], in->path);
	return known(in->l7 && in->path.len > 0, any);
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

static inline bool reference_name(struct slice name, struct slice rule)
{
	bool same = name.len == rule.len;

	for (size_t i = 0; same && i < name.len; i++) {
		int a = name.ptr[i] == '_' ? '-' : tolower(name.ptr[i]);

		same = a == (rule.ptr[i] == '_' ? '-' : rule.ptr[i]);
	}
	return same;
}

// Is it an element? With quotes: what stands in them is text, and behind ';' are parameters; without, every
// ',' and ';' separates.
static inline bool reference_element(struct slice wanted, struct slice value, bool quotes)
{
	char text[256];
	size_t n = 0;
	bool any = false, quoted = false, parameter = false;

	for (size_t i = 0; i <= value.len; i++) {
		char c = i < value.len ? (char)value.ptr[i] : ',';
		bool end = i == value.len || ((c == ',' || (c == ';' && !quotes)) && !quoted);

		if (quotes && c == '"')
			quoted = !quoted;
		parameter |= quotes && c == ';' && !quoted;
		if (!end && !parameter)
			text[n++] = c;
		if (!end)
			continue;
		struct slice s = slice_trim_ows(slice_make(text, n));

		if (s.len > 1 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"')
			s = slice_make(s.ptr + 1, s.len - 2);
		any |= slice_eq(s, wanted);
		n = 0;
		parameter = false;
	}
	return any;
}

// Whole, or an element of the list; unquoted or not.
static inline bool reference_value(const struct ss_header_match *m, struct slice value)
{
	bool any = m->value_count == 0;

	for (uint32_t k = 0; k < m->value_count; k++)
		any |= slice_eq(m->values[k], value) ||
		       reference_element(m->values[k], value, true);
	if (slice_find(value, '"') < value.len) {
		for (uint32_t k = 0; k < m->value_count; k++)
			any |= reference_element(m->values[k], value, false);
	}
	return any;
}

static inline bool reference_header(const struct ss_rule *r, const struct ss_header_match *m,
				    const struct policy_input *in)
{
	bool any = false, plain;
	struct slice name, value;

	plain = in->header && in->header(in->headers, m->name, &value);
	for (uint32_t k = 0; plain && k < m->value_count; k++)
		any |= slice_eq(m->values[k], value);
	any |= plain && m->value_count == 0;
	if (r->action != RULE_DENY)
		return any;
	for (uint32_t i = 0; in->field && in->field(in->headers, i, &name, &value); i++)
		any |= reference_name(name, m->name) && reference_value(m, value);
	return any;
}

static inline enum reference_fit header_fit(const struct ss_rule *r, const struct policy_input *in)
{
	enum reference_fit all = YES;

	for (uint32_t i = 0; i < r->header_count; i++)
		all = both(all,
			   known(in->l7 && in->header, reference_header(r, &r->headers[i], in)));
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
