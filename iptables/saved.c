// SPDX-License-Identifier: GPL-3.0-or-later
// Reads iptables-save's lines; see saved.h. It understands only as much of a rule as is needed: the
// chain that it stands in and the chain that it goes to.
#include "iptables/saved.h"

#include "common/hash.h"

static bool is_ours(struct slice chain)
{
	return slice_starts(chain, SLICE_LIT(RENDER_CHAIN_PREFIX));
}

static struct slice take_word(struct slice *rest)
{
	while (rest->len > 0 && *rest->ptr == ' ')
		*rest = slice_make(rest->ptr + 1, rest->len - 1);
	struct slice word = slice_make(rest->ptr, slice_find(*rest, ' '));

	*rest = slice_make(rest->ptr + word.len, rest->len - word.len);
	return word;
}

// The chain that a rule goes to: the word behind its last -j or -g. A comment may hold anything, but
// it stands before the target.
static struct slice target_of(struct slice spec)
{
	struct slice target = {0};

	while (spec.len > 0) {
		struct slice word = take_word(&spec);

		if (slice_eq_str(word, "-j") || slice_eq_str(word, "-g"))
			target = take_word(&spec);
	}
	return target;
}

static void mix(uint64_t *digest, struct slice line)
{
	*digest = hash_bytes(line, *digest);
}

static enum err take_rule(struct slice spec, struct slice *last_chain, uint32_t *position,
			  struct saved_table *out)
{
	struct slice rest = spec;
	struct slice chain = take_word(&rest);

	*position = slice_eq(chain, *last_chain) ? *position + 1 : 1;
	*last_chain = chain;
	if (is_ours(chain)) {
		mix(&out->digest, spec);
		return ERR_OK;
	}
	if (!is_ours(target_of(rest)))
		return ERR_OK;
	if (out->jump_count == SAVED_JUMPS_MAX)
		return ERR_FULL;
	out->jumps[out->jump_count++] = (struct saved_jump){chain, spec, *position};
	return ERR_OK;
}

static enum err take_chain(struct slice line, struct saved_table *out)
{
	struct slice chain = take_word(&line);

	if (!is_ours(chain))
		return ERR_OK;
	if (out->chain_count == SAVED_CHAINS_MAX)
		return ERR_FULL;
	out->chains[out->chain_count++] = chain;
	mix(&out->digest, chain);
	return ERR_OK;
}

enum err saved_parse(struct slice text, enum table t, struct saved_table *out)
{
	struct slice last_chain = {0};
	uint32_t position = 0;
	bool inside = false;

	*out = (struct saved_table){0};
	while (text.len > 0) {
		size_t len = slice_find(text, '\n');
		struct slice line = slice_make(text.ptr, len);
		enum err err = ERR_OK;

		text = slice_make(text.ptr + len + (len < text.len),
				  text.len - len - (len < text.len));
		if (line.len == 0)
			continue;
		struct slice rest = slice_make(line.ptr + 1, line.len - 1);

		if (*line.ptr == '*')
			inside = slice_eq_str(rest, table_name(t));
		else if (inside && *line.ptr == ':')
			err = take_chain(rest, out);
		else if (inside && slice_starts(line, SLICE_LIT("-N ")))
			err = take_chain(slice_make(line.ptr + 3, line.len - 3), out);
		else if (inside && slice_starts(line, SLICE_LIT("-A ")))
			err = take_rule(slice_make(line.ptr + 3, line.len - 3), &last_chain,
					&position, out);
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

static uint32_t count_in(const struct saved_table *s, const char *hook,
			 const struct saved_jump **found)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->jump_count; i++) {
		if (slice_eq_str(s->jumps[i].chain, hook)) {
			*found = &s->jumps[i];
			count++;
		}
	}
	return count;
}

enum err saved_check_jumps(const struct saved_table *s, const struct rules_config *c, enum table t,
			   struct reason *why)
{
	struct render_jump wanted[RENDER_JUMPS_MAX];
	uint32_t count = render_jumps(c, t, wanted);

	for (uint32_t i = 0; i < count; i++) {
		const struct saved_jump *found = NULL;
		uint32_t times = count_in(s, wanted[i].hook, &found);

		if (times != 1)
			return err_because(ERR_NOT_FOUND, why,
					   "%s of table %s jumps to us %u times", wanted[i].hook,
					   table_name(t), times);
		if (found->position != 1)
			return err_because(ERR_NOT_FOUND, why,
					   "our jump in %s of table %s is rule %u, not the first",
					   wanted[i].hook, table_name(t), found->position);
	}
	if (s->jump_count != count)
		return err_because(ERR_NOT_FOUND, why, "table %s has %u jumps to us, not %u",
				   table_name(t), s->jump_count, count);
	return ERR_OK;
}

void saved_put_deletions(const struct saved_table *s, struct buf *out)
{
	for (uint32_t i = 0; i < s->jump_count; i++) {
		buf_put_str(out, "-D ");
		buf_put_slice(out, s->jumps[i].spec);
		buf_put_u8(out, '\n');
	}
}

void saved_put_removal(const struct saved_table *s, enum table t, struct buf *out)
{
	buf_printf(out, "*%s\n", table_name(t));
	saved_put_deletions(s, out);
	// Emptied first: they jump to each other.
	for (uint32_t i = 0; i < s->chain_count; i++)
		buf_printf(out, "-F %.*s\n", SLICE_ARG(s->chains[i]));
	for (uint32_t i = 0; i < s->chain_count; i++)
		buf_printf(out, "-X %.*s\n", SLICE_ARG(s->chains[i]));
	buf_put_str(out, "COMMIT\n");
}
