// SPDX-License-Identifier: GPL-3.0-or-later
// control/accesslog: a record is one JSON line, whatever bytes a client put into it, and no client can
// keep another's line out. The thread is the real one, writing to a file.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <yyjson.h>
#include "common/file.h"
#include "control/accesslog.h"
#include "path/end_reason.h"

static struct buf line;

static int setup(void **state)
{
	(void)state;
	buf_init_growing(&line, 1u << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_deinit(&line);
	return 0;
}

static yyjson_doc *format(const struct record *r, const struct slice strings[RECORD_STRINGS])
{
	yyjson_doc *doc;

	buf_reset(&line);
	accesslog_format(r, strings, &line);
	assert_int_equal(line.err, ERR_OK);
	assert_int_equal(line.ptr[line.len - 1], '\n');
	assert_ptr_equal(memchr(line.ptr, '\n', line.len), line.ptr + line.len - 1); // one line
	doc = yyjson_read((const char *)line.ptr, line.len, 0);
	assert_true(yyjson_is_obj(yyjson_doc_get_root(doc)));
	return doc;
}

static const char *text(yyjson_doc *doc, const char *key)
{
	const char *s = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), key));

	return s ? s : "(none)";
}

static uint64_t number(yyjson_doc *doc, const char *key)
{
	return yyjson_get_uint(yyjson_obj_get(yyjson_doc_get_root(doc), key));
}

// Every string of a record: its key in the log, and a value.
static const struct {
	const char *key, *value;
} said[RECORD_STRINGS] = {
	{"source.identity", "spiffe://td/ns/shop/sa/a"},
	{"source.pod", "shop/a"},
	{"target.identity", "spiffe://td/ns/shop/sa/b"},
	{"target.pod", "shop/b"},
	{"service", "shop/web"},
	{"policy", "SecurityPolicy/shop/p"},
	{"rule", "no-admin"},
	{"audit.policy", "SecurityPolicy/shop/q"},
	{"audit.rule", "later"},
	{"http.request.method", "GET"},
	{"url.path", "/admin"},
	{"http.request.header.host", "web.shop"},
	{"detail", "one sentence"},
	{"peer.node", "n2"},
};

static void an_exchange_says_who_what_and_why(void **state)
{
	struct record r = {
		.kind = RECORD_EXCHANGE,
		.reporter = 1,
		.end_reason = END_DENIED,
		.verdict = VERDICT_DENY,
		.decide_reason = DECIDE_RULE_DENY,
		.l7 = true,
		.would_deny = true,
		.status = 403,
		.exchange_id = UINT64_MAX,
		.sequence = 7,
		.unix_ms = 1764000000001,
		.duration_us = 1234,
		.bytes_in = 1ull << 40,
		.bytes_out = 2,
		.client = {addr_from_v4(0x0af5010a), 40000},
		.dialled = {{{0xfd, 1}}, 80},
		.target = {addr_from_v4(0x0af50214), 8080},
	};
	struct slice strings[RECORD_STRINGS];
	yyjson_doc *doc;

	(void)state;
	for (int i = 0; i < RECORD_STRINGS; i++)
		strings[i] = slice_str(said[i].value);
	doc = format(&r, strings);
	for (int i = 0; i < RECORD_STRINGS; i++)
		assert_string_equal(text(doc, said[i].key), said[i].value);
	assert_string_equal(text(doc, "time"), "2025-11-24T16:00:00.001Z");
	assert_string_equal(text(doc, "event"), "exchange");
	assert_string_equal(text(doc, "reporter"), "destination");
	assert_string_equal(text(doc, "protocol"), "http");
	assert_string_equal(text(doc, "client.address"), "10.245.1.10");
	assert_int_equal(number(doc, "client.port"), 40000);
	assert_string_equal(text(doc, "destination.address"), "fd01::");
	assert_string_equal(text(doc, "server.address"), "10.245.2.20");
	assert_int_equal(number(doc, "server.port"), 8080);
	assert_int_equal(number(doc, "http.response.status_code"), 403);
	assert_string_equal(text(doc, "end"), "denied");
	assert_string_equal(text(doc, "verdict"), "deny");
	assert_string_equal(text(doc, "reason"), "rule_deny");
	assert_true(number(doc, "exchange") == UINT64_MAX);
	assert_int_equal(number(doc, "sequence"), 7);
	assert_int_equal(number(doc, "duration_us"), 1234);
	assert_true(number(doc, "bytes.received") == 1ull << 40);
	assert_true(yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(doc), "would_deny")));
	assert_string_equal(text(doc, "jwt"), "(none)"); // none was asked for
	yyjson_doc_free(doc);
}

