// SPDX-License-Identifier: GPL-3.0-or-later
// Bodies of HTTP/1.1 messages by the letter of RFC 9112 and the bounds of a parser: where a message ends, what is
// refused, however the bytes are cut, and as a second reader reads it (support/http1_reference.h).
#include "support/http1_cut.h"

// http1_body over in cut at cut; ERR_OK and *used the bytes taken, *complete whether it ended.
static enum err body_in_two(struct http1 *p, struct slice in, size_t cut, size_t *used,
			    bool *complete)
{
	size_t part;
	enum err err = http1_body(p, slice_make(in.ptr, cut), used, complete);

	if (err != ERR_OK || *complete)
		return err;
	if (*used != cut)
		fail_msg("%zu of %zu bytes taken, and the message goes on", *used, cut);
	err = http1_body(p, reference_skip(in, cut), &part, complete);
	*used += part;
	return err;
}

// ---- bodies ------------------------------------------------------------------------------------

#define CHUNKED		 POST "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_RESPONSE "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define LENGTH_5	 POST "Content-Length: 5\r\n\r\n"

// What belongs to the message; what follows belongs to the next one.
static const struct {
	const char *head, *body, *next;
} bodies[] = {
	{LENGTH_5, "hello", ""},
	{LENGTH_5, "GET /", " HTTP/1.1\r\n"},
	{LENGTH_5, "\r\n\r\n\r", "\n"},
	{POST "Content-Length: 0\r\n\r\n", "", "GET"},
	{CHUNKED, "0\r\n\r\n", "GET"},
	{CHUNKED, "5\r\nhello\r\n0\r\n\r\n", "GET"},
	{CHUNKED, "a\r\n0123456789\r\nB\r\n0123456789a\r\n000\r\n\r\n", "0\r\n\r\n"},
	{CHUNKED, "0000000000000000000000005\r\nhello\r\n0\r\n\r\n", "GET"},
	{CHUNKED, "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "GET"}, // an end that is data
	{CHUNKED, "5;a\r\nhello\r\n0;b=c;d=\"e;\\\" f\"\r\n\r\n", "GET"},
	// blanks where RFC 9112 7.1.1 has BWS
	{CHUNKED, "5 ;a\r\nhello\r\n0\t ; b\r\n\r\n", "GET"},
	// and where servers that pad their sizes write them
	{CHUNKED, "5   \r\nhello\r\n0\t\r\n\r\n", "GET"},
	{CHUNKED, "5;a \r\nhello\r\n0;a=b \r\n\r\n", "GET"},
	{CHUNKED, "5; a = b ;c\t=\t\"d\" ;e\r\nhello\r\n0\r\n\r\n", "GET"},
	{CHUNKED, "5;a=\"\\\"\xe4\t;\"\r\nhello\r\n0\r\n\r\n", "GET"},
	{CHUNKED, "0\r\nX: y\r\nZ:\r\n\r\n", "GET"},
	{CHUNKED, "0\r\nX-Content-Length: 5\r\n\r\n", "GET"},
	{CHUNKED, "0\r\nTransfer-Encodin: 5\r\n\r\n", "GET"},
};

// Cut in three, at every two places.
static void test_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		size_t head_bytes, used, body_len = strlen(bodies[i].body);
		char text[256];
		int n = snprintf(text, sizeof(text), "%s%s", bodies[i].body, bodies[i].next);
		struct slice in = slice_make(text, (size_t)n);
		bool complete;

		for (size_t cut = 0; cut <= body_len; cut++) {
			struct http1 p;

			assert_int_equal(parse(slice_str(bodies[i].head), 0, false, &p,
					       &head_bytes),
					 ERR_OK);
			assert_int_equal(body_in_two(&p, in, cut, &used, &complete), ERR_OK);
			if (!complete || used != body_len || !http1_is_complete(&p) ||
			    !http1_finish(&p))
				fail_msg("complete %d after %zu bytes, cut at %zu: %s", complete,
					 used, cut, text);
			// Nothing more is taken.
			assert_int_equal(http1_body(&p, in, &used, &complete), ERR_OK);
			assert_true(complete && used == 0);
		}
	}
}

