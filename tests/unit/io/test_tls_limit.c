// SPDX-License-Identifier: GPL-3.0-or-later
// io/tls: the library takes new keys by itself after so many records, and the limit cannot be lowered: so
// this sends them all, one byte each, in both directions at once (ten seconds or two). A tunnel under
// load gets there within minutes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/tls_pair.h"

#define LIMIT_RECORDS 24000000u // beyond the 2^24.5 that AES-GCM's bound allows one key
#define LIMIT_BATCH   100u

// Seals a batch of one-byte records and has the other end read it. False: something else was among
// them, a key update.
static bool limit_batch(struct end *from, struct end *to, uint64_t *got)
{
	uint8_t byte;
	size_t len;

	for (uint32_t i = 0; i < LIMIT_BATCH; i++)
		assert_int_equal(tls_write(from->tls, SLICE_LIT("x")), ERR_OK);
	bool plain = from->out.len == LIMIT_BATCH * (5 + 1 + 1 + 16);

	tls_offer(to->tls, buf_slice(&from->out));
	while (tls_read(to->tls, &byte, 1, &len) == ERR_OK)
		*got += len;
	from->out.len = 0;
	return plain;
}

static void key_updates_by_record_count(void **state)
{
	uint64_t at_server = 0, at_client = 0;
	uint32_t updates = 0;
	struct cert root, node;
	struct pair p;

	(void)state;
	assert_int_equal(tls_global_init(), ERR_OK);
	cert_root(&root, "portcullis root");
	cert_sign(&node, &root, NODE_URI, -60, 3600);
	struct tls_context *good = context_new(&node, buf_slice(&root.text), ALPN, true);

	pair_new(&p, good, good);
	pair_shake_hands(&p);
	assert_int_equal(p.client.err, ERR_OK);
	assert_int_equal(p.server.err, ERR_OK);
	p.client.out.len = p.server.out.len = 0;
	for (uint32_t i = 0; i < LIMIT_RECORDS; i += LIMIT_BATCH) {
		updates += !limit_batch(&p.client, &p.server, &at_server);
		updates += !limit_batch(&p.server, &p.client, &at_client);
	}
	assert_int_equal(at_server, LIMIT_RECORDS);
	assert_int_equal(at_client, LIMIT_RECORDS);
	assert_true(updates >= 2);
	pair_free(&p);
	tls_context_unref(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(key_updates_by_record_count)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
