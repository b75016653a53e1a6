// SPDX-License-Identifier: GPL-3.0-or-later
// core/snapshot: what is linked is found by every way that a request asks, and what does not resolve is
// refused with a sentence that names it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "support/snapshot_build.h"

#define L(text) SLICE_LIT(text)

static struct addr v4(uint8_t last)
{
	return addr_from_v4(0x0a000000u + last);
}

static void add_meta(struct build *b)
{
	struct ss_meta meta = {.trust_domain = L("td"), .header_timeout_ms = 5000};

	assert_int_equal(build_meta(b, 0, &meta, 1), ERR_OK);
}

static void add_nodes(struct build *b)
{
	static struct addr first[2], second[1];
	struct ss_node nodes[] = {
		{.name = L("n1"), .addrs = first, .addr_count = 2, .tunnel_port = 14443},
		{.name = L("n2"), .addrs = second, .addr_count = 1, .ingress = true},
	};

	first[0] = v4(201);
	first[1] = (struct addr){{0xfd, 1}};
	second[0] = v4(202);
	assert_int_equal(build_node(b, 0, nodes, 2), ERR_OK);
}

// a and b on n1 (a dual stack), c on n2, host on n1's own address, off not enrolled.
static void add_pods(struct build *b)
{
	static struct addr at[6];
	static struct ss_port_policy covered[] = {{8080, {(const uint8_t *)"p1", 2}},
						  {0, {(const uint8_t *)"p2", 2}}};
	struct ss_workload pods[] = {
		{.uid = L("uid-a"),
		 .namespace = L("shop"),
		 .name = L("a"),
		 .node = L("n1"),
		 .service_account = L("sa"),
		 .addrs = at,
		 .addr_count = 2,
		 .enrolled = true,
		 .policies = covered,
		 .policy_count = 2},
		{.uid = L("uid-b"),
		 .namespace = L("shop"),
		 .name = L("b"),
		 .node = L("n1"),
		 .addrs = at + 2,
		 .addr_count = 1,
		 .enrolled = true,
		 .policies = covered,
		 .policy_count = 1},
		{.uid = L("uid-c"),
		 .namespace = L("shop"),
		 .name = L("c"),
		 .node = L("n2"),
		 .addrs = at + 3,
		 .addr_count = 1,
		 .enrolled = true},
		{.uid = L("uid-host"),
		 .namespace = L("shop"),
		 .name = L("host"),
		 .node = L("n1"),
		 .addrs = at + 4,
		 .addr_count = 1,
		 .host_network = true},
		{.uid = L("uid-off"),
		 .namespace = L("shop"),
		 .name = L("off"),
		 .node = L("n1"),
		 .addrs = at + 5,
		 .addr_count = 1},
	};

	at[0] = v4(1);
	at[1] = (struct addr){{0xfd, 2}};
	at[2] = v4(2);
	at[3] = v4(3);
	at[4] = v4(201);
	at[5] = v4(5);
	assert_int_equal(build_workload(b, 0, pods, 5), ERR_OK);
}

static void add_services(struct build *b)
{
	static struct addr web[2], db[1];
	struct ss_service_port web_ports[] = {{.name = L("http"), .port = 80, .node_port = 30080},
					      {.name = L("admin"), .port = 81}};
	struct ss_service_port db_ports[] = {{.name = L("db"), .port = 80, .node_port = 30081}};
	struct ss_service services[] = {
		{.namespace = L("shop"),
		 .name = L("db"),
		 .addrs = db,
		 .addr_count = 1,
		 .ports = db_ports,
		 .port_count = 1},
		{.namespace = L("shop"), .name = L("headless"), .ports = db_ports, .port_count = 0},
		{.namespace = L("shop"),
		 .name = L("web"),
		 .addrs = web,
		 .addr_count = 2,
		 .ports = web_ports,
		 .port_count = 2},
	};

	web[0] = v4(100);
	web[1] = (struct addr){{0xfd, 3}};
	db[0] = v4(101);
	assert_int_equal(build_service(b, 0, services, 3), ERR_OK);
}

