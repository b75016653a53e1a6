// SPDX-License-Identifier: GPL-3.0-or-later
// Digests, comparison, and JWS signatures: the RFCs' own examples, every algorithm, what must be
// refused, and tampering with each byte of message, signature and key.
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include "io/crypto.h"
#include "support/jws.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void test_sha256(void **state)
{
	// FIPS 180-4 examples.
	static const struct {
		const char *text;
		const char *hex;
	} rows[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint8_t digest[32];
		char hex[65];

		crypto_sha256(slice_str(rows[i].text), digest);
		for (int k = 0; k < 32; k++)
			snprintf(hex + 2 * k, 3, "%02x", digest[k]);
		assert_string_equal(hex, rows[i].hex);
	}
}

static void test_random(void **state)
{
	uint8_t a[4096] = {0}, b[4096] = {0};
	uint32_t ones = 0;

	(void)state;
	assert_int_equal(crypto_random(a, sizeof(a)), ERR_OK);
	assert_int_equal(crypto_random(b, sizeof(b)), ERR_OK);
	assert_memory_not_equal(a, b, sizeof(a));
	for (size_t i = 0; i < sizeof(a); i++)
		ones += (uint32_t)__builtin_popcount(a[i]);
	// 32768 bits: 16 standard deviations on either side.
	assert_in_range(ones, 16384 - 1450, 16384 + 1450);
	assert_int_equal(crypto_random(a, 0), ERR_OK);
}

static void test_equal(void **state)
{
	uint8_t a[64], b[64];

	(void)state;
	memset(a, 7, sizeof(a));
	for (size_t len = 0; len <= sizeof(a); len++) {
		memset(b, 7, sizeof(b));
		assert_true(crypto_equal(slice_make(a, len), slice_make(b, len)));
		for (size_t i = 0; i < len; i++) {
			b[i] ^= 0x80;
			assert_false(crypto_equal(slice_make(a, len), slice_make(b, len)));
			b[i] ^= 0x80;
		}
		if (len > 0)
			assert_false(crypto_equal(slice_make(a, len), slice_make(b, len - 1)));
	}
}

static enum err verify(const struct jws_vector *v, struct arena *a)
{
	struct ss_jwk key = jws_key(a, &v->key);
	struct slice input, signature;

	jws_split(a, v->token, &input, &signature);
	return crypto_verify_jws(v->alg, &key, input, signature);
}

static void check_vectors(const struct jws_vector *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct arena a;

		arena_init(&a, 1u << 20);
		enum err err = verify(&list[i], &a);

		if (err != list[i].verdict)
			print_error("%s: %s instead of %s\n", list[i].name, err_name(err),
				    err_name(list[i].verdict));
		assert_int_equal(err, list[i].verdict);
		arena_deinit(&a);
	}
}

static void test_good(void **state)
{
	(void)state;
	check_vectors(jws_good, COUNT(jws_good));
}

static void test_refused(void **state)
{
	(void)state;
	check_vectors(jws_refused, COUNT(jws_refused));
}

// Every algorithm with every other's key and signature.
static void test_mixed_up(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 8u << 20);
	for (size_t i = 0; i < COUNT(jws_good); i++) {
		struct slice input, signature;

		jws_split(&a, jws_good[i].token, &input, &signature);
		for (size_t k = 0; k < COUNT(jws_good); k++) {
			struct ss_jwk key = jws_key(&a, &jws_good[k].key);
			bool same_key = strcmp(jws_good[i].key.n ? jws_good[i].key.n : "",
					       jws_good[k].key.n ? jws_good[k].key.n : "") == 0 &&
					strcmp(jws_good[i].key.x ? jws_good[i].key.x : "",
					       jws_good[k].key.x ? jws_good[k].key.x : "") == 0;

			for (enum jwt_alg alg = JWT_ALG_NONE; alg <= JWT_EDDSA; alg++) {
				enum err err = crypto_verify_jws(alg, &key, input, signature);

				if (same_key && alg == jws_good[i].alg)
					assert_int_equal(err, ERR_OK);
				else
					assert_int_not_equal(err, ERR_OK);
			}
		}
	}
	arena_deinit(&a);
}

static void flip_each(const struct jws_vector *v, struct slice bytes, const struct ss_jwk *key,
		      struct slice input, struct slice signature, size_t step)
{
	uint8_t *at = (uint8_t *)(uintptr_t)bytes.ptr;

	for (size_t i = 0; i < bytes.len; i += step) {
		at[i] ^= (uint8_t)(1u << (i % 8));
		if (crypto_verify_jws(v->alg, key, input, signature) == ERR_OK)
			fail_msg("%s: byte %zu may be changed", v->name, i);
		at[i] ^= (uint8_t)(1u << (i % 8));
	}
}

