// SPDX-License-Identifier: GPL-3.0-or-later
// node-proxy/control/loader: the real thread against the real policy-sync, and against one that lies. A
// worker is played by the test: it takes from its inbox what a worker takes.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ca/ca_client.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/snapshot_codec.h"
#include "common/snapshot_file.h"
#include "control/loader.h"
#include "core/tunnel_proto.h"
#include "io/crypto.h"
#include "publish/subscriber.h"
#include "sync_world.h"

#define HOLDS_MAX 16

struct worker_play {
	struct inbox inbox;
	struct hold *snapshots[HOLDS_MAX]; // newest last
	uint32_t snapshot_count;
	struct hold *links;
	struct hold *credentials;
	bool keep_old; // exchanges stand on them
	uint32_t snapshots_seen, links_seen, credentials_seen;
	int64_t not_after;
};

// A policy-sync that says what the test wants.
struct evil {
	int listen_fd;
	uint16_t port;
	struct sync_wire wire;
	bool connected;
	bool ended;
	uint32_t connections, hellos;
	struct generation held; // of the last HELLO
	uint32_t held_count;
	struct section_ref held_refs[SNAPSHOT_SECTIONS_MAX];
	uint32_t acks, nacks;
	struct reason nack;
	struct generation acked;
};

struct test {
	struct world w;
	struct worker_play worker;
	struct inbox *inboxes[1];
	struct loader *loader;
	struct loader_status status;
	struct evil evil;
	char servers[64];
	char token[96];
};

// ---- the worker --------------------------------------------------------------------------------

static void worker_swap(struct hold **at, struct hold *fresh)
{
	inbox_adopt(fresh);
	if (*at)
		inbox_release(*at);
	*at = fresh;
}

static void worker_release_old(struct worker_play *p)
{
	while (p->snapshot_count > 1) {
		inbox_release(p->snapshots[0]);
		memmove(p->snapshots, p->snapshots + 1,
			--p->snapshot_count * sizeof(p->snapshots[0]));
	}
}

static void worker_turn(struct worker_play *p)
{
	struct wake_message *m;

	inbox_clear(&p->inbox);
	while ((m = inbox_next(&p->inbox)) != NULL) {
		switch ((enum inbox_type)m->type) {
		case INBOX_SNAPSHOT:
			assert_in_range(p->snapshot_count, 0, HOLDS_MAX - 1);
			p->snapshots[p->snapshot_count++] = inbox_hold(m);
			inbox_adopt(inbox_hold(m));
			p->snapshots_seen++;
			if (!p->keep_old)
				worker_release_old(p);
			break;
		case INBOX_LINKS:
			worker_swap(&p->links, inbox_hold(m));
			p->links_seen++;
			break;
		case INBOX_CREDENTIALS:
			worker_swap(&p->credentials, inbox_hold(m));
			p->credentials_seen++;
			p->not_after = inbox_hold(m)->publication->credentials.not_after_unix_s;
			break;
		default:
			fail();
		}
	}
}

static const struct snapshot *worker_snapshot_newest(const struct worker_play *p)
{
	return p->snapshot_count ? p->snapshots[p->snapshot_count - 1]->publication->snapshot
				 : NULL;
}

static void worker_end(struct worker_play *p)
{
	worker_turn(p);
	p->keep_old = false;
	worker_release_old(p);
	if (p->snapshot_count)
		inbox_release(p->snapshots[0]);
	if (p->links)
		inbox_release(p->links);
	if (p->credentials)
		inbox_release(p->credentials);
	inbox_deinit(&p->inbox);
}

// ---- evil --------------------------------------------------------------------------------------

static void evil_listen(struct evil *v)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(at);

	v->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(v->listen_fd >= 0);
	assert_int_equal(bind(v->listen_fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(v->listen_fd, 8), 0);
	assert_int_equal(getsockname(v->listen_fd, (struct sockaddr *)&at, &len), 0);
	v->port = ntohs(at.sin_port);
}

static void evil_drop(struct evil *v)
{
	if (v->connected)
		sync_wire_deinit(&v->wire);
	v->connected = false;
}

// Another identity from here on: what was said under the old one does not count.
static void evil_forget(struct evil *v)
{
	evil_drop(v);
	v->hellos = 0;
}

