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
	uint32_t
		v4_count; // intervals of IPv4 networks come first: an IPv6 one never holds a mapped address
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

// Sorts, and joins what overlaps; returns how many are left.
static uint32_t intervals_join(struct interval *list, uint32_t count)
{
	uint32_t kept = 0;

	if (count > 0)
		qsort(list, count, sizeof(*list), interval_order);
	for (uint32_t i = 0; i < count; i++) {
		struct interval *last = kept > 0 ? &list[kept - 1] : NULL;

		if (!last || addr_order(list[i].first, last->last) > 0)
			list[kept++] = list[i];
		else if (addr_order(list[i].last, last->last) > 0)
			last->last = list[i].last;
	}
	return kept;
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
	for (uint32_t i = 0; i < count; i++) {
		if (cidr_is_v4(list[i]))
			s->intervals[s->v4_count++] = cidr_interval(list[i]);
	}
	uint32_t all = s->v4_count;

	for (uint32_t i = 0; i < count; i++) {
		if (!cidr_is_v4(list[i]))
			s->intervals[all++] = cidr_interval(list[i]);
	}
	uint32_t v6 = intervals_join(s->intervals + s->v4_count, all - s->v4_count);
	uint32_t v4 = intervals_join(s->intervals, s->v4_count);

	memmove(s->intervals + v4, s->intervals + s->v4_count, v6 * sizeof(struct interval));
	s->v4_count = v4;
	s->count = v4 + v6;
	*out = s;
	return ERR_OK;
}

bool cidr_set_contains(const struct cidr_set *s, struct addr a)
{
	bool v4 = addr_is_v4(a);
	uint32_t low = v4 ? 0 : s->v4_count, high = v4 ? s->v4_count : s->count, end = high;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (addr_order(s->intervals[middle].last, a) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < end && addr_order(s->intervals[low].first, a) <= 0;
}

bool cidr_set_is_empty(const struct cidr_set *s)
{
	return s->count == 0;
}
