// SPDX-License-Identifier: GPL-3.0-or-later
// io/wake: many threads send, one receives. No message is lost or doubled, each sender's order is
// kept, and a receiver that sleeps on the descriptor is always woken.
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/wake.h"

#define SENDERS	 4
#define MESSAGES 20000

struct numbered {
	struct wake_message message;
	uint32_t sender;
	uint32_t number;
};

struct sender {
	struct wake_queue *queue;
	struct numbered *messages;
	pthread_t thread;
};

static bool is_readable(const struct wake_queue *q, int timeout_ms)
{
	struct pollfd p = {.fd = wake_fd(q), .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

static void one_thread(void **state)
{
	struct numbered m[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
	struct wake_queue q;
	uint64_t written;

	(void)state;
	assert_int_equal(wake_init(&q), ERR_OK);
	assert_null(wake_take_all(&q));
	assert_false(is_readable(&q, 0));
	for (int i = 0; i < 3; i++) {
		m[i].message.type = 7;
		wake_send(&q, &m[i].message);
	}
	assert_true(is_readable(&q, 0));
	assert_int_equal(read(wake_fd(&q), &written, sizeof(written)), sizeof(written));
	assert_int_equal(written, 1); // for the first of three: one system call, not three
	assert_false(is_readable(&q, 0));
	struct wake_message *got = wake_take_all(&q);

	for (uint32_t i = 0; i < 3; i++) { // oldest first
		assert_non_null(got);
		assert_int_equal(got->type, 7);
		assert_int_equal(((struct numbered *)got)->number, i);
		got = atomic_load(&got->next);
	}
	assert_null(got);
	assert_null(wake_take_all(&q));
	wake_clear(&q); // clearing a cleared one does not block
	wake_deinit(&q);
	assert_int_equal(wake_fd(&q), -1);
}

static void *send_all(void *context)
{
	struct sender *s = context;

	for (uint32_t i = 0; i < MESSAGES; i++)
		wake_send(s->queue, &s->messages[i].message);
	return NULL;
}

static void many_threads(void **state)
{
	struct sender senders[SENDERS];
	uint32_t next[SENDERS] = {0};
	uint32_t left = SENDERS * MESSAGES;
	struct wake_queue q;

	(void)state;
	assert_int_equal(wake_init(&q), ERR_OK);
	for (uint32_t s = 0; s < SENDERS; s++) {
		senders[s].queue = &q;
		senders[s].messages = calloc(MESSAGES, sizeof(struct numbered));
		assert_non_null(senders[s].messages);
		for (uint32_t i = 0; i < MESSAGES; i++) {
			senders[s].messages[i].sender = s;
			senders[s].messages[i].number = i;
		}
		assert_int_equal(pthread_create(&senders[s].thread, NULL, send_all, &senders[s]),
				 0);
	}
	while (left > 0) {
		// Asleep until woken: a lost wake-up would show as this poll timing out.
		assert_true(is_readable(&q, 20000));
		wake_clear(&q);
		for (struct wake_message *m = wake_take_all(&q); m; m = atomic_load(&m->next)) {
			struct numbered *n = (struct numbered *)m;

			assert_int_equal(n->number, next[n->sender]);
			next[n->sender]++;
			left--;
		}
	}
	for (uint32_t s = 0; s < SENDERS; s++) {
		assert_int_equal(pthread_join(senders[s].thread, NULL), 0);
		assert_int_equal(next[s], MESSAGES);
		free(senders[s].messages);
	}
	wake_clear(&q);
	assert_null(wake_take_all(&q));
	wake_deinit(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_thread),
		cmocka_unit_test(many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
