// SPDX-License-Identifier: GPL-3.0-or-later
// The tables that snapshot_codec.c walks: every member of every record named once, with its key, kind,
// place, limit and what else it has to keep. What a node refuses stands here and nowhere else: policy-sync
// reads what it compiled by these very rows before it publishes (core/snapshot_check).
#pragma once

#include "common/snapshot_schema.h"

enum field_kind {
	FIELD_BOOL = 0,
	FIELD_ENUM, // limit: first invalid value; one from a later version: the record cannot be used
	FIELD_HINT, // the same, but a value from a later version counts as zero
	FIELD_U16,
	FIELD_U32,
	FIELD_U64,
	FIELD_BYTES, // limit: length
	FIELD_ADDRS, // limit: count; so are those below
	FIELD_CIDRS,
	FIELD_TEXTS,
	FIELD_U16S,
	FIELD_STRUCTS,
};

struct table;

// What a member has to keep beside its limit; bits.
enum field_rule {
	RULE_NOT_ZERO = 1,  // it has to be there
	RULE_EACH_ONCE = 2, // no two items are equal; of STRUCTS: in the member with key `once`
	RULE_HOST =
		4, // addresses that a host can have: not loopback, multicast or the unspecified one
};

struct field {
	uint8_t key;
	enum field_kind kind;
	uint16_t offset;
	uint16_t count_offset; // arrays
	uint32_t limit;
	const struct table *table; // STRUCTS
	const char *name;	   // for the sentence that says what is wrong
	uint8_t rules;
	uint8_t once; // STRUCTS
};

struct table {
	const struct field *fields;
	uint32_t field_count;
	size_t size;
};

extern const struct table snapshot_meta_table;
extern const struct table snapshot_node_table;
extern const struct table snapshot_port_policy_table;
extern const struct table snapshot_workload_table;
extern const struct table snapshot_endpoint_table;
extern const struct table snapshot_service_port_table;
extern const struct table snapshot_service_table;
extern const struct table snapshot_source_table;
extern const struct table snapshot_path_table;
extern const struct table snapshot_claim_table;
extern const struct table snapshot_header_table;
extern const struct table snapshot_rule_table;
extern const struct table snapshot_group_table;
extern const struct table snapshot_rule_set_table;
extern const struct table snapshot_set_ref_table;
extern const struct table snapshot_policy_table;
extern const struct table snapshot_jwk_table;
extern const struct table snapshot_header_source_table;
extern const struct table snapshot_provider_table;
extern const struct table snapshot_limit_table;
extern const struct table snapshot_trust_root_table;

// So many records of a kind in a snapshot.
uint32_t snapshot_records_max(enum section_kind kind);
