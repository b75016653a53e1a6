// SPDX-License-Identifier: GPL-3.0-or-later
// HTTP/1.1 messages by the letter of RFC 9112: what is taken, what is refused and as what, where a
// message ends; all of it however the bytes are cut, and as a second reader reads it
// (support/http1_reference.h).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/detect.h"
#include "support/http1_reference.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define NONE	    UINT64_MAX
#define HOST	    "Host: a\r\n"
#define POST	    "POST / HTTP/1.1\r\n" HOST

static struct http1_message message;
static struct reference reference;

static void start(struct http1 *p, bool response, bool to_head)
{
	if (response)
		http1_init_response(p, to_head);
	else
		http1_init_request(p);
}

// As a connection brings it: cut bytes first, then all. Finding a head must not depend on it.
static enum err find_in_two(struct slice in, size_t cut, size_t *head_bytes)
{
	size_t scanned = 0;
	enum err err = http1_find_head(slice_make(in.ptr, cut), &scanned, head_bytes);

	return err == ERR_AGAIN ? http1_find_head(in, &scanned, head_bytes) : err;
}

static enum err parse(struct slice in, size_t cut, bool response, struct http1 *p,
		      size_t *head_bytes)
{
	enum err err = find_in_two(in, cut, head_bytes);

	start(p, response, false);
	return err == ERR_OK ? http1_head(p, slice_make(in.ptr, *head_bytes), &message) : err;
}

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

static void assert_slice(struct slice got, const char *expected, const char *text)
{
	if (!slice_eq_str(got, expected ? expected : ""))
		fail_msg("'%.*s' instead of '%s' in %s", SLICE_ARG(got), expected, text);
}

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
	{POST "Content-Length: 5\r\n\r\n", "POST", "/", "a", 5, 1, true, false, false},
	{POST "content-LENGTH: \t 0005 \t \r\n\r\n", "POST", "/", "a", 5, 1, true, false, false},
	{POST "Content-Length: 0\r\n\r\n", "POST", "/", "a", 0, 1, true, false, false},
	{POST "Content-Length: 9223372036854775807\r\n\r\n", "POST", "/", "a", INT64_MAX, 1, true,
	 false, false},
	{POST "Transfer-Encoding: chunked\r\n\r\n", "POST", "/", "a", NONE, 1, true, false, true},
	{POST "tRANSFER-eNCODING:\tchUNKed\r\n\r\n", "POST", "/", "a", NONE, 1, true, false, true},
	{"GET /c HTTP/1.1\r\n" HOST "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
	 "GET", "/c", "a", NONE, 1, true, true, false},
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
	"DESCRIBE / HTTP/1.1\r\n" HOST "\r\n",
	"PRI * HTTP/1.1\r\n" HOST "\r\n",
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
	// two upgrades: the one that was judged is not the one that is taken
	"GET / HTTP/1.1\r\n" HOST
	"Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n\r\n",
};

static const char *const unsupported[] = {
	"CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n",
	"GET / HTTP/1.2\r\n" HOST "\r\n",
	"GET / HTTP/1.9\r\n" HOST "\r\n",
	"GET / HTTP/0.9\r\n" HOST "\r\n",
	"GET / HTTP/2.0\r\n" HOST "\r\n",
	"GET / HTTP/3.0\r\n" HOST "\r\n",
	"GET /\r\n\r\n", // HTTP/0.9
	"FOO / HTTP/1.1\r\n" HOST "\r\n",
	"get / HTTP/1.1\r\n" HOST "\r\n",
	"VERSION-CONTROL / HTTP/1.1\r\n" HOST "\r\n",
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
	// A body where none can be (RFC 9110 8.6, RFC 9112 6.1): readers differ on what follows.
	"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n",
	"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n",
	"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 199 Odd\r\nContent-Length: 2\r\n\r\n",
	"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n",
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
	"5 \r\nhello\r\n0\r\n\r\n",
	"5\t\r\nhello\r\n0\r\n\r\n",
	"5 ;a\r\nhello\r\n0\r\n\r\n",
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

// Chunk extensions and trailers are overhead without end, but for this: 16 KiB of a message.
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
	// Many small trailers count as much as a large one.
	assert_int_equal(parse(SLICE_LIT(CHUNKED "0\r\n"), 0, false, &p, &head_bytes), ERR_OK);
	assert_int_equal(http1_body(&p, SLICE_LIT("0\r\n"), &used, &complete), ERR_OK);
	for (uint32_t i = 0; i < 16384 / 6; i++)
		assert_int_equal(http1_body(&p, SLICE_LIT("a: \r\nb:\r\n"), &used, &complete),
				 i < 16384 / 10 ? ERR_OK : ERR_MALFORMED);
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
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_requests_refused),
		cmocka_unit_test(test_bytes_replaced),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_responses_refused),
		cmocka_unit_test(test_response_to_head),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_bodies_refused),
		cmocka_unit_test(test_finish),
		cmocka_unit_test(test_field_count),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_overhead),
		cmocka_unit_test(test_expect),
		cmocka_unit_test(test_find_head_goes_on),
		cmocka_unit_test(test_fold_across_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
