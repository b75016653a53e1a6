// SPDX-License-Identifier: GPL-3.0-or-later
// text: one file as it was at one moment, with the objects that it says. Read once, never changed
// afterwards, counted by reference: a file that did not change costs nothing, and an object that turned
// invalid in a newer text lives on in the older one.
#pragma once

#include "model/objects.h"

struct kind;

struct document { // one object as it is written: a document, or an item of a List
	const struct tree *tree;
	const struct kind *kind;
	struct slice namespace, name;
	void *what;  // what was read; NULL: nothing
	bool failed; // with a finding
};

struct stranger { // somebody else's policy, that somebody may take to be in force
	struct slice group, kind;
	const char *why; // NULL: nobody would
	const struct tree *tree;
};

#define TEXT_STRANGERS_MAX 32 // of different kinds

struct text {
	uint32_t refs;
	struct arena arena;
	const char *file;
	struct document *documents; // of kinds that we know
	uint32_t count, room;
	struct stranger *strangers; // TEXT_STRANGERS_MAX, once there is one
	uint32_t stranger_count;
	struct diagnostics findings;
	bool is_template; // what objects are made of, and nothing else: it is passed over
	bool whole;	  // read to its end, and every document says what it is
	bool empty;	  // nothing but blanks and comments
	bool has_data;	  // Secrets or ConfigMaps, which policies may name
	bool uses_data;	  // a policy names one
	bool read_ours;
};

// Parses, finds out what there is, and reads Kubernetes' own kinds. bytes are copied as far as they
// are needed. ERR_NOMEM.
enum err must_check text_new(const char *file, struct slice bytes, struct text **out);
// Our kinds: their values may lie in Secrets and ConfigMaps of the model. Once.
void text_read_ours(struct text *t, struct model *m);
void text_ref(struct text *t);
void text_unref(struct text *t); // NULL is allowed
// Of the text's documents those of our group, or the others: into the model. Duplicates are findings.
// left (may be NULL) hears of every document that has a name and could not be read.
typedef enum err text_left_fn(void *context, struct model *m, const struct document *d,
			      struct text *t);
enum err must_check text_add(struct text *t, bool ours, struct model *m, struct diagnostics *d,
			     text_left_fn *left, void *context);
struct object text_object(struct text *t, const struct document *d);
