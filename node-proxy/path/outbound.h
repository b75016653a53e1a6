// SPDX-License-Identifier: GPL-3.0-or-later
// Entry of captured connections into the data path.
#pragma once

struct worker;

// Takes over an accepted descriptor.
void outbound_capture(struct worker *w, int fd);
