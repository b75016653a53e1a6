// SPDX-License-Identifier: GPL-3.0-or-later
// model/words: every row of every kind, given everything that it must not hold. A document is made of the rows
// themselves: what is required, the way to one member, and there something wrong. Exactly one error has
// to name that member, in its own line, and the object must not be in force.
#include <stdio.h>
#include "policy-sync/texts.h"

#include "model/words.h"

#define WAY_MAX	 16
#define PAGE_MAX (16u << 20)

struct wrong {
	const char *value;   // in the member's place; NULL: its example
	const char *sibling; // a line beside it, where the error has to be; NULL: none
	const char *choice;  // of the member that decides about it; NULL: one that goes with it
	const char *part;    // of the sentence
	bool twice;	     // the member itself is the sibling
	bool rival;	     // its rival is
};

struct page {
	struct buf text;
	const struct word_kind *kind;
	const struct words *maps[WAY_MAX]; // the way to the member
	const struct word *way[WAY_MAX];
	int depth;
	struct wrong wrong;
	size_t wrong_at;
	uint32_t count; // of documents
};

// ---- documents ---------------------------------------------------------------------------------

static void put_map(struct page *p, const struct words *all, int level);

// A member in a line of its own, of as many as its map has lines.
static void put_value(struct page *p, const struct word *w, int level)
{
	buf_printf(&p->text, "%s: %s", w->name, w->list ? "[" : "");
	if (w->type == WORD_MAP)
		put_map(p, w->members, level);
	else
		buf_put_str(&p->text, w->example);
	buf_put_str(&p->text, w->list ? "],\n" : ",\n");
}

static bool is_chooser(const struct words *all, const struct word *w)
{
	bool found = false;

	for (uint32_t i = 0; i < all->count; i++)
		found |= all->list[i].with && strcmp(all->list[i].with, w->name) == 0;
	return found;
}

static const struct word *chooser_of(const struct words *all)
{
	for (uint32_t i = 0; i < all->count; i++) {
		if (is_chooser(all, &all->list[i]))
			return &all->list[i];
	}
	return NULL;
}

static bool goes_with(const struct words *all, const struct word *w, const char *choice)
{
	const struct word *chooser = chooser_of(all);

	for (uint32_t i = 0; w->with && choice && chooser->choices[i]; i++) {
		if (strcmp(chooser->choices[i], choice) == 0)
			return (w->with_choices & (1u << i)) != 0;
	}
	return true;
}

static const char *choice_for(const struct page *p, const struct words *all, const struct word *on)
{
	const struct word *chooser = chooser_of(all);

	if (!chooser)
		return NULL;
	if (on == p->way[p->depth - 1] && p->wrong.choice)
		return p->wrong.choice;
	return on && on->with ? chooser->choices[__builtin_ctz(on->with_choices)]
			      : chooser->example;
}

static void put_wrong(struct page *p, const struct words *all, const struct word *w)
{
	p->wrong_at = p->text.len;
	if (p->wrong.value)
		buf_printf(&p->text, "%s: ", w->name), buf_put_str(&p->text, p->wrong.value),
			buf_put_str(&p->text, ",\n");
	else
		put_value(p, w, WAY_MAX);
	if (!p->wrong.sibling && !p->wrong.twice && !p->wrong.rival)
		return;
	p->wrong_at = p->text.len;
	if (p->wrong.sibling)
		buf_printf(&p->text, "%s,\n", p->wrong.sibling);
	else
		put_value(p, p->wrong.twice ? w : words_find(all, slice_str(w->rival)), WAY_MAX);
}

// Is it needed beside what is on the way?
static bool is_needed(const struct page *p, const struct words *all, const struct word *w,
		      const struct word *on)
{
	bool excluded = on && on->rival && strcmp(on->rival, w->name) == 0;

	if (is_chooser(all, w) && on && on->with)
		return true;
	return w->required && !excluded && goes_with(all, w, choice_for(p, all, on));
}

static void put_map(struct page *p, const struct words *all, int level)
{
	const struct word *on = level < p->depth && p->maps[level] == all ? p->way[level] : NULL;
	size_t before;

	buf_put_str(&p->text, "{\n");
	before = p->text.len;
	for (uint32_t i = 0; i < all->count; i++) {
		const struct word *w = &all->list[i];

		if (w == on && level + 1 == p->depth)
			put_wrong(p, all, w);
		else if (w == on)
			put_value(p, w, level + 1);
		else if (is_needed(p, all, w, on) && is_chooser(all, w))
			buf_printf(&p->text, "%s: %s,\n", w->name, choice_for(p, all, on));
		else if (is_needed(p, all, w, on))
			put_value(p, w, WAY_MAX);
	}
	// Few maps may be empty.
	for (uint32_t i = 0; i < all->count && p->text.len == before; i++) {
		if (all->list[i].since && !all->list[i].rival)
			put_value(p, &all->list[i], WAY_MAX);
	}
	buf_put_str(&p->text, "}");
}

