// SPDX-License-Identifier: GPL-3.0-or-later
// Keys and certificates of our own CA on wolfCrypt: ECDSA P-256 only, no options. What it does not:
// verify chains (io/tls does, in the handshake), decide who gets a certificate
// (policy-sync/ca) or when one is renewed (control/certs). Read io/x509.h first.
#include "io/x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/sha256.h>

#define DER_MAX		       2048  // one of our certificates is some 500 bytes
#define READ_DER_MAX	       16384 // a certificate that somebody else made
#define SAN_TEXT_MAX	       500   // keeps both names below one 64 KiB DER length
#define UTC_TIME_BYTES	       13    // YYMMDDHHMMSSZ
#define GENERALIZED_TIME_BYTES 15

// RFC 5480: SubjectPublicKeyInfo of an uncompressed P-256 point is this, then 04 X Y. Only this
// form is accepted: nothing of it needs a parser.
static const uint8_t P256_SPKI_PREFIX[26] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
					     0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
					     0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
#define P256_POINT_BYTES 65
#define P256_SPKI_BYTES	 (sizeof(P256_SPKI_PREFIX) + P256_POINT_BYTES)

static enum err must_check x509_public_from_key(ecc_key *key, struct x509_key *out)
{
	uint8_t point[P256_POINT_BYTES];
	word32 len = sizeof(point);

	if (wc_ecc_export_x963(key, point, &len) != 0 || len != sizeof(point))
		return ERR_CRYPTO;
	memcpy(out->public_der, P256_SPKI_PREFIX, sizeof(P256_SPKI_PREFIX));
	memcpy(out->public_der + sizeof(P256_SPKI_PREFIX), point, sizeof(point));
	out->public_len = P256_SPKI_BYTES;
	return ERR_OK;
}

enum err x509_key_generate(struct x509_key *out)
{
	WC_RNG rng;
	ecc_key key;
	enum err e = ERR_CRYPTO;
	int len;

	memset(out, 0, sizeof(*out));
	if (wc_InitRng(&rng) != 0)
		return ERR_CRYPTO;
	if (wc_ecc_init(&key) != 0)
		goto out_rng;
	if (wc_ecc_make_key_ex(&rng, 32, &key, ECC_SECP256R1) != 0)
		goto out;
	len = wc_EccKeyToDer(&key, out->der, sizeof(out->der));
	if (len <= 0)
		goto out;
	out->der_len = (size_t)len;
	e = x509_public_from_key(&key, out);
out:
	wc_ecc_free(&key);
out_rng:
	wc_FreeRng(&rng);
	if (e)
		x509_key_wipe(out);
	return e;
}

// SEC1 or PKCS#8 into key, which the caller frees also on failure. ERR_MALFORMED: not a P-256
// private key that fits its public half.
static enum err must_check x509_private_decode(struct slice der, ecc_key *key)
{
	word32 at = 0;

	if (der.len == 0 || der.len > X509_KEY_DER_MAX)
		return ERR_MALFORMED;
	if (wc_EccPrivateKeyDecode(der.ptr, &at, key, (word32)der.len) != 0)
		return ERR_MALFORMED;
	if (!key->dp || key->dp->id != ECC_SECP256R1)
		return ERR_MALFORMED;
	if (key->type == ECC_PRIVATEKEY_ONLY && wc_ecc_make_pub(key, NULL) != 0)
		return ERR_CRYPTO;
	return wc_ecc_check_key(key) == 0 ? ERR_OK : ERR_MALFORMED;
}

enum err x509_key_load(struct slice der, struct x509_key *out)
{
	ecc_key key;
	enum err e;
	int len;

	memset(out, 0, sizeof(*out));
	if (wc_ecc_init(&key) != 0)
		return ERR_CRYPTO;
	e = x509_private_decode(der, &key);
	if (e)
		goto out;
	len = wc_EccKeyToDer(&key, out->der, sizeof(out->der));
	if (len <= 0) {
		e = ERR_CRYPTO;
		goto out;
	}
	out->der_len = (size_t)len;
	e = x509_public_from_key(&key, out);
out:
	wc_ecc_free(&key);
	if (e)
		x509_key_wipe(out);
	return e;
}

void x509_key_wipe(struct x509_key *k)
{
	explicit_bzero(k, sizeof(*k));
}

// The point of a foreign public key, checked to lie on the curve.
static enum err must_check x509_public_decode(struct slice der, ecc_key *key)
{
	struct slice prefix = slice_make(P256_SPKI_PREFIX, sizeof(P256_SPKI_PREFIX));

