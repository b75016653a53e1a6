// SPDX-License-Identifier: GPL-3.0-or-later
// Content-addressed sections and the differences between two generations.
#include "publish/section_set.h"

#include <stdlib.h>

#include "io/crypto.h"
#include "io/sync_wire.h"

static void section_blob_unref(struct section_blob *b)
{
	if (--b->refs > 0)
		return;
	free(b->bytes);
	free(b->patch);
	free(b);
}

static struct section_blob *section_blob_new(const struct section_ref *ref, struct slice bytes)
{
	struct section_blob *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->refs = 1;
	b->ref = *ref;
	if (bytes.len > 0) {
		b->bytes = malloc(bytes.len);
		if (!b->bytes) {
			free(b);
			return NULL;
		}
		memcpy(b->bytes, bytes.ptr, bytes.len);
	}
	return b;
}

// A blob of a set with this very name and digest, or NULL.
static struct section_blob *section_set_share(const struct section_set *s,
					      const struct section_ref *ref)
{
	struct section_blob *b = s ? section_set_find(s, ref->name) : NULL;

	if (!b || memcmp(b->ref.sha256, ref->sha256, sizeof(ref->sha256)) != 0 ||
	    b->ref.bytes != ref->bytes)
		return NULL;
	b->refs++;
	return b;
}

// The same when nothing changed, without a digest over all of it.
static struct section_blob *section_set_share_bytes(const struct section_set *s,
						    const struct section_input *input)
{
	struct section_blob *b = s ? section_set_find(s, input->name) : NULL;

	if (!b || !b->bytes || b->ref.bytes != input->bytes.len ||
	    memcmp(b->bytes, input->bytes.ptr, input->bytes.len) != 0)
		return NULL;
	b->refs++;
	return b;
}

static int section_set_order(const void *a, const void *b)
{
	const struct section_blob *const *left = a, *const *right = b;

	return sync_ref_order(&(*left)->ref, &(*right)->ref);
}

// Sorts, looks for duplicates, computes the digest.
static enum err must_check section_set_seal(struct section_set *s)
{
	struct section_ref *refs = calloc(s->count ? s->count : 1, sizeof(*refs));
	enum err e = ERR_OK;

	if (!refs)
		return ERR_NOMEM;
	qsort(s->blobs, s->count, sizeof(s->blobs[0]), section_set_order);
	for (uint32_t i = 0; i < s->count; i++) {
		refs[i] = s->blobs[i]->ref;
		if (i > 0 && sync_ref_order(&refs[i - 1], &refs[i]) == 0)
			e = ERR_INTERNAL;
	}
	sync_digest_refs(refs, s->count, s->digest);
	free(refs);
	return e;
}

static struct section_set *section_set_make(struct generation g, uint32_t room)
{
	struct section_set *s = calloc(1, sizeof(*s) + room * sizeof(s->blobs[0]));

	if (!s)
		return NULL;
	s->refs = 1;
	s->generation = g;
	return s;
}

enum err section_set_new(struct generation g, const struct section_input *inputs, uint32_t count,
			 const struct section_set *before, struct section_set **out)
{
	struct section_set *s;
	enum err e = ERR_OK;

	if (count > SNAPSHOT_SECTIONS_MAX)
		return ERR_TOO_LARGE;
	s = section_set_make(g, count);
	if (!s)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count && !e; i++) {
		struct section_ref ref = {.name = inputs[i].name,
					  .bytes = (uint32_t)inputs[i].bytes.len};
		struct section_blob *b;

		if (inputs[i].bytes.len == 0)
			continue;
		if (inputs[i].bytes.len > SNAPSHOT_BYTES_MAX) {
			e = ERR_TOO_LARGE;
			break;
		}
		b = section_set_share_bytes(before, &inputs[i]);
		if (!b) {
			crypto_sha256(inputs[i].bytes, ref.sha256);
			b = section_blob_new(&ref, inputs[i].bytes);
		}
		if (b)
			s->blobs[s->count++] = b;
		else
			e = ERR_NOMEM;
	}
	if (!e)
		e = section_set_seal(s);
	if (e)
		section_set_unref(s);
	else
		*out = s;
	return e;
}

