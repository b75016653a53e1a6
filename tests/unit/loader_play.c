// SPDX-License-Identifier: GPL-3.0-or-later
#include "loader_play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "publish/subscriber.h"

// ---- the worker --------------------------------------------------------------------------------

static void worker_swap(struct hold **at, struct hold *fresh)
{
	inbox_adopt(fresh);
	if (*at)
		inbox_release(*at);
	*at = fresh;
}

void play_release_old(struct worker_play *p)
{
	while (p->snapshot_count > 1) {
		inbox_release(p->snapshots[0]);
		memmove(p->snapshots, p->snapshots + 1,
			--p->snapshot_count * sizeof(p->snapshots[0]));
	}
}

void play_worker_turn(struct worker_play *p)
{
	struct wake_message *m;

	inbox_clear(&p->inbox);
	while ((m = inbox_next(&p->inbox)) != NULL) {
		switch ((enum inbox_type)m->type) {
		case INBOX_SNAPSHOT:
			assert_in_range(p->snapshot_count, 0, HOLDS_MAX - 1);
			p->snapshots[p->snapshot_count++] = inbox_hold(m);
			inbox_adopt(inbox_hold(m));
			p->snapshots_seen++;
			if (!p->keep_old)
				play_release_old(p);
			break;
		case INBOX_LINKS:
			worker_swap(&p->links, inbox_hold(m));
			p->links_seen++;
			break;
		case INBOX_CREDENTIALS:
			worker_swap(&p->credentials, inbox_hold(m));
			p->credentials_seen++;
			p->not_after = inbox_hold(m)->publication->credentials.not_after_unix_s;
			break;
		default:
			fail();
		}
	}
}

const struct snapshot *play_snapshot(const struct worker_play *p)
{
	return p->snapshot_count ? p->snapshots[p->snapshot_count - 1]->publication->snapshot
				 : NULL;
}

static void worker_end(struct worker_play *p)
{
	play_worker_turn(p);
	p->keep_old = false;
	play_release_old(p);
	if (p->snapshot_count)
		inbox_release(p->snapshots[0]);
	if (p->links)
		inbox_release(p->links);
	if (p->credentials)
		inbox_release(p->credentials);
	inbox_deinit(&p->inbox);
}

// ---- evil --------------------------------------------------------------------------------------

static void evil_listen(struct evil *v)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(at);

	v->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(v->listen_fd >= 0);
	assert_int_equal(bind(v->listen_fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(v->listen_fd, 8), 0);
	assert_int_equal(getsockname(v->listen_fd, (struct sockaddr *)&at, &len), 0);
	v->port = ntohs(at.sin_port);
}

void evil_drop(struct evil *v)
{
	if (v->connected)
		sync_wire_deinit(&v->wire);
	v->connected = false;
}

void evil_forget(struct evil *v)
{
	evil_drop(v);
	v->hellos = 0;
}

static void evil_take(struct evil *v, const struct sync_message *m)
{
	struct sync_message welcome = {.type = SYNC_WELCOME,
				       .version = SYNC_PROTO_VERSION,
				       .schema_min = SNAPSHOT_SCHEMA_OLDEST,
				       .schema_max = SNAPSHOT_SCHEMA_VERSION};

	if (m->type == SYNC_HELLO) {
		v->hellos++;
		v->held = m->generation;
		v->held_count = m->ref_count;
		assert_in_range(m->public_key.len, 1, sizeof(v->public_der));
		memcpy(v->public_der, m->public_key.ptr, m->public_key.len);
		v->public_len = m->public_key.len;
		if (m->ref_count > 0)
			memcpy(v->held_refs, m->refs, m->ref_count * sizeof(m->refs[0]));
		assert_int_equal(sync_wire_send(&v->wire, &welcome, clock_monotonic_ns()), ERR_OK);
	} else if (m->type == SYNC_ACK) {
		v->acks++;
		v->acked = m->generation;
	} else if (m->type == SYNC_INSTALLED && m->reason.len > 0) {
		v->not_installed++;
		snprintf(v->not_installed_why.text, sizeof(v->not_installed_why.text), "%.*s",
			 SLICE_ARG(m->reason));
	} else if (m->type == SYNC_INSTALLED) {
		v->installed++;
	} else if (m->type == SYNC_NACK) {
		v->nacks++;
		snprintf(v->nack.text, sizeof(v->nack.text), "%.*s", SLICE_ARG(m->reason));
	}
}