static void add_policies(struct build *b)
{
	struct slice provider = L("ns/p/issuer"), limit = L("ns/l/rule");
	struct ss_policy policies[] = {
		{.id = L("p1"),
		 .provider_ids = &provider,
		 .provider_count = 1,
		 .limit_ids = &limit,
		 .limit_count = 1},
		{.id = L("p2")},
	};
	struct ss_provider providers[] = {{.id = provider, .name = L("issuer")}};
	struct ss_limit limits[] = {{.id = limit, .requests = 5, .unit_s = 60}};

	assert_int_equal(build_policy(b, 0x11, policies, 2), ERR_OK);
	assert_int_equal(build_provider(b, 0, providers, 1), ERR_OK);
	assert_int_equal(build_limit(b, 0, limits, 1), ERR_OK);
}

static void add_world(struct build *b)
{
	add_meta(b);
	add_nodes(b);
	add_pods(b);
	add_services(b);
	add_policies(b);
}

static struct snapshot *world(const char *self)
{
	struct build b = {0};
	struct snapshot *s = NULL;

	add_world(&b);
	if (build_link(&b, self, &s) != ERR_OK)
		fail_msg("%s", b.why.text);
	build_free(&b); // the snapshot has references of its own
	return s;
}

static void pods_are_found(void **state)
{
	struct snapshot *s = world("n1");
	const struct workload *a = snapshot_workload_by_addr(s, v4(1));

	(void)state;
	assert_non_null(a);
	assert_true(slice_eq_str(a->record.name, "a"));
	assert_ptr_equal(snapshot_workload_by_addr(s, (struct addr){{0xfd, 2}}), a);
	assert_ptr_equal(snapshot_workload_by_uid(s, L("uid-a")), a);
	assert_null(snapshot_workload_by_addr(s, v4(99)));
	assert_null(snapshot_workload_by_addr(s, (struct addr){0}));
	assert_null(snapshot_workload_by_uid(s, L("uid-")));
	assert_null(snapshot_workload_by_uid(s, (struct slice){0}));
	// A pod on the host's network has the node's address, which is no pod's identity.
	assert_null(snapshot_workload_by_addr(s, v4(201)));
	assert_non_null(snapshot_workload_by_uid(s, L("uid-host")));
	assert_int_equal(snapshot_workload_count(s), 5);
	// Local: enrolled, and of this node.
	assert_int_equal(snapshot_local_count(s), 2);
	assert_true(slice_eq_str(snapshot_local(s, 0)->record.name, "a"));
	assert_true(slice_eq_str(snapshot_local(s, 1)->record.name, "b"));
	snapshot_free(s);
	s = world("n2");
	assert_int_equal(snapshot_local_count(s), 1);
	snapshot_free(s);
	s = world("elsewhere");
	assert_int_equal(snapshot_local_count(s), 0);
	snapshot_free(s);
}

static void nodes_are_found(void **state)
{
	struct snapshot *s = world("n1");

	(void)state;
	assert_true(slice_eq_str(snapshot_node_by_addr(s, v4(201))->name, "n1"));
	assert_true(slice_eq_str(snapshot_node_by_addr(s, (struct addr){{0xfd, 1}})->name, "n1"));
	assert_true(snapshot_node_by_name(s, L("n2"))->ingress);
	assert_null(snapshot_node_by_addr(s, v4(1)));
	assert_null(snapshot_node_by_name(s, L("n")));
	assert_int_equal(snapshot_node_count(s), 2);
	assert_true(slice_eq_str(snapshot_node(s, 1)->name, "n2"));
	snapshot_free(s);
}

static const char *port_name(const struct snapshot *s, struct addr a, uint16_t port)
{
	static char name[64];
	const struct ss_service *service = (const void *)1;
	const struct ss_service_port *p = snapshot_service_port(s, a, port, &service);

	assert_ptr_equal(snapshot_service_port(s, a, port, NULL), p);
	if (!p) {
		assert_null(service);
		return "none";
	}
	snprintf(name, sizeof(name), "%.*s:%.*s", SLICE_ARG(service->name), SLICE_ARG(p->name));
	return name;
}

