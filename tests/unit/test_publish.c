// SPDX-License-Identifier: GPL-3.0-or-later
// policy-sync/publish: the real server and CA, and nodes that speak the wire over real TLS.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "publish/health.h"
#include "sync_node.h"

static void two_nodes_are_served(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;
	struct x509_info info;

	nodes_connect_both(t, &n1, &n2);
	assert_true(node_verifies(n1, n1->trust, n1->trust_len));
	assert_true(node_verifies(n2, n1->trust, n1->trust_len));
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
		{"n1", "token-of-node-n2-0123456789", "wrong token", 1, 91},
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

	nodes_connect_both(t, &n1, &n2);
	sections = n1->sections;
	n1->patches = n2->patches = 0;
	world_set_services(&t->w, services, 3);
	world_publish(&t->w);
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	assert_int_equal(n1->patches, 1);
	assert_int_equal(n2->patches, 1);
	assert_int_equal(n1->sections, sections);
	assert_int_equal(snapshot_service_count(n1->snapshot), 3);
	assert_non_null(
		snapshot_service_by_name(n2->snapshot, SLICE_LIT("shop"), SLICE_LIT("new")));
	// Gone again, and with them the whole section.
	world_set_services(&t->w, services, 0);
	world_publish(&t->w);
	assert_true(world_until(&t->w, nodes_are_quiet, t));
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

	nodes_connect_both(t, &n1, &n2);
	before = t->w.server->generation.counter;
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		world_set_services(&t->w, names, 1);
		world_publish(&t->w);
	}
	assert_true(world_until(&t->w, published_again, t));
	assert_int_equal(t->w.server->generation.counter, before + 1);
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	// A change every 10 ms or so never has its 20 ms of quiet; it goes out every 100 ms all the
	// same.
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
	assert_true(world_until(&t->w, nodes_are_quiet, t));
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

	nodes_connect_both(t, &n1, &n2);
	node_disconnect(n1);
	n1->manifests = n1->sections = n1->patches = n1->certificates = 0;
	node_connect(n1);
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	assert_int_equal(n1->manifests, 0); // it has it all
	assert_int_equal(n1->certificates, 1);
	node_disconnect(n1);
	world_set_services(&t->w, services, 3);
	world_publish(&t->w);
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	node_connect(n1);
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	assert_int_equal(n1->manifests, 1);
	assert_int_equal(n1->sections, 0);
	assert_int_equal(n1->patches, 1);
	assert_int_equal(snapshot_service_count(n1->snapshot), 3);
}

// What probes hear.
static void page(struct test *t, const char *path, const char *part)
{
	struct health_status status = {.published = true};
	struct buf b;
	int code;

	buf_init_growing(&b, 1u << 16);
	assert_true(health_page(t->w.server, &status, slice_str(path), &code, &b));
	assert_int_equal(code, 200);
	buf_put(&b, "", 1);
	if (!strstr((const char *)b.ptr, part))
		fail_msg("%s is %s", path, (const char *)b.ptr);
	buf_deinit(&b);
}

static void a_refusal_is_kept_and_not_repeated(void **state)
{
	struct test *t = *state;
	static const char *const one[] = {"one"}, *const two[] = {"two"};
	struct node *n1, *n2;
	uint32_t manifests;
	const struct subscriber *s;

	nodes_connect_both(t, &n1, &n2);
	n1->refuse_snapshots = true;
	world_set_services(&t->w, one, 1);
	world_publish(&t->w);
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	manifests = n1->manifests;
	world_for(&t->w, 300);
	assert_int_equal(n1->manifests, manifests); // the same is not sent again
	for (s = t->w.server->subscribers; strcmp(s->node, "n1") != 0;)
		s = s->next;
	assert_string_equal(s->refusal.text, "this node does not like it");
	assert_int_equal(s->refused.counter, t->w.server->generation.counter);
	page(t, "/readyz", "ready\nnode n1 stands behind: ");
	page(t, "/readyz", s->refusal.text);
	page(t, "/metrics", "\nportcullis_sync_nodes_behind 1\n");
	page(t, "/metrics", "\nportcullis_sync_nodes_refused 1\n");
	n1->refuse_snapshots = false;
	world_set_services(&t->w, two, 1);
	world_publish(&t->w);
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	assert_non_null(
		snapshot_service_by_name(n1->snapshot, SLICE_LIT("shop"), SLICE_LIT("two")));
}

