// SPDX-License-Identifier: GPL-3.0-or-later
// What policy-sync and its CA process say to each other: fixed-size structs over a SOCK_SEQPACKET
// pair, one request, one reply. Nothing here needs a parser, so nothing that a node or the API
// sends can reach one in the process that holds the root key.
#pragma once

#include "common/err.h"
#include "io/x509.h"

#define CA_PROTO_VERSION      1
#define CA_TRUST_DOMAIN_BYTES 128 // NUL included
#define CA_NODE_BYTES	      254
#define CA_PUBLIC_BYTES	      91 // SubjectPublicKeyInfo of an uncompressed P-256 point
#define CA_LIFETIME_MAX_S     86400
// Certificates are valid from so long ago, for nodes whose clocks lag; the span still fits a day.
#define CA_BACKDATE_S 60
#define CA_ROOTS_MAX  2 // A, A+B, B

enum ca_verb {
	CA_NONE = 0,
	CA_SIGN_NODE, // spiffe://<trust-domain>/node/<node>
	CA_SIGN_SERVER, // spiffe://<trust-domain>/policy-sync and SYNC_SERVER_NAME; by the oldest root
	CA_BUNDLE,	// trust bundle and stage only
	CA_ROTATE_BEGIN,  // STABLE ▶ BEGUN: the bundle is A+B, A signs
	CA_ROTATE_SWITCH, // BEGUN ▶ SWITCHED: B signs
	CA_ROTATE_FINISH, // SWITCHED ▶ STABLE: the bundle is B; A's key is destroyed
	CA_VERB_COUNT
};

enum ca_stage { CA_STAGE_NONE = 0, CA_STAGE_STABLE, CA_STAGE_BEGUN, CA_STAGE_SWITCHED };

struct ca_request {
	uint32_t version;
	uint32_t verb;
	uint32_t lifetime_s;
	char trust_domain[CA_TRUST_DOMAIN_BYTES];
	char node[CA_NODE_BYTES];
	uint8_t public_der[CA_PUBLIC_BYTES];
};

struct ca_reply {
	uint32_t version;
	uint32_t err; // enum err
	uint32_t stage;
	uint32_t chain_bytes; // SIGN_*
	uint32_t trust_bytes; // always
	int64_t not_before_unix_s;
	int64_t not_after_unix_s;
	int64_t root_not_after_unix_s; // of the root that signs
	struct reason why;
	uint8_t chain_pem[X509_CERT_PEM_MAX];
	uint8_t trust_pem[CA_ROOTS_MAX * X509_CERT_PEM_MAX];
};
