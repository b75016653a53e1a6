// SPDX-License-Identifier: GPL-3.0-or-later
// Which limits select a request, and what they say; see decide_limits.h. Buckets: core/ratelimit.c.
#include "decide/decide_limits.h"

#include "common/hash.h"
#include "core/match.h"

// What a limit selects by and cannot be read counts as selected: nobody escapes a limit by being
// unreadable.
static bool limit_headers_fit(const struct ss_limit *l, const struct policy_input *in)
{
	for (uint32_t i = 0; in->header && i < l->header_count; i++) {
		const struct ss_header_match *m = &l->headers[i];
		bool any = m->value_count == 0;
		struct slice value;

		if (!in->header(in->headers, m->name, &value))
			return false;
		for (uint32_t k = 0; k < m->value_count && !any; k++)
			any = slice_eq(m->values[k], value);
		if (!any)
			return false;
	}
	return true;
}

// As rules are: the limit's path and the request's are read in the same way.
static bool limit_reading_fits(const struct ss_path_match *m, const struct path_reading *r)
{
	uint8_t text[PATH_BYTES_MAX], spare[PATH_BYTES_MAX];
	struct ss_path_match as = *m;

	if (path_match(m, r->path))
		return true;
	if (r->steps == 0 || path_form(m->value) != PATH_ODD)
		return false;
	as.value = reading_apply(r->steps, m->value, text, spare);
	return path_match(&as, r->path);
}

static bool limit_path_fits(const struct ss_limit *l, const struct policy_input *in)
{
	struct path_reading plain = {in->path, 0};
	const struct path_readings one = {&plain, 1}, *all = in->readings ? in->readings : &one;

	if (l->path_count == 0 || in->path.len == 0)
		return true;
	for (uint32_t i = 0; i < l->path_count; i++) {
		for (uint32_t k = 0; k < all->count; k++) {
			if (limit_reading_fits(&l->paths[i], &all->list[k]))
				return true;
		}
	}
	return false;
}

static bool limit_fits(const struct limit *l, const struct policy_input *in)
{
	const struct ss_limit *r = &l->record;
	bool method = r->method_count == 0 || in->method.len == 0;

	for (uint32_t i = 0; i < r->method_count && !method; i++)
		method = slice_eq(r->methods[i], in->method);
	return method && limit_path_fits(r, in) &&
	       (r->client_cidr_count == 0 || cidr_set_contains(l->clients, in->client)) &&
	       limit_headers_fit(r, in);
}

// Whose address it is: pods and nodes have one each, and the pods of a node share a /64. Outside, a /64 is
// one subscriber's, who has 2^64 addresses to change between.
static struct addr limit_client(const struct snapshot *s, struct addr client)
{
	if (addr_is_v4(client) || snapshot_workload_by_addr(s, client) ||
	    snapshot_node_by_addr(s, client))
		return client;
	memset(client.bytes + 8, 0, 8);
	return client;
}

// The numbers belong to the key: a limit that was edited starts anew, where the old one's debts (a
// day's, perhaps) would be counted in the new one's intervals.
static uint64_t limit_key(const struct decide_context *c, const struct ss_limit *l,
			  const struct policy_input *in)
{
	uint64_t numbers[] = {l->requests, l->unit_s, l->burst};
	uint64_t key = hash_bytes(l->id, ratelimit_seed(c->limits));

	key = hash_bytes(slice_make(numbers, sizeof(numbers)), key);
	if (l->key == LIMIT_KEY_CLIENT_ADDR) {
		struct addr client = limit_client(c->snapshot, in->client);

		key = hash_bytes(slice_make(client.bytes, sizeof(client.bytes)), key);
	}
	return key;
}

static void limit_refuse(const struct ss_limit *l, const struct ratelimit_verdict *v,
			 struct decision *out)
{
	out->verdict = VERDICT_LIMITED;
	out->reason = DECIDE_RATE_LIMIT;
	out->policy = l->policy;
	out->rule = l->rule;
	out->target = (struct slice){0};
	out->retry_after_ns = v->retry_after_ns;
}

bool decide_limits_read_paths(const struct decide_context *c, const struct ss_policy *p,
			      bool shadow_too)
{
	for (uint32_t i = 0; i < p->limit_count; i++) {
		const struct limit *one = snapshot_limit(c->snapshot, p->limit_ids[i]);

		if (one && one->record.path_count > 0 && (shadow_too || !one->record.shadow))
			return true;
	}
	return false;
}

