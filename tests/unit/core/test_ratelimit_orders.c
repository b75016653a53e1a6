// SPDX-License-Identifier: GPL-3.0-or-later
// Threads that bring the same key at once, in every order that a few switches can make: one set, read
// and changed step by step by coroutines, each atomic operation of core/ratelimit.c being a point where
// another may go on. A limit of one must admit one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <string.h>
#include <ucontext.h>

static void pause_here(void);

// The operations themselves, in one thread, with a pause before those that another thread can notice.
static uint64_t plain_load(const uint64_t *at, bool pauses)
{
	if (pauses)
		pause_here();
	return *at;
}

static bool plain_swap(unsigned __int128 *at, unsigned __int128 from, unsigned __int128 to)
{
	pause_here();
	if (memcmp(at, &from, sizeof(from)) != 0)
		return false;
	memcpy(at, &to, sizeof(to));
	return true;
}

#define __atomic_load_n(at, order)		   plain_load((at), (at) == &b->tag)
#define __sync_bool_compare_and_swap(at, from, to) plain_swap((at), (from), (to))
#include "core/ratelimit.c"
#undef __atomic_load_n
#undef __sync_bool_compare_and_swap

#define STACK_BYTES 65536
#define STEPS_MAX   24 // of a segment: one scan and one swap take nine
#define NOW_NS	    (1000 * NS_PER_S)

struct routine {
	ucontext_t context;
	uint32_t left; // steps until it has to pause
	bool done;
	uint64_t key;
	uint64_t now_ns;
	struct ratelimit_verdict verdict;
	_Alignas(64) uint8_t stack[STACK_BYTES];
};

static struct {
	ucontext_t main;
	struct routine routines[3];
	struct routine *running;
	_Alignas(64) uint8_t memory[sizeof(struct ratelimit_table) + sizeof(struct set)];
	struct ratelimit_table *table;
} play;

static void pause_here(void)
{
	struct routine *r = play.running;

	if (!r || r->left-- > 0)
		return;
	swapcontext(&r->context, &play.main);
}

static void body(void)
{
	struct routine *r = play.running;

	r->verdict = ratelimit_take(play.table, r->key, ratelimit_rate_of(1, 60, 0), r->now_ns);
	r->done = true;
	swapcontext(&r->context, &play.main);
}

static void begin(struct routine *r, uint64_t key, uint64_t now_ns)
{
	r->done = false;
	r->key = key;
	r->now_ns = now_ns;
	getcontext(&r->context);
	r->context.uc_stack.ss_sp = r->stack;
	r->context.uc_stack.ss_size = sizeof(r->stack);
	r->context.uc_link = NULL;
	makecontext(&r->context, body, 0);
}

static void go_on(struct routine *r, uint32_t steps)
{
	if (r->done)
		return;
	r->left = steps;
	play.running = r;
	swapcontext(&play.main, &r->context);
	play.running = NULL;
}

// One case: the set's TATs relative to NOW_NS, and who comes.
struct scene {
	const char *name;
	int64_t tat[WAYS];
	uint64_t keys[3];
	int64_t late_ns[3];   // threads' clocks differ: a turn of a worker has one time
	uint32_t admitted[2]; // of the first key, of all
};

static void prepare(const struct scene *s)
{
	memset(play.memory, 0, sizeof(play.memory));
	assert_int_equal(ratelimit_table_init(play.memory, sizeof(play.memory), 1, &play.table),
			 ERR_OK);
	for (uint32_t i = 0; i < WAYS; i++)
		play.table->set[0].ways[i] =
			(struct bucket){i + 2, (uint64_t)((int64_t)NOW_NS + s->tat[i])};
	for (int i = 0; i < 3; i++)
		begin(&play.routines[i], s->keys[i], (uint64_t)((int64_t)NOW_NS + s->late_ns[i]));
}

// a, b, c, d steps of first, second, third, first, then all to their end in one of two orders.
static void play_order(const struct scene *s, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	uint32_t own = 0, all = 0;
	bool turned = (a + b + c + d) & 1;

	prepare(s);
	go_on(&play.routines[0], a);
	go_on(&play.routines[1], b);
	go_on(&play.routines[2], c);
	go_on(&play.routines[0], d);
	for (int i = 0; i < 3; i++)
		go_on(&play.routines[turned ? 2 - i : i], UINT32_MAX);
	for (int i = 0; i < 3; i++) {
		const struct routine *r = &play.routines[i];

		assert_true(r->done);
		all += r->verdict.allowed;
		own += r->verdict.allowed && r->key == s->keys[0];
	}
	if (own != s->admitted[0] || all != s->admitted[1])
		fail_msg("%s, order %u %u %u %u: %u and %u admitted", s->name, a, b, c, d, own,
			 all);
}

#define OVER   -1000
#define ACTIVE 3600000000000

static const struct scene scenes[] = {
	{"an empty set", {OVER, OVER, OVER, OVER, OVER, OVER, OVER, OVER}, {7, 7, 7}, {0}, {1, 1}},
	{"two keys", {OVER, OVER, OVER, OVER, OVER, OVER, OVER, OVER}, {7, 7, 8}, {0}, {1, 2}},
	{"one bucket is free",
	 {ACTIVE, ACTIVE, ACTIVE, ACTIVE, ACTIVE, OVER, ACTIVE, ACTIVE},
	 {7, 7, 7},
	 {0},
	 {1, 1}},
	{"two are free, the later one longer",
	 {ACTIVE, ACTIVE, ACTIVE, OVER, ACTIVE, ACTIVE, 2 * OVER, ACTIVE},
	 {7, 7, 8},
	 {0},
	 {1, 2}},
	{"one more is free for who comes later",
	 {500, ACTIVE, ACTIVE, OVER, ACTIVE, ACTIVE, ACTIVE, ACTIVE},
	 {7, 7, 7},
	 {0, 1000, 0},
	 {1, 1}},
	{"and a third key takes one away",
	 {500, 600, ACTIVE, OVER, ACTIVE, ACTIVE, ACTIVE, ACTIVE},
	 {7, 7, 8},
	 {0, 1000, 1000},
	 {1, 2}},
	{"just now over",
	 {0, 0, ACTIVE, ACTIVE, ACTIVE, ACTIVE, 0, ACTIVE},
	 {7, 7, 8},
	 {0},
	 {1, 2}},
};

static void test_orders(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		for (uint32_t n = 0; n < STEPS_MAX * STEPS_MAX * STEPS_MAX; n++)
			play_order(&scenes[i], n % STEPS_MAX, n / STEPS_MAX % STEPS_MAX,
				   n / STEPS_MAX / STEPS_MAX, n * 7 % 13);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
