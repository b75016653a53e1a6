// SPDX-License-Identifier: GPL-3.0-or-later
// policy-sync/publish: the real server and CA, and nodes that speak the wire over real TLS, honest
// ones (they check and build snapshots with node-proxy's own code) and others.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <pthread.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/file.h"
#include "control/holdings.h"
#include "io/crypto.h"
#include "io/x509.h"
#include "publish/control.h"
#include "publish/subscriber.h"
#include "sync_world.h"

#define NODES_MAX 4

struct node {
	struct world *w;
	const char *name;
	const char *token;
	struct sync_wire wire;
	bool connected;
	bool said_hello;
	bool welcomed;
	bool ended;
	struct reason refused;
	struct x509_key key;
	struct holdings *holdings;
	struct snapshot *snapshot;
	// what it shall do
	uint32_t version;
	bool silent_about_snapshots;
	bool silent_about_certificates;
	bool refuse_snapshots;
	size_t public_len;
	// what it has seen
	uint32_t manifests, sections, patches, commits, certificates;
	uint64_t bytes;
	int64_t not_after;
	size_t chain_len, trust_len;
	uint8_t chain[X509_CERT_PEM_MAX];
	uint8_t trust[2 * X509_CERT_PEM_MAX];
};

struct test {
	struct world w;
	struct node nodes[NODES_MAX];
	uint32_t node_count;
};

// ---- a node ------------------------------------------------------------------------------------

static void node_send(struct node *n, const struct sync_message *m)
{
	assert_int_equal(sync_wire_send(&n->wire, m, clock_monotonic_ns()), ERR_OK);
}

