// SPDX-License-Identifier: GPL-3.0-or-later
// The decision, in its order: CIDR Deny ▶ limits ▶ JWT ▶ authorization; see decide.h. Asked by the data
// path and by `policy-sync explain` alike.
#include "decide/decide.h"

#include "common/hash.h"
#include "core/match.h"
#include "decide/token_cache.h"
#include "io/crypto.h"

// Signature checks that one request may cost: keys without kid are tried in turn.
#define SIGNATURES_PER_REQUEST_MAX 4

struct found_token {
	struct jwt jwt;
	bool parsed;
	bool valid;
	struct slice provider; // its name
};

const char *verdict_name(enum verdict v)
{
	static const char *const names[VERDICT_COUNT] = {
		[VERDICT_DENY] = "deny",
		[VERDICT_ALLOW] = "allow",
		[VERDICT_UNAUTHENTICATED] = "unauthenticated",
		[VERDICT_LIMITED] = "limited",
		[VERDICT_BROKEN] = "broken",
		[VERDICT_NEEDS_L7] = "needs_l7",
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

static void decide_authorization(const struct policy *p, const struct policy_input *in,
				 struct decision *out)
{
	struct policy_answer a;

	policy_evaluate(p, in, &a);
	out->verdict = a.action == RULE_ALLOW ? VERDICT_ALLOW : VERDICT_DENY;
	if (a.rule.len > 0)
		out->reason = a.action == RULE_ALLOW ? DECIDE_RULE_ALLOW : DECIDE_RULE_DENY;
	else
		out->reason = a.action == RULE_ALLOW ? DECIDE_DEFAULT_ALLOW : DECIDE_DEFAULT_DENY;
	out->policy = a.policy;
	out->rule = a.rule;
	out->target = a.target;
	out->would_deny = a.would_deny;
	out->audit_policy = a.audit_policy;
	out->audit_rule = a.audit_rule;
}

void decide_connection(const struct decide_context *c, const struct decide_subject *s,
		       const struct policy_input *in, struct decision *out)
{
	(void)c;
	if (!decide_open(s, in, out))
		return;
	if (policy_source(s->policy)->needs_l7) {
		out->verdict = VERDICT_NEEDS_L7;
		return;
	}
	if (!decide_broken(policy_source(s->policy), out))
		decide_authorization(s->policy, in, out);
}

// ---- limits ------------------------------------------------------------------------------------

static bool limit_headers_fit(const struct ss_limit *l, const struct policy_input *in)
{
	for (uint32_t i = 0; i < l->header_count; i++) {
		const struct ss_header_match *m = &l->headers[i];
		bool any = m->value_count == 0;
		struct slice value;

		if (!in->header(in->headers, m->name, &value))
			return false;
		for (uint32_t k = 0; k < m->value_count && !any; k++)
			any = slice_eq(m->values[k], value);
		if (!any)
			return false;
	}
	return true;
}

static bool limit_fits(const struct limit *l, const struct policy_input *in)
{
	const struct ss_limit *r = &l->record;
	bool method = r->method_count == 0, path = r->path_count == 0;

	for (uint32_t i = 0; i < r->method_count && !method; i++)
		method = slice_eq(r->methods[i], in->method);
	for (uint32_t i = 0; i < r->path_count && !path; i++)
		path = path_match(&r->paths[i], in->path);
	return method && path &&
	       (r->client_cidr_count == 0 || cidr_set_contains(l->clients, in->client)) &&
	       limit_headers_fit(r, in);
}

static uint64_t limit_key(const struct limit *l, const struct policy_input *in)
{
	if (l->record.key == LIMIT_KEY_NONE)
		return l->key_seed;
	struct addr client = ratelimit_client(in->client);

	return hash_bytes(slice_make(client.bytes, sizeof(client.bytes)), l->key_seed);
}

// Every limit that fits takes its token; false if one of them refuses.
static bool decide_limits(const struct decide_context *c, const struct ss_policy *p,
			  const struct policy_input *in, struct decision *out)
{
	for (uint32_t i = 0; c->limits && i < p->limit_count; i++) {
		const struct limit *l = snapshot_limit(c->snapshot, p->limit_ids[i]);

		if (!l || !limit_fits(l, in))
			continue;
		struct ratelimit_verdict v =
			ratelimit_take(c->limits, limit_key(l, in), l->record.requests,
				       l->record.unit_s, l->record.burst, c->now_ns);

		if (out->limit_unit_s == 0 || v.remaining < out->limit_remaining || !v.allowed) {
			out->limit_requests = l->record.requests;
			out->limit_unit_s = l->record.unit_s;
			out->limit_remaining = v.remaining;
		}
		if (v.allowed || l->record.shadow)
			continue;
		decide_as(out, VERDICT_LIMITED, DECIDE_RATE_LIMIT, l->record.policy, l->record.rule);
		out->retry_after_ns = v.retry_after_ns;
		return false;
	}
	return true;
}

// ---- JWT ---------------------------------------------------------------------------------------

// The token where this provider looks for it. RFC 6750 2.1: the scheme's name has no case.
static bool token_extract(const struct ss_provider *p, const struct policy_input *in,
			  struct slice *out)
{
	for (uint32_t i = 0; i < p->header_count; i++) {
		const struct ss_header_source *h = &p->headers[i];
		struct slice value;

		if (!in->header(in->headers, h->name, &value) || value.len < h->prefix.len ||
		    !slice_eq_nocase(slice_make(value.ptr, h->prefix.len), h->prefix))
			continue;
		*out = slice_trim_ows(
			slice_make(value.ptr + h->prefix.len, value.len - h->prefix.len));
		return true;
	}
	return false;
}

static enum jwt_refusal token_verify(const struct ss_provider *p, const struct jwt *t,
				     uint32_t *signatures)
{
	enum jwt_refusal refusal = JWT_NO_KEY;

	for (uint32_t i = 0; i < p->key_count; i++) {
		if (!jwt_key_fits(t, &p->keys[i]))
			continue;
		if (*signatures == SIGNATURES_PER_REQUEST_MAX)
			return JWT_SIGNATURE;
		(*signatures)++;
		if (crypto_verify_jws(t->alg, &p->keys[i], t->signing_input, t->signature) == ERR_OK)
			return JWT_OK;
		refusal = JWT_SIGNATURE;
	}
	return refusal;
}

static int64_t add_skew(int64_t t, int64_t skew)
{
	return t == INT64_MAX || t == INT64_MIN ? t : t + skew;
}

// Time is asked again for a token that was verified before.
static enum jwt_refusal token_from_cache(const struct decide_context *c,
					 const struct token_entry *e)
{
	if (c->now_unix_s >= e->expires_unix_s)
		return JWT_EXPIRED;
	return c->now_unix_s < e->not_before_unix_s ? JWT_NOT_YET_VALID : JWT_OK;
}

static enum jwt_refusal token_parse(const struct decide_context *c, struct slice token,
				    struct found_token *f)
{
	enum jwt_refusal r = JWT_OK;

	if (!f->parsed)
		r = jwt_parse(token, c->arena, &f->jwt);
	f->parsed = r == JWT_OK;
	return r;
}

// One provider's word on a token.
static enum jwt_refusal token_judge(const struct decide_context *c, const struct ss_provider *p,
				    struct slice token, bool needs_claims, struct found_token *f,
				    uint32_t *signatures)
{
	struct generation g = snapshot_generation(c->snapshot);
	uint64_t provider = hash_bytes(p->id, 0);
	const struct token_entry *e =
		c->tokens ? token_cache_find(c->tokens, token, provider, g) : NULL;

	if (e)
		return needs_claims && token_parse(c, token, f) != JWT_OK ? JWT_MALFORMED
									  : token_from_cache(c, e);
	enum jwt_refusal r = token_parse(c, token, f);

	if (r == JWT_OK)
		r = token_verify(p, &f->jwt, signatures);
	if (r == JWT_OK)
		r = jwt_check_claims(&f->jwt, p, c->now_unix_s);
	if (r == JWT_OK && c->tokens)
		token_cache_put(c->tokens, token, provider, g,
				add_skew(f->jwt.expires_unix_s, p->clock_skew_s),
				add_skew(f->jwt.not_before_unix_s, -(int64_t)p->clock_skew_s));
	return r;
}

// Any provider may validate; the refusal that is reported is that of the provider that got furthest.
static enum jwt_refusal decide_token(const struct decide_context *c, const struct decide_subject *s,
				     const struct policy_input *in, struct found_token *f)
{
	const struct ss_policy *p = policy_source(s->policy);
	enum jwt_refusal worst = JWT_MISSING;
	uint32_t signatures = 0;

	for (uint32_t i = 0; i < p->provider_count; i++) {
		const struct ss_provider *provider = snapshot_provider(c->snapshot, p->provider_ids[i]);
		struct slice token;

		if (!provider || !token_extract(provider, in, &token))
			continue;
		enum jwt_refusal r = token_judge(c, provider, token, true, f,
						 &signatures);

		if (r == JWT_OK) {
			f->valid = true;
			f->provider = provider->name;
			return JWT_OK;
		}
		if (r > worst)
			worst = r;
	}
	return worst;
}

void decide_request(const struct decide_context *c, const struct decide_subject *s,
		    const struct policy_input *in, struct decision *out)
{
	struct found_token found = {0};
	struct policy_input with = *in;
	struct policy_answer a;

	if (!decide_open(s, in, out))
		return;
	const struct ss_policy *p = policy_source(s->policy);

	if (decide_broken(p, out))
		return;
	if (policy_denies_address(s->policy, in, &a)) {
		decide_as(out, VERDICT_DENY, DECIDE_CIDR_DENY, a.policy, a.rule);
		return;
	}
	if (!decide_limits(c, p, in, out))
		return;
	if (p->provider_count > 0) {
		out->jwt = decide_token(c, s, in, &found);
		if (out->jwt != JWT_OK && !(out->jwt == JWT_MISSING && p->jwt_optional)) {
			decide_as(out, VERDICT_UNAUTHENTICATED, DECIDE_JWT, p->jwt_policy,
				  (struct slice){0});
			return;
		}
	}
	with.token = found.valid && found.parsed ? &found.jwt : NULL;
	with.token_provider = found.provider;
	decide_authorization(s->policy, &with, out);
}
