// SPDX-License-Identifier: GPL-3.0-or-later
// An L4 end, or what follows an upgrade: sends so many bytes that only it could send, judges each that it
// gets, and how the stream ends. See sim_end.h.
#include "sim/sim.h"
#include "sim/sim_end.h"

#define CHUNK_MAX   16384
#define PATIENCE_NS (3 * NS_PER_S) // then an end that waits for the other's FIN sends its own
#define ID_FIRST    0x10000u

// ---- bytes -------------------------------------------------------------------------------------

uint8_t end_byte(uint32_t id, uint32_t at)
{
	return at < 4 ? (uint8_t)(id >> 8 * at) : (uint8_t)(id * 31 + at * 7 + (at >> 8) * 13);
}

static void end_fill(uint32_t id, uint32_t at, uint8_t *out, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		out[i] = end_byte(id, at + i);
}

void end_meet(struct end *a, struct end *b)
{
	if (a->is_client == b->is_client || (a->peer != SIM_ENDS_MAX && &sim_ends[a->peer] != b) ||
	    (b->peer != SIM_ENDS_MAX && &sim_ends[b->peer] != a))
		sim_fail("end %x receives the bytes of end %x, who talks to another", a->id, b->id);
	a->peer = (uint32_t)(b - sim_ends);
	b->peer = (uint32_t)(a - sim_ends);
}

// The first four bytes of a stream say who sent it.
static void end_know(struct end *e)
{
	uint32_t id = 0;

	for (int i = 0; i < 4; i++)
		id |= (uint32_t)e->first[i] << 8 * i;
	struct end *other = end_of_id(id);

	if (!other)
		sim_fail("end %x receives bytes that nobody sent (first four: %08x)", e->id, id);
	end_meet(e, other);
}

static void end_judge(struct end *e, const uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++, e->received++) {
		if (e->received < 4) {
			e->first[e->received] = bytes[i];
			if (e->received == 3)
				end_know(e);
			continue;
		}
		if (bytes[i] != end_byte(sim_ends[e->peer].id, e->received))
			sim_fail("end %x receives a wrong byte at %u", e->id, e->received);
	}
	if (e->peer != SIM_ENDS_MAX && e->received > sim_ends[e->peer].sent)
		sim_fail("end %x receives more than was sent", e->id);
}

// FIN means that everything has come: a stream that was cut must end by RST.
static void end_judge_fin(struct end *e)
{
	const struct end *p = e->peer < SIM_ENDS_MAX ? &sim_ends[e->peer] : NULL;

	e->fin_seen = true;
	sim_trace("end %x sees FIN", e->id);
	if (p && !p->fin_sent)
		sim_fail("end %x sees FIN, which %x never sent", e->id, p->id);
	if (p && e->received != p->sent)
		sim_fail("end %x sees FIN after %u of %u bytes", e->id, e->received, p->sent);
	if (!p && e->is_client)
		sim_fail("client %x sees FIN and no server was there: refusals are resets", e->id);
	if (!p && e->received > 0)
		sim_fail("end %x sees FIN after %u bytes", e->id, e->received);
}

// What an end has sent before it reset the connection comes before the reset, where nothing else is wrong.
void end_judge_reset(const struct end *e)
{
	const struct end *p = e->peer < SIM_ENDS_MAX ? &sim_ends[e->peer] : NULL;

	if (sim_world.calm && p && p->state == END_GONE && !p->rst_seen && e->received != p->sent)
		sim_fail("end %x sees RST after %u of %u bytes in a calm world", e->id, e->received,
			 p->sent);
}

// ---- scripts -----------------------------------------------------------------------------------