static void put_page(struct page *p)
{
	bool mesh = strcmp(p->kind->name, "MeshConfig") == 0;

	buf_reset(&p->text);
	put_map(p, p->kind->words, 0);
	// What only names the object is no row to walk.
	p->text.len--;
	buf_printf(&p->text,
		   "apiVersion: policy.portcullis.dev/v1alpha1,\nkind: %s,\n"
		   "metadata: {name: %s%s}}\n",
		   p->kind->name, mesh ? "default" : "p",
		   mesh || strncmp(p->kind->name, "Cluster", 7) == 0 ? "" : ", namespace: shop");
	p->count++;
}

// ---- what comes of them ------------------------------------------------------------------------

static bool in_force(const struct texts *t)
{
	const struct security_policy *p =
		t->model->policies.count > 0 ? t->model->policies.items[0] : NULL;
	const struct object *mesh =
		model_find(t->model, OBJECT_MESH_CONFIG, (struct slice){0}, SLICE_LIT("default"));

	return (p && p->broken.len == 0) || t->model->limits.count > 0 || mesh;
}

static void fail_page(struct page *p, struct texts *t, const char *what)
{
	(void)texts_found(t, 0, 0, "", "");
	print_message("%.*s", p->text.len < 6000 ? (int)p->text.len : 6000,
		      (const char *)p->text.ptr);
	fail_msg("%s: %s", p->way[p->depth - 1]->name, what);
}

// Beside a key set that may be named.
static void read_page(struct page *p, struct texts *t)
{
	texts_open(t);
	texts_add(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: keys, namespace: shop}, "
		     "data: {jwks: '{\"keys\": [{\"kty\": \"OKP\", \"crv\": \"Ed25519\", "
		     "\"x\": \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}'}}");
	load_text(t->model, "test.yaml", buf_slice(&p->text), &t->findings);
}

static void expect_good(struct page *p)
{
	struct texts t;

	put_page(p);
	read_page(p, &t);
	if (t.findings.errors > 0 || !in_force(&t))
		fail_page(p, &t, "is refused");
	texts_close(&t);
}

static const struct diagnostic *only_error(const struct texts *t)
{
	for (uint32_t i = 0; i < t->findings.count; i++) {
		if (t->findings.list[i].severity == SEVERITY_ERROR)
			return t->findings.errors == 1 ? &t->findings.list[i] : NULL;
	}
	return NULL;
}

static void expect_error(struct page *p)
{
	const struct word *w = p->way[p->depth - 1];
	const char *name = p->wrong.sibling ? "unheardOf" : p->wrong.rival ? w->rival : w->name;
	const struct diagnostic *d;
	uint32_t line = 1;
	struct texts t;

	put_page(p);
	for (size_t i = 0; i < p->wrong_at; i++)
		line += p->text.ptr[i] == '\n';
	read_page(p, &t);
	d = only_error(&t);
	if (!d)
		fail_page(p, &t, "not one error");
	else if (d->line != line)
		fail_page(p, &t, "the error is in another line");
	else if (!memmem(d->field.ptr, d->field.len, name, strlen(name)) &&
		 !memmem(d->message.ptr, d->message.len, name, strlen(name)))
		fail_page(p, &t, "the error does not name it");
	else if (p->wrong.part &&
		 !memmem(d->message.ptr, d->message.len, p->wrong.part, strlen(p->wrong.part)))
		fail_page(p, &t, p->wrong.part);
	if (in_force(&t))
		fail_page(p, &t, "is in force");
	texts_close(&t);
}

static void expect_wrong(struct page *p, const char *value, const char *part)
{
	p->wrong = (struct wrong){.value = value, .part = part};
	expect_error(p);
}

// ---- what is wrong -----------------------------------------------------------------------------

// The value, or the only entry of the list.
static void wrong_item(struct page *p, const char *item, const char *part)
{
	static char value[PAGE_MAX];

	snprintf(value, sizeof(value), p->way[p->depth - 1]->list ? "[%s]" : "%s", item);
	expect_wrong(p, value, part);
}

