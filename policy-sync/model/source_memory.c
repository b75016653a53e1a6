// SPDX-License-Identifier: GPL-3.0-or-later
// What is known, over a restart: a file for each file of the directory, with the objects that the last model
// has from it, and one for those that are gone and still needed. They are objects as the API writes them
// in a List, read again by the same readers; the first line says which file it was. See source.h.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/file.h"
#include "model/read.h"
#include "model/source_inside.h"

#define MEMORY_BYTES_MAX (SOURCE_FILE_BYTES_MAX + (64u << 20))
#define SAVES_MAX	 16 // at once: each waits for the disk
#define FIRST_LINE	 "# "

// ---- objects as text ---------------------------------------------------------------------------

// As plain as it was: a number in quotes would be none.
static bool is_plain(const struct tree *t)
{
	for (size_t i = 0; i < t->text.len; i++) {
		uint8_t c = t->text.ptr[i];
		bool letter = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

		if (!letter && (i == 0 || !memchr("._/+-", c, 5)))
			return false;
	}
	return t->text.len > 0 && !t->quoted;
}

// As deep as trees may be: TREE_DEPTH_MAX.
static void put_tree(struct buf *out, const struct tree *t)
{
	bool map = t->kind == TREE_MAP;

	if (t->kind == TREE_SCALAR && is_plain(t)) {
		buf_put_slice(out, t->text);
	} else if (t->kind == TREE_SCALAR) {
		buf_put_json_string(out, t->text);
	} else if (!map && t->kind != TREE_LIST) {
		buf_put_str(out, "null");
	} else {
		buf_put_str(out, map ? "{" : "[");
		for (const struct tree *i = t->first; i; i = i->next) {
			if (i != t->first)
				buf_put_str(out, ", ");
			if (map) {
				buf_put_json_string(out, i->key);
				buf_put_str(out, ": ");
			}
			put_tree(out, i);
		}
		buf_put_str(out, map ? "}" : "]");
	}
}

// An item of a List of the API's own says nowhere what it is.
static void put_object(struct buf *out, const struct object *o)
{
	const struct tree *list = o->tree->parent ? o->tree->parent->parent : NULL;
	const struct tree *of = tree_get(list, "kind"), *version = tree_get(list, "apiVersion");
	bool said = tree_get(o->tree, "kind") || tree_get(o->tree, "apiVersion");

	if (said || !of || !version || of->text.len <= 4) {
		put_tree(out, o->tree);
		return;
	}
	buf_put_str(out, "{\"apiVersion\": ");
	buf_put_json_string(out, version->text);
	buf_put_str(out, ", \"kind\": ");
	buf_put_json_string(out, slice_make(of->text.ptr, of->text.len - 4));
	for (const struct tree *i = o->tree->first; i; i = i->next) {
		buf_put_str(out, ", ");
		buf_put_json_string(out, i->key);
		buf_put_str(out, ": ");
		put_tree(out, i);
	}
	buf_put_str(out, "}");
}

static void put_member(struct buf *out, const char *key, struct slice value)
{
	buf_printf(out, "\"%s\": ", key);
	buf_put_json_string(out, value);
}

static void put_port(struct buf *out, const struct service_port_object *p)
{
	buf_printf(out, "{\"port\": %u, \"protocol\": \"%s\", ", p->port, p->tcp ? "TCP" : "UDP");
	if (p->name.len > 0) {
		put_member(out, "name", p->name);
		buf_put_str(out, ", ");
	}
	if (p->target)
		buf_printf(out, "\"targetPort\": %u}", p->target);
	else
		put_member(out, "targetPort", p->target_name);
	buf_put_str(out, p->target ? "" : "}");
}

// A Service's part that policies cover: no text says it as a whole.
static void put_service(struct buf *out, const struct service_object *s)
{
	buf_put_str(out, "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {");
	put_member(out, "namespace", s->namespace);
	buf_put_str(out, ", ");
	put_member(out, "name", s->name);
	buf_put_str(out, "}, \"spec\": {\"selector\": {");
	for (uint32_t i = 0; i < s->selector.count; i++) {
		buf_put_str(out, i ? ", " : "");
		buf_put_json_string(out, s->selector.list[i].key);
		buf_put_str(out, ": ");
		buf_put_json_string(out, s->selector.list[i].value);
	}
	buf_put_str(out, "}, \"ports\": [");
	for (uint32_t i = 0; i < s->port_count; i++) {
		buf_put_str(out, i ? ", " : "");
		put_port(out, &s->ports[i]);
	}
	buf_put_str(out, "]}}");
}

static void put_head(struct buf *out, const char *file)
{
	buf_printf(out, FIRST_LINE "%s\n{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [",
		   file);
}

// ---- saving ------------------------------------------------------------------------------------

