// SPDX-License-Identifier: GPL-3.0-or-later
// Who is calling: SPIFFE ids and the kinds of principal that a rule can name. A workload's
// identity follows from its captured address (source node) and is checked again by the receiver
// against its own snapshot; nothing that a pod says enters it.
#pragma once

#include "common/arena.h"
#include "common/snapshot_schema.h"

enum principal_type {
	PRINCIPAL_UNKNOWN = 0, // no rule matches it; refused before any policy is asked
	PRINCIPAL_WORKLOAD,
	PRINCIPAL_NODE, // a node's own processes, kubelet, API server
	PRINCIPAL_GATEWAY,
	PRINCIPAL_UNAUTHENTICATED, // outside the cluster, or a pod that is not captured
};

#define SPIFFE_ID_MAX 512

struct principal {
	enum principal_type type;
	struct slice trust_domain;
	struct slice namespace;	      // WORKLOAD only
	struct slice service_account; // WORKLOAD only
	struct slice name;	      // pod name, or node name: for logs
	struct slice uid;	      // WORKLOAD only
};

// "spiffe://td/ns/<ns>/sa/<sa>", or "node", "gateway", "unauthenticated", "unknown" for logs;
// NUL-terminated, returned as a slice of text.
struct slice principal_format(const struct principal *p, char text[SPIFFE_ID_MAX]);
// Strict parse of a node's certificate URI "spiffe://<td>/node/<name>". ERR_MALFORMED.
enum err must_check identity_parse_node(struct slice uri, struct slice *trust_domain,
					struct slice *node);
// Strict parse of spiffe://<td>/ns/<ns>/sa/<sa>. ERR_MALFORMED.
enum err must_check identity_parse_workload(struct slice uri, struct slice *trust_domain,
					    struct slice *namespace, struct slice *account);

// What a source of a rule names, taken apart once, so that core/policy can look it up by hash.
enum identity_pattern_kind {
	PATTERN_NEVER = 0, // malformed, or an id that no workload can have
	PATTERN_WORKLOAD,  // every workload
	PATTERN_TRUST_DOMAIN,
	PATTERN_NAMESPACE,
	PATTERN_ACCOUNT,
	PATTERN_NODE,
	PATTERN_GATEWAY,
	PATTERN_UNAUTHENTICATED,
};

struct identity_pattern {
	enum identity_pattern_kind kind;
	struct slice trust_domain; // empty: any (ServiceAccount sources do not name one)
	struct slice namespace;
	struct slice account;
};

// Slices borrow from s.
struct identity_pattern identity_pattern_of(const struct ss_source *s);
// SPIFFE sources match workloads only, by whole id or by a prefix of whole segments ("…/*").
bool identity_source_matches(const struct ss_source *s, const struct principal *p);
