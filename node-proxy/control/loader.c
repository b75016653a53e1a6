// SPDX-License-Identifier: GPL-3.0-or-later
// The loader's thread: one poll over policy-sync, the routing table and the workers' answers.
// Checking is control/holdings', the connection control/sync_client's, the key control/certs'.
#include "control/loader.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "control/holdings.h"
#include "control/last_good.h"
#include "control/rules_status.h"
#include "control/sync_client.h"

#define SAVE_AFTER_MS	1000 // a burst of changes is one write
#define POLL_MAX_MS	1000
#define LINKS_RETRY_MS	1000
#define BEHIND_LOG_MS	LOADER_BEHIND_MAX_MS
#define CAPTURE_LOOK_MS 1000

enum loader_poll { POLL_STOP = 0, POLL_PUBLISHER, POLL_LINKS, POLL_SYNC, POLL_COUNT };

struct loader {
	struct loader_options options;
	struct sync_client *client;
	struct holdings *holdings;
	struct certs *certs;
	struct link_watch *links;
	struct publisher *publisher;
	int stop_fd;
	pthread_t thread;
	bool running;
	struct generation acknowledged; // sent to policy-sync
	int64_t installed_not_after;	// of the certificate that workers take up; 0: all told
	uint64_t save_at_ns;		// 0: the file is as new as what is held
	uint64_t links_retry_ns;	// 0: the pins are published
	uint64_t behind_log_ns;
	enum sync_capture capture_told; // on this connection
	uint64_t capture_look_ns;
	char last_good[PATH_MAX];
	pthread_mutex_t lock; // of status
	struct loader_status status;
	struct section_ref refs[SNAPSHOT_SECTIONS_MAX]; // of HELLO
};

// How far this node stands behind what policy-sync wants. Under the lock.
static void loader_note_wanted(struct loader *l, struct generation named, bool refused)
{
	struct loader_status *s = &l->status;
	int order = generation_cmp(named, s->wanted);

	if (order > 0)
		s->wanted = named;
	s->wanted_refused = order > 0 ? refused : s->wanted_refused || (order == 0 && refused);
	if (generation_cmp(s->wanted, s->adopted) <= 0) {
		s->behind_since_unix_ms = 0;
		s->wanted_refused = false;
	} else if (s->behind_since_unix_ms == 0) {
		s->behind_since_unix_ms = clock_unix_ms();
	}
}

static void loader_log_refusal(struct loader *l, const char *from, struct generation g, enum err e,
			       const struct reason *why)
{
	log_event(LOG_ERROR, "snapshot_refused", LOG_S("from", from), LOG_N("epoch", g.epoch),
		  LOG_N("counter", g.counter), LOG_S("error", err_name(e)),
		  LOG_S("reason", why->text));
	pthread_mutex_lock(&l->lock);
	l->status.snapshots_refused++;
	l->status.refusal = *why;
	loader_note_wanted(l, g, true);
	pthread_mutex_unlock(&l->lock);
}

// ---- snapshots ---------------------------------------------------------------------------------

static void loader_publish_links(struct loader *l, uint64_t now_ns)
{
	struct links *table;
	enum err e = link_watch_table(l->links, &table);

	if (!e)
		e = publish_links(l->publisher, table);
	l->links_retry_ns = e ? now_ns + LINKS_RETRY_MS * NS_PER_MS : 0;
	if (e)
		log_event(LOG_ERROR, "links_not_published", LOG_S("error", err_name(e)));
}

// A snapshot that was built goes out, the pins of its pods before it.
static enum err must_check loader_publish(struct loader *l, struct snapshot *s, bool from_file,
					  uint64_t now_ns)
{
	struct generation g = snapshot_generation(s);
	size_t bytes = snapshot_bytes(s);
	enum err e = link_watch_follow(l->links, s);

	if (e)
		log_event(LOG_ERROR, "links_not_resolved", LOG_S("error", err_name(e)));
	loader_publish_links(l, now_ns);
	e = publish_snapshot(l->publisher, s);
	if (e)
		return e;
	log_event(LOG_INFO, "snapshot_published", LOG_N("epoch", g.epoch),
		  LOG_N("counter", g.counter), LOG_N("bytes", bytes),
		  LOG_S("from", from_file ? "file" : "policy-sync"));
	pthread_mutex_lock(&l->lock);
	l->status.held = g;
	l->status.from_file = from_file;
	l->status.snapshot_bytes = bytes;
	l->status.snapshot_unix_ms = clock_unix_ms();
	l->status.snapshots_accepted++;
	pthread_mutex_unlock(&l->lock);
	return ERR_OK;
}

