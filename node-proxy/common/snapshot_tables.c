// SPDX-License-Identifier: GPL-3.0-or-later
// Members of the snapshot's records; see snapshot_tables.h. Keys are the wire's: they are never used
// again for something else.
#include "common/snapshot_tables.h"

#define TEXT_BYTES_MAX 4096
#define FR(key, kind, type, member, limit, rules)                                                  \
	{                                                                                          \
		key, kind, offsetof(struct type, member), 0, limit, NULL, #member, rules, 0        \
	}
#define F(key, kind, type, member, limit) FR(key, kind, type, member, limit, 0)
#define AR(key, kind, type, member, count, limit, rules)                                           \
	{                                                                                          \
		key, kind, offsetof(struct type, member), offsetof(struct type, count), limit,     \
			NULL, #member, rules, 0                                                    \
	}
#define A(key, kind, type, member, count, limit) AR(key, kind, type, member, count, limit, 0)
#define SR(key, type, member, count, limit, table, rules, once)                                    \
	{                                                                                          \
		key, FIELD_STRUCTS, offsetof(struct type, member), offsetof(struct type, count),   \
			limit, &table, #member, rules, once                                        \
	}
#define S(key, type, member, count, limit, table) SR(key, type, member, count, limit, table, 0, 0)
#define TABLE(name, type)                                                                          \
	const struct table snapshot_##name##_table = {                                             \
		name##_fields, sizeof(name##_fields) / sizeof(name##_fields[0]),                   \
		sizeof(struct type)}

static const struct field meta_fields[] = {
	F(1, FIELD_BYTES, ss_meta, trust_domain, 255),
	F(2, FIELD_U64, ss_meta, created_unix_ms, 0),
	F(3, FIELD_U32, ss_meta, header_bytes_max, 0),
	F(4, FIELD_U32, ss_meta, header_timeout_ms, 0),
	F(5, FIELD_U32, ss_meta, http_idle_timeout_ms, 0),
	F(6, FIELD_U32, ss_meta, connect_timeout_ms, 0),
	F(7, FIELD_U32, ss_meta, hold_timeout_ms, 0),
	F(8, FIELD_U32, ss_meta, connections_per_pod_max, 0),
	A(9, FIELD_TEXTS, ss_meta, upgrades, upgrade_count, SNAPSHOT_UPGRADES_MAX),
};
TABLE(meta, ss_meta);

static const struct field node_fields[] = {
	F(1, FIELD_BYTES, ss_node, name, 253),
	AR(2, FIELD_ADDRS, ss_node, addrs, addr_count, SNAPSHOT_ADDRS_PER_OBJECT_MAX,
	   RULE_EACH_ONCE),
	F(3, FIELD_U16, ss_node, tunnel_port, 0),
	F(4, FIELD_BYTES, ss_node, key_pins, NODE_PINS_MAX *NODE_PIN_BYTES),
	F(5, FIELD_BYTES, ss_node, zone, 255),
	F(6, FIELD_BOOL, ss_node, ingress, 0),
	F(7, FIELD_BOOL, ss_node, meshed, 0),
};
TABLE(node, ss_node);

static const struct field port_policy_fields[] = {
	F(1, FIELD_U16, ss_port_policy, port, 0),
	F(2, FIELD_BYTES, ss_port_policy, policy_id, 64),
};
TABLE(port_policy, ss_port_policy);

static const struct field workload_fields[] = {
	F(1, FIELD_BYTES, ss_workload, uid, 64),
	F(2, FIELD_BYTES, ss_workload, namespace, 63),
	F(3, FIELD_BYTES, ss_workload, name, 253),
	F(4, FIELD_BYTES, ss_workload, service_account, 253),
	F(5, FIELD_BYTES, ss_workload, node, 253),
	AR(6, FIELD_ADDRS, ss_workload, addrs, addr_count, SNAPSHOT_ADDRS_PER_OBJECT_MAX,
	   RULE_EACH_ONCE | RULE_HOST),
	F(7, FIELD_BOOL, ss_workload, enrolled, 0),
	F(8, FIELD_BOOL, ss_workload, host_network, 0),
	SR(9, ss_workload, policies, policy_count, SNAPSHOT_PORTS_PER_OBJECT_MAX,
	   snapshot_port_policy_table, RULE_EACH_ONCE, 1),
};
TABLE(workload, ss_workload);

