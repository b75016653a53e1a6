// SPDX-License-Identifier: GPL-3.0-or-later
// control/link_watch: real interfaces and routes in a network namespace of the test's own, which
// ends with it.
#include <setjmp.h>
#include <stdarg.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/snapshot_codec.h"
#include "control/link_watch.h"
#include "io/crypto.h"

#define EVENT_TIMEOUT_MS 5000

struct test {
	struct link_watch *watch;
	struct snapshot *snapshot;
	struct links *links;
};

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(slice_str(text), &a), ERR_OK);
	return a;
}

static struct snapshot_section *section(enum section_kind kind, uint8_t shard, const char *key,
					struct slice value)
{
	struct section_ref ref = {.name = {.kind = kind, .shard = shard}};
	struct snapshot_section *s;
	struct reason why = {0};
	struct buf bytes;

	buf_init_growing(&bytes, 65536);
	section_put(&bytes, slice_str(key), value);
	crypto_sha256(buf_slice(&bytes), ref.sha256);
	ref.bytes = (uint32_t)bytes.len;
	assert_int_equal(snapshot_section_new(ref, buf_slice(&bytes), &s, &why), ERR_OK);
	buf_deinit(&bytes);
	return s;
}

// A snapshot with one pod of node n1, of this UID and these addresses.
static void snapshot_with(struct test *t, const char *uid, const char *v4, const char *v6)
{
	struct ss_meta meta = {.trust_domain = SLICE_LIT("cluster.local")};
	struct addr addrs[2] = {addr(v4), addr(v6)};
	struct ss_workload pod = {.uid = slice_str(uid),
				  .namespace = SLICE_LIT("shop"),
				  .name = SLICE_LIT("pod"),
				  .service_account = SLICE_LIT("default"),
				  .node = SLICE_LIT("n1"),
				  .addrs = addrs,
				  .addr_count = 2,
				  .enrolled = true};
	struct snapshot_section *sections[2];
	uint8_t bytes[1024], digest[32];
	struct reason why = {0};
	struct snapshot *s;
	struct buf b;

	buf_init_fixed(&b, bytes, sizeof(bytes));
	snapshot_encode_meta(&b, &meta);
	sections[0] = section(SECTION_META, 0, "meta", buf_slice(&b));
	buf_reset(&b);
	snapshot_encode_workload(&b, &pod);
	crypto_sha256(slice_str(uid), digest);
	sections[1] = section(SECTION_WORKLOADS, digest[0], uid, buf_slice(&b));
	if (snapshot_new((struct generation){1, 1}, sections, 2, SLICE_LIT("n1"), &s, &why))
		fail_msg("%s", why.text);
	for (int i = 0; i < 2; i++)
		snapshot_section_unref(sections[i]);
	assert_int_equal(link_watch_follow(t->watch, s), ERR_OK);
	if (t->snapshot)
		snapshot_free(t->snapshot);
	t->snapshot = s;
}

static enum link_answer check(struct test *t, const char *address, const char *uid,
			      const char *interface)
{
	links_free(t->links);
	t->links = NULL;
	assert_int_equal(link_watch_table(t->watch, &t->links), ERR_OK);
	return links_check(t->links, addr(address), slice_str(uid),
			   interface ? if_nametoindex(interface) : 0);
}

// Reads events until one changes the pins.
static void wait_for_change(struct test *t)
{
	bool changed = false;

	while (!changed) {
		struct pollfd p = {.fd = link_watch_fd(t->watch), .events = POLLIN};

		assert_int_equal(poll(&p, 1, EVENT_TIMEOUT_MS), 1);
		assert_int_equal(link_watch_read(t->watch, &changed), ERR_OK);
	}
}

static void add_pod(const char *interface)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "ip link add %s type veth peer name p-%s && ip link set %s up && "
		 "ip link set p-%s up",
		 interface, interface, interface, interface);
	run(line);
}

static void add_routes(const char *interface)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "ip route replace 10.245.1.5/32 dev %s && "
		 "ip -6 route replace fd00:245:1::5/128 dev %s",
		 interface, interface);
	run(line);
}

#define POD4 "10.245.1.5"
#define POD6 "fd00:245:1::5"

static int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));
	uint32_t uplink;

	assert_non_null(t);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	run("ip link set lo up && ip link add up0 type veth peer name up1 && ip link set up0 up && "
	    "ip link set up1 up && ip addr add 192.168.78.11/24 dev up0 && "
	    "ip route add default via 192.168.78.1");
	uplink = if_nametoindex("up0");
	assert_int_equal(link_watch_new(&uplink, 1, &t->watch), ERR_OK);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	links_free(t->links);
	snapshot_free(t->snapshot);
	link_watch_free(t->watch);
	free(t);
	return 0;
}

static void a_pod_is_pinned_to_its_interface(void **state)
{
	struct test *t = *state;

	add_pod("veth-a");
	add_pod("veth-b");
	add_routes("veth-a");
	snapshot_with(t, "uid-1", POD4, POD6);
	assert_int_equal(check(t, POD4, "uid-1", "veth-a"), LINK_MATCHES);
	assert_int_equal(check(t, POD6, "uid-1", "veth-a"), LINK_MATCHES);
	assert_int_equal(check(t, POD4, "uid-1", "veth-b"), LINK_DIFFERS); // spoofed
	assert_int_equal(check(t, POD4, "uid-1", NULL), LINK_DIFFERS);
	assert_int_equal(check(t, POD4, "uid-2", "veth-a"), LINK_UNKNOWN);
	assert_int_equal(check(t, "10.245.1.6", "uid-1", "veth-a"), LINK_UNKNOWN);
	assert_int_equal(links_check(NULL, addr(POD4), SLICE_LIT("uid-1"), 1), LINK_UNKNOWN);
}

