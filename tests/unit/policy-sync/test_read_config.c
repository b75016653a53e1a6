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

// RFC 7517 5: what is not understood is left out; it costs none of the others, and nobody's trust.
static const struct {
	const char *key, *part;
} left_out[] = {
	{"{\"kty\":\"oct\",\"kid\":\"s\",\"k\":\"c2VjcmV0\"}", "shared secrets"},
	{"{\"kty\":\"AKP\",\"alg\":\"ML-DSA-44\",\"pub\":\"AQAB\"}", "kty"},
	{"{\"kty\":\"ec\"}", "kty"},
	{"{\"kty\":null}", "kty"},
	{"{\"kty\":5}", "kty"},
	{"{}", "kty"},
	{"null", "is no object"},
	{"\"key\"", "is no object"},
	{"[]", "is no object"},
	{"{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AQ\",\"y\":\"AQ\"}", "P-256"},
	{"{\"kty\":\"EC\",\"crv\":null,\"x\":\"AQ\",\"y\":\"AQ\"}", "crv"},
	{"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQ\"}", "x and y"},
	{"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":"
	 "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
	 "Ed25519"},
	{"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQAB\"}", "32 bytes"},
	{"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "below 2048"},
	{"{\"kty\":\"RSA\",\"e\":\"AQAB\"}", "needs n and e"},
	{"{\"kty\":\"RSA\",\"x5c\":[\"MIIB\"]}", "needs n and e"},
	{"{\"kid\":null," ED25519 "}", "kid"},
	{"{\"kid\":7," ED25519 "}", "kid"},
	{"{\"alg\":null," ED25519 "}", "alg"},
	{"{\"alg\":\"none\"," ED25519 "}", "alg none does not go"},
	{"{\"alg\":\"HS256\"," ED25519 "}", "alg HS256 does not go"},
	{"{\"alg\":\"ES256\"," ED25519 "}", "alg ES256 does not go"},
	{"{\"use\":\"enc\"," ED25519 "}", "use is not sig"},
	{"{\"use\":null," ED25519 "}", "use is not sig"},
	{"{\"key_ops\":[\"sign\"]," ED25519 "}", "key_ops"},
	{"{\"key_ops\":[]," ED25519 "}", "key_ops"},
	{"{\"key_ops\":\"sign\"," ED25519 "}", "key_ops"},
	{"{\"key_ops\":null," ED25519 "}", "key_ops"},
};

static void keys_that_are_left_out(void **state)
{
	static const char good[] = "{\"kid\":\"good\"," ED25519 "}";

	(void)state;
	for (size_t i = 0; i < 3 * sizeof(left_out) / sizeof(left_out[0]); i++) {
		const char *key = left_out[i / 3].key;
		char text[2048], number[64];
		struct texts t;

		// Before a good one, behind it, and alone.
		snprintf(text, sizeof(text), JWKS("{\"keys\":[%s%s%s]}"), i % 3 == 1 ? good : key,
			 i % 3 == 2 ? "" : ",",
			 i % 3 == 0   ? good
			 : i % 3 == 1 ? key
				      : "");
		snprintf(number, sizeof(number), "key %d: ", i % 3 == 1 ? 2 : 1);
		texts_open(&t);
		texts_add(&t, text);
		const struct security_policy *p = t.model->policies.items[0];
		const char *field = "spec.jwt.providers[0].localJWKS.inline";
		bool alone = i % 3 == 2;
		bool said = texts_found(&t, 6, 51, field, left_out[i / 3].part) &&
			    texts_found(&t, 6, 51, field, number) &&
			    texts_found(&t, 6, 51, field, "left out");

		if (alone)
			said &= texts_found(&t, 6, 51, field, "no key that could verify");
		if (!said || t.findings.count != 1u + alone || t.findings.errors != alone ||
		    (p->broken.len > 0) != alone)
			fail_msg("row %zu: %s", i / 3, text);
		if (!alone) {
			assert_int_equal(p->spec.providers[0].key_count, 1);
			assert_true(slice_eq_str(p->spec.providers[0].keys[0].kid, "good"));
		}
		texts_close(&t);
	}
}

// Whoever reads the key that signs can sign.
static void private_parts(void **state)
{
	static const char *const members[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "priv"};

	(void)state;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		char text[512];
		struct texts t;

		snprintf(text, sizeof(text), JWKS("{\"keys\":[{\"%s\":\"AQAB\"," ED25519 "}]}"),
			 members[i]);
		texts_open(&t);
		texts_add(&t, text);
		assert_int_equal(t.findings.count, 1);
		assert_int_equal(t.findings.errors, 0);
		assert_true(texts_found(&t, 6, 51, "spec.jwt.providers[0].localJWKS.inline",
					"the private part"));
		texts_close(&t);
	}
}

// A provider may publish many, of which few are for signatures.
static void many_keys(void **state)
{
	static char text[1 << 16];

	(void)state;
	for (int usable = 64; usable <= 65; usable++) {
		struct texts t;
		struct buf b;

		buf_init_fixed(&b, text, sizeof(text) - 1);
		buf_put_str(&b, POLICY_HEAD
			    "  jwt: {providers: [{name: a, localJWKS: {inline: '{\"keys\":[");
		for (int i = 0; i < 100; i++)
			buf_printf(&b, "{\"kid\":\"k%d\"%s," ED25519 "}%s", i,
				   i < usable ? "" : ",\"use\":\"enc\"", i < 99 ? "," : "");
		buf_put_str(&b, "]}'}}]}\n");
		text[b.len] = 0;
		texts_open(&t);
		texts_add(&t, text);
		const struct security_policy *p = t.model->policies.items[0];

		assert_int_equal(p->broken.len > 0, usable > 64);
		assert_int_equal(t.findings.errors, usable > 64);
		texts_close(&t);
	}
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

// What is not said narrows nothing; what is said and empty is an error, never "all".
static void ingress_nodes(void **state)
{
#define INGRESS(what)                                                                              \
	OURS "kind: MeshConfig\nmetadata: {name: default}\nspec: {ingress: " what "}\n"
	static const char *const bad[] = {
		INGRESS("{}"),
		INGRESS("{nodeSelector: {}}"),
		INGRESS("{nodeSelector: {matchLabels: }}"),
		INGRESS("{nodeSelector: {matchLabels: {a: b}}, nodes: [x]}"),
		INGRESS("{nodeSelector: {matchLabels: {a: b}, matchExpressions: []}}"),
	};
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t, INGRESS("{nodeSelector: {matchLabels: {edge: 'yes'}}}"));
	assert_int_equal(t.findings.count, 0);
	assert_int_equal(t.model->ingress_nodes.count, 1);
	texts_close(&t);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		texts_open(&t);
		texts_add(&t, bad[i]);
		if (t.findings.errors == 0)
			fail_msg("row %zu: %s", i, bad[i]);
		texts_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_sets),
		cmocka_unit_test(keys_that_are_not_used),
		cmocka_unit_test(keys_that_are_left_out),
		cmocka_unit_test(private_parts),
		cmocka_unit_test(many_keys),
		cmocka_unit_test(keys_from_elsewhere),
		cmocka_unit_test(limits),
		cmocka_unit_test(mesh_config),
		cmocka_unit_test(upgrades),
		cmocka_unit_test(ingress_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