	if (der.len != P256_SPKI_BYTES || !slice_starts(der, prefix))
		return ERR_MALFORMED;
	if (wc_ecc_import_x963_ex(der.ptr + prefix.len, P256_POINT_BYTES, key, ECC_SECP256R1) != 0)
		return ERR_MALFORMED;
	return wc_ecc_check_key(key) == 0 ? ERR_OK : ERR_MALFORMED;
}

// RFC 5280 4.1.2.5: UTCTime until 2049, GeneralizedTime from 2050 on; tag and length included.
static enum err must_check x509_put_time(int64_t unix_s, byte out[CTC_DATE_SIZE], int *len)
{
	time_t t = (time_t)unix_s;
	struct tm tm;
	char text[24];
	bool utc;

	if (!gmtime_r(&t, &tm) || tm.tm_year < 70 || tm.tm_year > 8099)
		return ERR_RANGE;
	utc = tm.tm_year < 150;
	if (strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm) != GENERALIZED_TIME_BYTES)
		return ERR_RANGE;
	out[0] = utc ? ASN_UTC_TIME : ASN_GENERALIZED_TIME;
	out[1] = utc ? UTC_TIME_BYTES : GENERALIZED_TIME_BYTES;
	memcpy(out + 2, utc ? text + 2 : text, out[1]);
	*len = 2 + out[1];
	return ERR_OK;
}

static enum err must_check x509_put_validity(Cert *cert, int64_t not_before_unix_s,
					     int64_t not_after_unix_s)
{
	enum err e;

	if (not_after_unix_s <= not_before_unix_s)
		return ERR_RANGE;
	e = x509_put_time(not_before_unix_s, cert->beforeDate, &cert->beforeDateSz);
	if (e)
		return e;
	return x509_put_time(not_after_unix_s, cert->afterDate, &cert->afterDateSz);
}

static void x509_put_der_length(struct buf *out, size_t len)
{
	if (len >= 256) {
		buf_put_u8(out, 0x82);
		buf_put_be16(out, (uint16_t)len);
	} else if (len >= 128) {
		buf_put_u8(out, 0x81);
		buf_put_u8(out, (uint8_t)len);
	} else {
		buf_put_u8(out, (uint8_t)len);
	}
}

// GeneralName, context tag 6 (URI) or 2 (dNSName): IA5String, so plain printable ASCII only.
static enum err must_check x509_put_name(struct buf *out, uint8_t tag, struct slice text)
{
	if (text.len > SAN_TEXT_MAX)
		return ERR_TOO_LARGE;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f)
			return ERR_MALFORMED;
	}
	buf_put_u8(out, tag);
	x509_put_der_length(out, text.len);
	buf_put_slice(out, text);
	return out->err;
}

// wolfCrypt takes the SAN extension's content as raw DER: SEQUENCE OF GeneralName.
static enum err must_check x509_put_alt_names(Cert *cert, struct slice uri, struct slice dns)
{
	uint8_t names[2 * (SAN_TEXT_MAX + 4)];
	struct buf inner, outer;
	enum err e = ERR_OK;

	if (uri.len == 0 && dns.len == 0)
		return ERR_MALFORMED;
	buf_init_fixed(&inner, names, sizeof(names));
	if (uri.len > 0)
		e = x509_put_name(&inner, 0x86, uri);
	if (!e && dns.len > 0)
		e = x509_put_name(&inner, 0x82, dns);
	if (e)
		return e;
	buf_init_fixed(&outer, cert->altNames, sizeof(cert->altNames));
	buf_put_u8(&outer, 0x30);
	x509_put_der_length(&outer, inner.len);
	buf_put_slice(&outer, buf_slice(&inner));
	cert->altNamesSz = (int)outer.len;
	return outer.err;
}

static enum err must_check x509_put_common_name(Cert *cert, struct slice name)
{
	if (name.len == 0 || name.len >= sizeof(cert->subject.commonName))
		return ERR_RANGE;
	memcpy(cert->subject.commonName, name.ptr, name.len);
	cert->subject.commonName[name.len] = 0;
	return ERR_OK;
}

// Encode, sign and write as PEM. subject is the certificate's own key, issuer signs.
static enum err must_check x509_seal(Cert *cert, ecc_key *subject, ecc_key *issuer, struct buf *out)
{
	uint8_t der[DER_MAX], pem[X509_CERT_PEM_MAX];
	enum err e = ERR_CRYPTO;
	WC_RNG rng;
	int len;

