// SPDX-License-Identifier: GPL-3.0-or-later
// Stage enforce: the destination's L4 decision, and whether a rule has to read requests. Runs where
// the pod lives, whatever address was dialled and however the connection came.
#include "path/enforce.h"
#include "path/stages.h"
#include "path/worker.h"

void enforce_context(struct exchange *x, struct arena *scratch, struct decide_context *c)
{
	struct worker *w = x->worker;

	arena_init_fixed(scratch, w->scratch, DECIDE_SCRATCH_BYTES);
	*c = (struct decide_context){
		.snapshot = x->pin->snapshot,
		.limits = w->config.limits,
		.tokens = w->tokens,
		.arena = scratch,
		.now_ns = w->now_ns,
		.now_unix_s = w->now_unix_s,
	};
}

void enforce_input(const struct exchange *x, struct policy_input *in)
{
	*in = (struct policy_input){
		.source = &x->principal,
		.client = x->client.addr,
		.port = x->target.port,
	};
}

static void enforce_ask(struct exchange *x, struct decision *out,
			void (*decide)(const struct decide_context *, const struct decide_subject *,
				       const struct policy_input *, struct decision *))
{
	struct decide_subject subject = {.destination = x->destination, .policy = x->policy};
	struct decide_context context;
	struct policy_input in;
	struct arena scratch;

	enforce_context(x, &scratch, &context);
	enforce_input(x, &in);
	decide(&context, &subject, &in, out);
}

void enforce_connection(struct exchange *x, struct decision *out)
{
	enforce_ask(x, out, decide_connection);
}

void enforce_at_best(struct exchange *x, struct decision *out)
{
	enforce_ask(x, out, decide_at_best);
}

static enum step enforce_refuse(struct exchange *x)
{
	switch (x->decision.verdict) {
	case VERDICT_BROKEN:
		return exchange_end(x, END_POLICY_INVALID);
	case VERDICT_LIMITED:
		return exchange_end(x, END_RATE_LIMITED);
	case VERDICT_UNAUTHENTICATED:
		return exchange_end(x, END_UNAUTHENTICATED);
	case VERDICT_DENY:
	case VERDICT_ALLOW:
	case VERDICT_NEEDS_L7:
	case VERDICT_MALFORMED: // of requests
	case VERDICT_COUNT:
		break;
	}
	return exchange_end(x, END_DENIED);
}

enum step enforce_enter(struct exchange *x)
{
	if (!x->destination)
		return STEP_NEXT; // passed through: not a pod of the mesh
	x->policy = snapshot_policy_for(x->pin->snapshot, x->destination, x->target.port);
	enforce_connection(x, &x->decision);
	x->decided = true;
	if (x->decision.verdict == VERDICT_NEEDS_L7) {
		x->l7 = true;
		x->decided = false;
		return STEP_NEXT;
	}
	return x->decision.verdict == VERDICT_ALLOW ? STEP_NEXT : enforce_refuse(x);
}

enum step enforce_on_event(struct exchange *x, enum event e)
{
	return stage_default_event(x, e);
}
