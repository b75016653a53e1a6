// SPDX-License-Identifier: GPL-3.0-or-later
// core/http1 and core/detect: any bytes as a request and as a response, whole and in two parts. A
// message that is accepted frames the same way however its body is cut.
#include <stdlib.h>
#include "core/detect.h"
#include "core/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t frame(struct http1 *p, struct slice in, size_t cut, bool *complete)
{
	size_t total = 0, used;

	for (int part = 0; part < 2; part++) {
		struct slice s = part == 0 ? slice_make(in.ptr, cut)
					   : slice_make(in.ptr + total, in.len - total);

		if (part == 1 && total < cut)
			break;
		if (http1_body(p, s, &used, complete) != ERR_OK)
			return SIZE_MAX;
		if (used > s.len)
			abort();
		total += used;
	}
	return total;
}

static void message(struct slice in, bool response)
{
	static struct http1_message m;
	struct http1 a, b;
	size_t scanned = 0, head;
	bool whole, parts;

	if (http1_find_head(in, &scanned, &head) != ERR_OK)
		return;
	if (head > in.len)
		abort();
	response ? http1_init_response(&a, false) : http1_init_request(&a);
	response ? http1_init_response(&b, false) : http1_init_request(&b);
	if (http1_head(&a, slice_make(in.ptr, head), &m) != ERR_OK)
		return;
	for (uint32_t i = 0; i < m.header_count; i++) {
		if (m.headers[i].name.ptr < in.ptr ||
		    m.headers[i].name.ptr + m.headers[i].name.len > in.ptr + head)
			abort();
	}
	if (http1_head(&b, slice_make(in.ptr, head), &m) != ERR_OK)
		abort();
	struct slice body = slice_make(in.ptr + head, in.len - head);
	size_t x = frame(&a, body, body.len, &whole), y = frame(&b, body, body.len / 2, &parts);

	if (x != SIZE_MAX && y != SIZE_MAX && whole && parts && x != y)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);

	(void)detect_first_bytes(in);
	message(in, false);
	message(in, true);
	return 0;
}
