// SPDX-License-Identifier: GPL-3.0-or-later
// A path is judged in every reading that servers have: against models of servers (and of one behind
// another), over all short targets of an alphabet of what matters and many longer ones, none that any of
// them reads as a denied path passes a Deny, none is allowed that any of them reads as another path. A step
// left out is a way past: each is shown to be needed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/match.h"
#include "support/decide_world.h"
#include "support/servers.h"

#define COUNT(list)  (sizeof(list) / sizeof((list)[0]))
#define EXHAUSTIVE   3 // pieces
#define RANDOM	     8000
#define RANDOM_PARTS 9

static const char *const pieces[] = {"/",   "/",   ".",	  "..",	  "%2e",   "%2f",   "\\",
				     "%5C", ";",   "%20", "%09",  "%A0",   "%3f",   "%23",
				     "a",   "%61", "A",	  "/../", "%252e", "%252F", "%2561"};

// ---- one rule ----------------------------------------------------------------------------------

static struct ss_path_match rule_path;

static void rule_is(struct world *w, enum rule_action action, enum path_match_type type,
		    const char *path)
{
	rule_path = (struct ss_path_match){type, slice_str(path)};
	w->rules[0] = (struct ss_rule){.policy = SLICE_LIT("p"),
				       .name = SLICE_LIT("rule"),
				       .action = action,
				       .groups = 1,
				       .paths = &rule_path,
				       .path_count = 1};
	w->policy.rule_count = 1;
	w->group.default_action = action == RULE_DENY ? RULE_ALLOW : RULE_DENY;
	world_link(w);
}

static enum verdict ask(struct world *w, const char *path)
{
	w->in.path = slice_str(path);
	return world_request(w).verdict;
}

static bool is_under(const char *path, const char *rule)
{
	size_t len = strlen(rule);

	return strncmp(path, rule, len) == 0 && (path[len] == 0 || path[len] == '/');
}

static const char *who(size_t first, int second)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s%s%s", servers[first].name, second < 0 ? "" : ", then ",
		 second < 0 ? "" : servers[second].name);
	return text;
}

static uint32_t refused, passed;

// With a Deny of all under /a; with nothing but what is under /a allowed.
static void check_denied(struct world *w, const char *target)
{
	char text[SERVER_TEXT_MAX];
	enum verdict v;

	if (path_form(slice_str(target)) == PATH_MALFORMED)
		return;
	v = ask(w, target);
	refused += v != VERDICT_ALLOW;
	passed += v == VERDICT_ALLOW;
	for (size_t first = 0; v == VERDICT_ALLOW && first < SERVERS; first++) {
		for (int second = -1; second < (int)SERVERS; second++) {
			if (server_reads(first, second, target, text) && is_under(text, "/a"))
				fail_msg("%s passes and is %s to %s", target, text,
					 who(first, second));
		}
	}
}

static void check_allowed(struct world *w, const char *target)
{
	char text[SERVER_TEXT_MAX];
	enum verdict v;

	if (path_form(slice_str(target)) == PATH_MALFORMED)
		return;
	v = ask(w, target);
	refused += v != VERDICT_ALLOW;
	passed += v == VERDICT_ALLOW;
	for (size_t first = 0; v == VERDICT_ALLOW && first < SERVERS; first++) {
		for (int second = -1; second < (int)SERVERS; second++) {
			if (!server_reads(first, second, target, text))
				continue;
			server_unescape_unreserved(text);
			if (!is_under(text, "/a"))
				fail_msg("%s is allowed and is %s to %s", target, text,
					 who(first, second));
		}
	}
}

static void all_short(struct world *w, const char *begin,
		      void (*check)(struct world *w, const char *target))
{
	uint32_t at[EXHAUSTIVE] = {0};

	for (int n = 0; n <= EXHAUSTIVE; n++) {
		bool more = true;

		while (more) {
			char target[SERVER_TEXT_MAX];

			strcpy(target, begin);
			for (int i = 0; i < n; i++)
				strcat(target, pieces[at[i]]);
			check(w, target);
			more = false;
			for (int i = 0; i < n && !more; i++) {
				at[i] = (at[i] + 1) % COUNT(pieces);
				more = at[i] != 0;
			}
		}
	}
}

