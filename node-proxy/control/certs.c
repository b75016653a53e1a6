// SPDX-License-Identifier: GPL-3.0-or-later
// The node's key and certificate. Two keys at most: the one in use and the one that is being
// signed.
#include "control/certs.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "core/identity.h"
#include "core/tunnel_proto.h"
#include "io/crypto.h"

#define TRUST_PEM_MAX (64u << 10)
#define CLOCK_SKEW_S  300
#define RETRY_MIN_S   1
#define RETRY_MAX_S   60

// On pages of its own: locked, and left out of core dumps.
struct certs_keys {
	struct x509_key current;
	struct x509_key next;
};

struct certs {
	struct certs_keys *keys;
	char node[256];
	uint8_t *trust;
	size_t trust_len;
	int64_t renew_at_unix_s; // INT64_MAX: no certificate yet
	int64_t try_at_unix_s;	 // not before
	uint32_t backoff_s;	 // 0: no try is unanswered
	struct certs_metrics metrics;
};

enum err certs_new(struct slice node, struct certs **out)
{
	struct certs *c = calloc(1, sizeof(*c));
	void *keys;

	if (!c)
		return ERR_NOMEM;
	if (node.len == 0 || node.len >= sizeof(c->node)) {
		free(c);
		return ERR_CONFIG;
	}
	keys = mmap(NULL, sizeof(*c->keys), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (keys == MAP_FAILED) {
		free(c);
		return ERR_NOMEM;
	}
	c->keys = keys;
	// Best effort: an unprivileged process may lock little. Not in a dump is certain.
	(void)mlock(keys, sizeof(*c->keys));
	(void)madvise(keys, sizeof(*c->keys), MADV_DONTDUMP);
	memcpy(c->node, node.ptr, node.len);
	c->renew_at_unix_s = INT64_MAX;
	*out = c;
	return ERR_OK;
}

void certs_free(struct certs *c)
{
	if (!c)
		return;
	x509_key_wipe(&c->keys->current);
	x509_key_wipe(&c->keys->next);
	munmap(c->keys, sizeof(*c->keys));
	free(c->trust);
	free(c);
}

static struct slice certs_public(const struct x509_key *key)
{
	return slice_make(key->public_der, key->public_len);
}

enum err certs_public_key(struct certs *c, int64_t now_unix_s, struct slice *out)
{
	struct certs_keys *k = c->keys;
	enum err e;

	if (k->next.der_len > 0) {
		*out = certs_public(&k->next);
		return ERR_OK;
	}
	if (k->current.der_len > 0 && now_unix_s < c->renew_at_unix_s) {
		*out = certs_public(&k->current);
		return ERR_OK;
	}
	e = x509_key_generate(&k->next);
	if (!e)
		*out = certs_public(&k->next);
	return e;
}

// A quarter more or less, so that a thousand nodes that lost policy-sync together do not return
// together.
static int64_t certs_jitter(uint32_t seconds)
{
	uint32_t random = 0;
	enum err e = crypto_random(&random, sizeof(random));

	(void)e; // without randomness: without jitter
	return (int64_t)seconds + (int64_t)(random % (seconds / 2 + 1)) - seconds / 4;
}

bool certs_wants_renewal(struct certs *c, int64_t now_unix_s, struct slice *out)
{
	if (now_unix_s < certs_due_unix_s(c))
		return false;
	if (c->backoff_s > 0)
		c->metrics.late++;
	c->metrics.asked++;
	c->backoff_s = c->backoff_s == 0 ? RETRY_MIN_S : c->backoff_s * 2;
	if (c->backoff_s > RETRY_MAX_S)
		c->backoff_s = RETRY_MAX_S;
	c->try_at_unix_s = now_unix_s + 1 + certs_jitter(c->backoff_s);
	// The same new key at every try: policy-sync may have pinned it already.
	return certs_public_key(c, now_unix_s, out) == ERR_OK;
}

int64_t certs_due_unix_s(const struct certs *c)
{
	if (c->renew_at_unix_s == INT64_MAX)
		return INT64_MAX;
	return c->renew_at_unix_s > c->try_at_unix_s ? c->renew_at_unix_s : c->try_at_unix_s;
}

// Which of our keys the certificate is for; NULL: none.
static struct x509_key *certs_match(struct certs *c, const struct x509_info *info)
{
	struct x509_key *keys[] = {&c->keys->next, &c->keys->current};
	uint8_t pin[32];

