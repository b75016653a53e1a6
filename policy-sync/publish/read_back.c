// SPDX-License-Identifier: GPL-3.0-or-later
// See read_back.h. Sections come in the order of their names, this time and last time.
#include "publish/read_back.h"

#include <stdlib.h>

#include "common/sync_proto.h"
#include "io/crypto.h"
#include "io/sync_wire.h"

struct read_back {
	struct snapshot_section **held;
	uint32_t count;
};

enum err read_back_new(struct read_back **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? ERR_OK : ERR_NOMEM;
}

static void drop(struct snapshot_section **list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		snapshot_section_unref(list[i]);
	free(list);
}

void read_back_free(struct read_back *r)
{
	if (!r)
		return;
	drop(r->held, r->count);
	free(r);
}

// The section of last time, if it says the same.
static struct snapshot_section *held(const struct read_back *r, uint32_t *at,
				     const struct compiled_section *c)
{
	struct section_ref ref = {.name = c->name};

	while (*at < r->count && sync_ref_order(snapshot_section_id(r->held[*at]), &ref) < 0)
		(*at)++;
	if (*at == r->count || sync_ref_order(snapshot_section_id(r->held[*at]), &ref) != 0 ||
	    !slice_eq(snapshot_section_bytes(r->held[*at]), c->bytes))
		return NULL;
	snapshot_section_ref(r->held[*at]);
	return r->held[*at];
}

static enum err must_check decode(const struct compiled_section *c, struct snapshot_section **out,
				  struct reason *why)
{
	struct section_ref ref = {.name = c->name, .bytes = (uint32_t)c->bytes.len};

	crypto_sha256(c->bytes, ref.sha256);
	return snapshot_section_new(ref, c->bytes, out, why);
}

enum err read_back_check(struct read_back *r, const struct compiled *c, struct reason *why)
{
	struct snapshot_section **list = calloc(c->count + 1, sizeof(struct snapshot_section *));
	struct snapshot *s = NULL;
	uint32_t n = 0, at = 0;
	enum err e = list ? ERR_OK : err_because(ERR_NOMEM, why, "out of memory");

	while (!e && n < c->count) {
		list[n] = held(r, &at, &c->sections[n]);
		if (!list[n])
			e = decode(&c->sections[n], &list[n], why);
		n += !e;
	}
	if (!e)
		e = snapshot_new((struct generation){1, 1}, list, n, (struct slice){0}, &s, why);
	snapshot_free(s);
	if (e) {
		if (list)
			drop(list, n);
		return e;
	}
	drop(r->held, r->count);
	r->held = list;
	r->count = n;
	return ERR_OK;
}
