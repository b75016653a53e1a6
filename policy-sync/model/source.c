// SPDX-License-Identifier: GPL-3.0-or-later
// Files, their newest texts, and the model made of them; see source.h. A load has these steps: look at all
// files, read those that changed, put the objects of all texts together, and last what is only known
// from before.
#include "model/source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "model/read.h"
#include "model/scan.h"
#include "model/source_inside.h"

// A file that is younger than this may change again without its dates telling; those file systems
// that count whole seconds show it by their zeros.
#define DATES_SETTLE_NS	       (100 * NS_PER_MS)
#define COARSE_DATES_SETTLE_NS (2000 * NS_PER_MS)

enum err source_new(const char *directory, struct source **out)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s)
		return ERR_NOMEM;
	if ((size_t)snprintf(s->directory, sizeof(s->directory), "%s", directory) >=
	    sizeof(s->directory)) {
		free(s);
		return ERR_CONFIG;
	}
	*out = s;
	return ERR_OK;
}

static void source_free_file(struct source_file *f)
{
	text_unref(f->text);
	free(f->path);
	free(f);
}

void source_free(struct source *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->count; i++)
		source_free_file(s->files[i]);
	free(s->files);
	lookup_deinit(&s->by_path);
	model_free(s->last);
	free(s);
}

void source_set_busy(struct source *s, source_busy_fn *busy, void *context)
{
	s->busy = busy;
	s->busy_context = context;
}

void source_distrust(struct source *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		s->files[i]->trusted = false;
}

// ---- looking at files --------------------------------------------------------------------------

struct source_file *source_find(const struct source *s, const char *path)
{
	uint64_t hash = hash_bytes(slice_str(path), 0);
	uint32_t at = UINT32_MAX, i;

	while (lookup_next(&s->by_path, hash, &at, &i)) {
		if (strcmp(s->files[i]->path, path) == 0)
			return s->files[i];
	}
	return NULL;
}

struct source_file *source_file(struct source *s, const char *path)
{
	struct source_file *f;

	// Files come in the order of last time, but for those that are new or gone.
	f = s->met < s->count && strcmp(s->files[s->met]->path, path) == 0 ? s->files[s->met]
									   : source_find(s, path);
	if (f)
		return f;
	if (s->count == s->room) {
		uint32_t room = s->room ? 2 * s->room : 64;
		struct source_file **grown = realloc(s->files, room * sizeof(struct source_file *));

		if (!grown)
			return NULL;
		s->files = grown;
		s->room = room;
	}
	f = calloc(1, sizeof(*f));
	if (f)
		f->path = strdup(path);
	if (!f || !f->path || lookup_put(&s->by_path, hash_bytes(slice_str(path), 0), s->count)) {
		if (f)
			source_free_file(f);
		return NULL;
	}
	s->files[s->count++] = f;
	return f;
}

