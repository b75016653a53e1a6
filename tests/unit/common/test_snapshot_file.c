// SPDX-License-Identifier: GPL-3.0-or-later
// common/file and common/snapshot_file: what is written comes back whole, and anything less is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/snapshot_file.h"

struct test {
	char dir[64];
};

static int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	snprintf(t->dir, sizeof(t->dir), "/tmp/portcullis-file-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;
	char line[128];

	snprintf(line, sizeof(line), "rm -r %s", t->dir);
	assert_int_equal(system(line), 0);
	free(t);
	return 0;
}

static char *in(const struct test *t, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", t->dir, name);
	return path;
}

static void files_are_replaced_whole(void **state)
{
	struct test *t = *state;
	struct stat st;
	char path[128], line[160];
	struct buf b;

	buf_init_growing(&b, 4096);
	assert_int_equal(file_read(in(t, "x", path), 100, &b), ERR_NOT_FOUND);
	umask(0);
	assert_int_equal(file_write(path, 0600, SLICE_LIT("first, and longer")), ERR_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600); // whatever the umask is
	assert_int_equal(file_write(path, 0644, SLICE_LIT("second")), ERR_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(file_read(path, 6, &b), ERR_OK);
	assert_true(slice_eq_str(buf_slice(&b), "second"));
	buf_reset(&b);
	assert_int_equal(file_read(path, 5, &b), ERR_TOO_LARGE);
	umask(022);
	// Nothing is left beside it, nor where it cannot be written.
	assert_int_equal(file_write(in(t, "none/x", path), 0600, SLICE_LIT("a")), ERR_IO);
	assert_int_equal(errno, ENOENT);
	snprintf(line, sizeof(line), "test \"$(ls %s)\" = x", t->dir);
	assert_int_equal(system(line), 0);
	buf_deinit(&b);
}

static void only_regular_files_are_read(void **state)
{
	struct test *t = *state;
	char path[128];
	struct buf b;

	buf_init_growing(&b, 4096);
	assert_int_equal(mkfifo(in(t, "fifo", path), 0600), 0);
	assert_int_equal(file_read(path, 100, &b), ERR_UNSUPPORTED); // and does not wait
	assert_int_equal(file_read(t->dir, 100, &b), ERR_UNSUPPORTED);
	buf_deinit(&b);
}

static void private_directories_are_private(void **state)
{
	struct test *t = *state;
	char path[128], other[128];

	assert_int_equal(file_make_private_directory(in(t, "d", path)), ERR_OK);
	assert_int_equal(file_make_private_directory(path), ERR_OK);
	assert_int_equal(chmod(path, 0750), 0);
	assert_int_equal(file_make_private_directory(path), ERR_DENIED);
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(symlink(path, in(t, "link", other)), 0);
	assert_int_equal(file_make_private_directory(other), ERR_DENIED);
	assert_int_equal(file_write(in(t, "file", path), 0600, SLICE_LIT("")), ERR_OK);
	assert_int_equal(file_make_private_directory(path), ERR_DENIED);
}

static void make(struct buf *out, uint32_t schema)
{
	struct section_ref refs[2] = {
		{.name = {.kind = SECTION_META}, .bytes = 5},
		{.name = {.kind = SECTION_WORKLOADS, .shard = 0xfe}, .bytes = 3},
	};
	struct slice sections[2] = {SLICE_LIT("hello"), SLICE_LIT("abc")};
	struct snapshot_file f = {.schema = schema,
				  .generation = {7, 1ull << 40},
				  .count = 2,
				  .refs = refs,
				  .sections = sections};

	memset(refs[1].sha256, 0xab, 32);
	buf_init_growing(out, 4096);
	snapshot_file_encode(out, &f);
	assert_int_equal(out->err, ERR_OK);
}

static void snapshots_come_back(void **state)
{
	struct snapshot_file f;
	struct reason why = {0};
	struct arena a;
	struct buf b;

	(void)state;
	arena_init(&a, 1 << 20);
	make(&b, SNAPSHOT_SCHEMA_VERSION);
	assert_int_equal(snapshot_file_decode(buf_slice(&b), &a, &f, &why), ERR_OK);
	assert_int_equal(f.generation.epoch, 7);
	assert_int_equal(f.generation.counter, 1ull << 40);
	assert_int_equal(f.count, 2);
	assert_int_equal(f.refs[1].name.kind, SECTION_WORKLOADS);
	assert_int_equal(f.refs[1].name.shard, 0xfe);
	assert_int_equal(f.refs[1].sha256[31], 0xab);
	assert_true(slice_eq_str(f.sections[0], "hello"));
	assert_true(slice_eq_str(f.sections[1], "abc"));
	arena_deinit(&a);
	buf_deinit(&b);
}

static void every_truncation_and_every_flip_is_seen(void **state)
{
	struct snapshot_file f;
	struct reason why;
	struct arena a;
	struct buf b;

	(void)state;
	arena_init(&a, 1 << 20);
	make(&b, SNAPSHOT_SCHEMA_VERSION);
	for (size_t len = 0; len < b.len; len++) {
		arena_reset(&a);
		why.text[0] = 0;
		assert_int_equal(snapshot_file_decode(slice_make(b.ptr, len), &a, &f, &why),
				 ERR_MALFORMED);
		assert_int_not_equal(why.text[0], 0);
	}
	// The sections' own bytes (the last 8) are their digests' to judge.
	for (size_t i = 0; i < b.len - 8; i++) {
		for (int bit = 0; bit < 8; bit++) {
			arena_reset(&a);
			b.ptr[i] ^= (uint8_t)(1 << bit);
			assert_int_not_equal(snapshot_file_decode(buf_slice(&b), &a, &f, &why),
					     ERR_OK);
			b.ptr[i] ^= (uint8_t)(1 << bit);
		}
	}
	buf_put_u8(&b, 0);
	arena_reset(&a);
	assert_int_equal(snapshot_file_decode(buf_slice(&b), &a, &f, &why), ERR_MALFORMED);
	arena_deinit(&a);
	buf_deinit(&b);
}

static void other_schemas_are_named(void **state)
{
	struct snapshot_file f;
	struct reason why = {0};
	struct arena a;
	struct buf b;

	(void)state;
	arena_init(&a, 1 << 20);
	make(&b, SNAPSHOT_SCHEMA_VERSION + 1);
	assert_int_equal(snapshot_file_decode(buf_slice(&b), &a, &f, &why), ERR_VERSION);
	assert_string_equal(why.text, "snapshot schema 3, we read 1 to 2");
	arena_deinit(&a);
	buf_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_are_replaced_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(only_regular_files_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(private_directories_are_private, setup, teardown),
		cmocka_unit_test(snapshots_come_back),
		cmocka_unit_test(every_truncation_and_every_flip_is_seen),
		cmocka_unit_test(other_schemas_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