static void services_are_found(void **state)
{
	struct snapshot *s = world("n1");

	(void)state;
	assert_string_equal(port_name(s, v4(100), 80), "web:http");
	assert_string_equal(port_name(s, (struct addr){{0xfd, 3}}, 81), "web:admin");
	assert_string_equal(port_name(s, v4(101), 80), "db:db");
	assert_string_equal(port_name(s, v4(100), 82), "none");
	assert_string_equal(port_name(s, v4(101), 81), "none");
	// Node ports: on any node's address, and nowhere else.
	assert_string_equal(port_name(s, v4(201), 30080), "web:http");
	assert_string_equal(port_name(s, v4(202), 30081), "db:db");
	assert_string_equal(port_name(s, v4(201), 30082), "none");
	assert_string_equal(port_name(s, v4(201), 0), "none"); // no node port is no port 0
	assert_string_equal(port_name(s, v4(1), 30080), "none");
	assert_string_equal(port_name(s, v4(100), 30080), "none");
	assert_true(snapshot_is_service_addr(s, v4(100)));
	assert_true(snapshot_is_service_addr(s, (struct addr){{0xfd, 3}}));
	assert_false(snapshot_is_service_addr(s, v4(1)));
	assert_non_null(snapshot_service_by_name(s, L("shop"), L("headless")));
	assert_null(snapshot_service_by_name(s, L("shop"), L("webs")));
	assert_null(snapshot_service_by_name(s, L("sho"), L("pweb"))); // the border counts
	assert_int_equal(snapshot_service_count(s), 3);
	assert_true(slice_eq_str(snapshot_service(s, 0)->name, "db"));
	snapshot_free(s);
}

static void policies_cover_ports(void **state)
{
	struct snapshot *s = world("n1");
	const struct workload *a = snapshot_workload_by_uid(s, L("uid-a"));
	const struct workload *b = snapshot_workload_by_uid(s, L("uid-b"));
	const struct workload *c = snapshot_workload_by_uid(s, L("uid-c"));

	(void)state;
	assert_true(slice_eq_str(policy_source(snapshot_policy_for(s, a, 8080))->id, "p1"));
	assert_true(slice_eq_str(policy_source(snapshot_policy_for(s, a, 9090))->id, "p2"));
	assert_true(slice_eq_str(policy_source(snapshot_policy_for(s, b, 8080))->id, "p1"));
	assert_null(snapshot_policy_for(s, b, 9090));
	assert_null(snapshot_policy_for(s, c, 8080));
	assert_true(slice_eq_str(snapshot_provider(s, L("ns/p/issuer"))->name, "issuer"));
	assert_null(snapshot_provider(s, L("ns/p")));
	assert_int_equal(snapshot_limit(s, L("ns/l/rule"))->record.requests, 5);
	assert_null(snapshot_limit(s, L("")));
	snapshot_free(s);
}

static void what_it_says_of_itself(void **state)
{
	struct snapshot *s = world("n1");
	struct generation older = {1, 0}, newer = {2, 0};

	(void)state;
	assert_true(slice_eq_str(snapshot_meta(s)->trust_domain, "td"));
	assert_int_equal(snapshot_meta(s)->header_timeout_ms, 5000);
	assert_int_equal(generation_cmp(snapshot_generation(s), (struct generation){1, 1}), 0);
	assert_int_equal(generation_cmp(snapshot_generation(s), older), 1);
	assert_int_equal(generation_cmp(snapshot_generation(s), newer), -1); // whatever the counter
	assert_int_equal(generation_cmp(older, snapshot_generation(s)), -1);
	assert_int_equal(snapshot_section_of(s, SECTION_PROVIDERS)->name.kind, SECTION_PROVIDERS);
	assert_null(snapshot_section_of(s, SECTION_TRUST));
	assert_in_range(snapshot_bytes(s), 1000, 1u << 22);
	snapshot_free(s);
	snapshot_free(NULL);
}

// ---- refusals ----------------------------------------------------------------------------------

