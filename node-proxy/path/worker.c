// SPDX-License-Identifier: GPL-3.0-or-later
// A worker's turn and its world; see worker.h. Order of a turn: completions (bytes go straight down),
// events, timers, events again, what was produced is sealed and armed to be sent, the dead are
// freed. So nothing is freed under the feet of a caller, and a turn's output leaves together.
#include "path/worker.h"

#include <stdlib.h>
#include <unistd.h>
#include "common/clock.h"
#include "io/sock.h"
#include "path/conn.h"
#include "path/http.h"
#include "path/leave.h"
#include "path/observe.h"
#include "path/outbound.h"
#include "path/peer.h"
#include "path/pressure.h"
#include "path/recheck.h"
#include "path/stages.h"

#define WORKER_TLS_HEAP_MAX (64u << 20)
#define WORKER_TOKENS	    4096
#define WORKER_LOG_BYTES    (1u << 20)
#define HOUSEKEEPING_MS	    1000
#define DRAIN_GRACE_MS	    2000

// What an op without a conn is.
enum worker_op { WORKER_OP_WAKE = 0x40, WORKER_OP_ACCEPT, WORKER_OP_CANCEL_ACCEPT };

uint64_t worker_random(struct worker *w)
{
	// xorshift64*: spreads load and jitters timers; nothing secret hangs on it.
	uint64_t v = w->random_state;

	v ^= v >> 12;
	v ^= v << 25;
	v ^= v >> 27;
	w->random_state = v;
	return v * 0x2545f4914f6cdd1dull;
}

bool worker_is_uplink(const struct worker *w, uint32_t ifindex)
{
	for (uint32_t i = 0; i < w->config.uplink_count; i++) {
		if (w->config.uplinks[i] == ifindex)
			return true;
	}
	return false;
}

// ---- listeners ---------------------------------------------------------------------------------

// Of those who dial the tunnel, one a turn: a crowd of strangers makes no turn longer.
static void worker_arm_accept(struct worker *w, struct listener *l)
{
	ring_accept(w->ring, &l->accept, l->fd, l->kind == LISTENER_CAPTURE);
}

void worker_listen(struct worker *w, enum listener_kind kind, int fd)
{
	struct listener *l = &w->listeners[w->listener_count++];

	l->kind = kind;
	l->fd = fd;
	l->accept.tag = WORKER_OP_ACCEPT;
	l->cancel.tag = WORKER_OP_CANCEL_ACCEPT;
	// Without a snapshot everything would be refused: clients wait in the backlog instead.
	if (w->pin)
		worker_arm_accept(w, l);
}

static void worker_start_listening(struct worker *w)
{
	for (uint32_t i = 0; i < w->listener_count; i++) {
		struct listener *l = &w->listeners[i];

		if (!l->accept.armed && !w->draining)
			worker_arm_accept(w, l);
	}
}

static void worker_stop_listening(struct worker *w)
{
	for (uint32_t i = 0; i < w->listener_count; i++) {
		struct listener *l = &w->listeners[i];

		if (l->accept.armed && !l->cancel.armed)
			ring_cancel(w->ring, &l->cancel, &l->accept);
	}
}

// A peer's tunnel k dials from a port congruent to k: it is worker k mod W's.
static void worker_accept_tunnel(struct worker *w, int fd)
{
	struct addr_port peer, self;
	uint32_t ifindex;

	if (sock_accepted(fd, &peer, &self, &ifindex) != ERR_OK) {
		close(fd);
		return;
	}
	uint32_t index = peer.port % TUNNEL_PORT_MODULUS % w->config.count;

	if (index == w->config.index)
		mux_accept(w, fd);
	else if (inbox_send_fd(w->config.siblings[index], fd) != ERR_OK)
		close(fd);
}