static const char *const bad_bodies[] = {
	"\r\n0\r\n\r\n",
	" 5\r\nhello\r\n0\r\n\r\n",
	"5 5\r\nhello\r\n0\r\n\r\n",
	"5 ;\r\nhello\r\n0\r\n\r\n",
	"5;a b\r\nhello\r\n0\r\n\r\n",
	"5;a= \r\nhello\r\n0\r\n\r\n",
	"5;a=b c\r\nhello\r\n0\r\n\r\n",
	"5;a=\"b\"c\r\nhello\r\n0\r\n\r\n",
	"5;a=\"b\\\r\nhello\r\n0\r\n\r\n",
	"5 \x0b;a\r\nhello\r\n0\r\n\r\n",
	"5\nhello\r\n0\r\n\r\n",
	"5\rhello\r\n0\r\n\r\n",
	"5\r\rhello\r\n0\r\n\r\n",
	"5\r\nhello\n0\r\n\r\n",
	"5\r\nhello0\r\n\r\n",
	"5\r\nhello\r0\r\n\r\n",
	"5\r\nhello!\r\n0\r\n\r\n",
	"0x5\r\nhello\r\n0\r\n\r\n",
	"+5\r\nhello\r\n0\r\n\r\n",
	"-1\r\nhello\r\n0\r\n\r\n",
	"5,5\r\nhello\r\n0\r\n\r\n",
	"g\r\nhello\r\n0\r\n\r\n",
	";a\r\nhello\r\n0\r\n\r\n",
	"8000000000000000\r\nhello", // negative to a signed reader
	"ffffffffffffffff\r\nhello",
	"10000000000000005\r\nhello\r\n0\r\n\r\n", // 5, modulo 2^64
	"5;\r\nhello\r\n0\r\n\r\n",
	"5;a\nb\r\nhello\r\n0\r\n\r\n",
	"5;a\rb\r\nhello\r\n0\r\n\r\n",
	"5;a=\"b\r\nhello\r\n0\r\n\r\n",
	"5;a=\"b\n\"\r\nhello\r\n0\r\n\r\n",
	"5;a=\x01\r\nhello\r\n0\r\n\r\n",
	"0\n\r\n",
	"0\r\n\n",
	"0\r\nX\r\n\r\n",
	"0\r\nX : y\r\n\r\n",
	"0\r\nX: y\n\r\n",
	"0\r\nX: y\r\n z\r\n\r\n",
	"0\r\nX: y\rz\r\n\r\n",
	"0\r\n: y\r\n\r\n",
	// What frames, routes or authenticates a message has no place behind it (RFC 9110 6.5.1).
	"0\r\nContent-Length: 5\r\n\r\n",
	"0\r\nTransfer-Encoding: chunked\r\n\r\n",
	"0\r\nhost: b\r\n\r\n",
	"0\r\nAUTHORIZATION: Bearer x\r\n\r\n",
	"0\r\nX: y\r\nConnection: close\r\n\r\n",
	"0\r\nUpgrade: h2c\r\n\r\n",
	"0\r\nExpect: 100-continue\r\n\r\n",
	"0\r\nCookie: a=b\r\n\r\n",
	"0\r\nTE: trailers\r\n\r\n",
	"0\r\nTrailer: x\r\n\r\n",
	"0\r\nProxy-Authorization: x\r\n\r\n",
};

// However it is cut: refused before the message ends, and never ended. In responses llhttp is more
// lenient, we are not.
static void assert_body_refused(struct slice in, bool response)
{
	static const struct slice heads[] = {
		{(const uint8_t *)CHUNKED, sizeof(CHUNKED) - 1},
		{(const uint8_t *)CHUNKED_RESPONSE, sizeof(CHUNKED_RESPONSE) - 1},
	};

	for (size_t cut = 0; cut <= in.len; cut++) {
		size_t head_bytes, used;
		struct http1 p;
		bool complete;

		assert_int_equal(parse(heads[response], 0, response, &p, &head_bytes), ERR_OK);
		enum err err = body_in_two(&p, in, cut, &used, &complete);

		if (err != ERR_MALFORMED || complete || !p.error)
			fail_msg("%s, cut at %zu: %s", err_name(err), cut, in.ptr);
		assert_false(http1_finish(&p));
	}
}

