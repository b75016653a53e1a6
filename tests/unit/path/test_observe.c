// SPDX-License-Identifier: GPL-3.0-or-later
// path/observe: what passes an opaque port is read as requests however it is cut, and who would refuse one is known;
// what cannot be read counts once; nothing is kept of a connection between its requests.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "path/observe.h"
#include "path/worker.h"
#include "support/decide_world.h"

#define WATCH			 "SecurityPolicy/shop/p"
#define GET(path)		 "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, fields, body) "POST " path " HTTP/1.1\r\nHost: a\r\n" fields "\r\n\r\n" body
#define CHUNKS			 POST("/a", "Transfer-Encoding: chunked", "3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n")

static struct worker *w;
static struct exchange x;
static struct snapshot_pin pin;
static struct ss_path_match admin = {PATH_PREFIX, SLICE_LIT("/admin")};

static int setup(void **state)
{
	struct world *world;

	world_setup(state);
	world = *state;
	world->policy.needs_l7 = false;
	world->policy.audits_l7 = true;
	world->policy.rule_count = 1;
	world->rules[0] = (struct ss_rule){.name = SLICE_LIT("no-admin"),
					   .policy = SLICE_LIT(WATCH),
					   .action = RULE_DENY,
					   .mode = MODE_AUDIT,
					   .groups = 1,
					   .paths = &admin,
					   .path_count = 1};
	world_link(world);
	w = calloc(1, sizeof(*w));
	w->message = calloc(1, sizeof(*w->message));
	w->scratch = malloc(DECIDE_SCRATCH_BYTES);
	w->now_ns = WORLD_NOW_NS;
	w->config.limits = world->context.limits;
	pool_init(&w->observers, sizeof(struct observer), 1, 1);
	pin.snapshot = world->snapshot;
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(w->observers.used, 0);
	pool_deinit(&w->observers);
	free(w->message);
	free(w->scratch);
	free(w);
	return world_teardown(state);
}

static void begin(const struct world *world)
{
	w->counters.would_deny = 0;
	w->counters.turns++;
	memset(&x, 0, sizeof(x));
	x.worker = w;
	x.pin = &pin;
	x.destination = world->subject.destination;
	x.policy = world->subject.policy;
	x.principal = world->source;
	x.target.port = 8080;
	observe_begin(&x);
	assert_int_equal(x.observing, OBSERVING_REQUESTS);
}

// In pieces of so many bytes, each of its own allocation, so that a step beyond one is seen.
static void feed(struct slice all, size_t piece)
{
	while (all.len > 0) {
		size_t n = all.len < piece ? all.len : piece;
		uint8_t *copy = malloc(n);

		memcpy(copy, all.ptr, n);
		observe_bytes(&x, slice_make(copy, n));
		free(copy);
		all = slice_make(all.ptr + n, all.len - n);
	}
}

