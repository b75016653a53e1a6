// SPDX-License-Identifier: GPL-3.0-or-later
// Root rotation A, A+B, B through the control socket: every step waits for every node, and no
// certificate is ever shown to a node that was not told of its root.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>

#include <cmocka.h>

#include "publish/control.h"
#include "sync_node.h"

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

	nodes_connect_both(t, &n1, &n2);
	old_len = n1->trust_len;
	memcpy(old_trust, n1->trust, old_len);
	n2->silent_about_certificates = true;
	order_give(&o, t, "rotate begin");
	world_for(&t->w, 300);
	assert_false(o.done);
	assert_int_equal(t->w.server->trust.stage, CA_STAGE_BEGUN);
	assert_int_equal(node_count_roots(n1), 2); // both are told ...
	assert_int_equal(node_count_roots(n2), 2);
	assert_true(node_verifies(n1, old_trust, old_len)); // ... and A still signs
	n2->silent_about_certificates = false;
	{
		struct sync_message m = {.type = SYNC_INSTALLED,
					 .not_after_unix_s = (uint64_t)n2->not_after};

		node_send(n2, &m);
	}
	order_wait(&o);
	assert_string_equal(o.answer, "ok the new root signs\n");
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	assert_false(node_verifies(n1, old_trust, old_len)); // by B now
	assert_true(node_verifies(n1, n2->trust, n2->trust_len));
	assert_true(node_verifies(n2, n1->trust, n1->trust_len));
	order_give(&o, t, "rotate finish");
	order_wait(&o);
	assert_string_equal(o.answer, "ok the old root is gone\n");
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	assert_int_equal(node_count_roots(n1), 1);
	assert_true(node_verifies(n1, n2->trust, n2->trust_len));
	assert_int_not_equal(
		memcmp(n1->trust, old_trust, old_len < n1->trust_len ? old_len : n1->trust_len), 0);
	// New connections meet a server certificate by B, and a trust file that knows B.
	node_disconnect(n1);
	node_connect(n1);
	assert_true(world_until(&t->w, nodes_are_quiet, t));
}

static void rotation_waits_for_a_node_that_is_away(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;
	struct order o;

	nodes_connect_both(t, &n1, &n2);
	node_disconnect(n2); // its tunnels run, with a certificate of A and trust in A alone
	order_give(&o, t, "rotate begin");
	world_for(&t->w, 500);
	assert_int_equal(t->w.server->trust.stage, CA_STAGE_BEGUN);
	node_connect(n2);
	order_wait(&o);
	assert_string_equal(o.answer, "ok the new root signs\n");
	assert_int_equal(node_count_roots(n2), 2);
}

static void rotation_goes_on_after_a_restart(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;
	struct order o;

	nodes_connect_both(t, &n1, &n2);
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
	assert_true(world_until(&t->w, nodes_are_quiet, t));
	assert_int_equal(node_count_roots(n2), 1);
	assert_true(node_verifies(n1, n2->trust, n2->trust_len));
}

static void orders_that_make_no_sense(void **state)
{
	struct test *t = *state;
	struct node *n1, *n2;
	struct order o;

	nodes_connect_both(t, &n1, &n2);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rotation_waits_for_every_node, nodes_setup,
						nodes_teardown),
		cmocka_unit_test_setup_teardown(rotation_waits_for_a_node_that_is_away, nodes_setup,
						nodes_teardown),
		cmocka_unit_test_setup_teardown(rotation_goes_on_after_a_restart, nodes_setup,
						nodes_teardown),
		cmocka_unit_test_setup_teardown(orders_that_make_no_sense, nodes_setup,
						nodes_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
