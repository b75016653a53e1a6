// SPDX-License-Identifier: GPL-3.0-or-later
// What has to be remembered between two runs, in run_dir:
//   rules.state  what was found before the first change (so that removal leaves it so) and digests
//                of what was put in (so that a verification knows it again)
//   rules.json   for node-proxy and people: is the capture in place?
//   rules.lock   one writer at a time; held by `run` as long as it lives
// run_dir belongs on a file system that a reboot empties, as the kernel's rules do.
#pragma once

#include "iptables/nftables.h"

struct state {
	enum backend backend; // auto: nothing was put in yet
	bool found_known;     // before the first change this was written down
	struct nft_inventory found;
	struct routing routing;			      // as it was put in; all zero: not yet
	uint64_t rendered[FAMILY_COUNT][TABLE_COUNT]; // of the text that was put in
	uint64_t kernel[FAMILY_COUNT][TABLE_COUNT];   // of what the host's iptables-save made of it
	uint64_t binding[FAMILY_COUNT];
};

// ERR_NOT_FOUND: there is none; out is then empty. ERR_MALFORMED.
enum err must_check state_load(const char *run_dir, struct state *out);
enum err must_check state_save(const char *run_dir, const struct state *s);
enum err must_check state_forget(const char *run_dir);

// Takes the lock, or ERR_EXISTS with the holder's process id (0: unknown) in *holder.
enum err must_check state_lock(const char *run_dir, int *fd, int *holder);

// {"verified":…,"at_unix_ms":…,"backend":"nft","error":"…"}
enum err must_check state_report(const char *run_dir, enum backend backend, const char *error);
