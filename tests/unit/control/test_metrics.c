// SPDX-License-Identifier: GPL-3.0-or-later
// control/metrics: the text format to the letter (promtool has its say in tests/netns/80), every number from
// where its name says, and sums over workers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "control/metrics.h"
#include "path/end_reason.h"

static struct buf out;
static struct metrics_sample samples[2];
static struct loader_status loader;

static int setup(void **state)
{
	(void)state;
	memset(samples, 0, sizeof(samples));
	memset(&loader, 0, sizeof(loader));
	buf_init_growing(&out, 1u << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_deinit(&out);
	return 0;
}

static void write_all(uint32_t workers, bool verified)
{
	buf_reset(&out);
	metrics_write(&out, samples, workers, &loader, verified);
	buf_put_u8(&out, 0);
	assert_int_equal(out.err, ERR_OK);
}

// The value behind a name with its labels, as text.
static const char *value(const char *series)
{
	static char text[64];
	char wanted[128];
	const char *at;

	snprintf(wanted, sizeof(wanted), "\n%s ", series);
	at = strstr((const char *)out.ptr, wanted);
	if (!at)
		return "(none)";
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(at + strlen(wanted), "\n"),
		 at + strlen(wanted));
	return text;
}

// The name of a series without what a histogram adds to its own.
static size_t base_len(const char *line, bool histogram)
{
	static const char *const parts[] = {"_bucket", "_sum", "_count"};
	size_t len = strcspn(line, "{ ");

	for (size_t i = 0; histogram && i < sizeof(parts) / sizeof(parts[0]); i++) {
		size_t n = strlen(parts[i]);

		if (len > n && strncmp(line + len - n, parts[i], n) == 0)
			return len - n;
	}
	return len;
}

static void check_kind(const char *name, const char *kind)
{
	bool total = strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;

	assert_int_equal(strcmp(kind, "counter") == 0, total);
	assert_true(total || strcmp(kind, "gauge") == 0 || strcmp(kind, "histogram") == 0);
}

static void every_series_has_its_head(void **state)
{
	char type[128] = "", help[128] = "", kind[16] = "", *line, *rest;
	uint32_t series = 0;

	(void)state;
	write_all(2, true);
	rest = (char *)out.ptr;
	assert_int_equal(out.ptr[out.len - 2], '\n'); // the last line is ended too
	while ((line = strsep(&rest, "\n")) != NULL && *line) {
		char name[128];

		if (sscanf(line, "# HELP %127s", name) == 1) {
			assert_string_not_equal(name, help); // one head a name
			strcpy(help, name);
			assert_int_equal(line[strlen(line) - 1], '.'); // a sentence
			continue;
		}
		if (sscanf(line, "# TYPE %127s %15s", name, kind) == 2) {
			assert_string_equal(name, help);
			strcpy(type, name);
			check_kind(name, kind);
			continue;
		}
		size_t len = base_len(line, strcmp(kind, "histogram") == 0);

		assert_int_equal(strncmp(line, type, len), 0);
		assert_int_equal(strlen(type), len);
		assert_int_equal(strspn(line, "abcdefghijklmnopqrstuvwxyz_"), strcspn(line, "{ "));
		assert_true(strncmp(line, "portcullis_", 11) == 0 ||
			    strncmp(line, "process_", 8) == 0);
		series++;
	}
	assert_true(series > 60);
}

static void numbers_are_sums_over_workers(void **state)
{
	(void)state;
	samples[0].counters.exchanges = 5;
	samples[1].counters.exchanges = 7;
	samples[0].counters.requests = UINT64_MAX;
	samples[1].ring.recvs = 3;
	samples[0].log_dropped = 1;
	samples[1].log_dropped = 1;
	samples[0].counters.ended[END_DENIED] = 2;
	samples[1].counters.ended[END_DENIED] = 3;
	samples[1].counters.responses[4] = 9;
	samples[0].counters.turn_ns_max = 1500000;
	samples[1].counters.turn_ns_max = 2500000;
	write_all(2, true);
	assert_string_equal(value("portcullis_exchanges_total"), "12");
	assert_string_equal(value("portcullis_requests_total"), "18446744073709551615");
	assert_string_equal(value("portcullis_receives_total"), "3");
	assert_string_equal(value("portcullis_log_lines_dropped_total"), "2");
	assert_string_equal(value("portcullis_exchanges_ended_total{reason=\"denied\"}"), "5");
	assert_string_equal(value("portcullis_exchanges_ended_total{reason=\"closed\"}"), "0");
	assert_string_equal(value("portcullis_responses_total{class=\"4xx\"}"), "9");
	assert_string_equal(value("portcullis_turn_max_seconds"),
			    "0.002500"); // the longest, no sum
	write_all(1, true);
	assert_string_equal(value("portcullis_exchanges_total"), "5");
}

static void every_reason_has_a_series(void **state)
{
	(void)state;
	for (int r = 0; r < END_COUNT; r++)
		samples[0].counters.ended[r] = (uint64_t)r + 100;
	write_all(1, true);
	for (int r = 0; r < END_COUNT; r++) {
		char series[128], expected[16];

		snprintf(series, sizeof(series), "portcullis_exchanges_ended_total{reason=\"%s\"}",
			 end_reason_name((enum end_reason)r));
		snprintf(expected, sizeof(expected), "%d", r + 100);
		assert_string_equal(value(series), expected);
	}
}

static void the_loaders_and_the_process(void **state)
{
	(void)state;
	loader.connected = true;
	loader.adopted.counter = 42;
	loader.snapshots_refused = 3;
	loader.certs.not_after_unix_s = 1764000000;
	loader.certs.late = 2;
	loader.certs.refused = 3;
	write_all(0, false);
	assert_string_equal(value("portcullis_sync_connected"), "1");
	assert_string_equal(value("portcullis_snapshot_generation"), "42");
	assert_string_equal(value("portcullis_snapshots_refused_total"), "3");
	assert_string_equal(value("portcullis_certificate_not_after_seconds"), "1764000000");
	assert_string_equal(value("portcullis_certificate_renewal_failures_total"), "5");
	assert_string_equal(value("portcullis_rules_verified"), "0");
	assert_string_equal(value("portcullis_build_info{version=\"" PORTCULLIS_VERSION "\"}"),
			    "1");
	assert_true(atoll(value("process_resident_memory_bytes")) > 1 << 20);
	write_all(0, true);
	assert_string_equal(value("portcullis_rules_verified"), "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_series_has_its_head, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_are_sums_over_workers, setup, teardown),
		cmocka_unit_test_setup_teardown(every_reason_has_a_series, setup, teardown),
		cmocka_unit_test_setup_teardown(the_loaders_and_the_process, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