// One bit in each byte of the signature, and in some of message and key (RSA keys: an odd modulus
// stays one mostly, and then the signature has to fail).
static void test_tampered(void **state)
{
	(void)state;
	for (size_t n = 0; n < COUNT(jws_good); n++) {
		const struct jws_vector *v = &jws_good[n];
		struct slice input, signature;
		struct arena a;

		arena_init(&a, 1u << 20);
		struct ss_jwk key = jws_key(&a, &v->key);

		jws_split(&a, v->token, &input, &signature);
		input = arena_copy(&a, input);
		flip_each(v, signature, &key, input, signature, 1);
		flip_each(v, input, &key, input, signature, 5);
		flip_each(v, key.n, &key, input, signature, 7);
		flip_each(v, key.x, &key, input, signature, 5);
		flip_each(v, key.y, &key, input, signature, 5);
		for (size_t len = 0; len < signature.len; len += 3)
			assert_int_equal(crypto_verify_jws(v->alg, &key, input,
							   slice_make(signature.ptr, len)),
					 ERR_SIGNATURE);
		assert_int_equal(crypto_verify_jws(v->alg, &key, input, signature), ERR_OK);
		arena_deinit(&a);
	}
}

// No state is shared: threads verify at once.
static void *verify_often(void *unused)
{
	(void)unused;
	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < COUNT(jws_good); i++) {
			struct arena a;

			arena_init(&a, 1u << 20);
			bool good = verify(&jws_good[i], &a) == ERR_OK;

			arena_deinit(&a);
			if (!good)
				return (void *)1;
		}
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, verify_often, NULL), 0);
	for (int i = 0; i < 4; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

// Keys by themselves: all that verify something are good, and a point that was moved is none.
static void test_keys(void **state)
{
	struct reason why;
	struct arena a;
	uint8_t moved[66], large[513] = {0x80};

	(void)state;
	arena_init(&a, 1u << 20);
	for (size_t i = 0; i < COUNT(jws_good); i++) {
		struct ss_jwk key = jws_key(&a, &jws_good[i].key);

		if (key.type == JWK_OKP && !slice_eq_str(key.crv, "Ed25519"))
			continue;
		if (crypto_check_jwk(&key, &why) != ERR_OK)
			fail_msg("%s: %s", jws_good[i].name, why.text);
		if (key.type != JWK_EC)
			continue;
		memcpy(moved, key.y.ptr, key.y.len);
		moved[key.y.len - 1] ^= 1;
		key.y = slice_make(moved, key.y.len);
		assert_int_equal(crypto_check_jwk(&key, &why), ERR_UNSUPPORTED);
		assert_non_null(strstr(why.text, "no point of"));
		key.y.len--;
		assert_int_equal(crypto_check_jwk(&key, &why), ERR_UNSUPPORTED);
	}
	struct ss_jwk rsa = jws_key(&a, &KEY_RS256), ed = jws_key(&a, &KEY_EDDSA);
	struct slice n = rsa.n, e = rsa.e;

	rsa.e = SLICE_LIT("\x01");
	assert_int_equal(crypto_check_jwk(&rsa, &why), ERR_UNSUPPORTED);
	rsa.e = SLICE_LIT("\x04");
	assert_int_equal(crypto_check_jwk(&rsa, &why), ERR_UNSUPPORTED);
	rsa.e = e;
	rsa.n.len = 255;
	assert_int_equal(crypto_check_jwk(&rsa, &why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, "below 2048"));
	large[512] = 1;
	rsa.n = slice_make(large, sizeof(large));
	assert_int_equal(crypto_check_jwk(&rsa, &why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, "above 4096"));
	rsa.n = n;
	assert_int_equal(crypto_check_jwk(&rsa, &why), ERR_OK);
	// A y that is no residue: about every second string of bytes.
	uint32_t refused = 0;

	memcpy(moved, ed.x.ptr, 32);
	ed.x = slice_make(moved, 32);
	for (int i = 0; i < 64; i++) {
		moved[0] = (uint8_t)i;
		refused += crypto_check_jwk(&ed, &why) != ERR_OK;
	}
	assert_in_range(refused, 10, 54);
	ed.crv = SLICE_LIT("X25519");
	assert_int_equal(crypto_check_jwk(&ed, &why), ERR_UNSUPPORTED);
	arena_deinit(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),	 cmocka_unit_test(test_random),
		cmocka_unit_test(test_equal),	 cmocka_unit_test(test_good),
		cmocka_unit_test(test_refused),	 cmocka_unit_test(test_mixed_up),
		cmocka_unit_test(test_tampered), cmocka_unit_test(test_threads),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