static struct source_stamp source_stamp(const struct stat *st)
{
	return (struct source_stamp){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

static bool time_is(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool stamp_is(const struct source_stamp *a, const struct source_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
	       time_is(a->modified, b->modified) && time_is(a->changed, b->changed);
}

// Two changes within one tick of the file system's clock bear the same date.
static bool stamp_has_settled(const struct source_stamp *t)
{
	bool coarse = t->modified.tv_nsec == 0 && t->changed.tv_nsec == 0;
	struct timespec now, last = t->changed;
	int64_t age_ns;

	clock_gettime(CLOCK_REALTIME, &now);
	if (t->modified.tv_sec > last.tv_sec)
		last = t->modified;
	age_ns = (int64_t)(now.tv_sec - last.tv_sec) * 1000000000 + (now.tv_nsec - last.tv_nsec);
	return age_ns > (int64_t)(coarse ? COARSE_DATES_SETTLE_NS : DATES_SETTLE_NS);
}

static void source_take(struct source *s, struct source_file *f, struct text *t)
{
	s->data_changed |= t->has_data || (f->text && f->text->has_data);
	text_unref(f->text);
	f->text = t;
	f->is_new = true;
	f->unsaved = true;
	f->is_known |= (t->whole || t->is_template) && !f->written;
}

static void source_mark(struct source_file *f, const char *wrong)
{
	snprintf(f->wrong_text, sizeof(f->wrong_text), "%s", wrong);
	f->wrong = f->wrong_text;
	f->trusted = false;
}

static void source_mark_error(struct source_file *f, enum err err, int error)
{
	char wrong[sizeof(f->wrong_text)];

	snprintf(wrong, sizeof(wrong), "cannot be read: %s",
		 err == ERR_TOO_LARGE	  ? "it is larger than 64 MiB"
		 : err == ERR_UNSUPPORTED ? "it is not a regular file"
					  : strerror(error));
	source_mark(f, wrong);
}

// The content, parsed only if it says something else than before.
static enum err must_check source_parse(struct source *s, struct source_file *f, struct slice bytes,
					bool anyway)
{
	uint64_t hash[2] = {hash_bytes(bytes, 0), hash_bytes(bytes, 1)};
	struct text *t;
	enum err err;

	f->wrong = NULL;
	if (!anyway && f->text && memcmp(hash, f->hash, sizeof(hash)) == 0) {
		f->is_known |= (f->text->whole || f->text->is_template) && !f->written;
		return ERR_OK;
	}
	err = text_new(f->path, bytes, &t);
	if (err != ERR_OK)
		return err;
	// Truncated, and then? Only its removal takes away what a file said.
	if (t->empty) {
		text_unref(t);
		if (!f->written)
			source_mark(f, "is empty: its objects stay until it is removed");
		return ERR_OK;
	}
	memcpy(f->hash, hash, sizeof(hash));
	source_take(s, f, t);
	return ERR_OK;
}

// Is what was read what the file says, or somebody's work half done? Asked when all has been read.
static bool source_is_settled(const struct source *s, const struct source_file *f)
{
	struct source_stamp stamp;
	struct stat st;

	if (stat(f->path, &st) != 0)
		return false;
	stamp = source_stamp(&st);
	return stamp_is(&stamp, &f->stamp) && !(s->busy && s->busy(s->busy_context, &st));
}

// Nobody gets a read lease of a file that somebody has open to write. Where leases cannot be had (another's
// file, a file system without them), events alone tell.
static bool source_has_writer(const struct source_file *f)
{
	int fd = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool written;

	if (fd < 0)
		return false;
	fcntl(fd, F_SETSIG,
	      SIGURG); // whoever opens it at this moment breaks the lease: nobody need hear of it
	written = fcntl(fd, F_SETLEASE, F_RDLCK) != 0 && errno == EAGAIN;
	close(fd);
	return written;
}

static enum err must_check source_read(struct source *s, struct source_file *f, bool anyway)
{
	struct buf b;
	enum err err;

	buf_init_growing(&b, SOURCE_FILE_BYTES_MAX);
	err = file_read(f->path, SOURCE_FILE_BYTES_MAX, &b);
	if (err == ERR_NOT_FOUND) {
		f->round--; // between looking and reading: the next event tells
		err = ERR_OK;
	} else if (err != ERR_OK) {
		source_mark_error(f, err, errno);
		err = ERR_OK;
	} else if (source_is_settled(s, f)) {
		f->written = source_has_writer(f);
		f->trusted &= !f->written;
		err = source_parse(s, f, buf_slice(&b), anyway);
	} else {
		f->trusted = false; // it counts as it was, until its writer is done
		s->unsettled = true;
	}
	buf_deinit(&b);
	return err;
}

static enum err source_on_file(void *context, const char *path, const struct stat *st,
			       const char *wrong)
{
	struct source *s = context;
	struct source_file *f = source_file(s, path);
	struct source_stamp stamp;

	if (!f)
		return ERR_NOMEM;
	f->round = s->round;
	f->place = s->met++;
	if (wrong) {
		source_mark(f, wrong);
		return ERR_OK;
	}
	stamp = source_stamp(st);
	if (f->trusted && stamp_is(&stamp, &f->stamp))
		return ERR_OK;
	f->stamp = stamp;
	f->trusted = stamp_has_settled(&stamp);
	return source_read(s, f, false);
}

static int source_by_place(const void *a, const void *b)
{
	const struct source_file *x = *(struct source_file *const *)a;
	const struct source_file *y = *(struct source_file *const *)b;

	return x->place < y->place ? -1 : x->place > y->place;
}

// Files that were not met this time are gone; those that are left lie in the order of the scan.
static enum err must_check source_forget_files(struct source *s)
{
	uint32_t kept = 0, before = s->count;
	bool moved = false;
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < s->count; i++) {
		struct source_file *f = s->files[i];

		if (f->round == s->round) {
			moved |= kept > 0 && s->files[kept - 1]->place > f->place;
			s->files[kept++] = f;
			continue;
		}
		s->data_changed |= f->text && f->text->has_data;
		source_forget(s, f);
		source_free_file(f);
	}
	s->count = kept;
	if (!moved && kept == before)
		return ERR_OK;
	if (moved)
		qsort(s->files, kept, sizeof(struct source_file *), source_by_place);
	lookup_deinit(&s->by_path);
	for (uint32_t i = 0; i < s->count && err == ERR_OK; i++)
		err = lookup_put(&s->by_path, hash_bytes(slice_str(s->files[i]->path), 0), i);
	return err;
}

static enum err must_check source_look(struct source *s)
{
	struct reason why = {0};
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < s->count; i++)
		s->files[i]->is_new = false;
	// Without somebody who says when to look again, a file that is being written is looked at again now.
	s->unsettled = true;
	for (int tries = 0; err == ERR_OK && s->unsettled && tries < (s->busy ? 1 : 3); tries++) {
		s->round++;
		s->met = 0;
		s->unsettled = false;
		err = scan_directory(s->directory, source_on_file, s, &why);
	}
	if (err != ERR_OK) {
		diagnostics_add(s->diagnostics, SEVERITY_ERROR, s->directory, 0, 0, "", "%s",
				why.text[0] ? why.text : err_name(err));
		return err;
	}
	err = source_forget_files(s);
	// Key sets come from Secrets: where one changed, who uses one is read again.
	for (uint32_t i = 0; i < s->count && err == ERR_OK && s->data_changed; i++) {
		struct source_file *f = s->files[i];

		if (f->text && f->text->uses_data && !f->is_new && !f->wrong)
			err = source_read(s, f, true);
	}
	return err;
}

// ---- the model ---------------------------------------------------------------------------------

// An object that cannot be read now: the last good one of its name.
static enum err source_on_left(void *context, struct model *m, const struct document *d,
			       struct text *t)
{
	const struct source *s = context;
	struct object o = text_object(t, d);
	const struct object *last =
		s->last ? model_find(s->last, o.kind, o.namespace, o.name) : NULL;