static void a_removed_node_is_revoked(void **state)
{
	struct test *t = *state;
	static const char *const left[] = {"n1"}, *const back[] = {"n1", "n2"};
	struct node *n1, *n2;

	nodes_connect_both(t, &n1, &n2);
	world_set_nodes(&t->w, left, 1);
	world_publish(&t->w);
	assert_true(world_until(&t->w, node_has_ended, n2));
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	assert_false(node_pins(n1, "n2", &n2->key));
	assert_int_equal(snapshot_node_count(n1->snapshot), 1);
	// And its token is of no use any more.
	node_disconnect(n2);
	node_connect(n2);
	assert_true(world_until(&t->w, node_has_ended, n2));
	assert_string_equal(n2->refused.text, "unknown node: the cluster has none of this name");
	// Nor does its old key come back with a node of the same name.
	world_set_nodes(&t->w, back, 2);
	world_publish(&t->w);
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	assert_int_equal(snapshot_node_count(n1->snapshot), 2);
	assert_false(node_pins(n1, "n2", &n2->key));
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

	nodes_connect_both(t, &n1, &n2);
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
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	n2->silent_about_snapshots = true;
	n1->certificates = 1;
	renew(n1, TOKEN_1);
	assert_true(world_until(&t->w, node_has_two_certificates, n1));
}

static void a_renewal_needs_the_token(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;

	nodes_connect_both(t, &n1, &n2);
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

	nodes_connect_both(t, &n1, &n2);
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

	nodes_connect_both(t, &n1, &n2);
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

	nodes_connect_both(t, &n1, &n2);
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
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	assert_int_equal(t->w.server->subscriber_count, 2);
	assert_false(n1->ended || n2->ended);
}

// More idle connections than there is room for strangers: a node still gets in.
static void an_occupied_door_is_cleared(void **state)
{
	struct test *t = *state;
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(t->w.port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int idle[SERVER_STRANGERS_MAX + 40];
	struct node *n1;

	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++) {
		idle[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(idle[i], (struct sockaddr *)&to, sizeof(to)), 0);
		if (i % 16 == 0)
			world_for(&t->w, 1);
	}
	world_for(&t->w, 20);
	assert_int_equal(t->w.server->stranger_count, SERVER_STRANGERS_MAX);
	n1 = node_add(t, "n1", TOKEN_1);
	node_connect(n1);
	assert_true(world_until(&t->w, node_is_served, n1));
	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++)
		close(idle[i]);
}

static void a_flood_of_pings_ends_a_connection(void **state)
{
	struct test *t = *state;
	struct sync_message ping = {.type = SYNC_PING};
	struct node *n1, *n2;

	nodes_connect_both(t, &n1, &n2);
	for (int i = 0; i < 1000; i++)
		node_send(n1, &ping);
	assert_true(world_until(&t->w, node_has_ended, n1));
	assert_false(n2->ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(two_nodes_are_served, nodes_setup, nodes_teardown),
		cmocka_unit_test_setup_teardown(strangers_are_refused, nodes_setup, nodes_teardown),
		cmocka_unit_test_setup_teardown(a_change_travels_as_a_patch, nodes_setup,
						nodes_teardown),
		cmocka_unit_test_setup_teardown(
			a_burst_is_one_generation_and_a_stream_is_not_starved, nodes_setup,
			nodes_teardown),
		cmocka_unit_test_setup_teardown(who_comes_back_gets_what_it_lacks, nodes_setup,
						nodes_teardown),
		cmocka_unit_test_setup_teardown(a_refusal_is_kept_and_not_repeated, nodes_setup,
						nodes_teardown),
		cmocka_unit_test_setup_teardown(a_removed_node_is_revoked, nodes_setup,
						nodes_teardown),
		cmocka_unit_test_setup_teardown(a_renewed_key_is_known_before_it_is_certified,
						nodes_setup, nodes_teardown),
		cmocka_unit_test_setup_teardown(a_renewal_needs_the_token, nodes_setup,
						nodes_teardown),
		cmocka_unit_test_setup_teardown(keys_stay_pinned_over_a_restart, nodes_setup,
						nodes_teardown),
		cmocka_unit_test_setup_teardown(a_lost_state_directory_starts_a_higher_epoch,
						nodes_setup, nodes_teardown),
		cmocka_unit_test_setup_teardown(hostile_bytes_end_a_connection_and_no_more,
						nodes_setup, nodes_teardown),
		cmocka_unit_test_setup_teardown(an_occupied_door_is_cleared, nodes_setup,
						nodes_teardown),
		cmocka_unit_test_setup_teardown(a_flood_of_pings_ends_a_connection, nodes_setup,
						nodes_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
