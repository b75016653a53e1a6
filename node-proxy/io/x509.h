// SPDX-License-Identifier: GPL-3.0-or-later
// Keys and certificates of our own CA, on wolfCrypt: made, signed and read. No wolfSSL type in
// front. Used by policy-sync's CA process (sign) and by node-proxy's control room (keys, expiry).
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

#define X509_KEY_DER_MAX    256
#define X509_PUBLIC_DER_MAX 128
#define X509_CERT_PEM_MAX   4096

struct x509_key {
	uint8_t der[X509_KEY_DER_MAX]; // private; x509_key_wipe when done
	size_t der_len;
	uint8_t public_der[X509_PUBLIC_DER_MAX]; // SubjectPublicKeyInfo
	size_t public_len;
};

enum err must_check x509_key_generate(struct x509_key *out); // ECDSA P-256
enum err must_check x509_key_load(struct slice der, struct x509_key *out);
void x509_key_wipe(struct x509_key *k);
// A self-signed root: basicConstraints CA, keyCertSign. PEM into out.
enum err must_check x509_make_root(const struct x509_key *key, struct slice common_name,
				   int64_t not_before_unix_s, int64_t not_after_unix_s,
				   struct buf *out);
// A leaf for a P-256 public key (SPKI DER, checked to be a valid point): URI SAN, dns SAN where not
// empty, digitalSignature, serverAuth + clientAuth. PEM into out.
enum err must_check x509_sign_leaf(const struct x509_key *issuer_key, struct slice issuer_pem,
				   struct slice public_der, struct slice uri, struct slice dns,
				   int64_t not_before_unix_s, int64_t not_after_unix_s,
				   struct buf *out);
struct x509_info {
	char uri[512];
	uint8_t key_pin[32]; // sha256 of SubjectPublicKeyInfo
	uint8_t sha256[32];  // of the DER
	int64_t not_before_unix_s;
	int64_t not_after_unix_s;
};
// First certificate of a PEM text.
enum err must_check x509_read(struct slice pem, struct x509_info *out);
enum err must_check x509_read_der(struct slice der, struct x509_info *out);
// The next certificate of a PEM bundle as DER; *rest moves behind it. ERR_NOT_FOUND at the end.
enum err must_check x509_next(struct slice *rest, struct buf *der);
