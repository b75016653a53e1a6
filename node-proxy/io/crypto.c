// SPDX-License-Identifier: GPL-3.0-or-later
// Digests, randomness and JWS signatures by wolfCrypt; see crypto.h. Stateless, any thread.
#include "io/crypto.h"

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#ifdef HAVE_ED448
#include <wolfssl/wolfcrypt/ed448.h>
#endif
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/sha256.h>
#include <assert.h>
#include <errno.h>
#include <sys/random.h>

#define RSA_BYTES_MIN	       256 // 2048 bits, RFC 7518 3.3
#define RSA_BYTES_MAX	       512 // 4096 bits: what wolfSSL is built for
#define RSA_EXPONENT_BYTES_MAX 4
#define EC_POINT_MAX	       66 // P-521

void crypto_sha256(struct slice data, uint8_t out[32])
{
	int failed = wc_Sha256Hash(data.ptr, (word32)data.len, out);

	// It has no reason to fail, and a digest that is none must not be compared with one.
	assert(failed == 0 && data.len <= UINT32_MAX);
	(void)failed;
}

// The kernel's generator: no state of ours that a fork or a snapshot of the machine could repeat.
enum err crypto_random(void *out, size_t len)
{
	uint8_t *at = out;

	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR_IO;
		at += n;
		len -= (size_t)n;
	}
	return ERR_OK;
}

bool crypto_equal(struct slice a, struct slice b)
{
	volatile uint8_t differs = 0; // the compiler may not stop at the first difference

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		differs |= a.ptr[i] ^ b.ptr[i];
	return differs == 0;
}

struct algorithm {
	enum wc_HashType hash;
	int mgf; // PSS only
	enum jwk_type type;
	const char *crv;
	int curve;
	uint32_t bytes; // of r, s and the coordinates
};

static const struct algorithm algorithms[] = {
	[JWT_RS256] = {WC_HASH_TYPE_SHA256, 0, JWK_RSA, "", 0, 0},
	[JWT_RS384] = {WC_HASH_TYPE_SHA384, 0, JWK_RSA, "", 0, 0},
	[JWT_RS512] = {WC_HASH_TYPE_SHA512, 0, JWK_RSA, "", 0, 0},
	[JWT_PS256] = {WC_HASH_TYPE_SHA256, WC_MGF1SHA256, JWK_RSA, "", 0, 0},
	[JWT_PS384] = {WC_HASH_TYPE_SHA384, WC_MGF1SHA384, JWK_RSA, "", 0, 0},
	[JWT_PS512] = {WC_HASH_TYPE_SHA512, WC_MGF1SHA512, JWK_RSA, "", 0, 0},
	[JWT_ES256] = {WC_HASH_TYPE_SHA256, 0, JWK_EC, "P-256", ECC_SECP256R1, 32},
	[JWT_ES384] = {WC_HASH_TYPE_SHA384, 0, JWK_EC, "P-384", ECC_SECP384R1, 48},
	[JWT_ES512] = {WC_HASH_TYPE_SHA512, 0, JWK_EC, "P-521", ECC_SECP521R1, 66},
	[JWT_EDDSA] = {WC_HASH_TYPE_NONE, 0, JWK_OKP, "", 0, 0},
};

static enum err hash_input(const struct algorithm *a, struct slice input, uint8_t *out, word32 *len)
{
	int bytes = wc_HashGetDigestSize(a->hash);

	if (bytes <= 0 || wc_Hash(a->hash, input.ptr, (word32)input.len, out, (word32)bytes) != 0)
		return ERR_CRYPTO;
	*len = (word32)bytes;
	return ERR_OK;
}

// ---- RSA ---------------------------------------------------------------------------------------

