// SPDX-License-Identifier: GPL-3.0-or-later
// See recheck.h. Who calls is asked as at the beginning (identify, claim); what was decided, by decide.
#include "path/recheck.h"

#include "path/enforce.h"
#include "path/http.h"
#include "path/stages.h"
#include "path/worker.h"

enum recheck_question recheck_question(const struct exchange *x)
{
	// Its answer is queued whole; the other node decides; a stage is about to ask.
	if (x->replied || x->node || !x->destination || !x->decided)
		return RECHECK_NOTHING;
	return x->http ? RECHECK_AT_BEST : RECHECK_CONNECTION;
}

static void recheck_end(struct exchange *x, enum end_reason reason)
{
	exchange_end(x, reason);
	exchange_abort(x);
}

static bool recheck_who(struct exchange *x)
{
	if (x->kind == EXCHANGE_OUTBOUND)
		return identify_still_holds(x);
	x->check_failed = claim_still_holds(x);
	return !x->check_failed;
}

static void recheck_decision(struct exchange *x)
{
	struct decision again;

	switch (recheck_question(x)) {
	case RECHECK_NOTHING:
		return;
	case RECHECK_CONNECTION:
		enforce_connection(x, &again);
		break;
	case RECHECK_AT_BEST:
		enforce_at_best(x, &again);
		break;
	}
	if (again.verdict == VERDICT_ALLOW)
		return;
	x->decision = again;
	recheck_end(x, END_POLICY_CHANGED);
}

void recheck_exchange(struct exchange *x)
{
	enum end_reason reason = END_NONE;

	if (x->pin == x->worker->pin || x->ended)
		return;
	if (!x->pin || !exchange_repin(x, &reason)) {
		recheck_end(x, x->pin ? reason : END_NO_SNAPSHOT);
		return;
	}
	if (!recheck_who(x)) {
		recheck_end(x, END_SOURCE_GONE);
		return;
	}
	exchange_post(x, EVENT_RECHECK);
	recheck_decision(x);
}
