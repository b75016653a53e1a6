// SPDX-License-Identifier: GPL-3.0-or-later
// See sim_knobs.h. Half of the worlds are calm, a third of all have a friendly kernel: what fails there
// is easy to understand.
#include "common/slice.h"
#include "sim/sim_knobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path/limits.h"
#include "sim/sim.h"

#define CLIENTS_MAX 10

struct knob {
	const char *name;
	size_t offset;
	bool fixed;
	uint32_t value;
};

#define KNOB(name)                                                                                 \
	{                                                                                          \
#name, offsetof(struct sim_knobs, name), false, 0                                  \
	}
static struct knob knobs[] = {
	KNOB(calm),
	KNOB(workers),
	KNOB(under_way),
	KNOB(clients),
	KNOB(arrival_ms),
	KNOB(mischief),
	KNOB(trouble_ms),
	KNOB(sudden_drain),
	KNOB(idle_turn),
	KNOB(queue_entries),
	KNOB(completions_max),
	KNOB(stream_buffers),
	KNOB(stream_buffer_bytes),
	KNOB(tunnel_buffers),
	KNOB(tunnel_buffer_bytes),
	KNOB(short_send),
	KNOB(lost_more),
	KNOB(cancel_late),
	KNOB(poll_idle),
	KNOB(passing),
	KNOB(socket_bytes),
	KNOB(latency_max_us),
	KNOB(partial),
	KNOB(rst_overtakes),
	KNOB(accept_error),
	KNOB(dial_error),
	KNOB(reuse_descriptors),
	KNOB(chunks_taken),
	KNOB(pool_empty),
	KNOB(tls_trouble),
	KNOB(key_update),
};
#define KNOB_COUNT (sizeof(knobs) / sizeof(knobs[0]))

static uint32_t *knob_in(struct sim_knobs *k, size_t i)
{
	return (uint32_t *)((uint8_t *)k + knobs[i].offset);
}

static void apply_fixed(struct sim_knobs *k)
{
	for (size_t i = 0; i < KNOB_COUNT; i++) {
		if (knobs[i].fixed)
			*knob_in(k, i) = knobs[i].value;
	}
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)sim_random(n);
}

static uint32_t seldom(uint32_t per_mille, uint32_t most)
{
	uint32_t value = below(most + 1); // drawn in any case: other knobs stay what they were

	return sim_chance(per_mille) ? value : 0;
}

static void draw_world(struct sim_knobs *k)
{
	static const uint32_t arrivals_ms[] = {1, 20, 20, 500, 3000};

	k->calm = sim_chance(500);
	apply_fixed(k); // what is drawn from here on may hang on it
	k->workers = sim_chance(600) ? 1 : 2 + below(2);
	k->clients = 1 + below(below(CLIENTS_MAX) + 1);
	k->arrival_ms = arrivals_ms[below(5)];
	k->mischief = below(20);
	k->trouble_ms = below(10000);
	k->sudden_drain = k->calm ? 0 : seldom(500, 100);
	k->idle_turn = below(50);
}

static void draw_ring(struct sim_knobs *k)
{
	k->queue_entries = sim_chance(300) ? 1 + below(8) : 64;
	k->completions_max = sim_chance(300) ? 1 + below(6) : 64;
	k->stream_buffers = 1 + below(8);
	k->stream_buffer_bytes = sim_chance(300) ? 16 + below(200) : 4096;
	k->tunnel_buffers = 1 + below(4);
	k->tunnel_buffer_bytes = sim_chance(300) ? 16 + below(400) : 16384;
	k->socket_bytes = sim_chance(300) ? 64 + below(1000) : 65536;
	k->latency_max_us = sim_chance(300) ? 0 : 1 + below(3000);
	k->reuse_descriptors = sim_chance(500) ? 1000 : 0;
	// In a calm world it is tight, and nobody has to give way.
	k->rst_overtakes = k->calm ? 0 : 300;
	k->chunks_taken = seldom(300, CHUNKS_MAX / 16 * (k->calm ? 14 : 16));
}

static void draw_rough(struct sim_knobs *k)
{
	k->partial = below(500);
	k->short_send = below(100);
	k->lost_more = below(200);
	k->cancel_late = below(600);
	k->poll_idle = below(100);
	k->key_update = below(100);
	k->accept_error = seldom(200, 100);
	k->passing = seldom(500, 60);
	if (k->calm)
		return;
	k->dial_error = seldom(200, 100);
	k->pool_empty = seldom(200, 50);
	k->tls_trouble = seldom(200, 200);
}

void sim_knobs_draw(struct sim_knobs *k)
{
	*k = (struct sim_knobs){0};
	draw_world(k);
	draw_ring(k);
	if (sim_chance(700))
		draw_rough(k);
	k->under_way = sim_chance(500) ? 1 : REQUESTS_UNDER_WAY;
	apply_fixed(k);
}

bool sim_knobs_fix(const char *text)
{
	size_t len = strcspn(text, "=");

	for (size_t i = 0; i < KNOB_COUNT && text[len] == '='; i++) {
		if (strlen(knobs[i].name) != len || memcmp(knobs[i].name, text, len) != 0)
			continue;
		knobs[i].fixed = true;
		knobs[i].value = (uint32_t)strtoul(text + len + 1, NULL, 10);
		return true;
	}
	return false;
}

void sim_knobs_print(const struct sim_knobs *k)
{
	struct sim_knobs copy = *k;

	for (size_t i = 0; i < KNOB_COUNT; i++)
		printf("%s=%u\n", knobs[i].name, *knob_in(&copy, i));
}