// RSASSA-PKCS1-v1_5 (RFC 8017 8.2.2): the padded digest has to be exactly the DER that it should be.
static enum err rsa_check_pkcs1(const struct algorithm *a, RsaKey *key, struct slice digest,
				struct slice signature)
{
	uint8_t expected[128], opened[RSA_BYTES_MAX];
	word32 n = wc_EncodeSignature(expected, digest.ptr, (word32)digest.len,
				      wc_HashGetOID(a->hash));
	int got =
		wc_RsaSSL_Verify(signature.ptr, (word32)signature.len, opened, sizeof(opened), key);

	if (got <= 0 || (word32)got != n || memcmp(opened, expected, n) != 0)
		return ERR_SIGNATURE;
	return ERR_OK;
}

// RSASSA-PSS with a salt as long as the digest (RFC 7518 3.5).
static enum err rsa_check_pss(const struct algorithm *a, RsaKey *key, struct slice digest,
			      struct slice signature)
{
	uint8_t opened[RSA_BYTES_MAX];
	int got = wc_RsaPSS_Verify((byte *)(uintptr_t)signature.ptr, (word32)signature.len, opened,
				   sizeof(opened), a->hash, a->mgf, key);

	if (got <= 0 || wc_RsaPSS_CheckPadding(digest.ptr, (word32)digest.len, opened, (word32)got,
					       a->hash) != 0)
		return ERR_SIGNATURE;
	return ERR_OK;
}

static struct slice without_leading_zeros(struct slice s)
{
	while (s.len > 0 && s.ptr[0] == 0)
		s = slice_make(s.ptr + 1, s.len - 1);
	return s;
}

// An exponent of 1 makes every signature its own message, an even one or an even modulus is no RSA.
static bool rsa_key_is_sound(struct slice n, struct slice e)
{
	if (n.len < RSA_BYTES_MIN || n.len > RSA_BYTES_MAX || !(n.ptr[n.len - 1] & 1))
		return false;
	if (n.len == RSA_BYTES_MIN && !(n.ptr[0] & 0x80))
		return false; // less than 2048 bits
	return e.len > 0 && e.len <= RSA_EXPONENT_BYTES_MAX && (e.ptr[e.len - 1] & 1) &&
	       !(e.len == 1 && e.ptr[0] == 1);
}

static enum err rsa_verify(const struct algorithm *a, const struct ss_jwk *k, struct slice digest,
			   struct slice signature)
{
	struct slice n = without_leading_zeros(k->n), e = without_leading_zeros(k->e);
	RsaKey key;
	enum err err;

	if (!rsa_key_is_sound(n, e))
		return ERR_UNSUPPORTED;
	if (signature.len != n.len)
		return ERR_SIGNATURE;
	if (wc_InitRsaKey(&key, NULL) != 0)
		return ERR_CRYPTO;
	if (wc_RsaPublicKeyDecodeRaw(n.ptr, (word32)n.len, e.ptr, (word32)e.len, &key) != 0)
		err = ERR_UNSUPPORTED;
	else
		err = a->mgf ? rsa_check_pss(a, &key, digest, signature)
			     : rsa_check_pkcs1(a, &key, digest, signature);
	wc_FreeRsaKey(&key);
	return err;
}

// ---- ECDSA -------------------------------------------------------------------------------------

// JWS carries r and s as fixed-width numbers side by side (RFC 7518 3.4).
static enum err ec_verify(const struct algorithm *a, const struct ss_jwk *k, struct slice digest,
			  struct slice signature)
{
	uint8_t point[1 + 2 * EC_POINT_MAX], der[2 * EC_POINT_MAX + 16];
	word32 der_len = sizeof(der);
	ecc_key key;
	int good = 0;
	enum err err = ERR_SIGNATURE;

