// SPDX-License-Identifier: GPL-3.0-or-later
// Collected findings; see diagnostics.h.
#include "files/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DIAGNOSTICS_BYTES_MAX (4u << 20)
#define MESSAGE_MAX 512

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

void diagnostics_add(struct diagnostics *d, enum severity severity, const char *file,
		     uint32_t line, uint32_t column, const char *field, const char *format, ...)
{
	char message[MESSAGE_MAX];
	va_list arguments;

	d->errors += severity == SEVERITY_ERROR;
	if (!d->list)
		d->list = calloc(DIAGNOSTICS_MAX, sizeof(*d->list));
	if (!d->list || d->count == DIAGNOSTICS_MAX) {
		d->left_out++;
		return;
	}
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	struct slice file_copy = arena_copy(&d->arena, slice_str(file ? file : ""));

	d->list[d->count++] = (struct diagnostic){
		.severity = severity,
		.file = file_copy.ptr ? (const char *)file_copy.ptr : "",
		.line = line,
		.column = column,
		.field = arena_copy(&d->arena, slice_str(field)),
		.message = arena_copy(&d->arena, slice_str(message)),
	};
}

void diagnostics_print(const struct diagnostics *d, struct buf *out)
{
	for (uint32_t i = 0; i < d->count; i++) {
		const struct diagnostic *g = &d->list[i];

		buf_put_str(out, g->file);
		if (g->line)
			buf_printf(out, ":%u:%u", g->line, g->column);
		buf_printf(out, ": %s: ", g->severity == SEVERITY_ERROR ? "error" : "warning");
		if (g->field.len > 0) {
			buf_put_slice(out, g->field);
			buf_put_str(out, ": ");
		}
		buf_put_slice(out, g->message);
		buf_put_str(out, "\n");
	}
	if (d->left_out > 0)
		buf_printf(out, "and %u more\n", d->left_out);
}
