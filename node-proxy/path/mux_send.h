// SPDX-License-Identifier: GPL-3.0-or-later
// What the files of the mux share about sending: frames into the record being filled, and the end
// of the turn.
#pragma once

#include "common/buf.h"
#include "path/mux.h"

// tls_sink: ciphertext into the conn's queue.
void mux_sink(void *context, struct slice ciphertext);
void mux_put_frame(struct mux *m, const struct buf *frame);
void mux_put_u16(struct mux *m, enum tunnel_frame type, uint32_t stream, uint16_t value);
void mux_put_empty(struct mux *m, enum tunnel_frame type, uint32_t stream);
void mux_mark_pending(struct leg *l);
void mux_unlink_pending(struct leg *l);
uint8_t *mux_reserve(struct mux *m, uint32_t bytes);
void mux_mark_dirty(struct mux *m);
void mux_put_hello(struct mux *m);
// Serve the fair queues, seal, hand the record buffer back; may fail the mux.
void mux_flush(struct mux *m);
