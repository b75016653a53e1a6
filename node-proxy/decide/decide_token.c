// SPDX-License-Identifier: GPL-3.0-or-later
// From a request's headers to verified tokens; see decide_token.h. What costs little is asked first:
// the cache, then form, issuer, key, audience and dates, and the signature last, so that a flood of
// bad tokens buys little of a worker's time.
#include "decide/decide_token.h"

#include "io/crypto.h"

// ---- finding -----------------------------------------------------------------------------------

// RFC 6750 2.1: the scheme's name has no case.
static bool token_extract(const struct ss_header_source *h, const struct policy_input *in,
			  struct slice *out)
{
	struct slice value;

	if (!in->header || !in->header(in->headers, h->name, &value) || value.len < h->prefix.len ||
	    !slice_eq_nocase(slice_make(value.ptr, h->prefix.len), h->prefix))
		return false;
	*out = slice_trim_ows(slice_make(value.ptr + h->prefix.len, value.len - h->prefix.len));
	return out->len > 0;
}

// The first of the provider's headers that has a token.
static bool provider_extract(const struct ss_provider *p, const struct policy_input *in,
			     struct slice *out)
{
	const struct ss_header_source usual = {SLICE_LIT("authorization"), SLICE_LIT("Bearer ")};

	if (p->header_count == 0)
		return token_extract(&usual, in, out);
	for (uint32_t i = 0; i < p->header_count; i++) {
		if (token_extract(&p->headers[i], in, out))
			return true;
	}
	return false;
}

static void note_token(struct decide_tokens *t, struct slice text, uint32_t provider)
{
	struct decide_token *f;

	for (uint32_t i = 0; i < t->found_count; i++) {
		f = &t->found[i];
		if (f->text.ptr == text.ptr && f->text.len == text.len) {
			f->providers |= 1ull << provider;
			return;
		}
	}
	if (t->found_count == DECIDE_TOKENS_MAX)
		return; // as if that provider's header were not there
	f = &t->found[t->found_count++];
	f->text = text;
	f->providers = 1ull << provider;
	f->fresh = false;
	f->verified = (struct token_verified){0};
}

// ---- verifying ---------------------------------------------------------------------------------

// How far a refused token got; of several the furthest is reported.
static int refusal_progress(enum jwt_refusal r)
{
	static const uint8_t progress[JWT_REFUSAL_COUNT] = {
		[JWT_MISSING] = 1,   [JWT_TOO_LARGE] = 2, [JWT_MALFORMED] = 2,
		[JWT_ALGORITHM] = 3, [JWT_ISSUER] = 4,	  [JWT_NO_KEY] = 5,
		[JWT_AUDIENCE] = 6,  [JWT_EXPIRED] = 7,	  [JWT_NOT_YET_VALID] = 7,
		[JWT_SIGNATURE] = 8,
	};

	return progress[r];
}

static void refuse(struct decide_tokens *t, uint32_t provider, enum jwt_refusal r)
{
	if (refusal_progress(r) > refusal_progress(t->refusal))
		t->refusal = r;
	if (refusal_progress(r) > refusal_progress((enum jwt_refusal)t->refusals[provider]))
		t->refusals[provider] = (uint8_t)r;
}

static bool kid_equals(const struct jwt *t, const struct ss_jwk *key)
{
	return t->kid.len > 0 && slice_eq(t->kid, key->kid);
}

static bool has_key(const struct ss_provider *p, const struct jwt *t)
{
	for (uint32_t i = 0; i < p->key_count; i++) {
		if (jwt_key_fits(t, &p->keys[i]))
			return true;
	}
	return false;
}

// Keys that bear the token's kid first, then those without.
static bool signature_fits(struct decide_tokens *t, const struct ss_provider *p,
			   const struct jwt *jwt)
{
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < p->key_count; i++) {
			const struct ss_jwk *key = &p->keys[i];

			if (!jwt_key_fits(jwt, key) || kid_equals(jwt, key) != (round == 0))
				continue;
			if (t->signatures == DECIDE_SIGNATURES_MAX)
				return false;
			t->signatures++;
			if (crypto_verify_jws(jwt->alg, key, jwt->signing_input, jwt->signature) ==
			    ERR_OK)
				return true;
		}
	}
	return false;
}

static enum jwt_refusal provider_verify(struct decide_tokens *t, const struct ss_provider *p,
					const struct jwt *jwt, int64_t now_unix_s)
{
	enum jwt_refusal r = jwt_check_claims(jwt, p, now_unix_s);

	if (r == JWT_ISSUER)
		return r;
	if (!has_key(p, jwt))
		return JWT_NO_KEY;
	if (r != JWT_OK)
		return r;
	return signature_fits(t, p, jwt) ? JWT_OK : JWT_SIGNATURE;
}

static const struct ss_provider *provider_at(const struct decide_context *c,
					     const struct ss_policy *p, uint32_t i)
{
	return snapshot_provider(c->snapshot, p->provider_ids[i]);
}