static void node_hello(struct node *n)
{
	struct section_ref *refs = calloc(SNAPSHOT_SECTIONS_MAX, sizeof(*refs));
	struct sync_message m = {.type = SYNC_HELLO,
				 .version = n->version,
				 .schema_min = 1,
				 .schema_max = 1,
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

static struct node *node_add(struct test *t, const char *name, const char *token)
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

static void node_connect(struct node *n)
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

static void node_disconnect(struct node *n)
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

static int setup(void **state)
{
	return setup_lifetime(state, 3600);
}

static int teardown(void **state)
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

static bool node_is_served(void *context)
{
	struct node *n = context;
	const struct server *s = n->w->server;

	return n->snapshot && n->certificates > 0 && s->set_count > 0 &&
	       generation_cmp(snapshot_generation(n->snapshot), s->generation) == 0 &&
	       s->changed_first_ns == 0;
}

// Server and all nodes are at rest: everything published has been acknowledged, certificates are in.
static bool all_quiet(void *context)
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

static bool node_has_ended(void *context)
{
	return ((struct node *)context)->ended;
}

static bool node_pins(const struct node *n, const char *of, const struct x509_key *key)
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

static bool verifies(struct node *n, const uint8_t *trust, size_t trust_len)
{
	char out[1024], path[128];

	snprintf(path, sizeof(path), "%s/chain", n->w->dir);
	assert_int_equal(file_write(path, 0600, slice_make(n->chain, n->chain_len)), ERR_OK);
	snprintf(path, sizeof(path), "%s/roots", n->w->dir);
	assert_int_equal(file_write(path, 0600, slice_make(trust, trust_len)), ERR_OK);
	return world_shell(n->w, "openssl verify -CAfile roots chain", out, sizeof(out)) == 0;
}

static uint32_t count_roots(const struct node *n)
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

#define TOKEN_1 "token-of-node-n1-0123456789"
#define TOKEN_2 "token-of-node-n2-0123456789"

static void connect_both(struct test *t, struct node **n1, struct node **n2)
{
	*n1 = node_add(t, "n1", TOKEN_1);
	*n2 = node_add(t, "n2", TOKEN_2);
	node_connect(*n1);
	node_connect(*n2);
	assert_true(world_until(&t->w, all_quiet, t));
	assert_true(world_until(&t->w, node_is_served, *n1));
	assert_true(world_until(&t->w, node_is_served, *n2));
}

// ---- tests -------------------------------------------------------------------------------------

static void two_nodes_are_served(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;
	struct x509_info info;

	connect_both(t, &n1, &n2);
	assert_true(verifies(n1, n1->trust, n1->trust_len));
	assert_true(verifies(n2, n1->trust, n1->trust_len));
	assert_int_equal(x509_read(slice_make(n2->chain, n2->chain_len), &info), ERR_OK);
	assert_string_equal(info.uri, "spiffe://cluster.local/node/n2");
	assert_int_equal(info.not_after_unix_s, n2->not_after);
	// Each knows the other's key, and none that is not there.
	assert_true(node_pins(n1, "n2", &n2->key));
	assert_true(node_pins(n2, "n1", &n1->key));
	assert_false(node_pins(n1, "n1", &n2->key));
	assert_int_equal(snapshot_service_count(n1->snapshot), 2);
}

static void strangers_are_refused(void **state)
{
	struct test *t = *state;
	static const struct {
		const char *name, *token, *reason;
		uint32_t version;
		size_t public_len;
	} cases[] = {
		{"n1", "token-of-node-n2-0123456789", "the token is that of node n2", 1, 91},
		{"n1", "token-of-node-n1-012345678", "wrong token", 1, 91},
		{"n1", "", "wrong token", 1, 91},
		{"n9", TOKEN_1, "no token is known for this node", 1, 91},
		{"../tokens/n1", TOKEN_1, "not a HELLO with a node name", 1, 91},
		{"", TOKEN_1, "not a HELLO with a node name", 1, 91},
		{"n1", TOKEN_1, "other version of the sync protocol", 2, 91},
		{"n1", TOKEN_1, "not a P-256 public key", 1, 90},
		{"n3", "token-of-node-n3-0123456789",
		 "unknown node: the cluster has none of this name", 1, 91},
		{"n4", "short", "the node's token file cannot be used", 1, 91},
	};

	world_write(&t->w, "tokens/n3", "token-of-node-n3-0123456789"); // no such Node object
	world_write(&t->w, "tokens/n4", "short");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct node *n = node_add(t, cases[i].name, cases[i].token);

		n->version = cases[i].version;
		n->public_len = cases[i].public_len;
		node_connect(n);
		assert_true(world_until(&t->w, node_has_ended, n));
		assert_string_equal(n->refused.text, cases[i].reason);
		assert_int_equal(n->certificates + n->manifests, 0);
		assert_int_equal(t->w.server->subscriber_count, 0);
		node_disconnect(n);
		holdings_free(n->holdings);
		t->node_count--;
		memset(n, 0, sizeof(*n));
	}
	assert_int_equal(t->w.server->stranger_count, 0);
	assert_int_equal(t->w.server->pins ? pins_of(t->w.server->pins, SLICE_LIT("n1")).len : 0,
			 0);
}

static void a_change_travels_as_a_patch(void **state)
{
	struct test *t = *state;
	static const char *const services[] = {"api", "new", "web"};
	struct node *n1, *n2;
	uint32_t sections;

	connect_both(t, &n1, &n2);
	sections = n1->sections;
	n1->patches = n2->patches = 0;
	world_set_services(&t->w, services, 3);
	world_publish(&t->w);
	assert_true(world_until(&t->w, all_quiet, t));
	assert_int_equal(n1->patches, 1);
	assert_int_equal(n2->patches, 1);
	assert_int_equal(n1->sections, sections);
	assert_int_equal(snapshot_service_count(n1->snapshot), 3);
	assert_non_null(
		snapshot_service_by_name(n2->snapshot, SLICE_LIT("shop"), SLICE_LIT("new")));
	// Gone again, and with them the whole section.
	world_set_services(&t->w, services, 0);
	world_publish(&t->w);
	assert_true(world_until(&t->w, all_quiet, t));
	assert_int_equal(snapshot_service_count(n1->snapshot), 0);
	assert_int_equal(snapshot_node_count(n1->snapshot), 2);
}

static bool published_again(void *context)
{
	struct test *t = context;

	return t->w.server->changed_first_ns == 0;
}

static void a_burst_is_one_generation_and_a_stream_is_not_starved(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;
	uint64_t before, started_ns;
	char name[16];
	const char *names[] = {name};

	connect_both(t, &n1, &n2);
	before = t->w.server->generation.counter;
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		world_set_services(&t->w, names, 1);
		world_publish(&t->w);
	}
	assert_true(world_until(&t->w, published_again, t));
	assert_int_equal(t->w.server->generation.counter, before + 1);
	assert_true(world_until(&t->w, all_quiet, t));
	// A change every 10 ms or so never has its 20 ms of quiet; it goes out every 100 ms all the same.
	before = t->w.server->generation.counter;
	started_ns = clock_monotonic_ns();
	for (int i = 0; clock_monotonic_ns() < started_ns + 350 * NS_PER_MS; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		world_set_services(&t->w, names, 1);
		world_publish(&t->w);
		world_for(&t->w, 8);
	}
	assert_in_range(t->w.server->generation.counter - before, 2, 5);
	// No change is no generation.
	assert_true(world_until(&t->w, all_quiet, t));
	before = t->w.server->generation.counter;
	world_publish(&t->w);
	assert_true(world_until(&t->w, published_again, t));
	assert_int_equal(t->w.server->generation.counter, before);
}