static void refused(struct build *b, const char *words)
{
	struct snapshot *s = (void *)1;

	assert_int_equal(build_link(b, "n1", &s), ERR_MALFORMED);
	assert_ptr_equal(s, (void *)1); // nothing is given out
	assert_string_equal(b->why.text, words);
	build_free(b);
}

static void without_meta_there_is_none(void **state)
{
	struct build b = {0};

	(void)state;
	refused(&b, "section meta is missing");
	add_nodes(&b);
	refused(&b, "section meta is missing");
}

static void references_have_to_resolve(void **state)
{
	struct slice missing = L("ns/x");
	struct ss_policy names_provider = {
		.id = L("p"), .provider_ids = &missing, .provider_count = 1};
	struct ss_policy names_limit = {.id = L("p"), .limit_ids = &missing, .limit_count = 1};
	struct build b = {0};

	(void)state;
	add_meta(&b);
	add_pods(&b);
	refused(&b, "pod shop/a names policy p1, which is not there");
	add_meta(&b);
	assert_int_equal(build_policy(&b, 0, &names_provider, 1), ERR_OK);
	refused(&b, "policy p names JWT provider ns/x, which is not there");
	add_meta(&b);
	assert_int_equal(build_policy(&b, 0, &names_limit, 1), ERR_OK);
	refused(&b, "policy p names limit ns/x, which is not there");
}