static void worker_on_accept(struct worker *w, struct listener *l,
			     const struct ring_completion *done)
{
	if (done->res >= 0) {
		if (l->kind == LISTENER_CAPTURE)
			outbound_capture(w, done->res);
		else
			worker_accept_tunnel(w, done->res);
	} else if (ring_outcome(IO_ACCEPT, done->res) != RING_AGAIN) {
		w->counters.accept_errors++;
	}
	// A full descriptor table would refuse the next turn's at once: it waits for housekeeping.
	if (!l->accept.armed && !w->draining)
		l->rearm = ring_outcome(IO_ACCEPT, done->res) != RING_NO_MEMORY;
}

static void worker_rearm_listeners(struct worker *w)
{
	for (uint32_t i = 0; i < w->listener_count; i++) {
		struct listener *l = &w->listeners[i];

		if (l->rearm && !w->draining && !l->accept.armed) {
			l->rearm = false;
			worker_arm_accept(w, l);
		}
	}
}

// ---- snapshots ---------------------------------------------------------------------------------

struct snapshot_pin *worker_pin(struct worker *w)
{
	if (w->pin)
		w->pin->refs++;
	return w->pin;
}

void worker_unpin(struct worker *w, struct snapshot_pin *pin)
{
	(void)w;
	if (!pin || --pin->refs > 0)
		return;
	inbox_release(pin->hold);
	*pin = (struct snapshot_pin){0};
}

static struct snapshot_pin *worker_free_pin(struct worker *w)
{
	for (int i = 0; i < WORKER_PINS; i++) {
		if (!w->pins[i].snapshot)
			return &w->pins[i];
	}
	return NULL;
}

// After a swap every exchange is asked again and follows to the new generation, so many a turn.
static void worker_recheck(struct worker *w)
{
	for (uint32_t n = 0; w->recheck && n < RECHECK_PER_TURN; n++) {
		struct exchange *x = w->recheck;

		w->recheck = x->next;
		recheck_exchange(x);
	}
}

static void worker_on_snapshot(struct worker *w, struct hold *hold)
{
	struct snapshot_pin *pin = worker_free_pin(w);

	// The publisher keeps at most three generations alive, and there are four places. If a
	// recheck is still under way, it is finished now.
	while (!pin && w->recheck) {
		worker_recheck(w);
		exchange_free_dead(w);
		pin = worker_free_pin(w);
	}
	if (!pin) {
		inbox_adopt(hold);
		inbox_release(hold);
		return;
	}
	struct snapshot_pin *old = w->pin;

	pin->snapshot = hold->publication->snapshot;
	pin->hold = hold;
	pin->refs = 1; // the current one's own
	w->pin = pin;
	inbox_adopt(hold);
	w->recheck = w->all;
	mux_recheck(w);
	worker_unpin(w, old);
	worker_start_listening(w);
}

static void worker_post_all(struct worker *w, enum event e)
{
	for (struct exchange *x = w->all; x; x = x->next)
		exchange_post(x, e);
}

static void worker_on_links(struct worker *w, struct hold *hold)
{
	struct hold *old = w->links_hold;

	w->links = hold->publication->links;
	w->links_hold = hold;
	inbox_adopt(hold);
	if (old)
		inbox_release(old);
	worker_post_all(w, EVENT_RECHECK);
}

static void worker_on_credentials(struct worker *w, struct hold *hold)
{
	struct hold *old = w->credentials_hold;

	w->tls_client = hold->publication->credentials.client;
	w->tls_server = hold->publication->credentials.server;
	w->credentials_hold = hold;
	inbox_adopt(hold);
	if (old)
		inbox_release(old);
	// New streams take a tunnel of the new certificate; those open go on over the old one.
	for (struct mux *m = w->muxes_list; m; m = m->next) {
		if (!m->server)
			mux_goaway(m, TUNNEL_REASON_SHUTDOWN);
	}
}

// ---- messages ----------------------------------------------------------------------------------

static void worker_drain(struct worker *w, uint64_t until_ns)
{
	w->draining = true;
	w->drain_until_ns = until_ns;
	worker_stop_listening(w);
	leave_tell(w, NULL);
	for (struct mux *m = w->muxes_list; m; m = m->next)
		mux_goaway(m, TUNNEL_REASON_SHUTDOWN);
}

