// SPDX-License-Identifier: GPL-3.0-or-later
// compile: what levels, Services and modes make of policies (design: policy.md "What a policy protects" and
// "Order and merging"), judged by the code that decides on the nodes over a snapshot that it accepts.
#include "policy-sync/shop.h"

// The two columns of policy.md: nobody may call into shop … but y/x may call service z.
static void the_example_of_the_contract(void **state)
{
#define EXAMPLE POLICY("deny", NAMESPACE, DENY_REST) POLICY("z", SERVICE_Z, ONLY_X)
	static const struct row rows[] = {
		{"", X, Z, 8080, VERDICT_ALLOW},
		{EXAMPLE, X, Z, 8080, VERDICT_ALLOW},
		{EXAMPLE, X, Z, 9090, VERDICT_ALLOW},
		{EXAMPLE, OTHER, Z, 8080, VERDICT_DENY},
		{EXAMPLE, OUTSIDE, Z, 8080, VERDICT_DENY},
		{EXAMPLE, LONE, Z, 8080, VERDICT_DENY},
		{EXAMPLE, X, Z, 22, VERDICT_DENY}, // no port of the Service
		{EXAMPLE, X, LONE, 8080, VERDICT_DENY},
		{EXAMPLE, Z, X, 8080, VERDICT_ALLOW}, // another namespace
	};

	(void)state;
	ASK(rows);
}

static void any_deny_wins(void **state)
{
	static const struct row rows[] = {
		{POLICY("n", NAMESPACE, NOT_X) POLICY("z", SERVICE_Z, ONLY_X), X, Z, 8080,
		 VERDICT_DENY},
		{POLICY("n", NAMESPACE, ONLY_X) POLICY("z", SERVICE_Z, NOT_X), X, Z, 8080,
		 VERDICT_DENY},
		{POLICY("a", NAMESPACE, NOT_X) POLICY("b", NAMESPACE, ONLY_X), X, Z, 8080,
		 VERDICT_DENY},
		{CLUSTER("c", "overrides: {" NOT_X "}") POLICY("z", SERVICE_Z, ONLY_X), X, Z, 8080,
		 VERDICT_DENY},
		{CLUSTER("c", "defaults: {" NOT_X "}") POLICY("z", SERVICE_Z, ONLY_X), X, Z, 8080,
		 VERDICT_DENY},
		// The Service's Deny says nothing of ports that are not its own.
		{POLICY("z", SERVICE_Z, NOT_X), X, Z, 22, VERDICT_ALLOW},
	};

	(void)state;
	ASK(rows);
}

static void the_most_specific_default(void **state)
{
	static const struct row rows[] = {
		{POLICY("n", NAMESPACE, DENY_REST) POLICY("z", SERVICE_Z, ALLOW_REST), X, Z, 8080,
		 VERDICT_ALLOW},
		{POLICY("n", NAMESPACE, DENY_REST) POLICY("z", SERVICE_Z, ALLOW_REST), X, Z, 22,
		 VERDICT_DENY},
		{POLICY("n", NAMESPACE, ALLOW_REST) POLICY("z", SERVICE_Z, DENY_REST), X, Z, 8080,
		 VERDICT_DENY},
		{CLUSTER("c", "defaults: {" DENY_REST "}"), X, Z, 8080, VERDICT_DENY},
		{CLUSTER("c", "defaults: {" DENY_REST "}") POLICY("n", NAMESPACE, ALLOW_REST), X, Z,
		 8080, VERDICT_ALLOW},
		// Rules without a default stand for "and nobody else".
		{POLICY("z", SERVICE_Z, ONLY_X), OTHER, Z, 8080, VERDICT_DENY},
	};

	(void)state;
	ASK(rows);
}

