// SPDX-License-Identifier: GPL-3.0-or-later
// See sim_net.h. A stream is a bounded buffer at its receiver; "arrived" says how much of it the receiver
// may see, a marker behind it whether FIN follows. A RST may overtake bytes.
#include "sim/sim_net.h"

#include <stdlib.h>

#include "path/limits.h"
#include "sim/sim.h"
#include "sim/sim_check.h"

#define DESCRIPTOR_BASE	   (1 << 20)
#define CONNECT_SILENCE_NS (130 * NS_PER_S) // SYN retries, then ETIMEDOUT
#define USER_TIMEOUT_NS	   (USER_TIMEOUT_MS * NS_PER_MS)

enum socket_kind { SOCKET_FREE = 0, SOCKET_LISTENER, SOCKET_STREAM };

struct sim_socket {
	int fd;
	enum socket_kind kind;
	enum sim_owner owner;
	enum sim_connect connect;
	bool closed; // by its owner; kept until its peer is through with it
	bool reset_on_close;
	bool fin_sent;
	bool fin_pending, fin_arrived; // the peer's
	bool rst_pending, rst_arrived;
	bool room_wanted; // at an edge
	uint32_t ops;
	uint32_t unsent_max;
	uint32_t ifindex;
	struct addr_port local, remote;
	struct sim_socket *peer;
	uint8_t *bytes; // received: a ring of cap
	uint32_t cap, start, len, arrived;
	uint64_t due_ns; // of the next arrival, or of the end of a connect; 0: none
	uint64_t frozen_until_ns;
	bool dying; // frozen for too long
	struct addr_port to;
	// listener
	struct sim_socket *backlog[SIM_BACKLOG_MAX];
	uint32_t backlog_count;
};

static struct sim_socket *table[SIM_SOCKETS_MAX * 8]; // by descriptor
static struct sim_socket *alive[SIM_SOCKETS_MAX];
static uint32_t alive_count;
static uint32_t next_descriptor;
static uint16_t next_port;
static sim_router route;

// ---- descriptors -------------------------------------------------------------------------------

void sim_net_reset(sim_router router)
{
	memset(table, 0, sizeof(table));
	alive_count = 0;
	next_descriptor = 0;
	next_port = 0;
	route = router;
}

bool sim_net_is_descriptor(int fd)
{
	return fd >= DESCRIPTOR_BASE &&
	       fd < DESCRIPTOR_BASE + (int)(sizeof(table) / sizeof(table[0]));
}

struct sim_socket *sim_net_get(int fd)
{
	struct sim_socket *s = sim_net_is_descriptor(fd) ? table[fd - DESCRIPTOR_BASE] : NULL;

	if (!s)
		sim_fail("descriptor %d is used and not open", fd);
	return s;
}

static struct sim_socket *socket_new(enum sim_owner owner, enum socket_kind kind)
{
	struct sim_socket *s = calloc(1, sizeof(*s));

	if (!s || alive_count == SIM_SOCKETS_MAX)
		sim_fail("more than %d sockets: the world is too large", SIM_SOCKETS_MAX);
	s->kind = kind;
	s->owner = owner;
	s->fd = -1;
	alive[alive_count++] = s;
	return s;
}

static int socket_name(struct sim_socket *s)
{
	uint32_t i = sim_chance(sim.knobs.reuse_descriptors) ? 0 : next_descriptor;

	while (i < sizeof(table) / sizeof(table[0]) && table[i])
		i++;
	if (i == sizeof(table) / sizeof(table[0]))
		sim_fail("out of descriptors: the world is too large");
	if (i >= next_descriptor)
		next_descriptor = i + 1;
	table[i] = s;
	s->fd = DESCRIPTOR_BASE + (int)i;
	return s->fd;
}

static void socket_free(struct sim_socket *s)
{
	for (uint32_t i = 0; i < alive_count; i++) {
		if (alive[i] == s)
			alive[i] = alive[--alive_count];
	}
	free(s->bytes);
	free(s);
}

int sim_net_socket(enum sim_owner owner)
{
	return socket_name(socket_new(owner, SOCKET_STREAM));
}

int sim_net_listen(enum sim_owner owner, struct addr_port at)
{
	struct sim_socket *s = socket_new(owner, SOCKET_LISTENER);

	s->local = at;
	return socket_name(s);
}

void sim_net_bind(int fd, struct addr_port local)
{
	sim_net_get(fd)->local = local;
}

struct addr_port sim_net_local(int fd)
{
	return sim_net_get(fd)->local;
}

