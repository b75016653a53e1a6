// SPDX-License-Identifier: GPL-3.0-or-later
// Life of a tunnel's connection, its stream table and its sending side; see mux.h. Frames that
// arrive are mux_receive.c's; which tunnel a stream takes is peer.c's.
#include "path/mux.h"

#include <stdio.h>
#include <unistd.h>
#include "io/crypto.h"
#include "io/sock.h"
#include "path/conn.h"
#include "path/handshake.h"
#include "path/mux_send.h"
#include "path/peer.h"
#include "path/worker.h"
#include "path/worker_log.h"

// ---- life --------------------------------------------------------------------------------------

static void mux_set_timer(struct mux *m, uint64_t after_ms)
{
	timer_set(&m->worker->timers, &m->timer, m->worker->now_ns + after_ms * NS_PER_MS);
}

// What is left to its streams: the process, or the certificate that the peer showed. Never 0, by which an older
// node says nothing.
static uint32_t mux_left_ms(const struct mux *m)
{
	const struct worker *w = m->worker;
	int64_t left_s = m->certificate_not_after_unix_s - w->now_unix_s;

	if (w->draining)
		return w->drain_until_ns > w->now_ns
			       ? (uint32_t)((w->drain_until_ns - w->now_ns) / NS_PER_MS) + 1
			       : 1;
	if (left_s > (int64_t)(UINT32_MAX / 1000))
		return UINT32_MAX;
	return left_s > 0 ? (uint32_t)left_s * 1000 : 1;
}

void mux_goaway(struct mux *m, enum tunnel_reason reason)
{
	uint8_t bytes[16];
	struct buf b;

	if (m->state != MUX_OPEN || m->bulk) // a bulk connection goes with its tunnel
		return;
	buf_init_fixed(&b, bytes, sizeof(bytes));
	tunnel_encode_goaway(&b, (uint16_t)reason, mux_left_ms(m));
	mux_put_frame(m, &b);
	m->state = MUX_GOAWAY;
	mux_mark_dirty(m);
	if (m->peer)
		peer_on_end(m->peer, m, true);
}

void mux_fail(struct mux *m, enum tunnel_reason reason, const char *log_reason)
{
	struct worker *w = m->worker;
	bool was_open = m->state >= MUX_OPEN;

	if (m->state == MUX_DEAD)
		return;
	if (log_reason && handshake_may_log(m))
		worker_log_tunnel(w, m, was_open ? "tunnel_closed" : "tunnel_failed", log_reason);
	if (was_open)
		w->counters.tunnels_open--;
	m->state = MUX_DEAD;
	mux_reset_streams(m, reason);
	mux_bulk_part(m, was_open);
	handshake_leave(m);
	timer_cancel(&w->timers, &m->timer);
	if (m->conn) {
		// A record that did not fit whole is followed by nothing that could be read.
		// Who has to make room, or has said nothing, is waited for no longer.
		bool cut = m->record_failed || (!was_open && (reason == TUNNEL_REASON_OVERLOADED ||
							      reason == TUNNEL_REASON_TIMEOUT));

		conn_end(m->conn, cut ? CONN_END_RESET : CONN_END_FLUSH);
		m->conn = NULL;
	}
	if (m->peer)
		peer_on_end(m->peer, m, was_open);
	m->peer = NULL;
	m->next_dead = w->dead_muxes; // freed at the end of the turn
	w->dead_muxes = m;
}

// By FIN behind everything, and goes on reading. Closed in both directions at once, the kernel would
// answer the peer's last CREDITs with RST and throw away what it has not sent yet.
static void mux_finish(struct mux *m)
{
	m->state = MUX_LINGER;
	conn_write_finish(m->conn);
	mux_set_timer(m, TUNNEL_SILENCE_MS);
}

void mux_drained(struct mux *m)
{
	struct mux *bulk = m->partner;

	if (!bulk) {
		mux_finish(m);
	} else if (bulk->state == MUX_OPEN) {
		mux_flush(bulk); // what it carries has to arrive before the tunnel's end does
		if (bulk->state == MUX_OPEN)
			mux_finish(bulk);
	} else if (bulk->state < MUX_OPEN) {
		mux_fail(bulk, TUNNEL_REASON_SHUTDOWN, NULL);
	}
}

static void mux_free(struct mux *m)
{
	struct worker *w = m->worker;

	if (m->previous)
		m->previous->next = m->next;
	else
		w->muxes_list = m->next;
	if (m->next)
		m->next->previous = m->previous;
	if (m->record)
		pool_put(&w->records, m->record);
	tls_session_free(m->tls);
	pool_put(&w->muxes, m);
}