	if (wc_InitRng(&rng) != 0)
		return ERR_CRYPTO;
	// Key blinding and nonces of wolfCrypt's ECDSA come from here.
	if (wc_MakeCert(cert, der, sizeof(der), NULL, subject, &rng) < 0)
		goto out;
	len = wc_SignCert(cert->bodySz, cert->sigType, der, sizeof(der), NULL, issuer, &rng);
	if (len <= 0)
		goto out;
	len = wc_DerToPem(der, (word32)len, pem, sizeof(pem), CERT_TYPE);
	if (len <= 0)
		goto out;
	buf_put(out, pem, (size_t)len);
	e = out->err;
out:
	wc_FreeRng(&rng);
	return e;
}

static Cert *x509_cert_new(void)
{
	Cert *cert = wc_CertNew(NULL);

	if (!cert)
		return NULL;
	cert->sigType = CTC_SHA256wECDSA;
	cert->keyType = ECC_KEY;
	return cert;
}

enum err x509_make_root(const struct x509_key *key, struct slice common_name,
			int64_t not_before_unix_s, int64_t not_after_unix_s, struct buf *out)
{
	Cert *cert = x509_cert_new();
	ecc_key ecc;
	enum err e;

	if (!cert)
		return ERR_NOMEM;
	if (wc_ecc_init(&ecc) != 0) {
		wc_CertFree(cert);
		return ERR_CRYPTO;
	}
	e = x509_private_decode(slice_make(key->der, key->der_len), &ecc);
	if (e)
		goto out;
	e = x509_put_common_name(cert, common_name);
	if (e)
		goto out;
	e = x509_put_validity(cert, not_before_unix_s, not_after_unix_s);
	if (e)
		goto out;
	cert->isCA = 1;
	cert->basicConstCrit = 1;
	cert->pathLen = 0; // signs leaves, never another CA
	cert->pathLenSet = 1;
	e = ERR_CRYPTO;
	if (wc_SetKeyUsage(cert, "keyCertSign,cRLSign") != 0)
		goto out;
	if (wc_SetSubjectKeyIdFromPublicKey_ex(cert, ECC_TYPE, &ecc) != 0)
		goto out;
	e = x509_seal(cert, &ecc, &ecc, out);
out:
	wc_ecc_free(&ecc);
	wc_CertFree(cert);
	return e;
}

// The names of subject and issuer, both key ids, and what the key is good for.
static enum err must_check x509_fill_leaf(Cert *cert, struct slice issuer_pem, ecc_key *subject,
					  struct slice uri, struct slice dns)
{
	uint8_t der[READ_DER_MAX];
	struct buf issuer_der;
	struct slice rest = issuer_pem;
	enum err e;

	buf_init_fixed(&issuer_der, der, sizeof(der));
	e = x509_next(&rest, &issuer_der);
	if (e)
		return e == ERR_NOT_FOUND ? ERR_MALFORMED : e;
	e = x509_put_alt_names(cert, uri, dns);
	if (e)
		return e;
	e = x509_put_common_name(
		cert, dns.len > 0 && dns.len < CTC_NAME_SIZE ? dns : SLICE_LIT("portcullis node"));
	if (e)
		return e;
	if (wc_SetIssuerBuffer(cert, der, (int)issuer_der.len) != 0)
		return ERR_MALFORMED;
	// The authority key id tells roots A and B apart while both are in the bundle.
	if (wc_SetAuthKeyIdFromCert(cert, der, (int)issuer_der.len) != 0)
		return ERR_MALFORMED;
	if (wc_SetSubjectKeyIdFromPublicKey_ex(cert, ECC_TYPE, subject) != 0 ||
	    wc_SetKeyUsage(cert, "digitalSignature") != 0 ||
	    wc_SetExtKeyUsage(cert, "serverAuth,clientAuth") != 0)
		return ERR_CRYPTO;
	return ERR_OK;
}

enum err x509_sign_leaf(const struct x509_key *issuer_key, struct slice issuer_pem,
			struct slice public_der, struct slice uri, struct slice dns,
			int64_t not_before_unix_s, int64_t not_after_unix_s, struct buf *out)
{
	Cert *cert = x509_cert_new();
	ecc_key issuer, subject;
	enum err e = ERR_CRYPTO;

	if (!cert)
		return ERR_NOMEM;
	if (wc_ecc_init(&issuer) != 0)
		goto out_cert;
	if (wc_ecc_init(&subject) != 0)
		goto out_issuer;
	e = x509_private_decode(slice_make(issuer_key->der, issuer_key->der_len), &issuer);
	if (e)
		goto out;
	e = x509_public_decode(public_der, &subject);
	if (e)
		goto out;
	e = x509_put_validity(cert, not_before_unix_s, not_after_unix_s);
	if (e)
		goto out;
	e = x509_fill_leaf(cert, issuer_pem, &subject, uri, dns);
	if (e)
		goto out;
	e = x509_seal(cert, &subject, &issuer, out);
out:
	wc_ecc_free(&subject);
out_issuer:
	wc_ecc_free(&issuer);
out_cert:
	wc_CertFree(cert);
	return e;
}