static void many_long(struct world *w, const char *begin,
		      void (*check)(struct world *w, const char *target))
{
	uint64_t seed = 0x9e3779b97f4a7c15ull;

	for (int n = 0; n < RANDOM; n++) {
		char target[SERVER_TEXT_MAX];
		uint32_t parts = 4 + (uint32_t)(seed >> 13) % (RANDOM_PARTS - 3);

		strcpy(target, begin);
		for (uint32_t i = 0; i < parts; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			strcat(target, pieces[(seed >> 11) % COUNT(pieces)]);
		}
		check(w, target);
	}
}

static void no_reading_of_a_denied_path_passes(void **state)
{
	struct world *w = *state;

	rule_is(w, RULE_DENY, PATH_PREFIX, "/a");
	refused = passed = 0;
	all_short(w, "/", check_denied);
	many_long(w, "/", check_denied);
	assert_true(refused > 2000 && passed > 2000);
}

static void only_what_all_read_alike_is_allowed(void **state)
{
	struct world *w = *state;

	rule_is(w, RULE_ALLOW, PATH_PREFIX, "/a");
	refused = passed = 0;
	all_short(w, "/a/", check_allowed);
	many_long(w, "/a/", check_allowed);
	assert_true(refused > 2000 && passed > 500);
}

// ---- planted: a step left out ------------------------------------------------------------------

static bool has_step(uint64_t steps, enum reading_step step)
{
	for (; steps; steps >>= READING_STEP_BITS) {
		if ((steps & ((1u << READING_STEP_BITS) - 1)) == (uint64_t)step)
			return true;
	}
	return false;
}

static void every_step_is_needed(void **state)
{
	static const struct {
		enum reading_step step;
		const char *target;
		const char *server;
	} rows[] = {
		{READING_DECODED, "/%61", "nginx"},
		{READING_SLASHES, "/x%2f../a", "nginx"},
		{READING_BACKSLASH, "/x\\..\\a", "Tomcat"},
		{READING_PARAMETERS, "/a;x", "Tomcat"},
		{READING_MERGED, "/x/..//a", "nginx"},
		{READING_DOTS, "/x/../a", "Go"},
		{READING_AUTHORITY, "//x/a", "PHP"},
		{READING_CUT, "/a%3fx", "PHP, decoded first"},
		{READING_BLANKS, "/a%A0", "WSGI, stripped"},
	};
	struct ss_path_match a = {PATH_PREFIX, SLICE_LIT("/a")};

	(void)state;
	assert_int_equal(COUNT(rows), READING_STEP_COUNT - 1);
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[SERVER_TEXT_MAX];
		struct path_readings all;
		struct arena arena;
		bool reads = false, with = false, without = false;

		for (size_t k = 0; k < SERVERS; k++)
			reads |= strcmp(servers[k].name, rows[i].server) == 0 &&
				 server_reads(k, -1, rows[i].target, text) && is_under(text, "/a");
		arena_init(&arena, 1u << 20);
		assert_int_equal(readings_of(slice_str(rows[i].target), READINGS_MAX,
					     READINGS_BYTES_MAX, &arena, &all),
				 ERR_OK);
		for (uint32_t k = 0; k < all.count; k++) {
			if (!path_match(&a, all.list[k].path))
				continue;
			with = true;
			without |= !has_step(all.list[k].steps, rows[i].step);
		}
		arena_deinit(&arena);
		if (!reads || !with || without)
			fail_msg("%s: %d %d %d", rows[i].target, reads, with, without);
	}
}

// ---- examples ----------------------------------------------------------------------------------

