// SPDX-License-Identifier: GPL-3.0-or-later
// See sim_snapshot.h. Encoded, decoded, checked and linked by the very code that production uses.
#include "sim/sim_snapshot.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/snapshot_codec.h"
#include "io/crypto.h"
#include "sim/sim.h"

#define SECTIONS	  5
#define SECTION_BYTES_MAX (1u << 16)

static struct snapshot *snapshots[SIM_NODES][SIM_SNAPSHOTS];
static char uids[SIM_PODS][24];
static const char *const role_names[] = {"client", "plain", "web", "closed"};
static const char *const node_names[] = {"n0", "n1"};
static const uint8_t pins[SIM_NODES][2][32] = {{{1, 1, 1}, {1, 1, 2}}, {{2, 2, 1}, {2, 2, 2}}};

const struct sim_version sim_versions[SIM_SNAPSHOTS] = {
	{.keys = {true}},
	{.keys = {true, true}},
	{.keys = {true, true}, .closed = true},
	{.keys = {true, true}},
	{.keys = {true, true}, .gone = true},
	{.keys = {false, true}},
	{.keys = {false, true}, .closed = true, .gone = true},
	{.keys = {true, true}},
};

const struct snapshot *sim_snapshot(uint32_t node, uint32_t version)
{
	return snapshots[node][version];
}

const char *sim_node_name(uint32_t node)
{
	return node_names[node];
}

const char *sim_node_uri(uint32_t node)
{
	return node ? "spiffe://cluster.local/node/n1" : "spiffe://cluster.local/node/n0";
}

const uint8_t *sim_node_pin(uint32_t node, uint32_t key)
{
	return pins[node][key];
}

uint32_t sim_version_of(uint64_t counter)
{
	return (uint32_t)counter - 1;
}

struct addr sim_node_addr(uint32_t node)
{
	return addr_from_v4(0x0a000001 + node);
}

struct addr sim_pod_addr(uint32_t pod)
{
	return addr_from_v4(0x0a010000 + (pod / SIM_PODS_PER_NODE << 8) + pod % SIM_PODS_PER_NODE +
			    1);
}

struct addr sim_service_addr(enum sim_role role)
{
	return addr_from_v4(0x0a600000 + (uint32_t)role);
}

const char *sim_pod_uid(uint32_t pod)
{
	return uids[pod];
}

uint32_t sim_pod_ifindex(uint32_t pod)
{
	return 10 + pod;
}

// ---- sections ----------------------------------------------------------------------------------

struct section_buf {
	struct buf section;
	struct buf value;
};

static void section_begin(struct section_buf *b)
{
	buf_init_growing(&b->section, SECTION_BYTES_MAX);
	buf_init_growing(&b->value, SECTION_BYTES_MAX);
}

static void section_add(struct section_buf *b, const char *key)
{
	section_put(&b->section, slice_str(key), buf_slice(&b->value));
	buf_reset(&b->value);
}

static struct snapshot_section *section_end(struct section_buf *b, enum section_kind kind)
{
	struct section_ref ref = {.name = {kind, 0}, .bytes = (uint32_t)b->section.len};
	struct snapshot_section *s = NULL;
	struct reason why = {0};

	crypto_sha256(buf_slice(&b->section), ref.sha256);
	if (b->section.err != ERR_OK ||
	    snapshot_section_new(ref, buf_slice(&b->section), &s, &why) != ERR_OK)
		sim_fail("section %d: %s", (int)kind, why.text);
	buf_deinit(&b->section);
	buf_deinit(&b->value);
	return s;
}

static struct snapshot_section *make_meta(void)
{
	struct ss_meta meta = {
		.trust_domain = SLICE_LIT("cluster.local"),
		.header_bytes_max = 49152,
		.header_timeout_ms =
			60000, // a large head in small pieces, some of which wait a second for memory
		.http_idle_timeout_ms = 60000,
		.connect_timeout_ms = 5000,
		.hold_timeout_ms = 5000,
	};
	struct section_buf b;