static void evil_accept(struct test *t)
{
	struct evil *v = &t->evil;
	struct tls_stream *stream;
	int fd = accept4(v->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	evil_drop(v);
	v->connections++;
	assert_int_equal(tls_stream_accept(fd, t->w.server->trust.server, 64u << 20, &stream),
			 ERR_OK);
	sync_wire_init(&v->wire, stream, 1 << 20, clock_monotonic_ns());
	v->connected = true;
}

static void evil_turn(struct test *t, uint64_t now_ns)
{
	struct evil *v = &t->evil;
	struct reason why = {0};
	struct sync_message m;
	struct arena arena;
	enum err e;

	if (v->listen_fd <= 0)
		return;
	evil_accept(t);
	if (!v->connected)
		return;
	e = tls_stream_advance(v->wire.stream, &why);
	arena_init(&arena, 1 << 20);
	while (!e) {
		arena_reset(&arena);
		e = sync_wire_next(&v->wire, &arena, now_ns, &m);
		if (!e)
			evil_take(v, &m);
	}
	arena_deinit(&arena);
	if (e != ERR_AGAIN)
		evil_drop(v);
}

void evil_send(struct evil *v, const struct sync_message *m)
{
	assert_true(v->connected);
	assert_int_equal(sync_wire_send(&v->wire, m, clock_monotonic_ns()), ERR_OK);
}

// ---- the whole ---------------------------------------------------------------------------------

void play_turn(struct world *w, void *context, uint64_t now_ns)
{
	struct test *t = context;

	play_worker_turn(&t->worker);
	evil_turn(t, now_ns);
	if (t->loader)
		loader_status(t->loader, &t->status);
	w->poll_count = 0;
	w->polls[w->poll_count++] =
		(struct pollfd){.fd = wake_fd(&t->worker.inbox.queue), .events = POLLIN};
	if (t->evil.listen_fd > 0)
		w->polls[w->poll_count++] =
			(struct pollfd){.fd = t->evil.listen_fd, .events = POLLIN};
	if (t->evil.connected)
		w->polls[w->poll_count++] =
			(struct pollfd){.fd = tls_stream_fd(t->evil.wire.stream),
					.events = tls_stream_events(t->evil.wire.stream)};
}

void play_start_loader(struct test *t, uint16_t port)
{
	struct loader_options options = {.node = "n1",
					 .servers = t->servers,
					 .token_file = t->token,
					 .trust_file = t->w.trust,
					 .run_directory = t->w.dir,
					 .workers = t->inboxes,
					 .worker_count = 1};
	struct reason why = {0};

	memset(&t->worker, 0, sizeof(t->worker));
	assert_int_equal(inbox_init(&t->worker.inbox), ERR_OK);
	t->inboxes[0] = &t->worker.inbox;
	snprintf(t->servers, sizeof(t->servers), "127.0.0.1:%u", port);
	assert_int_equal(loader_start(&options, &t->loader, &why), ERR_OK);
	play_turn(&t->w, t, clock_monotonic_ns());
}

void play_stop_loader(struct test *t)
{
	if (!t->loader)
		return;
	loader_stop(t->loader);
	worker_end(&t->worker);
	loader_free(t->loader);
	t->loader = NULL;
}

static int setup_with(void **state, uint32_t lifetime_s)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	world_open(&t->w, lifetime_s);
	t->w.turn = play_turn;
	t->w.context = t;
	snprintf(t->token, sizeof(t->token), "%s/n1", t->w.tokens);
	world_publish(&t->w);
	*state = t;
	return 0;
}

int play_setup(void **state)
{
	int result = setup_with(state, 3600);
	struct test *t = *state;

	play_start_loader(t, t->w.port);
	return result;
}

int play_setup_short_lives(void **state)
{
	int result = setup_with(state, 4);
	struct test *t = *state;

	play_start_loader(t, t->w.port);
	return result;
}

int play_setup_evil(void **state)
{
	int result = setup_with(state, 3600);
	struct test *t = *state;

	evil_listen(&t->evil);
	play_start_loader(t, t->evil.port);
	return result;
}

int play_teardown(void **state)
{
	struct test *t = *state;

	play_stop_loader(t);
	evil_drop(&t->evil);
	if (t->evil.listen_fd > 0)
		close(t->evil.listen_fd);
	world_close(&t->w);
	free(t);
	return 0;
}

bool play_is_served(void *context)
{
	struct test *t = context;
	const struct subscriber *s = t->w.server->subscribers;

	return t->w.server->changed_first_ns == 0 && s && s->state == SUBSCRIBER_LIVE &&
	       s->certificate == CERTIFICATE_INSTALLED &&
	       subscriber_has_answered(s, t->w.server->generation.counter) &&
	       t->worker.snapshot_count;
}
