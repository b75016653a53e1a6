// SPDX-License-Identifier: GPL-3.0-or-later
// common/snapshot_tables: what a member has to keep beside its limit is asked of every record, and said.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/snapshot_codec.h"

struct test {
	struct arena arena;
	struct buf b;
};

// What a list says twice, a zero that may not be one, an address that no host has: each is named.
static void rules_are_kept(void **state)
{
	struct addr twice[] = {addr_from_v4(0x0a000001), addr_from_v4(0x0a000001)};
	struct addr odd[] = {addr_from_v4(0x7f000001),
			     addr_from_v4(0xe0000001),
			     addr_from_v4(0),
			     {{0xff, 2, [15] = 1}},
			     {{[15] = 1}},
			     {{0}}};
	struct ss_service_port ports[] = {{.port = 80}, {.port = 80}, {.port = 0}};
	struct ss_workload pod = {.addrs = twice, .addr_count = 2};
	struct ss_service service = {.ports = ports, .port_count = 2};
	struct test own, *t = &own;
	struct reason why = {0};
	union {
		struct ss_workload workload;
		struct ss_service service;
	} back;

	(void)state;
	arena_init(&t->arena, 1u << 16);
	buf_init_growing(&t->b, 1u << 16);
	snapshot_encode_workload(&t->b, &pod);
	assert_int_equal(snapshot_decode_record(SECTION_WORKLOADS, buf_slice(&t->b), &t->arena,
						&back, &why),
			 ERR_EXISTS);
	assert_string_equal(why.text, "addrs names one twice");
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		pod = (struct ss_workload){.addrs = &odd[i], .addr_count = 1};
		buf_reset(&t->b);
		snapshot_encode_workload(&t->b, &pod);
		assert_int_equal(snapshot_decode_record(SECTION_WORKLOADS, buf_slice(&t->b),
							&t->arena, &back, &why),
				 ERR_RANGE);
	}
	buf_reset(&t->b);
	snapshot_encode_service(&t->b, &service);
	assert_int_equal(snapshot_decode_service(buf_slice(&t->b), &t->arena, &back.service),
			 ERR_EXISTS);
	service = (struct ss_service){.ports = &ports[2], .port_count = 1};
	buf_reset(&t->b);
	snapshot_encode_service(&t->b, &service);
	assert_int_equal(snapshot_decode_record(SECTION_SERVICES, buf_slice(&t->b), &t->arena,
						&back, &why),
			 ERR_RANGE);
	assert_string_equal(why.text, "port must not be zero");
	buf_deinit(&t->b);
	arena_deinit(&t->arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
