// SPDX-License-Identifier: GPL-3.0-or-later
// recheck: what becomes of an exchange when its worker goes by a newer snapshot. It follows to it, and
// what was let in is asked again, with as much as is still known: of a request that was judged only the
// connection is (who, whence, which port), so such a one ends where no request at all could pass.
#pragma once

#include "path/exchange.h"

enum recheck_question {
	RECHECK_NOTHING = 0, // nothing is let in by us, or whatever comes next is asked anyhow
	RECHECK_CONNECTION,  // bytes that nobody has read: a policy that reads requests ends it
	RECHECK_AT_BEST,     // a request was judged; it, or what it was upgraded to, is under way
};

// Pure: by what the exchange says of itself.
enum recheck_question recheck_question(const struct exchange *x);
void recheck_exchange(struct exchange *x);