struct addr_port sim_net_remote(int fd)
{
	return sim_net_get(fd)->remote;
}

uint32_t sim_net_ifindex(int fd)
{
	return sim_net_get(fd)->ifindex;
}

void sim_net_count_op(int fd, int change)
{
	struct sim_socket *s = sim_net_get(fd);

	s->ops = (uint32_t)((int)s->ops + change);
}

uint32_t sim_net_ops(int fd)
{
	return sim_net_get(fd)->ops;
}

// ---- time --------------------------------------------------------------------------------------

static void socket_schedule(struct sim_socket *s)
{
	uint64_t delay_us = sim.knobs.latency_max_us ? sim_random(sim.knobs.latency_max_us) : 0;

	if (s->due_ns == 0)
		s->due_ns = sim.now_ns + delay_us * 1000;
	if (s->due_ns < s->frozen_until_ns)
		s->due_ns = s->frozen_until_ns;
}

static bool socket_has_more(const struct sim_socket *s)
{
	return s->arrived < s->len || (s->fin_pending && !s->fin_arrived) ||
	       (s->rst_pending && !s->rst_arrived);
}

static void socket_arrive(struct sim_socket *s)
{
	uint32_t under_way = s->len - s->arrived;

	s->due_ns = 0;
	if (s->dying) {
		s->len = s->arrived;
		s->rst_pending = s->rst_arrived = true;
		return;
	}
	if (s->rst_pending && (under_way == 0 || sim_chance(sim.knobs.rst_overtakes))) {
		s->len = s->arrived; // overtaken
		s->rst_arrived = true;
		return;
	}
	if (under_way > 0)
		s->arrived += sim_chance(sim.knobs.partial) ? 1 + (uint32_t)sim_random(under_way)
							    : under_way;
	else if (s->fin_pending)
		s->fin_arrived = true;
	if (socket_has_more(s))
		socket_schedule(s);
}

// ---- connections -------------------------------------------------------------------------------

static void socket_buffer(struct sim_socket *s)
{
	s->cap = sim.knobs.socket_bytes;
	s->bytes = malloc(s->cap);
	if (!s->bytes)
		abort();
}

void sim_net_connect(int fd, struct addr_port to)
{
	struct sim_socket *s = sim_net_get(fd);

	if (s->connect != SIM_UNCONNECTED)
		sim_fail("descriptor %d is connected twice", fd);
	s->connect = SIM_CONNECTING;
	s->to = to;
	if (s->local.port == 0)
		s->local.port = (uint16_t)(32768 + next_port++ % 28000);
	socket_schedule(s);
}

static void socket_establish(struct sim_socket *s, const struct sim_route *r)
{
	struct sim_socket *listener = sim_net_get(r->listener);
	struct sim_socket *other = socket_new(listener->owner, SOCKET_STREAM);

	if (listener->backlog_count == SIM_BACKLOG_MAX)
		sim_fail("backlog overflows: the world is too large");
	listener->backlog[listener->backlog_count++] = other;
	*other = (struct sim_socket){
		.fd = -1,
		.kind = SOCKET_STREAM,
		.owner = listener->owner,
		.connect = SIM_CONNECTED,
		.local = r->destination,
		.remote = s->local,
		.ifindex = r->ifindex,
		.peer = s,
	};
	s->remote = s->to;
	s->peer = other;
	s->connect = SIM_CONNECTED;
	socket_buffer(s);
	socket_buffer(other);
}

static void socket_end_connect(struct sim_socket *s)
{
	struct sim_route r;

	s->due_ns = 0;
	r = route(s->owner, s->local, s->to);
	if (r.listener == SIM_ROUTE_SILENT && s->remote.port != UINT16_MAX) {
		s->remote.port = UINT16_MAX; // remembered: now it only times out
		s->due_ns = sim.now_ns + CONNECT_SILENCE_NS;
	} else if (r.listener == SIM_ROUTE_SILENT) {
		s->connect = SIM_TIMED_OUT;
	} else if (r.listener == SIM_ROUTE_REFUSED) {
		s->connect = SIM_REFUSED;
	} else {
		socket_establish(s, &r);
	}
}

enum sim_connect sim_net_connect_state(int fd)
{
	return sim_net_get(fd)->connect;
}

bool sim_net_can_accept(int fd)
{
	return sim_net_get(fd)->backlog_count > 0;
}

int sim_net_accept(int fd)
{
	struct sim_socket *l = sim_net_get(fd);
	struct sim_socket *s = l->backlog[0];

	memmove(l->backlog, l->backlog + 1, --l->backlog_count * sizeof(l->backlog[0]));
	return socket_name(s);
}

