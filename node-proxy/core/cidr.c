// SPDX-License-Identifier: GPL-3.0-or-later
// A set of networks as sorted, disjoint intervals: built once, asked by binary search; see cidr.h. A
// set asks only "is it in", so intervals say it more simply than a trie.
#include "core/cidr.h"

#include <stdlib.h>

struct interval {
	struct addr first;
	struct addr last;
};

struct cidr_set {
	uint32_t count;
	struct interval intervals[];
};

static int addr_order(struct addr a, struct addr b)
{
	return memcmp(a.bytes, b.bytes, sizeof(a.bytes));
}

static int interval_order(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;

	return addr_order(x->first, y->first);
}

static struct interval cidr_interval(struct cidr c)
{
	struct interval v = {c.addr, c.addr};

	for (uint32_t i = 0; i < 16; i++) {
		uint32_t keep = c.bits > i * 8 ? c.bits - i * 8u : 0;
		uint8_t mask = keep < 8 ? (uint8_t)(0xff00u >> keep) : 0xff;

		v.first.bytes[i] &= mask;
		v.last.bytes[i] |= (uint8_t)~mask;
	}
	return v;
}

enum err cidr_set_build(struct arena *a, const struct cidr *list, uint32_t count,
			struct cidr_set **out)
{
	struct cidr_set *s =
		arena_alloc(a, 1, sizeof(*s) + (size_t)count * sizeof(struct interval));

	if (!s)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count; i++)
		s->intervals[i] = cidr_interval(list[i]);
	if (count > 0)
		qsort(s->intervals, count, sizeof(struct interval), interval_order);
	for (uint32_t i = 0; i < count; i++) {
		struct interval *last = s->count > 0 ? &s->intervals[s->count - 1] : NULL;

		if (!last || addr_order(s->intervals[i].first, last->last) > 0)
			s->intervals[s->count++] = s->intervals[i];
		else if (addr_order(s->intervals[i].last, last->last) > 0)
			last->last = s->intervals[i].last;
	}
	*out = s;
	return ERR_OK;
}

bool cidr_set_contains(const struct cidr_set *s, struct addr a)
{
	uint32_t low = 0, high = s->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (addr_order(s->intervals[middle].last, a) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count && addr_order(s->intervals[low].first, a) <= 0;
}

bool cidr_set_is_empty(const struct cidr_set *s)
{
	return s->count == 0;
}
