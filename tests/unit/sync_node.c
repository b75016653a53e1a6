// SPDX-License-Identifier: GPL-3.0-or-later
#include "sync_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/file.h"
#include "io/crypto.h"

// ---- a node ------------------------------------------------------------------------------------

void node_send(struct node *n, const struct sync_message *m)
{
	assert_int_equal(sync_wire_send(&n->wire, m, clock_monotonic_ns()), ERR_OK);
}

static void node_hello(struct node *n)
{
	struct section_ref *refs = calloc(SNAPSHOT_SECTIONS_MAX, sizeof(*refs));
	struct sync_message m = {.type = SYNC_HELLO,
				 .version = n->version,
				 .schema_min = SNAPSHOT_SCHEMA_OLDEST,
				 .schema_max = SNAPSHOT_SCHEMA_VERSION,
				 .node = slice_str(n->name),
				 .token = slice_str(n->token),
				 .public_key = slice_make(n->key.public_der, n->public_len),
				 .generation = holdings_generation(n->holdings),
				 .refs = refs};

	m.ref_count = holdings_refs(n->holdings, refs);
	node_send(n, &m);
	n->said_hello = true;
	free(refs);
}

static void node_build(struct node *n)
{
	struct sync_message m = {.type = SYNC_ACK};
	struct reason why = {0};
	struct snapshot *s;

	if (n->refuse_snapshots) {
		m.type = SYNC_NACK;
		m.generation = holdings_target(n->holdings);
		m.reason = SLICE_LIT("this node does not like it");
		node_send(n, &m);
		return;
	}
	assert_int_equal(holdings_build(n->holdings, slice_str(n->name), &s, &why), ERR_OK);
	if (n->snapshot)
		snapshot_free(n->snapshot);
	n->snapshot = s;
	m.generation = snapshot_generation(s);
	if (!n->silent_about_snapshots)
		node_send(n, &m);
}

static void node_certificate(struct node *n, const struct sync_message *m)
{
	struct sync_message answer = {.type = SYNC_INSTALLED,
				      .not_after_unix_s = m->not_after_unix_s};

	n->certificates++;
	n->chain_len = m->chain_pem.len;
	n->trust_len = m->trust_pem.len;
	assert_in_range(n->chain_len, 1, sizeof(n->chain));
	assert_in_range(n->trust_len, 1, sizeof(n->trust));
	memcpy(n->chain, m->chain_pem.ptr, n->chain_len);
	memcpy(n->trust, m->trust_pem.ptr, n->trust_len);
	n->not_after = (int64_t)m->not_after_unix_s;
	if (!n->silent_about_certificates)
		node_send(n, &answer);
}

static void node_take(struct node *n, const struct sync_message *m)
{
	struct reason why = {0};
	enum err e;

	switch (m->type) {
	case SYNC_WELCOME:
		n->welcomed = true;
		return;
	case SYNC_REFUSED:
		snprintf(n->refused.text, sizeof(n->refused.text), "%.*s", SLICE_ARG(m->reason));
		return;
	case SYNC_CERTIFICATE:
		node_certificate(n, m);
		return;
	default:
		break;
	}
	n->manifests += m->type == SYNC_MANIFEST;
	n->sections += m->type == SYNC_SECTION;
	n->patches += m->type == SYNC_PATCH;
	n->commits += m->type == SYNC_COMMIT;
	n->bytes += m->bytes.len;
	e = holdings_receive(n->holdings, m, &why);
	if (e)
		print_error("%s\n", why.text);
	assert_int_equal(e, ERR_OK);
	if (holdings_is_complete(n->holdings))
		node_build(n);
}

static void node_turn(struct node *n, uint64_t now_ns)
{
	struct reason why = {0};
	struct sync_message m;
	struct arena arena;
	enum err e;

	if (!n->connected || n->ended)
		return;
	e = tls_stream_advance(n->wire.stream, &why);
	if (!e && !n->said_hello)
		node_hello(n);
	arena_init(&arena, 1 << 20);
	while (!e) {
		arena_reset(&arena);
		e = sync_wire_next(&n->wire, &arena, now_ns, &m);
		if (!e)
			node_take(n, &m);
	}
	arena_deinit(&arena);
	n->ended = e != ERR_AGAIN;
}

static void test_turn(struct world *w, void *context, uint64_t now_ns)
{
	struct test *t = context;

	w->poll_count = 0;
	for (uint32_t i = 0; i < t->node_count; i++) {
		struct node *n = &t->nodes[i];

		node_turn(n, now_ns);
		if (n->connected && !n->ended)
			w->polls[w->poll_count++] =
				(struct pollfd){.fd = tls_stream_fd(n->wire.stream),
						.events = tls_stream_events(n->wire.stream)};
	}
}

struct node *node_add(struct test *t, const char *name, const char *token)
{
	struct node *n = &t->nodes[t->node_count++];

	assert_in_range(t->node_count, 1, NODES_MAX);
	n->w = &t->w;
	n->name = name;
	n->token = token;
	n->version = SYNC_PROTO_VERSION;
	assert_int_equal(x509_key_generate(&n->key), ERR_OK);
	n->public_len = n->key.public_len;
	assert_int_equal(holdings_new(&n->holdings), ERR_OK);
	return n;
}