	section_begin(&b);
	snapshot_encode_meta(&b.value, &meta);
	section_add(&b, "meta");
	return section_end(&b, SECTION_META);
}

static struct snapshot_section *make_nodes(const struct sim_version *v)
{
	struct section_buf b;

	section_begin(&b);
	for (uint32_t n = 0; n < SIM_NODES; n++) {
		struct addr addr = sim_node_addr(n);
		uint32_t first = v->keys[0] ? 0 : 1, count = (uint32_t)v->keys[0] + v->keys[1];
		struct ss_node node = {.name = slice_str(node_names[n]),
				       .addrs = &addr,
				       .addr_count = 1,
				       .tunnel_port = SIM_TUNNEL_PORT,
				       .key_pins = slice_make(pins[n][first], count * 32)};

		snapshot_encode_node(&b.value, &node);
		section_add(&b, node_names[n]);
	}
	return section_end(&b, SECTION_NODES);
}

bool sim_pod_is_for_nobody(uint32_t pod, uint32_t version)
{
	enum sim_role role = (enum sim_role)(pod % SIM_PODS_PER_NODE);

	return role == SIM_CLOSED || (sim_versions[version].closed && pod >= SIM_PODS_PER_NODE &&
				      (role == SIM_PLAIN || role == SIM_WEB));
}

static struct snapshot_section *make_workloads(uint32_t version)
{
	struct section_buf b;

	section_begin(&b);
	for (uint32_t pod = 0; pod < SIM_PODS; pod++) {
		enum sim_role role = (enum sim_role)(pod % SIM_PODS_PER_NODE);
		struct addr addr = sim_pod_addr(pod);
		struct slice closed =
			role == SIM_WEB ? SLICE_LIT("closed-web") : SLICE_LIT("closed");
		struct ss_port_policy covered = {0, sim_pod_is_for_nobody(pod, version) ? closed
						    : role == SIM_PLAIN ? SLICE_LIT("watched")
									: SLICE_LIT("web")};
		struct ss_workload w = {.uid = slice_str(uids[pod]),
					.namespace = SLICE_LIT("shop"),
					.name = slice_str(uids[pod]),
					.service_account = slice_str(role_names[role]),
					.node = slice_str(node_names[pod / SIM_PODS_PER_NODE]),
					.addrs = &addr,
					.addr_count = 1,
					.enrolled = true,
					.policies = &covered,
					.policy_count = role == SIM_WEB || role == SIM_PLAIN ||
							sim_pod_is_for_nobody(pod, version)};

		if (sim_versions[version].gone && pod == SIM_CLIENT)
			continue;
		snapshot_encode_workload(&b.value, &w);
		section_add(&b, uids[pod]);
	}
	return section_end(&b, SECTION_WORKLOADS);
}

static struct snapshot_section *make_services(void)
{
	static const enum sim_role roles[] = {SIM_PLAIN, SIM_WEB};
	struct section_buf b;

	section_begin(&b);
	for (uint32_t s = 0; s < 2; s++) {
		struct ss_endpoint endpoints[SIM_NODES];
		struct addr addr = sim_service_addr(roles[s]);
		struct ss_service_port port = {.name = SLICE_LIT("main"),
					       .port = SIM_SERVICE_PORT,
					       .endpoints = endpoints,
					       .endpoint_count = SIM_NODES};
		struct ss_service service = {.namespace = SLICE_LIT("shop"),
					     .name = slice_str(role_names[roles[s]]),
					     .addrs = &addr,
					     .addr_count = 1,
					     .ports = &port,
					     .port_count = 1};
		char key[32];

		for (uint32_t n = 0; n < SIM_NODES; n++) {
			uint32_t pod = n * SIM_PODS_PER_NODE + roles[s];

			endpoints[n] = (struct ss_endpoint){.addr = sim_pod_addr(pod),
							    .port = SIM_POD_PORT,
							    .ready = true,
							    .serving = true,
							    .workload_uid = slice_str(uids[pod]),
							    .node = slice_str(node_names[n])};
		}
		snprintf(key, sizeof(key), "shop/%s", role_names[roles[s]]);
		snapshot_encode_service(&b.value, &service);
		section_add(&b, key);
	}
	return section_end(&b, SECTION_SERVICES);
}

