// SPDX-License-Identifier: GPL-3.0-or-later
// The contract between policy-sync (writer) and node-proxy (reader): what a snapshot says.
//
// A snapshot is a manifest over content-addressed sections; a section is a sorted sequence of
// records [key, map] in msgpack (snapshot_codec.h, section.h). These structs are the decoded
// records; all slices and arrays borrow from the arena they were decoded into. Map keys are the
// small integers below: unknown ones are skipped, so schema N reads N+1's additions.
// Unset is zero, and zero is the safe answer.
#pragma once

#include "common/addr.h"
#include "common/slice.h"

// 2: the rules of a policy lie in sets that policies share; readers know both.
#define SNAPSHOT_SCHEMA_VERSION 2
#define SNAPSHOT_SCHEMA_OLDEST	1

// Published limits; a snapshot beyond them is refused with its reason.
#define SNAPSHOT_BYTES_MAX		  (256u << 20)
#define SNAPSHOT_SECTIONS_MAX		  2048
#define SNAPSHOT_RECORD_BYTES_MAX	  (1u << 20)
#define SNAPSHOT_NODES_MAX		  10000
#define SNAPSHOT_WORKLOADS_MAX		  500000
#define SNAPSHOT_SERVICES_MAX		  50000
#define SNAPSHOT_POLICIES_MAX		  50000
#define SNAPSHOT_LIMITS_MAX		  50000
#define SNAPSHOT_ENDPOINTS_PER_PORT_MAX	  100000
#define SNAPSHOT_ADDRS_PER_OBJECT_MAX	  64
#define SNAPSHOT_PORTS_PER_OBJECT_MAX	  256
#define SNAPSHOT_UPGRADES_MAX		  8
#define SNAPSHOT_RULES_PER_POLICY_MAX	  4096 // and as many of one set
#define SNAPSHOT_SETS_PER_POLICY_MAX	  1024
#define SNAPSHOT_RULE_SETS_MAX		  100000
#define SNAPSHOT_GROUPS_PER_POLICY_MAX	  32
#define SNAPSHOT_PROVIDERS_PER_POLICY_MAX 32
#define NODE_PIN_BYTES			  32
#define NODE_PINS_MAX			  4

enum section_kind {
	SECTION_NONE = 0,
	SECTION_META,	   // one record, key "meta"
	SECTION_NODES,	   // key: node name
	SECTION_WORKLOADS, // key: pod UID; sharded by the first byte of sha256(key)
	SECTION_SERVICES,  // key: namespace/name; sharded likewise
	SECTION_POLICIES,  // key: policy id; sharded likewise. One record an *effective* policy
	SECTION_PROVIDERS, // key: provider id. JWT issuers and their public keys
	SECTION_LIMITS,	   // key: limit id
	SECTION_TRUST,	   // key: sha256 of the root's DER, hex. Public certificates only
	SECTION_RULE_SETS, // key: set id; sharded likewise
	SECTION_KIND_COUNT
};

// Generation: a new leader (or a state directory made anew) starts a higher epoch.
struct generation {
	uint64_t epoch;
	uint64_t counter;
};

struct ss_meta {
	struct slice trust_domain; // "cluster.local"
	uint64_t created_unix_ms;
	uint32_t header_bytes_max;	  // request and response heads
	uint32_t header_timeout_ms;	  // a request head has to be complete within
	uint32_t http_idle_timeout_ms;	  // between two requests of a connection
	uint32_t connect_timeout_ms;	  // to a pod
	uint32_t hold_timeout_ms;	  // an unknown local source is held as long
	uint32_t connections_per_pod_max; // that a pod has open; 0: no limit of its own
	struct slice *upgrades;		  // that may pass beside websocket, tokens (RFC 9110 7.8)
	uint32_t upgrade_count;
};

struct ss_node {
	struct slice name;
	struct addr *addrs; // where its tunnel listens; [0] is dialled first
	uint32_t addr_count;
	uint16_t tunnel_port;
	// sha256 of the SubjectPublicKeyInfo of every key that its certificates may use, newest first,
	// NODE_PIN_BYTES each, one behind the other (two during a renewal); empty: none yet.
	struct slice key_pins;
	struct slice zone;
	bool ingress; // may claim sources outside the cluster
	bool meshed;  // its pods' addresses come by its tunnel or not at all
};

