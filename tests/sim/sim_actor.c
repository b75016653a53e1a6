// SPDX-License-Identifier: GPL-3.0-or-later
// All ends: how they come to be, their turns, and what is judged when all is over; see sim_actor.h.
#include "sim/sim_end.h"

#include <stdio.h>

#include "sim/sim.h"
#include "sim/sim_snapshot.h"

#define ID_FIRST 0x10000u

struct end sim_ends[SIM_ENDS_MAX];
static uint32_t end_count;
static int listeners[SIM_PODS];

static struct end *end_new(bool is_client)
{
	if (end_count == SIM_ENDS_MAX)
		sim_fail("more than %d ends: the world is too large", SIM_ENDS_MAX);
	struct end *e = &sim_ends[end_count];

	memset(e, 0, sizeof(*e));
	e->is_client = is_client;
	e->id = ID_FIRST + end_count++;
	e->peer = SIM_ENDS_MAX;
	e->fd = -1;
	return e;
}

void end_close(struct end *e, bool by_reset)
{
	if (e->fd >= 0) {
		if (by_reset)
			sim_net_reset_on_close(e->fd, true);
		sim_trace("end %x goes%s", e->id, by_reset ? " by reset" : "");
		sim_net_close(e->fd);
	}
	e->fd = -1;
	e->state = END_GONE;
}

struct end *end_of_id(uint32_t id)
{
	return id - ID_FIRST < end_count ? &sim_ends[id - ID_FIRST] : NULL;
}

struct end *end_upgraded_by(uint32_t message)
{
	for (uint32_t i = 0; i < end_count; i++) {
		struct end *e = &sim_ends[i];

		if (!e->is_client && e->upgraded && e->writer.id == message)
			return e;
	}
	return NULL;
}

// ---- turns -------------------------------------------------------------------------------------

// What comes before any script: waiting, connecting, a reset that has come. True: nothing is left to do.
static bool end_step_common(struct end *e, bool *acted)
{
	*acted = false;
	if (e->state == END_FREE || e->state == END_GONE || e->wake_ns > sim.now_ns)
		return true;
	if (e->state == END_LATER) {
		e->fd = sim_net_socket(SIM_ACTORS);
		sim_net_bind(e->fd, (struct addr_port){sim_pod_addr(e->pod), 0});
		sim_net_connect(e->fd, e->to);
		e->local = sim_net_local(e->fd);
		e->state = END_CALLING;
		*acted = true;
		return true;
	}
	if (e->state == END_CALLING) {
		enum sim_connect c = sim_net_connect_state(e->fd);

		if (c == SIM_CONNECTING)
			return true;
		*acted = true;
		e->state = END_TALKING;
		if (c != SIM_CONNECTED) {
			e->refused = true;
			end_close(e, false);
		}
		return true;
	}
	if (sim_net_is_reset(e->fd) && (sim_net_readable(e->fd) == 0 || sim_chance(500))) {
		e->rst_seen = true;
		if (sim_net_readable(e->fd) == 0 && (!e->is_http || e->upgraded))
			end_judge_reset(e);
		sim_trace("end %x sees RST", e->id);
		end_close(e, false);
		*acted = true;
		return true;
	}
	return false;
}

static bool end_step(struct end *e)
{
	bool acted;

	if (end_step_common(e, &acted))
		return acted;
	if (!e->is_http || (e->upgraded && !e->server.answering))
		return stream_step(e);
	return e->is_client ? http_client_step(e) : http_server_step(e);
}

// ---- all of them -------------------------------------------------------------------------------

void sim_actors_reset(void)
{
	end_count = 0;
	for (uint32_t p = 0; p < SIM_PODS; p++)
		listeners[p] = -1;
}

void sim_actors_listen(void)
{
	for (uint32_t p = 0; p < SIM_PODS; p++) {
		if (p % SIM_PODS_PER_NODE == SIM_CLIENT || sim_chance(sim_world.calm ? 0 : 100))
			continue; // a pod that refuses
		listeners[p] = sim_net_listen(SIM_ACTORS,
					      (struct addr_port){sim_pod_addr(p), SIM_POD_PORT});
	}
}

