// SPDX-License-Identifier: GPL-3.0-or-later
// What less strict servers read in a request counts for Deny rules and for nothing else: lists and quoted
// values, '_' for '-', fields that stand for the method or the target, letter case; and a request without
// a path has an unknown one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
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
		cmocka_unit_test_setup_teardown(together, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(no_path, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(audit, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
