// SPDX-License-Identifier: GPL-3.0-or-later
// io/x509: what it makes is judged by another library (the openssl command), not by itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/x509.h"

#define NODE_URI "spiffe://cluster.local/node/n1"

struct made {
	char dir[64];
	struct x509_key root_key;
	struct x509_key leaf_key;
	uint8_t root[X509_CERT_PEM_MAX];
	uint8_t leaf[X509_CERT_PEM_MAX];
	struct buf root_pem;
	struct buf leaf_pem;
	int64_t now_unix_s;
};

static void write_file(const struct made *m, const char *name, struct slice bytes)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", m->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, f), bytes.len);
	assert_int_equal(fclose(f), 0);
}

// Runs a command in the directory; its exit status, output appended to out.
static int run(const struct made *m, const char *command, char *out, size_t cap)
{
	char line[1024];
	size_t len;
	FILE *f;

	snprintf(line, sizeof(line), "cd %s && %s 2>&1", m->dir, command);
	f = popen(line, "r");
	assert_non_null(f);
	len = fread(out, 1, cap - 1, f);
	out[len] = 0;
	return pclose(f);
}

static int setup(void **state)
{
	struct made *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	snprintf(m->dir, sizeof(m->dir), "/tmp/portcullis-x509-XXXXXX");
	assert_non_null(mkdtemp(m->dir));
	m->now_unix_s = (int64_t)time(NULL);
	buf_init_fixed(&m->root_pem, m->root, sizeof(m->root));
	buf_init_fixed(&m->leaf_pem, m->leaf, sizeof(m->leaf));
	assert_int_equal(x509_key_generate(&m->root_key), ERR_OK);
	assert_int_equal(x509_key_generate(&m->leaf_key), ERR_OK);
	assert_int_equal(x509_make_root(&m->root_key, SLICE_LIT("portcullis root 1"),
					m->now_unix_s - 60, m->now_unix_s + 86400, &m->root_pem),
			 ERR_OK);
	assert_int_equal(x509_sign_leaf(&m->root_key, buf_slice(&m->root_pem),
					slice_make(m->leaf_key.public_der, m->leaf_key.public_len),
					SLICE_LIT(NODE_URI), SLICE_LIT("policy-sync"),
					m->now_unix_s - 60, m->now_unix_s + 3600, &m->leaf_pem),
			 ERR_OK);
	write_file(m, "root.pem", buf_slice(&m->root_pem));
	write_file(m, "leaf.pem", buf_slice(&m->leaf_pem));
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct made *m = *state;
	char line[128];

	snprintf(line, sizeof(line), "rm -r %s", m->dir);
	assert_int_equal(system(line), 0);
	free(m);
	return 0;
}

static void openssl_verifies_the_chain(void **state)
{
	struct made *m = *state;
	struct x509_key other_key;
	uint8_t other[X509_CERT_PEM_MAX];
	struct buf other_pem;
	char out[4096];

	assert_int_equal(run(m, "openssl verify -x509_strict -CAfile root.pem leaf.pem", out,
			     sizeof(out)),
			 0);
	// Another root with the very same name signs nothing of ours.
	buf_init_fixed(&other_pem, other, sizeof(other));
	assert_int_equal(x509_key_generate(&other_key), ERR_OK);
	assert_int_equal(x509_make_root(&other_key, SLICE_LIT("portcullis root 1"),
					m->now_unix_s - 60, m->now_unix_s + 86400, &other_pem),
			 ERR_OK);
	write_file(m, "other.pem", buf_slice(&other_pem));
	assert_int_not_equal(run(m, "openssl verify -CAfile other.pem leaf.pem", out, sizeof(out)),
			     0);
	// Both in one bundle: the key id picks the right one.
	assert_int_equal(run(m,
			     "cat other.pem root.pem >both.pem && "
			     "openssl verify -CAfile both.pem leaf.pem",
			     out, sizeof(out)),
			 0);
}

static void leaf_says_what_it_may(void **state)
{
	struct made *m = *state;
	char out[8192];

	assert_int_equal(run(m, "openssl x509 -in leaf.pem -noout -text", out, sizeof(out)), 0);
	assert_non_null(strstr(out, "URI:" NODE_URI ", DNS:policy-sync"));
	assert_non_null(
		strstr(out, "TLS Web Server Authentication, TLS Web Client Authentication"));
	assert_non_null(strstr(out, "Digital Signature\n"));
	assert_non_null(strstr(out, "prime256v1"));
	assert_null(strstr(out, "CA:TRUE"));
	assert_int_equal(run(m, "openssl x509 -in root.pem -noout -text", out, sizeof(out)), 0);
	assert_non_null(strstr(out, "CA:TRUE, pathlen:0"));
	assert_non_null(strstr(out, "Certificate Sign"));
	assert_non_null(strstr(out, "X509v3 Basic Constraints: critical"));
	// A leaf cannot sign: a chain through it is refused.
	assert_int_equal(run(m, "openssl verify -CAfile root.pem -purpose sslserver leaf.pem", out,
			     sizeof(out)),
			 0);
}

