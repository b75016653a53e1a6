// SPDX-License-Identifier: GPL-3.0-or-later
// path/inbox, path/links and control/publish: what crosses threads, with real threads as workers. Counters,
// frees and order are what is at stake: run it under the sanitizers.
#include <setjmp.h>
#include <stdarg.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "control/publish.h"
#include "path/inbox.h"

#define WORKERS 4
#define ROUNDS	500

struct fake_worker {
	struct inbox inbox;
	pthread_t thread;
	struct hold *links;
	uint32_t links_seen;
	uint32_t last_count; // pins of the newest table
	bool in_order;
	uint32_t descriptors;
	uint64_t drain_at_ns;
};

static void fake_worker_take(struct fake_worker *w, struct wake_message *m, bool *stop)
{
	uint32_t count;

	switch ((enum inbox_type)m->type) {
	case INBOX_LINKS:
		count = links_count(inbox_hold(m)->publication->links);
		w->in_order = w->in_order && (w->links_seen == 0 || count >= w->last_count);
		w->last_count = count;
		w->links_seen++;
		inbox_adopt(inbox_hold(m));
		if (w->links)
			inbox_release(w->links);
		w->links = inbox_hold(m);
		break;
	case INBOX_FD:
		close(((struct inbox_fd *)m)->fd);
		w->descriptors++;
		inbox_done(m);
		break;
	case INBOX_QUERY:
		inbox_answer(m, (struct worker *)w);
		break;
	case INBOX_DRAIN:
		w->drain_at_ns = ((struct inbox_order *)m)->at_ns;
		inbox_done(m);
		break;
	case INBOX_STOP:
		*stop = true;
		inbox_done(m);
		break;
	default:
		abort();
	}
}

static void *fake_worker_run(void *argument)
{
	struct fake_worker *w = argument;
	struct wake_message *m;
	bool stop = false;

	while (!stop) {
		struct pollfd p = {.fd = wake_fd(&w->inbox.queue), .events = POLLIN};

		poll(&p, 1, 1000);
		inbox_clear(&w->inbox);
		while ((m = inbox_next(&w->inbox)) != NULL)
			fake_worker_take(w, m, &stop);
	}
	if (w->links)
		inbox_release(w->links);
	return NULL;
}

static void start(struct fake_worker *workers, struct inbox **inboxes, uint32_t count)
{
	memset(workers, 0, count * sizeof(*workers));
	for (uint32_t i = 0; i < count; i++) {
		workers[i].in_order = true;
		assert_int_equal(inbox_init(&workers[i].inbox), ERR_OK);
		inboxes[i] = &workers[i].inbox;
		assert_int_equal(
			pthread_create(&workers[i].thread, NULL, fake_worker_run, &workers[i]), 0);
	}
}

static void stop(struct fake_worker *workers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(inbox_send_order(&workers[i].inbox, INBOX_STOP, 0), ERR_OK);
	for (uint32_t i = 0; i < count; i++) {
		pthread_join(workers[i].thread, NULL);
		inbox_deinit(&workers[i].inbox);
	}
}

static struct links *table(uint32_t count)
{
	struct link_pin *pins = calloc(count + 1, sizeof(*pins));
	struct links *l;

	assert_non_null(pins);
	for (uint32_t i = 0; i < count; i++)
		pins[i] = (struct link_pin){.addr = addr_from_v4(0x0af50100 + (i * 7919) % 256),
					    .uid = SLICE_LIT("uid"),
					    .ifindex = i + 1};
	assert_int_equal(links_new(pins, count, &l), ERR_OK);
	free(pins);
	return l;
}

static void everything_reaches_everybody_and_is_freed(void **state)
{
	static struct fake_worker workers[WORKERS];
	struct inbox *inboxes[WORKERS];
	struct publisher *p;

	(void)state;
	start(workers, inboxes, WORKERS);
	assert_int_equal(publisher_new(inboxes, WORKERS, &p), ERR_OK);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		assert_int_equal(publish_links(p, table(i / 10 + 1)), ERR_OK);
		if (i % 10 == 0)
			publisher_collect(p);
	}
	stop(workers, WORKERS);
	for (uint32_t i = 0; i < WORKERS; i++) {
		assert_int_equal(workers[i].links_seen, ROUNDS);
		assert_true(workers[i].in_order);
	}
	publisher_collect(p);
	publisher_free(p);
}

