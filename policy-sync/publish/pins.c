// SPDX-License-Identifier: GPL-3.0-or-later
// Key pins by node: a sorted array in memory, one line a key in the file
// ("<node> <sha256 in hex> <not after, unix seconds>").
#include "publish/pins.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "publish/authenticate.h"

#define FILE_BYTES_MAX (32u << 20)
#define LINE_MAX_BYTES 512

struct pins_node {
	char name[254];
	uint32_t count;
	uint8_t pins[NODE_PINS_MAX * NODE_PIN_BYTES];
	int64_t not_after_unix_s[NODE_PINS_MAX];
};

struct pins {
	char path[256];
	bool dirty;
	struct pins_node *nodes; // sorted by name
	uint32_t count;
	uint32_t room;
};

// Index of a node, or where it would stand.
static uint32_t pins_index(const struct pins *p, struct slice node, bool *found)
{
	uint32_t low = 0, high = p->count;

	*found = false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = slice_cmp(node, slice_str(p->nodes[middle].name));

		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static enum err must_check pins_insert(struct pins *p, uint32_t at, struct slice node)
{
	struct pins_node *fresh;

	if (p->count >= SNAPSHOT_NODES_MAX)
		return ERR_FULL;
	if (p->count == p->room) {
		uint32_t room = p->room ? 2 * p->room : 16;
		struct pins_node *more = realloc(p->nodes, room * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		p->nodes = more;
		p->room = room;
	}
	fresh = &p->nodes[at];
	memmove(fresh + 1, fresh, (p->count - at) * sizeof(*fresh));
	memset(fresh, 0, sizeof(*fresh));
	memcpy(fresh->name, node.ptr, node.len);
	p->count++;
	return ERR_OK;
}

static void pins_drop(struct pins_node *n, uint32_t index)
{
	uint32_t after = n->count - index - 1;

	memmove(n->pins + index * NODE_PIN_BYTES, n->pins + (index + 1) * NODE_PIN_BYTES,
		after * NODE_PIN_BYTES);
	memmove(n->not_after_unix_s + index, n->not_after_unix_s + index + 1,
		after * sizeof(n->not_after_unix_s[0]));
	n->count--;
}

enum err pins_add(struct pins *p, struct slice node, const uint8_t pin[NODE_PIN_BYTES],
		  int64_t not_after_unix_s, bool *changed)
{
	bool found;
	uint32_t at;
	struct pins_node *n;

	if (!authenticate_is_node_name(node))
		return ERR_MALFORMED;
	at = pins_index(p, node, &found);
	if (!found) {
		enum err e = pins_insert(p, at, node);

		if (e)
			return e;
	}
	n = &p->nodes[at];
	*changed = true;
	for (uint32_t i = 0; i < n->count; i++) {
		if (memcmp(n->pins + i * NODE_PIN_BYTES, pin, NODE_PIN_BYTES) != 0)
			continue;
		if (n->not_after_unix_s[i] > not_after_unix_s)
			not_after_unix_s = n->not_after_unix_s[i];
		// Its place among the others stays, and so do the section's bytes.
		*changed = false;
		p->dirty = p->dirty || n->not_after_unix_s[i] != not_after_unix_s;
		n->not_after_unix_s[i] = not_after_unix_s;
		return ERR_OK;
	}
	if (n->count == NODE_PINS_MAX)
		pins_drop(n, NODE_PINS_MAX - 1);
	memmove(n->pins + NODE_PIN_BYTES, n->pins, n->count * NODE_PIN_BYTES);
	memmove(n->not_after_unix_s + 1, n->not_after_unix_s,
		n->count * sizeof(n->not_after_unix_s[0]));
	memcpy(n->pins, pin, NODE_PIN_BYTES);
	n->not_after_unix_s[0] = not_after_unix_s;
	n->count++;
	p->dirty = true;
	return ERR_OK;
}

static void pins_remove_at(struct pins *p, uint32_t at)
{
	memmove(p->nodes + at, p->nodes + at + 1, (p->count - at - 1) * sizeof(*p->nodes));
	p->count--;
	p->dirty = true;
}

void pins_remove(struct pins *p, struct slice node)
{
	bool found;
	uint32_t at = pins_index(p, node, &found);

	if (found)
		pins_remove_at(p, at);
}

enum err pins_move(struct pins *from, struct pins *to, struct slice node)
{
	const struct pins_node *n;
	bool found, changed;
	uint32_t at = pins_index(from, node, &found);

	if (!found)
		return ERR_NOT_FOUND;
	n = &from->nodes[at];
	for (uint32_t i = n->count; i-- > 0;) {
		enum err e = pins_add(to, node, n->pins + i * NODE_PIN_BYTES,
				      n->not_after_unix_s[i], &changed);

		if (e)
			return e;
	}
	pins_remove_at(from, at);
	return ERR_OK;
}

bool pins_has(const struct pins *p, struct slice node, const uint8_t pin[NODE_PIN_BYTES])
{
	struct slice all = pins_of(p, node);

	for (size_t at = 0; at < all.len; at += NODE_PIN_BYTES) {
		if (memcmp(all.ptr + at, pin, NODE_PIN_BYTES) == 0)
			return true;
	}
	return false;
}

bool pins_expire(struct pins *p, int64_t now_unix_s)
{
	bool any = false;

	for (uint32_t i = p->count; i-- > 0;) {
		struct pins_node *n = &p->nodes[i];

		for (uint32_t k = n->count; k-- > 0;) {
			if (n->not_after_unix_s[k] > now_unix_s)
				continue;
			pins_drop(n, k);
			any = true;
		}
		if (n->count == 0)
			pins_remove_at(p, i);
	}
	p->dirty = p->dirty || any;
	return any;
}

struct slice pins_of(const struct pins *p, struct slice node)
{
	bool found;
	uint32_t at = pins_index(p, node, &found);

	if (!found)
		return (struct slice){0};
	return slice_make(p->nodes[at].pins, p->nodes[at].count * NODE_PIN_BYTES);
}

void pins_filter(struct pins *p, bool (*keep)(void *context, struct slice node), void *context)
{
	for (uint32_t i = p->count; i-- > 0;) {
		if (!keep(context, slice_str(p->nodes[i].name)))
			pins_remove_at(p, i);
	}
}

enum err pins_save(struct pins *p)
{
	struct buf text;
	enum err e;

	if (!p->dirty)
		return ERR_OK;
	buf_init_growing(&text, FILE_BYTES_MAX);
	for (uint32_t i = 0; i < p->count; i++) {
		const struct pins_node *n = &p->nodes[i];

		// Oldest first: reading adds them in this order.
		for (uint32_t k = n->count; k-- > 0;) {
			buf_printf(&text, "%s ", n->name);
			for (uint32_t b = 0; b < NODE_PIN_BYTES; b++)
				buf_printf(&text, "%02x", n->pins[k * NODE_PIN_BYTES + b]);
			buf_printf(&text, " %" PRId64 "\n", n->not_after_unix_s[k]);
		}
	}
	e = text.err;
	if (!e)
		e = file_write(p->path, 0600, buf_slice(&text));
	if (!e)
		p->dirty = false;
	buf_deinit(&text);
	return e;
}

static bool pins_parse_hex(const char *hex, uint8_t out[NODE_PIN_BYTES])
{
	if (strlen(hex) != 2 * NODE_PIN_BYTES || strspn(hex, "0123456789abcdef") != strlen(hex))
		return false;
	for (int i = 0; i < NODE_PIN_BYTES; i++) {
		unsigned byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return false;
		out[i] = (uint8_t)byte;
	}
	return true;
}

static enum err must_check pins_parse_line(struct pins *p, struct slice line)
{
	char text[LINE_MAX_BYTES], node[254], hex[2 * NODE_PIN_BYTES + 1];
	uint8_t pin[NODE_PIN_BYTES];
	int64_t not_after_unix_s;
	bool changed;
	int used = 0;

	if (line.len >= sizeof(text))
		return ERR_MALFORMED;
	memcpy(text, line.ptr, line.len);
	text[line.len] = 0;
	if (sscanf(text, "%253s %64s %" SCNd64 "%n", node, hex, &not_after_unix_s, &used) != 3 ||
	    (size_t)used != line.len || !pins_parse_hex(hex, pin))
		return ERR_MALFORMED;
	return pins_add(p, slice_str(node), pin, not_after_unix_s, &changed);
}

enum err pins_open(const char *path, struct pins **out, struct reason *why)
{
	struct pins *p = calloc(1, sizeof(*p));
	struct slice rest;
	struct buf text;
	uint32_t number = 0;
	enum err e;

	if (!p)
		return ERR_NOMEM;
	snprintf(p->path, sizeof(p->path), "%s", path);
	buf_init_growing(&text, FILE_BYTES_MAX);
	e = file_read(path, FILE_BYTES_MAX, &text);
	if (e == ERR_NOT_FOUND)
		e = ERR_OK;
	else if (e)
		err_because(e, why, "cannot read %s", path);
	rest = buf_slice(&text);
	while (!e && rest.len > 0) {
		size_t end = slice_find(rest, '\n');

		number++;
		e = end == rest.len ? ERR_MALFORMED : pins_parse_line(p, slice_make(rest.ptr, end));
		if (e)
			err_because(e, why, "%s, line %u: not a key pin", path, number);
		else
			rest = slice_make(rest.ptr + end + 1, rest.len - end - 1);
	}
	buf_deinit(&text);
	p->dirty = false;
	if (e)
		pins_free(p);
	else
		*out = p;
	return e;
}

void pins_free(struct pins *p)
{
	if (!p)
		return;
	free(p->nodes);
	free(p);
}
