// SPDX-License-Identifier: GPL-3.0-or-later
// See sim_check.h.
#include "sim/sim_check.h"

#include "path/conn.h"
#include "sim/sim.h"
#include "sim/sim_actor.h"
#include "sim/sim_ring.h"
#include "sim/sim_snapshot.h"

#define EXCHANGES_SEEN_MAX 4096 // of a worker, in a world
// After a swap every exchange is asked again, some a turn; a send that was armed may still end.
#define SWAP_GRACE_NS (200 * NS_PER_MS)
// What one side of a connection may hold: the high mark, what a turn of receives delivers before the
// pause, the same once more until the pause is in force, and a chunk begun.
#define LEG_BYTES_MAX	 (LEG_HIGH_BYTES + 3 * 8 * 4096 + CHUNK_BYTES)
#define TUNNEL_BYTES_MAX (TUNNEL_HIGH_BYTES + (64u << 10) + CHUNK_BYTES)
#define STOP_GRACE_NS	 (1500 * NS_PER_MS) // at least: then a process may go with what is left

// Where everything works, a stream that only the side knows that opened it: the word of its end is on its way,
// behind what its tunnel has to carry, and that waits a second each time that the kernel has no memory.
#define LONE_STREAM_NS (10 * NS_PER_S)

struct seen {
	uint16_t next_sequence[EXCHANGES_SEEN_MAX]; // by exchange: of the next line; 0: none yet
	uint64_t lone_ns[EXCHANGES_SEEN_MAX];	    // its stream is alone since then; 0: it is not
};
static struct seen seen[SIM_NODES][SIM_WORKERS_MAX];

void sim_check_reset(void)
{
	memset(seen, 0, sizeof(seen));
}

// ---- the log -----------------------------------------------------------------------------------

static void check_exchange_record(uint32_t node, uint32_t index, const struct record *r)
{
	uint64_t which = r->exchange_id >> 8;
	struct seen *s = &seen[node][index];

	if ((r->exchange_id & 0xff) != index || which >= EXCHANGES_SEEN_MAX)
		sim_fail("a log line of exchange %llx at worker %u",
			 (unsigned long long)r->exchange_id, index);
	if (r->sequence != s->next_sequence[which])
		sim_fail("exchange %llx is logged with sequence %u, and %u was to come: a line "
			 "twice, "
			 "or one lost",
			 (unsigned long long)r->exchange_id, r->sequence, s->next_sequence[which]);
	s->next_sequence[which]++;
	if (r->end_reason == END_NONE || r->end_reason == END_INTERNAL ||
	    r->end_reason >= END_COUNT)
		sim_fail("exchange %llx ends as %s", (unsigned long long)r->exchange_id,
			 end_reason_name((enum end_reason)r->end_reason));
	sim_trace("  logs %llx/%u: %s, status %u", (unsigned long long)r->exchange_id, r->sequence,
		  end_reason_name((enum end_reason)r->end_reason), r->status);
	if (r->reporter != 1)
		sim_actors_logged(r);
}

static void check_log(uint32_t node, uint32_t index)
{
	static uint8_t bytes[RECORD_BYTES_MAX] __attribute__((aligned(16)));
	struct slice strings[RECORD_STRINGS];
	struct worker *w = sim_world.nodes[node].workers[index];

	while (record_ring_take(&w->log, bytes, strings)) {
		const struct record *r = (const struct record *)bytes;

		if (r->kind == RECORD_EXCHANGE)
			check_exchange_record(node, index, r);
		else
			sim_trace("  logs %.*s: %.*s", SLICE_ARG(strings[RECORD_METHOD]),
				  SLICE_ARG(strings[RECORD_DETAIL]));
	}
	if (atomic_load(&w->log.dropped) > 0)
		sim_fail("the log has dropped lines");
}

static void check_log_end(uint32_t node, uint32_t index)
{
	const struct worker *w = sim_world.nodes[node].workers[index];

	for (uint64_t which = 1; which < w->next_exchange_id; which++) {
		if (seen[node][index].next_sequence[which] == 0)
			sim_fail("node %u worker %u: exchange %llx was never logged", node, index,
				 (unsigned long long)(which << 8 | index));
	}
}

// ---- memory ------------------------------------------------------------------------------------

static void check_memory(const struct worker *w)
{
	const struct worker_counters *c = &w->counters;
	uint64_t held = (uint64_t)(w->chunks.used - sim.knobs.chunks_taken) * CHUNK_BYTES;
	uint64_t sealed = (uint64_t)w->tunnel_chunks.used * CHUNK_BYTES;
	uint64_t most = (c->conns_open + c->streams_open) * LEG_BYTES_MAX;

	if (held > most)
		sim_fail("%llu KiB lie in queues of %llu connections and %llu streams",
			 (unsigned long long)held >> 10, (unsigned long long)c->conns_open,
			 (unsigned long long)c->streams_open);
	if (sealed > c->conns_open * TUNNEL_BYTES_MAX)
		sim_fail("%llu KiB of ciphertext lie in queues of at most %llu tunnels",
			 (unsigned long long)sealed >> 10, (unsigned long long)c->conns_open);
	uint32_t heads = w->small.used + w->large.used + w->huge.used;

	if (heads > c->exchanges_open * (SIDES + 1))
		sim_fail("%u heads are kept for %llu exchanges", heads,
			 (unsigned long long)c->exchanges_open);
}

// ---- streams -----------------------------------------------------------------------------------

// The other end of a tunnel that was dialled here; NULL: it has none, or none any more.
static struct mux *far_mux(uint32_t node, const struct mux *m)
{
	const struct sim_node *far = &sim_world.nodes[(node + 1) % SIM_NODES];

