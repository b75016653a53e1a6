// SPDX-License-Identifier: GPL-3.0-or-later
// What is wrong with what users wrote: every finding with file, line, column and field. Collected, bounded,
// printed by `check`, logged by `serve`.
#pragma once

#include "common/arena.h"
#include "common/buf.h"

#define DIAGNOSTICS_MAX 1000

enum severity { SEVERITY_ERROR = 0, SEVERITY_WARNING, SEVERITY_NOTE };

struct diagnostic {
	enum severity severity;
	const char *file;
	uint32_t line; // from 1; 0: the whole file
	uint32_t column;
	struct slice field;
	struct slice message;
	uint32_t number; // of diagnostics_sort
};

struct diagnostics {
	struct arena arena;
	struct diagnostic *list;
	uint32_t count;
	uint32_t room;
	uint32_t left_out; // warnings first
	uint32_t errors;   // those left out too
	uint32_t notes;	   // likewise
};

void diagnostics_init(struct diagnostics *d);
void diagnostics_deinit(struct diagnostics *d);
void diagnostics_add(struct diagnostics *d, enum severity severity, const char *file, uint32_t line,
		     uint32_t column, const char *field, const char *format, ...)
	__attribute__((format(printf, 7, 8)));
// Another list's findings, copied.
void diagnostics_append(struct diagnostics *d, const struct diagnostics *from);
// By file and place; of one place in the order in which they were found.
void diagnostics_sort(struct diagnostics *d);
// "file:line:column: error: field: message", one a line.
void diagnostics_print(const struct diagnostics *d, struct buf *out);