static void who_comes_back_gets_what_it_lacks(void **state)
{
	struct test *t = *state;
	static const char *const services[] = {"api", "other", "web"};
	struct node *n1, *n2;

	connect_both(t, &n1, &n2);
	node_disconnect(n1);
	n1->manifests = n1->sections = n1->patches = n1->certificates = 0;
	node_connect(n1);
	assert_true(world_until(&t->w, all_quiet, t));
	assert_int_equal(n1->manifests, 0); // it has it all
	assert_int_equal(n1->certificates, 1);
	node_disconnect(n1);
	world_set_services(&t->w, services, 3);
	world_publish(&t->w);
	assert_true(world_until(&t->w, all_quiet, t));
	node_connect(n1);
	assert_true(world_until(&t->w, all_quiet, t));
	assert_int_equal(n1->manifests, 1);
	assert_int_equal(n1->sections, 0);
	assert_int_equal(n1->patches, 1);
	assert_int_equal(snapshot_service_count(n1->snapshot), 3);
}

static void a_refusal_is_kept_and_not_repeated(void **state)
{
	struct test *t = *state;
	static const char *const one[] = {"one"}, *const two[] = {"two"};
	struct node *n1, *n2;
	uint32_t manifests;
	const struct subscriber *s;

	connect_both(t, &n1, &n2);
	n1->refuse_snapshots = true;
	world_set_services(&t->w, one, 1);
	world_publish(&t->w);
	assert_true(world_until(&t->w, all_quiet, t));
	manifests = n1->manifests;
	world_for(&t->w, 300);
	assert_int_equal(n1->manifests, manifests); // the same is not sent again
	for (s = t->w.server->subscribers; strcmp(s->node, "n1") != 0;)
		s = s->next;
	assert_string_equal(s->refusal.text, "this node does not like it");
	assert_int_equal(s->refused.counter, t->w.server->generation.counter);
	n1->refuse_snapshots = false;
	world_set_services(&t->w, two, 1);
	world_publish(&t->w);
	assert_true(world_until(&t->w, all_quiet, t));
	assert_non_null(
		snapshot_service_by_name(n1->snapshot, SLICE_LIT("shop"), SLICE_LIT("two")));
}

static void a_removed_node_is_revoked(void **state)
{
	struct test *t = *state;
	static const char *const left[] = {"n1"};
	struct node *n1, *n2;

	connect_both(t, &n1, &n2);
	world_set_nodes(&t->w, left, 1);
	world_publish(&t->w);
	assert_true(world_until(&t->w, node_has_ended, n2));
	assert_true(world_until(&t->w, all_quiet, t));
	assert_false(node_pins(n1, "n2", &n2->key));
	assert_int_equal(snapshot_node_count(n1->snapshot), 1);
	// And its token is of no use any more.
	node_disconnect(n2);
	node_connect(n2);
	assert_true(world_until(&t->w, node_has_ended, n2));
	assert_string_equal(n2->refused.text, "unknown node: the cluster has none of this name");
}

