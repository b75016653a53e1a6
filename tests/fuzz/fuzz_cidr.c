// SPDX-License-Identifier: GPL-3.0-or-later
// common/addr and core/cidr: texts as networks, and a set that answers as its members do one by one.
#include <stdlib.h>
#include "core/cidr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cidr list[16], c;
	struct cidr_set *set;
	struct arena a;
	uint32_t n = 0;

	(void)!cidr_parse(slice_make(data, size), true, &c);
	for (; n < 16 && size >= 17; n++, data += 17, size -= 17) {
		memcpy(list[n].addr.bytes, data, 16);
		list[n].bits = data[16] % 129;
	}
	arena_init(&a, 1u << 20);
	if (cidr_set_build(&a, list, n, &set) != ERR_OK)
		abort();
	for (uint32_t i = 0; i < n; i++) {
		struct addr probe = list[i].addr;
		bool one = false;

		probe.bytes[15] ^= (uint8_t)size;
		for (uint32_t k = 0; k < n && !one; k++) {
			struct cidr masked = list[k];
			char text[ADDR_TEXT_MAX + 4];

			(void)cidr_format(masked, text);
			for (uint32_t bit = masked.bits; bit < 128; bit++)
				masked.addr.bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
			one = cidr_contains(masked, probe);
		}
		if (one != cidr_set_contains(set, probe))
			abort();
	}
	arena_deinit(&a);
	return 0;
}
