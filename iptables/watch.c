// SPDX-License-Identifier: GPL-3.0-or-later
// Wakes on nf_tables and routing events, on signals, and by the clock; looks, repairs, reports.
// Legacy iptables has no events: there a stamp of the tables is taken several times a second.
#include "iptables/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "common/clock.h"
#include "common/log.h"
#include "iptables/legacy.h"
#include "iptables/routes.h"

#define STAMP_MS 200
// Events come in flocks (a restore of 10,000 rules): look once, a moment after the first.
#define SETTLE_MS 50
// On a cluster where a look takes long, looking shall not take more than a twentieth of a core.
#define LOOK_SHARE 20

struct watch {
	const char *config_path;
	struct rules_config *config;
	struct rules *rules;
	int signal_fd;
	int nft_fd;
	int route_fd;
	bool in_place;	// as last reported
	uint64_t stamp; // legacy_stamp as of the last look
	uint64_t next_look_ns;
};

static enum err open_signals(int *fd)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return ERR_IO;
	*fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *fd >= 0 ? ERR_OK : ERR_IO;
}

static enum err watch_open(struct watch *w)
{
	enum err err = open_signals(&w->signal_fd);

	if (err == ERR_OK)
		err = routes_events_open(&w->route_fd);
	if (err == ERR_OK && w->rules->nft_fd >= 0)
		err = nft_events_open(&w->nft_fd);
	return err;
}

static void watch_close(struct watch *w)
{
	if (w->signal_fd >= 0)
		close(w->signal_fd);
	if (w->route_fd >= 0)
		close(w->route_fd);
	if (w->nft_fd >= 0)
		close(w->nft_fd);
}

// Everything that a repair sends comes back as an event: read it away, or each look would cause the
// next one. What others did meanwhile is seen by the check behind it.
static void discard_events(struct watch *w)
{
	(void)routes_events_drain(w->route_fd, &w->config->routing);
	if (w->nft_fd >= 0)
		(void)nft_events_drain(w->nft_fd);
}

static enum err repair(struct watch *w, struct reason *why)
{
	struct reason missing = *why;
	uint32_t changed = 0;

	*why = (struct reason){""};
	enum err err = rules_ensure(w->rules, &changed, why);

	discard_events(w);
	if (err != ERR_OK)
		return err;
	log_event(LOG_WARN, "rules_repaired", LOG_S("missing", missing.text),
		  LOG_N("pieces", changed));
	return rules_check(w->rules, why);
}

static void report(struct watch *w, enum err err, const struct reason *why)
{
	bool in_place = err == ERR_OK;

	if (!in_place)
		log_event(LOG_ERROR, "rules_not_in_place", LOG_S("error", err_name(err)),
			  LOG_S("reason", why->text));
	else if (!w->in_place)
		log_event(LOG_INFO, "rules_in_place",
			  LOG_S("backend", backend_name(w->rules->backend)));
	w->in_place = in_place;
	if (state_report(w->config->run_dir, w->rules->backend,
			 in_place     ? ""
			 : *why->text ? why->text
				      : err_name(err)) != ERR_OK)
		log_event(LOG_ERROR, "rules_report_failed", LOG_S("reason", strerror(errno)));
}

static void look(struct watch *w)
{
	uint64_t started_ns = clock_monotonic_ns();
	uint64_t wait_ns = w->config->poll_ms * NS_PER_MS;
	struct reason why = {""};

	// Taken before the check: what changes behind it shows in the next stamp.
	if (w->rules->backend == BACKEND_LEGACY)
		w->stamp = legacy_stamp();
	enum err err = rules_check(w->rules, &why);

	if (err == ERR_NOT_FOUND)
		err = repair(w, &why);
	report(w, err, &why);
	uint64_t now_ns = clock_monotonic_ns();

	if (wait_ns < LOOK_SHARE * (now_ns - started_ns))
		wait_ns = LOOK_SHARE * (now_ns - started_ns);
	// Somebody is still at it: its events were read away with our own.
	if (err == ERR_NOT_FOUND)
		wait_ns = SETTLE_MS * NS_PER_MS;
	w->next_look_ns = now_ns + wait_ns;
}

static void reload(struct watch *w)
{
	static struct rules_config fresh;
	struct reason why = {""};

	if (rules_config_load(w->config_path, &fresh, &why) != ERR_OK) {
		log_event(LOG_ERROR, "config_refused", LOG_S("reason", why.text));
		return;
	}
	if (strcmp(fresh.run_dir, w->config->run_dir) != 0 || fresh.backend != w->config->backend) {
		log_event(LOG_ERROR, "config_refused",
			  LOG_S("reason", "run_dir and backend need a restart to change"));
		return;
	}
	*w->config = fresh;
	log_event(LOG_INFO, "config_loaded", LOG_S("path", w->config_path));
	w->next_look_ns = 0;
}

// False: it is time to go.
static bool take_signals(struct watch *w)
{
	struct signalfd_siginfo s;

	while (read(w->signal_fd, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
		if (s.ssi_signo != SIGHUP)
			return false;
		reload(w);
	}
	return true;
}

static void look_soon(struct watch *w)
{
	uint64_t soon_ns = clock_monotonic_ns() + SETTLE_MS * NS_PER_MS;

	if (soon_ns < w->next_look_ns)
		w->next_look_ns = soon_ns;
}

static int until_next_look_ms(const struct watch *w)
{
	uint64_t now_ns = clock_monotonic_ns();

	return w->next_look_ns > now_ns ? (int)((w->next_look_ns - now_ns) / NS_PER_MS) + 1 : 0;
}

static int until_next_wake_ms(const struct watch *w)
{
	int wait_ms = until_next_look_ms(w);

	return w->rules->backend == BACKEND_LEGACY && wait_ms > STAMP_MS ? STAMP_MS : wait_ms;
}

enum err watch_run(const char *config_path, struct rules_config *c, struct rules *r,
		   struct reason *why)
{
	struct watch w = {.config_path = config_path,
			  .config = c,
			  .rules = r,
			  .signal_fd = -1,
			  .nft_fd = -1,
			  .route_fd = -1};
	enum err err = watch_open(&w);

	if (err != ERR_OK) {
		err_because(err, why, "events: %s", strerror(errno));
		goto out;
	}
	for (;;) {
		struct pollfd p[] = {{.fd = w.signal_fd, .events = POLLIN},
				     {.fd = w.route_fd, .events = POLLIN},
				     {.fd = w.nft_fd, .events = POLLIN}};

		if (until_next_look_ms(&w) == 0)
			look(&w);
		if (poll(p, 3, until_next_wake_ms(&w)) < 0 && errno != EINTR) {
			err = err_because(ERR_IO, why, "poll: %s", strerror(errno));
			goto out;
		}
		if (p[0].revents && !take_signals(&w))
			break;
		if (p[1].revents && routes_events_drain(w.route_fd, &c->routing))
			look_soon(&w);
		if (p[2].revents && nft_events_drain(w.nft_fd))
			look_soon(&w);
		if (w.rules->backend == BACKEND_LEGACY && legacy_stamp() != w.stamp)
			look_soon(&w);
	}
out:
	watch_close(&w);
	return err;
}
