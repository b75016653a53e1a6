// SPDX-License-Identifier: GPL-3.0-or-later
// For the tests of HTTP/1.1: a message parsed however its bytes are cut, and the second reader's opinion.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/detect.h"
#include "support/http1_reference.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define NONE	    UINT64_MAX
#define HOST	    "Host: a\r\n"
#define POST	    "POST / HTTP/1.1\r\n" HOST

static struct http1_message message;

static inline void start(struct http1 *p, bool response, bool to_head)
{
	if (response)
		http1_init_response(p, to_head);
	else
		http1_init_request(p);
}

// As a connection brings it: cut bytes first, then all. Finding a head must not depend on it.
static inline enum err find_in_two(struct slice in, size_t cut, size_t *head_bytes)
{
	size_t scanned = 0;
	enum err err = http1_find_head(slice_make(in.ptr, cut), &scanned, head_bytes);

	return err == ERR_AGAIN ? http1_find_head(in, &scanned, head_bytes) : err;
}

static inline enum err parse(struct slice in, size_t cut, bool response, struct http1 *p,
			     size_t *head_bytes)
{
	enum err err = find_in_two(in, cut, head_bytes);

	start(p, response, false);
	return err == ERR_OK ? http1_head(p, slice_make(in.ptr, *head_bytes), &message) : err;
}

static inline void assert_slice(struct slice got, const char *expected, const char *text)
{
	if (!slice_eq_str(got, expected ? expected : ""))
		fail_msg("'%.*s' instead of '%s' in %s", SLICE_ARG(got), expected, text);
}
