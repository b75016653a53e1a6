// SPDX-License-Identifier: GPL-3.0-or-later
// core/service: a Service's own fields, each asked at each of its doors, from a pod and from outside, as
// kube-proxy answers (proxy/iptables: KUBE-SVC, KUBE-EXT, KUBE-FW).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/service.h"

#define HERE  SLICE_LIT("n1")
#define THERE SLICE_LIT("n2")

static struct addr addrs[4];
static struct ss_service service;

static int setup(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		addrs[i] = addr_from_v4(0x0a000001 + i);
	service = (struct ss_service){.addrs = addrs,
				      .addr_count = 3,
				      .external_addrs = 1u << 1,
				      .balancer_addrs = 1u << 2};
	return 0;
}

static struct service_visit visit(enum service_door door, bool from_cluster)
{
	return (struct service_visit){
		.service = &service,
		.door = door,
		.dialled = addrs[0],
		.client = addr_from_v4(0xc0000207),
		.from_cluster = from_cluster,
		.node = HERE,
	};
}

static void doors(void **state)
{
	(void)state;
	assert_int_equal(service_door_of(&service, addrs[0]), DOOR_CLUSTER);
	assert_int_equal(service_door_of(&service, addrs[1]), DOOR_EXTERNAL);
	assert_int_equal(service_door_of(&service, addrs[2]), DOOR_BALANCER);
	assert_int_equal(service_door_of(&service, addrs[3]), DOOR_NODE_PORT);
}

static void local_where_and_for_whom(void **state)
{
	(void)state;
	for (int door = DOOR_CLUSTER; door <= DOOR_NODE_PORT; door++) {
		for (int pod = 0; pod < 2; pod++) {
			for (int fields = 0; fields < 4; fields++) {
				struct service_visit v = visit((enum service_door)door, pod);
				struct ss_endpoint here = {
					.addr = addrs[0], .ready = true, .node = HERE};
				struct ss_endpoint there = {
					.addr = addrs[0], .ready = true, .node = THERE};
				bool local;

				service.internal_local = fields & 1;
				service.external_local = fields & 2;
				local = door == DOOR_CLUSTER ? fields & 1 : (fields & 2) && !pod;
				assert_int_equal(service_is_local(&v), local);
				assert_true(service_is_usable(&v, &here, false));
				assert_int_equal(service_is_usable(&v, &there, false), !local);
				v.node = (struct slice){0};
				assert_true(service_is_usable(&v, &there, false));
			}
		}
	}
}

static void ranges_are_the_load_balancers(void **state)
{
	struct cidr ranges[2] = {{addr_from_v4(0xc0000200), 120}, {addr_from_v4(0x0a000000), 104}};

	(void)state;
	for (int door = DOOR_CLUSTER; door <= DOOR_NODE_PORT; door++) {
		for (int pod = 0; pod < 2; pod++) {
			struct service_visit v = visit((enum service_door)door, pod);

			service.source_ranges = ranges;
			service.source_range_count = 2;
			assert_true(service_admits(&v));
			v.client = addr_from_v4(0xc6336401);
			assert_int_equal(service_admits(&v), door != DOOR_BALANCER);
			v.client = (struct addr){.bytes = {0x20, 1, 0x0d, 0xb8}};
			assert_int_equal(service_admits(&v), door != DOOR_BALANCER);
			service.source_range_count = 0;
			assert_true(service_admits(&v));
		}
	}
}

static void usable_are_ready_ones_or_those_that_still_serve(void **state)
{
	struct service_visit v = visit(DOOR_CLUSTER, true);
	struct ss_endpoint e = {.addr = addrs[0], .serving = true, .terminating = true};

	(void)state;
	assert_false(service_is_usable(&v, &e, false));
	assert_true(service_is_usable(&v, &e, true));
	e.serving = false;
	assert_false(service_is_usable(&v, &e, true));
	e.ready = true;
	assert_true(service_is_usable(&v, &e, false));
	e.addr = (struct addr){.bytes = {0xfd}};
	assert_false(service_is_usable(&v, &e, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(doors, setup),
		cmocka_unit_test_setup(local_where_and_for_whom, setup),
		cmocka_unit_test_setup(ranges_are_the_load_balancers, setup),
		cmocka_unit_test_setup(usable_are_ready_ones_or_those_that_still_serve, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
