// SPDX-License-Identifier: GPL-3.0-or-later
// Many-to-one message queue: a Treiber stack that the receiver takes whole and turns round; see wake.h.
#include "io/wake.h"

#include <sys/eventfd.h>
#include <unistd.h>

enum err wake_init(struct wake_queue *q)
{
	atomic_init(&q->head, NULL);
	q->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return q->event_fd < 0 ? ERR_IO : ERR_OK;
}

void wake_deinit(struct wake_queue *q)
{
	if (q->event_fd >= 0)
		close(q->event_fd);
	q->event_fd = -1;
}

void wake_send(struct wake_queue *q, struct wake_message *m)
{
	struct wake_message *head = atomic_load_explicit(&q->head, memory_order_relaxed);
	uint64_t one = 1;

	do {
		atomic_store_explicit(&m->next, head, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&q->head, &head, m, memory_order_release,
							memory_order_relaxed));
	// Whoever found the queue empty wakes the receiver; it takes all at once. An eventfd
	// write fails only when its counter is full, and then it is readable anyway.
	if (!head && write(q->event_fd, &one, sizeof(one)) < 0)
		return;
}

struct wake_message *wake_take_all(struct wake_queue *q)
{
	struct wake_message *newest =
		atomic_exchange_explicit(&q->head, NULL, memory_order_acquire);
	struct wake_message *oldest = NULL;

	while (newest) {
		struct wake_message *next =
			atomic_load_explicit(&newest->next, memory_order_relaxed);

		atomic_store_explicit(&newest->next, oldest, memory_order_relaxed);
		oldest = newest;
		newest = next;
	}
	return oldest;
}

void wake_clear(struct wake_queue *q)
{
	uint64_t count;

	// Non-blocking: an empty eventfd is as good as a cleared one.
	if (read(q->event_fd, &count, sizeof(count)) < 0)
		return;
}

int wake_fd(const struct wake_queue *q)
{
	return q->event_fd;
}
