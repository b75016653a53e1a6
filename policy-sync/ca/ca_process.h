// SPDX-License-Identifier: GPL-3.0-or-later
// The CA as a process of its own, forked before policy-sync has read a byte from outside. It
// holds the root keys, answers the fixed-size requests of ca_proto.h and nothing else: no
// network, no exec, no core dump, memory locked. It ends when policy-sync does.
#pragma once

#include <sys/types.h>
#include "ca/ca_proto.h"

// Forks. directory: the keys' own, 0700. In the parent: *fd is the parent's end, *pid the child.
// The child never returns. Call while the process has one thread and nothing open.
enum err must_check ca_process_start(const char *directory, int *fd, pid_t *pid);

// What the child does with one request; apart from the process for the tests' sake.
struct ca_store;
void ca_process_answer(struct ca_store *s, const struct ca_request *request, int64_t now_unix_s,
		       struct ca_reply *reply);