static void wrong_items(struct page *p, const char *const *items)
{
	for (int i = 0; items[i]; i++)
		wrong_item(p, items[i], NULL);
}

static const char *repeated(const char *what, size_t times)
{
	static char text[PAGE_MAX];
	size_t len = strlen(what);

	assert_true(len * times < sizeof(text));
	for (size_t i = 0; i < times; i++)
		memcpy(text + i * len, what, len);
	text[len * times] = 0;
	return text;
}

static void wrong_number(struct page *p, const struct word *w)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)w->min - 1);
	wrong_item(p, text, "has to be a number");
	snprintf(text, sizeof(text), "%llu", (unsigned long long)w->max + 1);
	wrong_item(p, text, "has to be a number");
}

static void wrong_values(struct page *p, const struct word *w)
{
	static const char *const texts[] = {"5",    "-5", "1.5", "1e3",	  "0x1f",   "true", "false",
					    "\"\"", "[]", "{}",	 "[[x]]", "{a: b}", NULL};
	static const char *const choices[] = {"Nonsense", "5", "\" \"", "[]", "{}", "{a: b}", NULL};
	static const char *const numbers[] = {"\"\"",
					      "[]",
					      "{}",
					      "x",
					      "\"80\"",
					      "-1",
					      "1.5",
					      "99999999999999999999",
					      "18446744073709551617",
					      NULL};
	static const char *const bools[] = {"\"\"", "[]", "{}", "x", "\"true\"", "yes", "1", NULL};
	static const char *const durations[] = {"\"\"", "[]", "{}",	 "5", "s",
						"-1s",	"1x", "999999h", NULL};
	static const char *const cidrs[] = {"\"\"",	   "[]",	 "{}",	     "x",
					    "10.0.0.0/33", "10.0.0.1/8", "10.0.0/8", NULL};
	static const char *const labels[] = {"\"\"",	 "[]",	   "x",		  "{a: }",
					     "{a: [x]}", "{a: 5}", "{a: {b: c}}", NULL};
	static const char *const maps[] = {"\"\"", "[]", "x", "5", NULL};
	static const char *const *const by_type[] = {
		[WORD_TEXT] = texts,	[WORD_CHOICE] = choices,     [WORD_NUMBER] = numbers,
		[WORD_BOOL] = bools,	[WORD_DURATION] = durations, [WORD_CIDR] = cidrs,
		[WORD_LABELS] = labels, [WORD_MAP] = maps,
	};

	for (int i = 0; by_type[w->type][i]; i++) {
		bool empty = strcmp(by_type[w->type][i], "\"\"") == 0;

		if (!empty || !w->may_be_empty || w->type == WORD_LABELS || w->type == WORD_MAP)
			wrong_item(p, by_type[w->type][i], NULL);
	}
	if (w->type == WORD_TEXT)
		wrong_item(p, repeated("a", w->max + 1), "is longer than");
	if (w->type == WORD_NUMBER)
		wrong_number(p, w);
	if (w->type == WORD_MAP && !w->may_be_empty)
		wrong_item(p, "{}", "must not be empty");
	if (w->choices_later)
		wrong_items(p, w->choices_later);
}

static void wrong_list(struct page *p, const struct word *w)
{
	static const char *const lists[] = {"\"\"", "[]", "{}", "x", "5", NULL};
	static char many[PAGE_MAX];

	for (int i = 0; lists[i]; i++)
		expect_wrong(p, lists[i], NULL);
	wrong_item(p, "null", "must not be null");
	wrong_item(p, "~", "must not be null");
	snprintf(many, sizeof(many), "[%s]", repeated("x, ", w->entries + 1));
	expect_wrong(p, many, "has more than");
}

static void wrong_company(struct page *p, const struct words *all, const struct word *w)
{
	const struct word *chooser = chooser_of(all);

	p->wrong = (struct wrong){.sibling = "unheardOf: x", .part = "unknown field"};
	expect_error(p);
	p->wrong = (struct wrong){.twice = true, .part = "given twice"};
	expect_error(p);
	if (w->rival && words_find(all, slice_str(w->rival))->since) {
		p->wrong = (struct wrong){.rival = true, .part = "contradicts"};
		expect_error(p);
	}
	for (int i = 0; w->with && chooser->choices[i]; i++) {
		p->wrong = (struct wrong){.choice = chooser->choices[i], .part = "does not go"};
		if (!goes_with(all, w, chooser->choices[i]))
			expect_error(p);
	}
}