static bool node_has_two_certificates(void *context)
{
	return ((struct node *)context)->certificates >= 2;
}

static void renew(struct node *n, const char *token)
{
	struct sync_message m = {.type = SYNC_RENEW, .token = slice_str(token)};

	assert_int_equal(x509_key_generate(&n->key), ERR_OK);
	m.public_key = slice_make(n->key.public_der, n->key.public_len);
	node_send(n, &m);
}

static void a_renewed_key_is_known_before_it_is_certified(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;
	struct x509_key old;

	connect_both(t, &n1, &n2);
	old = n1->key;
	n2->silent_about_snapshots = true; // it has the new pin, but does not say so
	n1->certificates = 1;
	renew(n1, TOKEN_1);
	world_for(&t->w, 300);
	assert_int_equal(n1->certificates, 1);
	n2->silent_about_snapshots = false;
	{
		struct sync_message m = {.type = SYNC_ACK,
					 .generation = snapshot_generation(n2->snapshot)};

		node_send(n2, &m);
	}
	assert_true(world_until(&t->w, node_has_two_certificates, n1));
	assert_true(node_pins(n2, "n1", &n1->key));
	assert_true(node_pins(n2, "n1", &old)); // its tunnels still run
	// One that never answers delays it, but cannot stop it.
	assert_true(world_until(&t->w, all_quiet, t));
	n2->silent_about_snapshots = true;
	n1->certificates = 1;
	renew(n1, TOKEN_1);
	assert_true(world_until(&t->w, node_has_two_certificates, n1));
}

static void a_renewal_needs_the_token(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;

	connect_both(t, &n1, &n2);
	n1->certificates = 1;
	renew(n1, TOKEN_2);
	world_for(&t->w, 200);
	assert_int_equal(n1->certificates, 1);
	assert_false(node_pins(n2, "n1", &n1->key));
	assert_false(n1->ended); // its certificate is good for as long as it was
}

static void keys_stay_pinned_over_a_restart(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;
	struct generation before;
	uint32_t sections;

	connect_both(t, &n1, &n2);
	before = t->w.server->generation;
	sections = n1->sections;
	node_disconnect(n1);
	node_disconnect(n2);
	world_stop_server(&t->w);
	world_start_server(&t->w);
	node_connect(n1);
	assert_true(world_until(&t->w, node_is_served, n1));
	assert_true(node_pins(n1, "n2", &n2->key)); // n2 is not back yet, its tunnels may run
	assert_true(generation_cmp(snapshot_generation(n1->snapshot), before) > 0);
	assert_int_equal(n1->sections, sections); // and nothing of it had to travel
}

// A restored or lost state directory must not leave nodes with a newer number than the server's.
static void a_lost_state_directory_starts_a_higher_epoch(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;
	struct generation before;
	char out[256];

	connect_both(t, &n1, &n2);
	node_disconnect(n1);
	node_disconnect(n2);
	before = t->w.server->generation;
	world_stop_server(&t->w);
	world_write(&t->w, "state/epoch", "7\n");
	world_start_server(&t->w);
	assert_true(t->w.server->generation.epoch > 7);
	assert_true(t->w.server->generation.epoch >= before.epoch);
	world_stop_server(&t->w);
	// The clock went back, or an hour of restarts: still higher.
	world_write(&t->w, "state/epoch", "99999999999\n");
	world_start_server(&t->w);
	assert_int_equal(t->w.server->generation.epoch, 100000000000ull);
	world_stop_server(&t->w);
	assert_int_equal(world_shell(&t->w, "rm -r state && mkdir -m 700 state", out, sizeof(out)),
			 0);
	world_start_server(&t->w);
	assert_true(t->w.server->generation.epoch >= before.epoch);
}

// ---- rotation ----------------------------------------------------------------------------------

struct order {
	struct test *t;
	const char *line;
	char path[128];
	char answer[512];
	_Atomic bool done;
	pthread_t thread;
};