static void evil_take(struct evil *v, const struct sync_message *m)
{
	struct sync_message welcome = {.type = SYNC_WELCOME,
				       .version = SYNC_PROTO_VERSION,
				       .schema_min = 1,
				       .schema_max = 1};

	if (m->type == SYNC_HELLO) {
		v->hellos++;
		v->held = m->generation;
		v->held_count = m->ref_count;
		memcpy(v->held_refs, m->refs, m->ref_count * sizeof(m->refs[0]));
		assert_int_equal(sync_wire_send(&v->wire, &welcome, clock_monotonic_ns()), ERR_OK);
	} else if (m->type == SYNC_ACK) {
		v->acks++;
		v->acked = m->generation;
	} else if (m->type == SYNC_NACK) {
		v->nacks++;
		snprintf(v->nack.text, sizeof(v->nack.text), "%.*s", SLICE_ARG(m->reason));
	}
}

static void evil_accept(struct test *t)
{
	struct evil *v = &t->evil;
	struct tls_stream *stream;
	int fd = accept4(v->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	evil_drop(v);
	v->connections++;
	assert_int_equal(tls_stream_accept(fd, t->w.server->trust.server, 64u << 20, &stream),
			 ERR_OK);
	sync_wire_init(&v->wire, stream, 1 << 20, clock_monotonic_ns());
	v->connected = true;
}

static void evil_turn(struct test *t, uint64_t now_ns)
{
	struct evil *v = &t->evil;
	struct reason why = {0};
	struct sync_message m;
	struct arena arena;
	enum err e;

	if (v->listen_fd <= 0)
		return;
	evil_accept(t);
	if (!v->connected)
		return;
	e = tls_stream_advance(v->wire.stream, &why);
	arena_init(&arena, 1 << 20);
	while (!e) {
		arena_reset(&arena);
		e = sync_wire_next(&v->wire, &arena, now_ns, &m);
		if (!e)
			evil_take(v, &m);
	}
	arena_deinit(&arena);
	if (e != ERR_AGAIN)
		evil_drop(v);
}

static void evil_send(struct evil *v, const struct sync_message *m)
{
	assert_true(v->connected);
	assert_int_equal(sync_wire_send(&v->wire, m, clock_monotonic_ns()), ERR_OK);
}

// ---- the whole ---------------------------------------------------------------------------------

static void test_turn(struct world *w, void *context, uint64_t now_ns)
{
	struct test *t = context;

	worker_turn(&t->worker);
	evil_turn(t, now_ns);
	if (t->loader)
		loader_status(t->loader, &t->status);
	w->poll_count = 0;
	w->polls[w->poll_count++] =
		(struct pollfd){.fd = wake_fd(&t->worker.inbox.queue), .events = POLLIN};
	if (t->evil.listen_fd > 0)
		w->polls[w->poll_count++] =
			(struct pollfd){.fd = t->evil.listen_fd, .events = POLLIN};
	if (t->evil.connected)
		w->polls[w->poll_count++] =
			(struct pollfd){.fd = tls_stream_fd(t->evil.wire.stream),
					.events = tls_stream_events(t->evil.wire.stream)};
}

static void start_loader(struct test *t, uint16_t port)
{
	struct loader_options options = {.node = "n1",
					 .servers = t->servers,
					 .token_file = t->token,
					 .trust_file = t->w.trust,
					 .run_directory = t->w.dir,
					 .workers = t->inboxes,
					 .worker_count = 1};
	struct reason why = {0};

	memset(&t->worker, 0, sizeof(t->worker));
	assert_int_equal(inbox_init(&t->worker.inbox), ERR_OK);
	t->inboxes[0] = &t->worker.inbox;
	snprintf(t->servers, sizeof(t->servers), "127.0.0.1:%u", port);
	assert_int_equal(loader_start(&options, &t->loader, &why), ERR_OK);
	test_turn(&t->w, t, clock_monotonic_ns());
}

static void stop_loader(struct test *t)
{
	if (!t->loader)
		return;
	loader_stop(t->loader);
	worker_end(&t->worker);
	loader_free(t->loader);
	t->loader = NULL;
}

static int setup_with(void **state, uint32_t lifetime_s)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	world_open(&t->w, lifetime_s);
	t->w.turn = test_turn;
	t->w.context = t;
	snprintf(t->token, sizeof(t->token), "%s/n1", t->w.tokens);
	world_publish(&t->w);
	*state = t;
	return 0;
}

static int setup(void **state)
{
	int result = setup_with(state, 3600);
	struct test *t = *state;

	start_loader(t, t->w.port);
	return result;
}

