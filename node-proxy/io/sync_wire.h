// SPDX-License-Identifier: GPL-3.0-or-later
// One end of the config wire: common/sync_proto's frames over a tls_stream, with its bounds and its
// silence rules. What the frames mean is policy-sync/publish's and control/loader's business.
#pragma once

#include "common/sync_proto.h"
#include "io/tls_stream.h"

#define SYNC_ALPN "portcullis-sync/1"
// The name in policy-sync's certificate, whatever its address is (wolfSSL wants a dot in it).
#define SYNC_SERVER_NAME     "policy-sync.portcullis"
#define SYNC_PING_AFTER_MS   10000
#define SYNC_SILENCE_MS	     30000
#define SYNC_PINGS_PER_S_MAX 20

struct sync_wire {
	struct tls_stream *stream;
	struct buf in;	  // received, not yet decoded
	size_t at;	  // of in: what the caller has had
	size_t frame_max; // a longer frame from the peer ends the connection
	struct buf out;	  // scratch of one frame
	uint64_t received_ns;
	uint64_t sent_ns;
	uint64_t second; // of pings
	uint32_t pings;
};

// Takes the stream. frame_max bounds what the peer may send.
void sync_wire_init(struct sync_wire *w, struct tls_stream *stream, size_t frame_max,
		    uint64_t now_ns);
void sync_wire_deinit(struct sync_wire *w);
// The next whole message; its slices live until the next call. ERR_AGAIN: none now; ERR_TOO_LARGE,
// ERR_MALFORMED, ERR_CLOSED, ...: the connection is of no use any more. PINGs that say nothing are swallowed.
enum err must_check sync_wire_next(struct sync_wire *w, struct arena *a, uint64_t now_ns,
				   struct sync_message *out);
// ERR_FULL: too much is unsent; ERR_TOO_LARGE: larger than any frame may be.
enum err must_check sync_wire_send(struct sync_wire *w, const struct sync_message *m,
				   uint64_t now_ns);
// Sends a PING where it is due. ERR_EXPIRED: the peer has been silent for too long.
enum err must_check sync_wire_tick(struct sync_wire *w, uint64_t now_ns);
// What COMMIT carries: one digest over all refs of a generation, which come in the order of
// sync_ref_order, so that both ends know that they mean the same.
int sync_ref_order(const void *a, const void *b); // of struct section_ref, for qsort
void sync_digest_refs(const struct section_ref *refs, uint32_t count, uint8_t out[32]);
// When sync_wire_tick has something to do, monotonic.
uint64_t sync_wire_due_ns(const struct sync_wire *w);
