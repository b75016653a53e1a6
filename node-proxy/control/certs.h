// SPDX-License-Identifier: GPL-3.0-or-later
// certs: this node's key and certificate. The key is made here, lives in locked memory that no core
// dump holds, and never leaves it; policy-sync signs its public half. Renewed at half life with a
// new key; a valid certificate is never thrown away because a renewal failed. Times are arguments;
// control/loader carries the messages.
#pragma once

#include "io/x509.h"
#include "path/inbox.h"

struct certs;

struct certs_metrics {
	int64_t not_after_unix_s; // 0: none yet
	uint64_t installed;	  // certificates taken into use
	uint64_t refused;	  // certificates that could not be
	uint64_t asked;		  // renewals asked for
	uint64_t late;		  // asked for again because the last try had no answer
};

// node: this node's name; the certificate must name it.
enum err must_check certs_new(struct slice node, struct certs **out);
// Wipes the keys.
void certs_free(struct certs *c);

// The public key for HELLO: of the newest key, made where there is none (or where the certificate
// is past its half life, as a connection is as good as a renewal).
enum err must_check certs_public_key(struct certs *c, int64_t now_unix_s, struct slice *out);
// Is a renewal to be asked for now? Then *out is the new key's public half. Each try moves the next
// one away (backoff with jitter), until certs_install.
bool certs_wants_renewal(struct certs *c, int64_t now_unix_s, struct slice *out);
// When to ask certs_wants_renewal again (unix seconds; INT64_MAX: no need).
int64_t certs_due_unix_s(const struct certs *c);

// What policy-sync signed. On success *out are contexts for new tunnels (the caller's references)
// and the new key is in use; on failure all is as before. ERR_DENIED: not our name or key;
// ERR_EXPIRED; ERR_MALFORMED, ERR_CONFIG, ERR_CRYPTO; why in one sentence.
enum err must_check certs_install(struct certs *c, struct slice chain_pem, struct slice trust_pem,
				  int64_t renew_at_unix_s, int64_t now_unix_s,
				  struct inbox_credentials *out, struct reason *why);
// The trust bundle that came with the certificate; empty: none yet.
struct slice certs_trust_pem(const struct certs *c);
void certs_metrics(const struct certs *c, struct certs_metrics *out);
