// SPDX-License-Identifier: GPL-3.0-or-later
// Changes to heads; see http1_edit.h. A field is one line (folds are refused), so that it can be taken out from
// its name to the next one's.
#include "core/http1_edit.h"

// ---- changes -----------------------------------------------------------------------------------

enum err http1_edit_put(struct http1_edit *e, size_t at, size_t bytes, struct slice put)
{
	struct http1_cut cut = {(uint32_t)at, (uint32_t)bytes, put};
	struct http1_cut *last = e->count > 0 ? &e->cuts[e->count - 1] : NULL;
	uint32_t i = e->count;

	if (last && last->at + last->bytes == at && last->put.len == 0 && put.len == 0) {
		last->bytes += cut.bytes;
		return ERR_OK;
	}
	if (e->count == HTTP1_CUTS_MAX)
		return ERR_TOO_LARGE;
	for (; i > 0 && e->cuts[i - 1].at > cut.at; i--)
		e->cuts[i] = e->cuts[i - 1];
	e->cuts[i] = cut;
	e->count++;
	return ERR_OK;
}

bool http1_edit_next(const struct http1_edit *e, struct slice head, uint32_t *piece,
		     struct slice *out)
{
	// Even ones are the head's, odd ones what was put in place of a cut.
	for (; *piece <= 2 * e->count; ++*piece) {
		uint32_t i = *piece / 2;
		size_t from = i > 0 ? e->cuts[i - 1].at + e->cuts[i - 1].bytes : 0;
		size_t to = i < e->count ? e->cuts[i].at : head.len;

		*out = *piece % 2 ? e->cuts[i].put : slice_make(head.ptr + from, to - from);
		if (out->len == 0)
			continue;
		++*piece;
		return true;
	}
	return false;
}

// ---- upgrades ----------------------------------------------------------------------------------

static const struct slice websocket = {(const uint8_t *)"websocket", 9};

// 0: it may not pass.
static uint32_t upgrade_bit(struct slice token, const struct http1_hop *hop)
{
	if (slice_eq_nocase(token, websocket))
		return 1;
	for (uint32_t i = 0; i < hop->upgrade_count && i < HTTP1_UPGRADES_MAX; i++) {
		if (slice_eq_nocase(token, hop->upgrades[i]))
			return 2u << i;
	}
	return 0;
}

uint32_t http1_upgrades(const struct http1_message *m, const struct http1_hop *hop, bool *others)
{
	uint32_t bits = 0;

	*others = false;
	for (uint32_t i = 0; i < m->header_count; i++) {
		struct slice rest = m->headers[i].value, token;

		if (!slice_eq_nocase(m->headers[i].name, SLICE_LIT("upgrade")))
			continue;
		while (http1_next_element(&rest, &token)) {
			uint32_t bit = upgrade_bit(token, hop);

			bits |= bit;
			*others |= bit == 0;
		}
	}
	return bits;
}

// ---- what this hop takes out -------------------------------------------------------------------

struct hop_work {
	struct http1_edit *edit;
	const struct http1_message *message;
	const struct http1_hop *hop;
	struct slice head;
	uint32_t upgrades; // those that pass, as http1_upgrades says
	bool h2c;	   // is one of them
	uint32_t option_count;
	struct slice options[HTTP1_OPTIONS_MAX];
};

static size_t hop_offset(const struct hop_work *w, const uint8_t *at)
{
	return (size_t)(at - w->head.ptr);
}

static enum err hop_drop_field(struct hop_work *w, uint32_t i)
{
	const struct http1_message *m = w->message;
	size_t at = hop_offset(w, m->headers[i].name.ptr);
	size_t end = i + 1 < m->header_count ? hop_offset(w, m->headers[i + 1].name.ptr)
					     : w->head.len - strlen("\r\n");

	return http1_edit_put(w->edit, at, end - at, (struct slice){0});
}

// Of an upgrade that passes.
static bool hop_keeps(const struct hop_work *w, struct slice name)
{
	static const struct slice prefix = {(const uint8_t *)"sec-websocket-", 14};

	if (w->upgrades == 0)
		return false;
	if (slice_eq_nocase(name, SLICE_LIT("http2-settings")))
		return w->h2c;
	return slice_eq_nocase(name, SLICE_LIT("upgrade")) ||
	       (name.len > prefix.len && slice_eq_nocase(slice_make(name.ptr, prefix.len), prefix));
}

static bool option_passes(const struct hop_work *w, struct slice option)
{
	if (slice_eq_nocase(option, SLICE_LIT("close")))
		return !w->hop->stays;
	if (slice_eq_nocase(option, SLICE_LIT("keep-alive")))
		return true;
	return hop_keeps(w, option) || !http1_is_token(option); // which names nothing
}

