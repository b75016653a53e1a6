// SPDX-License-Identifier: GPL-3.0-or-later
// Hand-over of listening sockets (and of the limit table) from a running process to its successor, by
// SCM_RIGHTS over a unix socket in the run directory (0600, same user only). The successor serves before
// it tells the old process to drain, so no connection finds nobody.
#pragma once

#include "common/addr.h"

#define TAKEOVER_FDS_MAX 64

enum handed_kind { HANDED_NONE = 0, HANDED_CAPTURE, HANDED_TUNNEL, HANDED_ADMIN, HANDED_LIMITS };

struct handed {
	enum handed_kind kind;
	struct addr_port at; // listeners: where it is bound
	int fd;
};

struct takeover {
	struct handed items[TAKEOVER_FDS_MAX];
	uint32_t count;
};

// The old side: a listening socket to poll. ERR_IO.
enum err must_check takeover_listen(const char *run_dir, int *fd, struct reason *why);
// It became readable: hand everything over; *peer stays open until the successor says that it
// serves (one byte, then takeover_confirmed is true) or goes away.
enum err must_check takeover_serve(int listen_fd, const struct takeover *own, int *peer);
bool takeover_confirmed(int peer);

// The new side: receive from the running process. ERR_NOT_FOUND: nobody runs there. *peer is kept for
// takeover_confirm.
enum err must_check takeover_receive(const char *run_dir, struct takeover *out, int *peer,
				     struct reason *why);
void takeover_confirm(int peer);
