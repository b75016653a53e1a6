// SPDX-License-Identifier: GPL-3.0-or-later
// The config wire between policy-sync and node-proxy: frames of u32 length, u8 type, msgpack map,
// over TLS 1.3. Pure encoding and decoding; who sends what when:
//
//   node  HELLO {version, node, token | (client certificate), schema_min, schema_max,
//                public_key (SPKI DER, its private key stays on the node), held generation,
//                held sections' refs}
//   sync  WELCOME {version, schema}         or REFUSED {reason}, then closes
//   sync  CERTIFICATE {chain (PEM), trust bundle (PEM), not_after, renew_at}; again at renewal (the
//         node asks by RENEW {public_key, proof}) and whenever the trust bundle changes
//   sync  MANIFEST {generation, schema, refs[]}  every line that differs from what the node holds
//   sync  SECTION {name, sha256, bytes} | PATCH {name, from sha256, to sha256, patch}; then
//         COMMIT {generation, digest over all refs}
//   node  ACK {generation} | NACK {generation, reason}
//   node  INSTALLED {not_after} once its workers use a CERTIFICATE, or {reason}: it cannot be used
//   node  PING {capture} when it has changed, and once a connection: do the rules steer all that its pods
//         say through it? Silence says nothing.
//   both  PING every 10 s of silence; 30 s of silence end the connection
#pragma once

#include "common/arena.h"
#include "common/section.h"

#define SYNC_PROTO_VERSION	1
#define SYNC_FRAME_BYTES_MAX	(8u << 20)
#define SYNC_FRAME_HEADER_BYTES 5

enum sync_frame {
	SYNC_NONE = 0,
	SYNC_HELLO,
	SYNC_WELCOME,
	SYNC_REFUSED,
	SYNC_CERTIFICATE,
	SYNC_RENEW,
	SYNC_MANIFEST,
	SYNC_SECTION,
	SYNC_PATCH,
	SYNC_COMMIT,
	SYNC_ACK,
	SYNC_NACK,
	SYNC_PING,
	SYNC_INSTALLED,
	SYNC_FRAME_COUNT
};

enum sync_capture {
	SYNC_CAPTURE_UNKNOWN = 0,
	SYNC_CAPTURE_STANDS,
	SYNC_CAPTURE_REMOVED, // by the operator, on that node
};

// One message of any type; members that the type does not name are zero.
struct sync_message {
	enum sync_frame type;
	uint32_t version;
	uint32_t schema_min, schema_max;
	struct slice node;
	struct slice token;
	struct slice public_key;
	struct generation generation;
	struct section_ref *refs;
	uint32_t ref_count;
	struct slice reason;
	struct slice chain_pem;
	struct slice trust_pem;
	uint64_t not_after_unix_s;
	uint64_t renew_at_unix_s;
	struct section_name section;
	uint8_t from_sha256[32];
	uint8_t sha256[32];
	struct slice bytes;
	uint32_t capture; // enum sync_capture
};

void sync_encode(struct buf *out, const struct sync_message *m);
// in holds received bytes from a frame boundary. ERR_AGAIN: incomplete; else *used bytes are
// consumed. Slices point into in.
enum err must_check sync_decode(struct slice in, struct arena *a, struct sync_message *out,
				size_t *used);