static bool upgrade_passes(const struct hop_work *w, struct slice token)
{
	return (w->upgrades & upgrade_bit(token, w->hop)) != 0;
}

// Elements of a list that do not pass go with the comma before or behind them; a list without any goes whole.
static enum err hop_filter(struct hop_work *w, uint32_t i,
			   bool (*passes)(const struct hop_work *, struct slice))
{
	struct slice value = w->message->headers[i].value, rest = value, element;
	size_t kept_end = 0,
	       cut = 0; // where the last one that passes ends; where the next change begins
	bool any = false, dropped = false;
	enum err err = ERR_OK;

	while (http1_next_element(&rest, &element))
		any |= passes(w, element);
	if (!any)
		return hop_drop_field(w, i);
	rest = value;
	any = false;
	while (err == ERR_OK && http1_next_element(&rest, &element)) {
		size_t at = hop_offset(w, element.ptr);

		if (!passes(w, element)) {
			cut = dropped ? cut : any ? kept_end : at;
			dropped = true;
			continue;
		}
		if (dropped)
			err = http1_edit_put(w->edit, cut, at - cut,
					     any ? SLICE_LIT(", ") : (struct slice){0});
		dropped = false;
		any = true;
		kept_end = at + element.len;
	}
	if (err == ERR_OK && dropped)
		err = http1_edit_put(w->edit, kept_end,
				     hop_offset(w, value.ptr) + value.len - kept_end,
				     (struct slice){0});
	return err;
}

static bool hop_is_named(const struct hop_work *w, struct slice name)
{
	for (uint32_t i = 0; i < w->option_count; i++) {
		if (slice_eq_nocase(w->options[i], name))
			return !hop_keeps(w, name);
	}
	return false;
}

static enum err hop_field(struct hop_work *w, uint32_t i)
{
	const struct http1_hop *hop = w->hop;
	struct slice name = w->message->headers[i].name;
	bool frames;

	if (slice_eq_nocase(name, SLICE_LIT("connection")))
		return hop->close ? hop_drop_field(w, i) : hop_filter(w, i, option_passes);
	if (slice_eq_nocase(name, SLICE_LIT("upgrade")) &&
	    (w->message->options & HTTP1_OPTION_UPGRADE))
		return hop_filter(w, i, upgrade_passes);
	// An offer of h2c has it, whether or not Connection says so (RFC 7540 3.2.1).
	if (slice_eq_nocase(name, SLICE_LIT("http2-settings")) &&
	    (w->message->options & HTTP1_OPTION_UPGRADE) && !w->h2c)
		return hop_drop_field(w, i);
	frames = slice_eq_nocase(name, SLICE_LIT("content-length")) ||
		 slice_eq_nocase(name, SLICE_LIT("transfer-encoding"));
	return (hop->bodiless && frames) || hop_is_named(w, name) ? hop_drop_field(w, i) : ERR_OK;
}

static enum err hop_begin(struct hop_work *w)
{
	const struct http1_message *m = w->message;
	bool others;

	for (uint32_t i = 0; i < m->header_count; i++) {
		struct slice rest = m->headers[i].value, option;

		if (!slice_eq_nocase(m->headers[i].name, SLICE_LIT("connection")))
			continue;
		while (http1_next_element(&rest, &option)) {
			if (w->option_count == HTTP1_OPTIONS_MAX)
				return ERR_TOO_LARGE;
			w->options[w->option_count++] = option;
		}
	}
	if (w->hop->upgrade && m->upgrade)
		w->upgrades = http1_upgrades(m, w->hop, &others);
	w->h2c = (w->upgrades & upgrade_bit(SLICE_LIT("h2c"), w->hop)) != 0;
	return ERR_OK;
}

static enum err hop_edit(struct hop_work *w)
{
	enum err err = hop_begin(w);

	for (uint32_t i = 0; i < w->message->header_count && err == ERR_OK; i++)
		err = hop_field(w, i);
	if (err == ERR_OK && w->hop->close)
		err = http1_edit_put(w->edit, w->head.len - strlen("\r\n"), 0,
				     SLICE_LIT("Connection: close\r\n"));
	return err;
}

enum err http1_edit_hop(struct http1_edit *e, const struct http1_message *m, struct slice head,
			const struct http1_hop *hop)
{
	bool named = (m->options & (HTTP1_OPTION_UPGRADE | HTTP1_OPTION_OTHER)) ||
		     (m->options && m->hop_field);

	// Nearly all heads: nothing in them is this hop's alone.
	if (!named && !hop->close && !hop->bodiless &&
	    !(hop->stays && (m->options & HTTP1_OPTION_CLOSE)))
		return ERR_OK;
	return hop_edit(&(struct hop_work){.edit = e, .message = m, .hop = hop, .head = head});
}
