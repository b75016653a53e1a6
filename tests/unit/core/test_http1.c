// SPDX-License-Identifier: GPL-3.0-or-later
// Heads of HTTP/1.1 messages by the letter of RFC 9112: what is taken, what is refused and as what, however the
// bytes are cut, and as a second reader reads it (support/http1_reference.h).
#include "support/http1_cut.h"

#define METHOD_64 "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKL"

static struct reference reference;

// What was accepted is what the second reader reads.
static void assert_as_reference(struct slice in, bool response, const char *text)
{
	if (!reference_head(in, response, &reference))
		fail_msg("the reference refuses %s", text);
	assert_true(slice_eq(reference.method, message.method));
	assert_true(slice_eq(reference.target, message.target));
	assert_int_equal(reference.status, message.status);
	assert_int_equal(reference.minor, message.minor);
	assert_int_equal(reference.chunked, message.chunked);
	assert_int_equal(reference.has_length, message.has_length);
	assert_int_equal(reference.content_length, message.content_length);
	assert_int_equal(reference.header_count, message.header_count);
	for (uint32_t i = 0; i < message.header_count; i++) {
		assert_true(slice_eq(reference.headers[i].name, message.headers[i].name));
		assert_true(slice_eq(reference.headers[i].value, message.headers[i].value));
	}
}

// ---- requests ----------------------------------------------------------------------------------

static const struct {
	const char *text, *method, *target, *host;
	uint64_t length; // NONE: no Content-Length
	uint8_t minor;
	bool keep_alive, upgrade, chunked;
} requests[] = {
	{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "a", NONE, 1, true, false, false},
	{"GET /b?c HTTP/1.1\r\nhOsT:a\r\n\r\n", "GET", "/b?c", "a", NONE, 1, true, false, false},
	{"GET / HTTP/1.1\r\nHost: \t a:80 \t \r\n\r\n", "GET", "/", "a:80", NONE, 1, true, false,
	 false},
	{"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET", "/", "", NONE, 1, true, false, false},
	{"GET / HTTP/1.0\r\n\r\n", "GET", "/", "", NONE, 0, false, false, false},
	{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET", "/", "", NONE, 0, true, false,
	 false},
	{"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "GET", "/", "a", NONE, 1, false,
	 false, false},
	{"GET / HTTP/1.1\r\n" HOST "Connection: x\r\nConnection: y ,cLoSe\r\n\r\n", "GET", "/", "a",
	 NONE, 1, false, false, false},
	{"GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", "GET", "/", "a", NONE, 1, true,
	 false, false},
	{"GET / HTTP/1.1\r\n" HOST "X-Empty:\r\nX-High: \xe4\xff\r\n!#$%&'*+-.^_`|~9z: v\r\n\r\n",
	 "GET", "/", "a", NONE, 1, true, false, false},
	{"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS", "*", "a", NONE, 1, true, false, false},
	{"GET http://a/b HTTP/1.1\r\n" HOST "\r\n", "GET", "http://a/b", "a", NONE, 1, true, false,
	 false},
	{"M-SEARCH / HTTP/1.1\r\n" HOST "\r\n", "M-SEARCH", "/", "a", NONE, 1, true, false, false},
	// Methods are any token, and have case (RFC 9110 9.1).
	{"BAN / HTTP/1.1\r\n" HOST "\r\n", "BAN", "/", "a", NONE, 1, true, false, false},
	{"get / HTTP/1.1\r\n" HOST "\r\n", "get", "/", "a", NONE, 1, true, false, false},
	{"Connect / HTTP/1.1\r\n" HOST "\r\n", "Connect", "/", "a", NONE, 1, true, false, false},
	{"VERSION-CONTROL / HTTP/1.1\r\n" HOST "\r\n", "VERSION-CONTROL", "/", "a", NONE, 1, true,
	 false, false},
	{"RPC_IN_DATA / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", "RPC_IN_DATA", "/", "a", 5,
	 1, true, false, false},
	{"DESCRIBE / HTTP/1.1\r\n" HOST "\r\n", "DESCRIBE", "/", "a", NONE, 1, true, false, false},
	{"SOURCE / HTTP/1.0\r\n" HOST "\r\n", "SOURCE", "/", "a", NONE, 0, false, false, false},
	{"PRIX / HTTP/1.1\r\n" HOST "\r\n", "PRIX", "/", "a", NONE, 1, true, false, false},
	{"!#$%&'*+-.^_`|~9z / HTTP/1.1\r\n" HOST "\r\n", "!#$%&'*+-.^_`|~9z", "/", "a", NONE, 1,
	 true, false, false},
	{METHOD_64 " / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", METHOD_64, "/", "a",
	 NONE, 1, true, false, true},
	{POST "Content-Length: 5\r\n\r\n", "POST", "/", "a", 5, 1, true, false, false},
	{POST "content-LENGTH: \t 0005 \t \r\n\r\n", "POST", "/", "a", 5, 1, true, false, false},
	{POST "Content-Length: 0\r\n\r\n", "POST", "/", "a", 0, 1, true, false, false},
	{POST "Content-Length: 9223372036854775807\r\n\r\n", "POST", "/", "a", INT64_MAX, 1, true,
	 false, false},
	{POST "Transfer-Encoding: chunked\r\n\r\n", "POST", "/", "a", NONE, 1, true, false, true},
	{POST "tRANSFER-eNCODING:\tchUNKed\r\n\r\n", "POST", "/", "a", NONE, 1, true, false, true},
	{"GET /c HTTP/1.1\r\n" HOST "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
	 "GET", "/c", "a", NONE, 1, true, true, false},
	{"GET /c HTTP/1.1\r\n" HOST "Connection:\tclose\t,\tUPGRADE\t\r\nUpgrade: h2c\r\n"
	 "Upgrade: websocket\r\n\r\n",
	 "GET", "/c", "a", NONE, 1, false, true, false},
	{"GET /c HTTP/1.1\r\n" HOST "Upgrade: h2c\r\n\r\n", "GET", "/c", "a", NONE, 1, true, false,
	 false},
	{"GET /c HTTP/1.1\r\n" HOST "Connection: upgrade\r\n\r\n", "GET", "/c", "a", NONE, 1, true,
	 false, false},
	// RFC 9110 7.8: ignored in HTTP/1.0.
	{"GET /c HTTP/1.0\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", "GET",
	 "/c", "a", NONE, 0, false, false, false},
};

