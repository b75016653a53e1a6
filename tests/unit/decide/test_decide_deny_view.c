// SPDX-License-Identifier: GPL-3.0-or-later
// What less strict servers read in a request counts for Deny rules and for nothing else: lists and quoted
// values, '_' for '-', fields that stand for the method or the target, letter case; and a request without
// a path has an unknown one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>
#include "core/deny_view.h"
#include "support/decide_world.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static struct ss_path_match path_of_rule;
static struct ss_header_match header_of_rule;
static struct slice method_of_rule, value_of_rule;

struct row {
	const char *method, *path, *name, *value; // of the request
	bool denied;				  // by a Deny rule
	bool allowed;				  // by an Allow rule that says the same
};

static bool field(const void *headers, uint32_t i, struct slice *name, struct slice *value)
{
	const struct world *w = headers;

	if (i > 0 || !w->header_names[0])
		return false;
	*name = slice_str(w->header_names[0]);
	*value = slice_str(w->header_values[0]);
	return true;
}

// As the data path finds a field: whatever its name's letter case.
static bool header(const void *headers, struct slice lower_name, struct slice *value)
{
	struct slice name;

	return field(headers, 0, &name, value) && slice_eq_nocase(name, lower_name);
}

static enum verdict ask(struct world *w, const struct row *r, enum rule_action action)
{
	w->rules[0].action = action;
	w->group.default_action = action == RULE_DENY ? RULE_ALLOW : RULE_DENY;
	world_link(w);
	w->in.method = slice_str(r->method ? r->method : "GET");
	w->in.path = slice_str(r->path ? r->path : "/x");
	w->header_names[0] = r->name;
	w->header_values[0] = r->value;
	w->in.header = header;
	w->in.field = field;
	return world_request(w).verdict;
}

static void check(struct world *w, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool denied = ask(w, &rows[i], RULE_DENY) != VERDICT_ALLOW;
		bool allowed = ask(w, &rows[i], RULE_ALLOW) == VERDICT_ALLOW;

		if (denied != rows[i].denied || allowed != rows[i].allowed)
			fail_msg("row %zu: %s %s: denied %d, allowed %d", i,
				 rows[i].name ? rows[i].name : "",
				 rows[i].value ? rows[i].value : "", denied, allowed);
	}
}

static void rule_is(struct world *w, const char *method, const char *path, const char *name,
		    const char *value)
{
	method_of_rule = slice_str(method ? method : "");
	path_of_rule = (struct ss_path_match){PATH_PREFIX, slice_str(path ? path : "")};
	value_of_rule = slice_str(value ? value : "");
	header_of_rule = (struct ss_header_match){slice_str(name ? name : ""), &value_of_rule,
						  value ? 1 : 0};
	w->rules[0] = (struct ss_rule){.policy = SLICE_LIT("p"),
				       .name = SLICE_LIT("rule"),
				       .groups = 1,
				       .methods = &method_of_rule,
				       .method_count = method ? 1 : 0,
				       .paths = &path_of_rule,
				       .path_count = path ? 1 : 0,
				       .headers = &header_of_rule,
				       .header_count = name ? 1 : 0};
	w->policy.rule_count = 1;
}

static void values(void **state)
{
	static const struct row rows[] = {
		{.name = "X-Role", .value = "admin", .denied = true, .allowed = true},
		{.name = "X-Role", .value = "guest, admin", .denied = true},
		{.name = "X-Role", .value = "admin,guest", .denied = true},
		{.name = "X-Role", .value = " ,\tadmin ,", .denied = true},
		{.name = "X-Role", .value = "\"admin\"", .denied = true},
		{.name = "X-Role", .value = "\"ad\\min\"", .denied = true},
		{.name = "X-Role", .value = "guest, \"admin\";q=1", .denied = true},
		{.name = "X-Role", .value = "admin;q=0.1", .denied = true},
		{.name = "X_Role", .value = "admin", .denied = true},
		{.name = "x_ROLE", .value = "guest,admin", .denied = true},
		{.name = "X-Role", .value = "administrator"},
		{.name = "X-Role", .value = "guest"},
		{.name = "X-Role", .value = "\"guest,admin\""}, // one value
		// Who splits at every comma finds it, and so does who minds quotes.
		{.name = "X-Role", .value = "\", admin", .denied = true},
		{.name = "X-Role", .value = "\"a, admin, b\"", .denied = true},
		{.name = "X-Role", .value = "a\";admin", .denied = true},
		{.name = "X-Role", .value = "\"a\\\", admin ;x", .denied = true},
		{.name = "X-Role", .value = "\"x\", \"admin\"", .denied = true},
		{.name = "X-Role", .value = "x\", \"admin\"", .denied = true},
		{.name = "X-Role", .value = "\"admin", .denied = false},
		{.name = "X-Role", .value = "guest;admin"},
		{.name = "X-Role", .value = ""},
		{.name = "X-Roles", .value = "admin"},
		{0},
	};
	struct world *w = *state;

	rule_is(w, NULL, NULL, "x-role", "admin");
	check(w, rows, COUNT(rows));
	// A rule that asks for the field alone.
	static const struct row any[] = {
		{.name = "X-Role", .value = "", .denied = true, .allowed = true},
		{.name = "X_Role", .value = "", .denied = true},
		{.name = "X", .value = ""},
	};

	rule_is(w, NULL, NULL, "x-role", NULL);
	check(w, any, COUNT(any));
	// Its own name may have either.
	static const struct row under[] = {
		{.name = "X_Role", .value = "a", .denied = true, .allowed = true},
		{.name = "X-Role", .value = "a", .denied = true},
	};

	rule_is(w, NULL, NULL, "x_role", "a");
	check(w, under, COUNT(under));
}