// Which effective policy covers a port of a workload.
struct ss_port_policy {
	uint16_t port; // 0: every port not named otherwise
	struct slice policy_id;
};

struct ss_workload {
	struct slice uid;
	struct slice namespace;
	struct slice name;
	struct slice service_account;
	struct slice node;
	struct addr *addrs;
	uint32_t addr_count;
	bool enrolled;	   // captured and reachable by tunnel
	bool host_network; // its addresses are the node's: principal Node, never a workload identity
	struct ss_port_policy *policies;
	uint32_t policy_count;
};

enum app_protocol {
	APP_PROTOCOL_UNKNOWN = 0, // sniff
	APP_PROTOCOL_TCP,
	APP_PROTOCOL_HTTP,
	APP_PROTOCOL_HTTP2, // kubernetes.io/h2c, grpc
	APP_PROTOCOL_TLS,
	APP_PROTOCOL_COUNT
};

struct ss_endpoint {
	struct addr addr;
	uint16_t port;
	bool ready;
	bool serving;
	bool terminating;
	struct slice workload_uid; // empty: not a pod (selectorless Service)
	struct slice node;
};

struct ss_service_port {
	struct slice name;
	uint16_t port;
	uint16_t node_port; // 0: none
	enum app_protocol protocol;
	struct ss_endpoint *endpoints;
	uint32_t endpoint_count;
	uint64_t not_at; // bit i: the Service's address i has not this port, it is another's there
};

struct ss_service {
	struct slice namespace;
	struct slice name;
	struct addr *addrs; // cluster IPs, external IPs, load balancer IPs; empty when headless
	uint32_t addr_count;
	struct ss_service_port *ports;
	uint32_t port_count;
	bool internal_local;	     // internalTrafficPolicy: Local
	bool external_local;	     // externalTrafficPolicy: Local
	uint32_t affinity_timeout_s; // sessionAffinity ClientIP; 0: none
	struct cidr *source_ranges;  // loadBalancerSourceRanges; empty: all
	uint32_t source_range_count;
	uint64_t external_addrs; // bit i: addrs[i] is an external IP
	uint64_t balancer_addrs; // bit i: addrs[i] is a load balancer's
};

enum rule_action { RULE_DENY = 0, RULE_ALLOW };
enum enforcement_mode { MODE_ENFORCE = 0, MODE_AUDIT };

enum source_type {
	SOURCE_NONE = 0,
	SOURCE_SERVICE_ACCOUNT, // namespace + name; name "*" is every account of the namespace
	SOURCE_SPIFFE,		// exact id, or a prefix that ends in "/*"
	SOURCE_GATEWAY,
	SOURCE_NODE,
	SOURCE_UNAUTHENTICATED,
};

struct ss_source {
	enum source_type type;
	struct slice namespace;
	struct slice name; // service account, or the SPIFFE id
};

enum path_match_type { PATH_EXACT = 0, PATH_PREFIX, PATH_REGEX };

// Gateway API semantics: a prefix matches whole path elements ("/a" matches "/a/b", not "/ab").
struct ss_path_match {
	enum path_match_type type;
	struct slice value; // as it was written; core/reading
};

struct ss_claim_match {
	struct slice name;    // dotted for nested members
	struct slice *values; // any of them; a claim that is an array matches by any element
	uint32_t value_count;
};

struct ss_header_match {
	struct slice name; // lower case
	struct slice *values;
	uint32_t value_count;
};

// One rule. Parts that are empty match everything; parts that are set must all match.
// An attribute that cannot be read is unknown: an Allow rule that needs it does not match, a
// Deny rule that needs it does.
struct ss_rule {
	struct slice policy; // "SecurityPolicy/namespace/name" that it came from, for logs
	struct slice name;
	enum rule_action action;
	enum enforcement_mode mode;
	uint32_t groups; // bit i: belongs to ss_policy.groups[i]; a set's rules: see ss_set_ref
	struct ss_source *sources;
	uint32_t source_count;
	struct cidr *client_cidrs;
	uint32_t client_cidr_count;
	struct slice
		jwt_provider; // provider *id*, a set's rules: its *name*; empty: no token needed
	struct ss_claim_match *claims;
	uint32_t claim_count;
	struct slice *scopes; // all of them
	uint32_t scope_count;
	struct ss_header_match *headers; // all of them
	uint32_t header_count;
	struct slice *methods;
	uint32_t method_count;
	struct ss_path_match *paths;
	uint32_t path_count;
	struct slice *hosts; // lower case, "*.example.com" is one or more labels
	uint32_t host_count;
	uint16_t *ports;
	uint32_t port_count;
};