// A worker that was never started, or died: its messages are ended with it.
static void what_nobody_took_is_ended(void **state)
{
	static struct fake_worker w;
	struct inbox *inboxes[1] = {&w.inbox};
	struct publisher *p;
	struct buf out;
	int pair[2];

	(void)state;
	assert_int_equal(inbox_init(&w.inbox), ERR_OK);
	assert_int_equal(publisher_new(inboxes, 1, &p), ERR_OK);
	assert_int_equal(publish_links(p, table(3)), ERR_OK);
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(inbox_send_fd(&w.inbox, pair[1]), ERR_OK);
	assert_int_equal(inbox_send_order(&w.inbox, INBOX_DRAIN, 5), ERR_OK);
	buf_init_growing(&out, 100);
	assert_int_equal(inbox_ask(&w.inbox, NULL, 0, 100, 20, &out), ERR_EXPIRED);
	inbox_deinit(&w.inbox);
	{
		char byte;

		assert_int_equal(read(pair[0], &byte, 1), 0); // its other end was closed
		close(pair[0]);
	}
	publisher_collect(p);
	publisher_free(p);
	buf_deinit(&out);
}

static void question(struct worker *w, uint64_t argument, struct buf *out)
{
	(void)w;
	for (uint64_t i = 0; i < argument; i++)
		buf_put_str(out, "answer ");
}

static void questions_are_answered_within_bounds(void **state)
{
	static struct fake_worker workers[1];
	struct inbox *inboxes[1];
	struct buf out;

	(void)state;
	start(workers, inboxes, 1);
	buf_init_growing(&out, 1000);
	assert_int_equal(inbox_ask(inboxes[0], question, 3, 100, 5000, &out), ERR_OK);
	assert_true(slice_eq_str(buf_slice(&out), "answer answer answer "));
	assert_int_equal(inbox_ask(inboxes[0], question, 100, 100, 5000, &out), ERR_TOO_LARGE);
	stop(workers, 1);
	buf_deinit(&out);
}

static void orders_and_descriptors_arrive(void **state)
{
	static struct fake_worker workers[1];
	struct inbox *inboxes[1];
	struct buf out;
	int pair[2];

	(void)state;
	start(workers, inboxes, 1);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(pipe(pair), 0);
		assert_int_equal(inbox_send_fd(inboxes[0], pair[1]), ERR_OK);
		close(pair[0]);
	}
	assert_int_equal(inbox_send_order(inboxes[0], INBOX_DRAIN, 12345), ERR_OK);
	buf_init_growing(&out, 100);
	assert_int_equal(inbox_ask(inboxes[0], question, 1, 100, 5000, &out), ERR_OK);
	assert_int_equal(workers[0].descriptors, 20);
	assert_int_equal(workers[0].drain_at_ns, 12345);
	stop(workers, 1);
	buf_deinit(&out);
}

static void pins_are_found_by_address(void **state)
{
	struct link_pin pins[3] = {
		{.addr = addr_from_v4(0x0af50109), .uid = SLICE_LIT("nine"), .ifindex = 9},
		{.addr = addr_from_v4(0x0af50101), .uid = SLICE_LIT("one"), .ifindex = 1},
		{.addr = addr_from_v4(0x0af50105), .uid = SLICE_LIT("dead"), .ifindex = 0},
	};
	struct links *l;

	(void)state;
	assert_int_equal(links_new(pins, 3, &l), ERR_OK);
	assert_int_equal(links_check(l, pins[0].addr, SLICE_LIT("nine"), 9), LINK_MATCHES);
	assert_int_equal(links_check(l, pins[1].addr, SLICE_LIT("one"), 1), LINK_MATCHES);
	assert_int_equal(links_check(l, pins[1].addr, SLICE_LIT("one"), 9), LINK_DIFFERS);
	assert_int_equal(links_check(l, pins[1].addr, SLICE_LIT("on"), 1), LINK_UNKNOWN);
	assert_int_equal(links_check(l, pins[2].addr, SLICE_LIT("dead"), 0), LINK_DIFFERS);
	assert_int_equal(links_check(l, addr_from_v4(0x0af50102), SLICE_LIT("one"), 1),
			 LINK_UNKNOWN);
	links_free(l);
	assert_int_equal(links_new(NULL, 0, &l), ERR_OK);
	assert_null(links_find(l, pins[0].addr));
	links_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_reaches_everybody_and_is_freed),
		cmocka_unit_test(what_nobody_took_is_ended),
		cmocka_unit_test(questions_are_answered_within_bounds),
		cmocka_unit_test(orders_and_descriptors_arrive),
		cmocka_unit_test(pins_are_found_by_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