	for (uint32_t i = 0; far->alive && i < sim_world.workers; i++) {
		for (struct mux *f = far->workers[i]->muxes_list; f; f = f->next) {
			if (f->server && !f->bulk && mux_is_up(f) &&
			    memcmp(f->group, m->group, sizeof(f->group)) == 0)
				return f;
		}
	}
	return NULL;
}

static bool is_lone(uint32_t node, const struct leg *l)
{
	struct mux *far;

	if (l->type != LEG_STREAM || !l->mux || l->open_wanted || (l->read_fin && l->fin_sent))
		return false;
	if (!mux_is_up(l->mux) || sim_net_is_frozen(l->mux->conn->fd))
		return false;
	far = far_mux(node, l->mux);
	return far && far->conn->out.bytes == 0 && !mux_find(far, l->stream_id);
}

// Who dialled hears of each end, whatever it still has to send: else its exchange waits for nobody.
static void check_streams(uint32_t node, uint32_t index)
{
	struct seen *s = &seen[node][index];

	for (struct exchange *x = sim_world.nodes[node].workers[index]->all; x; x = x->next) {
		uint64_t *since = &s->lone_ns[x->id >> 8];

		if (sim_world.phase != SIM_HEALED || !is_lone(node, &x->leg[UP]))
			*since = 0;
		else if (!*since)
			*since = sim.now_ns;
		else if (sim.now_ns - *since > LONE_STREAM_NS)
			sim_fail("exchange %llx of node %u holds a stream that its pod's node has "
				 "let go of",
				 (unsigned long long)x->id, node);
	}
}

// ---- policy ------------------------------------------------------------------------------------

static void check_adopted(struct sim_node *n, uint32_t index)
{
	const struct snapshot *s = worker_snapshot(n->workers[index]);
	uint64_t counter = s ? snapshot_generation(s).counter : 0;

	if (n->adopted[index] == counter)
		return;
	if (n->adopted[index] > counter)
		sim_fail("a worker goes back from generation %llu to %llu",
			 (unsigned long long)n->adopted[index], (unsigned long long)counter);
	n->adopted[index] = counter;
	n->adopted_ns[index] = sim.now_ns;
}

void sim_check_delivery(uint32_t node, struct addr_port to)
{
	const struct sim_node *n = &sim_world.nodes[node];
	uint32_t pod = sim_pod_of_addr(to.addr);

	if (pod == SIM_PODS || to.port != SIM_POD_PORT)
		return;
	// Whichever worker it is: if none allows it, and none did a moment ago, nobody may.
	for (uint32_t i = 0; i < sim_world.workers; i++) {
		if (n->adopted[i] == 0 || sim.now_ns < n->adopted_ns[i] + SWAP_GRACE_NS ||
		    !sim_pod_is_for_nobody(pod, sim_version_of(n->adopted[i])))
			return;
	}
	sim_fail("node %u sends bytes to pod %u, which by its snapshot is for nobody", node, pod);
}

// A tunnel lives as long as its peer is a node of the snapshot, with the key that it showed.
static void check_tunnels(uint32_t node, uint32_t index)
{
	const struct worker *w = sim_world.nodes[node].workers[index];
	const struct snapshot *s = worker_snapshot(w);

	for (const struct mux *m = w->muxes_list; m; m = m->next) {
		const struct ss_node *peer = snapshot_node_by_name(s, slice_str(m->node));
		bool pinned = false;

		if (!mux_is_up(m))
			continue;
		for (size_t at = 0; peer && at < peer->key_pins.len; at += NODE_PIN_BYTES)
			pinned |= memcmp(peer->key_pins.ptr + at, m->key_pin, NODE_PIN_BYTES) == 0;
		if (!pinned)
			sim_fail("node %u worker %u keeps a tunnel whose key has been taken away",
				 node, index);
	}
}

// ---- turns -------------------------------------------------------------------------------------

// What is looked for at the next occasion, at the latest once a second: the end of a drain, and who has to
// give memory back.
static bool may_wait(const struct worker *w)
{
	return (w->draining && sim.now_ns >= w->drain_until_ns) || w->relieved_ns == sim.now_ns;
}

void sim_check_turn(uint32_t node, uint32_t index)
{
	struct sim_node *n = &sim_world.nodes[node];
	bool acted;

	if (sim_ring_was_quiet(n->rings[index], &acted) && acted && !may_wait(n->workers[index]))
		sim_fail("node %u worker %u would have slept although it had something to do", node,
			 index);
	check_adopted(n, index);
	check_log(node, index);
	check_memory(n->workers[index]);
	check_streams(node, index);
	check_tunnels(node, index);
}

static bool may_be_cut(const struct worker *w)
{
	return sim.now_ns >= w->drain_until_ns + STOP_GRACE_NS;
}

void sim_check_workers_end(uint32_t node)
{
	struct sim_node *n = &sim_world.nodes[node];

	for (uint32_t i = 0; i < sim_world.workers; i++) {
		const struct worker_counters *c = &n->workers[i]->counters;

		check_log_end(node, i);
		if (c->exchanges_open || c->streams_open || c->tunnels_open ||
		    (c->conns_open && !may_be_cut(n->workers[i])))
			sim_fail("node %u worker %u ends with %llu conns, %llu exchanges, %llu "
				 "streams, %llu tunnels by its own count",
				 node, i, (unsigned long long)c->conns_open,
				 (unsigned long long)c->exchanges_open,
				 (unsigned long long)c->streams_open,
				 (unsigned long long)c->tunnels_open);
		sim.cut |= c->conns_open > 0;
		sim_totals.exchanges += c->exchanges;
		sim_totals.tunnels += c->handshakes;
	}
	sim_totals.cuts += sim.cut;
}