static void overrides_cannot_be_weakened(void **state)
{
	static const struct row rows[] = {
		{CLUSTER("c", "overrides: {" DENY_REST "}") POLICY("n", NAMESPACE, ALLOW_REST), X,
		 Z, 8080, VERDICT_DENY},
		{CLUSTER("c", "overrides: {authorization: {defaultAction: Deny, rules: [" RULE_OF(
				      "Allow", "x") "]}}") POLICY("n", NAMESPACE, ALLOW_REST),
		 OTHER, Z, 8080, VERDICT_DENY},
		// … but tenants may ask for more.
		{CLUSTER("c", "overrides: {" ALLOW_REST "}") POLICY("n", NAMESPACE, DENY_REST), X,
		 Z, 8080, VERDICT_DENY},
		// The selector is by the namespace's labels.
		{CLUSTER("c",
			 "namespaceSelector: {matchLabels: {team: blue}}, overrides: {" DENY_REST
			 "}"),
		 X, Z, 8080, VERDICT_ALLOW},
		{CLUSTER("c",
			 "namespaceSelector: {matchLabels: {team: blue}}, overrides: {" DENY_REST
			 "}"),
		 Z, X, 8080, VERDICT_DENY},
	};

	(void)state;
	ASK(rows);
}

static void services_of_one_pod_all_agree(void **state)
{
	static const struct row rows[] = {
		{POLICY("a", SERVICE_Z, ONLY_X) POLICY("b", Z2, ONLY_X), X, Z, 8080, VERDICT_ALLOW},
		{POLICY("a", SERVICE_Z, ONLY_X) POLICY("b", Z2, DENY_REST), X, Z, 8080,
		 VERDICT_DENY},
		{POLICY("a", SERVICE_Z, ALLOW_REST) POLICY("b", Z2, ONLY_X), OTHER, Z, 8080,
		 VERDICT_DENY},
		// z2 has no port 9090.
		{POLICY("a", SERVICE_Z, ONLY_X) POLICY("b", Z2, DENY_REST), X, Z, 9090,
		 VERDICT_ALLOW},
		// The second Service says nothing: "through a second Service" opens no door.
		{POLICY("a", SERVICE_Z, ONLY_X), OTHER, Z, 8080, VERDICT_DENY},
	};

	(void)state;
	ASK(rows);
}

