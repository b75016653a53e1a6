// SPDX-License-Identifier: GPL-3.0-or-later
// common/snapshot_codec, section, sync_proto and core/snapshot: any bytes as a record of any kind, as a
// section, as a patch and as a frame. A section that is accepted patches to itself.
#include <stdlib.h>
#include "common/snapshot_codec.h"
#include "common/sync_proto.h"
#include "core/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void section(struct slice in, uint8_t kind)
{
	struct section_ref ref = {.name = {.kind = (enum section_kind)(kind % SECTION_KIND_COUNT)}};
	struct snapshot_section *s;
	struct snapshot *snapshot;
	struct reason why;
	struct buf patch, again;

	if (snapshot_section_new(ref, in, &s, &why) != ERR_OK)
		return;
	if (snapshot_new((struct generation){1, 1}, &s, 1, SLICE_LIT("n"), &snapshot, &why) ==
	    ERR_OK)
		snapshot_free(snapshot);
	buf_init_growing(&patch, 1u << 20);
	buf_init_growing(&again, 1u << 20);
	if (section_diff((struct slice){0}, in, &patch) != ERR_OK ||
	    section_patch((struct slice){0}, buf_slice(&patch), &again) != ERR_OK ||
	    !slice_eq(buf_slice(&again), in))
		abort();
	buf_deinit(&patch);
	buf_deinit(&again);
	snapshot_section_unref(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sync_message m;
	struct arena a;
	size_t used;

	if (size == 0)
		return 0;
	struct slice in = slice_make(data + 1, size - 1);

	section(in, data[0]);
	arena_init(&a, 1u << 22);
	if (sync_decode(in, &a, &m, &used) == ERR_OK && used > in.len)
		abort();
	arena_deinit(&a);
	return 0;
}
