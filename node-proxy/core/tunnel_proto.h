// SPDX-License-Identifier: GPL-3.0-or-later
// The tunnel's frames: what two node proxies say to each other inside TLS (ALPN portcullis/1).
// Pure encoding and decoding; credit, checks and order live in path/mux.
//
// A frame is an 8-byte header (u8 type, u24 payload bytes, u32 stream id; big endian) and a
// payload. Stream ids are chosen by the side that dialled, in (generation << 16 | slot) form: the
// slot names a place in a bounded table, the generation tells a late frame from a new stream.
// Unknown types and unknown msgpack keys are skipped, so versions n and n + 1 talk.
#pragma once

#include "common/arena.h"
#include "common/buf.h"
#include "common/addr.h"
#include "common/snapshot_schema.h"

#define TUNNEL_PROTO_VERSION 1
#define TUNNEL_ALPN	     "portcullis/1"
#define TUNNEL_HEADER_BYTES  8
// A frame fits one TLS record of 16,383 bytes.
#define TUNNEL_DATA_MAX	   (16383 - TUNNEL_HEADER_BYTES)
#define TUNNEL_CONTROL_MAX 4096
#define TUNNEL_SKIP_MAX	   65536
#define TUNNEL_SLOT(id)	   ((id)&0xffffu)
// Credit that the dialling side of a new stream holds without a word; the other side's stands in OPEN.
#define TUNNEL_CREDIT_INITIAL (32u << 10)
#define TUNNEL_CREDIT_MAX     (256u << 10)

enum tunnel_frame {
	TUNNEL_NONE = 0,
	TUNNEL_HELLO = 1,   // first frame of both sides, stream 0
	TUNNEL_OPEN = 2,    // dialling side: a new stream
	TUNNEL_OPENED = 3,  // the pod has accepted
	TUNNEL_REFUSED = 4, // u16 reason: the stream never was
	TUNNEL_DATA = 5,
	TUNNEL_CREDIT = 6, // u32 bytes that may be sent beyond what was promised
	TUNNEL_FIN = 7,	   // no more DATA in this direction
	TUNNEL_RESET = 8,  // u16 reason: both directions end
	TUNNEL_PING = 9,   // 8 bytes, answered by PONG with the same
	TUNNEL_PONG = 10,
	TUNNEL_GOAWAY =
		11, // u16 reason, u32 ms: no new streams here; those that are open end by then
	TUNNEL_MOVE = 12, // this direction of the stream goes on over the group's bulk connection
	TUNNEL_REQUEST =
		13, // reserved for routes: request id, traceparent, attempt around a message
	TUNNEL_RESPONSE = 14,
	TUNNEL_STOP =
		15, // whoever has sent FIN reads no more either: what still comes is thrown away
	TUNNEL_FRAME_COUNT
};

enum tunnel_reason {
	TUNNEL_REASON_NONE = 0,
	TUNNEL_REASON_DENIED,	   // policy
	TUNNEL_REASON_IDENTITY,	   // claimed source is not one pod of the sender's node
	TUNNEL_REASON_DESTINATION, // no such enrolled pod here
	TUNNEL_REASON_UNREACHABLE, // the pod refused, reset or did not answer
	TUNNEL_REASON_TIMEOUT,
	TUNNEL_REASON_OVERLOADED,
	TUNNEL_REASON_PROTOCOL,
	TUNNEL_REASON_RESET, // the far TCP connection was reset
	TUNNEL_REASON_POLICY_CHANGED,
	TUNNEL_REASON_SHUTDOWN,
	TUNNEL_REASON_NO_SNAPSHOT,
	TUNNEL_REASON_IDLE,
	TUNNEL_REASON_COUNT
};
const char *tunnel_reason_name(enum tunnel_reason r);

struct tunnel_header {
	uint8_t type;
	uint32_t bytes; // of the payload
	uint32_t stream;
};

// ERR_AGAIN: fewer than 8 bytes; ERR_TOO_LARGE, ERR_MALFORMED: the connection has to go.
enum err must_check tunnel_decode_header(struct slice in, struct tunnel_header *out);
void tunnel_encode_header(uint8_t out[TUNNEL_HEADER_BYTES], enum tunnel_frame type, uint32_t bytes,
			  uint32_t stream);

struct tunnel_hello {
	uint32_t version;
	uint8_t group[16];   // random; the same on both connections of a group
	bool bulk;	     // second connection of the group
	bool resets_on_bulk; // the sender takes RESET there, behind DATA (earlier versions do not)
	struct generation generation;
};

enum tunnel_source_kind {
	TUNNEL_SOURCE_NONE = 0,
	TUNNEL_SOURCE_WORKLOAD, // a pod of the sender's node: uid and service account are claimed
	TUNNEL_SOURCE_NODE,	// the sender node's own process
	TUNNEL_SOURCE_EXTERNAL, // outside the cluster; only from nodes that may be ingress
	TUNNEL_SOURCE_COUNT
};

struct tunnel_open {
	enum tunnel_source_kind kind;
	struct addr_port client; // the address the pod shall see
	struct slice source_uid;
	struct slice source_namespace;
	struct slice source_account;
	struct slice destination_uid;
	struct addr_port destination; // pod address and port
	struct generation generation; // of the sender's snapshot
	uint32_t credit;	      // bytes that the sender takes in answer, at first
};

// Whole frames into out; sticky error in out->err when they do not fit.
void tunnel_encode_hello(struct buf *out, const struct tunnel_hello *v);
void tunnel_encode_open(struct buf *out, uint32_t stream, const struct tunnel_open *v);
void tunnel_encode_u16(struct buf *out, enum tunnel_frame type, uint32_t stream, uint16_t value);
void tunnel_encode_u32(struct buf *out, enum tunnel_frame type, uint32_t stream, uint32_t value);
void tunnel_encode_goaway(struct buf *out, uint16_t reason, uint32_t within_ms);
void tunnel_encode_empty(struct buf *out, enum tunnel_frame type, uint32_t stream);
void tunnel_encode_u64(struct buf *out, enum tunnel_frame type, uint64_t value); // PING, PONG

// Payloads. Slices point into payload.
enum err must_check tunnel_decode_hello(struct slice payload, struct tunnel_hello *out);
enum err must_check tunnel_decode_open(struct slice payload, struct tunnel_open *out);
enum err must_check tunnel_decode_u16(struct slice payload, uint16_t *out);
// Without a time (earlier versions): within_ms is 0.
enum err must_check tunnel_decode_goaway(struct slice payload, uint16_t *reason,
					 uint32_t *within_ms);
enum err must_check tunnel_decode_u32(struct slice payload, uint32_t *out);
