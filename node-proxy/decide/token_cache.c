// SPDX-License-Identifier: GPL-3.0-or-later
// Direct-mapped table of verified tokens; see token_cache.h. The whole token is compared: no hash
// collision can lend one token another's verdict.
#include "decide/token_cache.h"

#include <stdlib.h>
#include "common/hash.h"

#define TOKEN_CACHED_MAX 4096 // longer ones are verified every time

struct token_cache {
	uint64_t seed;
	uint32_t mask;
	struct token_entry entries[];
};

struct token_cache *token_cache_new(uint32_t entries, uint64_t seed)
{
	struct token_cache *c;
	uint32_t size = 1;

	while (size < entries)
		size *= 2;
	c = calloc(1, sizeof(*c) + size * sizeof(c->entries[0]));
	if (!c)
		return NULL;
	c->seed = seed;
	c->mask = size - 1;
	return c;
}

void token_cache_free(struct token_cache *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i <= c->mask; i++)
		free(c->entries[i].bytes);
	free(c);
}

const struct token_entry *token_cache_find(struct token_cache *c, struct slice token,
					   uint64_t provider, struct generation g)
{
	uint64_t hash = hash_bytes(token, c->seed ^ provider);
	const struct token_entry *e = &c->entries[hash & c->mask];

	if (!e->bytes || e->hash != hash || e->provider != provider ||
	    generation_cmp(e->generation, g) != 0 ||
	    !slice_eq(slice_make(e->bytes, e->len), token))
		return NULL;
	return e;
}

void token_cache_put(struct token_cache *c, struct slice token, uint64_t provider,
		     struct generation g, int64_t expires_unix_s, int64_t not_before_unix_s)
{
	uint64_t hash = hash_bytes(token, c->seed ^ provider);
	struct token_entry *e = &c->entries[hash & c->mask];

	if (token.len > TOKEN_CACHED_MAX)
		return;
	if (e->cap < token.len) {
		uint8_t *bytes = realloc(e->bytes, token.len);

		if (!bytes)
			return;
		e->bytes = bytes;
		e->cap = (uint32_t)token.len;
	}
	memcpy(e->bytes, token.ptr, token.len);
	e->len = (uint32_t)token.len;
	e->hash = hash;
	e->provider = provider;
	e->generation = g;
	e->expires_unix_s = expires_unix_s;
	e->not_before_unix_s = not_before_unix_s;
}