static enum limits_turn limit_turn(const struct ss_limit *l)
{
	return l->key == LIMIT_KEY_CLIENT_ADDR ? LIMITS_OF_ADDRESS : LIMITS_SHARED;
}

static void limit_note(struct decide_limits *l, const struct limit *one, uint64_t key)
{
	l->list[l->count++] = (struct limit_use){one, key};
	l->of_turn[limit_turn(&one->record)]++;
}

bool decide_limits_find(struct decide_limits *l, const struct decide_context *c,
			const struct ss_policy *p, const struct policy_input *in,
			struct decision *out)
{
	*l = (struct decide_limits){.context = c};
	if (!c->limits || p->limit_count == 0)
		return true;
	l->list = arena_alloc(c->arena, p->limit_count, sizeof(*l->list));
	for (uint32_t i = 0; i < p->limit_count; i++) {
		const struct limit *one = snapshot_limit(c->snapshot, p->limit_ids[i]);

		if (!l->list && one && !one->record.shadow) {
			limit_refuse(&one->record, &(struct ratelimit_verdict){0}, out);
			return false;
		}
		if (l->list && one && limit_fits(one, in))
			limit_note(l, one, limit_key(c, &one->record, in));
	}
	return true;
}

static struct ratelimit_verdict limit_charge(const struct decide_context *c,
					     const struct limit_use *u, bool take)
{
	return take ? ratelimit_take(c->limits, u->key, u->limit->rate, c->now_ns)
		    : ratelimit_ask(c->limits, u->key, u->limit->rate, c->now_ns);
}

static void limit_would_refuse(const struct ss_limit *l, struct decision *out)
{
	out->would_deny = true;
	out->audit_policy = l->policy;
	out->audit_rule = l->rule;
}

void decide_limits_unreadable(const struct decide_context *c, const struct ss_policy *p,
			      struct decision *out)
{
	for (uint32_t i = 0; i < p->limit_count && !out->would_deny; i++) {
		const struct limit *one = snapshot_limit(c->snapshot, p->limit_ids[i]);

		if (one && one->record.shadow)
			limit_would_refuse(&one->record, out);
	}
}

static bool limit_refuses(const struct ss_limit *l, const struct ratelimit_verdict *v,
			  struct decision *out)
{
	if (l->shadow) {
		if (!v->allowed && !out->would_deny)
			limit_would_refuse(l, out);
		return false;
	}
	if (out->limit_unit_s == 0 || !v->allowed || v->remaining < out->limit_remaining) {
		out->limit_requests = l->requests;
		out->limit_unit_s = l->unit_s;
		out->limit_remaining = v->remaining;
	}
	if (!v->allowed)
		limit_refuse(l, v, out);
	return !v->allowed;
}

// In the policy's order, up to the first that refuses.
static __attribute__((noinline)) bool
limits_charge(const struct decide_limits *l, enum limits_turn turn, bool take, struct decision *out)
{
	for (uint32_t i = 0; i < l->count; i++) {
		const struct limit_use *u = &l->list[i];
		struct ratelimit_verdict v;

		if (limit_turn(&u->limit->record) != turn)
			continue;
		v = limit_charge(l->context, u, take);
		if (limit_refuses(&u->limit->record, &v, out))
			return false;
	}
	return true;
}

// Most requests have no limit of a turn, and pay for none.
static bool limits_turn(const struct decide_limits *l, enum limits_turn turn, bool take,
			struct decision *out)
{
	return l->of_turn[turn] == 0 || limits_charge(l, turn, take, out);
}

bool decide_limits_ask(const struct decide_limits *l, enum limits_turn turn, struct decision *out)
{
	return limits_turn(l, turn, false, out);
}

void decide_limits_spend(const struct decide_limits *l, enum limits_turn turn)
{
	for (uint32_t i = 0; i < l->count; i++) {
		if (limit_turn(&l->list[i].limit->record) == turn)
			(void)limit_charge(l->context, &l->list[i], true);
	}
}

void decide_limits_take(const struct decide_limits *l, struct decision *out)
{
	if (limits_turn(l, LIMITS_OF_ADDRESS, true, out))
		(void)limits_turn(l, LIMITS_SHARED, true, out);
}