int sim_actors_listener(uint32_t pod)
{
	return listeners[pod] >= 0 ? listeners[pod] : SIM_ROUTE_REFUSED;
}

void sim_actors_add_client(void)
{
	static const enum sim_role roles[] = {SIM_PLAIN, SIM_PLAIN, SIM_PLAIN,
					      SIM_WEB,	 SIM_WEB,   SIM_CLOSED};
	struct end *e = end_new(true);

	e->calls = roles[sim_random(6)];
	e->is_http = e->calls == SIM_WEB;
	// Now and then one pod of a Service calls it, and may reach itself.
	e->pod = (uint32_t)sim_random(SIM_NODES) * SIM_PODS_PER_NODE +
		 (sim_chance(150) ? SIM_PLAIN : SIM_CLIENT);
	uint32_t server = (uint32_t)sim_random(SIM_NODES) * SIM_PODS_PER_NODE + e->calls;

	if (e->calls != SIM_CLOSED && sim_chance(500))
		e->to = (struct addr_port){sim_service_addr(e->calls), SIM_SERVICE_PORT};
	else
		e->to = (struct addr_port){sim_pod_addr(server), SIM_POD_PORT};
	e->wake_ns = sim.now_ns + sim_random(sim.knobs.arrival_ms * NS_PER_MS);
	e->state = END_LATER;
	e->script = end_random_script(true);
	if (e->is_http)
		http_client_init(e);
}

static bool actors_accept(void)
{
	for (uint32_t p = 0; p < SIM_PODS; p++) {
		if (listeners[p] < 0 || !sim_net_can_accept(listeners[p]))
			continue;
		struct end *e = end_new(false);

		e->fd = sim_net_accept(listeners[p]);
		e->pod = p;
		e->state = END_TALKING;
		e->script = end_random_script(false);
		e->is_http = p % SIM_PODS_PER_NODE == SIM_WEB;
		if (e->is_http)
			http_server_init(e);
		sim_trace("end %x is accepted by pod %u", e->id, p);
		if (p % SIM_PODS_PER_NODE == SIM_CLOSED)
			sim_fail("pod %u, which is for nobody, is connected to", p);
		return true;
	}
	return false;
}

bool sim_actors_step(void)
{
	uint32_t start = end_count ? (uint32_t)sim_random(end_count) : 0;

	if (sim_chance(500) && actors_accept())
		return true;
	for (uint32_t i = 0; i < end_count; i++) {
		if (end_step(&sim_ends[(start + i) % end_count]))
			return true;
	}
	return actors_accept();
}

uint64_t sim_actors_next_ns(void)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < end_count; i++) {
		const struct end *e = &sim_ends[i];

		if (e->state != END_FREE && e->state != END_GONE && e->wake_ns > sim.now_ns &&
		    e->wake_ns < next)
			next = e->wake_ns;
	}
	return next;
}

bool sim_actors_are_done(void)
{
	for (uint32_t i = 0; i < end_count; i++) {
		if (sim_ends[i].state != END_GONE)
			return false;
	}
	return true;
}

void sim_actors_hurry(void)
{
	for (uint32_t i = 0; i < end_count; i++) {
		struct end *e = &sim_ends[i];

		if (e->state == END_LATER)
			e->state = END_GONE;
		e->wake_ns = 0;
		e->script.stall_after = UINT32_MAX;
		e->script.fin_when_asked = false;
		e->script.waits_for_peer = false;
	}
}

const char *sim_actors_waiting(void)
{
	static char text[160];
	static const char *const states[] = {"free", "not begun", "connecting", "talking", "gone"};

	for (uint32_t i = 0; i < end_count; i++) {
		const struct end *e = &sim_ends[i];

		if (e->state == END_GONE)
			continue;
		snprintf(text, sizeof(text),
			 "end %x (%s of pod %u, %s, sent %u of %u, received %u%s%s)", e->id,
			 e->is_client ? "client" : "server", e->pod, states[e->state], e->sent,
			 e->script.send_bytes, e->received, e->fin_sent ? ", FIN sent" : "",
			 e->fin_seen ? ", FIN seen" : "");
		return text;
	}
	return "nobody";
}