static void loader_refuse(struct loader *l, enum err e, const struct reason *why, uint64_t now_ns)
{
	struct sync_message nack = {.type = SYNC_NACK,
				    .generation = holdings_target(l->holdings),
				    .reason = slice_str(why->text)};
	bool drifted = holdings_has_drifted(l->holdings);

	loader_log_refusal(l, "policy-sync", nack.generation, e, why);
	if (sync_client_send(l->client, &nack, now_ns) != ERR_OK)
		return;
	if (drifted)
		sync_client_restart(l->client, "sections have drifted: all of them again", now_ns);
}

// A complete generation becomes a snapshot as soon as there is room for one.
static void loader_build(struct loader *l, uint64_t now_ns)
{
	struct snapshot *s = NULL;
	struct reason why = {0};
	enum err e;

	if (!holdings_is_complete(l->holdings) || !publisher_has_room(l->publisher))
		return;
	e = holdings_build(l->holdings, slice_str(l->options.node), &s, &why);
	if (!e) {
		e = loader_publish(l, s, false, now_ns);
		if (e)
			err_because(e, &why, "cannot publish");
	}
	if (e) {
		loader_refuse(l, e, &why, now_ns);
		return;
	}
	if (l->save_at_ns == 0)
		l->save_at_ns = now_ns + SAVE_AFTER_MS * NS_PER_MS;
}

static void loader_save(struct loader *l)
{
	enum err e;

	l->save_at_ns = 0;
	if (l->last_good[0] == 0)
		return;
	e = last_good_save(l->last_good, l->holdings);
	if (e)
		log_event(LOG_ERROR, "last_good_not_saved", LOG_S("path", l->last_good),
			  LOG_S("error", err_name(e)), LOG_S("system", strerror(errno)));
}

static void loader_restore(struct loader *l, uint64_t now_ns)
{
	struct snapshot *s = NULL;
	struct reason why = {0};
	enum err e;

	if (l->last_good[0] == 0)
		return;
	e = last_good_load(l->last_good, l->holdings, slice_str(l->options.node), &s, &why);
	if (e == ERR_NOT_FOUND)
		return;
	if (e) {
		loader_log_refusal(l, "file", holdings_target(l->holdings), e, &why);
		return;
	}
	e = loader_publish(l, s, true, now_ns);
	if (e)
		log_event(LOG_ERROR, "snapshot_not_published", LOG_S("error", err_name(e)));
}

// ---- what policy-sync says ---------------------------------------------------------------------

static void loader_on_certificate(struct loader *l, const struct sync_message *m, uint64_t now_ns)
{
	struct inbox_credentials credentials;
	struct reason why = {0};
	struct sync_message answer = {.type = SYNC_INSTALLED};
	int64_t now_unix_s = (int64_t)time(NULL);
	enum err e = certs_install(l->certs, m->chain_pem, m->trust_pem,
				   (int64_t)m->renew_at_unix_s, now_unix_s, &credentials, &why);

	if (!e) {
		e = publish_credentials(l->publisher, &credentials);
		if (e)
			err_because(e, &why, "cannot publish");
	}
	if (!e) {
		log_event(LOG_INFO, "certificate_installed",
			  LOG_N("not_after_unix_s", credentials.not_after_unix_s),
			  LOG_N("renew_in_s", certs_due_unix_s(l->certs) - now_unix_s));
		l->installed_not_after = credentials.not_after_unix_s;
		return; // INSTALLED follows when the workers use it
	}
	log_event(LOG_ERROR, "certificate_refused", LOG_S("error", err_name(e)),
		  LOG_S("reason", why.text));
	answer.reason = slice_str(why.text);
	e = sync_client_send(l->client, &answer, now_ns);
	(void)e; // a lost connection is the client's to handle
}

