// SPDX-License-Identifier: GPL-3.0-or-later
// The kinds, and their rows as a page for people; see words.h.
#include "model/words.h"

#include <stdio.h>
#include "model/read.h"

#define PRINTED_PATH_MAX 160

// model/read has read these, or nobody needs them; null is what an API server makes of an unset one.
#define META(word, what)                                                                           \
	{                                                                                          \
		.name = word, .says = what, .since = "0.1"                                         \
	}
static const struct word metadata_rows[] = {
	META("name", "The object's name."),
	META("namespace", "default where it is absent."),
	META("labels", "Not read."),
	META("annotations", "Not read."),
	META("creationTimestamp", "The older of two policies counts first."),
	META("uid", "Not read."),
	META("resourceVersion", "Not read."),
	META("generation", "Not read."),
	META("generateName", "Not read."),
	META("managedFields", "Not read."),
	META("ownerReferences", "Not read."),
	META("finalizers", "Not read."),
	META("deletionTimestamp", "Not read."),
	META("deletionGracePeriodSeconds", "Not read."),
	META("selfLink", "Not read."),
};
const struct words words_metadata = WORDS(metadata_rows, 0, NULL);

const struct word_kind word_kinds[] = {
	{"SecurityPolicy", "Who may call the pods of a target.", &words_security_policy},
	{"ClusterSecurityPolicy", "The same for all of some namespaces, by the platform's team.",
	 &words_cluster_security_policy},
	{"RateLimitPolicy", "How often a target may be called.", &words_rate_limit_policy},
	{"MeshConfig", "Settings of the mesh; there is one, called default.", &words_mesh_config},
	{0},
};

static void print_choices(struct buf *out, const char *const *choices)
{
	for (int i = 0; choices[i]; i++)
		buf_printf(out, "%s%s", i ? ", " : "", choices[i][0] ? choices[i] : "\"\"");
}

static void print_bounds(struct buf *out, const struct word *w)
{
	unsigned long long min = w->min, max = w->max;

	switch (w->type) {
	case WORD_TEXT:
		buf_printf(out, "text of at most %llu bytes", max);
		break;
	case WORD_CHOICE:
		print_choices(out, w->choices);
		break;
	case WORD_NUMBER:
		buf_printf(out, "%llu to %llu", min, max);
		break;
	case WORD_BOOL:
		buf_put_str(out, "true or false");
		break;
	case WORD_DURATION:
		buf_printf(out, "duration such as 10s, %llums to %lluh", min, max / 3600000);
		break;
	case WORD_CIDR:
		buf_put_str(out, "network in CIDR form");
		break;
	case WORD_LABELS:
		buf_put_str(out, "labels");
		break;
	case WORD_MAP:
		buf_put_str(out, "map");
		break;
	case WORD_ANY:
		break;
	}
}

// "Only with `kind` Service."
static void print_with(struct buf *out, const struct words *all, const struct word *w)
{
	const struct word *with = w->with ? words_find(all, slice_str(w->with)) : NULL;
	const char *before = "";

	if (!with)
		return;
	buf_printf(out, " Only with `%s` ", w->with);
	for (uint32_t i = 0; with->choices[i]; i++) {
		if (!(w->with_choices & (1u << i)))
			continue;
		buf_printf(out, "%s%s", before, with->choices[i]);
		before = " or ";
	}
	buf_put_str(out, ".");
}

static void print_word(struct buf *out, const struct words *all, const struct word *w,
		       const char *path)
{
	buf_printf(out, "| `%s` | ", path);
	print_bounds(out, w);
	if (w->list)
		buf_printf(out, "; 1 to %u of them", w->entries);
	buf_printf(out, " | %s", w->required ? "required" : "");
	if (w->may_be_empty)
		buf_printf(out, "%smay be empty", w->required ? ", " : "");
	buf_printf(out, " | %s | %s", w->since ? w->since : "not yet", w->says);
	print_with(out, all, w);
	if (w->rival)
		buf_printf(out, " Not beside `%s`.", w->rival);
	if (w->choices_later) {
		buf_put_str(out, " Not yet: ");
		print_choices(out, w->choices_later);
		buf_put_str(out, ".");
	}
	buf_put_str(out, " |\n");
}

// Maps inside maps, as deep as the rows are.
static void print_rows(struct buf *out, const struct words *all, const char *path)
{
	for (uint32_t i = 0; i < all->count; i++) {
		const struct word *w = &all->list[i];
		char below[PRINTED_PATH_MAX];

		snprintf(below, sizeof(below), "%s%s%s%s", path, path[0] ? "." : "", w->name,
			 w->list ? "[]" : "");
		print_word(out, all, w, below);
		if (w->members && w->members != &words_metadata)
			print_rows(out, w->members, below);
	}
}

void words_print(struct buf *out)
{
	buf_put_str(
		out,
		"# Reference\n\n"
		"Every member that may be written in an object of "
		"`policy.portcullis.dev/v1alpha1`; "
		"`policy-sync reference` prints this page\nfrom the rows by which objects are "
		"read. What is not here, what is null or empty (unless it may be), what stands "
		"beside\nwhat it excludes, and what is not enforced yet, is an error in its own "
		"line: the targets of a SecurityPolicy or a\nClusterSecurityPolicy then refuse, of "
		"the other kinds the last good one stays.\n");
	for (const struct word_kind *k = word_kinds; k->name; k++) {
		buf_printf(out,
			   "\n## %s\n\n%s\n\n| member | holds | | since | means |\n"
			   "|---|---|---|---|---|\n",
			   k->name, k->says);
		print_rows(out, k->words, "");
	}
}