static void uplinks_and_default_routes_pin_nothing(void **state)
{
	struct test *t = *state;

	snapshot_with(t, "uid-1", POD4, POD6); // only the default route leads there
	assert_int_equal(check(t, POD4, "uid-1", "up0"), LINK_UNKNOWN);
	run("ip route add 10.245.1.5/32 via 192.168.78.12"); // a pod of another node
	snapshot_with(t, "uid-2", POD4, POD6);
	assert_int_equal(check(t, POD4, "uid-2", "up0"), LINK_UNKNOWN);
	run("ip route replace blackhole 10.245.1.5/32");
	snapshot_with(t, "uid-3", POD4, POD6);
	assert_int_equal(check(t, POD4, "uid-3", "up0"), LINK_UNKNOWN);
	assert_int_equal(links_count(t->links), 0);
	// A default route pins nothing either, by whatever interface it leads.
	run("ip route del 10.245.1.5/32; ip route del default");
	add_pod("veth-x");
	run("ip route add default dev veth-x");
	snapshot_with(t, "uid-4", POD4, POD6);
	assert_int_equal(check(t, POD4, "uid-4", "veth-x"), LINK_UNKNOWN);
}

static void a_route_that_comes_later_is_found(void **state)
{
	struct test *t = *state;
	struct link_watch_metrics m;

	snapshot_with(t, "uid-1", POD4, POD6);
	link_watch_metrics(t->watch, &m);
	assert_int_equal(m.pending, 2);
	add_pod("veth-a");
	add_routes("veth-a");
	do
		wait_for_change(t);
	while (check(t, POD6, "uid-1", "veth-a") != LINK_MATCHES);
	assert_int_equal(check(t, POD4, "uid-1", "veth-a"), LINK_MATCHES);
}

static void a_moved_route_does_not_move_the_pin(void **state)
{
	struct test *t = *state;
	bool changed;

	add_pod("veth-a");
	add_pod("veth-b");
	add_routes("veth-a");
	snapshot_with(t, "uid-1", POD4, POD6);
	add_routes("veth-b");
	assert_int_equal(link_watch_read(t->watch, &changed), ERR_OK);
	assert_false(changed);
	assert_int_equal(check(t, POD4, "uid-1", "veth-b"), LINK_DIFFERS);
	snapshot_with(t, "uid-1", POD4, POD6); // the same pod in a newer snapshot
	assert_int_equal(check(t, POD4, "uid-1", "veth-b"), LINK_DIFFERS);
	snapshot_with(t, "uid-2", POD4, POD6); // the snapshot has caught up
	assert_int_equal(check(t, POD4, "uid-2", "veth-b"), LINK_MATCHES);
	assert_int_equal(check(t, POD4, "uid-2", "veth-a"), LINK_DIFFERS);
}

static void an_address_is_never_inherited(void **state)
{
	struct test *t = *state;
	struct link_watch_metrics m;

	add_pod("veth-a");
	add_routes("veth-a");
	snapshot_with(t, "uid-1", POD4, POD6);
	run("ip link del veth-a");
	wait_for_change(t);
	link_watch_metrics(t->watch, &m);
	assert_int_equal(m.dead, 2);
	// Another pod gets the address before the snapshot says so, by an interface of the same
	// name.
	add_pod("veth-a");
	add_routes("veth-a");
	assert_int_equal(check(t, POD4, "uid-1", "veth-a"), LINK_DIFFERS);
	snapshot_with(t, "uid-1", POD4, POD6);
	assert_int_equal(check(t, POD4, "uid-1", "veth-a"), LINK_DIFFERS);
	snapshot_with(t, "uid-2", POD4, POD6);
	assert_int_equal(check(t, POD4, "uid-2", "veth-a"), LINK_MATCHES);
}

static void lost_events_are_made_up_for(void **state)
{
	struct test *t = *state;
	struct link_watch_metrics m;

	add_pod("veth-a");
	add_pod("veth-b");
	add_routes("veth-a");
	snapshot_with(t, "uid-1", POD4, POD6);
	// More than the socket holds, and the one that matters among them.
	run("for i in $(seq 1 6000); do echo route add 10.$((i / 200)).$((i % 200)).0/24 dev "
	    "veth-b; "
	    "done | ip -batch -");
	run("ip link del veth-a");
	wait_for_change(t);
	link_watch_metrics(t->watch, &m);
	assert_true(m.overflows > 0);
	assert_int_equal(m.dead, 2);
	assert_int_equal(m.pinned, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_pod_is_pinned_to_its_interface, setup, teardown),
		cmocka_unit_test_setup_teardown(uplinks_and_default_routes_pin_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_route_that_comes_later_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(a_moved_route_does_not_move_the_pin, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_address_is_never_inherited, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_events_are_made_up_for, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