static void *order_run(void *argument)
{
	struct order *o = argument;
	struct buf out;

	buf_init_fixed(&out, o->answer, sizeof(o->answer) - 1);
	if (control_ask(o->path, o->line, &out) != ERR_OK)
		snprintf(o->answer, sizeof(o->answer), "no answer");
	o->done = true;
	return NULL;
}

static void order_give(struct order *o, struct test *t, const char *line)
{
	memset(o, 0, sizeof(*o));
	o->t = t;
	o->line = line;
	snprintf(o->path, sizeof(o->path), "%s/control.sock", t->w.state);
	assert_int_equal(pthread_create(&o->thread, NULL, order_run, o), 0);
}

static bool order_is_done(void *context)
{
	return ((struct order *)context)->done;
}

static void order_wait(struct order *o)
{
	assert_true(world_until(&o->t->w, order_is_done, o));
	pthread_join(o->thread, NULL);
}

static void rotation_waits_for_every_node(void **state)
{
	struct test *t = *state;
	static uint8_t old_trust[2 * X509_CERT_PEM_MAX];
	struct node *n1, *n2;
	struct order o;
	size_t old_len;

	connect_both(t, &n1, &n2);
	old_len = n1->trust_len;
	memcpy(old_trust, n1->trust, old_len);
	n2->silent_about_certificates = true;
	order_give(&o, t, "rotate begin");
	world_for(&t->w, 300);
	assert_false(o.done);
	assert_int_equal(t->w.server->trust.stage, CA_STAGE_BEGUN);
	assert_int_equal(count_roots(n1), 2); // both are told ...
	assert_int_equal(count_roots(n2), 2);
	assert_true(verifies(n1, old_trust, old_len)); // ... and A still signs
	n2->silent_about_certificates = false;
	{
		struct sync_message m = {.type = SYNC_INSTALLED,
					 .not_after_unix_s = (uint64_t)n2->not_after};

		node_send(n2, &m);
	}
	order_wait(&o);
	assert_string_equal(o.answer, "ok the new root signs\n");
	assert_true(world_until(&t->w, all_quiet, t));
	assert_false(verifies(n1, old_trust, old_len)); // by B now
	assert_true(verifies(n1, n2->trust, n2->trust_len));
	assert_true(verifies(n2, n1->trust, n1->trust_len));
	order_give(&o, t, "rotate finish");
	order_wait(&o);
	assert_string_equal(o.answer, "ok the old root is gone\n");
	assert_true(world_until(&t->w, all_quiet, t));
	assert_int_equal(count_roots(n1), 1);
	assert_true(verifies(n1, n2->trust, n2->trust_len));
	assert_int_not_equal(
		memcmp(n1->trust, old_trust, old_len < n1->trust_len ? old_len : n1->trust_len), 0);
	// New connections meet a server certificate by B, and a trust file that knows B.
	node_disconnect(n1);
	node_connect(n1);
	assert_true(world_until(&t->w, all_quiet, t));
}

static void rotation_waits_for_a_node_that_is_away(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;
	struct order o;

	connect_both(t, &n1, &n2);
	node_disconnect(n2); // its tunnels run, with a certificate of A and trust in A alone
	order_give(&o, t, "rotate begin");
	world_for(&t->w, 500);
	assert_int_equal(t->w.server->trust.stage, CA_STAGE_BEGUN);
	node_connect(n2);
	order_wait(&o);
	assert_string_equal(o.answer, "ok the new root signs\n");
	assert_int_equal(count_roots(n2), 2);
}

static void rotation_goes_on_after_a_restart(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;
	struct order o;

	connect_both(t, &n1, &n2);
	n2->silent_about_certificates = true;
	order_give(&o, t, "rotate begin");
	world_for(&t->w, 200);
	node_disconnect(n1);
	node_disconnect(n2);
	n2->silent_about_certificates = false;
	world_stop_server(&t->w);
	pthread_join(o.thread, NULL);
	world_start_server(&t->w);
	assert_int_equal(t->w.server->trust.stage, CA_STAGE_BEGUN);
	node_connect(n1);
	node_connect(n2);
	order_give(&o, t, "rotate finish"); // waits for the switch, then finishes
	order_wait(&o);
	assert_string_equal(o.answer, "ok the old root is gone\n");
	assert_true(world_until(&t->w, all_quiet, t));
	assert_int_equal(count_roots(n2), 1);
	assert_true(verifies(n1, n2->trust, n2->trust_len));
}

