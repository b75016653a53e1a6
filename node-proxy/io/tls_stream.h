// SPDX-License-Identifier: GPL-3.0-or-later
// TLS over one non-blocking socket, for control threads that poll: both ends of the config wire.
// Never blocks, so that one thread can mind many of them beside its other descriptors. Never used
// by workers (they go through io/ring).
//
// A turn: poll for tls_stream_events; tls_stream_advance; when it says ERR_OK, tls_stream_read
// until ERR_AGAIN, tls_stream_write what there is. Deadlines are the caller's.
#pragma once

#include "common/addr.h"
#include "io/tls.h"

struct tls_stream;

// Starts connecting. server_name may be NULL. pending_max bounds what tls_stream_write may leave
// unsent. ERR_IO with errno, ERR_NOMEM, ERR_CRYPTO.
enum err must_check tls_stream_connect(struct addr_port to, struct tls_context *c,
				       const char *server_name, size_t pending_max,
				       struct tls_stream **out);
// The server side over an accepted descriptor, which it owns from here on, also on failure.
enum err must_check tls_stream_accept(int fd, struct tls_context *c, size_t pending_max,
				      struct tls_stream **out);
// Connects, shakes hands, sends what is queued, as far as it goes without waiting. ERR_OK:
// established (the queue may not be empty yet); ERR_AGAIN: not yet; else final, why in one
// sentence.
enum err must_check tls_stream_advance(struct tls_stream *s, struct reason *why);
// What to poll for: POLLIN, POLLOUT.
short tls_stream_events(const struct tls_stream *s);
// Once established: at least one byte, at most cap. ERR_AGAIN: nothing there now; ERR_CLOSED: the
// peer said goodbye or is gone.
enum err must_check tls_stream_read(struct tls_stream *s, void *out, size_t cap, size_t *len);
// Seals all of data and sends or queues it. ERR_FULL: would go beyond pending_max, nothing was
// taken.
enum err must_check tls_stream_write(struct tls_stream *s, struct slice data);
// Bytes sealed and not yet taken by the kernel.
size_t tls_stream_pending(const struct tls_stream *s);
const struct tls_session *tls_stream_session(const struct tls_stream *s);
int tls_stream_fd(const struct tls_stream *s);
// Says goodbye if that can be done at once; frees. NULL is allowed.
void tls_stream_close(struct tls_stream *s);
