// SPDX-License-Identifier: GPL-3.0-or-later
// words: what may be written in our kinds, one row a member. The rows are what reads objects (words_read), what
// the reference page is printed from (words_print), and what the generated test walks. A member that is
// unknown, null, empty, of another type, out of bounds, beside its rival or not enforced yet is one
// error, in its own line; nothing is passed over.
#pragma once

#include "files/view.h"

struct reading;

enum word_type {
	WORD_ANY = 0,  // read elsewhere, or not at all
	WORD_TEXT,     // struct slice
	WORD_CHOICE,   // an enum
	WORD_NUMBER,   // an unsigned integer of any width
	WORD_BOOL,     // bool
	WORD_DURATION, // uint32_t, milliseconds
	WORD_CIDR,     // struct cidr
	WORD_LABELS,   // struct labels
	WORD_MAP,      // a struct inside the object, or the object itself
};

// What only the whole value says. object: the struct that the row's offsets count from; value: in it.
// False: with a finding.
typedef bool word_check(const struct reading *r, const struct view *v, void *object, void *value);

struct word {
	const char *name;
	const char *says;    // what it means, for the reference
	const char *example; // in one line; maps have none
	const char *since;   // the version that enforces it; NULL: none yet, so it is refused
	enum word_type type;
	bool list;			  // of such values
	bool one_of_list;		  // a single value, kept as a list of one
	bool in_place;			  // a list of one map, whose members are the object's own
	bool required;			  // unless its rival is there, or another choice of `with`
	bool may_be_empty;		  // "", {}
	bool apart;			  // a map that is made into something else by its check
	uint64_t min, max;		  // of a number, of a duration in ms; bytes of a text
	uint32_t entries;		  // of a list at most
	const char *const *choices;	  // NULL-terminated
	const char *const *choices_later; // those not enforced yet
	uint32_t first;			  // the number of the first choice
	uint32_t absent;		  // the number where it is not written
	const struct words *members;	  // of a map
	const char *rival;		  // may not stand beside it
	const char *with;		  // a choice beside it, and with which of its words it goes
	uint32_t with_choices;		  // bits, from the first
	uint16_t at, count_at, width;	  // where it is put
	word_check *check;		  // a value, each one of a list
	word_check *check_list;		  // the whole list; value: its first
};

// The members of one map.
struct words {
	const struct word *list;
	uint32_t count;
	size_t bytes;	  // of the struct
	word_check *done; // when all its members are right; value NULL
};

#define WORDS(rows, struct_bytes, when_done)                                                       \
	{                                                                                          \
		.list = rows, .count = sizeof(rows) / sizeof((rows)[0]), .bytes = struct_bytes,    \
		.done = when_done                                                                  \
	}
#define WORD_AT(s, m) .at = offsetof(struct s, m), .width = sizeof(((struct s *)0)->m)
#define WORD_LIST(s, m, n, max_count)                                                              \
	.list = true, .at = offsetof(struct s, m), .count_at = offsetof(struct s, n),              \
	.width = sizeof(*((struct s *)0)->m), .entries = max_count
#define WORD_ONE(s, m, n)                                                                          \
	.one_of_list = true, .at = offsetof(struct s, m), .count_at = offsetof(struct s, n),       \
	.width = sizeof(*((struct s *)0)->m)

// What every object has beside its spec.
extern const struct words words_metadata;
// {matchLabels} into struct labels.
extern const struct words words_label_selector;
#define WORDS_OBJECT(spec_members, spec_may_be_empty)                                              \
	{.name = "apiVersion", .says = "policy.portcullis.dev/v1alpha1", .since = "0.1"},          \
		{.name = "kind", .says = "As above.", .since = "0.1"},                             \
		{.name = "metadata",                                                               \
		 .says = "As of every object.",                                                    \
		 .since = "0.1",                                                                   \
		 .type = WORD_MAP,                                                                 \
		 .members = &words_metadata},                                                      \
		{.name = "spec",                                                                   \
		 .says = "What is asked for.",                                                     \
		 .since = "0.1",                                                                   \
		 .type = WORD_MAP,                                                                 \
		 .required = true,                                                                 \
		 .may_be_empty = spec_may_be_empty,                                                \
		 .members = spec_members},                                                         \
	{                                                                                          \
		.name = "status", .says = "Not read.", .since = "0.1"                              \
	}

// A map into its struct. Every finding of its members is said; false: there was one.
bool words_read(const struct reading *r, const struct words *w, const struct view *v, void *object);
const struct word *words_find(const struct words *w, struct slice name);

// One of our kinds, from its top.
struct word_kind {
	const char *name;
	const char *says;
	const struct words *words;
};
// NULL-terminated by name.
extern const struct word_kind word_kinds[];
// All of them as a page in Markdown.
void words_print(struct buf *out);
