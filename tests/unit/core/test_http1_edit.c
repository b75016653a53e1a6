// SPDX-License-Identifier: GPL-3.0-or-later
// What is changed in heads on their way, and that all the rest of them stays as it came.
#include "core/http1_edit.h"
#include "support/http1_cut.h"

#define GET	 "GET / HTTP/1.1\r\n" HOST
#define OK	 "HTTP/1.1 200 OK\r\n"
#define SWITCH	 "HTTP/1.1 101 Switching Protocols\r\n"
#define SETTINGS "HTTP2-Settings: AAMAAABk\r\n"
#define SOCKET                                                                                     \
	"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n"                    \
	"Sec-WebSocket-Version: 13\r\n"

enum { UPGRADE = 1, CLOSE = 2, STAYS = 4, BODILESS = 8, NAMED = 16 };

static const struct slice names[] = {{(const uint8_t *)"SPDY/3.1", 8}, {(const uint8_t *)"tcp", 3}};

// Writes the head with its changes; the text's length, or 0 where they are refused.
static size_t edited(struct slice head, bool response, unsigned how, char *out, uint32_t *changes)
{
	struct http1_hop hop = {
		.upgrades = names,
		.upgrade_count = how & NAMED ? COUNT(names) : 0,
		.upgrade = how & UPGRADE,
		.close = how & CLOSE,
		.stays = how & STAYS,
		.bodiless = how & BODILESS,
	};
	struct http1_edit edit = {0};
	uint32_t piece_at = 0;
	struct slice piece;
	struct http1 p;
	size_t len = 0;

	start(&p, response, false);
	assert_int_equal(http1_head(&p, head, &message), ERR_OK);
	if (http1_edit_hop(&edit, &message, head, &hop) != ERR_OK)
		return 0;
	*changes = edit.count;
	while (http1_edit_next(&edit, head, &piece_at, &piece)) {
		memcpy(out + len, piece.ptr, piece.len);
		len += piece.len;
	}
	return len;
}

