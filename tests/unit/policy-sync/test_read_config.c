// SPDX-License-Identifier: GPL-3.0-or-later
// What is read from objects beside rules: key sets and where they come from, rate limits, the mesh's settings.
#include <stdio.h>
#include "policy-sync/objects.h"

static void key_sets(void **state)
{
#define JWKS(keys) POLICY_HEAD "  jwt: {providers: [{name: a, localJWKS: {inline: '" keys "'}}]}\n"
#define P256                                                                                       \
	"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
	static const struct {
		const char *text, *part; // part NULL: good
	} rows[] = {
		{JWKS("{\"keys\":[{\"kid\":\"k\"," ED25519 "}]}"), NULL},
		{JWKS("{\"keys\":[{" P256
		      "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}]}"),
		 NULL},
		{JWKS("{\"keys\":[{" P256
		      "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyI\"}]}"),
		 "key 1: x and y are no point of P-256"},
		{JWKS("{\"keys\":[{\"alg\":\"ES384\"," P256
		      "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}]}"),
		 "alg ES384 does not go with this key"},
		{JWKS("{\"keys\":[{\"alg\":\"HS256\"," ED25519 "}]}"), "alg HS256 does not go"},
		{JWKS("{\"keys\":[{\"use\":\"enc\"," ED25519 "}]}"), "no key that could verify"},
		{JWKS("not json"), "JSON Web Key Set"},
		{JWKS("{\"keys\":[]}"), "JSON Web Key Set"},
		{JWKS("{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}"), "kty"},
		{JWKS("{\"keys\":[{" ED25519 "},{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}"),
		 "key 2: RSA keys below 2048"},
		{JWKS("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQAB\",\"y\":\"AQAB\"}]"
		      "}"),
		 "as long as"},
		{JWKS("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AQ\",\"y\":\"AQ\"}]"
		      "}"),
		 "P-256"},
		{JWKS("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"1+/=\"}]}"),
		 "base64url"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct texts t;

		texts_open(&t);
		texts_add(&t, rows[i].text);
		const struct security_policy *p = t.model->policies.items[0];

		if (!rows[i].part) {
			assert_int_equal(t.findings.count, 0);
			assert_int_equal(p->spec.providers[0].key_count, 1);
			assert_int_equal(p->spec.providers[0].keys[0].x.len, 32);
			assert_true(slice_eq_str(p->spec.providers[0].headers[0].name,
						 "authorization"));
		} else if (!texts_found(&t, 6, 51, "spec.jwt.providers[0].localJWKS.inline",
					rows[i].part)) {
			fail_msg("row %zu: %s", i, rows[i].text);
		}
		assert_int_equal(p->broken.len > 0, rows[i].part != NULL);
		texts_close(&t);
	}
}

// Providers publish keys for encryption beside the others: those are left out, and it is said.
static void keys_that_are_not_used(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t,
		  JWKS("{\"keys\":[{\"use\":\"enc\",\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":"
		       "\"AQAB\"},{\"kid\":\"k\",\"use\":\"sig\"," ED25519
		       "},{\"alg\":\"RSA-OAEP\",\"kty\":\"RSA\"},{\"key_ops\":[\"sign\"]," ED25519
		       "},{\"kid\":\"k\",\"d\":\"AQAB\",\"key_ops\":[\"sign\",\"verify\"]," ED25519
		       "}]}"));
	const struct security_policy *p = t.model->policies.items[0];

	assert_int_equal(t.findings.errors, 0);
	assert_int_equal(t.findings.count, 5);
	assert_true(texts_found(&t, 6, 51, "spec.jwt.providers[0].localJWKS.inline",
				"key 1: its use is not sig"));
	assert_true(texts_found(&t, 6, 51, "spec.jwt.providers[0].localJWKS.inline",
				"key 5: the private part"));
	assert_true(texts_found(&t, 6, 51, "spec.jwt.providers[0].localJWKS.inline",
				"key 5: kid k is there twice"));
	assert_int_equal(p->spec.providers[0].key_count, 2);
	assert_int_equal(p->broken.len, 0);
	texts_close(&t);
}

