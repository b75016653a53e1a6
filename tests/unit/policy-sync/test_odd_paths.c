// SPDX-License-Identifier: GPL-3.0-or-later
// compile: a Deny rule of many odd paths is no broken policy, whatever else it says; what is too large says which
// rule it is and what to do.
#include "policy-sync/shop.h"

#define TEXT_MAX (3u << 20)

static const char *const forms[] = {
	"/a%%20x%u", "/a%u;x",		"//a%u",		 "/@s%%2Fp%u", "/%%7euser%u",
	"/q/%%2F/%u", "/v4/projects/g%u%%2Fp", "/plain%u",
};
static const char *const others[] = {
	"",
	", hosts: [a.example, \"*.b.example\"], ports: [80, 443, 8080], methods: [GET, PUT]",
};

static size_t put_rule(char *text, size_t at, const char *name, const char *form, uint32_t paths,
		       const char *other)
{
	at += (size_t)snprintf(text + at, TEXT_MAX - at,
			       "   - {name: %s, action: Deny, operation: {paths: [", name);
	for (uint32_t i = 0; i < paths; i++) {
		at += (size_t)snprintf(text + at, TEXT_MAX - at, "%s{type: %s, value: \"",
				       i ? ", " : "", i % 2 ? "Exact" : "PathPrefix");
		at += (size_t)snprintf(text + at, TEXT_MAX - at, form, i);
		at += (size_t)snprintf(text + at, TEXT_MAX - at, "\"}");
	}
	at += (size_t)snprintf(text + at, TEXT_MAX - at, "]%s}}\n", other);
	assert_true(at < TEXT_MAX);
	return at;
}

static size_t put_head(char *text)
{
	return (size_t)snprintf(text, TEXT_MAX,
				OURS "kind: SecurityPolicy\nmetadata: {name: odd, namespace: shop}\n"
				     "spec:\n  targetRefs: [{group: \"\", " NAMESPACE "}]\n"
				     "  authorization:\n   defaultAction: Allow\n   rules:\n");
}

static void open_with(struct texts *t, const char *text)
{
	texts_open(t);
	texts_add(t, WORLD);
	texts_add(t, text);
	texts_compile(t);
}

static void many_odd_paths_are_taken(void **state)
{
	static const uint32_t counts[] = {1, 2, 3, 4, 8, 33, 64};
	char *text = malloc(TEXT_MAX);
	struct texts t;

	(void)state;
	assert_non_null(text);
	for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
		for (size_t n = 0; n < 2 * sizeof(counts) / sizeof(counts[0]); n++) {
			put_rule(text, put_head(text), "r", forms[f], counts[n / 2], others[n % 2]);
			open_with(&t, text);
			if (t.findings.errors > 0)
				(void)texts_found(&t, 0, 0, "", "");
			assert_int_equal(t.findings.errors, 0);
			assert_int_equal(policy_source(texts_policy(&t, Z, 8080))->broken.len, 0);
			texts_close(&t);
		}
	}
	free(text);
}

// More than a record has room for: the first that is too much is named.
static void what_is_too_large_is_named(void **state)
{
	static const struct {
		int rules, paths, chars;
		const char *message;
	} rows[] = {
		{2, 600, 950, "rule large-1: is larger than 1048576 bytes; write it, or a part"},
		{13, 500, 200, "rule large-9: is larger than 1048576 bytes; write it, or a part"},
	};
	char *text = malloc(TEXT_MAX), name[24], form[1300];
	struct texts t;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 2; i++) {
		size_t at = put_rule(text, put_head(text), "small", "/a%u;x", 3, "");

		memset(form, 'a', sizeof(form));
		form[0] = '/';
		memcpy(form + rows[i].chars, "%u;x", 5);
		for (int k = 0; k < rows[i].rules; k++) {
			snprintf(name, sizeof(name), "large-%d", k);
			at = put_rule(text, at, name, form, (uint32_t)rows[i].paths, "");
		}
		open_with(&t, text);
		assert_true(policy_source(texts_policy(&t, Z, 8080))->broken.len > 0);
		assert_int_equal(t.findings.errors, 1);
		assert_true(texts_found(&t, 1, 1, "spec.authorization.rules", rows[i].message));
		texts_close(&t);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_odd_paths_are_taken),
		cmocka_unit_test(what_is_too_large_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