static void test_bodies_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad_bodies); i++) {
		assert_body_refused(slice_str(bad_bodies[i]), false);
		assert_body_refused(slice_str(bad_bodies[i]), true);
	}
}

// A response without framing is its connection's rest; what is framed and cut short is no response.
static void test_finish(void **state)
{
	static const struct {
		const char *head, *body;
		bool whole;
	} rows[] = {
		{"HTTP/1.1 200 OK\r\n\r\n", "any bytes\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", true},
		{"HTTP/1.0 200 OK\r\n\r\n", "", true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "hell", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "hello", true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice body = slice_str(rows[i].body);
		size_t head_bytes, used;
		struct http1 p;
		bool complete;

		assert_int_equal(parse(slice_str(rows[i].head), 0, true, &p, &head_bytes), ERR_OK);
		assert_int_equal(http1_body(&p, body, &used, &complete), ERR_OK);
		assert_int_equal(used, body.len);
		assert_int_equal(http1_finish(&p), rows[i].whole);
	}
}

// ---- bounds ------------------------------------------------------------------------------------

static enum err parse_fields(uint32_t count)
{
	static char text[16384];
	int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");
	struct http1 p;
	size_t head_bytes;

	for (uint32_t i = 1; i < count; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "X-%u: v%u\r\n", i, i);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
	return parse(slice_make(text, (size_t)n), 0, false, &p, &head_bytes);
}

static void test_field_count(void **state)
{
	struct slice value;

	(void)state;
	assert_int_equal(parse_fields(HTTP1_HEADERS_MAX + 1), ERR_TOO_LARGE);
	assert_int_equal(parse_fields(HTTP1_HEADERS_MAX), ERR_OK);
	assert_int_equal(message.header_count, HTTP1_HEADERS_MAX);
	assert_true(http1_find(&message, SLICE_LIT("x-99"), &value));
	assert_slice(value, "v99", "X-99");
	assert_false(http1_find(&message, SLICE_LIT("x-100"), &value));
	// The message is reused: nothing of the last one shows.
	assert_int_equal(parse_fields(1), ERR_OK);
	assert_int_equal(message.header_count, 1);
	assert_false(http1_find(&message, SLICE_LIT("x-99"), &value));
}

static void test_find(void **state)
{
	static const char text[] =
		"GET / HTTP/1.1\r\nHost: a\r\nx-one: 1\r\nX-Two: 2\r\nX-two: 3\r\n\r\n";
	struct http1 p;
	size_t head_bytes;
	struct slice value;

	(void)state;
	assert_int_equal(parse(slice_str(text), 0, false, &p, &head_bytes), ERR_OK);
	assert_true(http1_find(&message, SLICE_LIT("x-one"), &value));
	assert_slice(value, "1", text);
	assert_int_equal(http1_count(&message, SLICE_LIT("x-one")), 1);
	assert_true(http1_find(&message, SLICE_LIT("x-two"), &value));
	assert_slice(value, "2", text);
	assert_int_equal(http1_count(&message, SLICE_LIT("x-two")), 2);
	assert_int_equal(http1_count(&message, SLICE_LIT("x-three")), 0);
}

// Chunk extensions are overhead without end, but for this: 16 KiB of a message.
static void test_overhead(void **state)
{
	static char text[70000];
	static const char *const forms[] = {"1;%.*s\r\nx\r\n", "1;a=%.*s\r\nx\r\n",
					    "1;a=\"%.*s\"\r\nx\r\n"};
	static char pad[20000];
	size_t head_bytes, used;
	struct http1 p;
	bool complete;

	(void)state;
	memset(pad, 'a', sizeof(pad));
	for (size_t i = 0; i < COUNT(forms); i++) {
		for (int many = 0; many < 2; many++) {
			int n = snprintf(text, sizeof(text), forms[i], many ? 16400 : 16000, pad);

			assert_int_equal(parse(SLICE_LIT(CHUNKED), 0, false, &p, &head_bytes),
					 ERR_OK);
			assert_int_equal(http1_body(&p, slice_make(text, (size_t)n), &used,
						    &complete),
					 many ? ERR_MALFORMED : ERR_OK);
		}
	}
}

static bool refuses_role(const void *context, struct http1_name trailer)
{
	return http1_name_is(trailer, slice_str(context));
}

// As many trailers as there may be fields, and of those none that a rule reads, in whatever spelling.
static void test_trailers(void **state)
{
	static const struct {
		const char *trailer;
		bool refused;
	} rows[] = {
		{"X-Role: a\r\n\r\n", true},	     {"Y: z\r\nx-role:\r\n\r\n", true},
		{"X_ROLE: a\r\n\r\n", true},	     {"X-Roles: a\r\n\r\n", false},
		{"X-Rol: a\r\n\r\n", false},	     {"X-Original-URL: /admin\r\n\r\n", true},
		{"Content_Length: 5\r\n\r\n", true},
	};
	size_t head_bytes, used;
	struct http1 p;
	bool complete;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(parse(SLICE_LIT(CHUNKED), 0, false, &p, &head_bytes), ERR_OK);
		p.refuses = refuses_role;
		p.context = "x-role";
		assert_int_equal(http1_body(&p, SLICE_LIT("0\r\n"), &used, &complete), ERR_OK);
		enum err err = http1_body(&p, slice_str(rows[i].trailer), &used, &complete);

		if ((err == ERR_MALFORMED) != rows[i].refused || (err == ERR_OK) != complete)
			fail_msg("%s: %s", err_name(err), rows[i].trailer);
	}
	assert_int_equal(parse(SLICE_LIT(CHUNKED), 0, false, &p, &head_bytes), ERR_OK);
	assert_int_equal(http1_body(&p, SLICE_LIT("0\r\n"), &used, &complete), ERR_OK);
	for (uint32_t i = 0; i <= HTTP1_TRAILERS_MAX; i++)
		assert_int_equal(http1_body(&p, SLICE_LIT("a:\r\n"), &used, &complete),
				 i < HTTP1_TRAILERS_MAX ? ERR_OK : ERR_MALFORMED);
}