static enum err must_check x509_get_time(const byte *date, int len, int64_t *unix_s)
{
	const byte *text;
	struct tm tm = {0};
	byte format;
	int text_len;

	if (!date || len <= 0 || wc_GetDateInfo(date, len, &text, &format, &text_len) != 0)
		return ERR_MALFORMED;
	if (wc_GetDateAsCalendarTime(text, text_len, format, &tm) != 0)
		return ERR_MALFORMED;
	*unix_s = (int64_t)timegm(&tm);
	return ERR_OK;
}

static enum err must_check x509_fill_info(DecodedCert *cert, struct slice der,
					  struct x509_info *out)
{
	uint8_t spki[512];
	word32 spki_len = sizeof(spki);
	enum err e;

	e = x509_get_time(cert->beforeDate, cert->beforeDateLen, &out->not_before_unix_s);
	if (e)
		return e;
	e = x509_get_time(cert->afterDate, cert->afterDateLen, &out->not_after_unix_s);
	if (e)
		return e;
	if (wc_GetSubjectPubKeyInfoDerFromCert(der.ptr, (word32)der.len, spki, &spki_len) < 0)
		return ERR_UNSUPPORTED; // larger than any elliptic-curve key
	if (wc_Sha256Hash(spki, spki_len, out->key_pin) != 0 ||
	    wc_Sha256Hash(der.ptr, (word32)der.len, out->sha256) != 0)
		return ERR_CRYPTO;
	for (const DNS_entry *n = cert->altNames; n; n = n->next) {
		if (n->type != ASN_URI_TYPE)
			continue;
		if (n->len <= 0 || (size_t)n->len >= sizeof(out->uri) ||
		    memchr(n->name, 0, (size_t)n->len))
			return ERR_MALFORMED;
		memcpy(out->uri, n->name, (size_t)n->len);
		break;
	}
	return ERR_OK;
}

enum err x509_read_der(struct slice der, struct x509_info *out)
{
	DecodedCert *cert = malloc(sizeof(*cert));
	enum err e;

	memset(out, 0, sizeof(*out));
	if (!cert)
		return ERR_NOMEM;
	wc_InitDecodedCert(cert, der.ptr, (word32)der.len, NULL);
	if (wc_ParseCert(cert, CERT_TYPE, NO_VERIFY, NULL) != 0)
		e = ERR_MALFORMED;
	else
		e = x509_fill_info(cert, der, out);
	wc_FreeDecodedCert(cert);
	free(cert);
	return e;
}

enum err x509_read(struct slice pem, struct x509_info *out)
{
	uint8_t bytes[READ_DER_MAX];
	struct slice rest = pem;
	struct buf der;
	enum err e;

	buf_init_fixed(&der, bytes, sizeof(bytes));
	e = x509_next(&rest, &der);
	return e ? e : x509_read_der(buf_slice(&der), out);
}

enum err x509_next(struct slice *rest, struct buf *der)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	static const char end[] = "-----END CERTIFICATE-----";
	const uint8_t *from, *to;
	uint8_t bytes[READ_DER_MAX];
	size_t len;
	int n;

	if (rest->len == 0)
		return ERR_NOT_FOUND;
	from = memmem(rest->ptr, rest->len, begin, sizeof(begin) - 1);
	if (!from)
		return ERR_NOT_FOUND;
	len = rest->len - (size_t)(from - rest->ptr);
	to = memmem(from, len, end, sizeof(end) - 1);
	if (!to)
		return ERR_MALFORMED;
	to += sizeof(end) - 1;
	len = (size_t)(to - from);
	if (len > READ_DER_MAX)
		return ERR_TOO_LARGE;
	*rest = slice_make(to, rest->len - (size_t)(to - rest->ptr));
	n = wc_CertPemToDer(from, (int)len, bytes, sizeof(bytes), CERT_TYPE);
	if (n <= 0)
		return ERR_MALFORMED;
	buf_put(der, bytes, (size_t)n);
	return der->err;
}