	for (size_t i = 0; i < 2; i++) {
		if (keys[i]->der_len == 0)
			continue;
		crypto_sha256(certs_public(keys[i]), pin);
		if (memcmp(pin, info->key_pin, sizeof(pin)) == 0)
			return keys[i];
	}
	return NULL;
}

static enum err must_check certs_check(const struct certs *c, const struct x509_info *info,
				       int64_t now_unix_s, struct reason *why)
{
	struct slice domain, node;

	if (identity_parse_node(slice_str(info->uri), &domain, &node) != ERR_OK ||
	    !slice_eq_str(node, c->node))
		return err_because(ERR_DENIED, why, "the certificate is for %s, this is node %s",
				   info->uri[0] ? info->uri : "nobody", c->node);
	if (info->not_after_unix_s <= now_unix_s)
		return err_because(ERR_EXPIRED, why, "the certificate has ended already");
	if (info->not_before_unix_s > now_unix_s + CLOCK_SKEW_S)
		return err_because(ERR_EXPIRED, why,
				   "the certificate begins in %lld s: a clock is wrong",
				   (long long)(info->not_before_unix_s - now_unix_s));
	return ERR_OK;
}

static enum err must_check certs_contexts(const struct x509_key *key, struct slice chain_pem,
					  struct slice trust_pem, struct inbox_credentials *out,
					  struct reason *why)
{
	struct tls_config config = {
		.chain_pem = chain_pem,
		.key_der = slice_make(key->der, key->der_len),
		.trust_pem = trust_pem,
		.alpn = slice_str(TUNNEL_ALPN),
		.require_peer = true,
	};
	enum err e = tls_context_new(&config, &out->server, why);

	if (e)
		return e;
	// One context serves both roles; two references, as they are two members.
	tls_context_ref(out->server);
	out->client = out->server;
	return ERR_OK;
}

static void certs_settle(struct certs *c, struct x509_key *key, const struct x509_info *info,
			 int64_t renew_at_unix_s, int64_t now_unix_s)
{
	int64_t left_s = info->not_after_unix_s - now_unix_s;
	bool usable = renew_at_unix_s > now_unix_s &&
		      renew_at_unix_s <= info->not_after_unix_s - left_s / 4;

	if (key == &c->keys->next) {
		c->keys->current = c->keys->next;
		x509_key_wipe(&c->keys->next);
	}
	// policy-sync says when, as long as that leaves time to try again.
	c->renew_at_unix_s = usable ? renew_at_unix_s : now_unix_s + left_s / 2;
	c->try_at_unix_s = 0;
	c->backoff_s = 0;
	c->metrics.not_after_unix_s = info->not_after_unix_s;
	c->metrics.installed++;
}

static enum err must_check certs_try(struct certs *c, struct slice chain_pem,
				     struct slice trust_pem, int64_t renew_at_unix_s,
				     int64_t now_unix_s, struct inbox_credentials *out,
				     struct reason *why)
{
	struct x509_info info;
	struct x509_key *key;
	uint8_t *trust;
	enum err e;

	if (trust_pem.len == 0 || trust_pem.len > TRUST_PEM_MAX)
		return err_because(ERR_MALFORMED, why, "a trust bundle of %zu bytes",
				   trust_pem.len);
	e = x509_read(chain_pem, &info);
	if (e)
		return err_because(e, why, "the certificate cannot be read");
	e = certs_check(c, &info, now_unix_s, why);
	if (e)
		return e;
	key = certs_match(c, &info);
	if (!key)
		return err_because(ERR_DENIED, why,
				   "the certificate is for a key that is not ours");
	trust = malloc(trust_pem.len);
	if (!trust)
		return err_because(ERR_NOMEM, why, "out of memory");
	e = certs_contexts(key, chain_pem, trust_pem, out, why);
	if (e) {
		free(trust);
		return e;
	}
	out->not_after_unix_s = info.not_after_unix_s;
	memcpy(trust, trust_pem.ptr, trust_pem.len);
	free(c->trust);
	c->trust = trust;
	c->trust_len = trust_pem.len;
	certs_settle(c, key, &info, renew_at_unix_s, now_unix_s);
	return ERR_OK;
}

enum err certs_install(struct certs *c, struct slice chain_pem, struct slice trust_pem,
		       int64_t renew_at_unix_s, int64_t now_unix_s, struct inbox_credentials *out,
		       struct reason *why)
{
	enum err e = certs_try(c, chain_pem, trust_pem, renew_at_unix_s, now_unix_s, out, why);

	if (e)
		c->metrics.refused++;
	return e;
}

struct slice certs_trust_pem(const struct certs *c)
{
	return slice_make(c->trust, c->trust_len);
}

void certs_metrics(const struct certs *c, struct certs_metrics *out)
{
	*out = c->metrics;
}
