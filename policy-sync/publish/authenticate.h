// SPDX-License-Identifier: GPL-3.0-or-later
// authenticate: is the caller the node that it says it is? One way a file: a directory of tokens
// here; Kubernetes TokenReview will be another behind the same struct, which is why the answer may
// come later and names its question by an id.
#pragma once

#include "common/err.h"
#include "common/slice.h"

#define AUTHENTICATE_TOKEN_MAX 8192

// e: ERR_OK; ERR_NOT_FOUND: no such node; ERR_DENIED: not its token. why names what was wrong, for
// the log: never the token.
typedef void (*authenticate_answer)(void *context, uint64_t id, enum err e, const char *why);

struct authenticator {
	void (*check)(struct authenticator *a, struct slice node, struct slice token, uint64_t id,
		      authenticate_answer answer, void *context);
	void (*free)(struct authenticator *a);
};

// directory/<node name> holds the node's token (a trailing newline does not count). Read at each
// check, so a changed or removed file counts at once.
enum err must_check authenticate_new_directory(const char *directory, struct authenticator **out);
// Lower-case RFC 1123 subdomain: what a node may be called, and a safe file name.
bool authenticate_is_node_name(struct slice name);
