// SPDX-License-Identifier: GPL-3.0-or-later
// See meshed.h: a sorted array of names.
#include "publish/meshed.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/snapshot_schema.h"
#include "publish/authenticate.h"

#define FILE_BYTES_MAX (2u << 20)

struct meshed_node {
	char name[254];
};

struct meshed {
	char path[256];
	bool dirty;
	struct meshed_node *nodes; // sorted
	uint32_t count;
	uint32_t room;
};

// Index of a node, or where it would stand.
static uint32_t meshed_index(const struct meshed *m, struct slice node, bool *found)
{
	uint32_t low = 0, high = m->count;

	*found = false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = slice_cmp(node, slice_str(m->nodes[middle].name));

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

bool meshed_has(const struct meshed *m, struct slice node)
{
	bool found;

	(void)meshed_index(m, node, &found);
	return found;
}

static void meshed_remove_at(struct meshed *m, uint32_t at)
{
	memmove(m->nodes + at, m->nodes + at + 1, (m->count - at - 1) * sizeof(*m->nodes));
	m->count--;
	m->dirty = true;
}

static enum err must_check meshed_insert(struct meshed *m, uint32_t at, struct slice node)
{
	if (m->count >= SNAPSHOT_NODES_MAX)
		return ERR_FULL;
	if (m->count == m->room) {
		uint32_t room = m->room ? 2 * m->room : 16;
		struct meshed_node *more = realloc(m->nodes, room * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		m->nodes = more;
		m->room = room;
	}
	memmove(m->nodes + at + 1, m->nodes + at, (m->count - at) * sizeof(*m->nodes));
	memset(&m->nodes[at], 0, sizeof(m->nodes[at]));
	memcpy(m->nodes[at].name, node.ptr, node.len);
	m->count++;
	m->dirty = true;
	return ERR_OK;
}

enum err meshed_set(struct meshed *m, struct slice node, bool on, bool *changed)
{
	bool found;
	uint32_t at = meshed_index(m, node, &found);

	*changed = found != on;
	if (!authenticate_is_node_name(node))
		return ERR_MALFORMED;
	if (found == on)
		return ERR_OK;
	if (on)
		return meshed_insert(m, at, node);
	meshed_remove_at(m, at);
	return ERR_OK;
}

void meshed_filter(struct meshed *m, bool (*keep)(void *context, struct slice node), void *context)
{
	for (uint32_t i = m->count; i-- > 0;) {
		if (!keep(context, slice_str(m->nodes[i].name)))
			meshed_remove_at(m, i);
	}
}

enum err meshed_save(struct meshed *m)
{
	struct buf text;
	enum err e;

	if (!m->dirty)
		return ERR_OK;
	buf_init_growing(&text, FILE_BYTES_MAX);
	for (uint32_t i = 0; i < m->count; i++)
		buf_printf(&text, "%s\n", m->nodes[i].name);
	e = text.err;
	if (!e)
		e = file_write(m->path, 0600, buf_slice(&text));
	if (!e)
		m->dirty = false;
	buf_deinit(&text);
	return e;
}

static enum err must_check meshed_parse(struct meshed *m, struct slice rest, struct reason *why)
{
	for (uint32_t number = 1; rest.len > 0; number++) {
		size_t end = slice_find(rest, '\n');
		bool changed;
		enum err e = end == rest.len
				     ? ERR_MALFORMED
				     : meshed_set(m, slice_make(rest.ptr, end), true, &changed);

		if (e)
			return err_because(e, why, "%s, line %u: not a node's name", m->path,
					   number);
		rest = slice_make(rest.ptr + end + 1, rest.len - end - 1);
	}
	return ERR_OK;
}

enum err meshed_open(const char *path, struct meshed **out, struct reason *why)
{
	struct meshed *m = calloc(1, sizeof(*m));
	struct buf text;
	enum err e;

	if (!m)
		return ERR_NOMEM;
	snprintf(m->path, sizeof(m->path), "%s", path);
	buf_init_growing(&text, FILE_BYTES_MAX);
	e = file_read(path, FILE_BYTES_MAX, &text);
	if (e == ERR_NOT_FOUND)
		e = ERR_OK;
	else if (e)
		err_because(e, why, "cannot read %s", path);
	if (!e)
		e = meshed_parse(m, buf_slice(&text), why);
	buf_deinit(&text);
	m->dirty = false;
	if (e)
		meshed_free(m);
	else
		*out = m;
	return e;
}

void meshed_free(struct meshed *m)
{
	if (!m)
		return;
	free(m->nodes);
	free(m);
}