	if (!last)
		return ERR_OK;
	// Two invalid ones of one name have one last good one.
	return model_find(m, o.kind, o.namespace, o.name) ? ERR_OK : model_add(m, last);
}

// A file that cannot be read says what it said before, but for its security policies: what they ask for
// now is not known.
static enum err must_check source_add_unreadable(struct source_file *f, bool ours, struct model *m)
{
	char why[REASON_BYTES_MAX];
	enum err err = ERR_OK;

	snprintf(why, sizeof(why), "%s %s", f->path, f->wrong);
	for (uint32_t i = 0; f->text && i < f->text->count && err == ERR_OK; i++) {
		struct object o = text_object(f->text, &f->text->documents[i]);

		if (!o.what || f->text->documents[i].kind->is_ours != ours)
			continue;
		err = model_add_broken(m, &o, why);
		if (err == ERR_EXISTS)
			err = ERR_OK;
	}
	return err;
}

static enum err must_check source_add(struct source *s, struct source_file *f, bool ours,
				      struct model *m)
{
	if (f->wrong)
		return source_add_unreadable(f, ours, m);
	return f->text ? text_add(f->text, ours, m, s->diagnostics, source_on_left, s) : ERR_OK;
}

// Objects that a file held and that are nowhere now: gone, unless the file leaves open what it holds.
static enum err must_check source_add_missing(struct source *s, struct model *m)
{
	enum err err = ERR_OK;
	bool any = false;

