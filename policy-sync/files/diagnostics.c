// SPDX-License-Identifier: GPL-3.0-or-later
// Collected findings; see diagnostics.h.
#include "files/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DIAGNOSTICS_BYTES_MAX (4u << 20)
#define MESSAGE_MAX	      512

void diagnostics_init(struct diagnostics *d)
{
	memset(d, 0, sizeof(*d));
	arena_init(&d->arena, DIAGNOSTICS_BYTES_MAX);
}

void diagnostics_deinit(struct diagnostics *d)
{
	arena_deinit(&d->arena);
	free(d->list);
	memset(d, 0, sizeof(*d));
}

// Room for one more; an error takes a warning's place when all is full. NULL: none.
static struct diagnostic *diagnostics_room(struct diagnostics *d, enum severity severity)
{
	uint32_t room = d->room ? d->room * 2 : 16;
	struct diagnostic *grown;

	if (d->count < d->room)
		return &d->list[d->count++];
	if (d->count < DIAGNOSTICS_MAX) {
		room = room < DIAGNOSTICS_MAX ? room : DIAGNOSTICS_MAX;
		grown = realloc(d->list, room * sizeof(*grown));
		if (grown) {
			d->list = grown;
			d->room = room;
			return &d->list[d->count++];
		}
	}
	d->left_out++;
	for (uint32_t i = d->count; severity == SEVERITY_ERROR && i-- > 0;) {
		if (d->list[i].severity != SEVERITY_ERROR)
			return &d->list[i];
	}
	return NULL;
}

static void diagnostics_put(struct diagnostics *d, const struct diagnostic *found)
{
	struct diagnostic *to = diagnostics_room(d, found->severity);
	struct slice file = slice_str(found->file);

	d->errors += found->severity == SEVERITY_ERROR;
	d->notes += found->severity == SEVERITY_NOTE;
	if (!to)
		return;
	// Findings come file by file: one copy of the name for all of them.
	if (to != d->list && to[-1].file && slice_eq_str(file, to[-1].file))
		file.ptr = (const uint8_t *)to[-1].file;
	else
		file = arena_copy(&d->arena, file);
	*to = *found;
	to->file = file.ptr ? (const char *)file.ptr : "";
	to->field = arena_copy(&d->arena, found->field);
	to->message = arena_copy(&d->arena, found->message);
}

void diagnostics_add(struct diagnostics *d, enum severity severity, const char *file, uint32_t line,
		     uint32_t column, const char *field, const char *format, ...)
{
	char message[MESSAGE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	diagnostics_put(d, &(struct diagnostic){
				   .severity = severity,
				   .file = file ? file : "",
				   .line = line,
				   .column = column,
				   .field = slice_str(field),
				   .message = slice_str(message),
			   });
}

void diagnostics_append(struct diagnostics *d, const struct diagnostics *from)
{
	for (uint32_t i = 0; i < from->count; i++)
		diagnostics_put(d, &from->list[i]);
	d->left_out += from->left_out;
	for (uint32_t i = 0; i < from->count; i++) {
		d->errors -= from->list[i].severity == SEVERITY_ERROR;
		d->notes -= from->list[i].severity == SEVERITY_NOTE;
	}
	d->errors += from->errors;
	d->notes += from->notes;
}

static int diagnostics_order(const void *a, const void *b)
{
	const struct diagnostic *left = a, *right = b;
	int files = strcmp(left->file, right->file);

	if (files != 0)
		return files;
	if (left->line != right->line)
		return left->line < right->line ? -1 : 1;
	if (left->column != right->column)
		return left->column < right->column ? -1 : 1;
	return left->number < right->number ? -1 : left->number > right->number;
}

void diagnostics_sort(struct diagnostics *d)
{
	for (uint32_t i = 0; i < d->count; i++)
		d->list[i].number = i;
	if (d->count > 0)
		qsort(d->list, d->count, sizeof(*d->list), diagnostics_order);
}

void diagnostics_print(const struct diagnostics *d, struct buf *out)
{
	static const char *const words[] = {"error", "warning", "note"}; // enum severity

	for (uint32_t i = 0; i < d->count; i++) {
		const struct diagnostic *g = &d->list[i];

		buf_put_visible(out, slice_str(g->file), false);
		if (g->line)
			buf_printf(out, ":%u:%u", g->line, g->column);
		buf_printf(out, ": %s: ", words[g->severity]);
		if (g->field.len > 0) {
			buf_put_visible(out, g->field, false);
			buf_put_str(out, ": ");
		}
		buf_put_visible(out, g->message, false);
		buf_put_str(out, "\n");
	}
	if (d->left_out > 0)
		buf_printf(out, "and %u more\n", d->left_out);
}