// One of the keys that the snapshot allows this node? None yet: no certificate has been issued that
// this snapshot knows of, so nobody may speak for the node.
static bool mux_pin_matches(const struct mux *m, const struct ss_node *node)
{
	for (size_t at = 0; at + NODE_PIN_BYTES <= node->key_pins.len; at += NODE_PIN_BYTES) {
		if (memcmp(node->key_pins.ptr + at, m->key_pin, NODE_PIN_BYTES) == 0)
			return true;
	}
	return false;
}

// A tunnel ends with the certificate that the peer showed, and what is on it with it: new streams leave it in
// time, at half of what is left of it: the peer has renewed its own by then, which nobody else would tell us.
static uint64_t mux_retire_at(const struct mux *m)
{
	int64_t left_s = m->certificate_not_after_unix_s - m->worker->now_unix_s;

	if (left_s > CERTIFICATE_LIFE_MAX_S)
		left_s = CERTIFICATE_LIFE_MAX_S;
	return m->worker->now_ns + (left_s > 0 ? (uint64_t)left_s * NS_PER_S / 2 : 0);
}

// Certificate ▶ node of the snapshot ▶ pinned key; a dialled one has to be the node that was meant.
static enum err mux_check_peer(struct mux *m, struct reason *why)
{
	const struct snapshot *s = worker_snapshot(m->worker);
	struct slice domain, name;
	struct tls_peer peer;

	if (tls_peer(m->tls, &peer) != ERR_OK ||
	    identity_parse_node(peer.uri, &domain, &name) != ERR_OK)
		return err_because(ERR_DENIED, why, "certificate names no node");
	if (!s)
		return err_because(ERR_DENIED, why, "no snapshot yet");
	if (!slice_eq(domain, snapshot_meta(s)->trust_domain))
		return err_because(ERR_DENIED, why, "certificate of trust domain %.*s",
				   SLICE_ARG(domain));
	const struct ss_node *node = snapshot_node_by_name(s, name);

	if (!node)
		return err_because(ERR_DENIED, why, "node %.*s is not in the snapshot",
				   SLICE_ARG(name));
	if (!m->server && !slice_eq_str(name, m->node))
		return err_because(ERR_DENIED, why, "dialled %s, answered by %.*s", m->node,
				   SLICE_ARG(name));
	memcpy(m->key_pin, peer.key_pin, sizeof(m->key_pin));
	m->certificate_not_after_unix_s = peer.not_after_unix_s;
	m->retire_ns = mux_retire_at(m);
	snprintf(m->node, sizeof(m->node), "%.*s", SLICE_ARG(name));
	if (!mux_pin_matches(m, node))
		return err_because(ERR_DENIED, why, "key of node %s is not the pinned one",
				   m->node);
	return ERR_OK;
}

static void mux_handshake(struct mux *m)
{
	struct reason why = {0};
	enum err err = tls_handshake(m->tls, &why);

	if (err == ERR_AGAIN)
		return;
	if (err == ERR_OK)
		err = mux_check_peer(m, &why);
	if (err != ERR_OK) {
		m->worker->counters.checks_failed++;
		mux_fail(m, TUNNEL_REASON_IDENTITY, why.text);
		return;
	}
	if (m->server && !handshake_proven(m)) {
		mux_fail(m, TUNNEL_REASON_OVERLOADED, "too many tunnels of this node");
		return;
	}
	// A client's TLS 1.3 handshake ends before the server has looked at its certificate: streams
	// wait for the server's HELLO, so that a refusal costs a dial and no stream. The server says it when
	// it has read the client's: then a bulk connection is known to its tunnel before it is used.
	m->state = MUX_GREETING;
	m->worker->counters.handshakes++;
	m->last_busy_ns = m->last_received_ns = m->worker->now_ns;
	if (!m->server)
		mux_put_hello(m); // the server's is the answer to it
}

void mux_put_hello(struct mux *m)
{
	struct tunnel_hello hello = {
		.version = TUNNEL_PROTO_VERSION, .bulk = m->bulk, .resets_on_bulk = true};
	uint8_t bytes[256];
	struct buf b;

	memcpy(hello.group, m->group, sizeof(hello.group));
	hello.generation = snapshot_generation(worker_snapshot(m->worker));
	buf_init_fixed(&b, bytes, sizeof(bytes));
	tunnel_encode_hello(&b, &hello);
	mux_put_frame(m, &b);
}

void mux_on_greeted(struct mux *m)
{
	if (m->state != MUX_GREETING)
		return;
	m->state = MUX_OPEN;
	m->worker->counters.tunnels_open++;
	mux_set_timer(m, TUNNEL_PING_MS);
	worker_log_tunnel(m->worker, m, "tunnel_established", NULL);
	if (m->peer)
		peer_on_open(m->peer, m);
}

bool mux_is_up(const struct mux *m)
{
	return m->state == MUX_GREETING || m->state == MUX_OPEN || m->state == MUX_GOAWAY;
}

