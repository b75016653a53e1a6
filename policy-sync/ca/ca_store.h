// SPDX-License-Identifier: GPL-3.0-or-later
// The roots on disk and in memory: DIR/<number>.key (0600), DIR/<number>.pem, and DIR/active, which
// names the root that signs. The rotation's stage follows from them alone, so a crash between any
// two steps finds a stage that is one of A, A+B, B. Used by the CA process only.
#pragma once

#include "ca/ca_proto.h"

struct ca_root {
	uint32_t number;
	struct x509_key key;
	int64_t not_after_unix_s;
	size_t pem_bytes;
	uint8_t pem[X509_CERT_PEM_MAX];
};

struct ca_store {
	char directory[256];
	struct ca_root roots[CA_ROOTS_MAX]; // oldest first
	uint32_t count;
	uint32_t active; // index
};

// Loads the roots, or makes the first one. why in one sentence; nothing is repaired by guessing.
enum err must_check ca_store_open(struct ca_store *s, const char *directory, int64_t now_unix_s,
				  struct reason *why);
void ca_store_wipe(struct ca_store *s);
enum ca_stage ca_store_stage(const struct ca_store *s);
// ERR_EXISTS, ERR_NOT_FOUND: not the stage for it.
enum err must_check ca_store_begin(struct ca_store *s, int64_t now_unix_s, struct reason *why);
enum err must_check ca_store_switch(struct ca_store *s, struct reason *why);
enum err must_check ca_store_finish(struct ca_store *s, struct reason *why);
