// SPDX-License-Identifier: GPL-3.0-or-later
// msgpack for every record of snapshot_schema.h, both directions, one place. Encoding is
// canonical (shortest forms, keys ascending, zero members left out), so equal objects give equal
// bytes and equal hashes. Decoding is bounded by the schema's limits, skips unknown keys and
// checks every enum and rule of snapshot_tables; errors are ERR_MALFORMED, ERR_TOO_LARGE, ERR_RANGE,
// ERR_EXISTS (one twice), ERR_UNSUPPORTED (a later version's enum), ERR_NOMEM (arena).
#pragma once

#include "common/arena.h"
#include "common/buf.h"
#include "common/snapshot_schema.h"

void snapshot_encode_meta(struct buf *out, const struct ss_meta *v);
void snapshot_encode_node(struct buf *out, const struct ss_node *v);
void snapshot_encode_workload(struct buf *out, const struct ss_workload *v);
void snapshot_encode_service(struct buf *out, const struct ss_service *v);
void snapshot_encode_policy(struct buf *out, const struct ss_policy *v);
void snapshot_encode_rule_set(struct buf *out, const struct ss_rule_set *v);
void snapshot_encode_provider(struct buf *out, const struct ss_provider *v);
void snapshot_encode_limit(struct buf *out, const struct ss_limit *v);
void snapshot_encode_trust_root(struct buf *out, const struct ss_trust_root *v);

// value is one msgpack map, exactly. The result's slices point into value where possible, so
// value must live as long as the arena (a section keeps its bytes beside its records).
enum err must_check snapshot_decode_meta(struct slice value, struct arena *a, struct ss_meta *out);
enum err must_check snapshot_decode_node(struct slice value, struct arena *a, struct ss_node *out);
enum err must_check snapshot_decode_workload(struct slice value, struct arena *a,
					     struct ss_workload *out);
enum err must_check snapshot_decode_service(struct slice value, struct arena *a,
					    struct ss_service *out);
enum err must_check snapshot_decode_policy(struct slice value, struct arena *a,
					   struct ss_policy *out);
enum err must_check snapshot_decode_rule_set(struct slice value, struct arena *a,
					     struct ss_rule_set *out);
enum err must_check snapshot_decode_provider(struct slice value, struct arena *a,
					     struct ss_provider *out);
enum err must_check snapshot_decode_limit(struct slice value, struct arena *a,
					  struct ss_limit *out);
enum err must_check snapshot_decode_trust_root(struct slice value, struct arena *a,
					       struct ss_trust_root *out);
// A record of any kind; out is its struct. why names the member.
enum err must_check snapshot_decode_record(enum section_kind kind, struct slice value,
					   struct arena *a, void *out, struct reason *why);
