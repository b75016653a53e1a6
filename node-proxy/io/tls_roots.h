// SPDX-License-Identifier: GPL-3.0-or-later
// Which root of the trust bundle stands behind a chain that the TLS library has already verified? For
// tls.c only. Verifies nothing itself.
#pragma once

#include "common/err.h"
#include "common/slice.h"

#define TLS_ROOTS_MAX	    16
#define TLS_NAME_HASH_BYTES 32 // wolfSSL's digests of names and keys are 20 or 32 bytes

// How a certificate names its subject and its issuer.
struct tls_names {
	uint8_t subject[TLS_NAME_HASH_BYTES];
	uint8_t subject_key[TLS_NAME_HASH_BYTES];
	uint8_t issuer[TLS_NAME_HASH_BYTES];
	uint8_t issuer_key[TLS_NAME_HASH_BYTES];
	bool has_issuer_key; // authority key identifier (RFC 5280 4.2.1.1)
};

struct tls_roots {
	uint32_t count;
	struct {
		struct tls_names names;
		uint8_t sha256[32];
	} list[TLS_ROOTS_MAX];
};

// From a PEM bundle. ERR_CONFIG with a sentence: a certificate that cannot be read, or too many.
enum err must_check tls_roots_read(struct slice pem, struct tls_roots *out, struct reason *why);
// chain is DER, leaf first. False: it hangs on none, or on more than one of them.
bool tls_roots_find(const struct tls_roots *r, const struct slice *chain, uint32_t count,
		    uint8_t sha256[32]);
