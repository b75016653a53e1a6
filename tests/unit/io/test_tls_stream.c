// SPDX-License-Identifier: GPL-3.0-or-later
// io/tls, once established: bytes in any chunks, what a truncated or changed stream does, key updates, memory.
#include "io/tls_certs.h"

// ---- bytes -------------------------------------------------------------------------------------

static void established(struct pair *p)
{
	pair_new(p, good, good);
	pair_shake_hands(p);
	assert_int_equal(p->client.err, ERR_OK);
	assert_int_equal(p->server.err, ERR_OK);
}

#define BULK_BYTES (1u << 20)

static void bulk_in_odd_chunks(void **state)
{
	static const size_t chunks[] = {0, 1, 7, 1448, 16384, 16405, 65536};
	static uint8_t sent[BULK_BYTES];

	(void)state;
	for (size_t i = 0; i < BULK_BYTES; i++)
		sent[i] = (uint8_t)(i * 7 + i / 253);
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		size_t bytes =
			chunks[i] == 1 || chunks[i] == 7 ? 40000 : BULK_BYTES; // memmove is ours
		struct buf at_server, at_client;
		struct pair p;

		established(&p);
		p.chunk = chunks[i];
		buf_init_growing(&at_server, BULK_BYTES);
		buf_init_growing(&at_client, BULK_BYTES);
		assert_int_equal(tls_write(p.client.tls, slice_make(sent, bytes)), ERR_OK);
		assert_int_equal(tls_write(p.server.tls, slice_make(sent, bytes)), ERR_OK);
		assert_int_equal(pair_move(&p, &p.client, &p.server, &at_server), ERR_AGAIN);
		assert_int_equal(pair_move(&p, &p.server, &p.client, &at_client), ERR_AGAIN);
		assert_true(slice_eq(buf_slice(&at_server), slice_make(sent, bytes)));
		assert_true(slice_eq(buf_slice(&at_client), slice_make(sent, bytes)));
		buf_deinit(&at_server);
		buf_deinit(&at_client);
		pair_free(&p);
	}
}

// As many records as there have to be: 16,384 bytes would cost a second one.
static void records_are_large_but_not_too_large(void **state)
{
	static uint8_t sent[2 * TLS_RECORD_PLAINTEXT_MAX + 1];
	struct pair p;
	size_t at = 0;
	uint32_t records = 0;

	(void)state;
	established(&p);
	p.client.out.len = 0;
	assert_int_equal(tls_write(p.client.tls, slice_make(sent, sizeof(sent))), ERR_OK);
	while (at < p.client.out.len) {
		size_t len = (size_t)p.client.out.ptr[at + 3] << 8 | p.client.out.ptr[at + 4];

		assert_int_equal(p.client.out.ptr[at], 23); // application data
		assert_true(len <= TLS_RECORD_PLAINTEXT_MAX + 17);
		at += 5 + len;
		records++;
	}
	assert_int_equal(at, p.client.out.len);
	assert_int_equal(records, 3);
	pair_free(&p);
}

static void truncated_input_waits(void **state)
{
	struct pair p;
	uint8_t byte;
	size_t len;

	(void)state;
	established(&p);
	p.client.out.len = 0;
	assert_int_equal(tls_write(p.client.tls, SLICE_LIT("a record")), ERR_OK);
	for (size_t cut = 0; cut + 1 < p.client.out.len; cut++) {
		uint8_t *part = malloc(1);

		assert_non_null(part);
		*part = p.client.out.ptr[cut];
		tls_offer(p.server.tls, slice_make(part, 1));
		assert_int_equal(tls_read(p.server.tls, &byte, 1, &len), ERR_AGAIN);
		free(part); // taken, as promised
	}
	tls_offer(p.server.tls, slice_make(p.client.out.ptr + p.client.out.len - 1, 1));
	assert_int_equal(tls_read(p.server.tls, &byte, 1, &len), ERR_OK);
	assert_int_equal(byte, 'a');
	pair_free(&p);
}

