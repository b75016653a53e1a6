// SPDX-License-Identifier: GPL-3.0-or-later
// How servers read the path of a request target. They agree on ordinary paths; on the rest they differ in
// steps: each is a function of text, taken here for all its occurrences, and a reading is any sequence of
// them that ends in a text of its own (decoding at most twice). Policy is decided for every reading, and
// nothing is rewritten: the pod gets the target as it came. A rule's path is read by the same steps.
#pragma once

#include "common/arena.h"

#define PATH_BYTES_MAX	   8192
#define READINGS_BYTES_MAX (64u << 10) // of all readings of a path together
#define READINGS_MAX	   1024
#define READING_TEXT_MAX   512
#define RULE_READINGS_MAX  16 // of a rule's path: more is no path that anybody means
// What reading one path may take out of an arena.
#define READINGS_ARENA_BYTES (READINGS_BYTES_MAX + READINGS_MAX * 80u)

enum path_form {
	PATH_MALFORMED = 0, // no two servers agree, or no honest client sends it
	PATH_ORDINARY,	    // one reading: itself
	PATH_ODD,
};

enum reading_step {
	READING_END = 0, // of a sequence
	READING_DECODED,
	READING_SLASHES,    // %2F and %5C are separators
	READING_BACKSLASH,  // \ is one
	READING_PARAMETERS, // ";x" behind a segment's name is dropped
	READING_MERGED,	    // several slashes are one
	READING_DOTS,	    // "." and ".." are resolved
	READING_AUTHORITY,  // "//x" at the front names a host
	READING_CUT,	    // a decoded ? or # begins something else
	READING_BLANKS,	    // blanks and dots at a segment's end are dropped
	READING_STEP_COUNT
};

#define READING_STEP_BITS 4
#define READING_STEPS_MAX (64 / READING_STEP_BITS)
_Static_assert(READING_STEP_COUNT <= 1 << READING_STEP_BITS, "a step has outgrown its bits");

struct path_reading {
	struct slice path;
	uint64_t steps; // the first in the lowest bits; 0: as it came
};

struct path_readings {
	const struct path_reading *list; // the first is the path as it came
	uint32_t count;
};

// A path is what stands before the first '?'. MALFORMED: not beginning with '/', longer than PATH_BYTES_MAX, a
// raw control, blank, '#' or byte above 0x7e, a bad escape, %00, escaped UTF-8 of more bytes than the character
// needs ("%c0%af").
enum path_form path_form(struct slice path);
// The octet that the escape at the front of in stands for; -1: there is none.
int path_escape_value(struct slice in);
// All that differ, of a path that is not malformed. ERR_TOO_LARGE: more than readings_max of them, or than
// bytes_max in all. ERR_MALFORMED: decoded, it has what is malformed in every path. ERR_NOMEM: the arena is full.
enum err must_check readings_of(struct slice path, uint32_t readings_max, size_t bytes_max,
				struct arena *a, struct path_readings *out);
// The same steps taken on another text; out has room for path.len and spare too.
struct slice reading_apply(uint64_t steps, struct slice path, uint8_t *out, uint8_t *spare);
// "decoded, slashes merged"; "as sent" for no step.
struct slice reading_format(uint64_t steps, char text[READING_TEXT_MAX]);