// of: NULL: those that are gone.
static void memory_path(const struct source *s, const char *of, char path[PATH_MAX + 32])
{
	if (of)
		snprintf(path, PATH_MAX + 32, "%s/%016llx", s->memory,
			 (unsigned long long)hash_bytes(slice_str(of), 7));
	else
		snprintf(path, PATH_MAX + 32, "%s/gone", s->memory);
}

void source_forget(struct source *s, const struct source_file *f)
{
	char path[PATH_MAX + 32];

	if (s->memory[0] == 0)
		return;
	memory_path(s, f->path, path);
	unlink(path);
}

// A part of a file: what was written of it so far, and since when each object is known.
struct memo {
	struct source_file *file; // NULL: those that are gone
	struct buf items, seen;
	uint32_t count;
};

// Of the object, and of each of its addresses.
static void put_seen(struct buf *out, const struct object *o)
{
	uint32_t count;

	(void)object_addrs(o, &count);
	buf_printf(out, "[%llu", (unsigned long long)o->seen_unix_ms);
	for (uint32_t i = 0; i < count; i++)
		buf_printf(out, ", %llu", (unsigned long long)o->addrs_seen[i]);
	buf_put_str(out, "]");
}

static void memo_add(struct memo *m, const struct object *o)
{
	if (m->count++ > 0) {
		buf_put_str(&m->items, ",\n");
		buf_put_str(&m->seen, ", ");
	}
	if (o->kind == OBJECT_SERVICE && !m->file)
		put_service(&m->items, o->what);
	else
		put_object(&m->items, o);
	put_seen(&m->seen, o);
}

static enum err must_check memo_write(struct source *s, struct memo *m)
{
	char path[PATH_MAX + 32];
	struct buf out;
	enum err e;

	buf_init_growing(&out, MEMORY_BYTES_MAX);
	put_head(&out, m->file ? m->file->path : "");
	buf_put_slice(&out, buf_slice(&m->items));
	buf_put_str(&out, "], \"metadata\": {\"seen\": [");
	buf_put_slice(&out, buf_slice(&m->seen));
	buf_put_str(&out, "]}}\n");
	e = out.err ? out.err : m->items.err ? m->items.err : m->seen.err;
	memory_path(s, m->file ? m->file->path : NULL, path);
	if (!e && !m->file && hash_bytes(buf_slice(&out), 0) == s->vanished_hash)
		path[0] = 0; // as it was
	if (!e && path[0])
		e = file_write(path, 0600, buf_slice(&out));
	if (!e && !m->file)
		s->vanished_hash = hash_bytes(buf_slice(&out), 0);
	buf_deinit(&out);
	return e;
}

// The files to be written now, with those that are gone behind them.
static uint32_t pick_files(struct source *s, struct memo memos[SAVES_MAX + 1], bool *more)
{
	uint32_t n = 0;

	*more = false;
	for (uint32_t i = 0; i < s->count; i++) {
		// A name with a line's end would not be read back.
		if (!s->files[i]->unsaved || strchr(s->files[i]->path, '\n'))
			continue;
		*more = n == SAVES_MAX;
		if (*more)
			break;
		s->files[i]->unsaved = false;
		memos[n++] = (struct memo){.file = s->files[i]};
	}
	memos[n++] = (struct memo){0};
	for (uint32_t i = 0; i < n; i++) {
		buf_init_growing(&memos[i].items, MEMORY_BYTES_MAX);
		buf_init_growing(&memos[i].seen, MEMORY_BYTES_MAX);
	}
	return n;
}

enum err source_save(struct source *s, bool *more)
{
	struct memo memos[SAVES_MAX + 1];
	enum err e = ERR_OK;
	uint32_t n;

