// SPDX-License-Identifier: GPL-3.0-or-later
// core/snapshot_section: every kind is decoded, every record's fault is named by section and key, counts and
// memory are bounded, and a section lives as long as somebody refers to it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "core/snapshot_section.h"
#include "support/snapshot_build.h"

#define L(text) SLICE_LIT(text)

static void every_kind_is_decoded(void **state)
{
	struct ss_meta meta = {.trust_domain = L("td")};
	struct ss_node nodes[] = {{.name = L("n1")}, {.name = L("n2")}};
	struct ss_workload pods[] = {{.uid = L("u1")}, {.uid = L("u2")}, {.uid = L("u3")}};
	struct ss_service services[] = {{.namespace = L("a"), .name = L("b")}};
	struct ss_policy policies[] = {{.id = L("p1")}, {.id = L("p2")}};
	struct ss_provider providers[] = {{.id = L("i1")}};
	struct cidr net = {addr_from_v4(0x0a000000), 104};
	struct ss_limit limits[] = {{.id = L("l1"), .requests = 1, .unit_s = 1},
				    {.id = L("l2"),
				     .requests = 9,
				     .unit_s = 60,
				     .client_cidrs = &net,
				     .client_cidr_count = 1}};
	struct ss_trust_root roots[] = {{.der = L("\x30\x01")}, {.der = L("\x30\x02")}};
	struct build b = {0};

	(void)state;
	assert_int_equal(build_meta(&b, 0, &meta, 1), ERR_OK);
	assert_int_equal(build_node(&b, 0, nodes, 2), ERR_OK);
	assert_int_equal(build_workload(&b, 0xfe, pods, 3), ERR_OK);
	assert_int_equal(build_service(&b, 0, services, 1), ERR_OK);
	assert_int_equal(build_policy(&b, 0, policies, 2), ERR_OK);
	assert_int_equal(build_provider(&b, 0, providers, 1), ERR_OK);
	assert_int_equal(build_limit(&b, 0, limits, 2), ERR_OK);
	assert_int_equal(build_trust_root(&b, 0, roots, 2), ERR_OK);
	assert_true(slice_eq_str(b.sections[0]->meta->trust_domain, "td"));
	assert_int_equal(b.sections[1]->node_count, 2);
	assert_int_equal(b.sections[2]->workload_count, 3);
	assert_true(slice_eq_str(b.sections[2]->workloads[2].record.uid, "u3"));
	assert_int_equal(snapshot_section_id(b.sections[2])->name.shard, 0xfe);
	assert_int_equal(b.sections[3]->service_count, 1);
	assert_int_equal(b.sections[4]->policy_count, 2);
	assert_non_null(b.sections[4]->policies[1].compiled);
	assert_int_equal(b.sections[5]->provider_count, 1);
	assert_int_equal(b.sections[6]->limit_count, 2);
	assert_true(cidr_set_contains(b.sections[6]->limits[1].clients, addr_from_v4(0x0a010101)));
	assert_false(cidr_set_contains(b.sections[6]->limits[1].clients, addr_from_v4(0x0b010101)));
	assert_true(b.sections[6]->limits[0].key_seed != b.sections[6]->limits[1].key_seed);
	assert_int_equal(b.sections[7]->root_count, 2);
	build_free(&b);
}

// Every section may be empty but meta, which is one record.
static void empty_sections(void **state)
{
	struct build b = {0};

	(void)state;
	for (int k = SECTION_META; k < SECTION_KIND_COUNT; k++) {
		enum err err = build_bytes(&b, (struct section_name){(enum section_kind)k, 0},
					   (struct slice){0});

		assert_int_equal(err, k == SECTION_META ? ERR_MALFORMED : ERR_OK);
	}
	build_free(&b);
}

static void check_fault(enum err got, enum err expected, struct build *b, const char *words)
{
	assert_int_equal(got, expected);
	assert_string_equal(b->why.text, words);
	assert_int_equal(b->count, 0);
}

static void faults_name_section_and_record(void **state)
{
	struct ss_meta metas[2] = {{.trust_domain = L("td")}};
	struct ss_path_match regex = {PATH_REGEX, L("/a.*")};
	struct ss_limit limits[] = {{.id = L("a"), .requests = 1, .unit_s = 1},
				    {.id = L("b"), .requests = 0, .unit_s = 1}};
	struct ss_rule rule = {.paths = &regex, .path_count = 1};
	struct ss_policy policy = {.id = L("p"), .rules = &rule, .rule_count = 1};
	struct build b = {0};
	struct buf two;

	(void)state;
	check_fault(build_limit(&b, 0, limits, 2), ERR_RANGE, &b,
		    "section limits: record b: requests must not be zero");
	limits[1].requests = 1;
	limits[1].unit_s = 0;
	check_fault(build_limit(&b, 0, limits, 2), ERR_RANGE, &b,
		    "section limits: record b: unit_s must not be zero");
	limits[1].unit_s = 1;
	limits[1].paths = &regex;
	limits[1].path_count = 1;
	check_fault(build_limit(&b, 0, limits, 2), ERR_UNSUPPORTED, &b,
		    "section limits: record b: paths has a regular expression");
	rule.groups = 1; // of none
	check_fault(build_policy(&b, 0x0a, &policy, 1), ERR_MALFORMED, &b,
		    "section policies/0a: record p: its rules cannot be compiled: malformed");
	check_fault(build_bytes(&b, (struct section_name){SECTION_NODES, 0}, L("\x92\xa1x")),
		    ERR_MALFORMED, &b, "section nodes: record 0 is malformed");
	check_fault(build_bytes(&b, (struct section_name){SECTION_NODES, 0},
				L("\x92\xa1x\x81\x01\x05")),
		    ERR_MALFORMED, &b, "section nodes: record x: malformed");
	check_fault(build_bytes(&b, (struct section_name){SECTION_NONE, 0}, (struct slice){0}),
		    ERR_UNSUPPORTED, &b, "section none: unsupported");
	// Two metas: which would hold?
	buf_init_growing(&two, 100);
	buf_put_str(&two, "\x92\xa1x\x80\x92\xa1y\x80");
	check_fault(build_bytes(&b, (struct section_name){SECTION_META, 0}, buf_slice(&two)),
		    ERR_TOO_LARGE, &b, "section meta: 2 records are too many");
	buf_deinit(&two);
	(void)metas;
}

