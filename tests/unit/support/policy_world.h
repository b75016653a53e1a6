// SPDX-License-Identifier: GPL-3.0-or-later
// One pod, one caller, one request: what the policy tests ask about.
#pragma once

#include "core/policy.h"
#include "support/token.h"

struct world {
	struct arena arena;
	struct principal source;
	struct policy_input in;
	struct jwt token;
	struct slice header_name, header_value;
};

static inline bool world_header(const void *headers, struct slice name, struct slice *value)
{
	const struct world *w = headers;

	*value = w->header_value;
	return w->header_name.len > 0 && slice_eq(name, w->header_name);
}

static inline int setup(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	arena_init(&w.arena, 1u << 22);
	w.source = (struct principal){
		.type = PRINCIPAL_WORKLOAD,
		.trust_domain = SLICE_LIT("td"),
		.namespace = SLICE_LIT("y"),
		.service_account = SLICE_LIT("x"),
	};
	w.in = (struct policy_input){
		.source = &w.source,
		.client = addr_from_v4(0x0a010203),
		.port = 8080,
		.l7 = true,
		.method = SLICE_LIT("GET"),
		.path = SLICE_LIT("/a/b"),
		.host = SLICE_LIT("shop.example"),
		.headers = &w,
		.header = world_header,
	};
	*state = &w;
	return 0;
}

static inline int teardown(void **state)
{
	struct world *w = *state;

	arena_deinit(&w->arena);
	return 0;
}

static inline struct policy_answer ask(struct world *w, const struct ss_policy *p)
{
	const struct policy *compiled = NULL;
	struct policy_answer answer;

	assert_int_equal(policy_compile(p, &w->arena, &compiled), ERR_OK);
	assert_ptr_equal(policy_source(compiled), p);
	policy_evaluate(compiled, &w->in, &answer);
	return answer;
}

static inline struct ss_rule rule_of(const char *name, enum rule_action action)
{
	return (struct ss_rule){
		.policy = SLICE_LIT("SecurityPolicy/shop/p"),
		.name = slice_str(name),
		.action = action,
		.groups = 1,
	};
}

static inline struct ss_policy policy_of(struct ss_rule *rules, uint32_t count,
					 enum rule_action fallback)
{
	static struct ss_group groups[2];

	groups[0] = (struct ss_group){.target = SLICE_LIT("Namespace/shop"),
				      .default_action = fallback,
				      .default_policy = SLICE_LIT("SecurityPolicy/shop/p")};
	return (struct ss_policy){
		.needs_l7 = true,
		.groups = groups,
		.group_count = 1,
		.rules = rules,
		.rule_count = count,
	};
}
