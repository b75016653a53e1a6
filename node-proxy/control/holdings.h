// SPDX-License-Identifier: GPL-3.0-or-later
// holdings: the sections that this node holds, and the next generation while it comes in.
// Everything that policy-sync sends is checked here: version, order, sizes, digests, that patches
// fit; what fails is refused with its reason and the held generation stays. No I/O: control/loader
// feeds it.
#pragma once

#include "common/sync_proto.h"
#include "core/snapshot.h"

struct holdings;

enum err must_check holdings_new(struct holdings **out);
void holdings_free(struct holdings *h);

// Frames, in their order: MANIFEST, SECTION and PATCH, COMMIT. After an error the rest of that
// generation is swallowed (ERR_OK). ERR_VERSION, ERR_STALE, ERR_TOO_LARGE, ERR_SIGNATURE (a digest
// differs), ERR_MALFORMED; why in one sentence.
enum err must_check holdings_receive(struct holdings *h, const struct sync_message *m,
				     struct reason *why);
// A whole generation has come in and waits for holdings_build.
bool holdings_is_complete(const struct holdings *h);
// The generation on its way, or the one that was refused last: for ACK, NACK and the log.
struct generation holdings_target(const struct holdings *h);
// Links the sections to a snapshot (the caller's) and holds them from now on. On an error the
// generation is dropped.
enum err must_check holdings_build(struct holdings *h, struct slice self, struct snapshot **out,
				   struct reason *why);
// The connection has gone: forget what was on its way.
void holdings_abandon(struct holdings *h);
// A patch did not fit what we hold: the next HELLO should name nothing, so that all comes whole.
bool holdings_has_drifted(const struct holdings *h);

// What HELLO says. refs has room for SNAPSHOT_SECTIONS_MAX.
struct generation holdings_generation(const struct holdings *h);
uint32_t holdings_refs(const struct holdings *h, struct section_ref *refs);
// Section by index < holdings_count, in order of names: for the last-good file.
uint32_t holdings_count(const struct holdings *h);
const struct snapshot_section *holdings_section(const struct holdings *h, uint32_t index);
// The last-good file's content as the held generation; nothing may be held yet. Digests are
// checked.
enum err must_check holdings_restore(struct holdings *h, struct generation g,
				     const struct section_ref *refs, const struct slice *bytes,
				     uint32_t count, struct slice self, struct snapshot **out,
				     struct reason *why);