// ---- bytes -------------------------------------------------------------------------------------

uint32_t sim_net_readable(int fd)
{
	return sim_net_get(fd)->arrived;
}

uint32_t sim_net_read(int fd, void *out, uint32_t cap)
{
	struct sim_socket *s = sim_net_get(fd);
	uint32_t n = s->arrived < cap ? s->arrived : cap;

	for (uint32_t i = 0; i < n;) {
		uint32_t at = (s->start + i) % s->cap;
		uint32_t part = s->cap - at < n - i ? s->cap - at : n - i;

		memcpy((uint8_t *)out + i, s->bytes + at, part);
		i += part;
	}
	s->start = s->cap ? (s->start + n) % s->cap : 0;
	s->len -= n;
	s->arrived -= n;
	return n;
}

bool sim_net_at_fin(int fd)
{
	const struct sim_socket *s = sim_net_get(fd);

	return s->fin_arrived && s->arrived == 0;
}

bool sim_net_is_reset(int fd)
{
	return sim_net_get(fd)->rst_arrived;
}

uint32_t sim_net_writable(int fd)
{
	const struct sim_socket *s = sim_net_get(fd);

	if (!s->peer || s->peer->closed || s->peer->rst_arrived)
		return UINT32_MAX; // taken, and answered by RST
	if (s->unsent_max && s->peer->len - s->peer->arrived >= s->unsent_max)
		return 0;
	return s->peer->cap - s->peer->len;
}

void sim_net_want_room(int fd)
{
	sim_net_get(fd)->room_wanted = true;
}

bool sim_net_room(int fd)
{
	const struct sim_socket *s = sim_net_get(fd);

	return s->room_wanted && s->connect != SIM_CONNECTING &&
	       (s->rst_arrived || sim_net_writable(fd) > 0);
}

void sim_net_room_told(int fd)
{
	sim_net_get(fd)->room_wanted = false;
}

bool sim_net_untold(int fd)
{
	const struct sim_socket *peer = sim_net_get(fd)->peer;

	return !sim_net_is_reset(fd) && peer && !peer->closed && !peer->rst_arrived &&
	       (peer->arrived < peer->len || (peer->fin_pending && !peer->fin_arrived));
}

bool sim_net_has_fin(int fd)
{
	return sim_net_get(fd)->fin_arrived;
}

void sim_net_bound_unsent(int fd, uint32_t bytes)
{
	sim_net_get(fd)->unsent_max = bytes;
}

static void socket_get_reset(struct sim_socket *s)
{
	if (s->rst_pending)
		return;
	s->rst_pending = true;
	if (s->kind == SOCKET_STREAM && s->connect == SIM_CONNECTED)
		socket_schedule(s);
}

uint32_t sim_net_write(int fd, const void *bytes, uint32_t len)
{
	struct sim_socket *s = sim_net_get(fd), *to = s->peer;

	if (s->fin_sent)
		sim_fail("descriptor %d is written to after its FIN", fd);
	if (s->owner != SIM_ACTORS && to && to->owner == SIM_ACTORS)
		sim_check_delivery(s->owner - SIM_NODE_FIRST, s->remote);
	if (!to || to->closed || to->rst_arrived) {
		socket_get_reset(s);
		return len;
	}
	uint32_t n = to->cap - to->len < len ? to->cap - to->len : len;

	for (uint32_t i = 0; i < n;) {
		uint32_t at = (to->start + to->len) % to->cap;
		uint32_t part = to->cap - at < n - i ? to->cap - at : n - i;

		memcpy(to->bytes + at, (const uint8_t *)bytes + i, part);
		to->len += part;
		i += part;
	}
	if (n > 0)
		socket_schedule(to);
	return n;
}

void sim_net_shutdown(int fd)
{
	struct sim_socket *s = sim_net_get(fd);

	if (s->fin_sent || s->connect != SIM_CONNECTED)
		return;
	s->fin_sent = true;
	if (s->peer && !s->peer->closed) {
		s->peer->fin_pending = true;
		socket_schedule(s->peer);
	}
}

// ---- the end -----------------------------------------------------------------------------------

void sim_net_reset_on_close(int fd, bool reset)
{
	sim_net_get(fd)->reset_on_close = reset;
}

// Both ends have been closed, or one was never accepted: nothing needs them any more.
static void socket_part(struct sim_socket *s)
{
	struct sim_socket *peer = s->peer;

	if (!peer) {
		socket_free(s);
		return;
	}
	if (!peer->closed)
		return;
	peer->peer = NULL;
	socket_free(peer);
	socket_free(s);
}