// A request that passes a port where it is only looked at is no exchange, and has no end.
static void what_would_be_refused_is_an_event(void **state)
{
	struct record r = {.kind = RECORD_WOULD_DENY,
			   .end_reason = END_CLOSED,
			   .verdict = VERDICT_COUNT,
			   .l7 = true,
			   .would_deny = true};
	struct slice strings[RECORD_STRINGS] = {{0}};
	yyjson_doc *doc;

	(void)state;
	strings[RECORD_PATH] = SLICE_LIT("/admin");
	strings[RECORD_AUDIT_RULE] = SLICE_LIT("later");
	doc = format(&r, strings);
	assert_string_equal(text(doc, "event"), "would_deny");
	assert_string_equal(text(doc, "protocol"), "http");
	assert_string_equal(text(doc, "url.path"), "/admin");
	assert_string_equal(text(doc, "audit.rule"), "later");
	assert_null(yyjson_obj_get(yyjson_doc_get_root(doc), "end"));
	yyjson_doc_free(doc);
}

// What does not apply is left out, not said to be empty.
static void an_opaque_connection_has_no_request(void **state)
{
	struct record r = {
		.kind = RECORD_EXCHANGE, .end_reason = END_CLOSED, .verdict = VERDICT_COUNT};
	struct slice strings[RECORD_STRINGS] = {{0}};
	yyjson_doc *doc = format(&r, strings);

	(void)state;
	assert_string_equal(text(doc, "protocol"), "tcp");
	assert_string_equal(text(doc, "reporter"), "source");
	assert_string_equal(text(doc, "end"), "closed");
	static const char *const absent[] = {"http.request.method",
					     "url.path",
					     "policy",
					     "rule",
					     "http.response.status_code",
					     "verdict",
					     "client.address",
					     "would_deny",
					     "detail",
					     "service"};
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		assert_null(yyjson_obj_get(yyjson_doc_get_root(doc), absent[i]));
	yyjson_doc_free(doc);
}

static void tunnels_are_events_of_their_own(void **state)
{
	struct record r = {.kind = RECORD_TUNNEL, .client = {addr_from_v4(0xc0a84e0b), 16001}};
	struct slice strings[RECORD_STRINGS] = {[RECORD_METHOD] = SLICE_LIT("tunnel_established"),
						[RECORD_NODE] = SLICE_LIT("n1"),
						[RECORD_POLICY] = SLICE_LIT("X25519MLKEM768"),
						[RECORD_RULE] =
							SLICE_LIT("TLS_AES_128_GCM_SHA256")};
	yyjson_doc *doc = format(&r, strings);

	(void)state;
	assert_string_equal(text(doc, "event"), "tunnel_established");
	assert_string_equal(text(doc, "peer.node"), "n1");
	assert_string_equal(text(doc, "peer.address"), "192.168.78.11");
	assert_string_equal(text(doc, "tls.group"), "X25519MLKEM768");
	assert_string_equal(text(doc, "tls.cipher"), "TLS_AES_128_GCM_SHA256");
	yyjson_doc_free(doc);
}

static void any_record_is_a_line(void **state)
{
	static uint8_t bytes[RECORD_STRING_MAX];
	struct slice strings[RECORD_STRINGS];

	(void)state;
	srand(12);
	for (int round = 0; round < 3000; round++) {
		struct record r;
		uint8_t *raw = (uint8_t *)&r;
		bool flag = rand() % 2;

		for (size_t i = 0; i < sizeof(r); i++)
			raw[i] = (uint8_t)rand();
		r.kind = (uint8_t)(1 + rand() % 3);
		r.l7 = flag;
		r.would_deny = !flag;
		r.unix_ms %= 1ull << 42;
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(rand() % 2 ? rand() : "\"\\\n{}\x80\xe2,"[rand() % 8]);
		for (int i = 0; i < RECORD_STRINGS; i++)
			strings[i] = slice_make(bytes, (size_t)rand() % sizeof(bytes));
		yyjson_doc_free(format(&r, strings));
	}
}

// ---- the thread --------------------------------------------------------------------------------

struct written {
	char path[64];
	struct accesslog *log;
	struct record_ring ring;
	struct buf content;
	uint32_t lines;
};

static void begin(struct written *w)
{
	struct reason why = {0};

	strcpy(w->path, "/tmp/portcullis-log-XXXXXX");
	close(mkstemp(w->path));
	assert_int_equal(accesslog_open(w->path, &w->log, &why), ERR_OK);
	assert_int_equal(record_ring_init(&w->ring, 1u << 20, accesslog_event_fd(w->log)), ERR_OK);
	accesslog_add(w->log, &w->ring);
}

