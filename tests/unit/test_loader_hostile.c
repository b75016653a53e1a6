// SPDX-License-Identifier: GPL-3.0-or-later
// node-proxy/control/loader against one that is not policy-sync, and one that is and lies: what is
// refused, with which reason, and that the last good snapshot stays.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "ca/ca_client.h"
#include "common/clock.h"
#include "common/snapshot_codec.h"
#include "io/crypto.h"
#include "loader_play.h"

// ---- one that is not policy-sync ---------------------------------------------------------------

static bool has_tried_twice(void *context)
{
	return ((struct test *)context)->status.connections >= 4;
}

// A node's own certificate, valid and of our CA, does not make its holder policy-sync.
static void a_node_cannot_pass_for_policy_sync(void **state)
{
	struct test *t = *state;
	struct ca_request request = {.verb = CA_SIGN_NODE, .lifetime_s = 600};
	struct tls_context *real = t->w.server->trust.server;
	static struct ca_reply reply;
	struct tls_config config = {.alpn = slice_str(SYNC_ALPN)};
	struct x509_key key;
	struct reason why = {0};

	assert_int_equal(x509_key_generate(&key), ERR_OK);
	snprintf(request.trust_domain, sizeof(request.trust_domain), "cluster.local");
	snprintf(request.node, sizeof(request.node), "n2");
	memcpy(request.public_der, key.public_der, sizeof(request.public_der));
	assert_int_equal(ca_client_ask(t->w.ca_fd, &request, &reply), ERR_OK);
	config.chain_pem = slice_make(reply.chain_pem, reply.chain_bytes);
	config.trust_pem = slice_make(reply.trust_pem, reply.trust_bytes);
	config.key_der = slice_make(key.der, key.der_len);
	assert_int_equal(tls_context_new(&config, &t->w.server->trust.server, &why), ERR_OK);
	evil_forget(&t->evil);
	assert_true(world_until(&t->w, has_tried_twice, t));
	assert_int_equal(t->evil.hellos, 0); // the token never left the node
	assert_false(t->status.connected);
	tls_context_unref(t->w.server->trust.server);
	t->w.server->trust.server = real;
}

static void another_ca_is_not_believed(void **state)
{
	struct test *t = *state;
	struct tls_context *real = t->w.server->trust.server;
	struct world other;

	world_open(&other, 600);
	t->w.server->trust.server = other.server->trust.server;
	evil_forget(&t->evil);
	assert_true(world_until(&t->w, has_tried_twice, t));
	assert_int_equal(t->evil.hellos, 0);
	t->w.server->trust.server = real;
	world_close(&other);
}

// ---- one that lies -----------------------------------------------------------------------------

// A small but whole generation: meta and services with these names.
struct fixture {
	struct buf sections[2];
	struct section_ref refs[2];
};

static void fixture_open(struct fixture *f, const char *service)
{
	struct ss_meta meta = {.trust_domain = SLICE_LIT("cluster.local")};
	struct ss_service record = {.namespace = SLICE_LIT("shop"), .name = slice_str(service)};
	uint8_t bytes[512];
	char key[64];
	struct buf value;

	memset(f, 0, sizeof(*f));
	buf_init_growing(&f->sections[0], 65536);
	buf_init_growing(&f->sections[1], 65536);
	buf_init_fixed(&value, bytes, sizeof(bytes));
	snapshot_encode_meta(&value, &meta);
	section_put(&f->sections[0], SLICE_LIT("meta"), buf_slice(&value));
	buf_reset(&value);
	snapshot_encode_service(&value, &record);
	snprintf(key, sizeof(key), "shop/%s", service);
	section_put(&f->sections[1], slice_str(key), buf_slice(&value));
	f->refs[0].name.kind = SECTION_META;
	f->refs[1].name.kind = SECTION_SERVICES;
	for (int i = 0; i < 2; i++) {
		crypto_sha256(buf_slice(&f->sections[i]), f->refs[i].sha256);
		f->refs[i].bytes = (uint32_t)f->sections[i].len;
	}
}

static void fixture_close(struct fixture *f)
{
	buf_deinit(&f->sections[0]);
	buf_deinit(&f->sections[1]);
}

static void say_manifest(struct evil *v, const struct fixture *f, struct generation g,
			 uint32_t schema)
{
	struct sync_message m = {.type = SYNC_MANIFEST,
				 .schema_min = schema,
				 .schema_max = schema,
				 .generation = g,
				 .refs = (struct section_ref *)f->refs,
				 .ref_count = 2};

	evil_send(v, &m);
}

static void say_section(struct evil *v, const struct fixture *f, int i)
{
	struct sync_message m = {.type = SYNC_SECTION,
				 .section = f->refs[i].name,
				 .bytes = buf_slice(&f->sections[i])};

	memcpy(m.sha256, f->refs[i].sha256, 32);
	evil_send(v, &m);
}

