// SPDX-License-Identifier: GPL-3.0-or-later
// rotation: when the CA's roots may move on: A ▶ A+B (everybody is told) ▶ B signs (everybody has a
// certificate by B) ▶ B. "Everybody" is every node that is connected, and every node that is not
// but still holds a certificate: its tunnels run, and it would refuse what it was never told of.
#pragma once

#include "publish/server.h"

struct rotation;

enum err must_check rotation_new(struct server *server, struct rotation **out);
void rotation_free(struct rotation *r);
// Orders, from the control socket. ERR_OK: done or under way; else why.
enum err must_check rotation_begin(struct rotation *r, uint64_t now_ns, struct reason *why);
enum err must_check rotation_finish(struct rotation *r, uint64_t now_ns, struct reason *why);
// Something may allow the next step: an acknowledgement, an installed certificate, a node gone.
void rotation_advance(struct rotation *r, uint64_t now_ns);
// Who is waited for, as a list for a person; empty: nobody.
void rotation_waits_for(const struct rotation *r, struct reason *out);