enum err section_set_of_node(struct generation g, const struct section_ref *refs, uint32_t count,
			     struct section_set *const *known, uint32_t known_count,
			     struct section_set **out)
{
	struct section_set *s;
	enum err e = ERR_OK;

	if (count > SNAPSHOT_SECTIONS_MAX)
		return ERR_TOO_LARGE;
	s = section_set_make(g, count);
	if (!s)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count && !e; i++) {
		struct section_blob *b = NULL;

		for (uint32_t k = 0; k < known_count && !b; k++)
			b = section_set_share(known[k], &refs[i]);
		if (!b)
			b = section_blob_new(&refs[i], (struct slice){0});
		if (b)
			s->blobs[s->count++] = b;
		else
			e = ERR_NOMEM;
	}
	if (!e)
		e = section_set_seal(s);
	if (e == ERR_INTERNAL)
		e = ERR_MALFORMED; // a name twice: the node's fault, not ours
	if (e)
		section_set_unref(s);
	else
		*out = s;
	return e;
}

struct section_set *section_set_ref(struct section_set *s)
{
	s->refs++;
	return s;
}

void section_set_unref(struct section_set *s)
{
	if (!s || --s->refs > 0)
		return;
	for (uint32_t i = 0; i < s->count; i++)
		section_blob_unref(s->blobs[i]);
	free(s);
}

size_t section_set_bytes(const struct section_set *s)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < s->count; i++)
		bytes += s->blobs[i]->ref.bytes;
	return bytes;
}

bool section_set_same(const struct section_set *a, const struct section_set *b)
{
	return a->count == b->count && memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

struct section_blob *section_set_find(const struct section_set *s, struct section_name name)
{
	struct section_ref key = {.name = name};
	uint32_t low = 0, high = s->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = sync_ref_order(&key, &s->blobs[middle]->ref);

		if (order == 0)
			return s->blobs[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

uint32_t section_set_differences(const struct section_set *from, const struct section_set *to,
				 struct section_ref *lines)
{
	uint32_t i = 0, k = 0, count = 0;

	while ((i < from->count || k < to->count) && count < SNAPSHOT_SECTIONS_MAX) {
		int order;

		if (i == from->count)
			order = 1;
		else if (k == to->count)
			order = -1;
		else
			order = sync_ref_order(&from->blobs[i]->ref, &to->blobs[k]->ref);
		if (order < 0) {
			lines[count++] = (struct section_ref){.name = from->blobs[i++]->ref.name};
			continue;
		}
		if (order > 0 || memcmp(from->blobs[i]->ref.sha256, to->blobs[k]->ref.sha256,
					sizeof(to->blobs[k]->ref.sha256)) != 0)
			lines[count++] = to->blobs[k]->ref;
		if (order == 0)
			i++;
		k++;
	}
	return count;
}

struct slice section_blob_patch(struct section_blob *to, const struct section_blob *from)
{
	struct buf patch;

	if (!from || !from->bytes)
		return (struct slice){0};
	if (to->patch_known &&
	    memcmp(to->patch_from, from->ref.sha256, sizeof(to->patch_from)) == 0)
		return slice_make(to->patch, to->patch_bytes);
	free(to->patch);
	to->patch = NULL;
	to->patch_bytes = 0;
	to->patch_known = true;
	memcpy(to->patch_from, from->ref.sha256, sizeof(to->patch_from));
	// A patch as large as the section is of no use: the buffer ends there.
	buf_init_growing(&patch, to->ref.bytes);
	if (section_diff(slice_make(from->bytes, from->ref.bytes),
			 slice_make(to->bytes, to->ref.bytes), &patch) == ERR_OK &&
	    !patch.err && patch.len < to->ref.bytes) {
		to->patch = malloc(patch.len ? patch.len : 1);
		if (to->patch) {
			memcpy(to->patch, patch.ptr, patch.len);
			to->patch_bytes = patch.len;
		}
	}
	buf_deinit(&patch);
	return slice_make(to->patch, to->patch_bytes);
}
