// SPDX-License-Identifier: GPL-3.0-or-later
// files/tree: what stands where, and what no text can do to its reader.
#include <stdio.h>
#include "policy-sync/texts.h"

#include "files/tree.h"

struct parsed {
	struct arena arena;
	struct diagnostics findings;
	struct tree *documents;
	enum err err;
};

static void parse(struct parsed *p, const char *text)
{
	arena_init(&p->arena, 64u << 20);
	diagnostics_init(&p->findings);
	p->err = tree_parse(slice_str(text), "test.yaml", &p->arena, &p->findings, &p->documents);
}

static void done(struct parsed *p)
{
	arena_deinit(&p->arena);
	diagnostics_deinit(&p->findings);
}

static void places_count_from_one(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "a: 1\nb:\n  c: [x, \"y\"]\n");
	assert_int_equal(p.err, ERR_OK);
	const struct tree *b = tree_get(p.documents, "b"), *c = tree_get(b, "c");

	assert_int_equal(tree_get(p.documents, "a")->column, 4);
	assert_int_equal(c->line, 3);
	assert_int_equal(c->column, 6);
	assert_int_equal(c->first->next->column, 10);
	assert_true(slice_eq_str(c->first->next->text, "y"));
	assert_null(tree_get(p.documents, "c"));
	done(&p);
}

static void documents_and_json(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "a: 1\n---\n{\"b\": {\"c\": [1, \"\\u00e9\"]}}\n---\n# nothing\n---\nd: 2\n");
	assert_int_equal(p.err, ERR_OK);
	assert_non_null(tree_get(p.documents, "a"));
	const struct tree *c = tree_get(tree_get(p.documents->next, "b"), "c");

	assert_true(slice_eq_str(c->first->next->text, "\xc3\xa9"));
	assert_int_equal(c->line, 3);
	const struct tree *last = p.documents;

	while (last->next)
		last = last->next;
	assert_non_null(tree_get(last, "d"));
	done(&p);
}

static void nothing_is_null(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "a:\nb: ~\nc: null\nd: \"\"\ne: 'null'\n");
	assert_int_equal(tree_get(p.documents, "a")->kind, TREE_NULL);
	assert_int_equal(tree_get(p.documents, "b")->kind, TREE_NULL);
	assert_int_equal(tree_get(p.documents, "c")->kind, TREE_NULL);
	assert_int_not_equal(tree_get(p.documents, "d")->kind, TREE_NULL);
	assert_int_not_equal(tree_get(p.documents, "e")->kind, TREE_NULL);
	done(&p);
}

static void expect_error(const char *text, uint32_t line, uint32_t column, const char *part)
{
	struct parsed p;
	char message[512];

	parse(&p, text);
	assert_int_not_equal(p.err, ERR_OK);
	assert_int_equal(p.findings.errors, 1);
	snprintf(message, sizeof(message), "%.*s", SLICE_ARG(p.findings.list[0].message));
	if (!strstr(message, part))
		fail_msg("\"%s\" lacks \"%s\"", message, part);
	assert_int_equal(p.findings.list[0].line, line);
	assert_int_equal(p.findings.list[0].column, column);
	done(&p);
}

static void errors_have_a_place(void **state)
{
	(void)state;
	expect_error("a: 1\nb: 2\na: 3\n", 3, 1, "twice");
	expect_error("a: &x 1\nb: *x\n", 2, 4, "alias");
	expect_error("a: 1\n? [b]\n: 2\n", 2, 3, "key");
	expect_error("a: 1\nb: \"never closed\n", 3, 1, "unexpected end of stream");
}

// Nine aliases to nine aliases …: a few hundred bytes that other readers blow up to gigabytes.
static void laughs_are_few(void **state)
{
	char text[2048] = "a0: &a0 [x]\n";
	size_t used = strlen(text);
	struct parsed p;

	(void)state;
	for (int i = 1; i < 20; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "a%d: &a%d [*a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1,
					 i - 1);
	parse(&p, text);
	assert_int_not_equal(p.err, ERR_OK);
	assert_true(p.arena.bytes_used < 65536);
	done(&p);
}

static void depth_is_bounded(void **state)
{
	static char text[200001];
	struct parsed p;

	(void)state;
	memset(text, '[', 200000);
	parse(&p, text);
	assert_int_equal(p.err, ERR_TOO_LARGE);
	done(&p);
	// The bound itself is read, one more is not.
	for (int levels = TREE_DEPTH_MAX; levels <= TREE_DEPTH_MAX + 1; levels++) {
		memset(text, 0, sizeof(text));
		memset(text, '[', (size_t)levels);
		memset(text + levels, ']', (size_t)levels);
		parse(&p, text);
		assert_int_equal(p.err, levels == TREE_DEPTH_MAX ? ERR_OK : ERR_TOO_LARGE);
		done(&p);
	}
}

static void a_small_arena_is_an_error(void **state)
{
	struct diagnostics d;
	struct tree *t;
	struct arena a;

	(void)state;
	arena_init(&a, 4096);
	diagnostics_init(&d);
	char text[20000] = "[";

	memset(text + 1, 'x', 15000);
	assert_int_equal(tree_parse(slice_str(text), "f", &a, &d, &t), ERR_TOO_LARGE);
	assert_int_equal(d.errors, 1);
	diagnostics_deinit(&d);
	arena_deinit(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_count_from_one),
		cmocka_unit_test(documents_and_json),
		cmocka_unit_test(nothing_is_null),
		cmocka_unit_test(errors_have_a_place),
		cmocka_unit_test(laughs_are_few),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(a_small_arena_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