static void end(struct written *w)
{
	accesslog_close(w->log);
	buf_init_growing(&w->content, 16u << 20);
	assert_int_equal(file_read(w->path, 16u << 20, &w->content), ERR_OK);
	w->lines = 0;
	for (struct slice rest = buf_slice(&w->content); rest.len > 0;) {
		size_t len = slice_find(rest, '\n');
		yyjson_doc *doc = yyjson_read((const char *)rest.ptr, len, 0);

		if (!yyjson_is_obj(yyjson_doc_get_root(doc)))
			fail_msg("line %u is no JSON object", w->lines);
		assert_true(len < rest.len); // every line is ended
		// In the order they were put.
		assert_int_equal(number(doc, "sequence"), w->lines);
		yyjson_doc_free(doc);
		w->lines++;
		rest = slice_make(rest.ptr + len + 1, rest.len - len - 1);
	}
	record_ring_deinit(&w->ring);
	unlink(w->path);
}

static void every_record_is_written_while_it_runs(void **state)
{
	struct slice strings[RECORD_STRINGS] = {[RECORD_PATH] = SLICE_LIT("/a")};
	struct record r = {.kind = RECORD_EXCHANGE};
	struct written w = {0};
	uint32_t put = 0;

	(void)state;
	begin(&w);
	assert_int_equal(accesslog_start(w.log), ERR_OK);
	for (int burst = 0; burst < 50; burst++) {
		for (int i = 0; i < 200; i++) {
			r.sequence = put;
			put += record_ring_put(&w.ring, &r, strings);
		}
		usleep(burst % 5 * 1000); // sometimes it falls asleep between
	}
	end(&w);
	assert_int_equal(w.lines, put);
	assert_int_equal(put + w.ring.dropped, 10000);
	buf_deinit(&w.content);
}

// Strings as long and as hostile as they may be, among others: nobody's line is lost.
static void the_longest_lines_take_no_other_along(void **state)
{
	static uint8_t hostile[RECORD_STRING_MAX];
	struct slice longest[RECORD_STRINGS], brief[RECORD_STRINGS] = {{0}};
	struct record r = {.kind = RECORD_EXCHANGE, .would_deny = true};
	struct written w = {0};

	(void)state;
	memset(hostile, 1, sizeof(hostile));
	for (int i = 0; i < RECORD_STRINGS; i++)
		longest[i] = slice_make(hostile, sizeof(hostile));
	begin(&w);
	// Of many lengths, so that batches end at every place before a line that is too long for what is left.
	for (r.sequence = 0; r.sequence < 110; r.sequence++) {
		for (int i = 0; i < RECORD_STRINGS; i++)
			longest[i].len = sizeof(hostile) - (r.sequence * 37) % 300;
		assert_true(record_ring_put(&w.ring, &r, r.sequence % 7 ? longest : brief));
	}
	assert_int_equal(accesslog_start(w.log), ERR_OK);
	end(&w);
	assert_int_equal(w.lines, 110);
	buf_deinit(&w.content);
}

static void targets(void **state)
{
	struct accesslog *log;
	struct reason why;
	struct stat st;

	(void)state;
	assert_int_equal(accesslog_open("/no/such/directory/log", &log, &why), ERR_IO);
	assert_non_null(strstr(why.text, "/no/such/directory/log"));
	assert_int_equal(accesslog_open("off", &log, &why), ERR_OK);
	assert_int_equal(accesslog_start(log), ERR_OK);
	accesslog_close(log);
	umask(0);
	unlink("/tmp/portcullis-log-new");
	assert_int_equal(accesslog_open("/tmp/portcullis-log-new", &log, &why), ERR_OK);
	umask(022);
	accesslog_close(log); // never started
	assert_int_equal(stat("/tmp/portcullis-log-new", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640); // paths and identities: not for everybody
	unlink("/tmp/portcullis-log-new");
	accesslog_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_exchange_says_who_what_and_why, setup, teardown),
		cmocka_unit_test_setup_teardown(an_opaque_connection_has_no_request, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_would_be_refused_is_an_event, setup, teardown),
		cmocka_unit_test_setup_teardown(tunnels_are_events_of_their_own, setup, teardown),
		cmocka_unit_test_setup_teardown(any_record_is_a_line, setup, teardown),
		cmocka_unit_test(every_record_is_written_while_it_runs),
		cmocka_unit_test(the_longest_lines_take_no_other_along),
		cmocka_unit_test(targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
