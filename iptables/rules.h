// SPDX-License-Identifier: GPL-3.0-or-later
// The rule set as a thing in the kernel: a short list of pieces (routing, binding, four tables; each
// for both families) with one order, that can be checked, put in where missing, and taken away.
// apply and repair are the same act: rules_ensure.
#pragma once

#include "iptables/state.h"

struct rules {
	const struct rules_config *config; // borrowed, outlives this
	enum backend backend;		   // the host's, chosen at rules_open
	struct state state;
	int route_fd;
	int nft_fd; // -1: the kernel has no nf_tables
};

// Loads what is remembered and chooses the backend; changes nothing.
enum err must_check rules_open(const struct rules_config *c, struct rules *out, struct reason *why);
void rules_close(struct rules *r);

// ERR_OK: all in place, jumps first. ERR_NOT_FOUND: something is not, and why says what.
// ERR_EXISTS: another owns what we need. Other errors: it could not be found out.
enum err must_check rules_check(const struct rules *r, struct reason *why);

// Puts in whatever rules_check would miss, each table in one transaction, and remembers what was
// found before. *changed: the number of pieces that were put in. On failure the pieces so far stay;
// the next call goes on from there.
enum err must_check rules_ensure(struct rules *r, uint32_t *changed, struct reason *why);

// Takes away every trace of ours in either backend and leaves what was found, also when it changed
// meanwhile. Tries all pieces; the first failure is reported.
enum err must_check rules_remove(struct rules *r, struct reason *why);

// The whole set as text: what `render` and `--dry-run` print.
void rules_render(const struct rules_config *c, enum backend b, struct buf *out);