// One bit anywhere in a record, its header included: nothing of it is believed.
static void tampered_records_are_refused(void **state)
{
	(void)state;
	for (size_t at = 0;; at++) {
		struct reason why = {0};
		uint8_t bytes[64];
		struct pair p;
		size_t len;

		established(&p);
		p.client.out.len = p.server.out.len = 0;
		assert_int_equal(tls_write(p.client.tls, SLICE_LIT("pay 10")), ERR_OK);
		if (at == p.client.out.len) {
			pair_free(&p);
			return;
		}
		p.client.out.ptr[at] ^= 1;
		tls_offer(p.server.tls, buf_slice(&p.client.out));
		enum err err = tls_read(p.server.tls, bytes, sizeof(bytes), &len);

		assert_int_equal(len, 0);
		// A longer length waits for the rest; everything else is final.
		assert_true(err == ERR_MALFORMED || (err == ERR_AGAIN && (at == 3 || at == 4)));
		if (err == ERR_MALFORMED && at > 4) {
			tls_why(p.server.tls, &why);
			assert_non_null(strstr(why.text, "changed on its way"));
			assert_int_equal(tls_read(p.server.tls, bytes, sizeof(bytes), &len),
					 ERR_MALFORMED);
			// The peer is told, and knows what it is told.
			p.client.out.len = 0;
			assert_int_equal(pair_move(&p, &p.server, &p.client, NULL), ERR_DENIED);
			tls_why(p.client.tls, &why);
			assert_non_null(strstr(why.text, "changed on its way"));
		}
		pair_free(&p);
	}
}

static void garbage_instead_of_a_handshake(void **state)
{
	(void)state;
	for (int server = 0; server <= 1; server++) {
		struct pair p;
		struct end *e;

		pair_new(&p, good, good);
		e = server ? &p.server : &p.client;
		e->err = tls_handshake(e->tls, &e->why);
		assert_int_equal(e->err, ERR_AGAIN);
		tls_offer(e->tls, SLICE_LIT("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"));
		assert_int_equal(tls_handshake(e->tls, &e->why), ERR_MALFORMED);
		assert_true(e->why.text[0] != 0);
		pair_free(&p);
	}
}

static void close_notify_ends_one_direction(void **state)
{
	struct buf got;
	struct pair p;

	(void)state;
	established(&p);
	buf_init_growing(&got, 1024);
	assert_int_equal(tls_write(p.client.tls, SLICE_LIT("last words")), ERR_OK);
	tls_close_notify(p.client.tls);
	tls_close_notify(p.client.tls); // once is enough
	assert_int_equal(pair_move(&p, &p.client, &p.server, &got), ERR_CLOSED);
	assert_true(slice_eq_str(buf_slice(&got), "last words"));
	buf_deinit(&got);
	pair_free(&p);
}

// ---- key updates -------------------------------------------------------------------------------

// Both ends take new keys at once, again and again, with records on their way in both directions.
static void key_updates_cross(void **state)
{
	static const size_t chunks[] = {0, 1, 37, 1448};

	(void)state;
	for (uint32_t round = 0; round < 400; round++) {
		struct buf at_server, at_client, sent;
		struct pair p;

		established(&p);
		p.chunk = chunks[round % 4];
		buf_init_growing(&at_server, 1u << 16);
		buf_init_growing(&at_client, 1u << 16);
		buf_init_growing(&sent, 1u << 16);
		for (uint32_t i = 0, bits = round * 2654435761u; i < 16; i++, bits >>= 2) {
			buf_put_be32(&sent, i);
			struct slice word = slice_make(sent.ptr + sent.len - 4, 4);

			if (bits & 1)
				assert_int_equal(tls_update_keys(p.client.tls), ERR_OK);
			assert_int_equal(tls_write(p.client.tls, word), ERR_OK);
			if (bits & 2)
				assert_int_equal(tls_update_keys(p.server.tls), ERR_OK);
			assert_int_equal(tls_write(p.server.tls, word), ERR_OK);
			if (bits & 4) // what was on its way arrives behind the other's update
				assert_int_equal(pair_move(&p, &p.client, &p.server, &at_server),
						 ERR_AGAIN);
			if (bits & 8)
				assert_int_equal(pair_move(&p, &p.server, &p.client, &at_client),
						 ERR_AGAIN);
		}
		for (int i = 0; i < 4; i++) { // answers to updates, and answers to nothing more
			pair_move(&p, &p.client, &p.server, &at_server);
			pair_move(&p, &p.server, &p.client, &at_client);
		}
		assert_true(slice_eq(buf_slice(&at_server), buf_slice(&sent)));
		assert_true(slice_eq(buf_slice(&at_client), buf_slice(&sent)));
		assert_int_equal(p.client.out.len + p.server.out.len, 0);
		buf_deinit(&at_server);
		buf_deinit(&at_client);
		buf_deinit(&sent);
		pair_free(&p);
	}
}

