// SPDX-License-Identifier: GPL-3.0-or-later
// tally: how many connections each local pod has open, over all workers of the node (connectionsPerPod). One
// atomic word a pod: a hash of who it is, and the count; a word without a count is free. No lock: two workers
// that meet a new pod at the same moment may count it in two words for a while, which lets in more, never
// fewer.
#pragma once

#include <stdatomic.h>
#include "common/slice.h"

#define TALLY_BUCKETS 1024
#define TALLY_WORDS   8 // of a bucket: as many pods at once

struct tally {
	_Atomic uint64_t words[TALLY_BUCKETS][TALLY_WORDS];
};

#define TALLY_FULL  UINT32_MAX	     // the pod has as many as it may
#define TALLY_NOONE (UINT32_MAX - 1) // not counted: the bucket is taken by others
// One more of this pod, at most max in all: its place for tally_drop, or one of the above.
uint32_t tally_add(struct tally *t, uint64_t key, uint32_t max);
void tally_drop(struct tally *t, uint32_t place);
