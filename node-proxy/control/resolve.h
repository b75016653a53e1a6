// SPDX-License-Identifier: GPL-3.0-or-later
// resolve: HOST:PORT to an address, without holding up the thread that asks: getaddrinfo(3) may
// take as long as a broken DNS server likes, so it runs on a thread of its own that can be
// abandoned.
#pragma once

#include "common/addr.h"

#define RESOLVE_HOST_MAX 254

struct resolve_target {
	char host[RESOLVE_HOST_MAX];
	uint16_t port;
};

// "name:port", "192.0.2.1:port", "[2001:db8::1]:port". ERR_MALFORMED.
enum err must_check resolve_parse(struct slice text, struct resolve_target *out);

struct resolve_job;

// Starts; addresses need no look-up but come the same way. ERR_NOMEM, ERR_IO.
enum err must_check resolve_start(const struct resolve_target *target, struct resolve_job **out);
// Readable when the answer is there.
int resolve_fd(const struct resolve_job *j);
// ERR_AGAIN: not yet; ERR_NOT_FOUND: no such name.
enum err must_check resolve_result(const struct resolve_job *j, struct addr_port *out);
// Also while it runs.
void resolve_end(struct resolve_job *j);