static void orders_that_make_no_sense(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;
	struct order o;

	connect_both(t, &n1, &n2);
	order_give(&o, t, "rotate finish");
	order_wait(&o);
	assert_string_equal(o.answer, "error no rotation has begun\n");
	order_give(&o, t, "dance");
	order_wait(&o);
	assert_string_equal(o.answer, "error no such order\n");
	order_give(&o, t, "status");
	order_wait(&o);
	assert_non_null(strstr(o.answer, "\"ca_stage\":\"stable\""));
	assert_non_null(strstr(o.answer, "{\"node\":\"n1\","));
	assert_non_null(strstr(o.answer, "\"certificate_installed\":true"));
}

// ---- hostile nodes -----------------------------------------------------------------------------

static void hostile_bytes_end_a_connection_and_no_more(void **state)
{
	struct test *t = *state;
	static const uint8_t huge[] = {0x7f, 0xff, 0xff, 0xff, SYNC_HELLO};
	static const uint8_t unknown[] = {0, 0, 0, 1, 99, 0x80};
	static const uint8_t broken[] = {0, 0, 0, 2, SYNC_HELLO, 0xc1, 0xc1};
	static const uint8_t large[] = {0, 0x05, 0, 0, SYNC_HELLO}; // above what a node may say
	const struct slice attacks[] = {slice_make(huge, sizeof(huge)),
					slice_make(unknown, sizeof(unknown)),
					slice_make(broken, sizeof(broken)),
					slice_make(large, sizeof(large))};
	struct node *n1, *n2, *bad;

	connect_both(t, &n1, &n2);
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		uint64_t until_ns = clock_monotonic_ns() + 5 * NS_PER_S;

		bad = node_add(t, "n1", TOKEN_1);
		node_connect(bad);
		bad->said_hello = true; // it says something else
		while (tls_stream_write(bad->wire.stream, attacks[i]) == ERR_AGAIN &&
		       clock_monotonic_ns() < until_ns)
			world_for(&t->w, 1);
		assert_true(world_until(&t->w, node_has_ended, bad));
		node_disconnect(bad);
		holdings_free(bad->holdings);
		t->node_count--;
		memset(bad, 0, sizeof(*bad));
	}
	assert_true(world_until(&t->w, all_quiet, t));
	assert_int_equal(t->w.server->subscriber_count, 2);
	assert_false(n1->ended || n2->ended);
}

static void a_flood_of_pings_ends_a_connection(void **state)
{
	struct test *t = *state;
	struct sync_message ping = {.type = SYNC_PING};
	struct node *n1, *n2;

	connect_both(t, &n1, &n2);
	for (int i = 0; i < 1000; i++)
		node_send(n1, &ping);
	assert_true(world_until(&t->w, node_has_ended, n1));
	assert_false(n2->ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(two_nodes_are_served, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_change_travels_as_a_patch, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_burst_is_one_generation_and_a_stream_is_not_starved, setup, teardown),
		cmocka_unit_test_setup_teardown(who_comes_back_gets_what_it_lacks, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refusal_is_kept_and_not_repeated, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_removed_node_is_revoked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_renewed_key_is_known_before_it_is_certified,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_renewal_needs_the_token, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_stay_pinned_over_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lost_state_directory_starts_a_higher_epoch, setup,
						teardown),
		cmocka_unit_test_setup_teardown(rotation_waits_for_every_node, setup, teardown),
		cmocka_unit_test_setup_teardown(rotation_waits_for_a_node_that_is_away, setup,
						teardown),
		cmocka_unit_test_setup_teardown(rotation_goes_on_after_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(orders_that_make_no_sense, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_bytes_end_a_connection_and_no_more, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_flood_of_pings_ends_a_connection, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