static void loader_on_message(void *context, const struct sync_message *m, uint64_t now_ns)
{
	struct loader *l = context;
	struct reason why = {0};
	enum err e;

	switch (m->type) {
	case SYNC_CERTIFICATE:
		loader_on_certificate(l, m, now_ns);
		return;
	case SYNC_MANIFEST:
	case SYNC_SECTION:
	case SYNC_PATCH:
	case SYNC_COMMIT:
		e = holdings_receive(l->holdings, m, &why);
		if (e)
			loader_refuse(l, e, &why, now_ns);
		else
			loader_build(l, now_ns);
		return;
	case SYNC_WELCOME:
	case SYNC_NONE:
	case SYNC_HELLO:
	case SYNC_REFUSED:
	case SYNC_RENEW:
	case SYNC_ACK:
	case SYNC_NACK:
	case SYNC_PING:
	case SYNC_INSTALLED:
	case SYNC_FRAME_COUNT:
		return; // nothing that we wait for
	}
}

static enum err loader_on_hello(void *context, struct sync_message *hello)
{
	struct loader *l = context;

	if (!holdings_has_drifted(l->holdings)) {
		hello->generation = holdings_generation(l->holdings);
		hello->refs = l->refs;
		hello->ref_count = holdings_refs(l->holdings, l->refs);
	}
	l->acknowledged = hello->generation;
	return certs_public_key(l->certs, (int64_t)time(NULL), &hello->public_key);
}

static void loader_on_ended(void *context)
{
	struct loader *l = context;

	holdings_abandon(l->holdings);
	l->capture_told = SYNC_CAPTURE_UNKNOWN;
}

static struct slice loader_on_trust(void *context)
{
	struct loader *l = context;

	return certs_trust_pem(l->certs);
}

static const struct sync_client_events loader_events = {
	.hello = loader_on_hello,
	.message = loader_on_message,
	.ended = loader_on_ended,
	.trust = loader_on_trust,
};

// ---- the thread --------------------------------------------------------------------------------

// Workers have taken something up: tell policy-sync, and build what waited for room.
static void loader_on_workers(struct loader *l, uint64_t now_ns)
{
	struct sync_message m = {.type = SYNC_ACK};
	enum err e = ERR_OK;

	publisher_collect(l->publisher);
	loader_build(l, now_ns);
	m.generation = publisher_adopted(l->publisher);
	if (sync_client_is_live(l->client) && generation_cmp(m.generation, l->acknowledged) > 0) {
		l->acknowledged = m.generation;
		e = sync_client_send(l->client, &m, now_ns);
	}
	if (!e && l->installed_not_after != 0 && sync_client_is_live(l->client) &&
	    publisher_credentials_adopted(l->publisher)) {
		m = (struct sync_message){.type = SYNC_INSTALLED,
					  .not_after_unix_s = (uint64_t)l->installed_not_after};
		l->installed_not_after = 0;
		e = sync_client_send(l->client, &m, now_ns);
	}
	(void)e; // a lost connection is the client's to handle
}

static void loader_on_links(struct loader *l, uint64_t now_ns)
{
	bool changed = false;
	enum err e = link_watch_read(l->links, &changed);

	if (e)
		log_event(LOG_ERROR, "links_not_read", LOG_S("error", err_name(e)),
			  LOG_S("system", strerror(errno)));
	if (changed)
		loader_publish_links(l, now_ns);
}

static void loader_renew(struct loader *l, uint64_t now_ns)
{
	struct sync_message m = {.type = SYNC_RENEW};

	if (!sync_client_is_live(l->client) ||
	    !certs_wants_renewal(l->certs, (int64_t)time(NULL), &m.public_key))
		return;
	if (sync_client_token(l->client, &m.token) != ERR_OK) {
		log_event(LOG_ERROR, "renewal_failed",
			  LOG_S("reason", "cannot read the token file"));
		return;
	}
	log_event(LOG_INFO, "renewal_asked");
	if (sync_client_send(l->client, &m, now_ns) != ERR_OK)
		return;
}

