// SPDX-License-Identifier: GPL-3.0-or-later
// TLS 1.3 by wolfSSL over memory; see tls.h. The library's I/O callbacks are served from the slice that
// was offered and write into the caller's sink; contexts are immutable and made anew for each
// rotation, because wolfSSL's certificate manager hands out raw pointers.
#include "io/tls.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include "io/tls_heap.h"
#include "io/tls_roots.h"
#include "io/x509.h"

// Node certificates are our own CA's leaf plus at most one intermediate and a root.
#define TLS_VERIFY_DEPTH 3

struct tls_context {
	WOLFSSL_CTX *client;
	WOLFSSL_CTX *server;
	_Atomic uint32_t refs;
	bool require_peer;
	char alpn[64];
	struct tls_roots roots;
};

struct tls_session {
	WOLFSSL *ssl;
	struct tls_context *context;
	tls_sink sink;
	void *sink_context;
	struct slice offered;
	bool server;
	bool established;
	bool have_peer;
	int code; // wolfSSL's, of the last failure
	struct x509_info peer;
	uint8_t peer_root[32];
};

enum err tls_global_init(void)
{
	enum err err = tls_heap_install();

	if (err != ERR_OK)
		return err;
	return wolfSSL_Init() == WOLFSSL_SUCCESS ? ERR_OK : ERR_CRYPTO;
}

// ---- contexts ----------------------------------------------------------------------------------

static int tls_on_receive(WOLFSSL *ssl, char *out, int cap, void *context)
{
	struct tls_session *s = context;
	size_t n = s->offered.len < (size_t)cap ? s->offered.len : (size_t)cap;

	(void)ssl;
	if (n == 0)
		return WOLFSSL_CBIO_ERR_WANT_READ;
	memcpy(out, s->offered.ptr, n);
	s->offered.ptr += n;
	s->offered.len -= n;
	return (int)n;
}

static int tls_on_send(WOLFSSL *ssl, char *bytes, int len, void *context)
{
	struct tls_session *s = context;

	(void)ssl;
	s->sink(s->sink_context, slice_make(bytes, (size_t)len));
	return len;
}

// Keeps who the leaf says it is, and which root it hangs on.
static void tls_keep_peer(struct tls_session *s, const WOLFSSL_X509_STORE_CTX *store)
{
	struct slice chain[TLS_VERIFY_DEPTH + 1];
	uint32_t count = 0;

	for (; count < sizeof(chain) / sizeof(chain[0]) && (int)count < store->totalCerts; count++)
		chain[count] = slice_make(store->certs[count].buffer, store->certs[count].length);
	s->have_peer = x509_read_der(chain[0], &s->peer) == ERR_OK;
	if (!tls_roots_find(&s->context->roots, chain, count, s->peer_root))
		memset(s->peer_root, 0, sizeof(s->peer_root));
}

// Called for every certificate of the chain (WOLFSSL_ALWAYS_VERIFY_CB), the leaf last.
static int tls_on_verify(int accepted, WOLFSSL_X509_STORE_CTX *store)
{
	struct tls_session *s = store->userCtx;

	if (accepted && s && store->error_depth == 0 && store->certs && store->totalCerts > 0)
		tls_keep_peer(s, store);
	return accepted;
}

