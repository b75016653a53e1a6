// SPDX-License-Identifier: GPL-3.0-or-later
// publish: hands immutable things to every worker and frees them when the last has let go:
// snapshots (at most three generations live), link tables, credentials. Build ▶ publish ▶ wait for
// the readers ▶ free; no reader takes a lock. Used by one thread, the loader's. The workers' side
// is path/inbox.
#pragma once

#include "core/snapshot.h"
#include "path/inbox.h"

// The one in force, the one before it that exchanges still stand on, and one on its way.
#define PUBLISH_SNAPSHOTS_MAX 3

struct publisher;

// workers are borrowed and outlive the publisher. ERR_NOMEM, ERR_IO.
enum err must_check publisher_new(struct inbox *const *workers, uint32_t count,
				  struct publisher **out);
// Frees everything: only when the workers have ended.
void publisher_free(struct publisher *p);
// Readable: workers have adopted or released something; call publisher_collect.
int publisher_fd(const struct publisher *p);
void publisher_collect(struct publisher *p);

// Take their object over, also on failure. ERR_FULL (snapshots only): three generations are live;
// wait for publisher_fd and build again from the newest sections then.
bool publisher_has_room(const struct publisher *p);
enum err must_check publish_snapshot(struct publisher *p, struct snapshot *s);
enum err must_check publish_links(struct publisher *p, struct links *l);
// Takes the references.
enum err must_check publish_credentials(struct publisher *p,
					const struct inbox_credentials *credentials);

// The newest snapshot that was published (borrowed until the next is), or NULL.
const struct snapshot *publisher_snapshot(const struct publisher *p);
// Newest generation that every worker goes by; zero before the first.
struct generation publisher_adopted(const struct publisher *p);
// Does every worker use the credentials that were published last?
bool publisher_credentials_adopted(const struct publisher *p);
uint32_t publisher_snapshots_live(const struct publisher *p);
