// SPDX-License-Identifier: GPL-3.0-or-later
// Start, signals and end of node-proxy; see node.h.
//
// Order of a start: limits of the process, listeners (own, or a predecessor's), privileges, rings and workers,
// loader (publishes the last good snapshot first), then the control turn below. Workers take
// connections once they go by a snapshot: until then clients wait in the listeners' backlog. A
// successor tells its predecessor to drain once it holds a snapshot and a certificate.
#include "control/node.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/clock.h"
#include "control/accesslog.h"
#include "control/admin.h"
#include "control/confine.h"
#include "control/loader.h"
#include "control/privileges.h"
#include "control/takeover.h"
#include "core/affinity.h"
#include "io/crypto.h"
#include "io/sock.h"
#include "path/limits.h"
#include "path/tally.h"
#include "path/worker.h"

#define BACKLOG		     4096
#define RING_ENTRIES	     1024
#define RING_COMPLETIONS     8192
#define STREAM_BUFFERS	     64
#define STREAM_BUFFER_BYTES  (16u << 10)
#define TUNNEL_BUFFERS	     16
#define TUNNEL_BUFFER_BYTES  (64u << 10)
#define BULK_BUFFERS	     8
#define BULK_BUFFER_BYTES    (64u << 10)
#define LIMIT_BUCKETS	     (1u << 17)
#define AFFINITY_CLIENTS     131072 // 1 MB
#define CONTROL_TICK_MS	     1000
#define NODE_FDS	     3	// of the control turn, beside admin's
#define CONTROL_TICK_BUSY_MS 10 // while something is waited for that has no descriptor

struct node_worker {
	struct node *node;
	struct inbox inbox;
	struct worker_config config;
	struct worker *worker;
	pthread_t thread;
	int result_fd[2]; // pipe: the thread says whether it could start
	bool joined;
};

struct node {
	const struct config *config;
	struct takeover listeners; // all that a successor gets
	struct ratelimit_table *limits;
	struct tally tally; // not a successor's: what drains here is not his
	struct affinity_table *affinity;
	uint8_t *shared; // both tables, one behind the other
	size_t limits_bytes, shared_bytes;
	struct node_worker workers[CONFIG_WORKERS_MAX];
	struct inbox *inboxes[CONFIG_WORKERS_MAX];
	uint32_t workers_started;
	struct accesslog *log;
	struct loader *loader;
	struct admin admin;
	int signal_fd;
	int takeover_fd;
	int successor;	 // connection to a process that takes over; -1: none
	int predecessor; // connection to the process that we take over from; -1: none
	bool draining;
	uint64_t drain_until_ns;
};

// ---- listeners ---------------------------------------------------------------------------------

static enum err node_add_listener(struct node *n, enum handed_kind kind, struct addr_port at,
				  struct reason *why)
{
	struct sock_listen_options options = {
		.transparent = kind != HANDED_ADMIN, // tunnels too: iptables/render.c, raw
		.reuse_port = kind != HANDED_ADMIN,
		.packet_info = kind == HANDED_CAPTURE,
		.mark = kind != HANDED_ADMIN ? n->config->mark : 0,
		.backlog = BACKLOG,
	};
	char text[ADDR_PORT_TEXT_MAX];
	int fd;

	if (n->listeners.count == TAKEOVER_FDS_MAX)
		return err_because(ERR_CONFIG, why, "too many workers for their listeners");
	if (sock_listen(at, &options, &fd) != ERR_OK)
		return err_because(ERR_IO, why, "cannot listen at %s: %s",
				   addr_port_format(at, text), strerror(errno));
	n->listeners.items[n->listeners.count++] = (struct handed){kind, at, fd};
	return ERR_OK;
}

static struct addr node_addr(const char *text)
{
	struct addr a = {0};

	(void)!addr_parse(slice_str(text), &a);
	return a;
}

// One set a worker (SO_REUSEPORT): IPv4 and, where the node has it, IPv6.
static enum err node_open_listeners(struct node *n, struct reason *why)
{
	const struct config *c = n->config;
	const char *loopbacks[] = {"127.0.0.1", "::1"};
	const char *anywhere[] = {"0.0.0.0", "::"};
	enum err err = node_add_listener(
		n, HANDED_ADMIN, (struct addr_port){node_addr("127.0.0.1"), c->admin_port}, why);