static void private_key_belongs_to_the_leaf(void **state)
{
	struct made *m = *state;
	char out[8192];

	write_file(m, "leaf.key", slice_make(m->leaf_key.der, m->leaf_key.der_len));
	write_file(m, "leaf.pub", slice_make(m->leaf_key.public_der, m->leaf_key.public_len));
	assert_int_equal(
		run(m,
		    "openssl ec -inform DER -in leaf.key -pubout -outform DER -out a 2>e && "
		    "openssl x509 -in leaf.pem -noout -pubkey | "
		    "openssl ec -pubin -outform DER -out b 2>e && cmp a b && cmp a leaf.pub",
		    out, sizeof(out)),
		0);
}

static void reading_gives_back_what_was_signed(void **state)
{
	struct made *m = *state;
	struct x509_info info;
	char out[256], hex[65];

	assert_int_equal(x509_read(buf_slice(&m->leaf_pem), &info), ERR_OK);
	assert_string_equal(info.uri, NODE_URI);
	assert_int_equal(info.not_before_unix_s, m->now_unix_s - 60);
	assert_int_equal(info.not_after_unix_s, m->now_unix_s + 3600);
	write_file(m, "leaf.pub", slice_make(m->leaf_key.public_der, m->leaf_key.public_len));
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", info.key_pin[i]);
	assert_int_equal(run(m, "sha256sum leaf.pub", out, sizeof(out)), 0);
	assert_memory_equal(out, hex, 64);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", info.sha256[i]);
	assert_int_equal(
		run(m, "openssl x509 -in leaf.pem -outform DER | sha256sum", out, sizeof(out)), 0);
	assert_memory_equal(out, hex, 64);
}

static void times_beyond_2049_are_generalized(void **state)
{
	struct made *m = *state;
	uint8_t bytes[X509_CERT_PEM_MAX];
	struct x509_info info;
	struct buf pem;
	char out[1024];

	buf_init_fixed(&pem, bytes, sizeof(bytes));
	// 2049-12-31T23:59:59Z and one second later, where RFC 5280 changes the form.
	assert_int_equal(x509_make_root(&m->root_key, SLICE_LIT("late"), 2524607999, 2524608000,
					&pem),
			 ERR_OK);
	assert_int_equal(x509_read(buf_slice(&pem), &info), ERR_OK);
	assert_int_equal(info.not_before_unix_s, 2524607999);
	assert_int_equal(info.not_after_unix_s, 2524608000);
	write_file(m, "late.pem", buf_slice(&pem));
	assert_int_equal(
		run(m, "openssl x509 -in late.pem -outform DER | openssl asn1parse -inform DER",
		    out, sizeof(out)),
		0);
	assert_non_null(strstr(out, "UTCTIME           :491231235959Z"));
	assert_non_null(strstr(out, "GENERALIZEDTIME   :20500101000000Z"));
}

// What a hostile node may ask to have signed.
static void bad_public_keys_are_refused(void **state)
{
	struct made *m = *state;
	uint8_t bytes[X509_CERT_PEM_MAX], key[X509_PUBLIC_DER_MAX];
	struct slice public = slice_make(m->leaf_key.public_der, m->leaf_key.public_len);
	struct buf pem;

	buf_init_fixed(&pem, bytes, sizeof(bytes));
	for (size_t i = 0; i < public.len; i++) {
		memcpy(key, public.ptr, public.len);
		key[i] ^= 1; // a changed header, or a point off the curve
		assert_int_equal(x509_sign_leaf(&m->root_key, buf_slice(&m->root_pem),
						slice_make(key, public.len), SLICE_LIT(NODE_URI),
						(struct slice){0}, 1, 2, &pem),
				 ERR_MALFORMED);
	}
	for (size_t len = 0; len < public.len; len++)
		assert_int_equal(x509_sign_leaf(&m->root_key, buf_slice(&m->root_pem),
						slice_make(public.ptr, len), SLICE_LIT(NODE_URI),
						(struct slice){0}, 1, 2, &pem),
				 ERR_MALFORMED);
	assert_int_equal(pem.len, 0);
}