static void worker_end_all(struct worker *w, enum end_reason reason)
{
	for (struct exchange *x = w->all; x; x = x->next) {
		exchange_end(x, reason);
		exchange_abort(x);
	}
	for (struct mux *m = w->muxes_list; m; m = m->next)
		mux_fail(m, TUNNEL_REASON_SHUTDOWN, NULL);
}

static void worker_on_message(struct worker *w, struct wake_message *m)
{
	switch ((enum inbox_type)m->type) {
	case INBOX_SNAPSHOT:
		worker_on_snapshot(w, inbox_hold(m));
		return;
	case INBOX_LINKS:
		worker_on_links(w, inbox_hold(m));
		return;
	case INBOX_CREDENTIALS:
		worker_on_credentials(w, inbox_hold(m));
		return;
	case INBOX_FD:
		mux_accept(w, ((struct inbox_fd *)m)->fd);
		break;
	case INBOX_DRAIN:
		worker_drain(w, ((struct inbox_order *)m)->at_ns);
		break;
	case INBOX_STOP:
		w->stopping = true;
		worker_drain(w, w->now_ns); // not 0: what is open is reset first, within the grace
		break;
	case INBOX_QUERY:
		inbox_answer(m, w);
		return;
	case INBOX_NONE:
	case INBOX_TYPE_COUNT:
		break;
	}
	inbox_done(m);
}

static void worker_on_wake(struct worker *w)
{
	struct wake_message *m;

	inbox_clear(w->inbox);
	while ((m = inbox_next(w->inbox)) != NULL)
		worker_on_message(w, m);
	if (!w->wake.armed)
		ring_poll(w->ring, &w->wake, w->inbox->queue.event_fd);
}

// ---- the turn ----------------------------------------------------------------------------------

static void worker_on_completion(void *context, const struct ring_completion *done)
{
	struct worker *w = context;

	switch (done->op->tag) {
	case WORKER_OP_WAKE:
		worker_on_wake(w);
		break;
	case WORKER_OP_ACCEPT:
		worker_on_accept(w,
				 (struct listener *)((uint8_t *)done->op -
						     offsetof(struct listener, accept)),
				 done);
		break;
	case WORKER_OP_CANCEL_ACCEPT:
		if (ring_outcome(IO_CANCEL, done->res) != RING_DONE)
			worker_stop_listening(w);
		break;
	default:
		conn_on_io(conn_of_op(done->op), done);
		break;
	}
}

static void worker_housekeeping(struct worker *w)
{
	w->now_unix_s = (int64_t)(clock_unix_ms() / 1000);
	mux_recheck(w); // certificates expire without a message
	conn_restart_waiting(w);
	if (w->pin)
		worker_start_listening(w);
	timer_set(&w->timers, &w->housekeeping, w->now_ns + HOUSEKEEPING_MS * NS_PER_MS);
}

static void worker_on_timer(void *context, struct timer *t)
{
	struct worker *w = context;

	switch ((enum timer_tag)t->tag) {
	case TIMER_CONN:
		conn_on_timer((struct conn *)((uint8_t *)t - offsetof(struct conn, timer)));
		break;
	case TIMER_EXCHANGE:
		exchange_post((struct exchange *)((uint8_t *)t - offsetof(struct exchange, timer)),
			      EVENT_TIMER);
		break;
	case TIMER_MUX:
		mux_on_timer((struct mux *)((uint8_t *)t - offsetof(struct mux, timer)));
		break;
	case TIMER_PEER:
		peer_on_timer((struct peer *)((uint8_t *)t - offsetof(struct peer, timer)));
		break;
	case TIMER_HOUSEKEEPING:
		worker_housekeeping(w);
		break;
	case TIMER_NONE:
		break;
	}
}

// An accept that is being cancelled may still bring a connection: it has to end first.
static bool worker_is_accepting(const struct worker *w)
{
	for (uint32_t i = 0; i < w->listener_count; i++) {
		if (w->listeners[i].accept.armed || w->listeners[i].cancel.armed)
			return true;
	}
	return false;
}

