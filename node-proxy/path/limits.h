// SPDX-License-Identifier: GPL-3.0-or-later
// Published limits of the data path, each with the reason for its size. All are per worker unless
// said otherwise; what is configurable starts from these.
#pragma once

// Bytes of one queue chunk, header included: two pages, so that a small reply takes one and a bulk
// send gathers few.
#define CHUNK_BYTES 8192
// All bytes that queues may hold: 8192 chunks are 64 MiB. Beyond it the largest holder is reset.
#define CHUNKS_MAX 8192
// A leg stops reading its source above the high mark and goes on below the low one.
#define LEG_HIGH_BYTES (128u << 10)
#define LEG_LOW_BYTES (32u << 10)
// Ciphertext that waits for a peer's socket before streams are held back.
#define TUNNEL_HIGH_BYTES (256u << 10)
#define TUNNEL_LOW_BYTES (64u << 10)
// Captured connections and streams.
#define EXCHANGES_MAX 65536
#define CONNS_MAX 131072
#define TUNNELS_MAX 4096
#define STREAMS_PER_TUNNEL_MAX 65536
// A send of at most so much has nobody waiting for its end: half of a stream's first window, and less than
// what a stopped source waits for.
#define SEND_LAZY_BYTES_MAX (16u << 10)
// iovecs of one send.
#define SEND_VECTOR_MAX 32
// Request and response heads in transit (largest buffer class), when MeshConfig asks for more.
#define UNREAD_SMALL_BYTES CHUNK_BYTES
#define UNREAD_LARGE_BYTES (160u << 10)
#define UNREAD_LARGE_MAX 1024
// Before relay a source is stopped when so much lies unread: more than any head, and with what a
// ring of buffers may still deliver it fits the large class.
#define UNREAD_LIMIT_BYTES (72u << 10)
// Exchanges re-asked after a snapshot swap, in one turn.
#define RECHECK_PER_TURN 256
// A local reply lingers: so many bytes of the request are read and thrown away, for so long.
#define LINGER_BYTES_MAX (1u << 20)
#define LINGER_MS 2000
// A leg that cannot be sent to for so long is dead (TCP_USER_TIMEOUT); half-closed exchanges without
// a byte for so long are ended.
#define USER_TIMEOUT_MS 30000
#define HALF_CLOSED_IDLE_MS 300000
#define TUNNEL_HANDSHAKE_MS 5000
#define TUNNEL_IDLE_MS 300000
#define TUNNEL_PING_MS 10000
#define TUNNEL_SILENCE_MS 30000
#define TUNNEL_BACKOFF_MIN_MS 50
#define TUNNEL_BACKOFF_MAX_MS 5000
// Hostile peers: events in one second of one tunnel beyond which it is closed.
#define TUNNEL_OPENS_PER_S_MAX 50000
#define TUNNEL_RESETS_PER_S_MAX 50000
#define TUNNEL_PINGS_PER_S_MAX 100
#define TUNNEL_CREDITS_PER_S_MAX 200000
#define TUNNEL_EMPTY_DATA_PER_S_MAX 1000
#define TUNNEL_SKIPPED_BYTES_PER_S_MAX (1u << 20)
#define TUNNEL_HELD_OPENS_MAX 1024
#define HELD_OPEN_MS 1000