	for (uint32_t w = 0; w < c->workers && err == ERR_OK; w++) {
		for (int family = 0; family < 2 && err == ERR_OK; family++) {
			struct addr tunnel = addr_is_none(c->tunnel_addr)
						     ? node_addr(anywhere[family])
						     : c->tunnel_addr;
			enum err v = node_add_listener(
				n, HANDED_CAPTURE,
				(struct addr_port){node_addr(loopbacks[family]), c->capture_port},
				why);

			if (v == ERR_OK && (addr_is_none(c->tunnel_addr) || family == 0))
				v = node_add_listener(n, HANDED_TUNNEL,
						      (struct addr_port){tunnel, c->tunnel_port},
						      why);
			// A node without IPv6 does without its listeners.
			if (v != ERR_OK && family == 0)
				err = v;
		}
	}
	return err;
}

static int node_handed_fd(const struct node *n, enum handed_kind kind)
{
	for (uint32_t i = 0; i < n->listeners.count; i++) {
		if (n->listeners.items[i].kind == kind)
			return n->listeners.items[i].fd;
	}
	return -1;
}

static enum err node_get_listeners(struct node *n, struct reason *why)
{
	enum err err;

	if (!n->config->takeover)
		return node_open_listeners(n, why);
	err = takeover_receive(n->config->run_dir, &n->listeners, &n->predecessor, why);
	if (err != ERR_OK)
		return err;
	if (node_handed_fd(n, HANDED_ADMIN) < 0 || node_handed_fd(n, HANDED_CAPTURE) < 0)
		return err_because(ERR_MALFORMED, why,
				   "the running process hands over no listeners");
	return ERR_OK;
}

// ---- limits ------------------------------------------------------------------------------------

// Limits and the clients that Services remember lie in a memory file, so that a successor counts on where its
// predecessor was.
static enum err node_map_tables(struct node *n, struct reason *why)
{
	int fd = node_handed_fd(n, HANDED_LIMITS);
	uint64_t seeds[2];
	struct stat st;

	n->limits_bytes = (ratelimit_table_bytes(LIMIT_BUCKETS) + 63) & ~(size_t)63;
	n->shared_bytes = n->limits_bytes + affinity_table_bytes(AFFINITY_CLIENTS);
	if (fd < 0) {
		fd = memfd_create("portcullis-limits", MFD_CLOEXEC);
		if (fd < 0 || n->listeners.count == TAKEOVER_FDS_MAX)
			return err_because(ERR_IO, why, "no memory for limits: %s",
					   strerror(errno));
		n->listeners.items[n->listeners.count++] =
			(struct handed){.kind = HANDED_LIMITS, .fd = fd};
	}
	// A predecessor of an earlier version has no second table: the file grows by it.
	if (fstat(fd, &st) < 0 || crypto_random(seeds, sizeof(seeds)) != ERR_OK ||
	    (st.st_size < (off_t)n->shared_bytes && ftruncate(fd, (off_t)n->shared_bytes) < 0))
		return err_because(ERR_MALFORMED, why, "limit table has another size");
	n->shared = mmap(NULL, n->shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (n->shared == MAP_FAILED)
		n->shared = NULL;
	if (!n->shared)
		return err_because(ERR_NOMEM, why, "no memory for limits");
	if (ratelimit_table_init(n->shared, n->limits_bytes, seeds[0], &n->limits) != ERR_OK ||
	    affinity_table_init(n->shared + n->limits_bytes, n->shared_bytes - n->limits_bytes,
				seeds[1], &n->affinity) != ERR_OK)
		return err_because(ERR_VERSION, why, "limit table has another form");
	return ERR_OK;
}

// ---- workers -----------------------------------------------------------------------------------

// The k-th of every worker's share: with as many listeners as workers, its own; else round robin.
static void node_give_listeners(struct node *n, struct node_worker *w)
{
	uint32_t seen[HANDED_LIMITS + 1] = {0};

	for (uint32_t i = 0; i < n->listeners.count; i++) {
		const struct handed *h = &n->listeners.items[i];

		if (h->kind != HANDED_CAPTURE && h->kind != HANDED_TUNNEL)
			continue;
		// Families alternate: two listeners of a kind belong to each worker.
		uint32_t share = seen[h->kind]++ / 2;

		if (share % n->config->workers == w->config.index)
			worker_listen(w->worker,
				      h->kind == HANDED_CAPTURE ? LISTENER_CAPTURE
								: LISTENER_TUNNEL,
				      h->fd);
	}
}

static enum err node_make_worker(struct node_worker *w, struct ring **ring, struct reason *why)
{
	static const struct ring_config ring_config = {
		.entries = RING_ENTRIES,
		.completion_entries = RING_COMPLETIONS,
		.stream_buffers = STREAM_BUFFERS,
		.stream_buffer_bytes = STREAM_BUFFER_BYTES,
		.tunnel_buffers = TUNNEL_BUFFERS,
		.tunnel_buffer_bytes = TUNNEL_BUFFER_BYTES,
		.bulk_buffers = BULK_BUFFERS,
		.bulk_buffer_bytes = BULK_BUFFER_BYTES,
		.restrict_operations = true,
	};
	enum err err = ring_new(&ring_config, ring, why);