// False: m has failed.
static bool mux_start_tls(struct mux *m)
{
	struct reason why = {0};
	struct tls_context *context = m->server ? m->worker->tls_server : m->worker->tls_client;

	m->state = MUX_HANDSHAKE;
	if (!context || tls_session_new(context, m->server, mux_sink, m, &m->tls) != ERR_OK) {
		mux_fail(m, TUNNEL_REASON_OVERLOADED, "no certificate yet, or out of TLS memory");
		return false;
	}
	if (m->server || tls_handshake(m->tls, &why) == ERR_AGAIN)
		return true;
	mux_fail(m, TUNNEL_REASON_IDENTITY, why.text);
	return false;
}

static void mux_on_data(struct conn *c, struct slice ciphertext)
{
	struct mux *m = c->owner;
	struct worker *w = m->worker;
	enum err err = ERR_OK;

	if (m->state == MUX_LINGER)
		return;
	m->last_received_ns = w->now_ns;
	if (!m->tls && !mux_start_tls(m))
		return;
	tls_offer(m->tls, ciphertext);
	if (m->state == MUX_HANDSHAKE)
		mux_handshake(m);
	while (mux_is_up(m)) {
		size_t len;

		err = tls_read(m->tls, w->plaintext, WORKER_PLAINTEXT_BYTES, &len);
		if (err != ERR_OK)
			break;
		mux_receive(m, slice_make(w->plaintext, len));
	}
	if (m->state == MUX_DEAD || err == ERR_OK || err == ERR_AGAIN)
		return;
	mux_fail(m, TUNNEL_REASON_SHUTDOWN, err == ERR_CLOSED ? "closed by peer" : "TLS error");
}

static void mux_on_eof(struct conn *c)
{
	struct mux *m = c->owner;

	mux_fail(m, TUNNEL_REASON_SHUTDOWN,
		 m->state == MUX_LINGER ? "drained" : "connection closed by peer");
}

static void mux_on_sent(struct conn *c, uint32_t bytes)
{
	struct mux *m = c->owner;

	(void)bytes;
	if (m->pending.waiting && c->out.bytes <= TUNNEL_LOW_BYTES)
		mux_mark_dirty(m);
}

static void mux_on_connected(struct conn *c)
{
	(void)mux_start_tls(c->owner);
}

static void mux_on_failed(struct conn *c, int error)
{
	mux_fail(c->owner, TUNNEL_REASON_UNREACHABLE, strerror(error));
}

static const struct conn_events mux_conn_events = {
	.data = mux_on_data,
	.eof = mux_on_eof,
	.sent = mux_on_sent,
	.connected = mux_on_connected,
	.failed = mux_on_failed,
};

static struct mux *mux_new(struct worker *w, bool server)
{
	struct mux *m = pool_get(&w->muxes);

	if (!m)
		return NULL;
	m->worker = w;
	m->server = server;
	m->holding = HOLDER_RESOURCES;
	m->next_slot = 1;
	m->timer.tag = TIMER_MUX;
	m->next = w->muxes_list;
	if (m->next)
		m->next->previous = m;
	w->muxes_list = m;
	return m;
}

void mux_accept(struct worker *w, int fd)
{
	struct mux *m = w->tls_server && w->pin ? mux_new(w, true) : NULL;
	struct addr_port destination;
	uint32_t ifindex;

	if (!m) {
		close(fd);
		w->counters.tunnels_failed++;
		return;
	}
	m->conn = conn_new_open(w, fd, RING_GROUP_TUNNEL, &mux_conn_events, m);
	if (!m->conn || sock_accepted(fd, &m->remote, &destination, &ifindex) != ERR_OK) {
		if (!m->conn)
			close(fd);
		mux_fail(m, TUNNEL_REASON_OVERLOADED, "out of descriptors");
		return;
	}
	if (!handshake_enter(m)) {
		mux_fail(m, TUNNEL_REASON_OVERLOADED, NULL);
		return;
	}
	sock_tune(fd, USER_TIMEOUT_MS);
	sock_bound_unsent(fd, TUNNEL_UNSENT_BYTES);
	mux_set_timer(m, TUNNEL_HANDSHAKE_MS);
	m->state = MUX_HANDSHAKE; // TLS begins with the first byte: who says nothing has no session
	conn_read_many(m->conn);
	conn_read_start(m->conn);
}

