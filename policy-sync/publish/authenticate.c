// SPDX-License-Identifier: GPL-3.0-or-later
// Node tokens from a directory. One file is read and one digest compared, in constant time, however many
// nodes there are: a stranger must not buy work with wrong tokens, nor learn whose a stolen one is.
#include "publish/authenticate.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "io/crypto.h"

#define NODE_NAME_MAX	253
#define TOKEN_BYTES_MIN 16 // a guessable token is a configuration fault

struct authenticate_directory {
	struct authenticator base; // first member
	char path[256];
};

bool authenticate_is_node_name(struct slice name)
{
	if (name.len == 0 || name.len > NODE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (word)
			continue;
		if ((c != '-' && c != '.') || i == 0 || i + 1 == name.len)
			return false;
		if (c == '.' && name.ptr[i - 1] == '.')
			return false;
	}
	return true;
}

// sha256 of a node's token. ERR_NOT_FOUND; ERR_CONFIG: too short or too long.
static enum err must_check authenticate_digest(const struct authenticate_directory *d,
					       struct slice node, uint8_t out[32])
{
	uint8_t token[AUTHENTICATE_TOKEN_MAX];
	char path[PATH_MAX];
	struct slice text;
	struct buf b;
	enum err e;

	snprintf(path, sizeof(path), "%s/%.*s", d->path, SLICE_ARG(node));
	buf_init_fixed(&b, token, sizeof(token));
	e = file_read(path, sizeof(token), &b);
	if (e)
		return e == ERR_NOT_FOUND ? e : ERR_CONFIG;
	text = buf_slice(&b);
	while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
		text.len--;
	e = text.len < TOKEN_BYTES_MIN ? ERR_CONFIG : ERR_OK;
	crypto_sha256(text, out);
	explicit_bzero(token, sizeof(token));
	return e;
}

static void authenticate_check(struct authenticator *a, struct slice node, struct slice token,
			       uint64_t id, authenticate_answer answer, void *context)
{
	const struct authenticate_directory *d = (struct authenticate_directory *)a;
	uint8_t expected[32], presented[32];
	enum err e;

	if (!authenticate_is_node_name(node)) {
		answer(context, id, ERR_NOT_FOUND, "not a node name");
		return;
	}
	e = authenticate_digest(d, node, expected);
	if (e) {
		answer(context, id, e,
		       e == ERR_NOT_FOUND ? "no token is known for this node"
					  : "the node's token file cannot be used");
		return;
	}
	crypto_sha256(token, presented);
	if (crypto_equal(slice_make(expected, 32), slice_make(presented, 32)))
		answer(context, id, ERR_OK, "");
	else
		answer(context, id, ERR_DENIED, "wrong token");
}

static void authenticate_free(struct authenticator *a)
{
	free(a);
}

enum err authenticate_new_directory(const char *directory, struct authenticator **out)
{
	struct authenticate_directory *d = calloc(1, sizeof(*d));

	if (!d)
		return ERR_NOMEM;
	if ((size_t)snprintf(d->path, sizeof(d->path), "%s", directory) >= sizeof(d->path)) {
		free(d);
		return ERR_CONFIG;
	}
	d->base.check = authenticate_check;
	d->base.free = authenticate_free;
	*out = &d->base;
	return ERR_OK;
}