// Again and again while it lasts: the line of the refusal may be days old.
static void loader_log_behind(struct loader *l, uint64_t now_ns)
{
	const struct loader_status *s = &l->status; // written by this thread alone

	if (s->behind_since_unix_ms == 0)
		l->behind_log_ns = now_ns + BEHIND_LOG_MS * NS_PER_MS;
	if (s->behind_since_unix_ms == 0 || now_ns < l->behind_log_ns)
		return;
	l->behind_log_ns = now_ns + BEHIND_LOG_MS * NS_PER_MS;
	log_event(LOG_WARN, "snapshot_behind", LOG_N("wanted_epoch", s->wanted.epoch),
		  LOG_N("wanted_counter", s->wanted.counter), LOG_N("held_epoch", s->adopted.epoch),
		  LOG_N("held_counter", s->adopted.counter),
		  LOG_N("since_unix_ms", s->behind_since_unix_ms),
		  LOG_S("reason", s->wanted_refused ? s->refusal.text : "it has not come in yet"));
}

// From then on others believe our pods' addresses from our tunnel alone: so only what is certain is said. Rules
// that are missing for a moment, or are not reported, end nothing.
static void loader_tell_capture(struct loader *l, uint64_t now_ns)
{
	struct sync_message m = {.type = SYNC_PING};
	struct reason why = {0};

	if (!l->options.run_directory || !sync_client_is_live(l->client) ||
	    now_ns < l->capture_look_ns)
		return;
	l->capture_look_ns = now_ns + CAPTURE_LOOK_MS * NS_PER_MS;
	enum err e = rules_status_check(l->options.run_directory, &why);

	if (e == ERR_CLOSED)
		m.capture = SYNC_CAPTURE_REMOVED;
	else if (!e && publisher_adopted(l->publisher).counter > 0)
		m.capture = SYNC_CAPTURE_STANDS;
	if (m.capture == SYNC_CAPTURE_UNKNOWN || m.capture == l->capture_told)
		return;
	l->capture_told = (enum sync_capture)m.capture;
	e = sync_client_send(l->client, &m, now_ns);
	(void)e; // a lost connection is the client's to handle, and the next one is told again
}

static void loader_note_status(struct loader *l)
{
	pthread_mutex_lock(&l->lock);
	l->status.connected = sync_client_is_live(l->client);
	snprintf(l->status.server, sizeof(l->status.server), "%s", sync_client_server(l->client));
	l->status.adopted = publisher_adopted(l->publisher);
	l->status.snapshots_live = publisher_snapshots_live(l->publisher);
	l->status.connections = sync_client_attempts(l->client);
	certs_metrics(l->certs, &l->status.certs);
	link_watch_metrics(l->links, &l->status.links);
	loader_note_wanted(l, holdings_target(l->holdings), false);
	pthread_mutex_unlock(&l->lock);
}

static int loader_timeout_ms(const struct loader *l, uint64_t now_ns)
{
	uint64_t due_ns = sync_client_due_ns(l->client);

	if (l->save_at_ns != 0 && l->save_at_ns < due_ns)
		due_ns = l->save_at_ns;
	if (l->links_retry_ns != 0 && l->links_retry_ns < due_ns)
		due_ns = l->links_retry_ns;
	if (due_ns <= now_ns)
		return 0;
	// Certificates go by the wall clock, which may be set: look at it once a second.
	if (due_ns - now_ns > POLL_MAX_MS * NS_PER_MS)
		return POLL_MAX_MS;
	return (int)((due_ns - now_ns) / NS_PER_MS) + 1;
}

