// SPDX-License-Identifier: GPL-3.0-or-later
// Asking the CA process: one question, one answer, within seconds. Used by the publisher's thread.
#pragma once

#include "ca/ca_proto.h"

// Fills in version, sends, waits for the reply and checks its sizes. The result is the reply's err;
// ERR_CLOSED or ERR_EXPIRED: the CA process has gone or hangs, and policy-sync should end.
enum err must_check ca_client_ask(int fd, struct ca_request *request, struct ca_reply *reply);