	if (k->x.len != a->bytes || k->y.len != a->bytes)
		return ERR_UNSUPPORTED;
	// Zero is no r and no s; a library that forgot to ask accepted it for every message once.
	if (signature.len != 2 * a->bytes ||
	    without_leading_zeros(slice_make(signature.ptr, a->bytes)).len == 0 ||
	    without_leading_zeros(slice_make(signature.ptr + a->bytes, a->bytes)).len == 0)
		return ERR_SIGNATURE;
	point[0] = 0x04;
	memcpy(point + 1, k->x.ptr, a->bytes);
	memcpy(point + 1 + a->bytes, k->y.ptr, a->bytes);
	if (wc_ecc_init(&key) != 0)
		return ERR_CRYPTO;
	// Refuses points that are not on the curve. These curves have no smaller subgroups, so that is
	// all there is to ask (wc_ecc_check_key would multiply by the order once more, at the price of a
	// second verification).
	if (wc_ecc_import_x963_ex(point, 1 + 2 * a->bytes, &key, a->curve) != 0)
		err = ERR_UNSUPPORTED;
	else if (wc_ecc_rs_raw_to_sig(signature.ptr, a->bytes, signature.ptr + a->bytes, a->bytes,
				      der, &der_len) == 0 &&
		 wc_ecc_verify_hash(der, der_len, digest.ptr, (word32)digest.len, &good, &key) ==
			 0 &&
		 good == 1)
		err = ERR_OK;
	wc_ecc_free(&key);
	return err;
}

// ---- EdDSA (RFC 8037) --------------------------------------------------------------------------

static enum err ed25519_verify(const struct ss_jwk *k, struct slice input, struct slice signature)
{
	ed25519_key key;
	int good = 0;
	enum err err = ERR_SIGNATURE;

	if (k->x.len != ED25519_PUB_KEY_SIZE)
		return ERR_UNSUPPORTED;
	if (signature.len != ED25519_SIG_SIZE)
		return ERR_SIGNATURE;
	if (wc_ed25519_init(&key) != 0)
		return ERR_CRYPTO;
	if (wc_ed25519_import_public(k->x.ptr, ED25519_PUB_KEY_SIZE, &key) != 0)
		err = ERR_UNSUPPORTED;
	else if (wc_ed25519_verify_msg(signature.ptr, ED25519_SIG_SIZE, input.ptr,
				       (word32)input.len, &good, &key) == 0 &&
		 good == 1)
		err = ERR_OK;
	wc_ed25519_free(&key);
	return err;
}

#ifdef HAVE_ED448
static enum err ed448_verify(const struct ss_jwk *k, struct slice input, struct slice signature)
{
	ed448_key key;
	int good = 0;
	enum err err = ERR_SIGNATURE;

	if (k->x.len != ED448_PUB_KEY_SIZE)
		return ERR_UNSUPPORTED;
	if (signature.len != ED448_SIG_SIZE)
		return ERR_SIGNATURE;
	if (wc_ed448_init(&key) != 0)
		return ERR_CRYPTO;
	if (wc_ed448_import_public(k->x.ptr, ED448_PUB_KEY_SIZE, &key) != 0)
		err = ERR_UNSUPPORTED;
	else if (wc_ed448_verify_msg(signature.ptr, ED448_SIG_SIZE, input.ptr, (word32)input.len,
				     &good, &key, NULL, 0) == 0 &&
		 good == 1)
		err = ERR_OK;
	wc_ed448_free(&key);
	return err;
}
#endif

static enum err eddsa_verify(const struct ss_jwk *k, struct slice input, struct slice signature)
{
	if (slice_eq_str(k->crv, "Ed25519"))
		return ed25519_verify(k, input, signature);
#ifdef HAVE_ED448
	if (slice_eq_str(k->crv, "Ed448"))
		return ed448_verify(k, input, signature);
#endif
	return ERR_UNSUPPORTED;
}

enum err crypto_verify_jws(enum jwt_alg alg, const struct ss_jwk *key, struct slice input,
			   struct slice signature)
{
	const struct algorithm *a = &algorithms[alg];
	uint8_t digest[WC_MAX_DIGEST_SIZE];
	word32 len = 0;

