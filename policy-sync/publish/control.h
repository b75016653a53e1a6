// SPDX-License-Identifier: GPL-3.0-or-later
// control: STATE/control.sock (0600), by which `policy-sync ca rotate` and `status` reach the
// running server. One line in ("rotate begin", "rotate finish", "status"), text out whose first
// word is "ok" or "error". A rotation's answer waits until its step is done, or for half a minute.
#pragma once

#include "publish/server.h"

struct control;

enum err must_check control_new(struct server *server, const char *path, struct control **out,
				struct reason *why);
void control_free(struct control *c);
// A rotation step was done, or time has passed.
void control_tick(struct control *c, uint64_t now_ns);

// The caller's end: sends the line, appends the answer to out. ERR_IO with errno: nobody listens.
enum err must_check control_ask(const char *path, const char *line, struct buf *out);