	if (err == ERR_OK)
		err = worker_new(&w->config, *ring, &w->inbox, &w->worker, why);
	return err;
}

// Ring and worker are made on the thread that uses them (SINGLE_ISSUER).
static void *node_worker_thread(void *context)
{
	struct node_worker *w = context;
	struct ring *ring = NULL;
	struct reason why = {0};
	enum err err = node_make_worker(w, &ring, &why);

	if (err == ERR_OK) {
		node_give_listeners(w->node, w);
		accesslog_add(w->node->log, &w->worker->log);
	}
	if (write(w->result_fd[1], why.text, err == ERR_OK ? 1 : sizeof(why.text)) > 0 &&
	    err == ERR_OK)
		worker_run(w->worker);
	// The worker itself is freed when the logger has taken its last records.
	ring_free(ring);
	return NULL;
}

// A worker's part of what the process may open.
static uint32_t node_descriptors(uint32_t workers)
{
	struct rlimit files = {.rlim_cur = CONNS_MAX};
	uint64_t each;

	(void)getrlimit(RLIMIT_NOFILE, &files);
	each = files.rlim_cur > 2 * DESCRIPTORS_RESERVED
		       ? (files.rlim_cur - DESCRIPTORS_RESERVED) / workers
		       : files.rlim_cur / 2 / workers;
	return each < CONNS_MAX ? (uint32_t)each : CONNS_MAX;
}

static enum err node_start_worker(struct node *n, uint32_t index, struct reason *why)
{
	struct node_worker *w = &n->workers[index];
	const struct config *c = n->config;

	w->node = n;
	w->config = (struct worker_config){
		.index = index,
		.count = c->workers,
		.node = slice_str(c->node),
		.mark = c->mark,
		.exchanges_max = EXCHANGES_MAX,
		.descriptors_max = node_descriptors(c->workers),
		.requests_under_way = REQUESTS_UNDER_WAY,
		.log_exchanges = strcmp(c->access_log, "off") != 0,
		.limits = n->limits,
		.tally = &n->tally,
		.affinity = n->affinity,
		.siblings = n->inboxes,
		.log_event_fd = accesslog_event_fd(n->log),
	};
	for (uint32_t i = 0; i < c->uplink_count; i++) {
		uint32_t ifindex = if_nametoindex(c->uplinks[i]);

		if (ifindex == 0)
			return err_because(ERR_CONFIG, why, "--uplink %s: no such interface",
					   c->uplinks[i]);
		w->config.uplinks[w->config.uplink_count++] = ifindex;
	}
	if (crypto_random(&w->config.seed, sizeof(w->config.seed)) != ERR_OK ||
	    pipe(w->result_fd) < 0 || pthread_create(&w->thread, NULL, node_worker_thread, w) != 0)
		return err_because(ERR_IO, why, "cannot start a worker: %s", strerror(errno));
	ssize_t got = read(w->result_fd[0], why->text, sizeof(why->text));

	close(w->result_fd[0]);
	close(w->result_fd[1]);
	if (got == 1) {
		why->text[0] = 0;
		n->workers_started++;
		return ERR_OK;
	}
	pthread_join(w->thread, NULL);
	return ERR_UNSUPPORTED;
}

static enum err node_start_workers(struct node *n, struct reason *why)
{
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < n->config->workers; i++) {
		n->inboxes[i] = &n->workers[i].inbox;
		if (inbox_init(n->inboxes[i]) != ERR_OK)
			return err_because(ERR_IO, why, "no event descriptor for a worker");
	}
	for (uint32_t i = 0; i < n->config->workers && err == ERR_OK; i++)
		err = node_start_worker(n, i, why);
	return err;
}

