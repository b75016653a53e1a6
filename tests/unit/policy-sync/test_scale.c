// SPDX-License-Identifier: GPL-3.0-or-later
// Four times the objects cost less than eight times the CPU: reading, compiling, decoding and linking.
// CPU time, the best of some tries, so that a loaded machine does not count; the bound that is absolute
// is for what no machine excuses.
#include <stdio.h>
#include <time.h>
#include "policy-sync/texts.h"
#include "support/scale_world.h"

#define SMALL	   400
#define GROWTH	   4
#define GROWTH_MAX 8
#define TRIES	   3
#define MOST_S	   20.0 // of everything, with sanitizers

enum part { PART_READ = 0, PART_COMPILE, PART_DECODE, PART_LINK, PART_COUNT };

static const char *const part_names[PART_COUNT] = {"read", "compile", "decode", "link"};

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void decode_and_link(struct texts *t, double spent[PART_COUNT])
{
	struct snapshot_section *sections[SNAPSHOT_SECTIONS_MAX] = {0};
	struct reason why = {0};
	double at = cpu_s();

	for (uint32_t i = 0; i < t->compiled->count; i++) {
		struct section_ref ref = {.name = t->compiled->sections[i].name,
					  .bytes = (uint32_t)t->compiled->sections[i].bytes.len};

		if (snapshot_section_new(ref, t->compiled->sections[i].bytes, &sections[i], &why))
			fail_msg("%s", why.text);
	}
	spent[PART_DECODE] = cpu_s() - at;
	at = cpu_s();
	if (snapshot_new((struct generation){1, 1}, sections, t->compiled->count, SLICE_LIT("n1"),
			 &t->snapshot, &why))
		fail_msg("%s", why.text);
	spent[PART_LINK] = cpu_s() - at;
	for (uint32_t i = 0; i < t->compiled->count; i++)
		snapshot_section_unref(sections[i]);
}

static void spend(const struct scale *s, double spent[PART_COUNT])
{
	struct texts t;
	struct buf text;
	double at;

	buf_init_growing(&text, 64u << 20);
	scale_write(&text, s);
	assert_int_equal(text.err, ERR_OK);
	texts_open(&t);
	at = cpu_s();
	load_text(t.model, "scale.yaml", buf_slice(&text), &t.findings);
	spent[PART_READ] = cpu_s() - at;
	at = cpu_s();
	assert_int_equal(compile_model(t.model, &t.findings, &t.compiled), ERR_OK);
	spent[PART_COMPILE] = cpu_s() - at;
	if (t.findings.errors > 0)
		(void)texts_found(&t, 0, 0, "", "");
	assert_int_equal(t.findings.errors, 0);
	decode_and_link(&t, spent);
	assert_int_equal(snapshot_workload_count(t.snapshot), s->pods);
	assert_int_equal(snapshot_service_count(t.snapshot), s->pods / 10);
	texts_close(&t);
	buf_deinit(&text);
}

static void best(const struct scale *s, double spent[PART_COUNT])
{
	for (int i = 0; i < TRIES; i++) {
		double now[PART_COUNT];

		spend(s, now);
		for (int p = 0; p < PART_COUNT; p++)
			spent[p] = i == 0 || now[p] < spent[p] ? now[p] : spent[p];
	}
}

static void grow(uint32_t small_per_namespace, uint32_t large_per_namespace)
{
	struct scale small = {SMALL, small_per_namespace};
	struct scale large = {SMALL * GROWTH, large_per_namespace};
	double a[PART_COUNT], b[PART_COUNT], sum = 0;

	best(&small, a);
	best(&large, b);
	for (int p = 0; p < PART_COUNT; p++) {
		print_message("%-8s %6.1f ms for %u pods, %6.1f ms for %u\n", part_names[p],
			      a[p] * 1e3, small.pods, b[p] * 1e3, large.pods);
		// Below that, clocks and caches speak.
		if (b[p] > GROWTH_MAX * a[p] && b[p] > 2e-3)
			fail_msg("%s grows too fast", part_names[p]);
		sum += b[p];
	}
	assert_true(sum < MOST_S);
}

// A cluster grows by namespaces ...
static void more_namespaces(void **state)
{
	(void)state;
	grow(100, 100);
}

// ... or one namespace grows.
static void one_namespace(void **state)
{
	(void)state;
	grow(SMALL, SMALL * GROWTH);
}

// For bench/scale: one size, one line of milliseconds.
static int print_one(uint32_t pods)
{
	struct scale s = {pods, 100};
	double spent[PART_COUNT];

	best(&s, spent);
	printf("%u", pods);
	for (int p = 0; p < PART_COUNT; p++)
		printf(" %.1f", spent[p] * 1e3);
	printf("\n");
	return 0;
}

int main(void)
{
	const char *pods = getenv("SCALE_PODS");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_namespaces),
		cmocka_unit_test(one_namespace),
	};

	if (pods)
		return print_one((uint32_t)strtoul(pods, NULL, 10));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
