// SPDX-License-Identifier: GPL-3.0-or-later
// common/capabilities: what is not kept is gone for the thread and all that it starts, for good. In children,
// as nobody gets them back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "common/capabilities.h"

static uint64_t wanted;

static int in_child(int (*body)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(body());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void *thread_effective(void *out)
{
	*(uint64_t *)out = capabilities_effective();
	return NULL;
}

static int keep_raw(void)
{
	struct reason why;
	uint64_t inherited = UINT64_MAX;
	pthread_t thread;

	if (capabilities_keep(wanted, &why) != ERR_OK || capabilities_effective() != wanted)
		return 1;
	// A thread started afterwards has no more.
	if (pthread_create(&thread, NULL, thread_effective, &inherited) != 0)
		return 2;
	pthread_join(thread, NULL);
	if (inherited != wanted)
		return 3;
	// Nor can it be had back, by asking for more or through an exec.
	if (capabilities_keep(UINT64_MAX, &why) != ERR_OK || capabilities_effective() != wanted)
		return 4;
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		bool bounded = prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1;

		if (bounded && !(wanted & CAPABILITY(cap)))
			return 5;
	}
	return 0;
}

static void the_rest_is_gone(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); // there is nothing to drop
	wanted = CAPABILITY(CAP_NET_RAW);
	assert_int_equal(in_child(keep_raw), 0);
	wanted = CAPABILITY(CAP_NET_RAW) | CAPABILITY(CAP_BPF); // one of either word
	assert_int_equal(in_child(keep_raw), 0);
	wanted = 0;
	assert_int_equal(in_child(keep_raw), 0);
}

static bool only_raw(void)
{
	return capabilities_effective() == CAPABILITY(CAP_NET_RAW);
}

static bool never(void)
{
	return false;
}

static int try_them(void)
{
	uint64_t before = capabilities_effective();
	struct reason why;

	if (capabilities_try(CAPABILITY(CAP_NET_RAW), only_raw, &why) != ERR_OK)
		return 1;
	if (capabilities_effective() != before)
		return 2;
	if (capabilities_try(CAPABILITY(CAP_NET_RAW), never, &why) != ERR_UNSUPPORTED)
		return 3;
	return capabilities_effective() == before ? 0 : 4;
}

static void trying_takes_nothing_for_good(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(try_them), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rest_is_gone),
		cmocka_unit_test(trying_takes_nothing_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