static enum err node_start_loader(struct node *n, struct reason *why)
{
	const struct config *c = n->config;
	struct loader_options options = {
		.node = c->node,
		.servers = c->sync,
		.token_file = c->token_file,
		.trust_file = c->trust_file,
		.run_directory = c->run_dir,
		.workers = n->inboxes,
		.worker_count = c->workers,
	};

	for (uint32_t i = 0; i < n->workers[0].config.uplink_count && i < LINK_WATCH_UPLINKS_MAX;
	     i++)
		options.uplinks[options.uplink_count++] = n->workers[0].config.uplinks[i];
	return loader_start(&options, &n->loader, why);
}

// ---- the control turn --------------------------------------------------------------------------

static void node_drain(struct node *n, const char *cause)
{
	if (n->draining)
		return;
	n->draining = true;
	n->drain_until_ns = clock_monotonic_ns() + n->config->drain_s * NS_PER_S;
	log_event(LOG_INFO, "draining", LOG_S("cause", cause),
		  LOG_N("seconds", n->config->drain_s));
	for (uint32_t i = 0; i < n->workers_started; i++) {
		if (inbox_send_order(n->inboxes[i], INBOX_DRAIN, n->drain_until_ns) != ERR_OK)
			log_event(LOG_ERROR, "drain_order_lost", LOG_N("worker", i));
	}
}

// A successor waits until its predecessor may go: it serves by then.
static void node_check_predecessor(struct node *n)
{
	struct loader_status s;

	if (n->predecessor < 0)
		return;
	loader_status(n->loader, &s);
	if (s.adopted.epoch == 0 || s.certs.not_after_unix_s == 0)
		return;
	takeover_confirm(n->predecessor);
	close(n->predecessor);
	n->predecessor = -1;
	log_event(LOG_INFO, "took_over", LOG_N("listeners", n->listeners.count));
}

// The takeover socket is opened once the predecessor has been told: its place is the same.
static void node_open_takeover(struct node *n)
{
	struct reason why;

	if (n->takeover_fd >= 0 || n->predecessor >= 0 || n->draining)
		return;
	if (takeover_listen(n->config->run_dir, &n->takeover_fd, &why) != ERR_OK)
		log_event(LOG_ERROR, "takeover_socket", LOG_S("detail", why.text));
}

static void node_check_successor(struct node *n)
{
	if (n->successor >= 0 && takeover_confirmed(n->successor)) {
		close(n->takeover_fd); // its path is the successor's now
		n->takeover_fd = -1;
		node_drain(n, "successor");
	}
}

static void node_turn(struct node *n)
{
	struct pollfd fds[NODE_FDS + ADMIN_FDS_MAX] = {
		{.fd = n->signal_fd, .events = POLLIN},
		{.fd = n->takeover_fd, .events = POLLIN},
		{.fd = n->draining ? -1 : n->successor, .events = POLLIN},
	};
	// While a successor serves the same socket, it answers.
	uint32_t admin_fds =
		admin_poll(&n->admin, !n->draining || n->successor < 0, fds + NODE_FDS);
	int tick_ms = n->predecessor >= 0 || n->draining ? CONTROL_TICK_BUSY_MS : CONTROL_TICK_MS;
	struct signalfd_siginfo signal;

	if (poll(fds, NODE_FDS + admin_fds,
		 admin_timeout_ms(&n->admin, clock_monotonic_ns(), tick_ms)) < 0)
		return;
	if (fds[0].revents && read(n->signal_fd, &signal, sizeof(signal)) == sizeof(signal))
		node_drain(n, signal.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
	admin_turn(&n->admin, fds + NODE_FDS, admin_fds, clock_monotonic_ns());
	if (fds[1].revents && n->successor < 0 &&
	    takeover_serve(n->takeover_fd, &n->listeners, &n->successor) == ERR_OK)
		log_event(LOG_INFO, "handing_over", LOG_N("listeners", n->listeners.count));
	if (fds[2].revents & POLLIN) {
		node_check_successor(n);
	} else if (fds[2].revents) {
		close(n->successor); // it died before it served
		n->successor = -1;
	}
	node_check_predecessor(n);
	node_open_takeover(n);
	confine_report();
}

static bool node_workers_alive(struct node *n)
{
	bool alive = false;

	for (uint32_t i = 0; i < n->workers_started; i++) {
		struct node_worker *w = &n->workers[i];

		if (!w->joined)
			w->joined = pthread_tryjoin_np(w->thread, NULL) != EBUSY;
		alive |= !w->joined;
	}
	return alive;
}

static enum err node_signals(struct node *n, struct reason *why)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	// Blocked before any thread starts, so that none of them takes it.
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return err_because(ERR_IO, why, "cannot block signals");
	signal(SIGPIPE, SIG_IGN);
	n->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return n->signal_fd < 0 ? err_because(ERR_IO, why, "signalfd: %s", strerror(errno))
				: ERR_OK;
}