static void bad_names_and_times_are_refused(void **state)
{
	struct made *m = *state;
	struct slice public = slice_make(m->leaf_key.public_der, m->leaf_key.public_len);
	static const char *const bad[] = {"spiffe://td/node/a b", "spiffe://td/node/a\x01",
					  "a\x7f"};
	uint8_t bytes[X509_CERT_PEM_MAX];
	char lengthy[600];
	struct buf pem;

	buf_init_fixed(&pem, bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(x509_sign_leaf(&m->root_key, buf_slice(&m->root_pem), public,
						slice_str(bad[i]), (struct slice){0}, 1, 2, &pem),
				 ERR_MALFORMED);
	memset(lengthy, 'a', sizeof(lengthy));
	assert_int_equal(x509_sign_leaf(&m->root_key, buf_slice(&m->root_pem), public,
					slice_make(lengthy, sizeof(lengthy)), (struct slice){0}, 1,
					2, &pem),
			 ERR_TOO_LARGE);
	assert_int_equal(x509_sign_leaf(&m->root_key, buf_slice(&m->root_pem), public,
					(struct slice){0}, (struct slice){0}, 1, 2, &pem),
			 ERR_MALFORMED);
	assert_int_equal(x509_sign_leaf(&m->root_key, buf_slice(&m->root_pem), public,
					SLICE_LIT(NODE_URI), (struct slice){0}, 2, 2, &pem),
			 ERR_RANGE);
}

static void long_names_keep_their_der_lengths(void **state)
{
	struct made *m = *state;
	struct slice public = slice_make(m->leaf_key.public_der, m->leaf_key.public_len);
	static const size_t lens[] = {20, 120, 123, 127, 128, 250, 255, 256, 440, 500};
	uint8_t bytes[X509_CERT_PEM_MAX];
	char name[600] = "spiffe://", out[4096];
	struct x509_info info;
	struct buf pem;

	memset(name + 9, 'n', sizeof(name) - 9);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		buf_init_fixed(&pem, bytes, sizeof(bytes));
		assert_int_equal(x509_sign_leaf(&m->root_key, buf_slice(&m->root_pem), public,
						slice_make(name, lens[i]), (struct slice){0},
						m->now_unix_s - 1, m->now_unix_s + 60, &pem),
				 ERR_OK);
		write_file(m, "long.pem", buf_slice(&pem));
		assert_int_equal(run(m, "openssl verify -x509_strict -CAfile root.pem long.pem",
				     out, sizeof(out)),
				 0);
		assert_int_equal(x509_read(buf_slice(&pem), &info), ERR_OK);
		assert_int_equal(strlen(info.uri), lens[i]);
	}
}

static void keys_survive_a_file_and_not_a_change(void **state)
{
	struct made *m = *state;
	struct x509_key back;
	uint8_t der[X509_KEY_DER_MAX];
	char out[1024];
	FILE *f;
	size_t len;

	assert_int_equal(x509_key_load(slice_make(m->root_key.der, m->root_key.der_len), &back),
			 ERR_OK);
	assert_memory_equal(back.public_der, m->root_key.public_der, m->root_key.public_len);
	memcpy(der, m->root_key.der, m->root_key.der_len);
	der[m->root_key.der_len - 1] ^= 1; // the public half no longer lies on the curve
	assert_int_equal(x509_key_load(slice_make(der, m->root_key.der_len), &back), ERR_MALFORMED);
	assert_int_equal(back.der_len, 0);
	assert_int_equal(x509_key_load((struct slice){0}, &back), ERR_MALFORMED);
	// PKCS#8 of another tool, and a curve that we do not take.
	assert_int_equal(run(m,
			     "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 "
			     "-outform DER -out p256 && openssl genpkey -algorithm EC -pkeyopt "
			     "ec_paramgen_curve:P-384 -outform DER -out p384",
			     out, sizeof(out)),
			 0);
	snprintf(out, sizeof(out), "%s/p256", m->dir);
	f = fopen(out, "r");
	assert_non_null(f);
	len = fread(der, 1, sizeof(der), f);
	fclose(f);
	assert_int_equal(x509_key_load(slice_make(der, len), &back), ERR_OK);
	snprintf(out, sizeof(out), "%s/p384", m->dir);
	f = fopen(out, "r");
	assert_non_null(f);
	len = fread(der, 1, sizeof(der), f);
	fclose(f);
	assert_int_equal(x509_key_load(slice_make(der, len), &back), ERR_MALFORMED);
}

static void bundles_are_walked(void **state)
{
	struct made *m = *state;
	uint8_t text[3 * X509_CERT_PEM_MAX], der[4096];
	struct buf bundle, one;
	struct slice rest;
	int count = 0;

	buf_init_fixed(&bundle, text, sizeof(text));
	buf_put_str(&bundle, "# a comment\n");
	buf_put_slice(&bundle, buf_slice(&m->root_pem));
	buf_put_str(&bundle, "\n");
	buf_put_slice(&bundle, buf_slice(&m->leaf_pem));
	rest = buf_slice(&bundle);
	for (;;) {
		enum err e;

		buf_init_fixed(&one, der, sizeof(der));
		e = x509_next(&rest, &one);
		if (e == ERR_NOT_FOUND)
			break;
		assert_int_equal(e, ERR_OK);
		count++;
	}
	assert_int_equal(count, 2);
	for (size_t len = 0; len + 1 < m->root_pem.len; len++) { // truncated anywhere
		rest = slice_make(m->root_pem.ptr, len);
		buf_init_fixed(&one, der, sizeof(der));
		assert_int_not_equal(x509_next(&rest, &one), ERR_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(openssl_verifies_the_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(leaf_says_what_it_may, setup, teardown),
		cmocka_unit_test_setup_teardown(private_key_belongs_to_the_leaf, setup, teardown),
		cmocka_unit_test_setup_teardown(reading_gives_back_what_was_signed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(times_beyond_2049_are_generalized, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_public_keys_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_names_and_times_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(long_names_keep_their_der_lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_survive_a_file_and_not_a_change, setup,
						teardown),
		cmocka_unit_test_setup_teardown(bundles_are_walked, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