	for (uint32_t i = 0; i < s->count && !any; i++)
		any = s->files[i]->text && (!s->files[i]->text->whole || s->files[i]->written);
	for (uint32_t i = 0; any && s->last && i < s->last->object_count && err == ERR_OK; i++) {
		const struct object *o = &s->last->objects[i];
		const struct source_file *f = source_find(s, o->text->file);
		char why[REASON_BYTES_MAX];

		if (!f || f->wrong || !f->text || (f->text->whole && !f->written))
			continue;
		snprintf(why, sizeof(why), "%s %s", f->path,
			 f->text->whole ? "is being written" : "cannot be read whole");
		err = model_add_broken(m, o, why);
		if (err == ERR_EXISTS)
			err = ERR_OK;
	}
	return err;
}

static void source_say(struct source *s, struct model *m)
{
	for (uint32_t i = 0; i < s->count; i++) {
		const struct source_file *f = s->files[i];

		if (f->wrong)
			diagnostics_add(s->diagnostics, SEVERITY_ERROR, f->path, 0, 0, "", "%s",
					f->wrong);
		else if (f->text)
			diagnostics_append(s->diagnostics, &f->text->findings);
		m->incomplete |= !f->is_known;
	}
}

static bool is_data(enum object_kind kind)
{
	return kind == OBJECT_SECRET || kind == OBJECT_CONFIG_MAP;
}

// Objects that had vanished before and did not come back: policies that name them may be read again.
static enum err must_check source_add_vanished(struct source *s, struct model *m)
{
	bool used = false;
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < s->count && !used; i++)
		used = s->files[i]->text && s->files[i]->text->uses_data;
	for (uint32_t i = 0; used && s->last && i < s->last->object_count && err == ERR_OK; i++) {
		const struct object *o = &s->last->objects[i];

		if (o->vanished && is_data(o->kind) &&
		    !model_find(m, o->kind, o->namespace, o->name))
			err = model_add_vanished(m, o);
	}
	return err;
}

static enum err must_check source_fill(struct source *s, struct model *m)
{
	enum err err = ERR_OK;

	m->before = s->last;
	for (uint32_t i = 0; i < s->count && err == ERR_OK; i++)
		err = source_add(s, s->files[i], false, m);
	if (err == ERR_OK)
		err = source_add_vanished(s, m);
	for (uint32_t i = 0; i < s->count && err == ERR_OK; i++) {
		if (s->files[i]->text)
			text_read_ours(s->files[i]->text, m);
		err = source_add(s, s->files[i], true, m);
	}
	if (err == ERR_OK)
		err = source_add_missing(s, m);
	if (err == ERR_OK)
		err = source_add_kept(s, m);
	m->before = NULL;
	return err;
}

enum err source_load(struct source *s, struct diagnostics *d, struct model **out)
{
	struct model *m;
	enum err err;

	s->diagnostics = d;
	err = source_look(s);
	if (err != ERR_OK)
		return err;
	s->data_changed = false;
	m = model_new();
	if (!m)
		return ERR_NOMEM;
	// Ages say what came first, also where the clock was set back.
	if (s->last && m->made_unix_ms <= s->last->made_unix_ms)
		m->made_unix_ms = s->last->made_unix_ms + 1;
	err = model_reserve(m, s->last ? s->last->object_count : 0);
	if (err == ERR_OK)
		err = source_fill(s, m);
	if (err != ERR_OK) {
		diagnostics_add(d, SEVERITY_ERROR, s->directory, 0, 0, "", "%s",
				err == ERR_FULL ? "there are too many objects" : "out of memory");
		model_free(m);
		return err;
	}
	model_free(s->last);
	s->last = model_ref(m);
	source_say(s, m);
	diagnostics_sort(d);
	model_settle(m);
	*out = m;
	return ERR_OK;
}