static void examples(void **state)
{
	static const struct {
		enum rule_action action;
		enum path_match_type type;
		const char *rule, *path;
		enum verdict verdict;
	} rows[] = {
		// What is denied stays so, and what only looks like it does not.
		{RULE_DENY, PATH_PREFIX, "/admin", "/admin%20", VERDICT_DENY},
		{RULE_DENY, PATH_PREFIX, "/admin", "/admin%0A/x", VERDICT_DENY},
		{RULE_DENY, PATH_PREFIX, "/admin", "/admin.", VERDICT_DENY},
		{RULE_DENY, PATH_PREFIX, "/admin", "/admin%C2%A0", VERDICT_DENY},
		{RULE_DENY, PATH_PREFIX, "/admin", "/admin%E3%80%80", VERDICT_DENY},
		{RULE_DENY, PATH_PREFIX, "/admin", "/x/..%20/admin", VERDICT_DENY},
		{RULE_DENY, PATH_PREFIX, "/admin", "/%2fadmin", VERDICT_DENY},
		{RULE_DENY, PATH_PREFIX, "/admin", "/%2561dmin", VERDICT_DENY},
		{RULE_DENY, PATH_PREFIX, "/admin", "/%252561dmin", VERDICT_ALLOW},
		{RULE_DENY, PATH_PREFIX, "/admin", "/ADMIN/x", VERDICT_DENY},
		{RULE_DENY, PATH_PREFIX, "/Admin", "/aDMIN/x", VERDICT_DENY},
		{RULE_DENY, PATH_PREFIX, "/admin", "/x%2Fadmin", VERDICT_ALLOW},
		{RULE_DENY, PATH_PREFIX, "/admin", "/administrator", VERDICT_ALLOW},
		{RULE_DENY, PATH_PREFIX, "/admin", "/admin%E4", VERDICT_ALLOW},
		{RULE_DENY, PATH_EXACT, "/admin", "/admin/", VERDICT_DENY},
		{RULE_DENY, PATH_EXACT, "/admin/", "/admin", VERDICT_DENY},
		{RULE_DENY, PATH_EXACT, "/admin", "/admin/x", VERDICT_ALLOW},
		{RULE_DENY, PATH_EXACT, "/", "/", VERDICT_DENY},
		{RULE_DENY, PATH_EXACT, "/", "/x", VERDICT_ALLOW},
		// Whatever the rule's own path is written as.
		{RULE_DENY, PATH_EXACT, "//x/../%61dmin", "/admin", VERDICT_DENY},
		{RULE_DENY, PATH_EXACT, "/group%2Fproject", "/group%2fproject", VERDICT_DENY},
		{RULE_DENY, PATH_EXACT, "/group%2Fproject", "/group/project", VERDICT_DENY},
		{RULE_DENY, PATH_EXACT, "/group%2Fproject", "/group/%2570roject", VERDICT_DENY},
		{RULE_DENY, PATH_PREFIX, "/my%20docs", "/my%20docs/x", VERDICT_DENY},
		{RULE_DENY, PATH_PREFIX, "/my%20docs", "/my%2520docs", VERDICT_DENY},
		// An Allow of an odd path allows that, and nothing that is read as another.
		{RULE_ALLOW, PATH_EXACT, "/api/queues/%2F/q", "/api/queues/%2F/q", VERDICT_ALLOW},
		{RULE_ALLOW, PATH_EXACT, "/api/queues/%2F/q", "/api/queues/q", VERDICT_DENY},
		{RULE_ALLOW, PATH_EXACT, "/api/queues/%2F/q", "/api/queues///q", VERDICT_DENY},
		{RULE_ALLOW, PATH_PREFIX, "/api/queues/%2F", "/api/queues/%2F/a%20b",
		 VERDICT_ALLOW},
		{RULE_ALLOW, PATH_PREFIX, "/api/queues/%2F", "/api/queues/%2F/..", VERDICT_DENY},
		{RULE_ALLOW, PATH_PREFIX, "/api/queues/%2F", "/api/queues/%2F/%2e%2e/%2e%2e",
		 VERDICT_DENY},
		{RULE_ALLOW, PATH_PREFIX, "/api", "/api/group%2Fproject", VERDICT_ALLOW},
		{RULE_ALLOW, PATH_PREFIX, "/api", "/api/..%2Fadmin", VERDICT_DENY},
		{RULE_ALLOW, PATH_PREFIX, "/fetch", "/fetch/http://a/b", VERDICT_ALLOW},
		{RULE_ALLOW, PATH_EXACT, "/fetch/http://a/b", "/fetch/http://a/b", VERDICT_ALLOW},
		{RULE_ALLOW, PATH_PREFIX, "/a", "/a;x", VERDICT_DENY},
		{RULE_ALLOW, PATH_PREFIX, "/a", "/a/y;x", VERDICT_ALLOW},
		{RULE_ALLOW, PATH_PREFIX, "/a", "/a/%2e%2e/a", VERDICT_ALLOW},
		{RULE_ALLOW, PATH_PREFIX, "/a", "/A", VERDICT_DENY},
		{RULE_ALLOW, PATH_EXACT, "/a", "/a/", VERDICT_DENY},
		{RULE_ALLOW, PATH_PREFIX, "/", "/%2e%2e//%2Fx;y", VERDICT_ALLOW},
	};
	struct world *w = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		rule_is(w, rows[i].action, rows[i].type, rows[i].rule);
		if (ask(w, rows[i].path) != rows[i].verdict)
			fail_msg("row %zu: %s, %s", i, rows[i].rule, rows[i].path);
	}
}

