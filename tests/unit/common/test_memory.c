// SPDX-License-Identifier: GPL-3.0-or-later
// common/memory: what a large generation took is the system's again once a small one has followed, also where it
// was many small blocks with something that lives on between them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/memory.h"

#define BLOCKS	    20000
#define BLOCK_BYTES 4096
#define KEPT_EVERY  100

#if defined(__SANITIZE_ADDRESS__)
#define OTHER_HEAP 1 // the sanitizer's, which keeps what is freed on purpose
#else
#define OTHER_HEAP 0
#endif

static size_t resident_bytes(void)
{
	unsigned long all = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &all, &resident), 2);
	fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void small_blocks_go_back(void **state)
{
	struct memory_mark mark = {0};
	void **blocks = calloc(BLOCKS, sizeof(*blocks));
	size_t full, left;

	(void)state;
	memory_init();
	assert_non_null(blocks);
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(BLOCK_BYTES);
		assert_non_null(blocks[i]);
		memset(blocks[i], i, BLOCK_BYTES);
	}
	memory_settle(&mark, (size_t)BLOCKS * BLOCK_BYTES);
	full = resident_bytes();
	for (int i = 0; i < BLOCKS; i++) {
		if (i % KEPT_EVERY == 0)
			continue;
		free(blocks[i]);
		blocks[i] = NULL;
	}
	memory_settle(&mark, 1);
	left = resident_bytes();
	if (!OTHER_HEAP)
		assert_true(left + (size_t)BLOCKS * BLOCK_BYTES / 10 * 9 < full);
	for (int i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	free(blocks);
}

// A small change gives nothing back, many small ones do.
static void shrinking_is_noticed_however_slow(void **state)
{
	struct memory_mark mark = {0};

	(void)state;
	memory_settle(&mark, 100);
	memory_settle(&mark, 80);
	assert_int_equal(mark.bytes_most, 100);
	memory_settle(&mark, 60);
	assert_int_equal(mark.bytes_most, 100);
	memory_settle(&mark, 45);
	assert_int_equal(mark.bytes_most, 45);
	memory_settle(&mark, 200);
	assert_int_equal(mark.bytes_most, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_blocks_go_back),
		cmocka_unit_test(shrinking_is_noticed_however_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
