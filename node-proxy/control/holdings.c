// SPDX-License-Identifier: GPL-3.0-or-later
// Sections held and sections on their way. policy-sync is trusted to say what the policy is, not to
// be free of faults: a wrong byte must cost one refused generation, never a proxy.
#include "control/holdings.h"

#include <stdlib.h>

#include "io/crypto.h"
#include "io/sync_wire.h"

struct holdings_line {
	struct section_ref ref;		  // bytes 0: the section is gone
	struct snapshot_section *section; // NULL: not here yet
};

enum holdings_state {
	HOLDINGS_IDLE = 0,
	HOLDINGS_RECEIVING,
	HOLDINGS_COMPLETE,
	HOLDINGS_REFUSED, // swallows the rest of the generation
};

struct holdings {
	enum holdings_state state;
	bool drifted;
	struct generation generation;
	struct generation target;
	uint32_t held_count;
	uint32_t line_count;
	uint32_t missing;
	struct snapshot_section *held[SNAPSHOT_SECTIONS_MAX];	// in order of names
	struct holdings_line lines[SNAPSHOT_SECTIONS_MAX];	// likewise
	struct snapshot_section *merged[SNAPSHOT_SECTIONS_MAX]; // scratch
};

enum err holdings_new(struct holdings **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? ERR_OK : ERR_NOMEM;
}

static void holdings_drop_lines(struct holdings *h)
{
	for (uint32_t i = 0; i < h->line_count; i++) {
		if (h->lines[i].section)
			snapshot_section_unref(h->lines[i].section);
	}
	h->line_count = 0;
	h->missing = 0;
}

void holdings_free(struct holdings *h)
{
	if (!h)
		return;
	holdings_drop_lines(h);
	for (uint32_t i = 0; i < h->held_count; i++)
		snapshot_section_unref(h->held[i]);
	free(h);
}

static enum err holdings_refuse(struct holdings *h, enum err e)
{
	holdings_drop_lines(h);
	h->state = HOLDINGS_REFUSED;
	return e;
}

static struct snapshot_section *holdings_find(const struct holdings *h, struct section_name name)
{
	uint32_t low = 0, high = h->held_count;
	struct section_ref key = {.name = name};

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = sync_ref_order(&key, snapshot_section_id(h->held[middle]));

		if (order == 0)
			return h->held[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static struct holdings_line *holdings_line(struct holdings *h, struct section_name name)
{
	struct section_ref key = {.name = name};

	// ref is the first member, so the order of refs is the order of lines.
	return bsearch(&key, h->lines, h->line_count, sizeof(h->lines[0]), sync_ref_order);
}

static enum err must_check holdings_check_refs(const struct section_ref *refs, uint32_t count,
					       struct reason *why)
{
	if (count > SNAPSHOT_SECTIONS_MAX)
		return err_because(ERR_TOO_LARGE, why, "%u sections, limit is %u", count,
				   SNAPSHOT_SECTIONS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		const struct section_ref *r = &refs[i];

		if (r->name.kind <= SECTION_NONE || r->name.kind >= SECTION_KIND_COUNT ||
		    (r->name.shard != 0 && !section_kind_is_sharded(r->name.kind)))
			return err_because(ERR_MALFORMED, why, "a section of no known kind");
		if (i > 0 && sync_ref_order(&refs[i - 1], r) >= 0)
			return err_because(ERR_MALFORMED, why, "sections are out of order");
		if (r->bytes > SNAPSHOT_BYTES_MAX)
			return err_because(ERR_TOO_LARGE, why, "a section of %u bytes", r->bytes);
	}
	return ERR_OK;
}

// Sum of what would be held: the lines, and the held sections that no line names.
static uint64_t holdings_bytes_after(struct holdings *h)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < h->line_count; i++)
		bytes += h->lines[i].ref.bytes;
	for (uint32_t i = 0; i < h->held_count; i++) {
		const struct section_ref *r = snapshot_section_id(h->held[i]);

		if (!holdings_line(h, r->name))
			bytes += r->bytes;
	}
	return bytes;
}

static enum err must_check holdings_manifest(struct holdings *h, const struct sync_message *m,
					     struct reason *why)
{
	uint64_t bytes;
	enum err e;

