// SPDX-License-Identifier: GPL-3.0-or-later
// Published limits of the data path, each with the reason for its size. All are per worker unless
// said otherwise; what is configurable starts from these.
#pragma once

// Bytes of one queue chunk, header included: a page, so that ten thousand small holders waste little.
#define CHUNK_BYTES	    4096
#define CHUNK_PAYLOAD_BYTES (CHUNK_BYTES - 16)
// All bytes that queues may hold: 128 MiB. See pressure.h for what happens on the way there.
#define CHUNKS_MAX 32768
// Ciphertext of tunnels has chunks of its own, so that stalled readers never stop a tunnel.
#define TUNNEL_CHUNKS_MAX 16384
// However little memory is left, a leg may hold, a receive may bring and a new stream is promised so much.
#define TIGHT_BYTES CHUNK_PAYLOAD_BYTES
// While half of the chunks is free, a leg may hold this part of the rest of that half: n legs that are full use
// n / (n + 512) of it. Beyond that half they hold TIGHT_BYTES each.
#define LEG_SHARE 512
// What all streams together are promised, at most: half of the chunks; and what part of the rest a new stream
// is promised, and a growing one may have.
#define PROMISES_MAX	   ((int64_t)CHUNKS_MAX * CHUNK_BYTES / 2)
#define FIRST_WINDOW_SHARE 2048
#define GROWN_WINDOW_SHARE 256
// Where a leg may hold less than this, it is read one buffer at a time.
#define SCARCE_BYTES (64u << 10)
// Beyond so many exchanges a new connection gets small buffers in the kernel, whose memory all pods share.
#define CROWD_EXCHANGES	   2048
#define CROWD_SOCKET_BYTES (16u << 10)
// While requests of several workloads come (the latest change of workload is so young), so many requests of one
// are under way at a worker, and a request counts for so long: see admission.h. 16 of them are a turn of some
// 100 microseconds, and 64,000 of them a second are more than a worker can do.
#define REQUESTS_UNDER_WAY 16
#define ADMISSION_EPOCH_NS 250000u
#define ADMISSION_MIXED_NS 10000000u
// What the kernel may hold unsent of a pod's connection, and of a tunnel: what lies there is no longer ours to
// order.
#define POD_UNSENT_BYTES    (16u << 10)
#define TUNNEL_UNSENT_BYTES (128u << 10)
// The largest holders are looked for at most so often.
#define RELIEVE_EVERY_MS 10
// A leg stops reading its source above this mark and goes on below half of it.
#define LEG_HIGH_BYTES (128u << 10)
// Ciphertext that waits for a peer's socket before streams are held back.
#define TUNNEL_HIGH_BYTES (256u << 10)
// A flow past so many bytes is bulk: it moves to a connection of its own, out of the way of small ones.
#define BULK_AFTER_BYTES (256u << 10)
#define BULK_RETRY_MS	 5000
#define TUNNEL_LOW_BYTES (64u << 10)
// Captured connections and streams.
#define EXCHANGES_MAX	       65536
#define CONNS_MAX	       131072
#define TUNNELS_MAX	       4096
#define STREAMS_PER_TUNNEL_MAX 65536
// A send of at most so much has nobody waiting for its end: it does not count where a source is stopped or
// given credit (leg_pending_on_source), and is half of the smallest mark (TIGHT_BYTES).
#define SEND_LAZY_BYTES_MAX (TIGHT_BYTES / 2)
// A pod's receive of so many bytes makes the next one take a large buffer.
#define READ_BULK_BYTES (16 << 10)
// iovecs of one send.
#define SEND_VECTOR_MAX 32
// Request and response heads in transit (largest buffer class), when MeshConfig asks for more.
#define UNREAD_SMALL_BYTES (8u << 10)
#define UNREAD_SMALL_MAX   16384
#define UNREAD_LARGE_BYTES (160u << 10)
#define UNREAD_LARGE_MAX   1024
// Who sends requests on end behind one that is still being answered: what may come before its source has been
// stopped, which is all of a ring of buffers, or a window.
#define UNREAD_HUGE_BYTES (1280u << 10)
#define UNREAD_HUGE_MAX	  32
// Before relay a source is stopped when so much lies unread: more than any head, and with what a
// ring of buffers may still deliver it fits the large class.
#define UNREAD_LIMIT_BYTES (72u << 10)
// Requests of opaque ports that are looked at while they come piece by piece, and what of a head is read. Lines in
// the log of a connection about them, beside its own.
#define OBSERVERS_MAX	   4096
#define OBSERVED_HEAD_MAX  (8u << 10)
#define OBSERVED_LINES_MAX 8
// Exchanges re-asked after a snapshot swap, in one turn.
#define RECHECK_PER_TURN 256
// A local reply lingers: so many bytes of the request are read and thrown away, for so long.
#define LINGER_BYTES_MAX (1u << 20)
#define LINGER_MS	 2000
// A pod that was asked to close behind its answer is waited for so long before the next request.
#define POD_END_MS 250
// A leg that cannot be sent to for so long is dead (TCP_USER_TIMEOUT); half-closed exchanges without a byte in
// either direction for so long are ended (as long as kube-proxy waits in CLOSE_WAIT).
#define USER_TIMEOUT_MS 30000
// How often, at last, it is looked whether a far end has acknowledged what goes before a reset.
#define UNTOLD_LOOK_MAX_MS     255
#define HALF_CLOSED_IDLE_MS    3600000
#define CERTIFICATE_LIFE_MAX_S 1000000000 // longer ones count as this
#define TUNNEL_HANDSHAKE_MS    5000
#define TUNNEL_IDLE_MS	       300000
#define TUNNEL_PING_MS	       10000
#define TUNNEL_SILENCE_MS      30000
#define TUNNEL_BACKOFF_MIN_MS  50
#define TUNNEL_BACKOFF_MAX_MS  1000 // a node that is back is dialled within so long
// Hostile peers: events in one second of one tunnel beyond which it is closed.
#define TUNNEL_OPENS_PER_S_MAX	       50000
#define TUNNEL_RESETS_PER_S_MAX	       50000
#define TUNNEL_PINGS_PER_S_MAX	       100
#define TUNNEL_CREDITS_PER_S_MAX       200000
#define TUNNEL_EMPTY_DATA_PER_S_MAX    1000
#define TUNNEL_SKIPPED_BYTES_PER_S_MAX (1u << 20)
#define HELD_OPEN_MS		       1000
// OPENs of all peers that are held, of one node four fifths at most; accepted tunnels on which nobody has proven
// himself, of one node half, of all strangers together four fifths.
#define HELD_OPENS_MAX 1024
#define HANDSHAKES_MAX 1024
// Of strangers' failed handshakes so many are logged a second; all are counted.
#define STRANGERS_LOGGED_PER_S 10
// Holders of anything (holder.h), and what share of what is free one of them may come to hold.
#define HOLDERS_MAX		 65536
#define HOLDER_SOURCE_SHARE	 2
#define HOLDER_NODE_SHARE	 4
#define HOLDER_DESTINATION_SHARE 4
// Who has been quiet for so long makes room when his holder wants more than his share; and how exactly that
// is known.
#define HOLDER_QUIET_MS 5000
#define HOLDER_RENEW_MS 1000
// What holders share of the pools is less than all: what goes in a turn is given back at its end. So many
// descriptors of the process are for other things than connections.
#define HOLDER_POOL_SLACK(pool) ((pool) / 16)
#define DESCRIPTORS_RESERVED	512
