// SPDX-License-Identifier: GPL-3.0-or-later
// The access log: a thread that turns the workers' records into JSON lines, one an exchange. Field
// names follow OpenTelemetry's semantic conventions where they have one:
//   time event(exchange|would_deny|tunnel_established|tunnel_closed|tunnel_failed)
//   reporter(source|destination|both) exchange sequence protocol(http|tcp)
//   client.address client.port   who called
//   destination.address destination.port  what was dialled
//   server.address server.port   the pod that served
//   source.identity source.pod target.identity target.pod service
//   http.request.method url.path http.request.header.host http.response.status_code
//   verdict reason policy rule jwt   the decision, where one was made here
//   audit.policy audit.rule would_deny
//   end  why it ended (path/end_reason)   detail  one sentence
//   peer.node tls.group tls.cipher   of tunnels
//   duration_us bytes.received bytes.sent   seen from the client
#pragma once

#include "path/record.h"

struct accesslog;

// target: "-" standard output, "off", or a file (appended, 0640). Rings are added before start.
enum err must_check accesslog_open(const char *target, struct accesslog **out, struct reason *why);
int accesslog_event_fd(const struct accesslog *a);
void accesslog_add(struct accesslog *a, struct record_ring *ring);
enum err must_check accesslog_start(struct accesslog *a);
// Writes what is left and ends the thread.
void accesslog_close(struct accesslog *a);
// One record as a line; for tests.
struct buf;
void accesslog_format(const struct record *r, const struct slice strings[RECORD_STRINGS],
		      struct buf *out);
