// SPDX-License-Identifier: GPL-3.0-or-later
// Blocking TLS over one socket with deadlines, for control threads (config wire); never used by
// workers.
#pragma once

#include "common/addr.h"
#include "io/tls.h"

struct tls_stream;

// Connects and completes the handshake within timeout_ms. wake_fd (or -1): becoming readable
// interrupts any wait with ERR_CLOSED. server_name may be NULL.
enum err must_check tls_stream_connect(struct addr_port to, struct tls_context *c,
				       const char *server_name, uint32_t timeout_ms, int wake_fd,
				       struct tls_stream **out, struct reason *why);
// The server side over an accepted descriptor, which it owns from here on, also on failure.
enum err must_check tls_stream_accept(int fd, struct tls_context *c, uint32_t timeout_ms,
				      int wake_fd, struct tls_stream **out, struct reason *why);
// At least one byte, at most cap. ERR_AGAIN after timeout_ms of silence.
enum err must_check tls_stream_read(struct tls_stream *s, void *out, size_t cap, size_t *len,
				    uint32_t timeout_ms);
enum err must_check tls_stream_write(struct tls_stream *s, struct slice data, uint32_t timeout_ms);
const struct tls_session *tls_stream_session(const struct tls_stream *s);
int tls_stream_fd(const struct tls_stream *s);
void tls_stream_close(struct tls_stream *s);