static struct snapshot_section *make_policies(void)
{
	struct ss_group closed_group = {.target = SLICE_LIT("Namespace/shop"),
					.default_action = RULE_DENY,
					.default_policy = SLICE_LIT("SecurityPolicy/shop/closed")};
	struct ss_group web_group = {.target = SLICE_LIT("Namespace/shop"),
				     .default_action = RULE_ALLOW,
				     .default_policy = SLICE_LIT("SecurityPolicy/shop/web")};
	struct ss_path_match admin = {.type = PATH_PREFIX, .value = SLICE_LIT("/admin")};
	struct ss_rule rule = {.policy = SLICE_LIT("SecurityPolicy/shop/web"),
			       .name = SLICE_LIT("no-admin"),
			       .action = RULE_DENY,
			       .groups = 1,
			       .paths = &admin,
			       .path_count = 1};
	struct ss_policy closed = {
		.id = SLICE_LIT("closed"), .groups = &closed_group, .group_count = 1};
	struct ss_policy web = {.id = SLICE_LIT("web"),
				.needs_l7 = true,
				.groups = &web_group,
				.group_count = 1,
				.rules = &rule,
				.rule_count = 1};
	// What is open behind a request has to end although rules read requests here.
	struct ss_policy closed_web = {.id = SLICE_LIT("closed-web"),
				       .needs_l7 = true,
				       .groups = &closed_group,
				       .group_count = 1,
				       .rules = &rule,
				       .rule_count = 1};
	// What is on trial reads what passes the opaque port, and changes no byte of it.
	struct ss_group watched_group = web_group;
	struct ss_rule watching = rule;
	struct ss_policy watched = {.id = SLICE_LIT("watched"),
				    .audits_l7 = true,
				    .groups = &watched_group,
				    .group_count = 1,
				    .rules = &watching,
				    .rule_count = 1};
	struct section_buf b;

	watched_group.default_mode = MODE_AUDIT;
	watching.mode = MODE_AUDIT;
	section_begin(&b);
	snapshot_encode_policy(&b.value, &closed);
	section_add(&b, "closed");
	snapshot_encode_policy(&b.value, &closed_web);
	section_add(&b, "closed-web");
	snapshot_encode_policy(&b.value, &watched);
	section_add(&b, "watched");
	snapshot_encode_policy(&b.value, &web);
	section_add(&b, "web");
	return section_end(&b, SECTION_POLICIES);
}

// ---- snapshots ---------------------------------------------------------------------------------

void sim_world_prepare(void)
{
	for (uint32_t pod = 0; pod < SIM_PODS; pod++)
		snprintf(uids[pod], sizeof(uids[pod]), "%02u-%s", pod,
			 role_names[pod % SIM_PODS_PER_NODE]); // sections are sorted by key
	for (uint32_t version = 0; version < SIM_SNAPSHOTS; version++) {
		struct snapshot_section *sections[SECTIONS] = {make_meta(),
							       make_nodes(&sim_versions[version]),
							       make_workloads(version),
							       make_services(), make_policies()};

		for (uint32_t node = 0; node < SIM_NODES; node++) {
			struct reason why = {0};

			if (snapshot_new((struct generation){1, version + 1}, sections, SECTIONS,
					 slice_str(node_names[node]), &snapshots[node][version],
					 &why) != ERR_OK)
				sim_fail("snapshot %u: %s", version, why.text);
		}
		for (uint32_t i = 0; i < SECTIONS; i++)
			snapshot_section_unref(sections[i]);
	}
}

void sim_world_release(void)
{
	for (uint32_t version = 0; version < SIM_SNAPSHOTS; version++) {
		for (uint32_t node = 0; node < SIM_NODES; node++)
			snapshot_free(snapshots[node][version]);
	}
}
