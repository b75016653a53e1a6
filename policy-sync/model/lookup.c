// SPDX-License-Identifier: GPL-3.0-or-later
// Open addressing at half load; see lookup.h.
#include "model/lookup.h"

#include <stdlib.h>

#define SLOTS_MIN 64
#define SLOTS_MAX (1u << 27)

void lookup_deinit(struct lookup *l)
{
	free(l->slots);
	*l = (struct lookup){0};
}

static void lookup_place(struct lookup *l, struct lookup_slot s)
{
	uint32_t at = (uint32_t)s.hash & l->mask;

	while (l->slots[at].value)
		at = (at + 1) & l->mask;
	l->slots[at] = s;
}

enum err lookup_reserve(struct lookup *l, uint32_t count)
{
	uint32_t slots = SLOTS_MIN;

	if (l->slots)
		return ERR_OK;
	while (slots / 2 <= count && slots < SLOTS_MAX)
		slots *= 2;
	l->slots = calloc(slots, sizeof(*l->slots));
	l->mask = slots - 1;
	return l->slots ? ERR_OK : ERR_NOMEM;
}

static enum err lookup_grow(struct lookup *l)
{
	struct lookup grown = {.mask = l->slots ? l->mask * 2 + 1 : SLOTS_MIN - 1};

	if (grown.mask >= SLOTS_MAX)
		return ERR_NOMEM;
	grown.slots = calloc(grown.mask + 1ull, sizeof(*grown.slots));
	if (!grown.slots)
		return ERR_NOMEM;
	grown.count = l->count;
	for (uint32_t i = 0; l->slots && i <= l->mask; i++) {
		if (l->slots[i].value)
			lookup_place(&grown, l->slots[i]);
	}
	free(l->slots);
	*l = grown;
	return ERR_OK;
}

enum err lookup_put(struct lookup *l, uint64_t hash, uint32_t value)
{
	if (!l->slots || l->count > l->mask / 2) {
		enum err err = lookup_grow(l);

		if (err != ERR_OK)
			return err;
	}
	lookup_place(l, (struct lookup_slot){hash, value + 1});
	l->count++;
	return ERR_OK;
}

bool lookup_next(const struct lookup *l, uint64_t hash, uint32_t *at, uint32_t *value)
{
	uint32_t i;

	if (!l->slots)
		return false;
	i = *at == UINT32_MAX ? (uint32_t)hash & l->mask : (*at + 1) & l->mask;
	for (; l->slots[i].value; i = (i + 1) & l->mask) {
		if (l->slots[i].hash != hash)
			continue;
		*at = i;
		*value = l->slots[i].value - 1;
		return true;
	}
	return false;
}