static void check_request(size_t i, size_t cut)
{
	struct slice in = slice_str(requests[i].text);
	const char *text = requests[i].text;
	struct http1 p;
	size_t head_bytes;
	enum err err = parse(in, cut, false, &p, &head_bytes);

	if (err != ERR_OK)
		fail_msg("%s (%s), cut at %zu: %s", err_name(err), p.error, cut, text);
	assert_int_equal(head_bytes, in.len);
	assert_slice(message.method, requests[i].method, text);
	assert_slice(message.target, requests[i].target, text);
	assert_slice(message.host, requests[i].host, text);
	assert_int_equal(message.has_length, requests[i].length != NONE);
	assert_int_equal(message.content_length,
			 requests[i].length == NONE ? 0 : requests[i].length);
	assert_int_equal(message.minor, requests[i].minor);
	if (message.keep_alive != requests[i].keep_alive ||
	    message.upgrade != requests[i].upgrade || message.chunked != requests[i].chunked)
		fail_msg("keep_alive %d, upgrade %d, chunked %d in %s", message.keep_alive,
			 message.upgrade, message.chunked, text);
	assert_int_equal(http1_is_complete(&p), !message.chunked && message.content_length == 0);
	assert_as_reference(in, false, text);
	assert_int_equal(detect_first_bytes(in), DETECT_HTTP1);
}

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		for (size_t cut = 0; cut <= strlen(requests[i].text); cut++)
			check_request(i, cut);
	}
}