static enum err tls_load(WOLFSSL_CTX *ctx, const struct tls_config *c, struct reason *why)
{
	if (c->trust_pem.len > 0 &&
	    wolfSSL_CTX_load_verify_buffer(ctx, c->trust_pem.ptr, (long)c->trust_pem.len,
					   WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS)
		return err_because(ERR_CONFIG, why, "trust bundle cannot be read");
	if (c->chain_pem.len == 0)
		return ERR_OK;
	if (wolfSSL_CTX_use_certificate_chain_buffer(ctx, c->chain_pem.ptr,
						     (long)c->chain_pem.len) != WOLFSSL_SUCCESS)
		return err_because(ERR_CONFIG, why, "certificate cannot be used");
	if (wolfSSL_CTX_use_PrivateKey_buffer(ctx, c->key_der.ptr, (long)c->key_der.len,
					      WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS)
		return err_because(ERR_CONFIG, why, "private key cannot be used");
	if (wolfSSL_CTX_check_private_key(ctx) != WOLFSSL_SUCCESS)
		return err_because(ERR_CONFIG, why, "private key does not fit the certificate");
	return ERR_OK;
}

static enum err tls_make(WOLFSSL_METHOD *method, const struct tls_config *c, WOLFSSL_CTX **out,
			 struct reason *why)
{
	// Hybrid post-quantum first, then X25519; P-256 for a peer that has neither.
	static int groups[] = {WOLFSSL_X25519MLKEM768, WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1};
	WOLFSSL_CTX *ctx = wolfSSL_CTX_new(method);

	if (!ctx)
		return err_because(ERR_NOMEM, why, "no memory for a TLS context");
	*out = ctx;
	wolfSSL_CTX_SetIORecv(ctx, tls_on_receive);
	wolfSSL_CTX_SetIOSend(ctx, tls_on_send);
	if (wolfSSL_CTX_set_cipher_list(ctx, "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:"
					     "TLS13-CHACHA20-POLY1305-SHA256") != WOLFSSL_SUCCESS ||
	    wolfSSL_CTX_set_groups(ctx, groups, 3) != WOLFSSL_SUCCESS)
		return err_because(ERR_CRYPTO, why, "cipher suites or groups are not built in");
	// Resumption loses the peer's identity: every tunnel is a full handshake, once an hour or less.
	wolfSSL_CTX_no_ticket_TLSv13(ctx);
	wolfSSL_CTX_set_verify_depth(ctx, TLS_VERIFY_DEPTH);
	return tls_load(ctx, c, why);
}

enum err tls_context_new(const struct tls_config *c, struct tls_context **out, struct reason *why)
{
	struct tls_context *t = calloc(1, sizeof(*t));
	enum err err;

	if (!t)
		return err_because(ERR_NOMEM, why, "no memory for a TLS context");
	if (c->alpn.len >= sizeof(t->alpn)) {
		free(t);
		return err_because(ERR_CONFIG, why, "ALPN name is too long");
	}
	if (c->alpn.len > 0)
		memcpy(t->alpn, c->alpn.ptr, c->alpn.len);
	t->require_peer = c->require_peer;
	atomic_init(&t->refs, 1);
	err = tls_roots_read(c->trust_pem, &t->roots, why);
	if (err == ERR_OK)
		err = tls_make(wolfTLSv1_3_client_method(), c, &t->client, why);
	if (err == ERR_OK && c->chain_pem.len > 0)
		err = tls_make(wolfTLSv1_3_server_method(), c, &t->server, why);
	if (err != ERR_OK) {
		tls_context_unref(t);
		return err;
	}
	wolfSSL_CTX_set_verify(t->client, WOLFSSL_VERIFY_PEER, tls_on_verify);
	if (t->server)
		wolfSSL_CTX_set_verify(t->server,
				       c->require_peer ? WOLFSSL_VERIFY_PEER |
								 WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT
						       : WOLFSSL_VERIFY_NONE,
				       tls_on_verify);
	*out = t;
	return ERR_OK;
}

void tls_context_ref(struct tls_context *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

void tls_context_unref(struct tls_context *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
		return;
	if (c->client)
		wolfSSL_CTX_free(c->client);
	if (c->server)
		wolfSSL_CTX_free(c->server);
	free(c);
}

// ---- sessions ----------------------------------------------------------------------------------

static enum err tls_session_configure(struct tls_session *s)
{
	struct tls_context *c = s->context;

	wolfSSL_SetIOReadCtx(s->ssl, s);
	wolfSSL_SetIOWriteCtx(s->ssl, s);
	wolfSSL_SetCertCbCtx(s->ssl, s);
	if (c->alpn[0] && wolfSSL_UseALPN(s->ssl, c->alpn, (unsigned int)strlen(c->alpn),
					  WOLFSSL_ALPN_FAILED_ON_MISMATCH) != WOLFSSL_SUCCESS)
		return ERR_CRYPTO;
	// The share that is most likely wanted goes into the first flight: no HelloRetryRequest.
	if (!s->server && wolfSSL_UseKeyShare(s->ssl, WOLFSSL_X25519MLKEM768) != WOLFSSL_SUCCESS)
		return ERR_CRYPTO;
	return ERR_OK;
}

enum err tls_session_new(struct tls_context *c, bool server, tls_sink sink, void *sink_context,
			 struct tls_session **out)
{
	WOLFSSL_CTX *ctx = server ? c->server : c->client;
	struct tls_session *s;

	if (!ctx)
		return ERR_CONFIG;
	s = calloc(1, sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	s->server = server;
	s->sink = sink;
	s->sink_context = sink_context;
	s->context = c;
	tls_context_ref(c);
	s->ssl = wolfSSL_new(ctx);
	if (!s->ssl || tls_session_configure(s) != ERR_OK) {
		tls_session_free(s);
		return ERR_NOMEM;
	}
	*out = s;
	return ERR_OK;
}

void tls_session_free(struct tls_session *s)
{
	if (!s)
		return;
	if (s->ssl)
		wolfSSL_free(s->ssl);
	tls_context_unref(s->context);
	free(s);
}

enum err tls_set_server_name(struct tls_session *s, const char *name)
{
	if (wolfSSL_UseSNI(s->ssl, WOLFSSL_SNI_HOST_NAME, name, (unsigned short)strlen(name)) !=
		    WOLFSSL_SUCCESS ||
	    wolfSSL_check_domain_name(s->ssl, name) != WOLFSSL_SUCCESS)
		return ERR_CRYPTO;
	return ERR_OK;
}

void tls_offer(struct tls_session *s, struct slice ciphertext)
{
	s->offered = ciphertext;
}

// What a peer may hold against us, in words (RFC 8446 6).
static const char *tls_alert_words(int alert)
{
	switch (alert) {
	case bad_certificate:
	case unsupported_certificate:
	case certificate_unknown:
		return "it does not accept our certificate";
	case certificate_revoked:
		return "our certificate is revoked";
	case certificate_expired:
		return "our certificate has expired, or is not valid yet";
	case unknown_ca:
		return "it does not trust the CA of our certificate";
	case certificate_required:
		return "it requires a certificate";
	case no_application_protocol:
		return "it speaks another protocol (ALPN)";
	case handshake_failure:
	case insufficient_security:
		return "no common key exchange, signature or cipher";
	case protocol_version:
		return "it does not speak TLS 1.3";
	case bad_record_mac:
	case decrypt_error:
		return "what it received had been changed on its way";
	default:
		return "no reason that we know";
	}
}

// What the library's code means for the caller.
static enum err tls_code_error(int code)
{
	switch (code) {
	case ASN_NO_SIGNER_E:
	case ASN_SELF_SIGNED_E:
	case ASN_SIG_CONFIRM_E:
	case ASN_BEFORE_DATE_E:
	case NO_PEER_CERT:
	case UNKNOWN_ALPN_PROTOCOL_NAME_E:
	case DOMAIN_NAME_MISMATCH:
	case FATAL_ERROR: // an alert
		return ERR_DENIED;
	case ASN_AFTER_DATE_E:
		return ERR_EXPIRED;
	case SOCKET_ERROR_E:
	case SOCKET_PEER_CLOSED_E:
	case ZERO_RETURN:
		return ERR_CLOSED;
	case MEMORY_E:
	case MEMORY_ERROR:
		return ERR_NOMEM;
	default:
		return ERR_MALFORMED;
	}
}

static enum err tls_explain_alert(const struct tls_session *s, struct reason *why)
{
	WOLFSSL_ALERT_HISTORY alerts;

	if (wolfSSL_get_alert_history(s->ssl, &alerts) != WOLFSSL_SUCCESS ||
	    alerts.last_rx.code < 0)
		return err_because(ERR_MALFORMED, why, "TLS failed");
	return err_because(ERR_DENIED, why, "peer refused us: %s (TLS alert %d)",
			   tls_alert_words(alerts.last_rx.code), alerts.last_rx.code);
}

static enum err tls_explain(const struct tls_session *s, struct reason *why)
{
	enum err err = tls_code_error(s->code);

	switch (s->code) {
	case 0:
		return err_because(ERR_OK, why, "nothing has failed");
	case ASN_NO_SIGNER_E:
	case ASN_SELF_SIGNED_E:
	case ASN_SIG_CONFIRM_E:
		return err_because(err, why, "peer's certificate is not signed by a trusted CA");
	case ASN_AFTER_DATE_E:
		return err_because(err, why, "peer's certificate has expired");
	case ASN_BEFORE_DATE_E:
		return err_because(err, why, "peer's certificate is not valid yet");
	case NO_PEER_CERT:
		return err_because(err, why, "peer sent no certificate");
	case UNKNOWN_ALPN_PROTOCOL_NAME_E:
		return err_because(err, why, "peer speaks another protocol (ALPN)");
	case DOMAIN_NAME_MISMATCH:
		return err_because(err, why, "peer's certificate bears another name");
	case SOCKET_ERROR_E:
	case SOCKET_PEER_CLOSED_E:
	case ZERO_RETURN:
		return err_because(err, why, "peer closed the connection");
	case MEMORY_E:
	case MEMORY_ERROR:
		return err_because(err, why, "out of TLS memory");
	case VERIFY_MAC_ERROR:
	case DECRYPT_ERROR:
	case AES_GCM_AUTH_E:
	case MAC_CMP_FAILED_E:
		return err_because(err, why, "a TLS record was changed on its way");
	case FATAL_ERROR:
		return tls_explain_alert(s, why);
	default:
		return err_because(err, why, "TLS: %s",
				   wolfSSL_ERR_reason_error_string((unsigned long)-(long)s->code));
	}
}

void tls_why(const struct tls_session *s, struct reason *why)
{
	(void)tls_explain(s, why);
}

// Of a call that has not succeeded: ERR_AGAIN, or what is final now and kept for tls_why.
static enum err tls_failed(struct tls_session *s, int result)
{
	int code = wolfSSL_get_error(s->ssl, result);

	if (code == WOLFSSL_ERROR_WANT_READ || code == WOLFSSL_ERROR_WANT_WRITE)
		return ERR_AGAIN;
	s->code = code == WOLFSSL_ERROR_ZERO_RETURN ? ZERO_RETURN : code;
	return tls_code_error(s->code);
}

static enum err tls_check_established(struct tls_session *s, struct reason *why)
{
	char *name = NULL;
	unsigned short len = 0;

	if (s->context->alpn[0] &&
	    (wolfSSL_ALPN_GetProtocol(s->ssl, &name, &len) != WOLFSSL_SUCCESS ||
	     !slice_eq_str(slice_make(name, len), s->context->alpn)))
		return err_because(ERR_DENIED, why, "peer speaks another protocol (ALPN)");
	if ((!s->server || s->context->require_peer) && !s->have_peer)
		return err_because(ERR_DENIED, why, "peer's certificate cannot be read");
	s->established = true;
	return ERR_OK;
}

enum err tls_handshake(struct tls_session *s, struct reason *why)
{
	int result = s->server ? wolfSSL_accept(s->ssl) : wolfSSL_connect(s->ssl);

	if (result == WOLFSSL_SUCCESS)
		return tls_check_established(s, why);
	enum err err = tls_failed(s, result);

	return err == ERR_AGAIN ? err : tls_explain(s, why);
}

enum err tls_read(struct tls_session *s, void *out, size_t cap, size_t *len)
{
	tls_heap_records(true);
	int result = wolfSSL_read(s->ssl, out, cap > INT32_MAX ? INT32_MAX : (int)cap);

	tls_heap_records(false);
	*len = result > 0 ? (size_t)result : 0;
	return result > 0 ? ERR_OK : tls_failed(s, result);
}

enum err tls_write(struct tls_session *s, struct slice plaintext)
{
	enum err err = ERR_OK;

	tls_heap_records(true);
	while (err == ERR_OK && plaintext.len > 0) {
		size_t part = plaintext.len < TLS_RECORD_PLAINTEXT_MAX ? plaintext.len
								       : TLS_RECORD_PLAINTEXT_MAX;
		int result = wolfSSL_write(s->ssl, plaintext.ptr, (int)part);

		if (result > 0) {
			plaintext.ptr += result;
			plaintext.len -= (size_t)result;
		} else {
			// The sink takes everything: there is nothing to wait for.
			err = tls_failed(s, result) == ERR_NOMEM ? ERR_NOMEM : ERR_CLOSED;
		}
	}
	tls_heap_records(false);
	return err;
}

enum err tls_update_keys(struct tls_session *s)
{
	int result = wolfSSL_update_keys(s->ssl);

	return result == WOLFSSL_SUCCESS ? ERR_OK : tls_failed(s, result);
}

void tls_close_notify(struct tls_session *s)
{
	if (s->established)
		wolfSSL_shutdown(s->ssl);
}

enum err tls_peer(const struct tls_session *s, struct tls_peer *out)
{
	memset(out, 0, sizeof(*out));
	if (!s->have_peer)
		return ERR_NOT_FOUND;
	out->uri = slice_str(s->peer.uri);
	memcpy(out->key_pin, s->peer.key_pin, sizeof(out->key_pin));
	out->not_after_unix_s = s->peer.not_after_unix_s;
	memcpy(out->root_sha256, s->peer_root, sizeof(out->root_sha256));
	return ERR_OK;
}

const char *tls_group_name(const struct tls_session *s)
{
	const char *name = wolfSSL_get_curve_name(s->ssl);

	if (!name)
		return "unknown";
	// The library's names for what the registry (IANA TLS Supported Groups) calls:
	if (strstr(name, "X25519") && strstr(name, "768"))
		return "X25519MLKEM768";
	return name;
}

const char *tls_cipher_name(const struct tls_session *s)
{
	const char *name = wolfSSL_get_cipher(s->ssl);

	return name ? name : "unknown";
}