void node_connect(struct node *n)
{
	struct tls_config config = {.alpn = slice_str(SYNC_ALPN)};
	struct tls_context *context;
	struct tls_stream *stream;
	struct reason why = {0};
	struct buf pem;
	struct addr_port to = {.addr = addr_from_v4(0x7f000001), .port = n->w->port};

	buf_init_growing(&pem, 1 << 16);
	assert_int_equal(file_read(n->w->trust, 1 << 16, &pem), ERR_OK);
	config.trust_pem = buf_slice(&pem);
	assert_int_equal(tls_context_new(&config, &context, &why), ERR_OK);
	buf_deinit(&pem);
	assert_int_equal(tls_stream_connect(to, context, SYNC_SERVER_NAME, 1 << 20, &stream),
			 ERR_OK);
	tls_context_unref(context);
	sync_wire_init(&n->wire, stream, SYNC_FRAME_BYTES_MAX, clock_monotonic_ns());
	n->connected = true;
	n->said_hello = n->welcomed = n->ended = false;
	test_turn(n->w, n->w->context, clock_monotonic_ns());
}

void node_disconnect(struct node *n)
{
	if (n->connected)
		sync_wire_deinit(&n->wire);
	n->connected = false;
	holdings_abandon(n->holdings);
}

static int setup_lifetime(void **state, uint32_t lifetime_s)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	world_open(&t->w, lifetime_s);
	t->w.turn = test_turn;
	t->w.context = t;
	world_publish(&t->w);
	*state = t;
	return 0;
}

int nodes_setup(void **state)
{
	return setup_lifetime(state, 3600);
}

int nodes_teardown(void **state)
{
	struct test *t = *state;

	for (uint32_t i = 0; i < t->node_count; i++) {
		node_disconnect(&t->nodes[i]);
		if (t->nodes[i].snapshot)
			snapshot_free(t->nodes[i].snapshot);
		holdings_free(t->nodes[i].holdings);
	}
	world_close(&t->w);
	free(t);
	return 0;
}

// ---- conditions --------------------------------------------------------------------------------

bool node_is_served(void *context)
{
	struct node *n = context;
	const struct server *s = n->w->server;

	return n->snapshot && n->certificates > 0 && s->set_count > 0 &&
	       generation_cmp(snapshot_generation(n->snapshot), s->generation) == 0 &&
	       s->changed_first_ns == 0;
}

// Server and all nodes are at rest: everything published has been acknowledged, certificates are
// in.
bool nodes_are_quiet(void *context)
{
	struct test *t = context;

	if (t->w.server->changed_first_ns != 0 || t->w.server->answered)
		return false;
	for (uint32_t i = 0; i < t->node_count; i++) {
		const struct node *n = &t->nodes[i];

		if (n->connected && !n->ended && !n->welcomed)
			return false;
	}
	for (const struct subscriber *i = t->w.server->subscribers; i; i = i->next) {
		if (i->state != SUBSCRIBER_LIVE || i->transfer != TRANSFER_NONE ||
		    i->certificate != CERTIFICATE_INSTALLED ||
		    !subscriber_has_answered(i, t->w.server->generation.counter))
			return false;
	}
	return t->w.server->subscriber_count > 0;
}

bool node_has_ended(void *context)
{
	return ((struct node *)context)->ended;
}

bool node_pins(const struct node *n, const char *of, const struct x509_key *key)
{
	const struct ss_node *record = snapshot_node_by_name(n->snapshot, slice_str(of));
	uint8_t pin[32];

	if (!record)
		return false;
	crypto_sha256(slice_make(key->public_der, key->public_len), pin);
	for (size_t at = 0; at + 32 <= record->key_pins.len; at += 32) {
		if (memcmp(record->key_pins.ptr + at, pin, 32) == 0)
			return true;
	}
	return false;
}

bool node_verifies(struct node *n, const uint8_t *trust, size_t trust_len)
{
	char out[1024], path[128];

	snprintf(path, sizeof(path), "%s/chain", n->w->dir);
	assert_int_equal(file_write(path, 0600, slice_make(n->chain, n->chain_len)), ERR_OK);
	snprintf(path, sizeof(path), "%s/roots", n->w->dir);
	assert_int_equal(file_write(path, 0600, slice_make(trust, trust_len)), ERR_OK);
	return world_shell(n->w, "openssl verify -CAfile roots chain", out, sizeof(out)) == 0;
}

uint32_t node_count_roots(const struct node *n)
{
	struct slice rest = slice_make(n->trust, n->trust_len);
	uint32_t count = 0;

	for (;;) {
		uint8_t der[4096];
		struct buf b;

		buf_init_fixed(&b, der, sizeof(der));
		if (x509_next(&rest, &b) != ERR_OK)
			return count;
		count++;
	}
}

void nodes_connect_both(struct test *t, struct node **n1, struct node **n2)
{
	*n1 = node_add(t, "n1", TOKEN_1);
	*n2 = node_add(t, "n2", TOKEN_2);
	node_connect(*n1);
	node_connect(*n2);
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	assert_true(world_until(&t->w, node_is_served, *n1));
	assert_true(world_until(&t->w, node_is_served, *n2));
}
