// SPDX-License-Identifier: GPL-3.0-or-later
// Loading without a memory; see load.h.
#include "model/load.h"

#include "model/source.h"
#include "model/text.h"

enum err load_directory(const char *directory, struct diagnostics *d, struct model **out)
{
	struct source *s;
	enum err err = source_new(directory, &s);

	if (err != ERR_OK)
		return err;
	err = source_load(s, d, out);
	source_free(s);
	return err;
}

void load_text(struct model *m, const char *file, struct slice text, struct diagnostics *d)
{
	struct text *t;
	enum err err = text_new(file, text, &t);

	if (err == ERR_OK) {
		err = text_add(t, false, m, d, NULL, NULL);
		text_read_ours(t, m);
		if (err == ERR_OK)
			err = text_add(t, true, m, d, NULL, NULL);
		diagnostics_append(d, &t->findings);
		m->incomplete |= !t->whole;
		text_unref(t);
	}
	if (err != ERR_OK)
		diagnostics_add(d, SEVERITY_ERROR, file, 0, 0, "", "%s", err_name(err));
	model_settle(m);
}
