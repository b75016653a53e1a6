// SPDX-License-Identifier: GPL-3.0-or-later
// Structured process log: one JSON line an event on stderr (event, level, time, then key=value
// pairs). For control threads and start-up; workers put records into their ring (path/worker)
// and never write themselves. Rate-limited per event name: 20 a second, then one line that
// counts what was left out. A field that does not fit into the line is left out ("cut":true).
// Nothing secret is ever passed here.
#pragma once

#include "common/err.h"
#include "common/slice.h"

enum log_level { LOG_ERROR = 0, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_init(const char *program, enum log_level level);
struct log_field {
	const char *key;
	enum { LOG_STR = 0, LOG_NUM, LOG_SLICE } kind;
	union {
		const char *str;
		int64_t num;
		struct slice slice;
	};
};
#define LOG_S(k, v)    ((struct log_field){.key = (k), .kind = LOG_STR, .str = (v)})
#define LOG_N(k, v)    ((struct log_field){.key = (k), .kind = LOG_NUM, .num = (int64_t)(v)})
#define LOG_B(k, v)    ((struct log_field){.key = (k), .kind = LOG_SLICE, .slice = (v)})
#define LOG_FIELDS_MAX 24
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n);
#define log_event(level, event, ...)                                                               \
	log_write((level), (event), (struct log_field[]){__VA_ARGS__},                             \
		  sizeof((struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
bool log_level_parse(struct slice text, enum log_level *out);