static void test_expect(void **state)
{
	struct http1 p;
	size_t head_bytes;

	(void)state;
	assert_int_equal(parse(SLICE_LIT(POST "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n"),
			       0, false, &p, &head_bytes),
			 ERR_OK);
	assert_true(message.expects_continue);
	assert_int_equal(parse(SLICE_LIT(LENGTH_5), 0, false, &p, &head_bytes), ERR_OK);
	assert_false(message.expects_continue);
}

// The search for a head's end never goes back: a head that comes byte by byte is looked at once.
static void test_find_head_goes_on(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET";
	size_t scanned = 0, before = 0, head_bytes;

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 4; n++) {
		assert_int_equal(http1_find_head(slice_make(text, n), &scanned, &head_bytes),
				 ERR_AGAIN);
		assert_true(scanned >= before && scanned <= n);
		before = scanned;
	}
	assert_int_equal(http1_find_head(slice_str(text), &scanned, &head_bytes), ERR_OK);
	assert_int_equal(head_bytes, sizeof(text) - 4);
}

// A fold is seen as soon as its first byte has come, also where the line before it ended a read: nobody waits
// for the rest of such a head.
static void test_fold_across_reads(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n b";
	struct slice in = slice_str(text);
	size_t head_bytes;

	(void)state;
	for (size_t cut = 0; cut <= in.len; cut++)
		assert_int_equal(find_in_two(in, cut, &head_bytes), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_bodies_refused),
		cmocka_unit_test(test_finish),
		cmocka_unit_test(test_field_count),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_overhead),
		cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_expect),
		cmocka_unit_test(test_find_head_goes_on),
		cmocka_unit_test(test_fold_across_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