static void loader_turn(struct loader *l, const struct pollfd *polled)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (polled[POLL_PUBLISHER].revents)
		loader_on_workers(l, now_ns);
	if (polled[POLL_LINKS].revents)
		loader_on_links(l, now_ns);
	if (polled[POLL_SYNC].revents || now_ns >= sync_client_due_ns(l->client))
		sync_client_turn(l->client, now_ns);
	loader_renew(l, now_ns);
	loader_tell_capture(l, now_ns);
	if (l->links_retry_ns != 0 && now_ns >= l->links_retry_ns)
		loader_publish_links(l, now_ns);
	if (l->save_at_ns != 0 && now_ns >= l->save_at_ns)
		loader_save(l);
	loader_note_status(l);
	loader_log_behind(l, now_ns);
}

static void *loader_run(void *argument)
{
	struct loader *l = argument;

	loader_restore(l, clock_monotonic_ns());
	loader_note_status(l);
	for (;;) {
		struct pollfd polled[POLL_COUNT] = {
			[POLL_STOP] = {.fd = l->stop_fd, .events = POLLIN},
			[POLL_PUBLISHER] = {.fd = publisher_fd(l->publisher), .events = POLLIN},
			[POLL_LINKS] = {.fd = link_watch_fd(l->links), .events = POLLIN},
			[POLL_SYNC] = sync_client_poll(l->client),
		};

		if (poll(polled, POLL_COUNT, loader_timeout_ms(l, clock_monotonic_ns())) < 0 &&
		    errno != EINTR)
			log_event(LOG_ERROR, "loader_poll", LOG_S("system", strerror(errno)));
		if (polled[POLL_STOP].revents)
			break;
		loader_turn(l, polled);
	}
	if (l->save_at_ns != 0)
		loader_save(l);
	return NULL;
}

static enum err must_check loader_make(struct loader *l, struct reason *why)
{
	const struct loader_options *o = &l->options;
	struct sync_client_options client = {.node = o->node,
					     .servers = o->servers,
					     .token_file = o->token_file,
					     .trust_file = o->trust_file};
	enum err e = sync_client_new(&client, &loader_events, l, &l->client, why);

	if (e)
		return e;
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e = l->stop_fd < 0 ? ERR_IO : holdings_new(&l->holdings);
	if (!e)
		e = certs_new(slice_str(o->node), &l->certs);
	if (!e)
		e = link_watch_new(o->uplinks, o->uplink_count, &l->links);
	if (!e)
		e = publisher_new(o->workers, o->worker_count, &l->publisher);
	return e ? err_because(e, why, "cannot set up the loader: %s", err_name(e)) : ERR_OK;
}

// Signals are the main thread's: a new thread inherits the mask of the moment.
static int loader_spawn(struct loader *l)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&l->thread, NULL, loader_run, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

enum err loader_start(const struct loader_options *options, struct loader **out, struct reason *why)
{
	struct loader *l = calloc(1, sizeof(*l));
	enum err e;

	if (!l)
		return err_because(ERR_NOMEM, why, "out of memory");
	l->options = *options;
	l->stop_fd = -1;
	pthread_mutex_init(&l->lock, NULL);
	if (options->run_directory)
		snprintf(l->last_good, sizeof(l->last_good), "%s/last-good.snapshot",
			 options->run_directory);
	e = loader_make(l, why);
	if (!e && loader_spawn(l) != 0)
		e = err_because(ERR_NOMEM, why, "cannot start the loader's thread");
	if (e) {
		loader_free(l);
		return e;
	}
	l->running = true;
	pthread_setname_np(l->thread, "loader");
	*out = l;
	return ERR_OK;
}

void loader_stop(struct loader *l)
{
	uint64_t one = 1;
	ssize_t n;

	if (!l->running)
		return;
	n = write(l->stop_fd, &one, sizeof(one));
	(void)n;
	pthread_join(l->thread, NULL);
	l->running = false;
}

void loader_free(struct loader *l)
{
	if (!l)
		return;
	loader_stop(l);
	sync_client_free(l->client);
	publisher_free(l->publisher);
	link_watch_free(l->links);
	certs_free(l->certs);
	holdings_free(l->holdings);
	if (l->stop_fd >= 0)
		close(l->stop_fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void loader_status(struct loader *l, struct loader_status *out)
{
	pthread_mutex_lock(&l->lock);
	*out = l->status;
	pthread_mutex_unlock(&l->lock);
}
