// SPDX-License-Identifier: GPL-3.0-or-later
// common/log: one JSON line an event whatever is in it, a bound per second that is told, and no event
// that vanishes because somebody made it long. Standard error is a pipe here.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
#include <cmocka.h>
#include <yyjson.h>
#include "common/clock.h"
#include "common/log.h"

static int real_stderr, lines_fd;
static char text[1u << 20];
static size_t text_len, text_at;

static int setup(void **state)
{
	int pair[2];

	(void)state;
	if (pipe2(pair, O_NONBLOCK) != 0 || fcntl(pair[1], F_SETPIPE_SZ, sizeof(text)) < 0)
		return -1;
	real_stderr = dup(STDERR_FILENO);
	dup2(pair[1], STDERR_FILENO);
	close(pair[1]);
	lines_fd = pair[0];
	text_len = text_at = 0;
	log_init("test", LOG_INFO);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(lines_fd);
	return 0;
}

// The next line, parsed; NULL: there is none. Every line has to be one JSON object.
static yyjson_doc *next_line(void)
{
	ssize_t n;
	char *end;
	yyjson_doc *doc;

	while ((n = read(lines_fd, text + text_len, sizeof(text) - text_len)) > 0)
		text_len += (size_t)n;
	if (text_at == text_len)
		return NULL;
	end = memchr(text + text_at, '\n', text_len - text_at);
	assert_non_null(end);
	doc = yyjson_read(text + text_at, (size_t)(end - text) - text_at, 0);
	assert_true(yyjson_is_obj(yyjson_doc_get_root(doc)));
	text_at = (size_t)(end - text) + 1;
	return doc;
}

static const char *member(yyjson_doc *doc, const char *key)
{
	const char *s = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), key));

	return s ? s : "(none)";
}

static void an_event_is_a_line(void **state)
{
	yyjson_doc *doc;

	(void)state;
	log_event(LOG_ERROR, "first", LOG_S("text", "a \"quoted\" word"), LOG_N("number", -5),
		  LOG_B("bytes", slice_make("x\ny\0\xff", 5)), LOG_S("none", NULL));
	doc = next_line();
	assert_non_null(doc);
	assert_string_equal(member(doc, "level"), "error");
	assert_string_equal(member(doc, "program"), "test");
	assert_string_equal(member(doc, "event"), "first");
	assert_string_equal(member(doc, "text"), "a \"quoted\" word");
	assert_string_equal(member(doc, "none"), "");
	assert_int_equal(yyjson_get_int(yyjson_obj_get(yyjson_doc_get_root(doc), "number")), -5);
	assert_int_equal(yyjson_get_len(yyjson_obj_get(yyjson_doc_get_root(doc), "bytes")), 7);
	assert_int_equal(strlen(member(doc, "time")), strlen("2026-01-02T03:04:05.678Z"));
	assert_null(yyjson_obj_get(yyjson_doc_get_root(doc), "left_out"));
	yyjson_doc_free(doc);
	assert_null(next_line());
}

static void quieter_levels_are_not_written(void **state)
{
	enum log_level level = LOG_DEBUG;

	(void)state;
	log_event(LOG_DEBUG, "quiet", LOG_N("n", 1));
	assert_null(next_line());
	log_init("test", LOG_DEBUG);
	log_event(LOG_DEBUG, "quiet", LOG_N("n", 1));
	yyjson_doc_free(next_line());
	log_init("test", LOG_ERROR);
	log_event(LOG_WARN, "quiet", LOG_N("n", 1));
	assert_null(next_line());
	assert_true(log_level_parse(SLICE_LIT("error"), &level));
	assert_int_equal(level, LOG_ERROR);
	assert_true(log_level_parse(SLICE_LIT("debug"), &level));
	assert_int_equal(level, LOG_DEBUG);
	assert_false(log_level_parse(SLICE_LIT("Error"), &level));
	assert_false(log_level_parse(SLICE_LIT(""), &level));
	assert_false(log_level_parse(SLICE_LIT("errors"), &level));
}

// Waits for the next second to begin, so that what follows lies within one.
static void next_second(void)
{
	uint64_t left = NS_PER_S - clock_monotonic_ns() % NS_PER_S;
	struct timespec t = {.tv_sec = 0, .tv_nsec = (long)left};

	nanosleep(&t, NULL);
}

static void a_flood_is_counted(void **state)
{
	int written = 0;
	yyjson_doc *doc;

	(void)state;
	next_second();
	for (int i = 0; i < 1000; i++)
		log_event(LOG_INFO, "flood", LOG_N("i", i));
	log_event(LOG_INFO, "other", LOG_N("i", 0)); // has its own count
	while ((doc = next_line()) != NULL) {
		written += strcmp(member(doc, "event"), "flood") == 0;
		yyjson_doc_free(doc);
	}
	assert_int_equal(written, 20);
	next_second();
	log_event(LOG_INFO, "flood", LOG_N("i", 1000));
	doc = next_line();
	assert_int_equal(yyjson_get_uint(yyjson_obj_get(yyjson_doc_get_root(doc), "left_out")),
			 980);
	yyjson_doc_free(doc);
}

// Who makes a field long does not make the event vanish: it is there, and says that it was cut.
static void long_events_are_cut_not_lost(void **state)
{
	static uint8_t bytes[100000];
	yyjson_doc *doc;

	(void)state;
	memset(bytes, 1, sizeof(bytes)); // six bytes each, escaped
	log_event(LOG_WARN, "long_one", LOG_S("before", "kept"),
		  LOG_B("hostile", slice_make(bytes, sizeof(bytes))), LOG_S("after", "kept too"));
	doc = next_line();
	assert_non_null(doc);
	assert_string_equal(member(doc, "event"), "long_one");
	assert_string_equal(member(doc, "before"), "kept");
	assert_string_equal(member(doc, "after"), "kept too");
	assert_true(yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(doc), "cut")));
	yyjson_doc_free(doc);
	assert_null(next_line());
}

static void no_more_than_so_many_fields(void **state)
{
	struct log_field fields[LOG_FIELDS_MAX + 10];
	char names[LOG_FIELDS_MAX + 10][8];
	yyjson_doc *doc;

	(void)state;
	for (int i = 0; i < LOG_FIELDS_MAX + 10; i++) {
		snprintf(names[i], sizeof(names[i]), "f%d", i);
		fields[i] = LOG_N(names[i], i);
	}
	log_write(LOG_INFO, "wide", fields, LOG_FIELDS_MAX + 10);
	doc = next_line();
	assert_int_equal(yyjson_obj_size(yyjson_doc_get_root(doc)), 4 + LOG_FIELDS_MAX);
	yyjson_doc_free(doc);
}

static void *writer(void *argument)
{
	char name[16];

	snprintf(name, sizeof(name), "thread_%d", *(int *)argument);
	for (int i = 0; i < 20; i++)
		log_event(LOG_INFO, name, LOG_N("i", i),
			  LOG_S("text", "some words to be mixed up"));
	return NULL;
}

static void threads_do_not_mix_their_lines(void **state)
{
	pthread_t threads[8];
	int numbers[8], lines = 0;
	yyjson_doc *doc;

	(void)state;
	for (int i = 0; i < 8; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, writer, &numbers[i]), 0);
	}
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	while ((doc = next_line()) != NULL) {
		lines++;
		yyjson_doc_free(doc);
	}
	assert_int_equal(lines, 160);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_event_is_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(quieter_levels_are_not_written, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(long_events_are_cut_not_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(no_more_than_so_many_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_do_not_mix_their_lines, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