// Two Allows together may cover a path; the reading that none of them covers is named.
static void each_reading_has_its_own_rule(void **state)
{
	struct world *w = *state;
	struct ss_path_match second = {PATH_PREFIX, SLICE_LIT("/b")};
	char text[READING_TEXT_MAX];
	struct decision d;

	rule_is(w, RULE_ALLOW, PATH_PREFIX, "/a");
	assert_int_equal(ask(w, "/a/%2e%2e/b"), VERDICT_DENY);
	d = world_request(w);
	assert_true(slice_eq_str(reading_format(d.reading, text), "decoded, dots resolved"));
	w->rules[1] = w->rules[0];
	w->rules[1].paths = &second;
	w->policy.rule_count = 2;
	world_link(w);
	assert_int_equal(ask(w, "/a/%2e%2e/b"), VERDICT_ALLOW);
	assert_int_equal(ask(w, "/a/%2e%2e/c"), VERDICT_DENY);
}

// Any reading is charged, once.
static void limits_fit_by_any_reading(void **state)
{
	static const char *const paths[] = {"/login", "/login%20", "//login", "/x/%2e%2e/login",
					    "/login;x"};
	struct world *w = *state;
	struct ss_path_match login = {PATH_EXACT, SLICE_LIT("/login")};

	w->limits[0] = (struct ss_limit){.id = SLICE_LIT("l"),
					 .policy = SLICE_LIT("l"),
					 .rule = SLICE_LIT("r"),
					 .paths = &login,
					 .path_count = 1,
					 .requests = COUNT(paths),
					 .unit_s = 3600};
	w->limit_ids[0] = w->limits[0].id;
	w->policy.limit_count = 1;
	world_link(w);
	for (size_t i = 0; i < COUNT(paths); i++)
		assert_int_equal(ask(w, paths[i]), VERDICT_ALLOW);
	for (size_t i = 0; i < COUNT(paths); i++)
		assert_int_equal(ask(w, paths[i]), VERDICT_LIMITED);
	assert_int_equal(ask(w, "/Login"), VERDICT_ALLOW);
}

// What can be read in so many ways that nobody can judge them all.
static void too_many_readings(void **state)
{
	struct world *w = *state;
	char path[PATH_BYTES_MAX] = "/";

	for (size_t i = 1; i + 40 < sizeof(path); i = strlen(path))
		strcat(path, "x%2f..%5c;y//%2e%20/");
	rule_is(w, RULE_DENY, PATH_PREFIX, "/admin");
	assert_int_equal(ask(w, path), VERDICT_MALFORMED);
	assert_int_equal(world_request(w).readings, READINGS_MAX);
	// What no path may have, decoded, is not too many.
	assert_int_equal(ask(w, "/a%2500"), VERDICT_MALFORMED);
	assert_int_equal(world_request(w).readings, 0);
	// Where nobody asks for paths it is a path as others.
	w->rules[0].path_count = 0;
	w->rules[0].methods = &(struct slice){(const uint8_t *)"PUT", 3};
	w->rules[0].method_count = 1;
	world_link(w);
	assert_int_equal(ask(w, path), VERDICT_ALLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_reading_of_a_denied_path_passes, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(only_what_all_read_alike_is_allowed, world_setup,
						world_teardown),
		cmocka_unit_test(every_step_is_needed),
		cmocka_unit_test_setup_teardown(examples, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(each_reading_has_its_own_rule, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(limits_fit_by_any_reading, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(too_many_readings, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
