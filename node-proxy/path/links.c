// SPDX-License-Identifier: GPL-3.0-or-later
// The table of interface pins: an array sorted by address, searched by bisection. A node has some
// hundred local pods at most, and a look-up happens once a connection.
#include "path/links.h"

#include <stdlib.h>

struct links {
	struct link_pin *pins;
	uint32_t count;
	char text[]; // uids
};

static int links_order(const void *a, const void *b)
{
	const struct link_pin *left = a, *right = b;

	return memcmp(left->addr.bytes, right->addr.bytes, sizeof(left->addr.bytes));
}

enum err links_new(const struct link_pin *pins, uint32_t count, struct links **out)
{
	struct links *l;
	size_t text = 0;

	for (uint32_t i = 0; i < count; i++)
		text += pins[i].uid.len;
	l = calloc(1, sizeof(*l) + text);
	if (!l)
		return ERR_NOMEM;
	l->pins = calloc(count ? count : 1, sizeof(*l->pins));
	if (!l->pins) {
		free(l);
		return ERR_NOMEM;
	}
	text = 0;
	for (uint32_t i = 0; i < count; i++) {
		l->pins[i] = pins[i];
		l->pins[i].uid.ptr = (uint8_t *)l->text + text;
		if (pins[i].uid.len > 0)
			memcpy(l->text + text, pins[i].uid.ptr, pins[i].uid.len);
		text += pins[i].uid.len;
	}
	l->count = count;
	qsort(l->pins, count, sizeof(*l->pins), links_order);
	*out = l;
	return ERR_OK;
}

void links_free(struct links *l)
{
	if (!l)
		return;
	free(l->pins);
	free(l);
}

const struct link_pin *links_find(const struct links *l, struct addr a)
{
	struct link_pin key = {.addr = a};

	if (!l || l->count == 0)
		return NULL;
	return bsearch(&key, l->pins, l->count, sizeof(*l->pins), links_order);
}

enum link_answer links_check(const struct links *l, struct addr a, struct slice uid,
			     uint32_t ifindex)
{
	const struct link_pin *pin = links_find(l, a);

	// Another uid: the table is of another generation than the caller's snapshot.
	// Without one: it is nobody's.
	if (!pin || uid.len == 0 || !slice_eq(pin->uid, uid))
		return LINK_UNKNOWN;
	return pin->ifindex != 0 && pin->ifindex == ifindex ? LINK_MATCHES : LINK_DIFFERS;
}

bool links_lead_outside(const struct links *l, struct addr a)
{
	const struct link_pin *pin = links_find(l, a);

	return pin && pin->uid.len == 0 && pin->ifindex == 0;
}

uint32_t links_count(const struct links *l)
{
	return l ? l->count : 0;
}