static void targets(void **state)
{
#define METRICS	 "kind: Service, name: z, sectionName: metrics"
#define LONE_POD "kind: Pod, selector: {matchLabels: {app: lone}}"
	static const struct row rows[] = {
		{POLICY("a", METRICS, DENY_REST), X, Z, 9090, VERDICT_DENY},
		{POLICY("a", METRICS, DENY_REST), X, Z, 8080, VERDICT_ALLOW},
		{POLICY("a", LONE_POD, DENY_REST), X, LONE, 1, VERDICT_DENY},
		{POLICY("a", LONE_POD, DENY_REST), X, Z, 8080, VERDICT_ALLOW},
	};
	// By EndpointSlice alone: a Service without a selector.
	static const struct row by_slice[] = {
		{"---\napiVersion: v1\nkind: Service\nmetadata: {name: manual, namespace: shop}\n"
		 "spec: {clusterIP: 10.96.0.9, ports: [{name: p, port: 80, targetPort: 7070}]}\n"
		 "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		 "metadata: {name: m-1, namespace: shop, labels: {kubernetes.io/service-name: "
		 "manual}}\naddressType: IPv4\nports: [{name: p, port: 7070}]\n"
		 "endpoints: [{addresses: [" LONE
		 "]}]\n" POLICY("a", "kind: Service, name: manual", DENY_REST),
		 X, LONE, 7070, VERDICT_DENY},
	};

	(void)state;
	ASK(rows);
	ASK(by_slice);
}

static void what_reads_requests_needs_them(void **state)
{
	static const struct row rows[] = {
		{POLICY("a", SERVICE_Z,
			"authorization: {defaultAction: Allow, rules: [{name: r, action: Deny, "
			"operation: {path: {type: PathPrefix, value: /admin}}}]}"),
		 X, Z, 8080, VERDICT_NEEDS_L7},
		{POLICY("a", "kind: Service, name: z, sectionName: web",
			"authorization: {defaultAction: Allow, rules: [{name: r, action: Deny, "
			"operation: {methods: [PUT]}}]}"),
		 X, Z, 9090, VERDICT_ALLOW},
		{LIMIT("l", SERVICE_Z), X, Z, 8080, VERDICT_NEEDS_L7},
		{LIMIT("l", SERVICE_Z), X, Z, 22, VERDICT_ALLOW},
		{LIMIT("l", NAMESPACE), X, LONE, 22, VERDICT_NEEDS_L7},
		// L4 rules do not.
		{POLICY("a", SERVICE_Z, ONLY_X), X, Z, 8080, VERDICT_ALLOW},
	};

	(void)state;
	ASK(rows);
}

static void limits_add_up(void **state)
{
	struct texts t;

	(void)state;
	build(&t, LIMIT("a", NAMESPACE) LIMIT("b", SERVICE_Z));
	const struct ss_policy *p = policy_source(texts_policy(&t, Z, 8080));

	assert_int_equal(p->limit_count, 2);
	assert_non_null(snapshot_limit(t.snapshot, SLICE_LIT("shop/a/r")));
	assert_non_null(snapshot_limit(t.snapshot, SLICE_LIT("shop/b/r")));
	assert_int_equal(policy_source(texts_policy(&t, LONE, 8080))->limit_count, 1);
	texts_close(&t);
}

// Where only the broken one's own rules read requests, they are read, so that they get their 500.
static void a_broken_policys_requests_are_answered(void **state)
{
	static const char *const rests[] = {
		"authorization: {rules: [{name: r, action: Maybe, operation: {paths: [{type: "
		"Exact, "
		"value: /a}]}}]}",
		"authorization: {rules: [{name: r, action: Allow, principal: {headers: [{name: a, "
		"values: [b]}], typo: 1}}]}",
		"jwt: {providers: nothing}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
		char text[512];
		struct texts t;

		snprintf(text, sizeof(text), POLICY("a", SERVICE_Z, "%s"), rests[i]);
		build(&t, text);
		assert_true(t.findings.errors > 0);
		assert_int_equal(texts_verdict(&t, X, Z, 8080), VERDICT_NEEDS_L7);
		assert_int_equal(texts_request(&t, X, Z, 8080).verdict, VERDICT_BROKEN);
		texts_close(&t);
	}
}

static void broken_policies_refuse(void **state)
{
	struct texts t;

	(void)state;
	build(&t, POLICY("a", SERVICE_Z, "authorization: {defaultAction: Perhaps}"));
	assert_int_equal(t.findings.errors, 1);
	struct decision d = texts_ask(&t, X, Z, 8080);

	assert_int_equal(d.verdict, VERDICT_BROKEN);
	assert_true(slice_eq_str(d.policy, "SecurityPolicy/shop/a"));
	assert_int_equal(texts_verdict(&t, X, Z, 22), VERDICT_ALLOW);
	assert_int_equal(texts_verdict(&t, X, LONE, 8080), VERDICT_ALLOW);
	texts_close(&t);
	// A rule that names a provider which no policy here has.
	build(&t, POLICY("a", SERVICE_Z,
			 "authorization: {rules: [{name: r, action: Allow, principal: {jwt: "
			 "{provider: none}}}]}"));
	assert_true(policy_source(texts_policy(&t, Z, 8080))->broken.len > 0);
	texts_close(&t);
}

// Of one level the oldest counts, wherever it stands; then the name.
static void the_oldest_of_a_level(void **state)
{
#define AGED(name, created, rest)                                                                  \
	"---\n" OURS "kind: SecurityPolicy\nmetadata: {name: " name ", namespace: shop" created    \
	"}\nspec: {targetRefs: [{group: \"\", " NAMESPACE "}], " rest "}\n"
#define OLD   ", creationTimestamp: \"2026-01-01T00:00:00Z\""
#define OLDER ", creationTimestamp: \"2026-01-01T01:59:59+02:00\"" // one second
	static const struct row rows[] = {
		{AGED("a", OLD, DENY_REST) AGED("b", OLDER, ALLOW_REST), X, Z, 22, VERDICT_ALLOW},
		{AGED("b", OLDER, ALLOW_REST) AGED("a", OLD, DENY_REST), X, Z, 22, VERDICT_ALLOW},
		{AGED("b", OLD, ALLOW_REST) AGED("a", OLD, DENY_REST), X, Z, 22, VERDICT_DENY},
		{AGED("a", "", DENY_REST) AGED("b", OLD, ALLOW_REST), X, Z, 22, VERDICT_ALLOW},
		{AGED("b", "", ALLOW_REST) AGED("a", "", DENY_REST), X, Z, 22, VERDICT_DENY},
	};

	(void)state;
	ASK(rows);
}

static void audit_refuses_nothing(void **state)
{
	struct texts t;

	(void)state;
	build(&t, POLICY("a", SERVICE_Z, "mode: Audit, " ONLY_X));
	struct decision d = texts_ask(&t, OTHER, Z, 8080);

	assert_int_equal(d.verdict, VERDICT_ALLOW);
	assert_true(d.would_deny);
	assert_true(slice_eq_str(d.audit_policy, "SecurityPolicy/shop/a"));
	d = texts_ask(&t, X, Z, 8080);
	assert_int_equal(d.verdict, VERDICT_ALLOW);
	assert_false(d.would_deny);
	texts_close(&t);
	// A Deny rule neither.
	build(&t, POLICY("a", SERVICE_Z, "mode: Audit, " NOT_X));
	d = texts_ask(&t, X, Z, 8080);
	assert_int_equal(d.verdict, VERDICT_ALLOW);
	assert_true(d.would_deny);
	assert_true(slice_eq_str(d.audit_rule, "r-x"));
	texts_close(&t);
}

// A policy on trial changes nothing of what is enforced, whatever level it stands at.
static void audit_opens_nothing(void **state)
{
#define TRIAL_Z POLICY("trial", SERVICE_Z, "mode: Audit, " DENY_REST)
	static const struct row rows[] = {
		{POLICY("n", NAMESPACE, DENY_REST) TRIAL_Z, OTHER, Z, 8080, VERDICT_DENY},
		{POLICY("n", NAMESPACE, DENY_REST)
			 POLICY("t", SERVICE_Z, "mode: Audit, " ALLOW_REST),
		 OTHER, Z, 8080, VERDICT_DENY},
		{POLICY("z2", Z2, ONLY_X) POLICY("n", NAMESPACE, DENY_REST) TRIAL_Z, X, Z, 8080,
		 VERDICT_ALLOW},
		{CLUSTER("c", "mode: Audit, overrides: {" DENY_REST "}"), X, Z, 8080,
		 VERDICT_ALLOW},
	};
	struct texts t;

	(void)state;
	ASK(rows);
	build(&t, POLICY("n", NAMESPACE, ALLOW_REST) TRIAL_Z);
	struct decision d = texts_ask(&t, X, Z, 8080);

	assert_true(d.verdict == VERDICT_ALLOW && d.would_deny);
	assert_true(slice_eq_str(d.audit_policy, "SecurityPolicy/shop/trial"));
	texts_close(&t);
	// Broken, and on trial.
	build(&t, POLICY("n", NAMESPACE, "mode: Audit, authorization: {defaultAction: Nope}"));
	assert_int_equal(texts_verdict(&t, X, Z, 8080), VERDICT_ALLOW);
	texts_close(&t);
}

static void what_is_not_said_is_deny(void **state)
{
	static const struct row rows[] = {
		{POLICY("n", NAMESPACE, ALLOW_REST) POLICY("z", SERVICE_Z, ONLY_X), OTHER, Z, 8080,
		 VERDICT_DENY},
		{POLICY("n", NAMESPACE, ALLOW_REST) POLICY("z", SERVICE_Z, ONLY_X), X, Z, 8080,
		 VERDICT_ALLOW},
		// Any Allow: a platform's monitoring is let in although a tenant says nothing of it.
		{CLUSTER("c", "overrides: {authorization: {defaultAction: Allow, rules: [" RULE_OF(
				      "Allow", "x") "]}}") POLICY("n", NAMESPACE, DENY_REST),
		 X, Z, 8080, VERDICT_ALLOW},
	};

	(void)state;
	ASK(rows);
}

static void no_more_groups_than_there_are_bits(void **state)
{
	char text[16384];
	size_t used =
		(size_t)snprintf(text, sizeof(text), "%s", POLICY("n", NAMESPACE, ALLOW_REST));
	struct texts t;

	(void)state;
	for (int i = 0; i < 33; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used,
			"---\napiVersion: v1\nkind: Service\nmetadata: {name: s%02d, namespace: "
			"shop}\n"
			"spec: {clusterIP: 10.97.0.%d, selector: {app: z}, ports: [{port: 80, "
			"targetPort: 8080}]}\n---\n" OURS
			"kind: SecurityPolicy\nmetadata: {name: p%02d, namespace: shop}\nspec: "
			"{targetRefs: [{group: \"\", kind: Service, name: s%02d}], authorization: "
			"{defaultAction: %s}}\n",
			i, i + 1, i, i, i == 32 ? "Deny" : "Allow");
	char whole[32768];

	snprintf(whole, sizeof(whole), WORLD "%s", text);
	texts_open(&t);
	texts_add(&t, whole);
	texts_compile(&t);
	assert_int_equal(texts_verdict(&t, X, Z, 8080), VERDICT_BROKEN);
	texts_close(&t);
}

// What cannot be resolved, or would match otherwise than it reads, is never in force as something else.
static void nothing_is_read_loosely(void **state)
{
	static const char *const rows[] = {
		POLICY("a", "kind: Service, name: z, sectionName: wbe", DENY_REST),
		POLICY("a",
		       "kind: Pod, selector: {matchExpressions: [{key: app, operator: Exists}]}",
		       DENY_REST),
		POLICY("a", SERVICE_Z,
		       "authorization: {rules: [{action: Allow, principal: {sources: []}}]}"),
		POLICY("a", SERVICE_Z,
		       "authorization: {rules: [{action: Allow, operation: {methods: []}}]}"),
		POLICY("a", SERVICE_Z,
		       "authorization: {defaultAction: Allow, rules: [{action: Deny, operation: "
		       "{methods: [delete]}}]}"),
		POLICY("a", SERVICE_Z,
		       "authorization: {defaultAction: Allow, rules: [{action: Deny, operation: "
		       "{path: "
		       "{value: /a%2gb}}}]}"),
		CLUSTER("a",
			"namespaceSelector: {matchExpressions: [{key: team, operator: Exists}]}, "
			"overrides: {" ALLOW_REST "}"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct texts t;

		build(&t, rows[i]);
		const struct policy *p = texts_policy(&t, Z, 8080);

		if (t.findings.errors == 0 || !p || policy_source(p)->broken.len == 0)
			fail_msg("row %zu: %s", i, rows[i]);
		texts_close(&t);
	}
}

static void paths_are_kept_as_they_are_written(void **state)
{
	struct texts t;

	(void)state;
	build(&t, POLICY("a", SERVICE_Z,
			 "authorization: {defaultAction: Allow, rules: [{action: Deny, operation: "
			 "{path: "
			 "{value: //x/../%61dmin}}}]}"));
	assert_int_equal(t.findings.errors, 0);
	assert_true(slice_eq_str(policy_rule(texts_policy(&t, Z, 8080), 0)->paths[0].value,
				 "//x/../%61dmin"));
	texts_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_contract),
		cmocka_unit_test(any_deny_wins),
		cmocka_unit_test(the_most_specific_default),
		cmocka_unit_test(overrides_cannot_be_weakened),
		cmocka_unit_test(services_of_one_pod_all_agree),
		cmocka_unit_test(targets),
		cmocka_unit_test(what_reads_requests_needs_them),
		cmocka_unit_test(limits_add_up),
		cmocka_unit_test(broken_policies_refuse),
		cmocka_unit_test(a_broken_policys_requests_are_answered),
		cmocka_unit_test(the_oldest_of_a_level),
		cmocka_unit_test(audit_refuses_nothing),
		cmocka_unit_test(audit_opens_nothing),
		cmocka_unit_test(what_is_not_said_is_deny),
		cmocka_unit_test(no_more_groups_than_there_are_bits),
		cmocka_unit_test(nothing_is_read_loosely),
		cmocka_unit_test(paths_are_kept_as_they_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