static void socket_close_stream(struct sim_socket *s)
{
	bool reset = s->reset_on_close || s->len > 0 || s->rst_pending;

	s->closed = true;
	s->due_ns = 0;
	// With a RST goes what the kernel had not brought over yet; the actors' may be under way.
	if (reset && s->owner != SIM_ACTORS && s->peer)
		s->peer->len = s->peer->arrived;
	if (s->peer && !s->peer->closed) {
		if (reset) {
			socket_get_reset(s->peer);
		} else if (!s->fin_sent) {
			s->peer->fin_pending = true;
			socket_schedule(s->peer);
		}
	}
	socket_part(s);
}

// Who was never accepted gets a RST.
static void listener_drop(struct sim_socket *l)
{
	while (l->backlog_count > 0) {
		struct sim_socket *s = l->backlog[--l->backlog_count];

		s->reset_on_close = true;
		socket_close_stream(s);
	}
}

void sim_net_close(int fd)
{
	struct sim_socket *s = sim_net_is_descriptor(fd) ? table[fd - DESCRIPTOR_BASE] : NULL;

	if (!s)
		sim_fail("descriptor %d is closed and not open (closed twice?)", fd);
	if (s->ops > 0)
		sim_fail("descriptor %d is closed while %u operations name it", fd, s->ops);
	sim_trace("close of %d%s", fd, s->reset_on_close ? " by RST" : "");
	table[fd - DESCRIPTOR_BASE] = NULL;
	s->fd = -1;
	if (s->kind == SOCKET_LISTENER) {
		listener_drop(s);
		socket_free(s);
	} else {
		socket_close_stream(s);
	}
}

void sim_net_kill(int fd)
{
	struct sim_socket *s = sim_net_get(fd);

	if (s->peer && !s->peer->closed)
		socket_get_reset(s->peer);
	socket_get_reset(s);
}

static void socket_freeze(struct sim_socket *s, uint64_t until_ns, bool dies)
{
	s->frozen_until_ns = until_ns;
	s->dying |= dies;
	if (s->due_ns || dies)
		s->due_ns = until_ns;
}

bool sim_net_is_frozen(int fd)
{
	const struct sim_socket *s = sim_net_get(fd);

	return s->dying || s->frozen_until_ns > sim.now_ns;
}

void sim_net_freeze(int fd, uint64_t ns)
{
	struct sim_socket *s = sim_net_get(fd);
	bool dies = ns > USER_TIMEOUT_NS;
	uint64_t until_ns = sim.now_ns + (dies ? USER_TIMEOUT_NS : ns);

	if (s->connect != SIM_CONNECTED || s->dying || s->peer->closed)
		return;
	socket_freeze(s, until_ns, dies);
	socket_freeze(s->peer, until_ns, dies);
}

void sim_net_check_end(void)
{
	for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i])
			sim_fail("descriptor %d was never closed", table[i]->fd);
	}
	while (alive_count > 0)
		socket_free(alive[0]);
}

uint64_t sim_net_next_ns(void)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < alive_count; i++) {
		if (alive[i]->due_ns != 0 && alive[i]->due_ns < next)
			next = alive[i]->due_ns;
	}
	return next;
}

bool sim_net_step(void)
{
	uint32_t start = alive_count ? (uint32_t)sim_random(alive_count) : 0;

	for (uint32_t i = 0; i < alive_count; i++) {
		struct sim_socket *s = alive[(start + i) % alive_count];

		if (s->due_ns == 0 || s->due_ns > sim.now_ns)
			continue;
		if (s->connect == SIM_CONNECTING)
			socket_end_connect(s);
		else
			socket_arrive(s);
		return true;
	}
	return false;
}

void sim_net_end_process(enum sim_owner owner)
{
	for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct sim_socket *s = table[i];

		if (!s || s->owner != owner)
			continue;
		s->ops = 0; // the kernel ends them first
		sim_trace("descriptor %d goes with its process", s->fd);
		sim_net_close(s->fd);
	}
}

int sim_net_any_stream(bool to_actors)
{
	uint32_t start = alive_count ? (uint32_t)sim_random(alive_count) : 0;

	for (uint32_t i = 0; i < alive_count; i++) {
		const struct sim_socket *s = alive[(start + i) % alive_count];

		if (s->fd >= 0 && s->kind == SOCKET_STREAM && s->peer && !s->peer->closed &&
		    s->owner != SIM_ACTORS && (s->peer->owner == SIM_ACTORS) == to_actors)
			return s->fd;
	}
	return -1;
}
