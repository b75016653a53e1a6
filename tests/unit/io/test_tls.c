// SPDX-License-Identifier: GPL-3.0-or-later
// io/tls: two real sessions joined in memory. Who is believed and who is refused with which words,
// rotation of roots, server names.
#include "io/tls_certs.h"

// ---- handshakes --------------------------------------------------------------------------------

static void check_peer(const struct end *e)
{
	struct x509_info leaf, ca;
	struct tls_peer peer;

	assert_int_equal(tls_peer(e->tls, &peer), ERR_OK);
	assert_int_equal(x509_read(buf_slice(&node.text), &leaf), ERR_OK);
	assert_int_equal(x509_read(buf_slice(&root.text), &ca), ERR_OK);
	assert_true(slice_eq_str(peer.uri, NODE_URI));
	assert_memory_equal(peer.key_pin, leaf.key_pin, 32);
	assert_memory_equal(peer.root_sha256, ca.sha256, 32);
	assert_int_equal(peer.not_after_unix_s, leaf.not_after_unix_s);
}

static void established_both_ways(void **state)
{
	static const size_t chunks[] = {0, 1, 5, 100, 1448};

	(void)state;
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		struct pair p;

		pair_new(&p, good, good);
		p.chunk = chunks[i];
		pair_shake_hands(&p);
		assert_int_equal(p.client.err, ERR_OK);
		assert_int_equal(p.server.err, ERR_OK);
		assert_string_equal(tls_group_name(p.client.tls), "X25519MLKEM768");
		assert_string_equal(tls_group_name(p.server.tls), "X25519MLKEM768");
		assert_string_equal(tls_cipher_name(p.client.tls), "TLS_AES_128_GCM_SHA256");
		check_peer(&p.client);
		check_peer(&p.server);
		pair_free(&p);
	}
}

struct refusal {
	struct tls_context *client, *server;
	enum err client_err, server_err;
	const char *client_why, *server_why;
};

// A client whose certificate is refused is established first and learns it from its first read.
static void check_refusal(const struct refusal *r)
{
	struct pair p;
	struct reason why = {0};

	pair_new(&p, r->client, r->server);
	pair_shake_hands(&p);
	if (p.client.err == ERR_OK && r->client_err != ERR_OK) {
		p.client.err = pair_move(&p, &p.server, &p.client, NULL);
		tls_why(p.client.tls, &p.client.why);
	}
	if (p.client.err != r->client_err || p.server.err != r->server_err)
		fail_msg("client: %s, %s; server: %s, %s", err_name(p.client.err),
			 p.client.why.text, err_name(p.server.err), p.server.why.text);
	if (r->client_why)
		assert_non_null(strstr(p.client.why.text, r->client_why));
	if (r->server_why) {
		assert_non_null(strstr(p.server.why.text, r->server_why));
		tls_why(p.server.tls, &why);
	}
	pair_free(&p);
}

