// SPDX-License-Identifier: GPL-3.0-or-later
// read_back: what was compiled, read as every node will read it, before anybody is told of it: each section
// decoded, all of them linked. Sections that did not change are those of last time.
#pragma once

#include "compile/compile.h"
#include "core/snapshot.h"

struct read_back;

enum err must_check read_back_new(struct read_back **out);
void read_back_free(struct read_back *r); // NULL is allowed
// Anything but ERR_OK: nodes would refuse it, and why says what for.
enum err must_check read_back_check(struct read_back *r, const struct compiled *c,
				    struct reason *why);