// One pod's policy before another pod's address, or before nobody's, would be a way round.
static void endpoints_are_their_pods(void **state)
{
	struct addr mine = v4(9), theirs = v4(10), nobodys = v4(11);
	struct ss_workload pods[] = {
		{.uid = L("u1"),
		 .namespace = L("x"),
		 .name = L("one"),
		 .addrs = &mine,
		 .addr_count = 1},
		{.uid = L("u2"),
		 .namespace = L("x"),
		 .name = L("two"),
		 .addrs = &theirs,
		 .addr_count = 1},
	};
	struct ss_endpoint e = {.addr = mine, .port = 80, .workload_uid = L("u1")};
	struct ss_service_port port = {.port = 80, .endpoints = &e, .endpoint_count = 1};
	struct ss_service service = {
		.namespace = L("x"), .name = L("s"), .ports = &port, .port_count = 1};
	const struct {
		struct addr addr;
		const char *words; // NULL: is taken
	} cases[] = {
		{mine, NULL},
		{theirs, "service x/s has endpoint 10.0.0.10, which is not pod u1's"},
		{nobodys, "service x/s has endpoint 10.0.0.11, which is not pod u1's"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snapshot *s = NULL;
		struct build b = {0};

		e.addr = cases[i].addr;
		add_meta(&b);
		assert_int_equal(build_workload(&b, 0, pods, 2), ERR_OK);
		assert_int_equal(build_service(&b, 0, &service, 1), ERR_OK);
		if (cases[i].words) {
			refused(&b, cases[i].words);
			continue;
		}
		assert_int_equal(build_link(&b, "n1", &s), ERR_OK);
		build_free(&b);
		snapshot_free(s);
	}
}

// Two pods of one address: nobody could say whose traffic it is. The host's pods share theirs.
static void addresses_are_one_pods(void **state)
{
	struct addr same = v4(9);
	struct ss_workload pods[] = {
		{.uid = L("u1"),
		 .namespace = L("x"),
		 .name = L("one"),
		 .addrs = &same,
		 .addr_count = 1},
		{.uid = L("u2"),
		 .namespace = L("y"),
		 .name = L("two"),
		 .addrs = &same,
		 .addr_count = 1},
	};
	struct build b = {0};
	struct snapshot *s;

	(void)state;
	add_meta(&b);
	assert_int_equal(build_workload(&b, 0, pods, 2), ERR_OK);
	refused(&b, "pods x/one and y/two share the address 10.0.0.9");
	add_meta(&b);
	assert_int_equal(build_workload(&b, 0, &pods[0], 1), ERR_OK); // in sections of their own
	assert_int_equal(build_workload(&b, 1, &pods[1], 1), ERR_OK);
	refused(&b, "pods x/one and y/two share the address 10.0.0.9");
	pods[0].host_network = pods[1].host_network = true;
	add_meta(&b);
	assert_int_equal(build_workload(&b, 0, pods, 2), ERR_OK);
	assert_int_equal(build_link(&b, "n1", &s), ERR_OK);
	assert_null(snapshot_workload_by_addr(s, same));
	build_free(&b);
	snapshot_free(s);
}

// A section that did not change is shared by two generations, each with its own policies.
static void generations_share_sections(void **state)
{
	struct build first = {0}, second = {0};
	struct snapshot *old, *new;
	struct ss_policy policies[] = {{.id = L("p1")}, {.id = L("p2"), .needs_l7 = true}};
	const struct workload *a;

	(void)state;
	add_world(&first);
	assert_int_equal(build_link(&first, "n1", &old), ERR_OK);
	for (uint32_t i = 0; i < 4; i++) { // meta, nodes, pods, services: the same objects
		second.sections[second.count++] = first.sections[i];
		snapshot_section_ref(first.sections[i]);
	}
	assert_int_equal(build_policy(&second, 0x11, policies, 2), ERR_OK);
	assert_int_equal(build_link(&second, "n1", &new), ERR_OK);
	build_free(&first);
	build_free(&second);
	a = snapshot_workload_by_uid(old, L("uid-a"));
	assert_int_equal(policy_source(snapshot_policy_for(old, a, 8080))->provider_count, 1);
	a = snapshot_workload_by_uid(new, L("uid-a"));
	assert_int_equal(policy_source(snapshot_policy_for(new, a, 8080))->provider_count, 0);
	assert_true(policy_source(snapshot_policy_for(new, a, 1))->needs_l7);
	snapshot_free(old); // the new one does not live on the old one's memory
	a = snapshot_workload_by_addr(new, v4(1));
	assert_true(slice_eq_str(a->record.service_account, "sa"));
	assert_true(policy_source(snapshot_policy_for(new, a, 1))->needs_l7);
	snapshot_free(new);
}

// As many as a cluster has: every one is found, and linking is quick enough to be done while serving.
static void many_pods_and_services(void **state)
{
	enum { PODS = 20000 };
	static struct ss_workload pods[PODS];
	static struct addr at[PODS];
	static char uids[PODS][16];
	struct build b = {0};
	struct snapshot *s;

	(void)state;
	for (uint32_t i = 0; i < PODS; i++) {
		snprintf(uids[i], sizeof(uids[i]), "uid-%06u", i);
		at[i] = addr_from_v4(0x0a000000u + i);
		pods[i] = (struct ss_workload){.uid = slice_str(uids[i]),
					       .namespace = L("shop"),
					       .name = slice_str(uids[i]),
					       .node = i % 100 == 0 ? L("n1") : L("n2"),
					       .addrs = &at[i],
					       .addr_count = 1,
					       .enrolled = true};
	}
	add_meta(&b);
	assert_int_equal(build_workload(&b, 0, pods, PODS), ERR_OK);
	assert_int_equal(build_link(&b, "n1", &s), ERR_OK);
	build_free(&b);
	assert_int_equal(snapshot_local_count(s), PODS / 100);
	for (uint32_t i = 0; i < PODS; i++) {
		const struct workload *w = snapshot_workload_by_addr(s, at[i]);

		assert_ptr_equal(snapshot_workload_by_uid(s, slice_str(uids[i])), w);
		assert_true(slice_eq_str(w->record.uid, uids[i]));
	}
	snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pods_are_found),
		cmocka_unit_test(nodes_are_found),
		cmocka_unit_test(services_are_found),
		cmocka_unit_test(policies_cover_ports),
		cmocka_unit_test(what_it_says_of_itself),
		cmocka_unit_test(without_meta_there_is_none),
		cmocka_unit_test(references_have_to_resolve),
		cmocka_unit_test(endpoints_are_their_pods),
		cmocka_unit_test(addresses_are_one_pods),
		cmocka_unit_test(generations_share_sections),
		cmocka_unit_test(many_pods_and_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
