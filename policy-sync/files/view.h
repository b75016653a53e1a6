// SPDX-License-Identifier: GPL-3.0-or-later
// Typed reading of a tree, with findings that name file, line and field path. A view is a place in a
// document; readers return false (and say why) where what stands there is not what the field may hold.
// Absent is not an error here: required fields are asked for by view_require.
#pragma once

#include "common/addr.h"
#include "files/tree.h"

#define VIEW_PATH_MAX	256
#define VIEW_ABSENT_MAX 4

struct view {
	const struct tree *tree;   // NULL: absent
	const struct tree *parent; // the nearest that is there
	const struct tree *root;   // where paths begin
	const char *file;
	struct diagnostics *diagnostics;
	struct arena *arena; // of what is read
	bool *failed;	     // set at the first error of the object
	// Keys from parent to what is absent; more are not told apart.
	const char *absent[VIEW_ABSENT_MAX];
	uint8_t absent_count;
};

struct view view_root(const struct tree *document, const char *file, struct arena *a,
		      struct diagnostics *d, bool *failed);
// key is borrowed.
struct view view_get(const struct view *v, const char *key);
// Children of a list (or a map's values), one by one: start with the list's view_first.
struct view view_first(const struct view *list);
struct view view_next(const struct view *list, const struct view *item, uint32_t *index);
// "spec.rules[1].action", made only where somebody has to read it.
char *view_path(const struct view *v, char out[VIEW_PATH_MAX]);
static inline bool view_present(const struct view *v)
{
	return v->tree && v->tree->kind != TREE_NULL;
}

void view_error(const struct view *v, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void view_warn(const struct view *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Neither wrong nor in doubt: what is passed over.
void view_note(const struct view *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Kinds of ours are strict: a key that is not in the NULL-terminated list is a typo.
void view_only(const struct view *map, const char *const *keys);
bool view_require(const struct view *v, enum tree_kind kind);

bool view_text(const struct view *v, struct slice *out); // any scalar
// A text that the snapshot bounds: longer is an error here, not a refused snapshot on every node.
bool view_short_text(const struct view *v, size_t bytes_max, struct slice *out);
bool view_bool(const struct view *v, bool *out);
bool view_number(const struct view *v, uint64_t min, uint64_t max, uint64_t *out);
bool view_addr(const struct view *v, struct addr *out);
bool view_cidr(const struct view *v, struct cidr *out);
// One of NULL-terminated words; *out is its index.
bool view_word(const struct view *v, const char *const *words, int *out);
// A list of texts into the arena.
bool view_texts(const struct view *v, uint32_t max, struct slice **out, uint32_t *count);
// "10s", "1h30m" (GEP-2257) in milliseconds.
bool view_duration_ms(const struct view *v, uint64_t *out);
