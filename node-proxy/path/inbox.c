// SPDX-License-Identifier: GPL-3.0-or-later
// Messages to a worker and its answers. Order within one queue is the senders' order (io/wake);
// counters are the only thing both sides touch. Read path/inbox.h first, then control/publish.
#include "path/inbox.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"

static void inbox_note(int event_fd)
{
	uint64_t one = 1;
	// Fails only when the counter is at its ceiling, and then the reader is awake anyway.
	ssize_t n = write(event_fd, &one, sizeof(one));

	(void)n;
}

enum err inbox_init(struct inbox *b)
{
	b->taken = NULL;
	return wake_init(&b->queue);
}

static void inbox_query_unref(struct inbox_query *q)
{
	if (atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) != 1)
		return;
	buf_deinit(&q->out);
	close(q->answered_fd);
	free(q);
}

void inbox_deinit(struct inbox *b)
{
	struct wake_message *m;

	while ((m = inbox_next(b)) != NULL) {
		switch ((enum inbox_type)m->type) {
		case INBOX_SNAPSHOT:
		case INBOX_LINKS:
		case INBOX_CREDENTIALS:
			inbox_release((struct hold *)m);
			break;
		case INBOX_FD:
			close(((struct inbox_fd *)m)->fd);
			inbox_done(m);
			break;
		case INBOX_DRAIN:
		case INBOX_STOP:
			inbox_done(m);
			break;
		case INBOX_QUERY:
			inbox_query_unref((struct inbox_query *)m);
			break;
		case INBOX_NONE:
		case INBOX_TYPE_COUNT:
			break;
		}
	}
	wake_deinit(&b->queue);
}

void inbox_clear(struct inbox *b)
{
	wake_clear(&b->queue);
}

struct wake_message *inbox_next(struct inbox *b)
{
	struct wake_message *m;

	if (!b->taken)
		b->taken = wake_take_all(&b->queue);
	m = b->taken;
	if (m)
		b->taken = atomic_load_explicit(&m->next, memory_order_relaxed);
	return m;
}

void inbox_adopt(struct hold *h)
{
	struct publication *p = h->publication;

	// h still counts in held, so p cannot go away below.
	if (atomic_fetch_sub_explicit(&p->unadopted, 1, memory_order_acq_rel) == 1)
		inbox_note(p->event_fd);
}

void inbox_release(struct hold *h)
{
	struct publication *p = h->publication;
	int event_fd = p->event_fd; // after the count has reached zero, p is the publisher's

	if (atomic_fetch_sub_explicit(&p->held, 1, memory_order_acq_rel) == 1)
		inbox_note(event_fd);
}

void inbox_done(struct wake_message *m)
{
	free(m);
}

void inbox_answer(struct wake_message *m, struct worker *w)
{
	struct inbox_query *q = (struct inbox_query *)m;

	q->run(w, q->argument, &q->out);
	atomic_store_explicit(&q->answered, 1, memory_order_release);
	inbox_note(q->answered_fd);
	inbox_query_unref(q);
}

enum err inbox_send_fd(struct inbox *to, int fd)
{
	struct inbox_fd *m = calloc(1, sizeof(*m));

	if (!m)
		return ERR_NOMEM;
	m->message.type = INBOX_FD;
	m->fd = fd;
	wake_send(&to->queue, &m->message);
	return ERR_OK;
}

enum err inbox_send_order(struct inbox *to, enum inbox_type type, uint64_t at_ns)
{
	struct inbox_order *m = calloc(1, sizeof(*m));

	if (!m)
		return ERR_NOMEM;
	m->message.type = type;
	m->at_ns = at_ns;
	wake_send(&to->queue, &m->message);
	return ERR_OK;
}

// Waits until the worker has answered; false when timeout_ms have passed.
static bool inbox_wait(int answered_fd, uint32_t timeout_ms)
{
	uint64_t until_ns = clock_monotonic_ns() + timeout_ms * NS_PER_MS;

	for (;;) {
		struct pollfd p = {.fd = answered_fd, .events = POLLIN};
		uint64_t now_ns = clock_monotonic_ns();
		int left_ms = now_ns < until_ns ? (int)((until_ns - now_ns) / NS_PER_MS) + 1 : 0;

		if (poll(&p, 1, left_ms) > 0)
			return true;
		if (left_ms == 0)
			return false;
	}
}

enum err inbox_ask(struct inbox *to, inbox_question run, uint64_t argument, size_t bytes_max,
		   uint32_t timeout_ms, struct buf *out)
{
	struct inbox_query *q = calloc(1, sizeof(*q));
	enum err e = ERR_EXPIRED;

	if (!q)
		return ERR_NOMEM;
	q->answered_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->answered_fd < 0) {
		free(q);
		return ERR_IO;
	}
	q->message.type = INBOX_QUERY;
	q->run = run;
	q->argument = argument;
	buf_init_growing(&q->out, bytes_max);
	// Two owners: a worker that answers after we gave up finds its memory still there.
	atomic_init(&q->refs, 2);
	wake_send(&to->queue, &q->message);
	if (inbox_wait(q->answered_fd, timeout_ms) &&
	    atomic_load_explicit(&q->answered, memory_order_acquire)) {
		e = q->out.err;
		buf_put_slice(out, buf_slice(&q->out));
		if (!e)
			e = out->err;
	}
	inbox_query_unref(q);
	return e;
}