static void say_commit(struct evil *v, const struct fixture *f, struct generation g)
{
	struct sync_message m = {.type = SYNC_COMMIT, .generation = g};

	sync_digest_refs(f->refs, 2, m.sha256);
	evil_send(v, &m);
}

static void say_all(struct evil *v, const struct fixture *f, struct generation g)
{
	say_manifest(v, f, g, 1);
	say_section(v, f, 0);
	say_section(v, f, 1);
	say_commit(v, f, g);
}

static bool evil_has_hello(void *context)
{
	struct test *t = context;

	return t->evil.connected && t->evil.hellos == t->evil.connections;
}

static bool evil_has_answer(void *context)
{
	struct evil *v = &((struct test *)context)->evil;

	return v->acks + v->nacks > 0;
}

static void expect_ack(struct test *t, struct generation g)
{
	assert_true(world_until(&t->w, evil_has_answer, t));
	if (t->evil.nacks)
		print_error("%s\n", t->evil.nack.text);
	assert_int_equal(t->evil.nacks, 0);
	assert_int_equal(generation_cmp(t->evil.acked, g), 0);
	t->evil.acks = 0;
}

static void expect_nack(struct test *t, const char *reason)
{
	uint64_t refused = t->status.snapshots_refused;
	const struct snapshot *held = play_snapshot(&t->worker);

	assert_true(world_until(&t->w, evil_has_answer, t));
	assert_int_equal(t->evil.acks, 0);
	assert_string_equal(t->evil.nack.text, reason);
	t->evil.nacks = 0;
	play_turn(&t->w, t, clock_monotonic_ns());
	assert_int_equal(t->status.snapshots_refused, refused + 1);
	assert_string_equal(t->status.refusal.text, reason);
	assert_ptr_equal(play_snapshot(&t->worker), held); // the last good one stays
}

static void begin_with_a_good_one(struct test *t, struct fixture *f)
{
	fixture_open(f, "good");
	assert_true(world_until(&t->w, evil_has_hello, t));
	say_all(&t->evil, f, (struct generation){100, 10});
	expect_ack(t, (struct generation){100, 10});
	assert_int_equal(snapshot_service_count(play_snapshot(&t->worker)), 1);
}

static bool is_up_to_date(void *context)
{
	const struct test *t = context;

	return !t->status.wanted_refused && t->status.behind_since_unix_ms == 0;
}

static void older_and_other_versions_are_refused(void **state)
{
	struct test *t = *state;
	struct fixture f, g;

	begin_with_a_good_one(t, &f);
	fixture_open(&g, "next");
	say_all(&t->evil, &g, (struct generation){100, 9});
	expect_nack(t, "generation 100.9 is not newer than the held 100.10");
	say_all(&t->evil, &g, (struct generation){100, 10});
	expect_nack(t, "generation 100.10 is not newer than the held 100.10");
	say_all(&t->evil, &g, (struct generation){99, 1000});
	expect_nack(t, "generation 99.1000 is not newer than the held 100.10");
	say_manifest(&t->evil, &g, (struct generation){100, 11}, SNAPSHOT_SCHEMA_VERSION + 1);
	say_section(&t->evil, &g, 0);
	say_commit(&t->evil, &g, (struct generation){100, 11});
	expect_nack(t, "snapshot schema 3, we read 1 to 2");
	// Whoever asks hears how far it stands behind, and why.
	assert_true(t->status.wanted_refused && t->status.behind_since_unix_ms > 0);
	assert_int_equal(t->status.wanted.counter, 11);
	assert_int_equal(t->status.adopted.counter, 10);
	// None of that hurts what comes after.
	say_all(&t->evil, &g, (struct generation){101, 1});
	expect_ack(t, (struct generation){101, 1});
	assert_non_null(snapshot_service_by_name(play_snapshot(&t->worker), SLICE_LIT("shop"),
						 SLICE_LIT("next")));
	assert_true(world_until(&t->w, is_up_to_date, t));
	assert_int_equal(t->evil.connections, 1);
	fixture_close(&f);
	fixture_close(&g);
}

