// SPDX-License-Identifier: GPL-3.0-or-later
// From a verified chain to its root, by names and key identifiers, as the library found it; see
// tls_roots.h. During a rotation two roots may bear one name: the key identifier tells them apart.
#include "io/tls_roots.h"

#include <stdlib.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "io/x509.h"

#define ROOT_DER_MAX 16384

_Static_assert(KEYID_SIZE <= TLS_NAME_HASH_BYTES, "key identifiers fit");

static enum err must_check tls_names_read(struct slice der, struct tls_names *out)
{
	DecodedCert *cert = malloc(sizeof(*cert));
	enum err err = ERR_MALFORMED;

	memset(out, 0, sizeof(*out));
	if (!cert)
		return ERR_NOMEM;
	wc_InitDecodedCert(cert, der.ptr, (word32)der.len, NULL);
	if (wc_ParseCert(cert, CERT_TYPE, NO_VERIFY, NULL) == 0) {
		memcpy(out->subject, cert->subjectHash, KEYID_SIZE);
		memcpy(out->subject_key, cert->extSubjKeyId, KEYID_SIZE);
		memcpy(out->issuer, cert->issuerHash, KEYID_SIZE);
		memcpy(out->issuer_key, cert->extAuthKeyId, KEYID_SIZE);
		out->has_issuer_key = cert->extAuthKeyIdSet;
		err = ERR_OK;
	}
	wc_FreeDecodedCert(cert);
	free(cert);
	return err;
}

static bool tls_names_is_issuer(const struct tls_names *parent, const struct tls_names *child)
{
	if (memcmp(parent->subject, child->issuer, sizeof(child->issuer)) != 0)
		return false;
	return !child->has_issuer_key ||
	       memcmp(parent->subject_key, child->issuer_key, sizeof(child->issuer_key)) == 0;
}

static enum err must_check tls_roots_read_one(struct slice *rest, struct buf *der,
					      struct tls_roots *out)
{
	enum err err;

	buf_reset(der);
	err = x509_next(rest, der);
	if (err != ERR_OK)
		return err;
	if (out->count == TLS_ROOTS_MAX)
		return ERR_FULL;
	err = tls_names_read(buf_slice(der), &out->list[out->count].names);
	if (err == ERR_OK &&
	    wc_Sha256Hash(der->ptr, (word32)der->len, out->list[out->count].sha256) != 0)
		err = ERR_CRYPTO;
	out->count += err == ERR_OK;
	return err;
}

enum err tls_roots_read(struct slice pem, struct tls_roots *out, struct reason *why)
{
	struct slice rest = pem;
	struct buf der;
	enum err err = ERR_OK;

	out->count = 0;
	buf_init_growing(&der, ROOT_DER_MAX);
	while (err == ERR_OK)
		err = tls_roots_read_one(&rest, &der, out);
	buf_deinit(&der);
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err == ERR_FULL)
		return err_because(ERR_CONFIG, why, "trust bundle has more than %d roots",
				   TLS_ROOTS_MAX);
	return err_because(err == ERR_NOMEM ? err : ERR_CONFIG, why,
			   "root %u of the trust bundle cannot be read", out->count + 1);
}

// The root that issued this; count: how many could have. (One that comes twice is one.)
static uint32_t tls_roots_issuers(const struct tls_roots *r, const struct tls_names *child,
				  uint8_t sha256[32])
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < r->count; i++) {
		const uint8_t *own = r->list[i].sha256;

		if (!tls_names_is_issuer(&r->list[i].names, child) ||
		    (found > 0 && memcmp(sha256, own, 32) == 0))
			continue;
		memcpy(sha256, own, 32);
		found++;
	}
	return found;
}

bool tls_roots_find(const struct tls_roots *r, const struct slice *chain, uint32_t count,
		    uint8_t sha256[32])
{
	struct tls_names child, parent;
	uint32_t at = 0;

	if (count == 0 || tls_names_read(chain[0], &child) != ERR_OK)
		return false;
	while (tls_roots_issuers(r, &child, sha256) == 0) {
		// An intermediate of the chain, further up: at only grows.
		bool climbed = false;

		for (at++; at < count && !climbed; at += !climbed)
			climbed = tls_names_read(chain[at], &parent) == ERR_OK &&
				  tls_names_is_issuer(&parent, &child);
		if (!climbed)
			return false;
		child = parent;
	}
	return tls_roots_issuers(r, &child, sha256) == 1;
}