static void methods(void **state)
{
	static const struct row rows[] = {
		{.method = "DELETE", .denied = true, .allowed = true},
		{.method = "delete", .denied = true},
		{.method = "POST",
		 .name = "X-HTTP-Method-Override",
		 .value = "DELETE",
		 .denied = true},
		{.method = "POST",
		 .name = "x-http-method-override",
		 .value = "delete",
		 .denied = true},
		{.method = "POST", .name = "X-HTTP-Method", .value = "DELETE", .denied = true},
		{.method = "POST",
		 .name = "X-Method-Override",
		 .value = "PUT, DELETE",
		 .denied = true},
		{.method = "POST",
		 .name = "X_HTTP_Method_Override",
		 .value = "DELETE",
		 .denied = true},
		{.method = "POST",
		 .name = "X-HTTP-Method-Override",
		 .value = "\"DELETE\"",
		 .denied = true},
		{.method = "POST",
		 .name = "X-HTTP-Method-Override",
		 .value = "\"PUT, delete;x, y\"",
		 .denied = true},
		{.method = "POST", .name = "X-HTTP-Method-Override", .value = "\"PUT\""},
		{.method = "DELETE",
		 .name = "X-HTTP-Method",
		 .value = "GET",
		 .denied = true,
		 .allowed = true},
		{.method = "POST", .name = "X-HTTP-Method-Override", .value = "PUT"},
		{.method = "POST", .name = "X-Method", .value = "DELETE"},
		{.method = "POST"},
	};
	struct world *w = *state;

	rule_is(w, "DELETE", NULL, NULL, NULL);
	check(w, rows, COUNT(rows));
}

static void targets(void **state)
{
	static const struct row rows[] = {
		{.path = "/admin", .denied = true, .allowed = true},
		{.name = "X-Original-URL", .value = "/admin", .denied = true},
		{.name = "x-rewrite-url", .value = "/admin/x?y", .denied = true},
		{.name = "X_Original_URL", .value = "/admin", .denied = true},
		{.name = "X-Original-URL", .value = "http://shop/admin", .denied = true},
		{.name = "X-Original-URL", .value = "/x/..%2f%61dmin%20", .denied = true},
		{.name = "X-Original-URL", .value = "/ADMIN", .denied = true},
		{.name = "X-Original-URL", .value = "//shop/admin", .denied = true},
		// Nobody can say what these name.
		{.name = "X-Original-URL", .value = "admin", .denied = true},
		{.name = "X-Original-URL", .value = "/%zz", .denied = true},
		{.name = "X-Original-URL", .value = "", .denied = true},
		{.name = "X-Original-URL", .value = "/y"},
		{.name = "X-Original-URL", .value = "http://shop"},
		{.name = "X-Original-URL", .value = "/y?u=http://shop/admin"},
		{.name = "X-Original-URI", .value = "/admin"},
		{.path = "/admin",
		 .name = "X-Original-URL",
		 .value = "/y",
		 .denied = true,
		 .allowed = true},
	};
	struct world *w = *state;
	struct decision d;

	rule_is(w, NULL, "/admin", NULL, NULL);
	check(w, rows, COUNT(rows));
	assert_int_equal(ask(w, &rows[1], RULE_DENY), VERDICT_DENY);
	d = world_request(w);
	assert_string_equal(d.field, "x-original-url");
	assert_true(slice_eq_str(d.rule, "rule"));
}

// ---- what one request may cost -----------------------------------------------------------------
// A sender chooses how many readings, fields and elements there are: they add up, and do not multiply.