	holdings_drop_lines(h);
	h->target = m->generation;
	// schema_min: what a reader must know; schema_max: what wrote it.
	if (m->schema_min > SNAPSHOT_SCHEMA_VERSION || m->schema_max < SNAPSHOT_SCHEMA_OLDEST)
		return err_because(ERR_VERSION, why, "snapshot schema %u, we read %d to %d",
				   m->schema_max, SNAPSHOT_SCHEMA_OLDEST, SNAPSHOT_SCHEMA_VERSION);
	if (generation_cmp(m->generation, h->generation) <= 0)
		return err_because(ERR_STALE, why,
				   "generation %llu.%llu is not newer than the held %llu.%llu",
				   (unsigned long long)m->generation.epoch,
				   (unsigned long long)m->generation.counter,
				   (unsigned long long)h->generation.epoch,
				   (unsigned long long)h->generation.counter);
	e = holdings_check_refs(m->refs, m->ref_count, why);
	if (e)
		return e;
	for (uint32_t i = 0; i < m->ref_count; i++) {
		h->lines[i] = (struct holdings_line){.ref = m->refs[i]};
		if (m->refs[i].bytes > 0)
			h->missing++;
	}
	h->line_count = m->ref_count;
	bytes = holdings_bytes_after(h);
	if (bytes > SNAPSHOT_BYTES_MAX)
		return err_because(ERR_TOO_LARGE, why, "snapshot of %llu bytes, limit is %u",
				   (unsigned long long)bytes, SNAPSHOT_BYTES_MAX);
	h->state = HOLDINGS_RECEIVING;
	return ERR_OK;
}

// Bytes that claim to be a line's: length and digest first, only then are they decoded.
static enum err must_check holdings_take(struct holdings *h, struct holdings_line *line,
					 struct slice bytes, struct reason *why)
{
	char name[SECTION_NAME_MAX];
	uint8_t digest[32];
	enum err e;

	section_name_format(line->ref.name, name);
	if (bytes.len != line->ref.bytes)
		return err_because(ERR_MALFORMED, why, "section %s: %zu bytes, %u announced", name,
				   bytes.len, line->ref.bytes);
	crypto_sha256(bytes, digest);
	if (memcmp(digest, line->ref.sha256, sizeof(digest)) != 0)
		return err_because(ERR_SIGNATURE, why, "section %s: digest does not match", name);
	e = snapshot_section_new(line->ref, bytes, &line->section, why);
	if (!e)
		h->missing--;
	return e;
}

static enum err must_check holdings_expect(struct holdings *h, const struct sync_message *m,
					   struct holdings_line **out, struct reason *why)
{
	struct holdings_line *line = holdings_line(h, m->section);
	char name[SECTION_NAME_MAX];

	if (line && !line->section && line->ref.bytes > 0 &&
	    memcmp(line->ref.sha256, m->sha256, sizeof(m->sha256)) == 0) {
		*out = line;
		return ERR_OK;
	}
	return err_because(ERR_MALFORMED, why, "section %s was not announced",
			   section_name_format(m->section, name));
}

static enum err must_check holdings_patch(struct holdings *h, struct holdings_line *line,
					  const struct sync_message *m, struct reason *why)
{
	struct snapshot_section *old = holdings_find(h, m->section);
	char name[SECTION_NAME_MAX];
	struct buf new;
	enum err e;

	section_name_format(m->section, name);
	if (!old ||
	    memcmp(snapshot_section_id(old)->sha256, m->from_sha256, sizeof(m->from_sha256)) != 0) {
		h->drifted = true;
		return err_because(ERR_SIGNATURE, why, "section %s: patch of a version not held",
				   name);
	}
	buf_init_growing(&new, line->ref.bytes);
	e = section_patch(snapshot_section_bytes(old), m->bytes, &new);
	if (!e)
		e = new.err;
	if (e)
		err_because(e, why, "section %s: patch does not apply", name);
	else
		e = holdings_take(h, line, buf_slice(&new), why);
	if (e)
		h->drifted = true; // whichever end is wrong: ask for all of it next time
	buf_deinit(&new);
	return e;
}

// Candidate = held, with the lines put over it. Returns how many; merged is in order of names.
static uint32_t holdings_merge(struct holdings *h)
{
	uint32_t held = 0, line = 0, count = 0;

	while (held < h->held_count || line < h->line_count) {
		int order;

		if (held == h->held_count)
			order = 1;
		else if (line == h->line_count)
			order = -1;
		else
			order = sync_ref_order(snapshot_section_id(h->held[held]),
					       &h->lines[line].ref);
		if (order < 0) {
			if (count < SNAPSHOT_SECTIONS_MAX)
				h->merged[count] = h->held[held];
			count++;
			held++;
			continue;
		}
		if (order == 0)
			held++;
		if (h->lines[line].section) {
			if (count < SNAPSHOT_SECTIONS_MAX)
				h->merged[count] = h->lines[line].section;
			count++;
		}
		line++;
	}
	return count;
}

static enum err must_check holdings_commit(struct holdings *h, const struct sync_message *m,
					   struct reason *why)
{
	struct section_ref *refs;
	uint8_t digest[32];
	uint32_t count;