// What has to agree: one group for each Service that selects the pod (its own policies joined
// with the namespace's), or one for the namespace alone.
struct ss_group {
	struct slice target; // "Service/namespace/name" or "Namespace/name", for logs
	enum rule_action default_action;
	struct slice default_policy; // the policy that set it
	enum enforcement_mode default_mode;
	// Where groups ask for different tokens, each gets the one that it asks for: bit i is
	// ss_policy.provider_ids[i], any of which may validate it. 0: asks for none of its own.
	// A group in Audit mode reports a token that is missing.
	uint32_t providers;
	bool jwt_optional;
	struct slice jwt_policy; // the policy that asks for the token
};

// Rules that belong together wherever they count: what all policies of one target say. Compiled once,
// however many effective policies it takes part in.
struct ss_rule_set {
	struct slice id;
	struct ss_rule *rules;
	uint32_t rule_count;
};

// Rules in Audit mode belong to those of the groups whose default is in Audit mode.
struct ss_set_ref {
	struct slice set_id;
	uint32_t groups; // bit i: its rules belong to ss_policy.groups[i]
	// What its rules call providers by name: bit i is ss_policy.provider_ids[i]. 0: all of them, where
	// each name means one.
	uint32_t providers;
};

struct ss_policy {
	struct slice id;
	bool needs_l7;	     // an enforced rule, JWT or limit reads the request
	struct slice broken; // not empty: refuse everything, and this is why
	struct slice broken_policy;
	// JWT: any of them may validate the token, unless groups ask for more (ss_group.providers).
	struct slice *provider_ids;
	uint32_t provider_count;
	bool jwt_optional;
	struct slice jwt_policy; // the policy that asks for the token
	struct ss_group *groups;
	uint32_t group_count;
	struct ss_rule *rules; // its own; they come first
	uint32_t rule_count;
	struct ss_set_ref *sets; // in the order in which a rule is looked for to be named
	uint32_t set_count;
	struct slice *limit_ids;
	uint32_t limit_count;
	// An Audit policy or a limit in shadow mode reads the request. Where nothing that is enforced does, the
	// port stays opaque, and what passes is looked at.
	bool audits_l7;
};

enum jwk_type { JWK_NONE = 0, JWK_RSA, JWK_EC, JWK_OKP };

struct ss_jwk {
	enum jwk_type type;
	struct slice kid;
	struct slice alg; // empty: any algorithm that fits the key type
	struct slice crv; // EC: P-256 P-384 P-521; OKP: Ed25519 Ed448
	struct slice n;	  // RSA, big endian
	struct slice e;
	struct slice x; // EC and OKP
	struct slice y;
};

struct ss_header_source {
	struct slice name; // lower case; "authorization" with prefix "Bearer " by default
	struct slice prefix;
};

struct ss_provider {
	struct slice id; // "namespace/policy/provider"
	struct slice name;
	struct slice issuer;
	struct slice *audiences;
	uint32_t audience_count;
	struct ss_jwk *keys;
	uint32_t key_count;
	uint32_t clock_skew_s;
	struct ss_header_source *headers;
	uint32_t header_count;
};

enum limit_key {
	LIMIT_KEY_NONE = 0,    // one bucket for all that match
	LIMIT_KEY_CLIENT_ADDR, // one a client address (IPv6 from outside: a /64)
};

struct ss_limit {
	struct slice id; // "namespace/policy/rule"
	struct slice policy;
	struct slice rule;
	enum limit_key key;
	struct cidr *client_cidrs; // only clients in them; empty: all
	uint32_t client_cidr_count;
	struct slice *methods;
	uint32_t method_count;
	struct ss_path_match *paths;
	uint32_t path_count;
	struct ss_header_match *headers;
	uint32_t header_count;
	uint64_t requests; // in each
	uint32_t unit_s;
	uint64_t burst; // 0: requests
	bool shadow;	// count and log, refuse nothing
	uint32_t keys_max;
};

struct ss_trust_root {
	struct slice der;
};