static const char *const malformed[] = {
	// the request line: three parts, one space between them, nothing else
	"\r\nGET / HTTP/1.1\r\n" HOST "\r\n", // who skips empty lines does it before
	" GET / HTTP/1.1\r\n" HOST "\r\n",
	"GET  / HTTP/1.1\r\n" HOST "\r\n",
	"GET /  HTTP/1.1\r\n" HOST "\r\n",
	"GET / HTTP/1.1 \r\n" HOST "\r\n",
	"GET\t/ HTTP/1.1\r\n" HOST "\r\n",
	"GET /\tHTTP/1.1\r\n" HOST "\r\n",
	"GET /\vHTTP/1.1\r\n" HOST "\r\n",
	"GET / \r\n" HOST "\r\n",
	"GET HTTP/1.1\r\n" HOST "\r\n",
	"GET /a b HTTP/1.1\r\n" HOST "\r\n",
	"GET /a\tb HTTP/1.1\r\n" HOST "\r\n",
	"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n",
	"GET /\x7f HTTP/1.1\r\n" HOST "\r\n",
	"GET a:80 HTTP/1.1\r\n" HOST "\r\n",
	"GET admin HTTP/1.1\r\n" HOST "\r\n",
	"G(T / HTTP/1.1\r\n" HOST "\r\n",
	"GET\xff / HTTP/1.1\r\n" HOST "\r\n",
	"GET / http/1.1\r\n" HOST "\r\n",
	"GET / HTTP/1.1x\r\n" HOST "\r\n",
	"GET / HTTP/01.1\r\n" HOST "\r\n",
	"GET / HTTP/1.01\r\n" HOST "\r\n",
	"GET / HTTP/1,1\r\n" HOST "\r\n",
	"GET / HTTP/-1.1\r\n" HOST "\r\n",
	"GET / RTSP/1.0\r\n" HOST "\r\n",
	"DESCRIBE / RTSP/1.0\r\n" HOST "\r\n",
	"SOURCE / ICE/1.0\r\n" HOST "\r\n",
	// line ends
	"GET / HTTP/1.1\n" HOST "\r\n",
	"GET / HTTP/1.1\r\nHost: a\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n\n",
	"GET / HTTP/1.1\rHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "X: a\n b\r\n\r\n",
	// fields
	"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST " \r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST ": v\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "X\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "X : v\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "X\t: v\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "X Y: v\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "X(: v\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "X\xe4: v\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n",
	// Host, Authorization
	"GET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST HOST "\r\n",
	"GET / HTTP/1.1\r\n" HOST "hOST: b\r\n\r\n",
	"GET / HTTP/1.0\r\n" HOST "Host: b\r\n\r\n",
	"GET / HTTP/1.1\r\n" HOST "Authorization: x\r\nauthorization: y\r\n\r\n",
	// lengths
	POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
	POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
	POST "Content-Length: 5, 5\r\n\r\n",
	POST "Content-Length: 5,\r\n\r\n",
	POST "Content-Length: +5\r\n\r\n",
	POST "Content-Length: -5\r\n\r\n",
	POST "Content-Length: 0x5\r\n\r\n",
	POST "Content-Length: 5 0\r\n\r\n",
	POST "Content-Length: 5.0\r\n\r\n",
	POST "Content-Length: \"5\"\r\n\r\n",
	POST "Content-Length: 5;\r\n\r\n",
	POST "Content-Length:\r\n\r\n",
	POST "Content-Length: \x0b"
	     "5\r\n\r\n",
	POST "Content-Length: 9223372036854775808\r\n\r\n", // negative to a signed reader
	POST "Content-Length: 18446744073709551615\r\n\r\n",
	POST "Content-Length: 18446744073709551621\r\n\r\n", // 5, modulo 2^64
	// codings
	POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
	POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
	POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
	POST "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n",
	POST "Transfer-Encoding: chunked, chunked\r\n\r\n",
	POST "Transfer-Encoding: chunked, identity\r\n\r\n",
	POST "Transfer-Encoding: gzip, chunked\r\n\r\n",
	POST "Transfer-Encoding: identity\r\n\r\n",
	POST "Transfer-Encoding: xchunked\r\n\r\n",
	POST "Transfer-Encoding: chunkedx\r\n\r\n",
	POST "Transfer-Encoding: x chunked\r\n\r\n",
	POST "Transfer-Encoding: chunked,\r\n\r\n",
	POST "Transfer-Encoding: ,chunked\r\n\r\n",
	POST "Transfer-Encoding: chunked;q=1\r\n\r\n",
	POST "Transfer-Encoding: \"chunked\"\r\n\r\n",
	POST "Transfer-Encoding: 'chunked'\r\n\r\n",
	POST "Transfer-Encoding: \x0b"
	     "chunked\r\n\r\n",
	POST "Transfer-Encoding:\r\n\r\n",
	POST "Transfer-Encoding:\r\n chunked\r\n\r\n",
	POST "Transfer-Encoding : chunked\r\n\r\n",
	"POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
	// Connection may not name what frames or routes the message (RFC 9110 7.6.1)
	"GET / HTTP/1.1\r\n" HOST "Connection: Host\r\n\r\n",
	POST "Connection: close, content-LENGTH\r\nContent-Length: 5\r\n\r\n",
	POST "Content-Length: 5\r\nConnection: x\r\nConnection:,Content-Length\t,\r\n\r\n",
	POST "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n",
	"GET / HTTP/1.0\r\n" HOST "Connection: transfer-encoding\r\n\r\n",
};

static const char *const unsupported[] = {
	"CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n",
	"GET / HTTP/1.2\r\n" HOST "\r\n",
	"GET / HTTP/1.9\r\n" HOST "\r\n",
	"GET / HTTP/0.9\r\n" HOST "\r\n",
	"GET / HTTP/2.0\r\n" HOST "\r\n",
	"GET / HTTP/3.0\r\n" HOST "\r\n",
	"GET /\r\n\r\n", // HTTP/0.9
	"CONNECT / HTTP/1.1\r\n" HOST "\r\n",
	"PRI * HTTP/1.1\r\n" HOST "\r\n",
	METHOD_64 "M / HTTP/1.1\r\n" HOST "\r\n",
};

static void assert_refused(const char *text, enum err expected)
{
	struct slice in = slice_str(text);
	struct http1 p;
	size_t head_bytes;

	for (size_t cut = 0; cut <= in.len; cut++) {
		enum err err = parse(in, cut, false, &p, &head_bytes);

		if (err != expected)
			fail_msg("%s, not %s, cut at %zu: %s", err_name(err), err_name(expected),
				 cut, text);
		if (err == ERR_UNSUPPORTED && !p.error)
			fail_msg("no reason: %s", text);
	}
}

static void test_requests_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(malformed); i++)
		assert_refused(malformed[i], ERR_MALFORMED);
	for (size_t i = 0; i < COUNT(unsupported); i++)
		assert_refused(unsupported[i], ERR_UNSUPPORTED);
}