	*more = false;
	if (s->memory[0] == 0 || !s->last)
		return ERR_OK;
	n = pick_files(s, memos, more);
	for (uint32_t i = 0; i < s->last->object_count; i++) {
		const struct object *o = &s->last->objects[i];

		if (o->vanished || o->kept)
			memo_add(&memos[n - 1], o);
		for (uint32_t k = 0; k + 1 < n && !o->vanished; k++) {
			if (strcmp(o->text->file, memos[k].file->path) == 0)
				memo_add(&memos[k], o);
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		enum err failed = memo_write(s, &memos[i]);

		e = e ? e : failed;
		buf_deinit(&memos[i].items);
		buf_deinit(&memos[i].seen);
	}
	return e;
}

// ---- reading back ------------------------------------------------------------------------------

static uint64_t take_time(struct model *m, const struct tree *t)
{
	uint64_t ms = strtoull((const char *)t->text.ptr, NULL, 10);

	if (ms > m->made_unix_ms)
		m->made_unix_ms = ms;
	return ms;
}

// A number alone, as it once was written, is the object's and all its addresses'.
static void take_object_seen(struct model *m, struct object *o, const struct tree *seen)
{
	const struct tree *t = seen->kind == TREE_LIST ? seen->first : seen;
	uint32_t count;

	if (!t || t->kind != TREE_SCALAR)
		return;
	o->seen_unix_ms = take_time(m, t);
	(void)object_addrs(o, &count);
	for (uint32_t i = 0; i < count; i++) {
		if (t != seen && t->next && t->next->kind == TREE_SCALAR)
			t = t->next;
		o->addrs_seen[i] = take_time(m, t);
	}
}

static void take_seen(struct model *m, const struct text *t)
{
	const struct tree *list = t->count > 0 && t->documents[0].tree->parent
					  ? t->documents[0].tree->parent->parent
					  : NULL;
	const struct tree *seen = tree_get(tree_get(list, "metadata"), "seen");

	if (!seen || tree_count(seen) != t->count)
		return;
	seen = seen->first;
	for (uint32_t i = 0; i < t->count; i++, seen = seen->next) {
		const struct document *d = &t->documents[i];
		struct object *o = model_get(m, d->kind->kind, d->namespace, d->name);

		if (o)
			take_object_seen(m, o, seen);
	}
}

static enum err must_check restore_file(struct source *s, struct model *m, struct text *t)
{
	struct source_file *f = source_file(s, t->file);
	struct diagnostics unheard;
	enum err e;

	if (!f)
		return ERR_NOMEM;
	diagnostics_init(&unheard);
	e = text_add(t, false, m, &unheard, NULL, NULL);
	text_read_ours(t, m);
	if (!e)
		e = text_add(t, true, m, &unheard, NULL, NULL);
	diagnostics_deinit(&unheard);
	if (e || f->text)
		return e;
	text_ref(t);
	f->text = t;
	f->is_known = true;
	return ERR_OK;
}

// After all files: what of it is there again was gone in part only.
static enum err must_check restore_gone(struct model *m, struct text *t)
{
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < t->count && !e; i++) {
		const struct document *d = &t->documents[i];
		struct object o = text_object(t, d);
		struct object *now = model_get(m, o.kind, o.namespace, o.name);

		if (!d->what || d->kind->is_ours)
			continue;
		if (now) {
			if (o.kind == OBJECT_SERVICE)
				e = source_keep_ports(m, now, d->what);
			continue;
		}
		if (o.kind == OBJECT_SERVICE)
			((struct service_object *)d->what)->gone = true;
		e = model_add_vanished(m, &o);
	}
	return e;
}

// Damage is as if nothing were remembered of it.
static enum err must_check restore_one(struct source *s, struct model *m, const char *path,
				       bool gone)
{
	struct slice all, line;
	struct text *t = NULL;
	char file[PATH_MAX];
	struct buf b;
	enum err e;

	buf_init_growing(&b, MEMORY_BYTES_MAX);
	e = file_read(path, MEMORY_BYTES_MAX, &b);
	all = buf_slice(&b);
	line = slice_make(all.ptr, slice_find(all, '\n'));
	if (e || !slice_starts(all, SLICE_LIT(FIRST_LINE)) || line.len == all.len ||
	    line.len - strlen(FIRST_LINE) >= sizeof(file)) {
		buf_deinit(&b);
		return e == ERR_NOMEM ? e : ERR_OK;
	}
	snprintf(file, sizeof(file), "%.*s", (int)(line.len - strlen(FIRST_LINE)),
		 (const char *)line.ptr + strlen(FIRST_LINE));
	e = text_new(file, all, &t);
	if (!e && t->whole && gone)
		e = restore_gone(m, t);
	else if (!e && t->whole && file[0])
		e = restore_file(s, m, t);
	if (!e && !gone)
		take_seen(m, t);
	text_unref(t);
	buf_deinit(&b);
	return e;
}

enum err source_remember(struct source *s, const char *directory)
{
	char path[PATH_MAX + 32];
	struct model *m = NULL;
	struct dirent *entry;
	enum err e;
	DIR *d;

	if ((size_t)snprintf(s->memory, sizeof(s->memory), "%s", directory) >= sizeof(s->memory))
		return ERR_CONFIG;
	e = file_make_private_directory(directory);
	d = e ? NULL : opendir(directory);
	if (!d)
		return e ? e : ERR_IO;
	m = model_new();
	e = m ? ERR_OK : ERR_NOMEM;
	while (!e && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) != 16)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		e = restore_one(s, m, path, false);
	}
	closedir(d);
	memory_path(s, NULL, path);
	if (!e)
		e = restore_one(s, m, path, true);
	if (!e && m->object_count > 0) {
		model_settle(m);
		s->last = m;
		return ERR_OK;
	}
	model_free(m);
	return e;
}

bool source_remembers(const struct source *s)
{
	return s->last != NULL;
}
