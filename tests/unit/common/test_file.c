// SPDX-License-Identifier: GPL-3.0-or-later
// common/file at its edges: sizes round the read step, links, what a crash left behind, names that are too
// long. What it promises of every file is in test_snapshot_file.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "common/file.h"

static char directory[64];

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/portcullis-edges-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	char line[128];

	(void)state;
	snprintf(line, sizeof(line), "rm -r %s", directory);
	return system(line);
}

static char *in(const char *name)
{
	static char paths[4][512];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static void sizes_round_the_step(void **state)
{
	static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, 200000};
	static uint8_t content[200000];
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * 31);
	buf_init_growing(&b, sizeof(content));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(file_write(in("f"), 0600, slice_make(content, sizes[i])), ERR_OK);
		buf_reset(&b);
		assert_int_equal(file_read(in("f"), sizes[i], &b), ERR_OK);
		assert_true(slice_eq(buf_slice(&b), slice_make(content, sizes[i])));
		buf_reset(&b);
		if (sizes[i] > 0)
			assert_int_equal(file_read(in("f"), sizes[i] - 1, &b), ERR_TOO_LARGE);
	}
	buf_deinit(&b);
}

static void reading_appends_within_the_buffer(void **state)
{
	struct buf b;

	(void)state;
	assert_int_equal(file_write(in("f"), 0600, SLICE_LIT("world")), ERR_OK);
	buf_init_growing(&b, 11);
	buf_put_str(&b, "hello ");
	assert_int_equal(file_read(in("f"), 100, &b), ERR_OK);
	assert_true(slice_eq_str(buf_slice(&b), "hello world"));
	assert_int_equal(file_read(in("f"), 100, &b), ERR_TOO_LARGE); // the buffer's own bound
	buf_deinit(&b);
}

static void a_link_is_replaced_not_followed(void **state)
{
	struct stat st;
	struct buf b;

	(void)state;
	buf_init_growing(&b, 100);
	assert_int_equal(file_write(in("target"), 0600, SLICE_LIT("old")), ERR_OK);
	assert_int_equal(symlink(in("target"), in("link")), 0);
	assert_int_equal(file_write(in("link"), 0600, SLICE_LIT("new")), ERR_OK);
	assert_int_equal(lstat(in("link"), &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(file_read(in("target"), 100, &b), ERR_OK);
	assert_true(slice_eq_str(buf_slice(&b), "old"));
	buf_deinit(&b);
}

// Beside the file lies what a process with our number left, or somebody put there.
static void what_lies_beside_is_not_written_through(void **state)
{
	char name[64];
	struct buf b;

	(void)state;
	buf_init_growing(&b, 100);
	snprintf(name, sizeof(name), "f.%d.new", (int)getpid());
	assert_int_equal(file_write(in("victim"), 0600, SLICE_LIT("kept")), ERR_OK);
	assert_int_equal(symlink(in("victim"), in(name)), 0);
	assert_int_equal(file_write(in("f"), 0600, SLICE_LIT("content")), ERR_OK);
	assert_int_equal(file_read(in("victim"), 100, &b), ERR_OK);
	assert_true(slice_eq_str(buf_slice(&b), "kept"));
	assert_int_equal(access(in(name), F_OK), -1);
	// A directory in its place cannot be taken away: said, with nothing changed.
	assert_int_equal(mkdir(in(name), 0700), 0);
	assert_int_equal(file_write(in("f"), 0600, SLICE_LIT("other")), ERR_IO);
	buf_reset(&b);
	assert_int_equal(file_read(in("f"), 100, &b), ERR_OK);
	assert_true(slice_eq_str(buf_slice(&b), "content"));
	buf_deinit(&b);
}

static void failures_leave_errno_and_nothing_else(void **state)
{
	char path[PATH_MAX + 8];
	struct buf b;

	(void)state;
	buf_init_growing(&b, 100);
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = 0;
	assert_int_equal(file_write(path, 0600, SLICE_LIT("x")), ERR_IO);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(file_read(path, 100, &b), ERR_IO);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(file_write(in("file"), 0600, SLICE_LIT("x")), ERR_OK);
	assert_int_equal(file_read(in("file/below"), 100, &b), ERR_NOT_FOUND);
	assert_int_equal(mkdir(in("d"), 0700), 0);
	assert_int_equal(file_write(in("d"), 0600, SLICE_LIT("x")), ERR_IO); // a directory stays
	assert_int_equal(errno, EISDIR);
	assert_int_equal(file_make_private_directory(in("none/d")), ERR_IO);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(rmdir(in("d")), 0);
	buf_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sizes_round_the_step, setup, teardown),
		cmocka_unit_test_setup_teardown(reading_appends_within_the_buffer, setup, teardown),
		cmocka_unit_test_setup_teardown(a_link_is_replaced_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(what_lies_beside_is_not_written_through, setup,
						teardown),
		cmocka_unit_test_setup_teardown(failures_leave_errno_and_nothing_else, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