// A Secret's data is base64, its stringData is not and counts first; a ConfigMap's are the other way
// round.
static void keys_from_elsewhere(void **state)
{
#define SET "'{\"keys\":[{\"kid\":\"k\"," ED25519 "}]}'"
#define SET_BASE64                                                                                 \
	"eyJrZXlzIjpbeyJraWQiOiJrIiwia3R5IjoiT0tQIiwiY3J2IjoiRWQyNTUxOSIsIngi"                     \
	"OiIxMXFZQVlLeENyZlZTXzdUeVdRSE9nN2hjdlBhcGlNbHJ3SWFhUGNIVVJvIn1dfQ=="
#define OBJECT(kind, data)                                                                         \
	"apiVersion: v1\nkind: " kind "\nmetadata: {name: keys, namespace: shop}\n" data "\n---\n"
#define USER(kind)                                                                                 \
	POLICY_HEAD                                                                                \
	"  jwt: {providers: [{name: a, localJWKS: {type: ValueRef, valueRef: {kind: " kind         \
	", name: keys}}}]}\n"
	static const struct {
		const char *text, *part; // part NULL: good
	} rows[] = {
		{OBJECT("Secret", "data: {jwks: " SET_BASE64 "}") USER("Secret"), NULL},
		{OBJECT("Secret", "data: {jwks: \"" SET_BASE64 "\"}") USER("Secret"), NULL},
		{OBJECT("Secret", "stringData: {jwks: " SET "}") USER("Secret"), NULL},
		{OBJECT("Secret", "stringData: {jwks: " SET "}\ndata: {jwks: bm90aGluZw==}")
			 USER("Secret"),
		 NULL},
		{OBJECT("Secret", "data: {jwks: " SET "}") USER("Secret"), "is not in base64"},
		{OBJECT("Secret", "data: {jwks: bm90aGluZw==}") USER("Secret"), "JSON Web Key Set"},
		{OBJECT("ConfigMap", "data: {jwks: " SET "}") USER("ConfigMap"), NULL},
		{OBJECT("ConfigMap", "binaryData: {jwks: " SET_BASE64 "}") USER("ConfigMap"), NULL},
		{OBJECT("ConfigMap", "data: {other: " SET "}") USER("ConfigMap"),
		 "has no key jwks"},
		{OBJECT("ConfigMap", "data: {jwks: " SET "}") USER("Secret"), "there is no Secret"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool said = false;
		struct texts t;

		texts_open(&t);
		texts_add(&t, rows[i].text);
		const struct security_policy *p = t.model->policies.items[0];

		for (uint32_t k = 0; k < t.findings.count && rows[i].part; k++)
			said |= memmem(t.findings.list[k].message.ptr,
				       t.findings.list[k].message.len, rows[i].part,
				       strlen(rows[i].part)) != NULL;
		if (said != (rows[i].part != NULL) || (p->broken.len > 0) != said) {
			(void)texts_found(&t, 0, 0, "", "");
			fail_msg("row %zu: %s", i, rows[i].text);
		}
		texts_close(&t);
	}
}

static void limits(void **state)
{
#define LIMIT(spec)                                                                                \
	OURS "kind: RateLimitPolicy\nmetadata: {name: l, namespace: shop}\nspec: {targetRefs: "    \
	     "[{group: \"\", kind: Service, name: z}], " spec "}\n"
#define RULES "rules: [{name: r, limit: {requests: 10, unit: Minute, burst: 20}}]"
	static const char *const bad[] = {
		LIMIT(RULES), // scope is required: what is counted where is no detail
		LIMIT("scope: Cluster, " RULES),
		LIMIT("scope: Node, rules: [{name: r, limit: {requests: 0, unit: Minute}}]"),
		LIMIT("scope: Node, rules: [{name: r, limit: {requests: 1, unit: Fortnight}}]"),
		LIMIT("scope: Node, rules: [{name: r, lmit: {}}]"),
		LIMIT("scope: Node, rules: []"),
		LIMIT("scope: Node, rules: [{name: r, limit: {requests: 1, unit: Hour}}, {name: r, "
		      "limit: {requests: 2, unit: Hour}}]"),
		LIMIT("scope: Node, rules: [{name: r, clientSelectors: [{methods: [get]}], limit: "
		      "{requests: 1, unit: Hour}}]"),
	};
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t, LIMIT("scope: Node, rules: [{name: r, clientSelectors: [{sourceCIDR: {type: "
			    "Distinct, value: 10.0.0.0/8}}], limit: {requests: 10, unit: Hour}}]"));
	assert_int_equal(t.findings.count, 0);
	const struct rate_limit_policy *p = t.model->limits.items[0];

	assert_int_equal(p->limits[0].key, LIMIT_KEY_CLIENT_ADDR);
	assert_int_equal(p->limits[0].requests, 10);
	assert_int_equal(p->limits[0].unit_s, 3600);
	assert_true(slice_eq_str(p->limits[0].id, "shop/l/r"));
	texts_close(&t);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		texts_open(&t);
		texts_add(&t, bad[i]);
		if (t.findings.errors == 0 || t.model->limits.count != 0)
			fail_msg("row %zu: %s", i, bad[i]);
		texts_close(&t);
	}
}

static void mesh_config(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	assert_true(slice_eq_str(t.model->meta.trust_domain, "cluster.local"));
	texts_add(&t, OURS
		  "kind: MeshConfig\nmetadata: {name: default}\nspec: {trustDomain: prod.example, "
		  "tunnelPort: 14444, timeouts: {connect: 2s}, "
		  "http: {upgrades: [SPDY/3.1, tcp]}}\n");
	assert_int_equal(t.findings.count, 0);
	assert_true(slice_eq_str(t.model->meta.trust_domain, "prod.example"));
	assert_int_equal(t.model->tunnel_port, 14444);
	assert_int_equal(t.model->meta.connect_timeout_ms, 2000);
	assert_int_equal(t.model->meta.upgrade_count, 2);
	assert_true(slice_eq_str(t.model->meta.upgrades[1], "tcp"));
	texts_add(&t,
		  OURS "kind: MeshConfig\nmetadata: {name: second}\nspec: {trustDomain: evil}\n");
	assert_int_equal(t.findings.errors, 1);
	assert_true(slice_eq_str(t.model->meta.trust_domain, "prod.example"));
	texts_close(&t);
}

// What is no protocol of an Upgrade field could never be met in one.
static void upgrades(void **state)
{
	static const char *const wrong[] = {"a b", "a/", "/1", "a/b/c", "a,b", "\xc3\xa4"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct texts t;
		char text[256];

		texts_open(&t);
		snprintf(text, sizeof(text),
			 OURS "kind: MeshConfig\nmetadata: {name: default}\n"
			      "spec: {http: {upgrades: [\"%s\"]}}\n",
			 wrong[i]);
		texts_add(&t, text);
		assert_int_equal(t.findings.errors, 1);
		texts_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_sets),
		cmocka_unit_test(keys_that_are_not_used),
		cmocka_unit_test(keys_from_elsewhere),
		cmocka_unit_test(limits),
		cmocka_unit_test(mesh_config),
		cmocka_unit_test(upgrades),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