static void walk_word(struct page *p, const struct words *all, const struct word *w)
{
	static const char *const nothing[] = {"", "null", "NULL", "~", NULL};
	static const char *const anything[] = {"x", "\"\"", "[]", "{}", "{a: b}", "[x]", NULL};

	for (int i = 0; nothing[i]; i++)
		expect_wrong(p, nothing[i], w->since ? "must not be null" : "not supported yet");
	for (int i = 0; !w->since && anything[i]; i++)
		expect_wrong(p, anything[i], "not supported yet");
	if (!w->since)
		return;
	p->wrong = (struct wrong){0};
	expect_good(p);
	if (w->may_be_empty) {
		p->wrong.value = w->type == WORD_TEXT || w->type == WORD_CHOICE ? "\"\"" : "{}";
		expect_good(p);
	}
	if (w->list)
		wrong_list(p, w);
	wrong_values(p, w);
	wrong_company(p, all, w);
}

static void walk(struct page *p, const struct words *all)
{
	int level = p->depth++;

	for (uint32_t i = 0; i < all->count; i++) {
		p->maps[level] = all;
		p->way[level] = &all->list[i];
		if (all->list[i].since && all->list[i].type == WORD_ANY)
			continue; // read elsewhere
		if (all->list[i].members == &words_metadata)
			continue;
		if (strncmp(p->kind->name, "Cluster", 7) == 0 &&
		    strcmp(all->list[i].name, "valueRef") == 0) {
			expect_wrong(p, NULL, "has no namespace");
			continue;
		}
		walk_word(p, all, &all->list[i]);
		if (all->list[i].members && all->list[i].since)
			walk(p, all->list[i].members);
	}
	p->depth--;
}

static void every_row_of_every_kind(void **state)
{
	static struct page p;

	(void)state;
	buf_init_growing(&p.text, 2 * PAGE_MAX);
	for (const struct word_kind *k = word_kinds; k->name; k++) {
		p.kind = k;
		p.depth = 0;
		walk(&p, k->words);
	}
	print_message("%u documents\n", p.count);
	buf_deinit(&p.text);
}

// What names an object is read before its kind is known.
static void names(void **state)
{
	static const struct {
		const char *metadata, *field, *part;
	} rows[] = {
		{"{name: p, namespace: }", "metadata.namespace", "must not be null"},
		{"{name: p, namespace: \"\"}", "metadata.namespace", "no name"},
		{"{name: p, namespace: [shop]}", "metadata.namespace", "has to be"},
		{"{name: p, namspace: shop}", "metadata.namspace", "unknown field"},
		{"{name: , namespace: shop}", "metadata.name", "is required"},
		{"{name: \"\", namespace: shop}", "metadata.name", "no name"},
		{"{name: p/q, namespace: shop}", "metadata.name", "no name"},
		{"{name: p, namespace: shop, labels: x}", "metadata.labels", "has to be a map"},
		{"{name: p, namespace: shop, creationTimestamp: x}", "metadata.creationTimestamp",
		 "is no time"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512], message[512] = "", field[64] = "";
		struct texts t;

		snprintf(text, sizeof(text),
			 OURS
			 "kind: SecurityPolicy\nmetadata: %s\nspec: {targetRefs: [{group: \"\", "
			 "kind: Service, name: z}], authorization: {defaultAction: Allow}}\n",
			 rows[i].metadata);
		texts_open(&t);
		texts_add(&t, text);
		if (t.findings.count > 0) {
			snprintf(message, sizeof(message), "%.*s",
				 SLICE_ARG(t.findings.list[0].message));
			snprintf(field, sizeof(field), "%.*s", SLICE_ARG(t.findings.list[0].field));
		}
		if (t.findings.errors != 1 || t.findings.list[0].line != 3 ||
		    strcmp(field, rows[i].field) != 0 || !strstr(message, rows[i].part) ||
		    in_force(&t)) {
			(void)texts_found(&t, 0, 0, "", "");
			fail_msg("row %zu: %s", i, rows[i].metadata);
		}
		texts_close(&t);
	}
}

// As an API server writes what is unset.
static void nothing_that_may_be_there(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t,
		  OURS "kind: SecurityPolicy\nmetadata: {name: p, namespace: shop, labels: null, "
		       "annotations: {}, creationTimestamp: null, generation: 3}\nspec: "
		       "{targetRefs: [{group: \"\", kind: Pod, selector: {}}], authorization: "
		       "{defaultAction: Allow}}\nstatus: null\n");
	assert_int_equal(t.findings.count, 0);
	assert_true(in_force(&t));
	texts_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_every_kind),
		cmocka_unit_test(names),
		cmocka_unit_test(nothing_that_may_be_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