// What only a later version means: that policy refuses, the others of its section hold.
static void a_later_versions_policy_refuses(void **state)
{
	struct ss_path_match regex = {PATH_REGEX, L("/a.*")};
	struct ss_source later = {.type = SOURCE_UNAUTHENTICATED + 1};
	struct ss_rule rules[] = {{.paths = &regex, .path_count = 1},
				  {.sources = &later, .source_count = 1},
				  {.action = RULE_ALLOW}};
	struct ss_policy policies[] = {{.id = L("a"), .rules = &rules[0], .rule_count = 1},
				       {.id = L("b"), .rules = &rules[1], .rule_count = 1},
				       {.id = L("c"), .rules = &rules[2], .rule_count = 1}};
	struct build b = {0};

	(void)state;
	assert_int_equal(build_policy(&b, 0, policies, 3), ERR_OK);
	for (uint32_t i = 0; i < 3; i++) {
		const struct snapshot_policy *p = &b.sections[0]->policies[i];

		assert_true(slice_eq(p->record.id, policies[i].id));
		assert_int_equal(p->record.broken.len > 0, i < 2);
		assert_ptr_equal(policy_source(p->compiled), &p->record);
	}
	build_free(&b);
}

static void counts_are_bounded(void **state)
{
	struct ss_trust_root roots[65];
	struct build b = {0};

	(void)state;
	for (int i = 0; i < 65; i++)
		roots[i] = (struct ss_trust_root){.der = L("\x30\x01")};
	assert_int_equal(build_trust_root(&b, 0, roots, 64), ERR_OK);
	build_free(&b);
	check_fault(build_trust_root(&b, 0, roots, 65), ERR_TOO_LARGE, &b,
		    "section trust: 65 records are too many");
}

// Dense bytes cannot make it take any amount of memory: a node of 64 addresses by two bytes each is none,
// and nodes of nothing are 6 bytes that become a hundred.
static void memory_is_bounded_by_the_bytes(void **state)
{
	struct build b = {0};
	struct buf bytes;
	enum err err;

	(void)state;
	buf_init_growing(&bytes, 1u << 20);
	for (int i = 0; i < SNAPSHOT_NODES_MAX; i++) {
		uint8_t key[] = {0x92, 0xa2, (uint8_t)(i >> 8), (uint8_t)i, 0x80};

		buf_put(&bytes, key, sizeof(key));
	}
	err = build_bytes(&b, (struct section_name){SECTION_NODES, 0}, buf_slice(&bytes));
	assert_int_equal(err, ERR_OK);
	assert_true(b.sections[0]->arena.bytes_used <= bytes.len * 64 + (1u << 16));
	build_free(&b);
	buf_put(&bytes, "\x92\xa2\xff\xff\x80", 5); // one more than there may be
	err = build_bytes(&b, (struct section_name){SECTION_NODES, 0}, buf_slice(&bytes));
	assert_int_equal(err, ERR_TOO_LARGE);
	buf_deinit(&bytes);
}

static void it_lives_while_referred_to(void **state)
{
	struct ss_node node = {.name = L("n1")};
	struct snapshot_section *s;
	struct build b = {0};

	(void)state;
	assert_int_equal(build_node(&b, 0, &node, 1), ERR_OK);
	s = b.sections[0];
	snapshot_section_ref(s);
	build_free(&b);
	assert_true(slice_eq_str(s->nodes[0].name, "n1")); // its bytes are copies
	assert_int_equal(snapshot_section_bytes(s).len, snapshot_section_id(s)->bytes);
	snapshot_section_unref(s);
	snapshot_section_unref(NULL);
}

static void garbage_is_survived(void **state)
{
	struct ss_service services[] = {{.namespace = L("a"), .name = L("b")},
					{.namespace = L("a"), .name = L("c")}};
	struct build b = {0};
	uint8_t bytes[200];
	size_t len;

	(void)state;
	srand(10);
	assert_int_equal(build_service(&b, 0, services, 2), ERR_OK);
	len = snapshot_section_bytes(b.sections[0]).len;
	assert_true(len < sizeof(bytes));
	for (int kind = SECTION_META; kind < SECTION_KIND_COUNT; kind++) {
		for (int round = 0; round < 2000; round++) {
			struct build other = {0};

			memcpy(bytes, snapshot_section_bytes(b.sections[0]).ptr, len);
			for (int i = 0; i < 1 + round % 3; i++)
				bytes[(size_t)rand() % len] = (uint8_t)rand();
			(void)!build_bytes(&other,
					   (struct section_name){(enum section_kind)kind, 0},
					   slice_make(bytes, len - (size_t)rand() % 3));
			build_free(&other);
		}
	}
	build_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_decoded),
		cmocka_unit_test(empty_sections),
		cmocka_unit_test(faults_name_section_and_record),
		cmocka_unit_test(a_later_versions_policy_refuses),
		cmocka_unit_test(counts_are_bounded),
		cmocka_unit_test(memory_is_bounded_by_the_bytes),
		cmocka_unit_test(it_lives_while_referred_to),
		cmocka_unit_test(garbage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