static void refused_certificates(void **state)
{
	struct slice trust = buf_slice(&root.text);
	struct tls_context *old = context_new(&expired, trust, ALPN, true);
	struct tls_context *young = context_new(&early, trust, ALPN, true);
	struct tls_context *foreign = context_new(&stranger, trust, ALPN, true);
	struct tls_context *nobody = context_new(NULL, trust, ALPN, true);
	struct tls_context *distrustful =
		context_new(&node, buf_slice(&other_root.text), ALPN, true);
	const struct refusal refusals[] = {
		{old, good, ERR_DENIED, ERR_EXPIRED, "our certificate has expired", "has expired"},
		{good, old, ERR_EXPIRED, ERR_DENIED, "has expired", "our certificate has expired"},
		{young, good, ERR_DENIED, ERR_DENIED, "not valid yet", "not valid yet"},
		{good, young, ERR_DENIED, ERR_DENIED, "not valid yet", "not valid yet"},
		{foreign, good, ERR_DENIED, ERR_DENIED, "does not trust the CA",
		 "not signed by a trusted CA"},
		{good, foreign, ERR_DENIED, ERR_DENIED, "not signed by a trusted CA",
		 "does not trust the CA"},
		{distrustful, good, ERR_DENIED, ERR_DENIED, "not signed by a trusted CA", NULL},
		{nobody, good, ERR_DENIED, ERR_DENIED, "requires a certificate",
		 "sent no certificate"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		check_refusal(&refusals[i]);
	tls_context_unref(old);
	tls_context_unref(young);
	tls_context_unref(foreign);
	tls_context_unref(nobody);
	tls_context_unref(distrustful);
}

static void refused_protocols(void **state)
{
	struct slice trust = buf_slice(&root.text);
	struct tls_context *h2 = context_new(&node, trust, "h2", true);
	struct tls_context *silent = context_new(&node, trust, "", true);
	const struct refusal refusals[] = {
		{h2, good, ERR_DENIED, ERR_DENIED, "another protocol (ALPN)",
		 "another protocol (ALPN)"},
		{good, h2, ERR_DENIED, ERR_DENIED, "another protocol (ALPN)",
		 "another protocol (ALPN)"},
		{good, silent, ERR_DENIED, ERR_OK, "another protocol (ALPN)", NULL},
		{silent, good, ERR_OK, ERR_DENIED, NULL, "another protocol (ALPN)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		check_refusal(&refusals[i]);
	tls_context_unref(h2);
	tls_context_unref(silent);
}

// A, A and B, B: during a rotation both ends are believed, and it is known by which root.
static void rotation_of_roots(void **state)
{
	uint8_t both[2 * X509_CERT_PEM_MAX];
	struct tls_context *fresh;
	struct x509_info a, b;
	struct tls_peer peer;
	struct pair p;
	struct buf bundle;

	(void)state;
	buf_init_fixed(&bundle, both, sizeof(both));
	buf_put_slice(&bundle, buf_slice(&other_root.text));
	buf_put_slice(&bundle, buf_slice(&root.text));
	struct tls_context *old = context_new(&node, buf_slice(&bundle), ALPN, true);

	fresh = context_new(&stranger, buf_slice(&bundle), ALPN, true);
	pair_new(&p, old, fresh);
	pair_shake_hands(&p);
	assert_int_equal(p.client.err, ERR_OK);
	assert_int_equal(p.server.err, ERR_OK);
	assert_int_equal(x509_read(buf_slice(&root.text), &a), ERR_OK);
	assert_int_equal(x509_read(buf_slice(&other_root.text), &b), ERR_OK);
	assert_int_equal(tls_peer(p.client.tls, &peer), ERR_OK);
	assert_memory_equal(peer.root_sha256, b.sha256, 32);
	assert_int_equal(tls_peer(p.server.tls, &peer), ERR_OK);
	assert_memory_equal(peer.root_sha256, a.sha256, 32);
	// Sessions keep their context alive.
	tls_context_unref(old);
	tls_context_unref(fresh);
	assert_int_equal(tls_write(p.client.tls, SLICE_LIT("still here")), ERR_OK);
	assert_int_equal(pair_move(&p, &p.client, &p.server, NULL), ERR_AGAIN);
	pair_free(&p);
}

// The bundle's root that is behind node, as its peers see it; zero: they cannot tell.
static void peer_root(struct slice trust_pem, uint8_t sha256[32])
{
	struct tls_context *c = context_new(&node, trust_pem, ALPN, true);
	struct tls_peer peer;
	struct pair p;

	pair_new(&p, c, c);
	pair_shake_hands(&p);
	assert_int_equal(tls_peer(p.server.tls, &peer), ERR_OK);
	memcpy(sha256, peer.root_sha256, 32);
	pair_free(&p);
	tls_context_unref(c);
}

static void doubled_roots(void **state)
{
	uint8_t both[2 * X509_CERT_PEM_MAX], again[X509_CERT_PEM_MAX], sha256[32], zero[32] = {0};
	struct buf bundle, renewed;
	struct x509_info info;

	(void)state;
	buf_init_fixed(&bundle, both, sizeof(both));
	buf_put_slice(&bundle, buf_slice(&root.text));
	buf_put_slice(&bundle, buf_slice(&root.text));
	assert_int_equal(x509_read(buf_slice(&root.text), &info), ERR_OK);
	peer_root(buf_slice(&bundle), sha256);
	assert_memory_equal(sha256, info.sha256, 32);
	// Renewed with its old key and name: either may be meant, so neither is named.
	buf_init_fixed(&renewed, again, sizeof(again));
	assert_int_equal(x509_make_root(&root.key, SLICE_LIT("portcullis root"),
					info.not_before_unix_s + 1, info.not_after_unix_s + 1,
					&renewed),
			 ERR_OK);
	buf_reset(&bundle);
	buf_put_slice(&bundle, buf_slice(&root.text));
	buf_put_slice(&bundle, buf_slice(&renewed));
	peer_root(buf_slice(&bundle), sha256);
	assert_memory_equal(sha256, zero, 32);
}

static void unusable_configuration(void **state)
{
	struct tls_context *t = NULL;
	struct tls_config c = {.alpn = SLICE_LIT(ALPN), .trust_pem = buf_slice(&root.text)};
	struct reason why = {0};

	(void)state;
	c.chain_pem = buf_slice(&node.text);
	c.key_der = slice_make(stranger.key.der, stranger.key.der_len);
	assert_int_equal(tls_context_new(&c, &t, &why), ERR_CONFIG);
	assert_non_null(strstr(why.text, "does not fit"));
	c.key_der = SLICE_LIT("not a key");
	assert_int_equal(tls_context_new(&c, &t, &why), ERR_CONFIG);
	assert_non_null(strstr(why.text, "private key"));
	c.chain_pem = SLICE_LIT("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	assert_int_equal(tls_context_new(&c, &t, &why), ERR_CONFIG);
	assert_non_null(strstr(why.text, "certificate cannot be used"));
	c.trust_pem = c.chain_pem;
	assert_int_equal(tls_context_new(&c, &t, &why), ERR_CONFIG);
	assert_non_null(strstr(why.text, "trust bundle"));
	assert_null(t);
	// A context without a certificate dials, and does not serve.
	struct tls_context *nobody = context_new(NULL, buf_slice(&root.text), ALPN, true);
	struct tls_session *s = NULL;

	assert_int_equal(tls_session_new(nobody, true, NULL, NULL, &s), ERR_CONFIG);
	assert_null(s);
	tls_context_unref(nobody);
}

static void server_names(void **state)
{
	struct pair p;

	(void)state;
	pair_new(&p, good, good);
	assert_int_equal(tls_set_server_name(p.client.tls, "n1.nodes.local"), ERR_OK);
	pair_shake_hands(&p);
	assert_int_equal(p.client.err, ERR_OK);
	pair_free(&p);
	pair_new(&p, good, good);
	assert_int_equal(tls_set_server_name(p.client.tls, "n2.nodes.local"), ERR_OK);
	pair_shake_hands(&p);
	assert_int_equal(p.client.err, ERR_DENIED);
	assert_non_null(strstr(p.client.why.text, "another name"));
	pair_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(established_both_ways), cmocka_unit_test(refused_certificates),
		cmocka_unit_test(refused_protocols),	 cmocka_unit_test(rotation_of_roots),
		cmocka_unit_test(doubled_roots),	 cmocka_unit_test(unusable_configuration),
		cmocka_unit_test(server_names),
	};

	return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