static const struct field endpoint_fields[] = {
	AR(1, FIELD_ADDRS, ss_endpoint, addr, addr, 1, RULE_HOST), // a single address; see put_addr
	F(2, FIELD_U16, ss_endpoint, port, 0),
	F(3, FIELD_BOOL, ss_endpoint, ready, 0),
	F(4, FIELD_BOOL, ss_endpoint, serving, 0),
	F(5, FIELD_BOOL, ss_endpoint, terminating, 0),
	F(6, FIELD_BYTES, ss_endpoint, workload_uid, 64),
	F(7, FIELD_BYTES, ss_endpoint, node, 253),
};
TABLE(endpoint, ss_endpoint);

static const struct field service_port_fields[] = {
	F(1, FIELD_BYTES, ss_service_port, name, 63),
	FR(2, FIELD_U16, ss_service_port, port, 0, RULE_NOT_ZERO),
	F(3, FIELD_U16, ss_service_port, node_port, 0),
	F(4, FIELD_HINT, ss_service_port, protocol, APP_PROTOCOL_COUNT),
	S(5, ss_service_port, endpoints, endpoint_count, SNAPSHOT_ENDPOINTS_PER_PORT_MAX,
	  snapshot_endpoint_table),
	F(6, FIELD_U64, ss_service_port, not_at, 0),
};
TABLE(service_port, ss_service_port);

static const struct field service_fields[] = {
	F(1, FIELD_BYTES, ss_service, namespace, 63),
	F(2, FIELD_BYTES, ss_service, name, 63),
	AR(3, FIELD_ADDRS, ss_service, addrs, addr_count, SNAPSHOT_ADDRS_PER_OBJECT_MAX,
	   RULE_EACH_ONCE | RULE_HOST),
	SR(4, ss_service, ports, port_count, SNAPSHOT_PORTS_PER_OBJECT_MAX,
	   snapshot_service_port_table, RULE_EACH_ONCE, 2),
	F(5, FIELD_BOOL, ss_service, internal_local, 0),
	F(6, FIELD_BOOL, ss_service, external_local, 0),
	F(7, FIELD_U32, ss_service, affinity_timeout_s, 0),
	A(8, FIELD_CIDRS, ss_service, source_ranges, source_range_count, 1024),
	F(9, FIELD_U64, ss_service, external_addrs, 0),
	F(10, FIELD_U64, ss_service, balancer_addrs, 0),
};
TABLE(service, ss_service);

static const struct field source_fields[] = {
	F(1, FIELD_ENUM, ss_source, type, SOURCE_UNAUTHENTICATED + 1),
	F(2, FIELD_BYTES, ss_source, namespace, 63),
	F(3, FIELD_BYTES, ss_source, name, 512),
};
TABLE(source, ss_source);

static const struct field path_fields[] = {
	F(1, FIELD_ENUM, ss_path_match, type, PATH_REGEX + 1),
	F(2, FIELD_BYTES, ss_path_match, value, TEXT_BYTES_MAX),
};
TABLE(path, ss_path_match);

static const struct field claim_fields[] = {
	F(1, FIELD_BYTES, ss_claim_match, name, 255),
	A(2, FIELD_TEXTS, ss_claim_match, values, value_count, 256),
};
TABLE(claim, ss_claim_match);

static const struct field header_fields[] = {
	F(1, FIELD_BYTES, ss_header_match, name, 255),
	A(2, FIELD_TEXTS, ss_header_match, values, value_count, 256),
};
TABLE(header, ss_header_match);

