// SPDX-License-Identifier: GPL-3.0-or-later
// Between source.c, source_kept.c and source_memory.c; see source.h.
#pragma once

#include <limits.h>
#include <time.h>
#include "model/source.h"
#include "model/text.h"

// By which a file is known to be the same.
struct source_stamp {
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec modified, changed;
};

struct source_file {
	char *path;
	struct source_stamp stamp;
	bool trusted;	   // the stamp
	uint64_t hash[2];  // of the content
	struct text *text; // the newest that there was to read; NULL: none yet
	const char *wrong; // why there is nothing newer to read; NULL: nothing is wrong
	char wrong_text[64];
	uint32_t round;
	bool is_new;	// the text
	bool is_known;	// it was read whole once: what it protects can be said
	uint32_t place; // in the order of the scan
	bool written;	// somebody has it open to write: what it does not say may be still to come
	bool unsaved;	// what is remembered of it is not what is known
};

struct source {
	char directory[PATH_MAX];
	source_busy_fn *busy;
	void *busy_context;
	uint32_t round;
	struct source_file **files; // in the order of the scan
	uint32_t count, room;
	struct lookup by_path;
	struct model *last; // what the last load found: what this one falls back on
	uint32_t met;	    // files of the scan under way
	bool data_changed;
	bool unsettled;			 // a file was being written
	struct diagnostics *diagnostics; // of the load under way
	char memory[PATH_MAX];		 // directory; empty: nothing is remembered over a restart
	uint64_t vanished_hash;		 // of what is remembered of objects that are gone
};

struct source_file *source_find(const struct source *s, const char *path);
// Made where it is not known. NULL: out of memory.
struct source_file *source_file(struct source *s, const char *path);
// What policies protect and what is gone: Services, their ports and endpoints, the labels of namespaces, as they
// were last. source_kept.c
enum err must_check source_add_kept(struct source *s, struct model *m);
// A Service's ports that are there, and then those of `last` that are not any more.
enum err must_check source_keep_ports(struct model *m, struct object *now,
				      const struct service_object *last);
// A file is gone for good. source_memory.c
void source_forget(struct source *s, const struct source_file *f);
