// SPDX-License-Identifier: GPL-3.0-or-later
// files/view and files/diagnostics: what a field may hold, and that a finding names its place.
#include <stdio.h>
#include "policy-sync/texts.h"

#include "files/view.h"

struct world {
	struct arena arena;
	struct diagnostics findings;
	struct tree *documents;
	struct view root;
	bool failed;
};

static void open_text(struct world *w, const char *text)
{
	memset(w, 0, sizeof(*w));
	arena_init(&w->arena, 1u << 20);
	diagnostics_init(&w->findings);
	assert_int_equal(tree_parse(slice_str(text), "dir/a.yaml", &w->arena, &w->findings,
				    &w->documents),
			 ERR_OK);
	w->root = view_root(w->documents, "dir/a.yaml", &w->arena, &w->findings, &w->failed);
}

static void close_text(struct world *w)
{
	arena_deinit(&w->arena);
	diagnostics_deinit(&w->findings);
}

static void findings_name_their_place(void **state)
{
	static const char *const words[] = {"Allow", "Deny", NULL};
	struct world w;
	struct buf b;
	int index;

	(void)state;
	open_text(&w, "spec:\n  rules:\n  - action: Deny\n  - action: deny\n");
	struct view spec = view_get(&w.root, "spec"), rules = view_get(&spec, "rules");
	struct view first = view_first(&rules);
	uint32_t at = 0;
	struct view second = view_next(&rules, &first, &at), action = view_get(&second, "action");

	assert_false(view_word(&action, words, &index));
	assert_true(w.failed);
	buf_init_growing(&b, 4096);
	diagnostics_print(&w.findings, &b);
	buf_put_u8(&b, 0);
	assert_non_null(strstr((const char *)b.ptr, "dir/a.yaml:4:13: "));
	assert_non_null(strstr((const char *)b.ptr, "spec.rules[1].action: "));
	assert_non_null(strstr((const char *)b.ptr, "is \"deny\""));
	buf_deinit(&b);
	close_text(&w);
}

static void absent_fields_are_named(void **state)
{
	struct world w;
	struct slice s;

	(void)state;
	open_text(&w, "spec:\n  a: 1\n");
	struct view spec = view_get(&w.root, "spec"), gone = view_get(&spec, "b");
	struct view below = view_get(&gone, "c");

	assert_false(view_present(&gone));
	assert_false(view_present(&below));
	assert_false(view_text(&gone, &s));
	assert_true(slice_eq_str(w.findings.list[0].field, "spec.b"));
	assert_true(slice_eq_str(w.findings.list[0].message, "is required"));
	close_text(&w);
}

static void typos_are_found(void **state)
{
	static const char *const keys[] = {"name", "value", NULL};
	struct world w;

	(void)state;
	open_text(&w, "name: a\nvalue: b\n");
	view_only(&w.root, keys);
	assert_false(w.failed);
	close_text(&w);
	open_text(&w, "name: a\nvalues: b\n");
	view_only(&w.root, keys);
	assert_true(w.failed);
	assert_true(slice_eq_str(w.findings.list[0].field, ".values") ||
		    slice_eq_str(w.findings.list[0].field, "values"));
	assert_int_equal(w.findings.list[0].line, 2);
	close_text(&w);
}

static bool number(const char *text, uint64_t *out)
{
	char line[64];
	struct world w;

	snprintf(line, sizeof(line), "v: %s\n", text);
	open_text(&w, line);
	struct view v = view_get(&w.root, "v");
	bool good = view_number(&v, 1, 65535, out);

	assert_int_equal(good, !w.failed);
	close_text(&w);
	return good;
}

static void numbers(void **state)
{
	static const char *const bad[] = {"0",
					  "65536",
					  "-1",
					  "\"80\"",
					  "8o",
					  "1.5",
					  "[80]",
					  "{}",
					  "~",
					  "0x50",
					  "99999999999999999999999"};
	uint64_t n;

	(void)state;
	assert_true(number("1", &n) && n == 1);
	assert_true(number("65535", &n) && n == 65535);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (number(bad[i], &n))
			fail_msg("%s is no port", bad[i]);
	}
}