static const struct field rule_fields[] = {
	F(1, FIELD_BYTES, ss_rule, policy, 512),
	F(2, FIELD_BYTES, ss_rule, name, 255),
	F(3, FIELD_ENUM, ss_rule, action, RULE_ALLOW + 1),
	F(4, FIELD_ENUM, ss_rule, mode, MODE_AUDIT + 1),
	F(5, FIELD_U32, ss_rule, groups, 0),
	S(6, ss_rule, sources, source_count, 1024, snapshot_source_table),
	A(7, FIELD_CIDRS, ss_rule, client_cidrs, client_cidr_count, 65536),
	F(8, FIELD_BYTES, ss_rule, jwt_provider, 512),
	S(9, ss_rule, claims, claim_count, 64, snapshot_claim_table),
	A(10, FIELD_TEXTS, ss_rule, scopes, scope_count, 64),
	S(11, ss_rule, headers, header_count, 64, snapshot_header_table),
	A(12, FIELD_TEXTS, ss_rule, methods, method_count, 64),
	S(13, ss_rule, paths, path_count, 1024, snapshot_path_table),
	A(14, FIELD_TEXTS, ss_rule, hosts, host_count, 1024),
	A(15, FIELD_U16S, ss_rule, ports, port_count, 1024),
};
TABLE(rule, ss_rule);

static const struct field group_fields[] = {
	F(1, FIELD_BYTES, ss_group, target, 512),
	F(2, FIELD_ENUM, ss_group, default_action, RULE_ALLOW + 1),
	F(3, FIELD_BYTES, ss_group, default_policy, 512),
	F(4, FIELD_ENUM, ss_group, default_mode, MODE_AUDIT + 1),
	F(5, FIELD_U32, ss_group, providers, 0),
	F(6, FIELD_BOOL, ss_group, jwt_optional, 0),
	F(7, FIELD_BYTES, ss_group, jwt_policy, 512),
};
TABLE(group, ss_group);

static const struct field rule_set_fields[] = {
	F(1, FIELD_BYTES, ss_rule_set, id, 64),
	S(2, ss_rule_set, rules, rule_count, SNAPSHOT_RULES_PER_POLICY_MAX, snapshot_rule_table),
};
TABLE(rule_set, ss_rule_set);

static const struct field set_ref_fields[] = {
	F(1, FIELD_BYTES, ss_set_ref, set_id, 64),
	F(2, FIELD_U32, ss_set_ref, groups, 0),
	F(3, FIELD_U32, ss_set_ref, providers, 0),
};
TABLE(set_ref, ss_set_ref);

static const struct field policy_fields[] = {
	F(1, FIELD_BYTES, ss_policy, id, 64),
	F(2, FIELD_BOOL, ss_policy, needs_l7, 0),
	F(3, FIELD_BYTES, ss_policy, broken, TEXT_BYTES_MAX),
	F(4, FIELD_BYTES, ss_policy, broken_policy, 512),
	A(5, FIELD_TEXTS, ss_policy, provider_ids, provider_count,
	  SNAPSHOT_PROVIDERS_PER_POLICY_MAX),
	F(6, FIELD_BOOL, ss_policy, jwt_optional, 0),
	F(7, FIELD_BYTES, ss_policy, jwt_policy, 512),
	S(8, ss_policy, groups, group_count, SNAPSHOT_GROUPS_PER_POLICY_MAX, snapshot_group_table),
	S(9, ss_policy, rules, rule_count, SNAPSHOT_RULES_PER_POLICY_MAX, snapshot_rule_table),
	A(10, FIELD_TEXTS, ss_policy, limit_ids, limit_count, 256),
	S(11, ss_policy, sets, set_count, SNAPSHOT_SETS_PER_POLICY_MAX, snapshot_set_ref_table),
	F(12, FIELD_BOOL, ss_policy, audits_l7, 0),
};
TABLE(policy, ss_policy);

