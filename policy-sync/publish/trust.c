// SPDX-License-Identifier: GPL-3.0-or-later
// Questions to the CA process and what follows from its answers.
#include "publish/trust.h"

#include <stdio.h>
#include <time.h>

#include "ca/ca_client.h"
#include "common/section.h"
#include "common/snapshot_codec.h"
#include "io/crypto.h"
#include "io/sync_wire.h"

#define ROOT_DER_MAX 4096
#define HEX_BYTES    65

static enum err must_check trust_ask(struct trust *t, enum ca_verb verb, struct reason *why)
{
	enum err e;

	t->request.verb = verb;
	memcpy(t->request.trust_domain, t->domain, sizeof(t->request.trust_domain));
	t->reply.version = 0; // tells a reply from none
	e = ca_client_ask(t->ca_fd, &t->request, &t->reply);
	memset(&t->request, 0, sizeof(t->request));
	if (e == ERR_CLOSED || (e == ERR_EXPIRED && t->reply.version != CA_PROTO_VERSION)) {
		t->lost = true;
		return err_because(ERR_CLOSED, why, "the CA process does not answer");
	}
	if (t->reply.version == CA_PROTO_VERSION && t->reply.trust_bytes > 0) {
		t->stage = (enum ca_stage)t->reply.stage;
		t->root_not_after_unix_s = t->reply.root_not_after_unix_s;
		t->bundle_bytes = t->reply.trust_bytes;
		memcpy(t->bundle, t->reply.trust_pem, t->bundle_bytes);
	}
	return e ? err_because(e, why, "%s", t->reply.why.text) : ERR_OK;
}

enum err trust_init(struct trust *t, int ca_fd, uint32_t lifetime_s, struct slice domain,
		    struct reason *why)
{
	enum err e;

	memset(t, 0, sizeof(*t));
	t->ca_fd = ca_fd;
	t->lifetime_s = lifetime_s;
	e = trust_set_domain(t, domain);
	if (e)
		return err_because(e, why, "not a trust domain");
	return trust_ask(t, CA_BUNDLE, why);
}

void trust_deinit(struct trust *t)
{
	if (t->server)
		tls_context_unref(t->server);
	x509_key_wipe(&t->server_key);
}

struct slice trust_bundle(const struct trust *t)
{
	return slice_make(t->bundle, t->bundle_bytes);
}

enum err trust_set_domain(struct trust *t, struct slice domain)
{
	// What it may consist of is the CA's to check: it has to anyway.
	if (domain.len == 0 || domain.len >= sizeof(t->domain))
		return ERR_MALFORMED;
	memset(t->domain, 0, sizeof(t->domain));
	memcpy(t->domain, domain.ptr, domain.len);
	return ERR_OK;
}

enum err trust_sign_node(struct trust *t, struct slice node, struct slice public_der,
			 const struct ca_reply **out, struct reason *why)
{
	enum err e;

	if (node.len >= sizeof(t->request.node) || public_der.len != sizeof(t->request.public_der))
		return err_because(ERR_MALFORMED, why, "not a P-256 public key");
	memcpy(t->request.node, node.ptr, node.len);
	memcpy(t->request.public_der, public_der.ptr, public_der.len);
	t->request.lifetime_s = t->lifetime_s;
	e = trust_ask(t, CA_SIGN_NODE, why);
	if (!e)
		*out = &t->reply;
	return e;
}

enum err trust_renew_server(struct trust *t, bool force, int64_t now_unix_s, struct reason *why)
{
	struct tls_config config = {.alpn = slice_str(SYNC_ALPN)};
	struct tls_context *fresh;
	struct x509_key key;
	enum err e;

	if (!force && t->server && now_unix_s < t->server_renew_at_unix_s)
		return ERR_OK;
	// Not before a while, whatever comes of it.
	t->server_renew_at_unix_s = now_unix_s + 1;
	e = x509_key_generate(&key);
	if (e)
		return err_because(e, why, "cannot make a key");
	memcpy(t->request.public_der, key.public_der, sizeof(t->request.public_der));
	t->request.lifetime_s = t->lifetime_s;
	e = trust_ask(t, CA_SIGN_SERVER, why);
	if (e)
		goto out;
	config.chain_pem = slice_make(t->reply.chain_pem, t->reply.chain_bytes);
	config.key_der = slice_make(key.der, key.der_len);
	config.trust_pem = trust_bundle(t);
	e = tls_context_new(&config, &fresh, why);
	if (e)
		goto out;
	if (t->server)
		tls_context_unref(t->server);
	t->server = fresh;
	t->server_renew_at_unix_s = now_unix_s + (t->reply.not_after_unix_s - now_unix_s) / 2;
out:
	x509_key_wipe(&key);
	return e;
}

enum err trust_rotate(struct trust *t, enum ca_verb verb, struct reason *why)
{
	return trust_ask(t, verb, why);
}

struct trust_record {
	char key[HEX_BYTES];
	uint8_t der[ROOT_DER_MAX];
	size_t der_bytes;
};

static enum err must_check trust_read_roots(const struct trust *t, struct trust_record *records,
					    uint32_t *count)
{
	struct slice rest = trust_bundle(t);
	uint8_t digest[32];
	struct buf der;
	enum err e;

	for (*count = 0; *count < CA_ROOTS_MAX; (*count)++) {
		struct trust_record *r = &records[*count];

		buf_init_fixed(&der, r->der, sizeof(r->der));
		e = x509_next(&rest, &der);
		if (e == ERR_NOT_FOUND)
			break;
		if (e)
			return e;
		r->der_bytes = der.len;
		crypto_sha256(buf_slice(&der), digest);
		for (int i = 0; i < 32; i++)
			snprintf(r->key + 2 * i, 3, "%02x", digest[i]);
	}
	return ERR_OK;
}

enum err trust_put_section(const struct trust *t, struct buf *out)
{
	struct trust_record records[CA_ROOTS_MAX];
	uint8_t bytes[ROOT_DER_MAX + 64];
	struct buf value;
	uint32_t count;
	enum err e = trust_read_roots(t, records, &count);

	if (e)
		return e;
	if (count == 2 && strcmp(records[0].key, records[1].key) > 0) {
		struct trust_record first = records[1]; // sections are in order of keys

		records[1] = records[0];
		records[0] = first;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct ss_trust_root root = {
			.der = slice_make(records[i].der, records[i].der_bytes)};

		buf_init_fixed(&value, bytes, sizeof(bytes));
		snapshot_encode_trust_root(&value, &root);
		if (value.err)
			return value.err;
		section_put(out, slice_str(records[i].key), buf_slice(&value));
	}
	return out->err;
}

const char *trust_stage_name(enum ca_stage stage)
{
	switch (stage) {
	case CA_STAGE_STABLE:
		return "stable";
	case CA_STAGE_BEGUN:
		return "begun";
	case CA_STAGE_SWITCHED:
		return "switched";
	case CA_STAGE_NONE:
		break;
	}
	return "none";
}