static void truth(void **state)
{
	struct world w;
	bool b = false;

	(void)state;
	open_text(&w, "a: true\nb: false\nc: \"true\"\nd: maybe\n");
	struct view v = view_get(&w.root, "a");

	assert_true(view_bool(&v, &b) && b);
	v = view_get(&w.root, "b");
	assert_true(view_bool(&v, &b) && !b);
	v = view_get(&w.root, "c");
	assert_false(view_bool(&v, &b));
	v = view_get(&w.root, "d");
	assert_false(view_bool(&v, &b));
	close_text(&w);
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms; // 0: none
	} rows[] = {
		{"10s", 10000}, {"1h30m", 5400000}, {"250ms", 250},  {"1m1s1ms", 61001},
		{"10", 0},	{"s", 0},	    {"1d", 0},	     {"-1s", 0},
		{"1.5s", 0},	{"\"10s \"", 0},    {"9999999s", 0}, {"\"\"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[64];
		struct world w;
		uint64_t ms = 0;

		snprintf(line, sizeof(line), "v: %s\n", rows[i].text);
		open_text(&w, line);
		struct view v = view_get(&w.root, "v");

		if (view_duration_ms(&v, &ms) != (rows[i].ms > 0) || ms != rows[i].ms)
			fail_msg("%s is %llu", rows[i].text, (unsigned long long)ms);
		close_text(&w);
	}
}

static void networks(void **state)
{
	struct world w;
	struct cidr c;

	(void)state;
	open_text(&w, "a: 10.0.0.0/8\nb: 10.0.0.1/8\nc: fd00::/8\nd: ten\n");
	struct view v = view_get(&w.root, "a");

	assert_true(view_cidr(&v, &c));
	assert_int_equal(c.bits, 104);
	v = view_get(&w.root, "c");
	assert_true(view_cidr(&v, &c));
	assert_int_equal(c.bits, 8);
	v = view_get(&w.root, "b");
	assert_false(view_cidr(&v, &c));
	v = view_get(&w.root, "d");
	assert_false(view_cidr(&v, &c));
	assert_int_equal(w.findings.errors, 2);
	close_text(&w);
}

static void findings_are_bounded(void **state)
{
	struct diagnostics d;
	struct buf b;

	(void)state;
	diagnostics_init(&d);
	for (int i = 0; i < DIAGNOSTICS_MAX + 5; i++)
		diagnostics_add(&d, SEVERITY_ERROR, "f", 1, 1, "x", "%d", i);
	assert_int_equal(d.count, DIAGNOSTICS_MAX);
	assert_int_equal(d.left_out, 5);
	assert_int_equal(d.errors, DIAGNOSTICS_MAX + 5);
	buf_init_growing(&b, 1u << 20);
	diagnostics_print(&d, &b);
	buf_put_u8(&b, 0);
	assert_non_null(strstr((const char *)b.ptr, "and 5 more\n"));
	buf_deinit(&b);
	diagnostics_deinit(&d);
}

// Names in a file are others' text, and a finding goes to a terminal.
static void findings_are_shown_as_they_are(void **state)
{
	struct diagnostics d;
	struct buf b;

	(void)state;
	diagnostics_init(&d);
	diagnostics_add(&d, SEVERITY_ERROR, "a\x1b[2J.yaml", 1, 2, "spec.\xc2\x9b",
			"'%s' \"is\" bad", "x\xe2\x80\xae\n");
	buf_init_growing(&b, 4096);
	diagnostics_print(&d, &b);
	assert_true(slice_eq_str(buf_slice(&b),
				 "a\\u001b[2J.yaml:1:2: error: spec.\\u009b: 'x\\u202e\\u000a' "
				 "\"is\" bad\n"));
	buf_deinit(&b);
	diagnostics_deinit(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(findings_name_their_place),
		cmocka_unit_test(absent_fields_are_named),
		cmocka_unit_test(typos_are_found),
		cmocka_unit_test(numbers),
		cmocka_unit_test(truth),
		cmocka_unit_test(durations),
		cmocka_unit_test(networks),
		cmocka_unit_test(findings_are_bounded),
		cmocka_unit_test(findings_are_shown_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
