// SPDX-License-Identifier: GPL-3.0-or-later
// Messages between threads: a lock-free many-to-one queue with an eventfd behind it. Messages are
// embedded in what they carry; ownership moves with them.
#pragma once

#include <stdatomic.h>
#include "common/err.h"
#include "common/slice.h"

struct wake_message {
	struct wake_message *_Atomic next;
	uint32_t type; // the receiver's own vocabulary
};

struct wake_queue {
	struct wake_message *_Atomic head; // newest first; receiver reverses
	int event_fd;
};

enum err must_check wake_init(struct wake_queue *q);
void wake_deinit(struct wake_queue *q);
// Any thread. Writes the eventfd only when the queue was empty.
void wake_send(struct wake_queue *q, struct wake_message *m);
// Receiver: all messages, oldest first, or NULL. Call wake_clear when event_fd became readable.
struct wake_message *wake_take_all(struct wake_queue *q);
void wake_clear(struct wake_queue *q);
int wake_fd(const struct wake_queue *q);
