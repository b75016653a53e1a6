// SPDX-License-Identifier: GPL-3.0-or-later
// Which fields decide about a request: those of enforced rules, limits and providers, in every spelling.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <assert.h>
#include <cmocka.h>
#include "decide/decide_fields.h"
#include "support/decide_world.h"

static bool reads(const struct world *w, const char *name)
{
	return decide_reads_field(w->snapshot, w->subject.policy, http1_name(slice_str(name)));
}

static void test_fields(void **state)
{
	struct world *w = *state;
	struct ss_header_match role = {.name = SLICE_LIT("x-role")};
	struct ss_header_match watched = {.name = SLICE_LIT("x-watched")};
	struct ss_header_match plan = {.name = SLICE_LIT("x-plan")};
	struct ss_header_match trial = {.name = SLICE_LIT("x-trial")};
	struct ss_header_source token = {SLICE_LIT("x-token"), {0}};

	w->rules[0] = (struct ss_rule){.name = SLICE_LIT("a"), .headers = &role, .header_count = 1};
	w->rules[1] = (struct ss_rule){
		.name = SLICE_LIT("b"), .mode = MODE_AUDIT, .headers = &watched, .header_count = 1};
	w->policy.rule_count = 2;
	w->limits[0] = (struct ss_limit){.id = SLICE_LIT("l"),
					 .requests = 1,
					 .unit_s = 1,
					 .headers = &plan,
					 .header_count = 1};
	w->limits[1] = (struct ss_limit){.id = SLICE_LIT("m"),
					 .requests = 1,
					 .unit_s = 1,
					 .shadow = true,
					 .headers = &trial,
					 .header_count = 1};
	w->limit_ids[0] = w->limits[0].id;
	w->limit_ids[1] = w->limits[1].id;
	w->policy.limit_count = 2;
	world_provider(w, 0, "p", "https://a");
	w->providers[0].headers = &token;
	w->providers[0].header_count = 1;
	world_link(w);
	assert_true(reads(w, "x-role") && reads(w, "X-Role") && reads(w, "x_ROLE"));
	assert_true(reads(w, "X-Plan") && reads(w, "X-Token"));
	assert_false(reads(w, "x-watched") || reads(w, "x-trial"));
	assert_false(reads(w, "x-rol") || reads(w, "x-roles") || reads(w, "") ||
		     reads(w, "x-rola"));
	assert_false(decide_reads_field(w->snapshot, NULL, http1_name(SLICE_LIT("x-role"))));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fields, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