static void corrupt_and_truncated_sections_are_refused(void **state)
{
	struct test *t = *state;
	struct generation next = {100, 11};
	struct fixture f, g;
	char reason[128];

	begin_with_a_good_one(t, &f);
	fixture_open(&g, "next");
	for (size_t i = 0; i < g.sections[1].len; i++) { // one bit of each byte
		say_manifest(&t->evil, &g, next, 1);
		g.sections[1].ptr[i] ^= 0x10;
		say_section(&t->evil, &g, 1);
		g.sections[1].ptr[i] ^= 0x10;
		expect_nack(t, "section services/00: digest does not match");
	}
	say_manifest(&t->evil, &g, next, 1);
	g.sections[1].len--;
	say_section(&t->evil, &g, 1);
	g.sections[1].len++;
	snprintf(reason, sizeof(reason), "section services/00: %zu bytes, %zu announced",
		 g.sections[1].len - 1, g.sections[1].len);
	expect_nack(t, reason);
	// Whole sections left out, none announced, one twice, another digest over all.
	say_manifest(&t->evil, &g, next, 1);
	say_section(&t->evil, &g, 0);
	say_commit(&t->evil, &g, next);
	expect_nack(t, "1 sections are missing");
	say_section(&t->evil, &g, 0); // the rest of a refused one: swallowed
	say_manifest(&t->evil, &g, next, 1);
	say_section(&t->evil, &g, 0);
	say_section(&t->evil, &g, 0);
	expect_nack(t, "section meta was not announced");
	say_all(&t->evil, &g, next);
	expect_ack(t, next);
	fixture_close(&f);
	fixture_close(&g);
}

static void bytes_that_are_no_records_are_refused(void **state)
{
	struct test *t = *state;
	struct generation next = {100, 11};
	struct fixture f, g;

	begin_with_a_good_one(t, &f);
	fixture_open(&g, "next");
	// The digest is right; what it is of is not msgpack.
	memset(g.sections[1].ptr, 0xc1, g.sections[1].len);
	crypto_sha256(buf_slice(&g.sections[1]), g.refs[1].sha256);
	say_manifest(&t->evil, &g, next, 1);
	say_section(&t->evil, &g, 1);
	assert_true(world_until(&t->w, evil_has_answer, t));
	assert_int_equal(t->evil.nacks, 1);
	assert_int_equal(snapshot_service_count(play_snapshot(&t->worker)), 1);
	fixture_close(&f);
	fixture_close(&g);
}

static void oversized_is_refused_before_it_comes(void **state)
{
	struct test *t = *state;
	struct generation next = {100, 11};
	struct fixture f, g;

	begin_with_a_good_one(t, &f);
	fixture_open(&g, "next");
	g.refs[1].bytes = SNAPSHOT_BYTES_MAX - 10;
	say_manifest(&t->evil, &g, next, 1);
	assert_true(world_until(&t->w, evil_has_answer, t));
	assert_int_equal(t->evil.nacks, 1);
	assert_non_null(strstr(t->evil.nack.text, "limit is 268435456"));
	t->evil.nacks = 0;
	g.refs[1].bytes = UINT32_MAX;
	say_manifest(&t->evil, &g, next, 1);
	expect_nack(t, "a section of 4294967295 bytes");
	assert_int_equal(t->evil.connections, 1);
	fixture_close(&f);
	fixture_close(&g);
}

static void a_wrong_patch_asks_for_all_of_it(void **state)
{
	struct test *t = *state;
	struct generation next = {100, 11};
	struct sync_message m = {.type = SYNC_PATCH};
	struct fixture f, g;

	begin_with_a_good_one(t, &f);
	fixture_open(&g, "next");
	say_manifest(&t->evil, &g, next, 1);
	m.section = g.refs[1].name;
	memcpy(m.sha256, g.refs[1].sha256, 32);
	memset(m.from_sha256, 0x55, 32); // of a version that the node never had
	m.bytes = SLICE_LIT("\x90");
	evil_send(&t->evil, &m);
	expect_nack(t, "section services/00: patch of a version not held");
	// It calls again, and says that it holds nothing.
	t->evil.held_count = 99;
	while (t->evil.connections < 2)
		world_for(&t->w, 10);
	assert_true(world_until(&t->w, evil_has_hello, t));
	assert_int_equal(t->evil.held_count, 0);
	say_all(&t->evil, &g, next);
	expect_ack(t, next);
	// A reconnect after that names what it holds.
	evil_drop(&t->evil);
	while (t->evil.connections < 3)
		world_for(&t->w, 10);
	assert_true(world_until(&t->w, evil_has_hello, t));
	assert_int_equal(t->evil.held_count, 2);
	assert_memory_equal(t->evil.held_refs[1].sha256, g.refs[1].sha256, 32);
	fixture_close(&f);
	fixture_close(&g);
}

// ---- certificates ------------------------------------------------------------------------------

struct offer {
	struct x509_key root;
	uint8_t root_pem[X509_CERT_PEM_MAX];
	struct buf trust;
};