// Every byte of a head replaced by every byte that can split, end or hide something: refused, or read
// as the second reader reads it. A NUL is refused wherever it stands.
static void test_bytes_replaced(void **state)
{
	static const char text[] = "POST /a?b HTTP/1.1\r\nHost: a.b\r\nContent-Length: 3\r\n"
				   "Connection: keep-alive, x\r\nX-Y: z \r\n\r\n";
	static const uint8_t bytes[] = {0, '\t', '\n', '\v', '\r', ' ', ',', ':', '0', 0x7f, 0xff};
	char changed[sizeof(text)];
	struct http1 p;
	size_t head_bytes;

	(void)state;
	for (size_t at = 0; at < sizeof(text) - 1; at++) {
		for (size_t i = 0; i < COUNT(bytes); i++) {
			struct slice in = slice_make(changed, sizeof(text) - 1);

			memcpy(changed, text, sizeof(text));
			changed[at] = (char)bytes[i];
			if (parse(in, at, false, &p, &head_bytes) != ERR_OK)
				continue;
			if (bytes[i] == 0 || (bytes[i] == '\n' && text[at] != '\n'))
				fail_msg("byte %u at %zu is taken", bytes[i], at);
			assert_as_reference(in, false, changed);
		}
	}
}

// ---- responses ---------------------------------------------------------------------------------

