// SPDX-License-Identifier: GPL-3.0-or-later
// The whole way of a user's text: bytes ▶ trees ▶ objects ▶ effective policies ▶ sections ▶ the snapshot that
// a node would link. Whatever the text, what policy-sync compiles has to be what a node accepts:
// the only excuse is a finding.
#include <stdlib.h>
#include "compile/compile.h"
#include "core/snapshot.h"
#include "model/load.h"

#define TEXT_BYTES_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void link_sections(const struct compiled *c, bool findings)
{
	struct snapshot_section *sections[SNAPSHOT_SECTIONS_MAX] = {0};
	struct snapshot *s = NULL;
	struct reason why = {0};
	uint32_t n = 0;
	enum err err = ERR_OK;

	for (; n < c->count && err == ERR_OK; n++) {
		// A digest is not looked at here: who fetches sections does that.
		struct section_ref ref = {.name = c->sections[n].name,
					  .bytes = (uint32_t)c->sections[n].bytes.len};

		err = snapshot_section_new(ref, c->sections[n].bytes, &sections[n], &why);
	}
	if (err == ERR_OK)
		err = snapshot_new((struct generation){1, 1}, sections, n, SLICE_LIT("n1"), &s,
				   &why);
	if (err != ERR_OK && !findings)
		abort(); // policy-sync was content, every node would refuse
	snapshot_free(s);
	for (uint32_t i = 0; i < c->count; i++)
		snapshot_section_unref(sections[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct compiled *c = NULL;
	struct diagnostics d;
	struct model *m;
	struct buf printed;

	if (size > TEXT_BYTES_MAX)
		return 0;
	m = model_new();
	if (!m)
		abort();
	diagnostics_init(&d);
	load_text(m, "fuzz.yaml", slice_make(data, size), &d);
	if (compile_model(m, &d, &c) == ERR_OK)
		link_sections(c, d.errors > 0);
	buf_init_growing(&printed, 16u << 20);
	diagnostics_print(&d, &printed);
	buf_deinit(&printed);
	compiled_free(c);
	model_free(m);
	diagnostics_deinit(&d);
	return 0;
}
