// SPDX-License-Identifier: GPL-3.0-or-later
// SPIFFE ids are parsed strictly, and a rule's source names exactly the principals it says.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/identity.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static struct principal workload(const char *domain, const char *ns, const char *account)
{
	return (struct principal){
		.type = PRINCIPAL_WORKLOAD,
		.trust_domain = slice_str(domain),
		.namespace = slice_str(ns),
		.service_account = slice_str(account),
	};
}

static void test_format(void **state)
{
	static const struct {
		enum principal_type type;
		const char *text;
	} rows[] = {
		{PRINCIPAL_UNKNOWN, "unknown"},
		{PRINCIPAL_NODE, "node"},
		{PRINCIPAL_GATEWAY, "gateway"},
		{PRINCIPAL_UNAUTHENTICATED, "unauthenticated"},
	};
	struct principal p = workload("cluster.local", "shop", "cart");
	char text[SPIFFE_ID_MAX], longest[600];

	(void)state;
	assert_true(
		slice_eq_str(principal_format(&p, text), "spiffe://cluster.local/ns/shop/sa/cart"));
	assert_string_equal(text, "spiffe://cluster.local/ns/shop/sa/cart");
	for (size_t i = 0; i < COUNT(rows); i++) {
		p.type = rows[i].type;
		assert_true(slice_eq_str(principal_format(&p, text), rows[i].text));
	}
	memset(longest, 'a', sizeof(longest));
	p = workload("td", "ns", "sa");
	p.service_account = slice_make(longest, sizeof(longest));
	assert_int_equal(principal_format(&p, text).len, SPIFFE_ID_MAX - 1);
	assert_int_equal(text[SPIFFE_ID_MAX - 1], 0);
}

static void test_parse(void **state)
{
	struct slice domain, ns, account, node;

	(void)state;
	assert_int_equal(identity_parse_workload(SLICE_LIT("spiffe://td.example/ns/a-b/sa/c.d_e"),
						 &domain, &ns, &account),
			 ERR_OK);
	assert_true(slice_eq_str(domain, "td.example"));
	assert_true(slice_eq_str(ns, "a-b"));
	assert_true(slice_eq_str(account, "c.d_e"));
	assert_int_equal(identity_parse_node(SLICE_LIT("spiffe://td/node/n-1.example"), &domain,
					     &node),
			 ERR_OK);
	assert_true(slice_eq_str(domain, "td"));
	assert_true(slice_eq_str(node, "n-1.example"));
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"spiffe://",
		"spiffe:///ns/a/sa/b",
		"spiffe://td",
		"spiffe://td/",
		"spiffe://td/ns/a/sa/",
		"spiffe://td/ns//sa/b",
		"spiffe://td/ns/a/sa/b/",
		"spiffe://td/ns/a/sa/b/c",
		"spiffe://td/ns/a/sa/b?q",
		"spiffe://td/ns/a/sa/b#f",
		"spiffe://td/ns/a/sa/%62",
		"spiffe://td/ns/./sa/b",
		"spiffe://td/ns/../sa/b",
		"spiffe://td/NS/a/sa/b",
		"spiffe://td/ns/a/SA/b",
		"spiffe://TD/ns/a/sa/b",
		"spiffe://user@td/ns/a/sa/b",
		"spiffe://td:1/ns/a/sa/b",
		"SPIFFE://td/ns/a/sa/b",
		"https://td/ns/a/sa/b",
		" spiffe://td/ns/a/sa/b",
		"spiffe://td/ns/a/sa/b ",
		"spiffe://td/ns/a/sa/b\n",
		"spiffe://td/ns/a/sa/\xc3\xa4",
		"spiffe://td/node/a/b",
		"spiffe://td/node/",
		"spiffe://td/nodes/a",
		"spiffe://td/node",
	};
	char longest[SPIFFE_ID_MAX + 2];
	struct slice a, b, c;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(identity_parse_workload(slice_str(bad[i]), &a, &b, &c),
				 ERR_MALFORMED);
		assert_int_equal(identity_parse_node(slice_str(bad[i]), &a, &b), ERR_MALFORMED);
	}
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "spiffe://td/node/", 17);
	assert_int_equal(identity_parse_node(slice_make(longest, SPIFFE_ID_MAX + 1), &a, &b),
			 ERR_MALFORMED);
	assert_int_equal(identity_parse_node(slice_make(longest, SPIFFE_ID_MAX), &a, &b), ERR_OK);
	// A NUL is a byte like any other that does not belong there.
	assert_int_equal(identity_parse_node(SLICE_LIT("spiffe://td/node/a\0b"), &a, &b),
			 ERR_MALFORMED);
}

