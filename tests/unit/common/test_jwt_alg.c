// SPDX-License-Identifier: GPL-3.0-or-later
// common/jwt_alg: the two rooms that never meet mean the same by a number: what core/jwt reads out of a
// token's header is what io/crypto verifies that token by, and by no other.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/jwt.h"
#include "io/crypto.h"
#include "support/jws.h"

static void readers_and_verifiers_agree(void **state)
{
	uint32_t seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(jws_good) / sizeof(jws_good[0]); i++) {
		const struct jws_vector *v = &jws_good[i];
		struct arena a;
		struct jwt t;

		arena_init(&a, 1u << 20);
		struct ss_jwk key = jws_key(&a, &v->key);
		enum jwt_refusal form = jwt_parse(slice_str(v->token), &a, &t);

		// The RFCs' own payloads are not all claims; the header was read all the same where it is.
		if (form == JWT_OK) {
			assert_int_equal(t.alg, v->alg);
			assert_true(jwt_key_fits(&t, &key));
			assert_int_equal(crypto_verify_jws(t.alg, &key, t.signing_input,
							   t.signature),
					 v->verdict);
			seen |= 1u << t.alg;
		}
		arena_deinit(&a);
	}
	for (int alg = JWT_RS256; alg <= JWT_EDDSA; alg++)
		assert_true(seen & (1u << alg));
}

static void zero_is_refused_by_both(void **state)
{
	struct jwt t = {.alg = JWT_ALG_NONE};
	struct ss_jwk key;
	struct arena a;

	(void)state;
	arena_init(&a, 1u << 20);
	assert_int_equal(JWT_ALG_NONE, 0);
	for (size_t i = 0; i < sizeof(jws_good) / sizeof(jws_good[0]); i++) {
		key = jws_key(&a, &jws_good[i].key);
		assert_false(jwt_key_fits(&t, &key));
		assert_int_not_equal(crypto_verify_jws(JWT_ALG_NONE, &key, SLICE_LIT("x"),
						       (struct slice){0}),
				     ERR_OK);
	}
	arena_deinit(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_and_verifiers_agree),
		cmocka_unit_test(zero_is_refused_by_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