static void what_passes_is_read(void **state)
{
	static const struct {
		const char *bytes;
		uint64_t denied;
		const char *rule;
	} rows[] = {
		{"", 0, ""},
		{GET("/a"), 0, ""},
		{GET("/admin"), 1, "no-admin"},
		{GET("/a") GET("/admin/x") GET("/a") GET("/admin"), 2, "no-admin"},
		{POST("/a", "Content-Length: 0", "") GET("/admin"), 1, "no-admin"},
		{POST("/a", "Content-Length: 10", "GET /admin") GET("/x"), 0, ""},
		{POST("/admin", "Content-Length: 3", "abc") "\r\n" GET("/admin"), 2, "no-admin"},
		{CHUNKS GET("/admin"), 1, "no-admin"},
		{CHUNKS CHUNKS "\r\n" CHUNKS, 0, ""},
		{GET("/%61dmin"), 1, "no-admin"}, // in every reading
		{GET("http://a/admin"), 1, "no-admin"},
		// What is no request counts once, and by the rule that would have had to read it.
		{"EHLO a\r\nMAIL FROM:<a@b>\r\n", 1, "no-admin"},
		{"\x16\x03\x01\x02\x01\x01", 1, "no-admin"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1, "no-admin"},
		{GET("/a") "\x80\x81\x82 some more", 1, "no-admin"},
		{"GET /a HTTP/1.1\r\nHost: a\r\nHo", 1, "no-admin"}, // the end comes early
		{"GET key\r\n", 1, "no-admin"},
		{"GET /a HTTP/1.1\nHost: a\n\n", 1, "no-admin"},
		{"\r\n\r\n\r\n\r\n\r\n\r\n\r\n", 1, "no-admin"},
		{POST("/a", "Content-Length: 1\r\nContent-Length: 2", "a"), 1, "no-admin"},
		// Behind an upgrade that was offered is what it speaks, or a request.
		{"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n\x81\x05",
		 0, ""},
		{"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" GET(
			 "/admin"),
		 1, "no-admin"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice all = slice_str(rows[i].bytes);

		for (size_t piece = 1; piece <= all.len + 1; piece++) {
			begin(*state);
			feed(all, piece);
			observe_end(&x);
			if (w->counters.would_deny != rows[i].denied ||
			    x.decision.would_deny != (rows[i].denied > 0) ||
			    !slice_eq_str(x.decision.audit_rule, rows[i].rule) ||
			    w->observers.used != 0)
				fail_msg("row %zu in pieces of %zu: %lu denied", i, piece,
					 (unsigned long)w->counters.would_deny);
		}
	}
}

// Of a whole request nothing is kept, nor between two.
static void nothing_is_kept(void **state)
{
	begin(*state);
	feed(slice_str(GET("/a") GET("/b")), SIZE_MAX);
	assert_int_equal(w->observers.used, 0);
	feed(slice_str("GET"), 1);
	assert_int_equal(w->observers.used, 1);
	feed(slice_str(" /a HTTP/1.1\r\nHost: a\r\n\r\n"), 1);
	assert_int_equal(w->observers.used, 0);
	observe_end(&x);
	assert_int_equal(w->counters.would_deny, 0);
}

static void a_head_has_a_limit(void **state)
{
	static char head[OBSERVED_HEAD_MAX + 64];

	for (int over = 0; over < 2; over++) {
		int n = snprintf(head, sizeof(head), "GET /a HTTP/1.1\r\nHost: a\r\nX: %*s\r\n\r\n",
				 OBSERVED_HEAD_MAX - 33 + over, "x");

		assert_int_equal(n, OBSERVED_HEAD_MAX + over);
		for (size_t piece = 1000; piece <= sizeof(head); piece += 1000) {
			begin(*state);
			feed(slice_make(head, (size_t)n), piece);
			observe_end(&x);
			assert_int_equal(w->counters.would_deny, over);
		}
	}
}

// Where there is no place to look from, the bytes pass and count as unread.
static void no_place(void **state)
{
	void *taken = pool_get(&w->observers);

	begin(*state);
	feed(slice_str(GET("/a")), 5);
	assert_int_equal(w->counters.would_deny, 1);
	assert_int_equal(x.observing, OBSERVING_ENDED);
	pool_put(&w->observers, taken);
	feed(slice_str(GET("/admin")), SIZE_MAX);
	assert_int_equal(w->counters.would_deny, 1);
}

// Who sends many at once is asked about as many a turn as where they are judged.
static void a_turn_has_an_end(void **state)
{
	begin(*state);
	for (int i = 0; i < 200; i++)
		feed(slice_str(GET("/admin")), SIZE_MAX);
	assert_int_equal(w->counters.would_deny, 64);
	w->counters.turns++;
	feed(slice_str(GET("/admin")), SIZE_MAX);
	assert_int_equal(w->counters.would_deny, 65);
}

// Where something enforced reads requests, or nothing does, nobody looks on.
static void only_where_it_is_asked_for(void **state)
{
	struct world *world = *state;

	for (int both = 0; both < 2; both++) {
		world->policy.needs_l7 = world->policy.audits_l7 = both;
		world_link(world);
		memset(&x, 0, sizeof(x));
		x.policy = world->subject.policy;
		observe_begin(&x);
		assert_int_equal(x.observing, OBSERVING_NOTHING);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_passes_is_read), TEST(nothing_is_kept),
		TEST(a_head_has_a_limit),  TEST(no_place),
		TEST(a_turn_has_an_end),   TEST(only_where_it_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
