// SPDX-License-Identifier: GPL-3.0-or-later
// publish/meshed: who has acknowledged capture stays so over a restart, and until it is taken back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "common/file.h"
#include "publish/meshed.h"

static char path[64];

static struct meshed *reopen(struct meshed *m)
{
	struct reason why = {0};

	meshed_free(m);
	m = NULL;
	if (meshed_open(path, &m, &why) != ERR_OK)
		fail_msg("%s", why.text);
	return m;
}

static bool set(struct meshed *m, const char *node, bool on)
{
	bool changed;

	assert_int_equal(meshed_set(m, slice_str(node), on, &changed), ERR_OK);
	return changed;
}

static void it_stays_until_it_is_taken_back(void **state)
{
	struct meshed *m = reopen(NULL);

	(void)state;
	assert_true(set(m, "n2", true));
	assert_true(set(m, "n1", true));
	assert_false(set(m, "n1", true));
	assert_false(set(m, "n3", false));
	assert_int_equal(meshed_save(m), ERR_OK);
	m = reopen(m);
	assert_true(meshed_has(m, SLICE_LIT("n1")) && meshed_has(m, SLICE_LIT("n2")));
	assert_false(meshed_has(m, SLICE_LIT("n3")));
	assert_true(set(m, "n1", false));
	assert_int_equal(meshed_save(m), ERR_OK);
	m = reopen(m);
	assert_false(meshed_has(m, SLICE_LIT("n1")));
	assert_true(meshed_has(m, SLICE_LIT("n2")));
	meshed_free(m);
}

static bool nobody(void *context, struct slice node)
{
	(void)context;
	(void)node;
	return false;
}

static void a_node_that_is_gone_is_forgotten(void **state)
{
	struct meshed *m = reopen(NULL);

	(void)state;
	(void)set(m, "n7", true);
	meshed_filter(m, nobody, NULL);
	assert_int_equal(meshed_save(m), ERR_OK);
	m = reopen(m);
	assert_false(meshed_has(m, SLICE_LIT("n7")));
	meshed_free(m);
}

static void what_is_no_name_is_an_error(void **state)
{
	static const char *const texts[] = {"n1", "n1\n\n", "n1 x\n", "../n1\n"};
	struct reason why;
	struct meshed *m;
	bool changed;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(file_write(path, 0600, slice_str(texts[i])), ERR_OK);
		why = (struct reason){0};
		assert_int_not_equal(meshed_open(path, &m, &why), ERR_OK);
		assert_non_null(strstr(why.text, "line"));
	}
	unlink(path);
	m = reopen(NULL);
	assert_int_equal(meshed_set(m, SLICE_LIT("n 1"), true, &changed), ERR_MALFORMED);
	meshed_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_stays_until_it_is_taken_back),
		cmocka_unit_test(a_node_that_is_gone_is_forgotten),
		cmocka_unit_test(what_is_no_name_is_an_error),
	};

	snprintf(path, sizeof(path), "/tmp/test-meshed-%d", (int)getpid());
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	unlink(path);
	return failed;
}
