// SPDX-License-Identifier: GPL-3.0-or-later
// pressure: what queued bytes may cost this worker, and who gives way. Marks and windows are shares of what is
// still free (dynamic thresholds, as switches manage buffers): a few legs get all they want, ten thousand
// stalled ones a chunk each, and there is no cliff between. When chunks are nearly used up
// all the same, the largest holders are reset ("overloaded"): never the tunnel, never those that hold little.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct worker;

// Where a leg has to stop its source: mark, or less.
uint32_t pressure_mark(const struct worker *w, uint32_t mark);
// How much one receive may bring while legs have to be held short; 0: as much as comes.
uint32_t pressure_receive_max(const struct worker *w);
// So many connections that each has to do with little of the kernel's memory.
bool pressure_is_crowd(const struct worker *w);
// What a new stream is promised.
uint32_t pressure_first_window(const struct worker *w);
// What the window of a stream whose reader keeps up should be now: twice as much, or less.
uint32_t pressure_next_window(const struct worker *w, uint32_t window);
// At the turn's end: while chunks are nearly used up, resets those exchanges that hold the most.
void pressure_relieve(struct worker *w);
