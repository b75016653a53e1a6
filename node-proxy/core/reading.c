// SPDX-License-Identifier: GPL-3.0-or-later
// Readings of a path; see reading.h. No order of steps is assumed, since servers stand behind servers: the
// texts that any sequence reaches are found breadth first, those of fewer decodings first.
#include "core/reading.h"

#include <stdio.h>
#include "common/hash.h"

#define DECODINGS_MAX 2
#define SEED	      0x72656164ull // attackers gain nothing by collisions among their own readings

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int path_escape_value(struct slice in)
{
	if (in.len < 3 || in.ptr[0] != '%')
		return -1;
	int high = hex_value(in.ptr[1]), low = hex_value(in.ptr[2]);

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

// UTF-8 that is longer than it need be (RFC 3629 3): who decodes it without minding reads a dot, a slash or
// a letter.
static bool is_overlong(int first, int second)
{
	if (second < 0x80 || second > 0xbf)
		return false;
	return first == 0xc0 || first == 0xc1 || (first == 0xe0 && second < 0xa0) ||
	       (first == 0xf0 && second < 0x90) || (first == 0xf8 && second < 0x88) ||
	       (first == 0xfc && second < 0x84);
}

static struct slice slice_from(struct slice s, size_t at)
{
	return slice_make(s.ptr + at, s.len - at);
}

// ---- form --------------------------------------------------------------------------------------

enum byte_class { PLAIN = 0, SEPARATOR, DOT, ODD, ESCAPE, BAD };

static const uint8_t classes[256] = {
	[0x00 ... 0x20] = BAD, [0x7f ... 0xff] = BAD, ['#'] = BAD, ['%'] = ESCAPE,
	[';'] = ODD,	       ['\\'] = ODD,	      ['.'] = DOT, ['/'] = SEPARATOR,
	['?'] = BAD, // it is the query's
};

static bool escape_is_good(struct slice in)
{
	int v = path_escape_value(in);

	return v > 0 && !is_overlong(v, path_escape_value(slice_from(in, 3)));
}

enum path_form path_form(struct slice path)
{
	enum byte_class last = PLAIN;
	bool odd = false;

	if (path.len == 0 || path.len > PATH_BYTES_MAX || path.ptr[0] != '/')
		return PATH_MALFORMED;
	for (size_t i = 0; i < path.len; i++) {
		enum byte_class c = classes[path.ptr[i]];

		if (c >= ODD) {
			if (c == BAD || (c == ESCAPE && !escape_is_good(slice_from(path, i))))
				return PATH_MALFORMED;
			odd = true;
		}
		// "//", or a segment that ends in a dot.
		odd |= c == SEPARATOR && (last == SEPARATOR || last == DOT);
		last = c;
	}
	return odd || last == DOT ? PATH_ODD : PATH_ORDINARY;
}

// ---- steps -------------------------------------------------------------------------------------
// From a text that begins with '/' to one that is no longer and begins so too; returns its length.

// A decoded slash stays what it is, an escape: who takes it for a separator takes READING_SLASHES too.
static size_t decode(struct slice in, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		int v = in.ptr[i] == '%' ? path_escape_value(slice_from(in, i)) : -1;

		if (v < 0 || v == '/') {
			out[n++] = in.ptr[i];
			continue;
		}
		out[n++] = (uint8_t)v;
		i += 2;
	}
	return n;
}

static size_t take_slashes(struct slice in, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		int v = in.ptr[i] == '%' ? path_escape_value(slice_from(in, i)) : -1;
		bool separator = v == '/' || v == '\\';

		out[n++] = separator ? '/' : in.ptr[i];
		i += separator ? 2 : 0;
	}
	return n;
}

static size_t take_backslashes(struct slice in, uint8_t *out)
{
	for (size_t i = 0; i < in.len; i++)
		out[i] = in.ptr[i] == '\\' ? '/' : in.ptr[i];
	return in.len;
}

static size_t drop_parameters(struct slice in, uint8_t *out)
{
	bool dropping = false;
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		dropping = in.ptr[i] == ';' || (dropping && in.ptr[i] != '/');
		if (!dropping)
			out[n++] = in.ptr[i];
	}
	return n;
}

static size_t merge_slashes(struct slice in, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		if (in.ptr[i] != '/' || n == 0 || out[n - 1] != '/')
			out[n++] = in.ptr[i];
	}
	return n;
}