static uint32_t random_size(void)
{
	static const uint32_t most[] = {0, 100, 3000, 3000, 20000, 20000, 200000, 600000, 3000000};

	uint32_t bytes = (uint32_t)sim_random(most[sim_random(sim_chance(100) ? 9 : 5)] + 1);

	// Small sockets take a round trip for little, small buffers a turn.
	uint32_t most_bytes = sim.knobs.socket_bytes * 1000;

	if (most_bytes > sim.knobs.stream_buffer_bytes * 2000)
		most_bytes = sim.knobs.stream_buffer_bytes * 2000;
	if (most_bytes > sim.knobs.tunnel_buffer_bytes * 2000)
		most_bytes = sim.knobs.tunnel_buffer_bytes * 2000;
	return bytes < most_bytes ? bytes : most_bytes;
}

struct end_script end_random_script(bool is_client)
{
	struct end_script s = {
		.send_bytes = 4 + random_size(),
		.waits_for_peer = !is_client && sim_chance(300),
		.fin_when_asked = sim_chance(400),
		.echoes = !is_client && sim_chance(200),
		.closes_at_once = sim_chance(50),
		.resets = sim_chance(100),
	};

	s.reset_after = (uint32_t)sim_random(sim_chance(200) ? 600000 : 2000);
	s.stall_after = sim_chance(150) ? (uint32_t)sim_random(5000) : UINT32_MAX;
	s.stall_ns = sim_random(4 * NS_PER_S);
	if (is_client && sim_chance(100))
		s.send_bytes = 0; // a server-first protocol, or one that only looks
	return s;
}

static bool end_read(struct end *e)
{
	uint8_t bytes[CHUNK_MAX];
	uint32_t n;

	if (e->script.stall_after != UINT32_MAX && e->received >= e->script.stall_after) {
		e->script.stall_after = UINT32_MAX;
		e->wake_ns = sim.now_ns + e->script.stall_ns;
		return true;
	}
	n = sim_net_read(e->fd, bytes,
			 sim_chance(300) ? 1 + (uint32_t)sim_random(100) : sizeof(bytes));
	if (n > 0)
		end_judge(e, bytes, n);
	if (n == 0 && sim_net_at_fin(e->fd) && !e->fin_seen) {
		end_judge_fin(e);
		return true;
	}
	return n > 0;
}

static uint32_t end_echo_room(const struct end *e)
{
	return e->received > e->sent ? e->received - e->sent : 0;
}

static bool end_write(struct end *e)
{
	uint8_t bytes[CHUNK_MAX];
	uint32_t left = e->script.send_bytes - e->sent, room = sim_net_writable(e->fd);

	if (left == 0 || room == 0 ||
	    (e->script.waits_for_peer && e->received == 0 && !e->fin_seen))
		return false;
	if (e->script.echoes && !e->fin_seen && left > end_echo_room(e))
		left = end_echo_room(e);
	if (left == 0)
		return false;
	if (left > sizeof(bytes))
		left = sizeof(bytes);
	if (left > room)
		left = room;
	if (sim_chance(300))
		left = 1 + (uint32_t)sim_random(left);
	end_fill(e->id, e->sent, bytes, left);
	e->sent += sim_net_write(e->fd, bytes, left);
	return true;
}

static bool end_finish(struct end *e)
{
	if (e->sent < e->script.send_bytes || e->fin_sent)
		return false;
	if (e->script.fin_when_asked && !e->fin_seen) {
		e->script.fin_when_asked = false;
		e->wake_ns =
			sim.now_ns + PATIENCE_NS; // reads nothing meanwhile either: a long stall
		return true;
	}
	e->fin_sent = true;
	sim_trace("end %x sends FIN", e->id);
	if (e->script.closes_at_once)
		end_close(e, false);
	else
		sim_net_shutdown(e->fd);
	return true;
}

bool stream_step(struct end *e)
{
	bool acted;

	if (e->script.resets &&
	    (e->sent >= e->script.reset_after || e->received >= e->script.reset_after)) {
		end_close(e, true);
		return true;
	}
	if (sim_chance(500))
		acted = end_read(e) || end_write(e);
	else
		acted = end_write(e) || end_read(e);
	if (!acted)
		acted = end_finish(e);
	if (!acted && e->fin_sent && e->fin_seen) {
		end_close(e, false);
		acted = true;
	}
	return acted;
}
