// SPDX-License-Identifier: GPL-3.0-or-later
// iptables/state: what is remembered comes back whole, what is damaged is refused and not half believed,
// and only one process at a time may write.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "iptables/state.h"

static char directory[] = "/tmp/portcullis-state-XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	static const char *const names[] = {"rules.state", "rules.json", "rules.lock"};
	char path[128];

	(void)state;
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	return rmdir(directory);
}

static void write_state(const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/rules.state", directory);
	assert_int_equal(file_write(path, 0600, slice_str(text)), ERR_OK);
}

static void test_comes_back_whole(void **state)
{
	struct state before = {.backend = BACKEND_LEGACY,
			       .found_known = true,
			       .routing = {0x500000, 0xf00000, 15001, 50},
			       .binding = {7, UINT64_MAX}};
	struct state after;

	(void)state;
	before.found.tables[FAMILY_V4][TABLE_RAW] = (struct nft_presence){true, 0x1f};
	before.found.tables[FAMILY_V6][TABLE_NAT] = (struct nft_presence){true, 0};
	before.rendered[FAMILY_V6][TABLE_MANGLE] = UINT64_MAX;
	before.kernel[FAMILY_V4][TABLE_FILTER] = 1;
	assert_int_equal(state_save(directory, &before), ERR_OK);
	assert_int_equal(state_load(directory, &after), ERR_OK);
	assert_memory_equal(&before.found, &after.found, sizeof(before.found));
	assert_memory_equal(before.rendered, after.rendered, sizeof(before.rendered));
	assert_memory_equal(before.kernel, after.kernel, sizeof(before.kernel));
	assert_memory_equal(before.binding, after.binding, sizeof(before.binding));
	assert_memory_equal(&before.routing, &after.routing, sizeof(before.routing));
	assert_int_equal(after.backend, BACKEND_LEGACY);
	assert_true(after.found_known);
	assert_int_equal(state_forget(directory), ERR_OK);
	assert_int_equal(state_load(directory, &after), ERR_NOT_FOUND);
	assert_false(after.found_known);
	assert_int_equal(state_forget(directory), ERR_OK);
}

static void refuses(const char *text, enum err wanted)
{
	struct state s;

	write_state(text);
	assert_int_equal(state_load(directory, &s), wanted);
	assert_false(s.found_known);
}

static void test_refuses_damage(void **state)
{
	(void)state;
	refuses("", ERR_MALFORMED);
	refuses("something else\n", ERR_MALFORMED);
	refuses("portcullis-rules state 2\nfound\n", ERR_VERSION);
	refuses("portcullis-rules state 1\nfound\nfound ipv4 raw 1f\nfound ipv5 raw 1f\n",
		ERR_MALFORMED);
	refuses("portcullis-rules state 1\nfound\nput ipv4 raw 1\n", ERR_MALFORMED);
	refuses("portcullis-rules state 1\nfound\nput ipv4 table-of-a-long-name 1 1\n",
		ERR_MALFORMED);
}

static void test_lock(void **state)
{
	int fd, holder, status;

	(void)state;
	assert_int_equal(state_lock(directory, &fd, &holder), ERR_OK);
	pid_t pid = fork();

	if (pid == 0) {
		int other;

		_exit(state_lock(directory, &other, &holder) == ERR_EXISTS && holder == getppid()
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
	assert_int_equal(state_lock(directory, &fd, &holder), ERR_OK);
	close(fd);
}

static void test_report(void **state)
{
	struct buf text;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/rules.json", directory);
	buf_init_growing(&text, 4096);
	assert_int_equal(state_report(directory, BACKEND_NFT, "a \"quoted\"\nerror"), ERR_OK);
	assert_int_equal(file_read(path, 4095, &text), ERR_OK);
	buf_put_u8(&text, 0);
	assert_non_null(strstr((char *)text.ptr, "{\"verified\":false,\"at_unix_ms\":1"));
	assert_non_null(strstr((char *)text.ptr,
			       "\"backend\":\"nft\",\"error\":\"a \\\"quoted\\\"\\u000a"));
	buf_deinit(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_back_whole),
		cmocka_unit_test(test_refuses_damage),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_report),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
