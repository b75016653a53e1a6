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

// What was passed through was nobody's of ours. Is it now? Then it is asked as if it had been: here also about
// a pod of another node, where its bytes come without a name.
static void recheck_adopt(struct exchange *x)
{
	const struct snapshot *s = x->pin->snapshot;
	const struct workload *to;

	if (x->destination || !x->local)
		return; // what it goes to is known, or has not been looked for yet
	to = snapshot_workload_by_addr(s, x->target.addr);
	if (!to || !to->record.enrolled)
		return;
	x->destination = to;
	x->policy = snapshot_policy_for(s, to, x->target.port);
	x->decided = true;
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
	recheck_adopt(x);
	recheck_decision(x);
}