// Connects m, whose node, remote and group are set. False: m has failed.
static bool mux_connect(struct mux *m)
{
	struct worker *w = m->worker;
	struct sock_dial_options options = {
		.transparent =
			true, // so that the rules know its segments for ours, and nobody tracks them
		.mark = w->config.mark,
		.user_timeout_ms = USER_TIMEOUT_MS,
		.source_port_base = (uint16_t)w->config.index,
		.source_port_modulus = TUNNEL_PORT_MODULUS,
	};
	int fd;

	m->state = MUX_CONNECTING;
	w->counters.tunnels_dialled++;
	if (sock_dial(m->remote, &options, &fd) != ERR_OK) {
		mux_fail(m, TUNNEL_REASON_UNREACHABLE, "no socket to dial with");
		return false;
	}
	sock_bound_unsent(fd, TUNNEL_UNSENT_BYTES);
	m->conn = conn_new_connect(w, fd, m->remote, RING_GROUP_TUNNEL, &mux_conn_events, m);
	if (!m->conn) {
		close(fd);
		mux_fail(m, TUNNEL_REASON_OVERLOADED, "too many connections");
		return false;
	}
	conn_read_many(m->conn);
	conn_read_start(m->conn);
	mux_set_timer(m, TUNNEL_HANDSHAKE_MS);
	return true;
}

struct mux *mux_dial(struct worker *w, struct peer *p)
{
	struct mux *m = w->tls_client ? mux_new(w, false) : NULL;

	if (!m)
		return NULL;
	m->remote = p->address;
	snprintf(m->node, sizeof(m->node), "%s", p->name);
	if (crypto_random(m->group, sizeof(m->group)) != ERR_OK) {
		mux_fail(m, TUNNEL_REASON_OVERLOADED, "no random bytes");
		return NULL;
	}
	if (!mux_connect(m))
		return NULL;
	m->peer = p;
	return m;
}

struct mux *mux_dial_bulk(struct mux *primary)
{
	struct worker *w = primary->worker;
	struct mux *m = w->tls_client ? mux_new(w, false) : NULL;

	if (!m)
		return NULL;
	m->bulk = true;
	m->remote = primary->remote;
	memcpy(m->node, primary->node, sizeof(m->node));
	memcpy(m->group, primary->group, sizeof(m->group));
	return mux_connect(m) ? m : NULL;
}

void mux_on_timer(struct mux *m)
{
	uint64_t now = m->worker->now_ns;

	if (m->state < MUX_OPEN) {
		mux_fail(m, TUNNEL_REASON_TIMEOUT, "no handshake in time");
		return;
	}
	if (m->state == MUX_LINGER) {
		mux_fail(m, TUNNEL_REASON_TIMEOUT, "drained, and the peer did not close");
		return;
	}
	if (now - m->last_received_ns > TUNNEL_SILENCE_MS * NS_PER_MS) {
		mux_fail(m, TUNNEL_REASON_TIMEOUT, "peer is silent");
		return;
	}
	if (!m->server && !m->bulk && m->streams == 0 &&
	    now - m->last_busy_ns > TUNNEL_IDLE_MS * NS_PER_MS) {
		mux_goaway(m, TUNNEL_REASON_IDLE);
		return;
	}
	if (now - m->last_received_ns > TUNNEL_PING_MS * NS_PER_MS) {
		uint8_t bytes[16];
		struct buf b;

		buf_init_fixed(&b, bytes, sizeof(bytes));
		tunnel_encode_u64(&b, TUNNEL_PING, now);
		mux_put_frame(m, &b);
	}
	mux_set_timer(m, TUNNEL_PING_MS);
}

static void mux_recheck_one(struct mux *m)
{
	const struct snapshot *s = worker_snapshot(m->worker);
	const struct ss_node *node = snapshot_node_by_name(s, slice_str(m->node));

	if (!mux_is_up(m))
		return;
	if (!node)
		mux_fail(m, TUNNEL_REASON_IDENTITY, "node has been removed");
	else if (m->certificate_not_after_unix_s <= m->worker->now_unix_s)
		mux_fail(m, TUNNEL_REASON_IDENTITY, "certificate has expired");
	else if (!mux_pin_matches(m, node))
		mux_fail(m, TUNNEL_REASON_IDENTITY, "its key has been taken away");
	else if (!m->server && m->worker->now_ns >= m->retire_ns)
		mux_goaway(m, TUNNEL_REASON_IDENTITY); // renewed: new streams on a new tunnel
}

void mux_recheck(struct worker *w)
{
	struct mux *next;

	if (!w->pin)
		return;
	for (struct mux *m = w->muxes_list; m; m = next) {
		next = m->next;
		mux_recheck_one(m);
	}
}

void mux_flush_dirty(struct worker *w)
{
	while (w->dirty_muxes) {
		struct mux *m = w->dirty_muxes;

		w->dirty_muxes = m->next_dirty;
		m->dirty = false;
		if (mux_is_up(m))
			mux_flush(m);
	}
	// No list names a dead one any more.
	while (w->dead_muxes) {
		struct mux *m = w->dead_muxes;

		w->dead_muxes = m->next_dead;
		mux_free(m);
	}
}
