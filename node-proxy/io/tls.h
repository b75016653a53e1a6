// SPDX-License-Identifier: GPL-3.0-or-later
// TLS 1.3 mutual authentication over bytes in memory: no descriptor, no blocking. Ciphertext goes
// in as slices, comes out through a sink; plaintext likewise. wolfSSL behind it, no wolfSSL type
// in front. tests/sim links a plain transform in its place.
#pragma once

#include "common/err.h"
#include "common/slice.h"

struct tls_context; // credentials and trust; immutable; refcounted, a new one for each rotation
struct tls_session;

#define TLS_RECORD_PLAINTEXT_MAX 16383 // 16,384 costs wolfSSL a second record

struct tls_config {
	struct slice chain_pem; // own certificate first; empty: no certificate (client only)
	struct slice key_der;	// PKCS#8 or SEC1; read during the call, never kept in the clear
	struct slice trust_pem; // roots, one or many
	struct slice alpn;	// offered and required, "portcullis/1"
	bool require_peer;	// server: demand a client certificate
};

// ERR_CONFIG (a certificate or key cannot be used), ERR_NOMEM; why says which.
enum err must_check tls_context_new(const struct tls_config *c, struct tls_context **out,
				    struct reason *why);
void tls_context_ref(struct tls_context *c); // atomic: contexts cross threads
void tls_context_unref(struct tls_context *c);

// Takes ciphertext that has to be sent, all of it: sinks bound their queue by closing later.
typedef void (*tls_sink)(void *context, struct slice ciphertext);

enum err must_check tls_session_new(struct tls_context *c, bool server, tls_sink sink,
				    void *sink_context, struct tls_session **out);
void tls_session_free(struct tls_session *s);
// server_name for SNI (client) may be set before the first handshake call.
enum err must_check tls_set_server_name(struct tls_session *s, const char *name);

// Offer received ciphertext: borrowed until it is used up; every call of tls_handshake/tls_read
// consumes from it, and they return ERR_AGAIN only when all of it is consumed.
void tls_offer(struct tls_session *s, struct slice ciphertext);
// ERR_OK: established; ERR_AGAIN: needs bytes of the peer; else final, why in one sentence
// (chain not trusted, expired, no client certificate, ALPN, ...). An alert for the peer may be in the
// sink then. A client is established before the server has judged its certificate (RFC 8446 2): a
// refusal comes with the first tls_read.
enum err must_check tls_handshake(struct tls_session *s, struct reason *why);
// At most one record: call until ERR_AGAIN. ERR_OK with *len > 0; ERR_CLOSED at close_notify; else
// final, and tls_why tells: ERR_DENIED (an alert of the peer), ERR_MALFORMED (tampered with), ERR_NOMEM.
// May put bytes into the sink (an answer to a key update, an alert).
enum err must_check tls_read(struct tls_session *s, void *out, size_t cap, size_t *len);
// All of it is sealed into the sink, in records of at most TLS_RECORD_PLAINTEXT_MAX. ERR_CLOSED,
// ERR_NOMEM: final.
enum err must_check tls_write(struct tls_session *s, struct slice plaintext);
// Why the last call failed, in one sentence.
void tls_why(const struct tls_session *s, struct reason *why);
// New keys from the next record on, in both directions (RFC 8446 4.6.3). The library does it by itself
// after 23.7 million AES-GCM records.
enum err must_check tls_update_keys(struct tls_session *s);
void tls_close_notify(struct tls_session *s);

// After the handshake. Slices live as long as the session.
struct tls_peer {
	struct slice uri;    // first URI subject alternative name; empty: none
	uint8_t key_pin[32]; // sha256 of SubjectPublicKeyInfo
	int64_t not_after_unix_s;
	uint8_t root_sha256[32]; // of the bundle's root behind it (its DER); zero: unknown
};
enum err must_check tls_peer(const struct tls_session *s, struct tls_peer *out);
const char *tls_group_name(const struct tls_session *s);  // "X25519MLKEM768"
const char *tls_cipher_name(const struct tls_session *s); // "TLS_AES_128_GCM_SHA256"

// The calling thread's TLS memory is capped from here on (worker start); it is counted always.
void tls_thread_heap(size_t bytes_max);
size_t tls_thread_heap_used(void);
// How often it had to ask malloc: constant while only records come and go.
size_t tls_thread_heap_allocations(void);
// Once a process, before any thread.
enum err must_check tls_global_init(void);