// RFC 3986 5.2.4. An empty segment is one: ".." takes it back.
static size_t resolve_dots(struct slice in, uint8_t *out)
{
	size_t n = 0;

	// Each turn takes a '/' and the segment behind it.
	for (size_t i = 0, end; i < in.len; i = end) {
		size_t len;

		end = i + 1 + slice_find(slice_from(in, i + 1), '/');
		len = end - i - 1;
		bool here = len == 1 && in.ptr[i + 1] == '.';
		bool up = len == 2 && in.ptr[i + 1] == '.' && in.ptr[i + 2] == '.';

		if (!here && !up) {
			memcpy(out + n, in.ptr + i, end - i);
			n += end - i;
			continue;
		}
		while (up && n > 0 && out[--n] != '/')
			;
		if (end == in.len)
			out[n++] = '/';
	}
	if (n == 0)
		out[n++] = '/';
	return n;
}

static size_t drop_authority(struct slice in, uint8_t *out)
{
	size_t skipped = 0;

	if (in.len >= 2 && in.ptr[1] == '/')
		skipped = 2 + slice_find(slice_from(in, 2), '/');
	if (skipped == in.len) {
		out[0] = '/';
		return 1;
	}
	memcpy(out, in.ptr + skipped, in.len - skipped);
	return in.len - skipped;
}

// What came raw of them is no part of a path: these were decoded.
static size_t cut(struct slice in, uint8_t *out)
{
	size_t query = slice_find(in, '?'), fragment = slice_find(in, '#');
	size_t n = query < fragment ? query : fragment;

	memcpy(out, in.ptr, n);
	return n;
}

// Bytes of the blank that the text ends in, as Latin-1 or UTF-8 has it (Unicode's White_Space, and the
// byte order mark); 0: none.
static size_t blank_bytes(const uint8_t *text, size_t len)
{
	uint8_t last = len > 0 ? text[len - 1] : 0, middle = len > 2 ? text[len - 2] : 0;
	uint32_t three = len > 2 ? (uint32_t)text[len - 3] << 16 | (uint32_t)middle << 8 | last : 0;

	if (three == 0xe19a80 || (three >= 0xe28080 && three <= 0xe2808a) || three == 0xe280a8 ||
	    three == 0xe280a9 || three == 0xe280af || three == 0xe2819f || three == 0xe38080 ||
	    three == 0xefbbbf)
		return 3;
	if ((last == 0x85 || last == 0xa0) && len > 1 && text[len - 2] == 0xc2)
		return 2;
	return last == 0x85 || last == 0xa0 || (last >= 0x09 && last <= 0x0d) ||
	       (last >= 0x1c && last <= 0x20);
}

// What is left of a segment; "." and ".." before blanks are what they are.
static size_t trim_segment(const uint8_t *text, size_t len)
{
	size_t blank, named;

	while ((blank = blank_bytes(text, len)) > 0)
		len -= blank;
	if ((len == 1 && text[0] == '.') || (len == 2 && text[0] == '.' && text[1] == '.'))
		return len;
	do {
		named = len;
		while (len > 0 && text[len - 1] == '.')
			len--;
		while ((blank = blank_bytes(text, len)) > 0)
			len -= blank;
	} while (len < named);
	return len;
}

static size_t drop_blanks(struct slice in, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0, end; i < in.len; i = end) {
		end = i + 1 + slice_find(slice_from(in, i + 1), '/');
		size_t len = 1 + trim_segment(in.ptr + i + 1, end - i - 1);

		memcpy(out + n, in.ptr + i, len);
		n += len;
	}
	return n;
}

static const struct {
	size_t (*take)(struct slice in, uint8_t *out);
	const char *name;
} steps[READING_STEP_COUNT] = {
	[READING_DECODED] = {decode, "decoded"},
	[READING_SLASHES] = {take_slashes, "%2F and %5C as separators"},
	[READING_BACKSLASH] = {take_backslashes, "\\ as /"},
	[READING_PARAMETERS] = {drop_parameters, "parameters dropped"},
	[READING_MERGED] = {merge_slashes, "slashes merged"},
	[READING_DOTS] = {resolve_dots, "dots resolved"},
	[READING_AUTHORITY] = {drop_authority, "//x as authority"},
	[READING_CUT] = {cut, "cut at a decoded ? or #"},
	[READING_BLANKS] = {drop_blanks, "blanks and dots at ends dropped"},
};

// ---- all readings ------------------------------------------------------------------------------

struct reader {
	struct path_reading *list;
	uint8_t *decodings; // of each
	uint32_t count, max;
	struct hash_index index;
	struct arena *arena;
	size_t bytes, bytes_max;
};

static bool reader_knows(const struct reader *r, struct slice path, uint64_t hash)
{
	uint32_t at = UINT32_MAX, i;

	while (hash_index_next(&r->index, hash, &at, &i)) {
		if (slice_eq(r->list[i].path, path))
			return true;
	}
	return false;
}

