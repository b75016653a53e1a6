// SPDX-License-Identifier: GPL-3.0-or-later
// Publications and their readers. A publication is in the list from its sending until its last
// reader has let go; the list is short (three snapshots, and tables that workers swap at once).
#include "control/publish.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/memory.h"

struct publisher {
	struct inbox *const *workers;
	uint32_t worker_count;
	int event_fd;
	uint32_t snapshots_live;
	const struct snapshot *newest;
	struct generation adopted;
	struct publication *list; // newest first
	struct memory_mark memory;
};

enum err publisher_new(struct inbox *const *workers, uint32_t count, struct publisher **out)
{
	struct publisher *p = calloc(1, sizeof(*p));

	if (!p)
		return ERR_NOMEM;
	p->workers = workers;
	p->worker_count = count;
	p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->event_fd < 0) {
		free(p);
		return ERR_IO;
	}
	*out = p;
	return ERR_OK;
}

static void publisher_drop(struct publisher *p, struct publication *dead)
{
	switch (dead->type) {
	case INBOX_SNAPSHOT:
		p->snapshots_live--;
		if (p->newest == dead->snapshot)
			p->newest = NULL;
		snapshot_free((struct snapshot *)dead->snapshot);
		if (p->newest)
			memory_settle(&p->memory, snapshot_bytes(p->newest));
		break;
	case INBOX_LINKS:
		links_free((struct links *)dead->links);
		break;
	case INBOX_CREDENTIALS:
		tls_context_unref(dead->credentials.client);
		tls_context_unref(dead->credentials.server);
		break;
	case INBOX_NONE:
	case INBOX_FD:
	case INBOX_DRAIN:
	case INBOX_STOP:
	case INBOX_QUERY:
	case INBOX_TYPE_COUNT:
		break;
	}
	free(dead);
}

void publisher_free(struct publisher *p)
{
	if (!p)
		return;
	while (p->list) {
		struct publication *dead = p->list;

		p->list = dead->next;
		publisher_drop(p, dead);
	}
	close(p->event_fd);
	free(p);
}

int publisher_fd(const struct publisher *p)
{
	return p->event_fd;
}

void publisher_collect(struct publisher *p)
{
	struct publication **at = &p->list;
	uint64_t count;
	ssize_t n = read(p->event_fd, &count, sizeof(count));

	(void)n; // EAGAIN: called without an event
	while (*at) {
		struct publication *q = *at;

		if (q->type == INBOX_SNAPSHOT && atomic_load(&q->unadopted) == 0) {
			struct generation g = snapshot_generation(q->snapshot);

			if (generation_cmp(g, p->adopted) > 0)
				p->adopted = g;
		}
		if (atomic_load_explicit(&q->held, memory_order_acquire) == 0) {
			*at = q->next;
			publisher_drop(p, q);
		} else {
			at = &q->next;
		}
	}
}

static struct publication *publisher_make(const struct publisher *p, enum inbox_type type)
{
	struct publication *q;

	q = calloc(1, sizeof(*q) + p->worker_count * sizeof(q->holds[0]));
	if (!q)
		return NULL;
	q->type = type;
	q->worker_count = p->worker_count;
	q->event_fd = p->event_fd;
	q->sent_ns = clock_monotonic_ns();
	atomic_init(&q->unadopted, p->worker_count);
	atomic_init(&q->held, p->worker_count);
	return q;
}

static void publisher_send(struct publisher *p, struct publication *q)
{
	q->next = p->list;
	p->list = q;
	for (uint32_t i = 0; i < p->worker_count; i++) {
		q->holds[i].publication = q;
		q->holds[i].message.type = q->type;
	}
	// Only now: the first worker may answer before the second has been told.
	for (uint32_t i = 0; i < p->worker_count; i++)
		wake_send(&p->workers[i]->queue, &q->holds[i].message);
}

bool publisher_has_room(const struct publisher *p)
{
	return p->snapshots_live < PUBLISH_SNAPSHOTS_MAX;
}

enum err publish_snapshot(struct publisher *p, struct snapshot *s)
{
	struct publication *q = NULL;
	enum err e = ERR_FULL;

	if (publisher_has_room(p)) {
		q = publisher_make(p, INBOX_SNAPSHOT);
		e = ERR_NOMEM;
	}
	if (!q) {
		snapshot_free(s);
		return e;
	}
	q->snapshot = s;
	p->newest = s;
	p->snapshots_live++;
	publisher_send(p, q);
	return ERR_OK;
}

enum err publish_links(struct publisher *p, struct links *l)
{
	struct publication *q = publisher_make(p, INBOX_LINKS);

	if (!q) {
		links_free(l);
		return ERR_NOMEM;
	}
	q->links = l;
	publisher_send(p, q);
	return ERR_OK;
}

enum err publish_credentials(struct publisher *p, const struct inbox_credentials *credentials)
{
	struct publication *q = publisher_make(p, INBOX_CREDENTIALS);

	if (!q) {
		tls_context_unref(credentials->client);
		tls_context_unref(credentials->server);
		return ERR_NOMEM;
	}
	q->credentials = *credentials;
	publisher_send(p, q);
	return ERR_OK;
}

const struct snapshot *publisher_snapshot(const struct publisher *p)
{
	return p->newest;
}

struct generation publisher_adopted(const struct publisher *p)
{
	return p->adopted;
}

uint32_t publisher_snapshots_live(const struct publisher *p)
{
	return p->snapshots_live;
}

bool publisher_credentials_adopted(const struct publisher *p)
{
	// Newest first; one that was adopted and released since has a newer one before it.
	for (const struct publication *q = p->list; q; q = q->next) {
		if (q->type == INBOX_CREDENTIALS)
			return atomic_load(&q->unadopted) == 0;
	}
	return false;
}