static const struct {
	unsigned how;
	const char *in, *out; // NULL: as it came
} rows[] = {
	// nothing belongs to this hop alone
	{UPGRADE, GET "X: y\r\nKeep-Alive: 5\r\n\r\n", NULL},
	{UPGRADE, GET "cONNECTION:  Close ,, keep-ALIVE\t\r\n\r\n", NULL},
	{0, OK "Connection: keep-alive\r\nContent-Length: 2\r\n\r\n", NULL},
	// what Connection names goes, and its name there
	{0, GET "Connection: X-A\r\nX-A: 1\r\nX-B: 2\r\n\r\n", GET "X-B: 2\r\n\r\n"},
	{0, GET "x-a: 1\r\nB: 2\r\nX-A:\r\nX-AB: 3\r\nConnection: close, X-a\r\n\r\n",
	 GET "B: 2\r\nX-AB: 3\r\nConnection: close\r\n\r\n"},
	{0, GET "Connection: a, close, b,, c, keep-alive ,d\r\nC: 1\r\n\r\n",
	 GET "Connection: close, keep-alive\r\n\r\n"},
	{0, GET "Connection: ,a\r\nConnection: b\r\nConnection:\r\nX: y\r\nA: 1\r\nb:2\r\n\r\n",
	 GET "X: y\r\n\r\n"},
	{0, GET "Connection: TE, close\r\nTE: trailers\r\n\r\n", GET "Connection: close\r\n\r\n"},
	{0, GET "Connection: Authorization\r\nAuthorization: Basic x\r\n\r\n", GET "\r\n"},
	{0, OK "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\n",
	 OK "Connection: keep-alive\r\nContent-Length: 2\r\n\r\n"},
	{0, OK "Content-Length: 2\r\nX-Inner: 1\r\nConnection: x-inner\r\n\r\n",
	 OK "Content-Length: 2\r\n\r\n"},
	{0, GET "Connection: connection, close\r\n\r\n", GET "Connection: close\r\n\r\n"},
	{0, "GET / HTTP/1.0\r\nConnection: x\r\nX: y\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"},
	// an offer that may not pass (Java's HttpClient, Apache's, curl's --http2)
	{0, GET "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" SETTINGS "X: y\r\n\r\n",
	 GET "X: y\r\n\r\n"},
	{0, GET "Upgrade: h2c\r\nConnection: Upgrade\r\n" SETTINGS "\r\n", GET "\r\n"},
	{0, GET "Upgrade: TLS/1.2\r\nConnection: keep-alive, upgrade\r\n\r\n",
	 GET "Connection: keep-alive\r\n\r\n"},
	{0, GET "uPGRADE: H2C\r\nUpgrade: TLS/1.0, foo\r\ncONNECTION: UPGRADE\r\n\r\n", GET "\r\n"},
	{0, GET "Connection: Upgrade\r\n\r\n", GET "\r\n"},
	{UPGRADE, GET "Connection: Upgrade\r\nUpgrade: websocket/13\r\n\r\n", GET "\r\n"},
	{UPGRADE, GET "Connection: Upgrade\r\nUpgrade: xwebsocket, websocketx\r\n\r\n", GET "\r\n"},
	// HTTP/1.0 cannot offer one (RFC 9110 7.8), and without the option none is offered
	{UPGRADE, "GET / HTTP/1.0\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	 "GET / HTTP/1.0\r\n" HOST "\r\n"},
	{UPGRADE, GET "Upgrade: h2c\r\n\r\n", NULL},
	// one that may, alone and among others
	{UPGRADE, GET SOCKET "\r\n", NULL},
	{UPGRADE, GET "Connection: keep-alive, UPGRADE\r\nUpgrade: WebSocket\r\n\r\n", NULL},
	{UPGRADE,
	 GET "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c, websocket\r\n" SETTINGS "\r\n",
	 GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
	{UPGRADE, GET "Upgrade: websocket , h2c,TLS/1.2\r\nConnection: upgrade\r\n\r\n",
	 GET "Upgrade: websocket\r\nConnection: upgrade\r\n\r\n"},
	{UPGRADE, GET "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
	 GET "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"},
	{UPGRADE,
	 GET "Connection: Upgrade, Sec-WebSocket-Key, X\r\nUpgrade: websocket\r\n"
	     "Sec-WebSocket-Key: a\r\nX: y\r\n\r\n",
	 GET "Connection: Upgrade, Sec-WebSocket-Key\r\nUpgrade: websocket\r\n"
	     "Sec-WebSocket-Key: a\r\n\r\n"},
	{UPGRADE, GET "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n", GET "\r\n"},
	{UPGRADE | NAMED, GET "Connection: Upgrade\r\nUpgrade: spdy/3.1\r\n\r\n", NULL},
	{UPGRADE | NAMED, GET "Connection: Upgrade\r\nUpgrade: SPDY/3\r\n\r\n", GET "\r\n"},
	{UPGRADE | NAMED, GET "Connection: Upgrade\r\nUpgrade: a, tcp, b, websocket\r\n\r\n",
	 GET "Connection: Upgrade\r\nUpgrade: tcp, websocket\r\n\r\n"},
	// answers
	{UPGRADE, SWITCH SOCKET "\r\n", NULL},
	{UPGRADE, SWITCH SOCKET "Connection: x\r\nX: y\r\n\r\n", SWITCH SOCKET "\r\n"},
	{UPGRADE | BODILESS, SWITCH SOCKET "Content-Length: 0\r\n\r\n", SWITCH SOCKET "\r\n"},
	{0, OK "Upgrade: h2,h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n",
	 OK "Content-Length: 2\r\n\r\n"},
	{BODILESS,
	 "HTTP/1.1 204 No\r\ncontent-length: 0\r\nX: y\r\nTransfer-Encoding: gzip\r\n\r\n",
	 "HTTP/1.1 204 No\r\nX: y\r\n\r\n"},
	{BODILESS, "HTTP/1.1 204 No\r\nX: y\r\n\r\n", NULL},
	{0, "HTTP/1.1 304 No\r\nContent-Length: 20\r\n\r\n", NULL},
	// the last message of a connection; and its answer to a client whose connection stays
	{CLOSE, GET "X: y\r\n\r\n", GET "X: y\r\nConnection: close\r\n\r\n"},
	{CLOSE, GET "Connection: keep-alive, X\r\nX: y\r\nConnection: close\r\nZ: 1\r\n\r\n",
	 GET "Z: 1\r\nConnection: close\r\n\r\n"},
	{CLOSE, GET "Connection: Upgrade\r\nUpgrade: h2c\r\nConnection: close\r\n\r\n",
	 GET "Connection: close\r\n\r\n"},
	{STAYS, OK "Connection: close\r\nContent-Length: 2\r\n\r\n",
	 OK "Content-Length: 2\r\n\r\n"},
	{STAYS,
	 OK "Content-Length: 2\r\nConnection: CLOSE, keep-alive\r\nConnection: x, close\r\n\r\n",
	 OK "Content-Length: 2\r\nConnection: keep-alive\r\n\r\n"},
};

static void test_edits(void **state)
{
	char out[1024], again[1024];
	uint32_t changes;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *expected = rows[i].out ? rows[i].out : rows[i].in;
		bool response = strncmp(rows[i].in, "HTTP/", 5) == 0;
		size_t len = edited(slice_str(rows[i].in), response, rows[i].how, out, &changes);

		assert_slice(slice_make(out, len), expected, rows[i].in);
		if ((changes == 0) != (rows[i].out == NULL))
			fail_msg("%u changes in %s", changes, rows[i].in);
		// What has gone on has nothing left to take out.
		len = edited(slice_make(out, len), response, rows[i].how, again, &changes);
		assert_slice(slice_make(again, len), expected, out);
	}
}

// However many fields there are: a head that needs more changes than there is room for is refused, never half done.
static void test_bounds(void **state)
{
	static char text[8192], out[8192];
	uint32_t changes;

	(void)state;
	for (int fields = 0; fields < 48; fields++) {
		int n = snprintf(text, sizeof(text), GET "Connection: a\r\n");

		for (int i = 0; i < fields; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n, "x: 1\r\na: 2\r\n");
		n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
		size_t len = edited(slice_make(text, (size_t)n), false, 0, out, &changes);

		assert_int_equal(len == 0, fields >= HTTP1_CUTS_MAX);
		assert_true(len == 0 || !memmem(out, len, "a: 2", 4));
	}
	for (int options = 1; options < 48; options++) {
		int n = snprintf(text, sizeof(text), GET "Connection: a");

		for (int i = 1; i < options; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n, ",b%d", i);
		n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n\r\n");
		size_t len = edited(slice_make(text, (size_t)n), false, 0, out, &changes);

		assert_int_equal(len == 0, options > HTTP1_OPTIONS_MAX);
	}
}

// A change is put where it belongs, whatever came before it.
static void test_order(void **state)
{
	struct slice head = SLICE_LIT("0123456789"), piece;
	struct http1_edit edit = {0};
	char out[32];
	uint32_t at = 0;
	size_t len = 0;

	(void)state;
	assert_int_equal(http1_edit_put(&edit, 8, 1, SLICE_LIT("EIGHT")), ERR_OK);
	assert_int_equal(http1_edit_put(&edit, 2, 2, (struct slice){0}), ERR_OK);
	assert_int_equal(http1_edit_put(&edit, 10, 0, SLICE_LIT("END")), ERR_OK);
	assert_int_equal(http1_edit_put(&edit, 0, 1, SLICE_LIT("ZERO")), ERR_OK);
	while (http1_edit_next(&edit, head, &at, &piece)) {
		memcpy(out + len, piece.ptr, piece.len);
		len += piece.len;
	}
	assert_slice(slice_make(out, len), "ZERO14567EIGHT9END", "the pieces");
}

static void test_methods(void **state)
{
	static const char *const with[] = {"POST",   "PUT",  "PATCH",  "QUERY", "PROPFIND",
					   "REPORT", "LOCK", "SEARCH", "MKCOL", "MKCALENDAR"};
	static const char *const without[] = {"GET",   "HEAD", "DELETE", "OPTIONS", "TRACE",
					      "BAN",   "COPY", "MOVE",	 "UNLOCK",  "post",
					      "POST ", "",     "Put"};

	(void)state;
	for (size_t i = 0; i < COUNT(with); i++)
		assert_true(http1_method_has_body(slice_str(with[i])));
	for (size_t i = 0; i < COUNT(without); i++)
		assert_false(http1_method_has_body(slice_str(without[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_methods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