static int setup_short_lives(void **state)
{
	int result = setup_with(state, 4);
	struct test *t = *state;

	start_loader(t, t->w.port);
	return result;
}

static int setup_evil(void **state)
{
	int result = setup_with(state, 3600);
	struct test *t = *state;

	evil_listen(&t->evil);
	start_loader(t, t->evil.port);
	return result;
}

static int teardown(void **state)
{
	struct test *t = *state;

	stop_loader(t);
	evil_drop(&t->evil);
	if (t->evil.listen_fd > 0)
		close(t->evil.listen_fd);
	world_close(&t->w);
	free(t);
	return 0;
}

// ---- conditions --------------------------------------------------------------------------------

static bool is_served(void *context)
{
	struct test *t = context;
	const struct subscriber *s = t->w.server->subscribers;

	return t->w.server->changed_first_ns == 0 && s && s->state == SUBSCRIBER_LIVE &&
	       s->certificate == CERTIFICATE_INSTALLED &&
	       subscriber_has_answered(s, t->w.server->generation.counter) &&
	       t->worker.snapshot_count;
}

static bool has_snapshot(void *context)
{
	return ((struct test *)context)->worker.snapshot_count > 0;
}

static bool has_two_credentials(void *context)
{
	return ((struct test *)context)->worker.credentials_seen >= 2;
}

static bool is_disconnected(void *context)
{
	return !((struct test *)context)->status.connected;
}

static bool is_from_file(void *context)
{
	return ((struct test *)context)->status.from_file;
}

static bool file_is_there(void *context)
{
	struct test *t = context;
	char path[128];

	snprintf(path, sizeof(path), "%s/last-good.snapshot", t->w.dir);
	return access(path, F_OK) == 0;
}

// ---- the real policy-sync ----------------------------------------------------------------------

