// SPDX-License-Identifier: GPL-3.0-or-later
// The small stand-ins: random numbers, time (common/clock.h), messages (io/wake.h), close(2), and how a
// failure is told.
#include "sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/wake.h"
#include "sim/sim_net.h"

#define START_NS     (1000 * NS_PER_S)
#define START_UNIX_S 1800000000ull
#define EVENTS_MAX   8
#define EVENT_BASE   (1 << 28)

struct sim sim;

static struct sim_event {
	struct wake_queue *queue; // NULL: free
	bool signalled;
	bool readable;
} events[EVENTS_MAX];

// ---- random, time, failure ---------------------------------------------------------------------

static uint64_t tell_from = UINT64_MAX, tell_to;

void sim_tell_steps(uint64_t from, uint64_t to)
{
	tell_from = from;
	tell_to = to;
}

void sim_reset(uint64_t seed)
{
	sim = (struct sim){
		.seed = seed,
		.random = seed * 0x9e3779b97f4a7c15ull + 0x1234567,
		.now_ns = START_NS,
		.tell_from = tell_from,
		.tell_to = tell_to,
	};
	sim_knobs_draw(&sim.knobs);
	sim_sock_reset();
}

void sim_digest(uint64_t what)
{
	sim.digest = (sim.digest ^ what) * 0x100000001b3ull;
	sim.digest ^= sim.digest >> 29;
}

uint64_t sim_random(uint64_t n)
{
	// splitmix64: neighbouring seeds give unrelated worlds.
	uint64_t z = sim.random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (z ^ z >> 31) % n;
}

bool sim_chance(uint32_t per_mille)
{
	return per_mille > 0 && sim_random(1000) < per_mille;
}

void sim_tell(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%6llu %11.3f ms  ", (unsigned long long)sim.steps,
		(double)(sim.now_ns - START_NS) / NS_PER_MS);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void sim_fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "FAILED seed %llu, step %llu: ", (unsigned long long)sim.seed,
		(unsigned long long)sim.steps);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n  sim --seed %llu --trace tells it step by step\n",
		(unsigned long long)sim.seed);
	if (getenv("SIM_ABORT"))
		abort();
	_exit(1);
}

uint64_t clock_monotonic_ns(void)
{
	return sim.now_ns;
}

uint64_t clock_unix_ms(void)
{
	return START_UNIX_S * 1000 + (sim.now_ns - START_NS) / NS_PER_MS;
}

// ---- messages ----------------------------------------------------------------------------------

static struct sim_event *event_of(int fd)
{
	int i = fd - EVENT_BASE;

	return i >= 0 && i < EVENTS_MAX && events[i].queue ? &events[i] : NULL;
}

enum err wake_init(struct wake_queue *q)
{
	atomic_init(&q->head, NULL);
	for (int i = 0; i < EVENTS_MAX; i++) {
		if (events[i].queue)
			continue;
		events[i] = (struct sim_event){.queue = q};
		q->event_fd = EVENT_BASE + i;
		return ERR_OK;
	}
	return ERR_FULL;
}

void wake_deinit(struct wake_queue *q)
{
	if (event_of(q->event_fd))
		event_of(q->event_fd)->queue = NULL;
	q->event_fd = -1;
}

void wake_send(struct wake_queue *q, struct wake_message *m)
{
	struct wake_message *head = atomic_load(&q->head);

	atomic_store(&m->next, head);
	atomic_store(&q->head, m);
	if (!head && event_of(q->event_fd))
		event_of(q->event_fd)->signalled = event_of(q->event_fd)->readable = true;
}

struct wake_message *wake_take_all(struct wake_queue *q)
{
	struct wake_message *newest = atomic_exchange(&q->head, NULL), *oldest = NULL;

	while (newest) {
		struct wake_message *next = atomic_load(&newest->next);

		atomic_store(&newest->next, oldest);
		oldest = newest;
		newest = next;
	}
	return oldest;
}

void wake_clear(struct wake_queue *q)
{
	if (event_of(q->event_fd))
		event_of(q->event_fd)->readable = false;
}

int wake_fd(const struct wake_queue *q)
{
	return q->event_fd;
}

bool sim_wake_is_event(int fd)
{
	return event_of(fd) != NULL;
}

bool sim_wake_signalled(int fd)
{
	return event_of(fd) && event_of(fd)->signalled;
}

void sim_wake_forget(int fd)
{
	if (event_of(fd))
		event_of(fd)->signalled = false;
}

bool sim_wake_is_readable(int fd)
{
	return event_of(fd) && event_of(fd)->readable;
}

void sim_wake_check_end(void)
{
	for (int i = 0; i < EVENTS_MAX; i++) {
		if (events[i].queue)
			sim_fail("an event descriptor was never closed");
	}
}

// ---- what path calls by name, by the linker's --wrap ----------------------------------------------------------

int __real_close(int fd);
int __wrap_close(int fd);
enum err __wrap_crypto_random(void *out, size_t len);

int __wrap_close(int fd)
{
	if (!sim_net_is_descriptor(fd))
		return __real_close(fd);
	sim_net_close(fd);
	return 0;
}

enum err __wrap_crypto_random(void *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)sim_random(256);
	return ERR_OK;
}
