// SPDX-License-Identifier: GPL-3.0-or-later
// trust: policy-sync's side of the CA: asks for signatures, keeps the bundle as it stands, makes
// the trust section of the snapshot and the TLS context of our own server. Who gets a certificate
// and when a rotation may go on is decided in subscriber and rotation.
#pragma once

#include "ca/ca_proto.h"
#include "common/buf.h"
#include "io/tls.h"

struct trust {
	int ca_fd; // borrowed
	uint32_t lifetime_s;
	enum ca_stage stage;
	bool lost; // the CA process does not answer any more: policy-sync has to end
	char domain[CA_TRUST_DOMAIN_BYTES];
	struct x509_key server_key;
	struct tls_context *server; // NULL before the first trust_renew_server
	int64_t server_renew_at_unix_s;
	int64_t root_not_after_unix_s;
	size_t bundle_bytes;
	uint8_t bundle[CA_ROOTS_MAX * X509_CERT_PEM_MAX];
	struct ca_request request; // scratch, like reply: large for a stack
	struct ca_reply reply;
};

// lifetime_s: of every certificate, at most CA_LIFETIME_MAX_S.
enum err must_check trust_init(struct trust *t, int ca_fd, uint32_t lifetime_s, struct slice domain,
			       struct reason *why);
void trust_deinit(struct trust *t);
struct slice trust_bundle(const struct trust *t);
// ERR_MALFORMED: not a trust domain; the old one stays.
enum err must_check trust_set_domain(struct trust *t, struct slice domain);

// A certificate for a node's key; the reply lives until the next call. ERR_CLOSED: sets lost.
enum err must_check trust_sign_node(struct trust *t, struct slice node, struct slice public_der,
				    const struct ca_reply **out, struct reason *why);
// Makes server new where it is due, or at once with force (a root has gone, the domain changed).
enum err must_check trust_renew_server(struct trust *t, bool force, int64_t now_unix_s,
				       struct reason *why);
// CA_ROTATE_BEGIN, _SWITCH, _FINISH; stage and bundle follow.
enum err must_check trust_rotate(struct trust *t, enum ca_verb verb, struct reason *why);
// The section's content: one record a root, by digest.
enum err must_check trust_put_section(const struct trust *t, struct buf *out);
const char *trust_stage_name(enum ca_stage stage);
