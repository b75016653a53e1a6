// SPDX-License-Identifier: GPL-3.0-or-later
// See explain_readings.h. Decoded text may hold anything: it is shown as JSON writes it.
#include "verbs/explain_readings.h"

#include "core/reading.h"

#define SHOWN_MAX	32
#define ARENA_BYTES_MAX (1u << 20)

// False: there is only one, or too many to judge.
static bool read_all(struct slice path, struct arena *a, struct path_readings *out)
{
	arena_init(a, ARENA_BYTES_MAX);
	return path_form(path) == PATH_ODD &&
	       readings_of(path, READINGS_MAX, READINGS_BYTES_MAX, a, out) == ERR_OK &&
	       out->count > 1;
}

static bool refused_otherwise(const struct decision *d)
{
	return d->verdict == VERDICT_DENY && (d->reading || d->field);
}

void explain_readings_text(struct buf *b, struct slice path, const struct decision *d)
{
	char text[READING_TEXT_MAX];
	struct path_readings all;
	struct arena a;

	if (refused_otherwise(d))
		buf_printf(b, "refused  as %s is read: %.*s\n", d->field ? d->field : "the path",
			   SLICE_ARG(reading_format(d->reading, text)));
	if (read_all(path, &a, &all)) {
		for (uint32_t i = 0; i < all.count && i < SHOWN_MAX; i++) {
			buf_put_str(b, "reading  ");
			buf_put_json_string(b, all.list[i].path);
			buf_printf(b, " (%.*s)\n",
				   SLICE_ARG(reading_format(all.list[i].steps, text)));
		}
		if (all.count > SHOWN_MAX)
			buf_printf(b, "reading  and %u more\n", all.count - SHOWN_MAX);
	}
	arena_deinit(&a);
}

void explain_readings_json(struct buf *b, struct slice path, const struct decision *d)
{
	char text[READING_TEXT_MAX];
	struct path_readings all;
	struct arena a;

	if (refused_otherwise(d)) {
		buf_put_str(b, ",\"refused.reading\":");
		buf_put_json_string(b, reading_format(d->reading, text));
		if (d->field) {
			buf_put_str(b, ",\"refused.field\":");
			buf_put_json_string(b, slice_str(d->field));
		}
	}
	if (read_all(path, &a, &all)) {
		buf_put_str(b, ",\"readings\":[");
		for (uint32_t i = 0; i < all.count && i < SHOWN_MAX; i++) {
			buf_put_str(b, i ? "," : "");
			buf_put_json_string(b, all.list[i].path);
		}
		buf_put_str(b, "]");
	}
	arena_deinit(&a);
}
