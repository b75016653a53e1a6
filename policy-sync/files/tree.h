// SPDX-License-Identifier: GPL-3.0-or-later
// YAML (or JSON, which is YAML) as a tree that remembers where everything stood. By libyaml's event
// parser; bounded in depth, nodes and bytes; aliases are refused, so that no document can grow.
#pragma once

#include "files/diagnostics.h"

#define TREE_DEPTH_MAX 64
#define TREE_NODES_MAX 4000000
#define TREE_BYTES_MAX (64u << 20)

enum tree_kind { TREE_NONE = 0, TREE_NULL, TREE_SCALAR, TREE_MAP, TREE_LIST };

struct tree {
	uint8_t kind;  // enum tree_kind
	bool quoted;   // a scalar in quotes is a string, whatever it looks like
	bool cut;      // a document that an error ended: what stands here is not all of it
	uint32_t line; // of the value; of its key where that stands in a line before
	uint32_t column;
	uint32_t index;	   // among its siblings
	struct slice key;  // in a map
	struct slice text; // scalar
	struct tree *first;
	struct tree *next;
	struct tree *parent; // NULL: a document
};

// What is still to be read of a text.
struct tree_text {
	struct slice rest;
	uint32_t line;	      // of its begin, from 0
	uint32_t nodes;	      // made so far
	struct slice stopped; // the document that an error ended, whole
};

// Every document of the text up to the first error, linked by next. Errors go to d; what stood before is
// there, the last document cut where the error was. Behind an error the next document is known by its line of
// "---", which no other text can hold: at begins there, and is empty where nothing more can be read.
// ERR_MALFORMED, ERR_UNSUPPORTED, ERR_TOO_LARGE, ERR_NOMEM.
enum err must_check tree_parse_on(struct tree_text *at, const char *file, struct arena *a,
				  struct diagnostics *d, struct tree **documents);
// A text of which nothing counts behind an error.
enum err must_check tree_parse(struct slice text, const char *file, struct arena *a,
			       struct diagnostics *d, struct tree **documents);
const struct tree *tree_get(const struct tree *map, const char *key);
uint32_t tree_count(const struct tree *t);
// How long it is as compact JSON, nearly: what an API server would have to keep.
uint64_t tree_json_bytes(const struct tree *t);
// Do both say the same, in the same order?
bool tree_equal(const struct tree *a, const struct tree *b);
