// SPDX-License-Identifier: GPL-3.0-or-later
// Two TLS sessions joined in memory, and a CA to certify them: what the tests of io/tls stand on.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/buf.h"
#include "io/tls.h"
#include "io/x509.h"

#define NODE_URI	"spiffe://cluster.local/node/n1"
#define ALPN		"portcullis/1"
#define PAIR_ROUNDS_MAX 100000
#define PAIR_OUT_MAX	(256u << 20)

// A root, or a certificate that one has signed.
struct cert {
	struct x509_key key;
	uint8_t pem[X509_CERT_PEM_MAX];
	struct buf text;
};

// One end: its session, and what it wants to send.
struct end {
	struct tls_session *tls;
	struct buf out;
	struct slice offered;
	uint8_t *held; // bytes behind offered
	enum err err;  // of its handshake
	struct reason why;
};

struct pair {
	struct end client;
	struct end server;
	size_t chunk; // so many bytes are handed over at once; 0: all
};

static inline void cert_root(struct cert *out, const char *name)
{
	int64_t now = (int64_t)time(NULL);

	buf_init_fixed(&out->text, out->pem, sizeof(out->pem));
	assert_int_equal(x509_key_generate(&out->key), ERR_OK);
	assert_int_equal(x509_make_root(&out->key, slice_str(name), now - 86400, now + 86400,
					&out->text),
			 ERR_OK);
}

// Valid from now + from_s to now + to_s.
static inline void cert_sign(struct cert *out, const struct cert *root, const char *uri,
			     int64_t from_s, int64_t to_s)
{
	int64_t now = (int64_t)time(NULL);

	buf_init_fixed(&out->text, out->pem, sizeof(out->pem));
	assert_int_equal(x509_key_generate(&out->key), ERR_OK);
	assert_int_equal(x509_sign_leaf(&root->key, buf_slice(&root->text),
					slice_make(out->key.public_der, out->key.public_len),
					slice_str(uri), SLICE_LIT("n1.nodes.local"), now + from_s,
					now + to_s, &out->text),
			 ERR_OK);
}

// cert or trust may be NULL.
static inline struct tls_context *context_new(const struct cert *cert, struct slice trust_pem,
					      const char *alpn, bool require_peer)
{
	struct tls_config c = {
		.trust_pem = trust_pem, .alpn = slice_str(alpn), .require_peer = require_peer};
	struct tls_context *t = NULL;
	struct reason why = {0};

	if (cert) {
		c.chain_pem = buf_slice(&cert->text);
		c.key_der = slice_make(cert->key.der, cert->key.der_len);
	}
	if (tls_context_new(&c, &t, &why) != ERR_OK)
		fail_msg("%s", why.text);
	return t;
}

static inline void end_sink(void *context, struct slice ciphertext)
{
	struct end *e = context;

	buf_put_slice(&e->out, ciphertext);
}

static inline void end_new(struct end *e, struct tls_context *c, bool server)
{
	*e = (struct end){.err = ERR_AGAIN};
	buf_init_growing(&e->out, PAIR_OUT_MAX);
	assert_int_equal(tls_session_new(c, server, end_sink, e, &e->tls), ERR_OK);
}

// Sessions; no byte has been exchanged yet.
static inline void pair_new(struct pair *p, struct tls_context *client, struct tls_context *server)
{
	p->chunk = 0;
	end_new(&p->client, client, false);
	end_new(&p->server, server, true);
}

static inline void end_free(struct end *e)
{
	tls_session_free(e->tls);
	buf_deinit(&e->out);
	free(e->held);
}

static inline void pair_free(struct pair *p)
{
	end_free(&p->client);
	end_free(&p->server);
}

// The next chunk of what from wants to send, in memory of its own: reading beyond it is seen.
static inline bool pair_offer(struct pair *p, struct end *from, struct end *to)
{
	size_t len = p->chunk && p->chunk < from->out.len ? p->chunk : from->out.len;

	if (len == 0)
		return false;
	free(to->held);
	to->held = malloc(len);
	assert_non_null(to->held);
	memcpy(to->held, from->out.ptr, len);
	memmove(from->out.ptr, from->out.ptr + len, from->out.len - len);
	from->out.len -= len;
	tls_offer(to->tls, slice_make(to->held, len));
	return true;
}

static inline void end_shake(struct end *e)
{
	if (e->err == ERR_AGAIN)
		e->err = tls_handshake(e->tls, &e->why);
}

// Until both ends are established or have failed.
static inline void pair_shake_hands(struct pair *p)
{
	end_shake(&p->client); // speaks first
	for (int i = 0;
	     i < PAIR_ROUNDS_MAX && (p->client.err == ERR_AGAIN || p->server.err == ERR_AGAIN);
	     i++) {
		bool moved = p->server.err == ERR_AGAIN && pair_offer(p, &p->client, &p->server);

		end_shake(&p->server);
		moved |= p->client.err == ERR_AGAIN && pair_offer(p, &p->server, &p->client);
		end_shake(&p->client);
		if (!moved)
			break;
	}
}

// Hand over what from has put into its sink; to reads it and appends the plaintext to got (NULL: throws
// it away). The first error but ERR_AGAIN.
static inline enum err pair_move(struct pair *p, struct end *from, struct end *to, struct buf *got)
{
	uint8_t bytes[4096]; // smaller than a record: what is left comes with the next read
	size_t len;
	enum err err = ERR_AGAIN;

	while (err == ERR_AGAIN && pair_offer(p, from, to)) {
		while ((err = tls_read(to->tls, bytes, sizeof(bytes), &len)) == ERR_OK) {
			assert_true(len > 0 && len <= sizeof(bytes));
			if (got)
				buf_put(got, bytes, len);
		}
		assert_int_equal(len, 0);
	}
	return err;
}
