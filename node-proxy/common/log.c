// SPDX-License-Identifier: GPL-3.0-or-later
// JSON lines on stderr, one write a line, rate-limited per event name; see log.h.
#include "common/log.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "common/buf.h"
#include "common/clock.h"
#include "common/hash.h"

#define LOG_LINE_MAX	     8192
#define LOG_END_MAX	     64 // what is put behind the fields
#define LOG_EVENTS_MAX	     256
#define LOG_EVENTS_PER_S_MAX 20

struct log_rate {
	uint64_t event; // hash of the name
	uint64_t second;
	uint32_t written;
	uint32_t left_out;
};

static const char *log_program = "";
static enum log_level log_threshold = LOG_INFO;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_rate log_rates[LOG_EVENTS_MAX];

static const char *const log_names[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

void log_init(const char *program, enum log_level level)
{
	log_program = program;
	log_threshold = level;
}

bool log_level_parse(struct slice text, enum log_level *out)
{
	for (int i = LOG_ERROR; i <= LOG_DEBUG; i++) {
		if (slice_eq_str(text, log_names[i])) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

// May this event be written now? *left_out: how many of it were not, in the second before.
static bool log_admit(const char *event, uint32_t *left_out)
{
	uint64_t hash = hash_bytes(slice_str(event), 0);
	struct log_rate *r = &log_rates[hash % LOG_EVENTS_MAX];
	uint64_t second = clock_monotonic_ns() / NS_PER_S;
	bool admit;

	pthread_mutex_lock(&log_lock);
	*left_out = 0;
	if (r->event != hash || r->second != second) {
		*left_out = r->event == hash ? r->left_out : 0;
		*r = (struct log_rate){.event = hash, .second = second};
	}
	admit = r->written < LOG_EVENTS_PER_S_MAX;
	if (admit)
		r->written++;
	else
		r->left_out++;
	pthread_mutex_unlock(&log_lock);
	return admit;
}

static void log_put_time(struct buf *b)
{
	uint64_t ms = clock_unix_ms();
	time_t seconds = (time_t)(ms / 1000);
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(b, "{\"time\":\"%s.%03uZ\"", text, (unsigned int)(ms % 1000));
}

static void log_put_member(struct buf *b, const char *key, struct slice value)
{
	buf_put_u8(b, ',');
	buf_put_json_string(b, slice_str(key));
	buf_put_u8(b, ':');
	buf_put_json_string(b, value);
}

static void log_put_field(struct buf *b, const struct log_field *f)
{
	if (f->kind == LOG_NUM)
		buf_printf(b, ",\"%s\":%lld", f->key, (long long)f->num);
	else
		log_put_member(b, f->key,
			       f->kind == LOG_SLICE ? f->slice : slice_str(f->str ? f->str : ""));
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
	char line[LOG_LINE_MAX];
	uint32_t left_out;
	bool cut = false;
	struct buf b;

	if (level > log_threshold || !log_admit(event, &left_out))
		return;
	buf_init_fixed(&b, line, sizeof(line) - LOG_END_MAX);
	log_put_time(&b);
	log_put_member(&b, "level", slice_str(log_names[level]));
	log_put_member(&b, "program", slice_str(log_program));
	log_put_member(&b, "event", slice_str(event));
	// A field that has no room is left out, never the event: a peer must not be able to make it vanish.
	for (size_t i = 0; i < n && i < LOG_FIELDS_MAX; i++) {
		size_t len = b.len;

		log_put_field(&b, &fields[i]);
		if (b.err == ERR_OK)
			continue;
		b.len = len;
		b.err = ERR_OK;
		cut = true;
	}
	b.cap = sizeof(line) - 2;
	if (cut)
		buf_put_str(&b, ",\"cut\":true");
	if (left_out > 0)
		buf_printf(&b, ",\"left_out\":%u", left_out);
	memcpy(line + b.len, "}\n", 2);
	// One write a line, so that threads and processes never mix theirs.
	if (write(STDERR_FILENO, line, b.len + 2) < 0)
		return;
}