static void verify_found(const struct decide_context *c, const struct ss_policy *p,
			 struct decide_tokens *t, struct decide_token *f)
{
	enum jwt_refusal r = jwt_parse(f->text, c->arena, &f->parsed);

	if (r != JWT_OK) {
		for (uint32_t i = 0; i < p->provider_count; i++) {
			if (f->providers & (1ull << i))
				refuse(t, i, r);
		}
		return;
	}
	f->verified.jwt = &f->parsed;
	f->verified.asked = f->providers;
	for (uint32_t i = 0; i < p->provider_count; i++) {
		if (!(f->providers & (1ull << i)))
			continue;
		r = provider_verify(t, provider_at(c, p, i), &f->parsed, c->now_unix_s);
		if (r == JWT_OK)
			f->verified.verified |= 1ull << i;
		else
			refuse(t, i, r);
	}
	// Where the signature checks ran out, another request may get further.
	f->fresh = f->verified.verified && t->signatures < DECIDE_SIGNATURES_MAX;
}

// A provider counts one token, its first.
static void token_accept(struct decide_tokens *t, const struct jwt *jwt, uint32_t number,
			 const struct ss_provider *provider)
{
	if (t->accepted_by & (1u << number))
		return;
	t->accepted_by |= 1u << number;
	if (t->accepted_count < DECIDE_ACCEPTED_MAX)
		t->accepted[t->accepted_count++] =
			(struct policy_token){jwt, provider->id, provider->name, number};
}

static struct token_key cache_key(const struct decide_context *c, const struct ss_policy *p,
				  struct slice token)
{
	const struct section_ref *providers = snapshot_section_of(c->snapshot, SECTION_PROVIDERS);
	struct token_key key = {.token = token, .policy = p};

	if (providers)
		memcpy(key.providers_sha256, providers->sha256, sizeof(key.providers_sha256));
	return key;
}

static void judge_found(const struct decide_context *c, const struct ss_policy *p,
			struct decide_tokens *t, struct decide_token *f)
{
	struct token_key key = cache_key(c, p, f->text);

	if (!c->tokens || !token_cache_find(c->tokens, &key, &f->verified) ||
	    (f->providers & ~f->verified.asked)) {
		f->verified = (struct token_verified){0};
		verify_found(c, p, t, f);
	}
	for (uint32_t i = 0; i < p->provider_count; i++) {
		const struct ss_provider *provider;
		enum jwt_refusal r;

		if (!(f->providers & f->verified.verified & (1ull << i)))
			continue;
		provider = provider_at(c, p, i);
		r = jwt_check_claims(f->verified.jwt, provider, c->now_unix_s);
		if (r == JWT_OK)
			token_accept(t, f->verified.jwt, i, provider);
		else
			refuse(t, i, r);
	}
}

void decide_tokens_verify(const struct decide_context *c, const struct ss_policy *p,
			  const struct policy_input *in, struct decide_tokens *t)
{
	t->found_count = 0;
	t->accepted_count = 0;
	t->signatures = 0;
	t->accepted_by = t->unavailable = 0;
	t->refusal = JWT_MISSING;
	memset(t->refusals, JWT_MISSING, sizeof(t->refusals));
	for (uint32_t i = 0; i < p->provider_count && i < POLICY_PROVIDERS_MAX; i++) {
		const struct ss_provider *provider = provider_at(c, p, i);
		struct slice text;

		if (!provider) {
			t->unavailable |= 1u << i;
			continue;
		}
		if (!provider_extract(provider, in, &text))
			continue;
		// Without keys nobody can say whether the token is good: that is no 401.
		if (provider->key_count == 0)
			t->unavailable |= 1u << i;
		else
			note_token(t, text, i);
	}
	for (uint32_t i = 0; i < t->found_count; i++)
		judge_found(c, p, t, &t->found[i]);
	if (t->accepted_count > 0)
		t->refusal = JWT_OK;
}

enum jwt_refusal decide_tokens_refusal(const struct decide_tokens *t, const struct ss_policy *p,
				       uint32_t providers)
{
	enum jwt_refusal furthest = JWT_MISSING;

	for (uint32_t i = 0; i < p->provider_count && i < POLICY_PROVIDERS_MAX; i++) {
		enum jwt_refusal r = (enum jwt_refusal)t->refusals[i];

		if ((providers & (1u << i)) && refusal_progress(r) > refusal_progress(furthest))
			furthest = r;
	}
	return furthest;
}

void decide_tokens_keep(const struct decide_context *c, const struct ss_policy *p,
			const struct decide_tokens *t)
{
	for (uint32_t i = 0; c->tokens && i < t->found_count; i++) {
		const struct decide_token *f = &t->found[i];

		if (!f->fresh)
			continue;
		struct token_key key = cache_key(c, p, f->text);

		token_cache_put(c->tokens, &key, &f->verified);
	}
}