static const struct {
	const char *text;
	uint16_t status;
	bool keep_alive, complete;
} responses[] = {
	{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 200, true, false},
	{"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 200, true, true},
	{"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, true, true},
	{"HTTP/1.1 200 \xe4 \t!\r\nContent-Length: 0\r\n\r\n", 200, true, true},
	{"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 999, true, true},
	{"HTTP/1.1 200 OK\r\n\r\n", 200, false, false}, // until the connection ends
	{"HTTP/1.0 200 OK\r\n\r\n", 200, false, false},
	{"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n", 200, false, false},
	{"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n", 200, true,
	 false},
	{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n", 200, false, false},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, true, false},
	{"HTTP/1.1 204 No\r\n\r\n", 204, true, true},
	{"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", 204, true, true},
	// Where no body can be, nothing frames one (RFC 9110 8.6, RFC 9112 6.1).
	{"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n", 204, true, true},
	{"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", 204, true, true},
	{"HTTP/1.1 204 No\r\nTransfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\n", 204, true,
	 true},
	{"HTTP/1.1 204 No\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 204, true,
	 true},
	{"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n", 100, true, true},
	{"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n", 103, true, true},
	{"HTTP/1.1 199 Odd\r\nContent-Length: 2\r\n\r\n", 199, true, true},
	{"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n",
	 101, true, true},
	{"HTTP/1.1 304 No\r\nContent-Length: 20\r\n\r\n", 304, true, true},
	{"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", 304, true, true},
	{"HTTP/1.1 100 Continue\r\n\r\n", 100, true, true},
	{"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n", 103, true, true},
	{"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 101, true, true},
};

static void test_responses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(responses); i++) {
		const char *text = responses[i].text;

		for (size_t cut = 0; cut <= strlen(text); cut++) {
			struct http1 p;
			size_t head_bytes;
			enum err err = parse(slice_str(text), cut, true, &p, &head_bytes);

			if (err != ERR_OK)
				fail_msg("%s (%s): %s", err_name(err), p.error, text);
			assert_int_equal(message.status, responses[i].status);
			if (message.keep_alive != responses[i].keep_alive ||
			    http1_is_complete(&p) != responses[i].complete)
				fail_msg("keep_alive %d, complete %d: %s", message.keep_alive,
					 http1_is_complete(&p), text);
			assert_as_reference(slice_str(text), true, text);
		}
	}
}

static const char *const bad_responses[] = {
	"HTTP/1.1  200 OK\r\n\r\n",
	"HTTP/1.1 20 OK\r\n\r\n",
	"HTTP/1.1 2000 OK\r\n\r\n",
	"HTTP/1.1 2x0 OK\r\n\r\n",
	"HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 099 Early\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 O\x01\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 O\rK\r\n\r\n",
	"HTTP/1.1 200 OK\n\r\n",
	"http/1.1 200 OK\r\n\r\n",
	"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
	"ICE/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
	"ICY 200 OK\r\n\r\n",
	"SSH-2.0-x\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
	"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	// chunked to a client, which cuts white space off, and not to llhttp
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked \t \r\n\r\n",
	"HTTP/1.1 204 No\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
	"HTTP/1.1 204 No\r\nContent-Length: x\r\n\r\n",
	"HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 2\r\n\r\n",
};

static void test_responses_refused(void **state)
{
	struct http1 p;
	size_t head_bytes;

	(void)state;
	for (size_t i = 0; i < COUNT(bad_responses); i++) {
		if (parse(slice_str(bad_responses[i]), 0, true, &p, &head_bytes) != ERR_MALFORMED)
			fail_msg("not malformed: %s", bad_responses[i]);
	}
	assert_int_equal(parse(SLICE_LIT("HTTP/1.2 200 OK\r\n\r\n"), 0, true, &p, &head_bytes),
			 ERR_UNSUPPORTED);
	assert_int_equal(parse(SLICE_LIT("HTTP/2.0 200 OK\r\n\r\n"), 0, true, &p, &head_bytes),
			 ERR_UNSUPPORTED);
}

static void test_response_to_head(void **state)
{
	static const char *const texts[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct http1 p;

		http1_init_response(&p, true);
		assert_int_equal(http1_head(&p, slice_str(texts[i]), &message), ERR_OK);
		assert_true(http1_is_complete(&p));
		assert_true(message.keep_alive);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),	  cmocka_unit_test(test_requests_refused),
		cmocka_unit_test(test_bytes_replaced),	  cmocka_unit_test(test_responses),
		cmocka_unit_test(test_responses_refused), cmocka_unit_test(test_response_to_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