	if (alg == JWT_ALG_NONE || key->type != a->type || input.len > UINT32_MAX)
		return ERR_UNSUPPORTED;
	if (key->type == JWK_OKP)
		return eddsa_verify(key, input, signature);
	if (key->type == JWK_EC && !slice_eq_str(key->crv, a->crv))
		return ERR_UNSUPPORTED;
	enum err err = hash_input(a, input, digest, &len);

	if (err != ERR_OK)
		return err;
	if (key->type == JWK_RSA)
		return rsa_verify(a, key, slice_make(digest, len), signature);
	return ec_verify(a, key, slice_make(digest, len), signature);
}

// ---- keys by themselves ------------------------------------------------------------------------

static enum err rsa_check(const struct ss_jwk *k, struct reason *why)
{
	struct slice n = without_leading_zeros(k->n), e = without_leading_zeros(k->e);

	if (n.len < RSA_BYTES_MIN || (n.len == RSA_BYTES_MIN && !(n.ptr[0] & 0x80)))
		return err_because(ERR_UNSUPPORTED, why,
				   "RSA keys below 2048 bits are not accepted");
	if (n.len > RSA_BYTES_MAX)
		return err_because(ERR_UNSUPPORTED, why,
				   "RSA keys above 4096 bits are not accepted");
	if (!rsa_key_is_sound(n, e))
		return err_because(ERR_UNSUPPORTED, why, "its modulus or exponent is none of RSA");
	return ERR_OK;
}

static enum err ec_check(const struct ss_jwk *k, struct reason *why)
{
	uint8_t point[1 + 2 * EC_POINT_MAX];
	const struct algorithm *a = NULL;
	ecc_key key;
	enum err err = ERR_OK;

	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]) && !a; i++) {
		if (algorithms[i].type == JWK_EC && slice_eq_str(k->crv, algorithms[i].crv))
			a = &algorithms[i];
	}
	if (!a)
		return err_because(ERR_UNSUPPORTED, why, "crv has to be P-256, P-384 or P-521");
	if (k->x.len != a->bytes || k->y.len != a->bytes)
		return err_because(ERR_UNSUPPORTED, why,
				   "x and y have to be as long as the curve says");
	point[0] = 0x04;
	memcpy(point + 1, k->x.ptr, a->bytes);
	memcpy(point + 1 + a->bytes, k->y.ptr, a->bytes);
	if (wc_ecc_init(&key) != 0)
		return err_because(ERR_CRYPTO, why, "out of memory");
	if (wc_ecc_import_x963_ex(point, 1 + 2 * a->bytes, &key, a->curve) != 0 ||
	    wc_ecc_check_key(&key) != 0)
		err = err_because(ERR_UNSUPPORTED, why, "x and y are no point of %s", a->crv);
	wc_ecc_free(&key);
	return err;
}

static enum err okp_check(const struct ss_jwk *k, struct reason *why)
{
	ed25519_key key;
	enum err err = ERR_OK;

	if (!slice_eq_str(k->crv, "Ed25519"))
		return err_because(ERR_UNSUPPORTED, why, "crv has to be Ed25519");
	if (k->x.len != ED25519_PUB_KEY_SIZE)
		return err_because(ERR_UNSUPPORTED, why, "x has to be 32 bytes");
	if (wc_ed25519_init(&key) != 0)
		return err_because(ERR_CRYPTO, why, "out of memory");
	if (wc_ed25519_import_public(k->x.ptr, ED25519_PUB_KEY_SIZE, &key) != 0 ||
	    wc_ed25519_check_key(&key) != 0)
		err = err_because(ERR_UNSUPPORTED, why, "x is no point of Ed25519");
	wc_ed25519_free(&key);
	return err;
}

enum err crypto_check_jwk(const struct ss_jwk *key, struct reason *why)
{
	switch (key->type) {
	case JWK_RSA:
		return rsa_check(key, why);
	case JWK_EC:
		return ec_check(key, why);
	case JWK_OKP:
		return okp_check(key, why);
	case JWK_NONE:
		break;
	}
	return err_because(ERR_UNSUPPORTED, why, "no type of key that is known");
}