void sim_actors_logged(const struct record *r)
{
	for (uint32_t i = 0; i < end_count; i++) {
		struct end *e = &sim_ends[i];

		if (!e->is_client || e->state < END_CALLING || e->local.port != r->client.port ||
		    !addr_eq(e->local.addr, r->client.addr))
			continue;
		e->logged = true;
		e->logged_in += r->bytes_in;
		e->logged_out += r->bytes_out;
		e->logged_reason = (enum end_reason)r->end_reason;
		return;
	}
	sim_fail("a log line of a client that does not exist");
}

// ---- judgement ---------------------------------------------------------------------------------

// A server that cut the connection before its client could learn who it is.
static bool cut_unmet(const struct end *client)
{
	for (uint32_t i = 0; i < end_count; i++) {
		const struct end *e = &sim_ends[i];

		if (!e->is_client && e->peer == SIM_ENDS_MAX &&
		    e->pod % SIM_PODS_PER_NODE == client->calls &&
		    (e->script.resets || e->script.closes_at_once))
			return true;
	}
	return false;
}

// Nothing went wrong: then everything has arrived, unless one of the two meant to cut it.
static void check_whole(const struct end *e)
{
	const struct end *p = e->peer < SIM_ENDS_MAX ? &sim_ends[e->peer] : NULL;

	if (e->refused)
		sim_fail("client %x was refused in a calm world", e->id);
	if (e->calls == SIM_CLOSED) {
		if (e->received > 0 || e->fin_seen || p)
			sim_fail("client %x reached a pod that nobody may", e->id);
		return;
	}
	if (e->script.resets || e->script.closes_at_once ||
	    (p && (p->script.resets || p->script.closes_at_once)))
		return;
	if (!p && e->rst_seen && cut_unmet(e))
		return;
	if (!p && e->script.send_bytes >= 4)
		sim_fail("client %x has met no server in a calm world (reset: %d)", e->id,
			 e->rst_seen);
	if (p && (e->received != p->script.send_bytes || p->received != e->script.send_bytes ||
		  !e->fin_seen || !p->fin_seen))
		sim_fail("client %x got %u of %u bytes and its server %u of %u in a calm world",
			 e->id, e->received, p->script.send_bytes, p->received,
			 e->script.send_bytes);
}

// The log says of a connection that ended well what the two ends know.
static void check_log(const struct end *e)
{
	const struct end *p = e->peer < SIM_ENDS_MAX ? &sim_ends[e->peer] : NULL;

	if (!e->is_client || e->is_http || !e->logged || e->logged_reason != END_CLOSED)
		return;
	if (e->logged_in != e->sent || (p && e->logged_out != p->sent))
		sim_fail("client %x sent %u bytes, got of %u, and the log says %llu and %llu",
			 e->id, e->sent, p ? p->sent : 0, (unsigned long long)e->logged_in,
			 (unsigned long long)e->logged_out);
	if (e->calls == SIM_CLOSED)
		sim_fail("client %x reached a pod that is for nobody, says the log", e->id);
}

// A server that has seen nothing but FIN: somebody has sent just that.
static void check_met(const struct end *e)
{
	if (e->is_client || e->peer != SIM_ENDS_MAX || !e->fin_seen || e->is_http)
		return;
	for (uint32_t i = 0; i < end_count; i++) {
		const struct end *c = &sim_ends[i];

		if (c->is_client && !c->is_http && c->fin_sent && c->sent == 0 &&
		    c->calls == e->pod % SIM_PODS_PER_NODE)
			return;
	}
	sim_fail("server %x sees FIN and nothing else, and no client has ended so", e->id);
}

void sim_actors_check_end(void)
{
	for (uint32_t i = 0; i < end_count; i++) {
		const struct end *e = &sim_ends[i];

		sim_totals.connections += e->is_client;
		if (e->state != END_GONE)
			sim_fail("end %x has not come to its end", e->id);
		if (e->is_http)
			http_check_end(e);
		if (e->is_http && !e->upgraded)
			continue;
		check_log(e);
		check_met(e);
		sim_totals.completed += e->is_client && e->fin_seen;
		if (sim_world.calm && e->is_client)
			check_whole(e);
	}
	for (uint32_t p = 0; p < SIM_PODS; p++) {
		if (listeners[p] >= 0)
			sim_net_close(listeners[p]);
	}
}