static bool worker_is_done(struct worker *w)
{
	if (!w->draining || worker_is_accepting(w))
		return false;
	if (w->now_ns >= w->drain_until_ns && (w->all || w->counters.conns_open > 0))
		worker_end_all(w, END_DRAINED);
	// A peer that takes nothing must not keep the process: what is left goes with its sockets.
	if (w->now_ns >= w->drain_until_ns + DRAIN_GRACE_MS * NS_PER_MS)
		return true;
	return !w->all && w->counters.conns_open == 0;
}

static bool worker_has_work(const struct worker *w)
{
	return w->run_head || w->dirty_conns.waiting || w->dirty_muxes || w->starved_conns ||
	       w->recheck;
}

const uint32_t worker_turn_bounds_us[] = {10,  25,   50,   75,	 100,	150,   250,
					  500, 1000, 2500, 5000, 10000, 25000, 100000};

static void worker_count_turn(struct worker *w, uint64_t spent_ns)
{
	struct worker_counters *c = &w->counters;
	uint32_t bucket = 0;

	while (bucket < WORKER_TURN_BUCKETS - 1 &&
	       spent_ns > worker_turn_bounds_us[bucket] * UINT64_C(1000))
		bucket++;
	c->turn_buckets[bucket]++;
	c->turns++;
	c->turn_ns_sum += spent_ns;
	if (spent_ns > c->turn_ns_max)
		c->turn_ns_max = spent_ns;
}

bool worker_turn(struct worker *w, uint64_t wait_until_ns)
{
	uint64_t next_timer = timer_next_ns(&w->timers), next_turn = admission_next_ns(w);

	if (next_timer < wait_until_ns)
		wait_until_ns = next_timer;
	if (next_turn < wait_until_ns)
		wait_until_ns = next_turn;
	if (worker_has_work(w))
		wait_until_ns = 0;
	worker_rearm_listeners(w);
	ring_turn(w->ring, wait_until_ns, worker_on_completion, w, &w->now_ns);
	uint64_t started = w->now_ns;

	conn_restart_starved(w);
	exchange_run_queue(w);
	timer_advance(&w->timers, w->now_ns, worker_on_timer, w);
	worker_recheck(w);
	admission_release(w);
	exchange_run_queue(w);
	pressure_relieve(w);
	mux_flush_dirty(w);
	conn_flush_dirty(w);
	exchange_free_dead(w);
	worker_count_turn(w, clock_monotonic_ns() - started);
	return !worker_is_done(w);
}

void worker_run(struct worker *w)
{
	tls_thread_heap(WORKER_TLS_HEAP_MAX);
	while (worker_turn(w, UINT64_MAX))
		;
}

// ---- life --------------------------------------------------------------------------------------

static void worker_make_pools(struct worker *w)
{
	pool_init(&w->conns, sizeof(struct conn), 64, CONNS_MAX);
	pool_init(&w->exchanges, sizeof(struct exchange), 32, w->config.exchanges_max);
	pool_init(&w->chunks, CHUNK_BYTES, 8, CHUNKS_MAX);
	pool_init(&w->tunnel_chunks, CHUNK_BYTES, 8, TUNNEL_CHUNKS_MAX);
	pool_init(&w->small, UNREAD_SMALL_BYTES, 4, UNREAD_SMALL_MAX);
	pool_init(&w->large, UNREAD_LARGE_BYTES, 1, UNREAD_LARGE_MAX);
	pool_init(&w->huge, UNREAD_HUGE_BYTES, 1, UNREAD_HUGE_MAX);
	pool_init(&w->https, sizeof(struct http), 16, w->config.exchanges_max);
	pool_init(&w->observers, sizeof(struct observer), 4, OBSERVERS_MAX);
	pool_init(&w->claims, sizeof(struct claim), 8, w->config.exchanges_max);
	pool_init(&w->muxes, sizeof(struct mux), 4, TUNNELS_MAX);
	pool_init(&w->mux_pages, sizeof(struct mux_page), 4, TUNNELS_MAX * 4);
	pool_init(&w->records, TLS_RECORD_PLAINTEXT_MAX + 1, 2, TUNNELS_MAX);
}