	if (generation_cmp(m->generation, h->target) != 0)
		return err_because(ERR_MALFORMED, why, "commit of another generation");
	if (h->missing > 0)
		return err_because(ERR_MALFORMED, why, "%u sections are missing", h->missing);
	count = holdings_merge(h);
	if (count > SNAPSHOT_SECTIONS_MAX)
		return err_because(ERR_TOO_LARGE, why, "%u sections, limit is %u", count,
				   SNAPSHOT_SECTIONS_MAX);
	refs = calloc(SNAPSHOT_SECTIONS_MAX, sizeof(*refs));
	if (!refs)
		return err_because(ERR_NOMEM, why, "out of memory");
	for (uint32_t i = 0; i < count; i++)
		refs[i] = *snapshot_section_id(h->merged[i]);
	sync_digest_refs(refs, count, digest);
	free(refs);
	if (memcmp(digest, m->sha256, sizeof(digest)) != 0) {
		h->drifted = true;
		return err_because(ERR_SIGNATURE, why, "the generation's digest does not match");
	}
	h->state = HOLDINGS_COMPLETE;
	return ERR_OK;
}

enum err holdings_receive(struct holdings *h, const struct sync_message *m, struct reason *why)
{
	struct holdings_line *line = NULL;
	enum err e;

	if (m->type == SYNC_MANIFEST) {
		e = holdings_manifest(h, m, why);
		return e ? holdings_refuse(h, e) : ERR_OK;
	}
	if (h->state == HOLDINGS_REFUSED)
		return ERR_OK;
	if (h->state != HOLDINGS_RECEIVING)
		return err_because(ERR_MALFORMED, why, "sections without a manifest");
	if (m->type == SYNC_COMMIT) {
		e = holdings_commit(h, m, why);
	} else {
		e = holdings_expect(h, m, &line, why);
		if (!e && m->type == SYNC_PATCH)
			e = holdings_patch(h, line, m, why);
		else if (!e)
			e = holdings_take(h, line, m->bytes, why);
	}
	return e ? holdings_refuse(h, e) : ERR_OK;
}

bool holdings_is_complete(const struct holdings *h)
{
	return h->state == HOLDINGS_COMPLETE;
}

struct generation holdings_target(const struct holdings *h)
{
	return h->target;
}

// The merged sections become the held ones.
static void holdings_settle(struct holdings *h, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		snapshot_section_ref(h->merged[i]);
	for (uint32_t i = 0; i < h->held_count; i++)
		snapshot_section_unref(h->held[i]);
	memcpy(h->held, h->merged, count * sizeof(h->held[0]));
	h->held_count = count;
	h->generation = h->target;
	holdings_drop_lines(h);
	h->state = HOLDINGS_IDLE;
	h->drifted = false;
}

enum err holdings_build(struct holdings *h, struct slice self, struct snapshot **out,
			struct reason *why)
{
	uint32_t count;
	enum err e;

	if (h->state != HOLDINGS_COMPLETE)
		return err_because(ERR_INTERNAL, why, "no generation is complete");
	count = holdings_merge(h);
	e = snapshot_new(h->target, h->merged, count, self, out, why);
	if (e)
		return holdings_refuse(h, e);
	holdings_settle(h, count);
	return ERR_OK;
}

void holdings_abandon(struct holdings *h)
{
	// A complete generation needs no connection any more.
	if (h->state == HOLDINGS_COMPLETE)
		return;
	holdings_drop_lines(h);
	h->state = HOLDINGS_IDLE;
}

bool holdings_has_drifted(const struct holdings *h)
{
	return h->drifted;
}

struct generation holdings_generation(const struct holdings *h)
{
	return h->generation;
}

uint32_t holdings_refs(const struct holdings *h, struct section_ref *refs)
{
	for (uint32_t i = 0; i < h->held_count; i++)
		refs[i] = *snapshot_section_id(h->held[i]);
	return h->held_count;
}

uint32_t holdings_count(const struct holdings *h)
{
	return h->held_count;
}

const struct snapshot_section *holdings_section(const struct holdings *h, uint32_t index)
{
	return h->held[index];
}

enum err holdings_restore(struct holdings *h, struct generation g, const struct section_ref *refs,
			  const struct slice *bytes, uint32_t count, struct slice self,
			  struct snapshot **out, struct reason *why)
{
	enum err e = holdings_check_refs(refs, count, why);

	if (e)
		return e;
	h->target = g;
	for (uint32_t i = 0; i < count && !e; i++) {
		h->lines[i] = (struct holdings_line){.ref = refs[i]};
		h->line_count = i + 1;
		h->missing++;
		e = holdings_take(h, &h->lines[i], bytes[i], why);
	}
	if (e)
		return holdings_refuse(h, e);
	h->state = HOLDINGS_COMPLETE;
	return holdings_build(h, self, out, why);
}