static void node_loader_status(void *context, struct loader_status *out)
{
	loader_status(context, out);
}

static enum err node_start(struct node *n, struct reason *why)
{
	enum err err = node_signals(n, why);

	if (err == ERR_OK)
		err = privileges_prepare(why);
	if (err == ERR_OK && tls_global_init() != ERR_OK)
		err = err_because(ERR_CRYPTO, why, "wolfSSL does not start");
	if (err == ERR_OK)
		err = node_get_listeners(n, why);
	if (err == ERR_OK)
		err = node_map_tables(n, why);
	if (err == ERR_OK)
		err = accesslog_open(n->config->access_log, &n->log, why);
	if (err == ERR_OK)
		err = privileges_drop(why); // threads inherit what is left
	if (err == ERR_OK)
		err = node_start_workers(n, why);
	if (err == ERR_OK && accesslog_start(n->log) != ERR_OK)
		err = err_because(ERR_IO, why, "cannot start the logger's thread");
	if (err == ERR_OK)
		err = node_start_loader(n, why);
#if !defined(                                                                                      \
	__SANITIZE_ADDRESS__) // its leak checker could not look at the threads when the process ends
	if (err == ERR_OK)
		err = confine_process(why); // threads that run already too
#endif
	admin_init(&n->admin, &(struct admin_options){
				      .listen_fd = node_handed_fd(n, HANDED_ADMIN),
				      .run_dir = n->config->run_dir,
				      .status = node_loader_status,
				      .context = n->loader,
				      .workers = n->inboxes,
				      .worker_count = n->config->workers,
			      });
	return err;
}

// After the workers' threads have ended, or were never started.
static void node_end(struct node *n)
{
	admin_deinit(&n->admin);
	if (n->loader)
		loader_stop(n->loader);
	accesslog_close(n->log);
	for (uint32_t i = 0; i < n->config->workers; i++)
		worker_free(n->workers[i].worker);
	if (n->loader)
		loader_free(n->loader);
	for (uint32_t i = 0; i < n->config->workers; i++) {
		if (n->inboxes[i])
			inbox_deinit(n->inboxes[i]);
	}
	for (uint32_t i = 0; i < n->listeners.count; i++)
		close(n->listeners.items[i].fd);
	if (n->shared)
		munmap(n->shared, n->shared_bytes);
	int fds[] = {n->signal_fd, n->takeover_fd, n->successor, n->predecessor};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

enum err node_run(const struct config *c, struct reason *why)
{
	struct node *n = calloc(1, sizeof(*n));
	enum err err;

	if (!n)
		return err_because(ERR_NOMEM, why, "no memory");
	n->config = c;
	n->signal_fd = n->takeover_fd = n->successor = n->predecessor = -1;
	err = node_start(n, why);
	if (err == ERR_OK) {
		log_event(LOG_INFO, "started", LOG_S("version", PORTCULLIS_VERSION),
			  LOG_S("node", c->node), LOG_N("workers", c->workers));
		while (!n->draining || node_workers_alive(n))
			node_turn(n);
		log_event(LOG_INFO, "stopped", LOG_S("node", c->node));
	} else {
		for (uint32_t i = 0; i < n->workers_started; i++) {
			if (inbox_send_order(n->inboxes[i], INBOX_STOP, 0) == ERR_OK)
				pthread_join(n->workers[i].thread, NULL);
		}
	}
	node_end(n);
	free(n);
	return err;
}