static const struct field jwk_fields[] = {
	F(1, FIELD_HINT, ss_jwk, type, JWK_OKP + 1), F(2, FIELD_BYTES, ss_jwk, kid, 512),
	F(3, FIELD_BYTES, ss_jwk, alg, 32),	     F(4, FIELD_BYTES, ss_jwk, crv, 32),
	F(5, FIELD_BYTES, ss_jwk, n, 2048),	     F(6, FIELD_BYTES, ss_jwk, e, 16),
	F(7, FIELD_BYTES, ss_jwk, x, 256),	     F(8, FIELD_BYTES, ss_jwk, y, 256),
};
TABLE(jwk, ss_jwk);

static const struct field header_source_fields[] = {
	F(1, FIELD_BYTES, ss_header_source, name, 255),
	F(2, FIELD_BYTES, ss_header_source, prefix, 255),
};
TABLE(header_source, ss_header_source);

static const struct field provider_fields[] = {
	F(1, FIELD_BYTES, ss_provider, id, 512),
	F(2, FIELD_BYTES, ss_provider, name, 255),
	F(3, FIELD_BYTES, ss_provider, issuer, 2048),
	A(4, FIELD_TEXTS, ss_provider, audiences, audience_count, 64),
	S(5, ss_provider, keys, key_count, 64, snapshot_jwk_table),
	F(6, FIELD_U32, ss_provider, clock_skew_s, 0),
	S(7, ss_provider, headers, header_count, 16, snapshot_header_source_table),
};
TABLE(provider, ss_provider);

static const struct field limit_fields[] = {
	F(1, FIELD_BYTES, ss_limit, id, 512),
	F(2, FIELD_BYTES, ss_limit, policy, 512),
	F(3, FIELD_BYTES, ss_limit, rule, 255),
	F(4, FIELD_HINT, ss_limit, key, LIMIT_KEY_CLIENT_ADDR + 1),
	A(5, FIELD_CIDRS, ss_limit, client_cidrs, client_cidr_count, 65536),
	A(6, FIELD_TEXTS, ss_limit, methods, method_count, 64),
	S(7, ss_limit, paths, path_count, 1024, snapshot_path_table),
	S(8, ss_limit, headers, header_count, 64, snapshot_header_table),
	FR(9, FIELD_U64, ss_limit, requests, 0, RULE_NOT_ZERO),
	FR(10, FIELD_U32, ss_limit, unit_s, 0, RULE_NOT_ZERO),
	F(11, FIELD_U64, ss_limit, burst, 0),
	F(12, FIELD_BOOL, ss_limit, shadow, 0),
	F(13, FIELD_U32, ss_limit, keys_max, 0),
};
TABLE(limit, ss_limit);

static const struct field trust_root_fields[] = {
	F(1, FIELD_BYTES, ss_trust_root, der, 16384),
};
TABLE(trust_root, ss_trust_root);

uint32_t snapshot_records_max(enum section_kind kind)
{
	static const uint32_t max[SECTION_KIND_COUNT] = {
		[SECTION_META] = 1,
		[SECTION_NODES] = SNAPSHOT_NODES_MAX,
		[SECTION_WORKLOADS] = SNAPSHOT_WORKLOADS_MAX,
		[SECTION_SERVICES] = SNAPSHOT_SERVICES_MAX,
		[SECTION_POLICIES] = SNAPSHOT_POLICIES_MAX,
		[SECTION_PROVIDERS] = SNAPSHOT_POLICIES_MAX,
		[SECTION_LIMITS] = SNAPSHOT_LIMITS_MAX,
		[SECTION_TRUST] = 64,
		[SECTION_RULE_SETS] = SNAPSHOT_RULE_SETS_MAX,
	};

	return kind < SECTION_KIND_COUNT ? max[kind] : 0;
}