struct match_row {
	enum source_type type;
	const char *ns;
	const char *name;
	bool matches; // spiffe://td/ns/shop/sa/cart
};

static void test_workload_sources(void **state)
{
	static const struct match_row rows[] = {
		{SOURCE_SERVICE_ACCOUNT, "shop", "cart", true},
		{SOURCE_SERVICE_ACCOUNT, "shop", "*", true},
		{SOURCE_SERVICE_ACCOUNT, "shop", "car", false},
		{SOURCE_SERVICE_ACCOUNT, "shop", "carts", false},
		{SOURCE_SERVICE_ACCOUNT, "sho", "cart", false},
		{SOURCE_SERVICE_ACCOUNT, "*", "cart", false},
		{SOURCE_SERVICE_ACCOUNT, "shop", "", false},
		{SOURCE_SERVICE_ACCOUNT, "", "cart", false},
		{SOURCE_SERVICE_ACCOUNT, "", "*", false},
		{SOURCE_SPIFFE, "", "spiffe://td/ns/shop/sa/cart", true},
		{SOURCE_SPIFFE, "", "spiffe://td/ns/shop/sa/*", true},
		{SOURCE_SPIFFE, "", "spiffe://td/ns/shop/*", true},
		{SOURCE_SPIFFE, "", "spiffe://td/ns/*", true},
		{SOURCE_SPIFFE, "", "spiffe://td/*", true},
		{SOURCE_SPIFFE, "", "spiffe://*", true},
		{SOURCE_SPIFFE, "", "spiffe://td/ns/shop/sa/car*", false},
		{SOURCE_SPIFFE, "", "spiffe://td/ns/shop/sa/cart/*", false},
		{SOURCE_SPIFFE, "", "spiffe://td/ns/sho/*", false},
		{SOURCE_SPIFFE, "", "spiffe://td/node/*", false},
		{SOURCE_SPIFFE, "", "spiffe://td/ns/shop/as/*", false},
		{SOURCE_SPIFFE, "", "spiffe://t/*", false},
		{SOURCE_SPIFFE, "", "spiffe://td2/*", false},
		{SOURCE_SPIFFE, "", "spiffe://td/ns/shop/sa/Cart", false},
		{SOURCE_SPIFFE, "", "spiffe://td/ns/shop", false},
		{SOURCE_SPIFFE, "", "/*", false},
		{SOURCE_SPIFFE, "", "*", false},
		{SOURCE_SPIFFE, "", "", false},
		{SOURCE_GATEWAY, "", "", false},
		{SOURCE_NODE, "", "", false},
		{SOURCE_UNAUTHENTICATED, "", "", false},
		{SOURCE_NONE, "shop", "cart", false},
	};
	struct principal p = workload("td", "shop", "cart");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ss_source s = {rows[i].type, slice_str(rows[i].ns), slice_str(rows[i].name)};

		if (identity_source_matches(&s, &p) != rows[i].matches)
			fail_msg("row %zu: %s/%s", i, rows[i].ns, rows[i].name);
	}
}

// Principals without a service account are named by their type and by nothing else.
static void test_other_sources(void **state)
{
	static const struct ss_source sources[] = {
		{.type = SOURCE_GATEWAY},
		{.type = SOURCE_NODE},
		{.type = SOURCE_UNAUTHENTICATED},
		{SOURCE_SERVICE_ACCOUNT, {(const uint8_t *)"shop", 4}, {(const uint8_t *)"*", 1}},
		{SOURCE_SPIFFE, {0}, {(const uint8_t *)"spiffe://*", 10}},
	};
	static const enum principal_type types[] = {PRINCIPAL_GATEWAY, PRINCIPAL_NODE,
						    PRINCIPAL_UNAUTHENTICATED};

	(void)state;
	for (size_t i = 0; i < COUNT(sources); i++) {
		for (size_t k = 0; k < COUNT(types); k++) {
			// Even where it carries the names of a workload.
			struct principal p = workload("td", "shop", "cart");

			p.type = types[k];
			assert_int_equal(identity_source_matches(&sources[i], &p), i == k);
		}
		struct principal unknown = workload("td", "shop", "cart");

		unknown.type = PRINCIPAL_UNKNOWN;
		assert_false(identity_source_matches(&sources[i], &unknown));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),	      cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses), cmocka_unit_test(test_workload_sources),
		cmocka_unit_test(test_other_sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