static void it_follows(void **state)
{
	struct test *t = *state;
	static const char *const services[] = {"api", "new", "web"};
	struct stat st;
	char path[128];

	assert_true(world_until(&t->w, is_served, t));
	assert_int_equal(snapshot_service_count(worker_snapshot_newest(&t->worker)), 2);
	assert_int_equal(t->worker.credentials_seen, 1);
	assert_in_range(t->worker.not_after, time(NULL) + 3500, time(NULL) + 3601);
	assert_true(t->worker.links_seen >= 1);
	world_set_services(&t->w, services, 3);
	world_publish(&t->w);
	assert_true(world_until(&t->w, is_served, t));
	assert_int_equal(snapshot_service_count(worker_snapshot_newest(&t->worker)), 3);
	test_turn(&t->w, t, clock_monotonic_ns());
	assert_true(t->status.connected);
	assert_false(t->status.from_file);
	assert_int_equal(t->status.snapshots_refused, 0);
	assert_true(world_until(&t->w, file_is_there, t));
	snprintf(path, sizeof(path), "%s/last-good.snapshot", t->w.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void nothing_secret_is_written(void **state)
{
	struct test *t = *state;
	char out[256];

	assert_true(world_until(&t->w, is_served, t));
	assert_true(world_until(&t->w, file_is_there, t));
	stop_loader(t);
	// Neither the token nor anything of a private key's form.
	assert_int_not_equal(world_shell(&t->w, "grep -c token-of-node last-good.snapshot", out,
					 sizeof(out)),
			     0);
	assert_int_not_equal(world_shell(&t->w, "grep -c 'PRIVATE KEY' last-good.snapshot", out,
					 sizeof(out)),
			     0);
}

static void a_cold_start_needs_nobody(void **state)
{
	struct test *t = *state;
	struct generation g;

	assert_true(world_until(&t->w, is_served, t));
	g = snapshot_generation(worker_snapshot_newest(&t->worker));
	stop_loader(t); // saves what is new
	world_stop_server(&t->w);
	start_loader(t, t->w.port);
	assert_true(world_until(&t->w, has_snapshot, t));
	assert_int_equal(generation_cmp(snapshot_generation(worker_snapshot_newest(&t->worker)), g),
			 0);
	assert_int_equal(snapshot_service_count(worker_snapshot_newest(&t->worker)), 2);
	assert_true(world_until(&t->w, is_from_file, t));
	assert_int_equal(t->worker.credentials_seen, 0); // keys are never kept
	// policy-sync is back: the file's content is confirmed, with a new number.
	world_start_server(&t->w);
	assert_true(world_until(&t->w, is_served, t));
	assert_true(generation_cmp(snapshot_generation(worker_snapshot_newest(&t->worker)), g) > 0);
}

static bool was_refused(void *context)
{
	return ((struct test *)context)->status.snapshots_refused > 0;
}

static void a_damaged_file_is_refused(void **state)
{
	struct test *t = *state;
	static const struct {
		const char *damage, *reason;
	} cases[] = {
		{"truncate -s -1 last-good.snapshot", "the sections' bytes are not all there"},
		{"truncate -s 100 last-good.snapshot", "the header is truncated or damaged"},
		{"truncate -s 10 last-good.snapshot", "the file is truncated"},
		{"echo >>last-good.snapshot", "the sections' bytes are not the end of the file"},
		{"printf x | dd of=last-good.snapshot conv=notrunc bs=1", "not a snapshot file"},
		{"printf x | dd of=last-good.snapshot conv=notrunc bs=1 seek=11",
		 "the header is truncated or damaged"},
		{"printf x | dd of=last-good.snapshot conv=notrunc bs=1 "
		 "seek=$(($(stat -c %s last-good.snapshot) - 40))",
		 "section trust: digest does not match"},
	};
	char out[512];

	assert_true(world_until(&t->w, is_served, t));
	stop_loader(t);
	world_stop_server(&t->w);
	assert_int_equal(world_shell(&t->w, "cp last-good.snapshot good", out, sizeof(out)), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(world_shell(&t->w, "cp good last-good.snapshot", out, sizeof(out)),
				 0);
		assert_int_equal(world_shell(&t->w, cases[i].damage, out, sizeof(out)), 0);
		memset(&t->status, 0, sizeof(t->status));
		start_loader(t, t->w.port);
		assert_true(world_until(&t->w, was_refused, t));
		assert_string_equal(t->status.refusal.text, cases[i].reason);
		assert_int_equal(t->worker.snapshot_count, 0);
		stop_loader(t);
	}
}

static void policy_sync_away_is_not_noticed(void **state)
{
	struct test *t = *state;
	const struct snapshot *s;

	assert_true(world_until(&t->w, is_served, t));
	s = worker_snapshot_newest(&t->worker);
	world_stop_server(&t->w);
	assert_true(world_until(&t->w, is_disconnected, t));
	world_for(&t->w, 300);
	assert_ptr_equal(worker_snapshot_newest(&t->worker), s);
	assert_non_null(t->worker.credentials);
	world_start_server(&t->w);
	assert_true(world_until(&t->w, is_served, t));
}

static bool three_are_live(void *context)
{
	return ((struct test *)context)->status.snapshots_live == 3;
}

static bool newest_has_five(void *context)
{
	struct test *t = context;

	return snapshot_service_count(worker_snapshot_newest(&t->worker)) == 5;
}

static void three_generations_live_at_most(void **state)
{
	struct test *t = *state;
	static const char *const services[] = {"a", "b", "c", "d", "e"};
	uint32_t seen;

	assert_true(world_until(&t->w, is_served, t));
	worker_turn(&t->worker);
	t->worker.keep_old = true; // long-lived exchanges stand on each
	for (uint32_t i = 3; i <= 4; i++) {
		world_set_services(&t->w, services, i);
		world_publish(&t->w);
		assert_true(world_until(&t->w, is_served, t));
	}
	assert_true(world_until(&t->w, three_are_live, t));
	seen = t->worker.snapshots_seen;
	world_set_services(&t->w, services, 5);
	world_publish(&t->w);
	world_for(&t->w, 300);
	assert_int_equal(t->worker.snapshots_seen, seen); // it waits
	assert_int_equal(t->status.snapshots_live, 3);
	t->worker.keep_old = false;
	worker_release_old(&t->worker);
	assert_true(world_until(&t->w, newest_has_five, t));
	assert_true(world_until(&t->w, is_served, t));
}

static void certificates_are_renewed_at_half_life(void **state)
{
	struct test *t = *state;
	int64_t first;
	time_t started = time(NULL);

	assert_true(world_until(&t->w, is_served, t));
	first = t->worker.not_after;
	assert_true(world_until(&t->w, has_two_credentials, t));
	assert_in_range(time(NULL) - started, 1, 3);
	assert_true(t->worker.not_after > first);
	test_turn(&t->w, t, clock_monotonic_ns());
	assert_true(t->status.certs.asked >= 1);
	assert_int_equal(t->status.certs.refused, 0);
	// Without policy-sync the certificate stays, also past its end: peers judge it, not we.
	world_stop_server(&t->w);
	assert_true(world_until(&t->w, is_disconnected, t));
	world_for(&t->w, 2500);
	assert_non_null(t->worker.credentials);
	world_start_server(&t->w);
	assert_true(world_until(&t->w, is_served, t));
}

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
	const struct snapshot *held = worker_snapshot_newest(&t->worker);

	assert_true(world_until(&t->w, evil_has_answer, t));
	assert_int_equal(t->evil.acks, 0);
	assert_string_equal(t->evil.nack.text, reason);
	t->evil.nacks = 0;
	test_turn(&t->w, t, clock_monotonic_ns());
	assert_int_equal(t->status.snapshots_refused, refused + 1);
	assert_string_equal(t->status.refusal.text, reason);
	assert_ptr_equal(worker_snapshot_newest(&t->worker), held); // the last good one stays
}

static void begin_with_a_good_one(struct test *t, struct fixture *f)
{
	fixture_open(f, "good");
	assert_true(world_until(&t->w, evil_has_hello, t));
	say_all(&t->evil, f, (struct generation){100, 10});
	expect_ack(t, (struct generation){100, 10});
	assert_int_equal(snapshot_service_count(worker_snapshot_newest(&t->worker)), 1);
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
	say_manifest(&t->evil, &g, (struct generation){100, 11}, 2);
	say_section(&t->evil, &g, 0);
	say_commit(&t->evil, &g, (struct generation){100, 11});
	expect_nack(t, "snapshot schema 2, we read 1 to 1");
	// None of that hurts what comes after.
	say_all(&t->evil, &g, (struct generation){101, 1});
	expect_ack(t, (struct generation){101, 1});
	assert_non_null(snapshot_service_by_name(worker_snapshot_newest(&t->worker),
						 SLICE_LIT("shop"), SLICE_LIT("next")));
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
	assert_int_equal(snapshot_service_count(worker_snapshot_newest(&t->worker)), 1);
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

// policy-sync is believed about policy, not about who we are.
static void a_certificate_for_another_is_refused(void **state)
{
	struct test *t = *state;
	struct sync_message m = {.type = SYNC_CERTIFICATE};
	struct ca_request request = {.verb = CA_SIGN_NODE, .lifetime_s = 600};
	static struct ca_reply reply;
	struct x509_key key;
	struct fixture f;

	begin_with_a_good_one(t, &f);
	assert_int_equal(x509_key_generate(&key), ERR_OK);
	snprintf(request.trust_domain, sizeof(request.trust_domain), "cluster.local");
	snprintf(request.node, sizeof(request.node), "n2");
	memcpy(request.public_der, key.public_der, sizeof(request.public_der));
	assert_int_equal(ca_client_ask(t->w.ca_fd, &request, &reply), ERR_OK);
	m.chain_pem = slice_make(reply.chain_pem, reply.chain_bytes);
	m.trust_pem = slice_make(reply.trust_pem, reply.trust_bytes);
	evil_send(&t->evil, &m);
	m.chain_pem = SLICE_LIT("no certificate");
	evil_send(&t->evil, &m);
	world_for(&t->w, 200);
	assert_int_equal(t->worker.credentials_seen, 0);
	assert_int_equal(t->status.certs.refused, 2);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_follows, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_secret_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cold_start_needs_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_file_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(policy_sync_away_is_not_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(three_generations_live_at_most, setup, teardown),
		cmocka_unit_test_setup_teardown(certificates_are_renewed_at_half_life,
						setup_short_lives, teardown),
		cmocka_unit_test_setup_teardown(a_node_cannot_pass_for_policy_sync, setup_evil,
						teardown),
		cmocka_unit_test_setup_teardown(another_ca_is_not_believed, setup_evil, teardown),
		cmocka_unit_test_setup_teardown(older_and_other_versions_are_refused, setup_evil,
						teardown),
		cmocka_unit_test_setup_teardown(corrupt_and_truncated_sections_are_refused,
						setup_evil, teardown),
		cmocka_unit_test_setup_teardown(bytes_that_are_no_records_are_refused, setup_evil,
						teardown),
		cmocka_unit_test_setup_teardown(oversized_is_refused_before_it_comes, setup_evil,
						teardown),
		cmocka_unit_test_setup_teardown(a_wrong_patch_asks_for_all_of_it, setup_evil,
						teardown),
		cmocka_unit_test_setup_teardown(a_certificate_for_another_is_refused, setup_evil,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