#define HEAD_BYTES 61000
#define CPU_NS_MAX (5 * NS_PER_MS)
#define ODD_PATH   "/%3b/%252f.%5c..%252e%252e%20%5c%255c//%2520.//%252e%252e"
#define FIELDS_MAX 64

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

struct heavy {
	struct slice names[FIELDS_MAX], values[FIELDS_MAX];
	uint32_t count;
	uint32_t asked; // for fields
};

static bool heavy_field(const void *headers, uint32_t i, struct slice *name, struct slice *value)
{
	struct heavy *h = (struct heavy *)(uintptr_t)headers;

	h->asked++;
	if (i >= h->count)
		return false;
	*name = h->names[i];
	*value = h->values[i];
	return true;
}

static bool heavy_header(const void *headers, struct slice lower_name, struct slice *value)
{
	struct heavy *h = (struct heavy *)(uintptr_t)headers;

	h->asked++;
	for (uint32_t i = 0; i < h->count; i++) {
		if (!slice_eq_nocase(h->names[i], lower_name))
			continue;
		*value = h->values[i];
		return true;
	}
	return false;
}

static void heavy_add(struct heavy *h, const char *name, struct slice value)
{
	h->names[h->count] = slice_str(name);
	h->values[h->count++] = value;
}

// A Deny by path, and one that is never far from matching by method and by field.
static void heavy_policy(struct world *w)
{
	static struct ss_path_match admin = {PATH_PREFIX, {(const uint8_t *)"/admin", 6}};

	rule_is(w, "DELETE", NULL, "x-role", "admin");
	w->rules[1] = (struct ss_rule){.policy = SLICE_LIT("p"),
				       .name = SLICE_LIT("path"),
				       .paths = &admin,
				       .path_count = 1};
	w->rules[0].action = w->rules[1].action = RULE_DENY;
	w->group.default_action = RULE_ALLOW;
	w->policy.rule_count = 2;
	world_link(w);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct decision heavy_ask(struct world *w, struct heavy *h, const char *path)
{
	uint64_t begin = cpu_ns(), spent;
	struct decision d;

	h->asked = 0;
	w->in.path = slice_str(path);
	w->in.headers = h;
	w->in.header = heavy_header;
	w->in.field = heavy_field;
	d = world_request(w);
	spent = cpu_ns() - begin;
	if (!SANITIZED && spent > CPU_NS_MAX)
		fail_msg("one decision took %llu us", (unsigned long long)(spent / 1000));
	return d;
}

static void readings_do_not_multiply_fields(void **state)
{
	struct world *w = *state;
	struct heavy h = {0};
	uint32_t plain;
	struct decision d;

	heavy_policy(w);
	heavy_add(&h, "X-HTTP-Method", SLICE_LIT("DELETE"));
	heavy_add(&h, "X-Role", SLICE_LIT("guest"));
	assert_int_equal(heavy_ask(w, &h, "/x").verdict, VERDICT_ALLOW);
	plain = h.asked;
	assert_int_equal(heavy_ask(w, &h, ODD_PATH).verdict, VERDICT_ALLOW);
	assert_true(h.asked <= plain);
	// Nor do fields that stand for the target: once more for all of them, and one look at each.
	for (int i = 0; i < 4; i++)
		heavy_add(&h, "X-Original-URL", SLICE_LIT("/y%20"));
	d = heavy_ask(w, &h, "/x");
	assert_int_equal(d.verdict, VERDICT_ALLOW);
	assert_true(h.asked <= 2 * (plain + 3 * 4));
	assert_true(d.readings >= 4 * 2);
}

// Every reading of the target and of all such fields is out of one purse; who has spent it has a path that
// nobody knows.
static void readings_have_one_purse(void **state)
{
	struct world *w = *state;
	struct heavy h = {0};
	struct decision d;
	uint32_t one;

	heavy_policy(w);
	one = heavy_ask(w, &h, ODD_PATH).readings;
	assert_true(one > READINGS_MAX / 2 && one < READINGS_MAX);
	heavy_add(&h, "X-Original-URL", SLICE_LIT(ODD_PATH));
	d = heavy_ask(w, &h, "/x");
	assert_int_equal(d.verdict, VERDICT_ALLOW);
	assert_int_equal(d.readings, one);
	heavy_add(&h, "X-Rewrite-URL", SLICE_LIT(ODD_PATH));
	d = heavy_ask(w, &h, "/x");
	assert_int_equal(d.verdict, VERDICT_DENY);
	assert_true(slice_eq_str(d.rule, "path"));
	assert_int_equal(d.readings, READINGS_MAX);
}

// More elements than anybody looks at: a Deny of the field or method matches, an Allow does not.
static void elements_are_bounded(void **state)
{
	static uint8_t commas[HEAD_BYTES];
	struct world *w = *state;
	struct slice many = slice_make(commas, sizeof(commas));
	struct slice few = slice_make(commas, DENY_ELEMENTS_MAX), element;
	struct deny_list l = {0};
	uint32_t n = 0;

	memset(commas, ',', sizeof(commas));
	deny_list_begin(&l, few);
	while (deny_list_next(&l, &element))
		n++;
	assert_true(n == DENY_ELEMENTS_MAX && !l.over);
	deny_list_begin(&l, many);
	assert_false(deny_list_next(&l, &element));
	assert_true(l.over);
	for (int action = RULE_DENY; action <= RULE_ALLOW; action++) {
		for (int i = 0; i < 4; i++) {
			struct heavy h = {0};
			bool denied;

			rule_is(w, i / 2 ? "DELETE" : NULL, NULL, i / 2 ? NULL : "x-role", "admin");
			w->rules[0].action = (enum rule_action)action;
			w->group.default_action = action == RULE_DENY ? RULE_ALLOW : RULE_DENY;
			world_link(w);
			heavy_add(&h, i / 2 ? "X-HTTP-Method-Override" : "X-Role",
				  i % 2 ? many : few);
			heavy_add(&h, "X-Other", many);
			denied = heavy_ask(w, &h, ODD_PATH).verdict == VERDICT_DENY;
			assert_int_equal(denied, action == RULE_ALLOW || i % 2 == 1);
		}
	}
}

// The worst that fits into a head.
static void one_head_is_decided_soon(void **state)
{
	static uint8_t commas[HEAD_BYTES];
	struct world *w = *state;
	struct heavy h = {0};

	memset(commas, ',', sizeof(commas));
	heavy_policy(w);
	heavy_add(&h, "X-Role", slice_make(commas, sizeof(commas)));
	(void)heavy_ask(w, &h, ODD_PATH);
	heavy_add(&h, "X-HTTP-Method-Override", slice_make(commas, sizeof(commas) / 2));
	(void)heavy_ask(w, &h, ODD_PATH);
	while (h.count < 20)
		heavy_add(&h, "X-Original-URL", SLICE_LIT(ODD_PATH));
	(void)heavy_ask(w, &h, "/x");
	assert_true(h.asked < 20 * h.count);
}

// Both at once: one request that is another to such a server.
static void together(void **state)
{
	static const struct row rows[] = {
		{.method = "DELETE", .name = "X-Original-URL", .value = "/admin", .denied = true},
		{.method = "GET", .name = "X-Original-URL", .value = "/admin"},
		{.method = "GET",
		 .path = "/admin",
		 .name = "X-HTTP-Method",
		 .value = "delete",
		 .denied = true},
	};
	struct world *w = *state;

	rule_is(w, "DELETE", "/admin", NULL, NULL);
	check(w, rows, COUNT(rows));
}

// "OPTIONS *": a Deny by path counts, an Allow by path does not.
static void no_path(void **state)
{
	static const struct row rows[] = {
		{.method = "OPTIONS", .path = "", .denied = true, .allowed = false},
	};
	struct world *w = *state;

	rule_is(w, NULL, "/admin", NULL, NULL);
	check(w, rows, COUNT(rows));
	// Of other rules it is a request as others.
	rule_is(w, "PUT", NULL, NULL, NULL);
	check(w, &(struct row){.method = "OPTIONS", .path = ""}, 1);
}

// Audit says what it would do, and does nothing.
static void audit(void **state)
{
	static const struct row row = {.name = "X-Original-URL", .value = "/admin"};
	struct world *w = *state;
	struct decision d;

	rule_is(w, NULL, "/admin", NULL, NULL);
	w->rules[0].mode = MODE_AUDIT;
	assert_int_equal(ask(w, &row, RULE_DENY), VERDICT_ALLOW);
	d = world_request(w);
	assert_true(d.would_deny && slice_eq_str(d.audit_rule, "rule"));
	w->in.path = SLICE_LIT("/x/%2e%2e/admin");
	w->header_names[0] = NULL;
	d = world_request(w);
	assert_int_equal(d.verdict, VERDICT_ALLOW);
	assert_true(d.would_deny);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(values, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(methods, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(targets, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(readings_do_not_multiply_fields, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(readings_have_one_purse, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(elements_are_bounded, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(one_head_is_decided_soon, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(together, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(no_path, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(audit, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