static void offer_open(struct offer *o)
{
	int64_t now = (int64_t)time(NULL);

	assert_int_equal(x509_key_generate(&o->root), ERR_OK);
	buf_init_fixed(&o->trust, o->root_pem, sizeof(o->root_pem));
	assert_int_equal(x509_make_root(&o->root, SLICE_LIT("root"), now - 600, now + 6000,
					&o->trust),
			 ERR_OK);
}

static void offer(struct test *t, struct offer *o, struct slice public_der, const char *uri,
		  int64_t not_before, int64_t not_after)
{
	struct sync_message m = {.type = SYNC_CERTIFICATE, .trust_pem = buf_slice(&o->trust)};
	uint8_t pem[X509_CERT_PEM_MAX];
	struct buf chain;

	buf_init_fixed(&chain, pem, sizeof(pem));
	assert_int_equal(x509_sign_leaf(&o->root, buf_slice(&o->trust), public_der, slice_str(uri),
					(struct slice){0}, not_before, not_after, &chain),
			 ERR_OK);
	m.chain_pem = buf_slice(&chain);
	evil_send(&t->evil, &m);
}

static bool has_judged(void *context)
{
	struct evil *v = &((struct test *)context)->evil;

	return v->installed + v->not_installed > 0;
}

static void expect_judgement(struct test *t, const char *refusal)
{
	assert_true(world_until(&t->w, has_judged, t));
	assert_int_equal(t->evil.installed, refusal ? 0 : 1);
	if (refusal)
		assert_string_equal(t->evil.not_installed_why.text, refusal);
	t->evil.installed = t->evil.not_installed = 0;
}

// policy-sync is believed about policy, not about who we are; and whatever it sends, a certificate that
// is good is not given up.
static void certificates_are_judged(void **state)
{
	struct test *t = *state;
	struct sync_message m = {.type = SYNC_CERTIFICATE};
	static const char n1[] = "spiffe://cluster.local/node/n1";
	int64_t now = (int64_t)time(NULL);
	struct slice ours;
	struct x509_key other;
	struct offer o;
	struct hold *kept;

	assert_true(world_until(&t->w, evil_has_hello, t));
	offer_open(&o);
	ours = slice_make(t->evil.public_der, t->evil.public_len);
	offer(t, &o, ours, n1, now - 60, now + 600);
	expect_judgement(t, NULL);
	assert_int_equal(t->worker.credentials_seen, 1);
	assert_int_equal(t->worker.not_after, now + 600);
	kept = t->worker.credentials;
	assert_int_equal(x509_key_generate(&other), ERR_OK);
	offer(t, &o, slice_make(other.public_der, other.public_len), n1, now - 60, now + 600);
	expect_judgement(t, "the certificate is for a key that is not ours");
	offer(t, &o, ours, "spiffe://cluster.local/node/n2", now - 60, now + 600);
	expect_judgement(t, "the certificate is for spiffe://cluster.local/node/n2, "
			    "this is node n1");
	offer(t, &o, ours, "spiffe://cluster.local/ns/shop/sa/n1", now - 60, now + 600);
	expect_judgement(t, "the certificate is for spiffe://cluster.local/ns/shop/sa/n1, "
			    "this is node n1");
	offer(t, &o, ours, n1, now - 600, now - 1);
	expect_judgement(t, "the certificate has ended already");
	offer(t, &o, ours, n1, now + 3000, now + 6000);
	assert_true(world_until(&t->w, has_judged, t));
	assert_non_null(strstr(t->evil.not_installed_why.text, "a clock is wrong"));
	t->evil.not_installed = 0;
	m.chain_pem = SLICE_LIT("no certificate");
	m.trust_pem = buf_slice(&o.trust);
	evil_send(&t->evil, &m);
	expect_judgement(t, "the certificate cannot be read");
	assert_ptr_equal(t->worker.credentials, kept);
	assert_int_equal(t->worker.credentials_seen, 1);
	assert_int_equal(t->status.certs.installed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_node_cannot_pass_for_policy_sync, play_setup_evil,
						play_teardown),
		cmocka_unit_test_setup_teardown(another_ca_is_not_believed, play_setup_evil,
						play_teardown),
		cmocka_unit_test_setup_teardown(older_and_other_versions_are_refused,
						play_setup_evil, play_teardown),
		cmocka_unit_test_setup_teardown(corrupt_and_truncated_sections_are_refused,
						play_setup_evil, play_teardown),
		cmocka_unit_test_setup_teardown(bytes_that_are_no_records_are_refused,
						play_setup_evil, play_teardown),
		cmocka_unit_test_setup_teardown(oversized_is_refused_before_it_comes,
						play_setup_evil, play_teardown),
		cmocka_unit_test_setup_teardown(a_wrong_patch_asks_for_all_of_it, play_setup_evil,
						play_teardown),
		cmocka_unit_test_setup_teardown(certificates_are_judged, play_setup_evil,
						play_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
