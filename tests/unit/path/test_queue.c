// SPDX-License-Identifier: GPL-3.0-or-later
// path/queue: bytes come out as they went in, whatever the pieces; an empty queue holds no chunk; a pool that
// is used up is said.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "path/queue.h"

#define ROOM (sizeof(((struct queue_chunk *)0)->bytes))

static void pieces_of_any_size_come_out_in_order(void **state)
{
	static uint8_t in[3 * CHUNK_BYTES];
	uint32_t put = 0, taken = 0;
	struct queue q = {0};
	struct pool chunks;

	(void)state;
	srand(8);
	pool_init(&chunks, sizeof(struct queue_chunk), 4, 64);
	for (int round = 0; round < 3000; round++) {
		size_t len = (size_t)rand() % (rand() % 4 ? 300 : sizeof(in));

		for (size_t i = 0; i < len; i++)
			in[i] = (uint8_t)((put + i) * 2654435761u >> 24);
		if (q.bytes < 8 * CHUNK_BYTES) {
			assert_int_equal(queue_put(&q, &chunks, slice_make(in, len)), ERR_OK);
			put += (uint32_t)len;
		}
		uint32_t want = q.bytes ? (uint32_t)rand() % (q.bytes + 1) : 0;

		while (want > 0) {
			struct slice s = queue_peek(&q);
			uint32_t part = s.len < want ? (uint32_t)s.len : want;

			assert_int_not_equal(s.len, 0);
			for (uint32_t i = 0; i < part; i++)
				assert_int_equal(s.ptr[i],
						 (uint8_t)((taken + i) * 2654435761u >> 24));
			queue_consume(&q, &chunks, part);
			taken += part;
			want -= part;
		}
		assert_int_equal(q.bytes, put - taken);
	}
	queue_clear(&q, &chunks);
	assert_int_equal(q.bytes, 0);
	assert_int_equal(chunks.used, 0);
	pool_deinit(&chunks);
}

static void an_empty_queue_holds_no_chunk(void **state)
{
	uint8_t bytes[ROOM + 1] = {1};
	struct queue q = {0};
	struct pool chunks;

	(void)state;
	pool_init(&chunks, sizeof(struct queue_chunk), 4, 64);
	assert_int_equal(queue_put(&q, &chunks, (struct slice){0}), ERR_OK);
	assert_int_equal(chunks.used, 0);
	assert_int_equal(queue_peek(&q).len, 0);
	assert_int_equal(queue_put(&q, &chunks, slice_make(bytes, ROOM)), ERR_OK);
	assert_int_equal(chunks.used, 1); // exactly full: no second one yet
	assert_int_equal(queue_put(&q, &chunks, slice_make(bytes, 1)), ERR_OK);
	assert_int_equal(chunks.used, 2);
	queue_consume(&q, &chunks, (uint32_t)ROOM);
	assert_int_equal(chunks.used, 1);
	queue_consume(&q, &chunks, 1);
	assert_int_equal(chunks.used, 0);
	assert_null(q.head);
	assert_null(q.tail);
	queue_consume(&q, &chunks, 1000); // of nothing: nothing
	queue_clear(&q, &chunks);
	// More than there is takes all of it.
	assert_int_equal(queue_put(&q, &chunks, slice_make(bytes, sizeof(bytes))), ERR_OK);
	queue_consume(&q, &chunks, UINT32_MAX);
	assert_int_equal(q.bytes, 0);
	assert_int_equal(chunks.used, 0);
	pool_deinit(&chunks);
}

static void a_full_pool_is_said(void **state)
{
	static uint8_t bytes[4 * CHUNK_BYTES];
	struct queue q = {0}, other = {0};
	struct pool chunks;

	(void)state;
	pool_init(&chunks, sizeof(struct queue_chunk), 1, 2);
	assert_int_equal(queue_put(&q, &chunks, slice_make(bytes, 2 * ROOM)), ERR_OK);
	assert_int_equal(queue_put(&q, &chunks, slice_make(bytes, 1)), ERR_NOMEM);
	assert_int_equal(queue_put(&other, &chunks, slice_make(bytes, 1)), ERR_NOMEM);
	assert_int_equal(other.bytes, 0);
	queue_clear(&q, &chunks);
	// What fitted stays queued, and is given back with the pipe.
	assert_int_equal(queue_put(&q, &chunks, slice_make(bytes, 3 * ROOM)), ERR_NOMEM);
	assert_int_equal(q.bytes, 2 * ROOM);
	queue_clear(&q, &chunks);
	assert_int_equal(chunks.used, 0);
	pool_deinit(&chunks);
}

static void vectors_are_what_is_queued(void **state)
{
	static uint8_t bytes[4 * CHUNK_BYTES];
	struct iovec v[8];
	struct queue q = {0};
	struct pool chunks;
	size_t sum = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 >> 3);
	pool_init(&chunks, sizeof(struct queue_chunk), 4, 64);
	assert_int_equal(queue_vector(&q, v, 8), 0);
	assert_int_equal(queue_put(&q, &chunks, slice_make(bytes, 3 * ROOM + 10)), ERR_OK);
	queue_consume(&q, &chunks, 5);
	assert_int_equal(queue_vector(&q, v, 0), 0);
	assert_int_equal(queue_vector(&q, v, 2), 2);
	assert_int_equal(v[0].iov_len, ROOM - 5);
	assert_int_equal(v[1].iov_len, ROOM);
	assert_int_equal(queue_vector(&q, v, 8), 4);
	for (int i = 0; i < 4; i++) {
		assert_memory_equal(v[i].iov_base, bytes + 5 + sum, v[i].iov_len);
		sum += v[i].iov_len;
	}
	assert_int_equal(sum, q.bytes);
	queue_clear(&q, &chunks);
	pool_deinit(&chunks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size_come_out_in_order),
		cmocka_unit_test(an_empty_queue_holds_no_chunk),
		cmocka_unit_test(a_full_pool_is_said),
		cmocka_unit_test(vectors_are_what_is_queued),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