// The text becomes a reading, if it is none yet.
static enum err reader_keep(struct reader *r, struct slice path, uint64_t sequence,
			    uint8_t decodings)
{
	uint64_t hash = hash_bytes(path, SEED);

	if (reader_knows(r, path, hash))
		return ERR_OK;
	r->bytes += path.len;
	if (r->count == r->max || r->bytes > r->bytes_max)
		return ERR_TOO_LARGE;
	path = arena_copy(r->arena, path);
	if (!path.ptr)
		return ERR_NOMEM;
	hash_index_insert(&r->index, hash, r->count);
	r->list[r->count] = (struct path_reading){path, sequence};
	r->decodings[r->count++] = decodings;
	return ERR_OK;
}

// No honest path has them, twice encoded or not.
static bool is_sound(struct slice decoded)
{
	for (size_t i = 0; i < decoded.len; i++) {
		if (decoded.ptr[i] == 0 ||
		    (i + 1 < decoded.len && is_overlong(decoded.ptr[i], decoded.ptr[i + 1])))
			return false;
	}
	return true;
}

static enum err reader_step(struct reader *r, uint32_t from, enum reading_step step)
{
	struct path_reading was = r->list[from];
	uint8_t decodings = r->decodings[from];
	uint8_t text[PATH_BYTES_MAX];
	uint32_t place = 0;
	struct slice is = slice_make(text, steps[step].take(was.path, text));

	if (slice_eq(is, was.path))
		return ERR_OK;
	if (step == READING_DECODED) {
		decodings++;
		if (!is_sound(is))
			return ERR_MALFORMED;
	}
	while (place < READING_STEPS_MAX && was.steps >> (place * READING_STEP_BITS))
		place++;
	if (place == READING_STEPS_MAX)
		return ERR_TOO_LARGE;
	return reader_keep(r, is, was.steps | (uint64_t)step << (place * READING_STEP_BITS),
			   decodings);
}

// Every step but decoding from every reading of so many decodings, new ones included.
static enum err reader_close(struct reader *r, uint32_t first, uint8_t decodings)
{
	enum err err = ERR_OK;

	for (uint32_t i = first; i < r->count && err == ERR_OK; i++) {
		for (int s = READING_SLASHES; s < READING_STEP_COUNT && err == ERR_OK; s++) {
			// It decodes, if only slashes.
			if (s != READING_SLASHES || decodings < DECODINGS_MAX)
				err = reader_step(r, i, (enum reading_step)s);
		}
	}
	return err;
}

static enum err reader_run(struct reader *r)
{
	enum err err = reader_close(r, 0, 0);
	uint32_t first = 0;

	for (uint8_t decodings = 1; decodings <= DECODINGS_MAX && err == ERR_OK; decodings++) {
		uint32_t end = r->count;

		for (uint32_t i = first; i < end && err == ERR_OK; i++)
			err = reader_step(r, i, READING_DECODED);
		if (err == ERR_OK)
			err = reader_close(r, end, decodings);
		first = end;
	}
	return err;
}

enum err readings_of(struct slice path, uint32_t readings_max, size_t bytes_max, struct arena *a,
		     struct path_readings *out)
{
	struct reader r = {.max = readings_max, .arena = a, .bytes_max = bytes_max};
	enum err err;

	r.list = arena_alloc(a, r.max, sizeof(*r.list));
	r.decodings = arena_alloc(a, r.max, sizeof(*r.decodings));
	if (!r.list || !r.decodings || !hash_index_init(&r.index, a, r.max))
		return ERR_NOMEM;
	err = reader_keep(&r, path, 0, 0);
	if (err == ERR_OK)
		err = reader_run(&r);
	*out = (struct path_readings){r.list, r.count};
	return err;
}

struct slice reading_apply(uint64_t sequence, struct slice path, uint8_t *out, uint8_t *spare)
{
	for (; sequence; sequence >>= READING_STEP_BITS) {
		uint64_t step = sequence & ((1u << READING_STEP_BITS) - 1);
		uint8_t *to = path.ptr == out ? spare : out;

		path = slice_make(to, steps[step].take(path, to));
	}
	return path;
}

struct slice reading_format(uint64_t sequence, char text[READING_TEXT_MAX])
{
	size_t n = (size_t)snprintf(text, READING_TEXT_MAX, "%s", sequence ? "" : "as sent");

	for (; sequence; sequence >>= READING_STEP_BITS) {
		const char *name = steps[sequence & ((1u << READING_STEP_BITS) - 1)].name;

		n += (size_t)snprintf(text + n, READING_TEXT_MAX - n, "%s%s", n ? ", " : "", name);
		if (n >= READING_TEXT_MAX)
			return slice_make(text, READING_TEXT_MAX - 1);
	}
	return slice_make(text, n);
}