// ---- memory ------------------------------------------------------------------------------------

static void records_cost_no_malloc(void **state)
{
	static uint8_t sent[TLS_RECORD_PLAINTEXT_MAX];
	struct buf got;
	struct pair p;

	(void)state;
	size_t before = tls_thread_heap_used(), allocations = 0;

	established(&p);
	size_t idle = tls_thread_heap_used();

	assert_in_range(idle - before, 2000, 2 * 12000); // an idle tunnel: some KiB an end

	for (uint32_t i = 0; i < 300; i++) {
		size_t bytes = i * 7919 % sizeof(sent) + 1;

		buf_init_growing(&got, sizeof(sent));
		assert_int_equal(tls_write(p.client.tls, slice_make(sent, bytes)), ERR_OK);
		p.chunk = i % 3 *
			  1000; // also in pieces: the session then keeps its buffer between reads
		assert_int_equal(pair_move(&p, &p.client, &p.server, &got), ERR_AGAIN);
		assert_int_equal(got.len, bytes);
		buf_deinit(&got);
		if (i == 2)
			allocations = tls_thread_heap_allocations();
	}
	assert_int_equal(tls_thread_heap_allocations(), allocations);
	assert_int_equal(tls_thread_heap_used(), idle);
	pair_free(&p);
}

static void *shake_hands_and_go(void *context)
{
	struct pair *p = context;
	struct buf got;

	established(p);
	buf_init_growing(&got, 1024);
	assert_int_equal(tls_write(p->client.tls, SLICE_LIT("from a thread")), ERR_OK);
	assert_int_equal(pair_move(p, &p->client, &p->server, &got), ERR_AGAIN);
	buf_deinit(&got);
	pair_free(p);
	return NULL;
}

// What a thread keeps for its records goes with it (the leak checker looks).
static void threads_leave_nothing_behind(void **state)
{
	struct pair pairs[3];
	pthread_t threads[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, shake_hands_and_go, &pairs[i]),
				 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

// However little a thread may have, it is refused in good order: no crash, no leak, and a sentence.
static void capped_heap(void **state)
{
	size_t before = tls_thread_heap_used();
	uint32_t failed = 0, worked = 0;

	(void)state;
	for (size_t room = 256; worked == 0; room += 512) {
		struct end client = {.err = ERR_AGAIN}, server = {.err = ERR_AGAIN};
		struct pair p = {.client = client, .server = server};

		assert_true(room < (1u << 20));
		pair_new(&p, good, good);
		tls_thread_heap(tls_thread_heap_used() + room);
		pair_shake_hands(&p);
		tls_thread_heap(0);
		if (p.client.err == ERR_OK && p.server.err == ERR_OK) {
			worked++;
		} else {
			struct end *e = p.client.err != ERR_AGAIN && p.client.err != ERR_OK
						? &p.client
						: &p.server;
			assert_true(e->why.text[0] != 0);
			failed++;
		}
		pair_free(&p);
		assert_int_equal(tls_thread_heap_used(), before);
	}
	assert_true(failed > 10);
	tls_thread_heap(tls_thread_heap_used() + 100);
	struct tls_session *s = NULL;

	assert_int_equal(tls_session_new(good, false, NULL, NULL, &s), ERR_NOMEM);
	tls_thread_heap(0);
	assert_null(s);
	assert_int_equal(tls_thread_heap_used(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bulk_in_odd_chunks),
		cmocka_unit_test(records_are_large_but_not_too_large),
		cmocka_unit_test(truncated_input_waits),
		cmocka_unit_test(tampered_records_are_refused),
		cmocka_unit_test(garbage_instead_of_a_handshake),
		cmocka_unit_test(close_notify_ends_one_direction),
		cmocka_unit_test(key_updates_cross),
		cmocka_unit_test(records_cost_no_malloc),
		cmocka_unit_test(threads_leave_nothing_behind),
		cmocka_unit_test(capped_heap),
	};

	return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