static void worker_make_holders(struct worker *w)
{
	uint32_t exchanges = w->config.exchanges_max;
	const uint32_t limit[HOLDER_RESOURCES] = {
		[HOLDER_EXCHANGES] = exchanges - HOLDER_POOL_SLACK(exchanges),
		[HOLDER_DESCRIPTORS] = w->config.descriptors_max,
		[HOLDER_HEADS_SMALL] = UNREAD_SMALL_MAX,
		[HOLDER_HEADS_LARGE] = UNREAD_LARGE_MAX,
		[HOLDER_HEADS_HUGE] = UNREAD_HUGE_MAX,
		[HOLDER_HANDSHAKES] = HANDSHAKES_MAX,
		[HOLDER_TUNNELS] = TUNNELS_MAX - HANDSHAKES_MAX,
		[HOLDER_OPENS] = HELD_OPENS_MAX,
	};

	holder_table_init(&w->holders, limit, w->config.seed);
}

#define WORKER_POOLS 13

static void worker_list_pools(struct worker *w, struct pool *out[WORKER_POOLS])
{
	struct pool *pools[WORKER_POOLS] = {&w->conns,	       &w->exchanges, &w->chunks,
					    &w->tunnel_chunks, &w->small,     &w->large,
					    &w->huge,	       &w->https,     &w->claims,
					    &w->muxes,	       &w->mux_pages, &w->records,
					    &w->observers};

	memcpy(out, pools, sizeof(pools));
}

uint64_t worker_objects_taken(struct worker *w)
{
	struct pool *pools[WORKER_POOLS];
	uint64_t taken = 0;

	worker_list_pools(w, pools);
	for (size_t i = 0; i < WORKER_POOLS; i++)
		taken += pools[i]->taken;
	return taken;
}

enum err worker_new(const struct worker_config *config, struct ring *ring, struct inbox *inbox,
		    struct worker **out, struct reason *why)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return err_because(ERR_NOMEM, why, "no memory for a worker");
	w->config = *config;
	w->ring = ring;
	w->inbox = inbox;
	w->now_ns = clock_monotonic_ns();
	w->random_state = config->seed | 1;
	w->next_exchange_id = 1;
	worker_make_pools(w);
	worker_make_holders(w);
	w->send_vectors = calloc(WORKER_SEND_VECTORS, sizeof(*w->send_vectors));
	w->message = calloc(1, sizeof(*w->message));
	w->plaintext = malloc(WORKER_PLAINTEXT_BYTES);
	w->scratch = malloc(DECIDE_SCRATCH_BYTES);
	w->tokens = token_cache_new(WORKER_TOKENS, config->seed);
	if (!w->send_vectors || !w->message || !w->plaintext || !w->scratch || !w->tokens ||
	    record_ring_init(&w->log, WORKER_LOG_BYTES, config->log_event_fd) != ERR_OK) {
		worker_free(w);
		return err_because(ERR_NOMEM, why, "no memory for a worker's buffers");
	}
	timer_wheel_init(&w->timers, w->now_ns);
	w->housekeeping.tag = TIMER_HOUSEKEEPING;
	worker_housekeeping(w);
	w->wake.tag = WORKER_OP_WAKE;
	ring_poll(w->ring, &w->wake, inbox->queue.event_fd);
	*out = w;
	return ERR_OK;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	peers_free(w);
	for (int i = 0; i < WORKER_PINS; i++) {
		if (w->pins[i].snapshot)
			inbox_release(w->pins[i].hold);
	}
	if (w->links_hold)
		inbox_release(w->links_hold);
	if (w->credentials_hold)
		inbox_release(w->credentials_hold);
	token_cache_free(w->tokens);
	record_ring_deinit(&w->log);
	free(w->send_vectors);
	free(w->message);
	free(w->plaintext);
	free(w->scratch);
	struct pool *pools[WORKER_POOLS];

	worker_list_pools(w, pools);
	for (size_t i = 0; i < WORKER_POOLS; i++)
		pool_deinit(pools[i]);
	holder_table_deinit(&w->holders);
	free(w);
}
