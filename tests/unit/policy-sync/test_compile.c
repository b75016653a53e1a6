// SPDX-License-Identifier: GPL-3.0-or-later
// compile: what levels, Services and modes make of policies (design: policy.md "What a policy protects" and
// "Order and merging"), judged by the code that decides on the nodes over a snapshot that it accepts.
#include <stdio.h>
#include "policy-sync/texts.h"

#define X	"10.1.1.1" // pod of y, service account x
#define OTHER	"10.1.1.2" // pod of y, service account other
#define Z	"10.1.2.1" // pod of shop behind Services z and z-admin
#define LONE	"10.1.2.2" // pod of shop behind no Service
#define OUTSIDE "198.51.100.1"

#define POD(ns, name, uid, ip, labels)                                                             \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name ", namespace: " ns ", uid: " uid  \
	", labels: {" labels "}}\nspec: {nodeName: n1, serviceAccountName: " name                  \
	", containers: [{name: c, ports: [{name: web, containerPort: 8080}]}]}\n"                  \
	"status: {phase: Running, podIPs: [{ip: " ip "}]}\n"
#define WORLD                                                                                      \
	"apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n"                                       \
	"status: {addresses: [{type: InternalIP, address: 192.0.2.11}]}\n"                         \
	"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: red, "        \
	"portcullis.dev/dataplane-mode: enabled}}\n"                                               \
	"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: y, labels: {team: blue, "          \
	"portcullis.dev/dataplane-mode: enabled}}\n" POD("y", "x", "u-x", X, "app: x")             \
		POD("y", "other", "u-other", OTHER, "app: other")                                  \
			POD("shop", "z", "u-z", Z, "app: z")                                       \
				POD("shop", "lone", "u-lone", LONE, "app: lone")                   \
					SERVICE("z", "10.96.0.1",                                  \
						"{name: web, port: 80, targetPort: web}, "         \
						"{name: metrics, port: 81, targetPort: 9090}")     \
						SERVICE("z2", "10.96.0.2",                         \
							"{name: web, port: 80, targetPort: 8080}")
#define SERVICE(name, ip, ports)                                                                   \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: shop}\n"        \
	"spec: {clusterIP: " ip ", selector: {app: z}, ports: [" ports "]}\n"
#define POLICY(name, target, rest)                                                                 \
	"---\n" OURS "kind: SecurityPolicy\nmetadata: {name: " name ", namespace: shop}\n"         \
	"spec: {targetRefs: [{group: \"\", " target "}], " rest "}\n"
#define CLUSTER(name, rest)                                                                        \
	"---\n" OURS "kind: ClusterSecurityPolicy\nmetadata: {name: " name "}\nspec: {" rest "}\n"
#define LIMIT(name, target)                                                                        \
	"---\n" OURS "kind: RateLimitPolicy\nmetadata: {name: " name ", namespace: shop}\n"        \
	"spec: {targetRefs: [{group: \"\", " target "}], scope: Node, rules: [{name: r, limit: "   \
	"{requests: 1, unit: Minute}}]}\n"
#define NAMESPACE  "kind: Namespace, name: shop"
#define SERVICE_Z  "kind: Service, name: z"
#define DENY_REST  "authorization: {defaultAction: Deny}"
#define ALLOW_REST "authorization: {defaultAction: Allow}"
#define RULE_OF(action, account)                                                                   \
	"{name: r-" account ", action: " action ", principal: {sources: [{type: ServiceAccount, "  \
	"serviceAccount: {namespace: y, name: " account "}}]}}"
#define ONLY_X "authorization: {rules: [" RULE_OF("Allow", "x") "]}"
#define NOT_X  "authorization: {defaultAction: Allow, rules: [" RULE_OF("Deny", "x") "]}"

static void build(struct texts *t, const char *policies)
{
	char text[16384];

	snprintf(text, sizeof(text), WORLD "%s", policies);
	texts_open(t);
	texts_add(t, text);
	texts_compile(t);
}

struct row {
	const char *policies;
	const char *from;
	const char *to;
	uint16_t port;
	enum verdict verdict;
};

static void ask_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct texts t;

		build(&t, rows[i].policies);
		if (t.findings.errors > 0)
			(void)texts_found(&t, 0, 0, "", "");
		assert_int_equal(t.findings.errors, 0);
		enum verdict v = texts_verdict(&t, rows[i].from, rows[i].to, rows[i].port);

		if (v != rows[i].verdict)
			fail_msg("row %zu: %s, not %s", i, verdict_name(v),
				 verdict_name(rows[i].verdict));
		texts_close(&t);
	}
}
#define ASK(rows) ask_rows(rows, sizeof(rows) / sizeof((rows)[0]))

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
#define Z2 "kind: Service, name: z2"
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

#define JWT(name, issuer)                                                                          \
	"jwt: {providers: [{name: " name ", issuer: " issuer                                       \
	", localJWKS: {inline: '{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKx"  \
	"CrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}'}}]}"

static void providers_join_by_name(void **state)
{
	struct texts t;

	(void)state;
	build(&t, POLICY("n", NAMESPACE, JWT("a", "https://parent"))
			  POLICY("z", SERVICE_Z, JWT("a", "https://child"))
				  POLICY("z2", SERVICE_Z, JWT("b", "https://b")));
	const struct ss_policy *p = policy_source(texts_policy(&t, Z, 8080));

	assert_int_equal(p->provider_count, 2);
	assert_true(p->needs_l7);
	assert_false(p->jwt_optional);
	for (uint32_t i = 0; i < 2; i++) {
		const struct ss_provider *provider =
			snapshot_provider(t.snapshot, p->provider_ids[i]);

		assert_false(slice_eq_str(provider->issuer, "https://child"));
	}
	assert_int_equal(policy_source(texts_policy(&t, LONE, 8080))->provider_count, 1);
	texts_close(&t);
}

static const char *issuer_of(const struct texts *t, const struct ss_policy *p, uint32_t i)
{
	return (const char *)snapshot_provider(t->snapshot, p->provider_ids[i])->issuer.ptr;
}

static bool asks_for(const struct texts *t, const struct ss_policy *p, uint32_t group,
		     const char *issuer)
{
	for (uint32_t i = 0; i < p->provider_count; i++) {
		if ((p->groups[group].providers & (1u << i)) &&
		    strncmp(issuer_of(t, p, i), issuer, strlen(issuer)) == 0)
			return true;
	}
	return false;
}

// Each of several Services gets the token that it asks for; a namespace's counts for both.
static void every_service_gets_its_token(void **state)
{
	const struct ss_policy *p;
	struct texts t;

	(void)state;
	build(&t,
	      POLICY("a", SERVICE_Z, JWT("a", "https://a")) POLICY("b", Z2, JWT("b", "https://b"))
		      POLICY("n", NAMESPACE, JWT("n", "https://n")));
	p = policy_source(texts_policy(&t, Z, 8080));
	assert_int_equal(p->group_count, 2);
	assert_int_equal(p->provider_count, 3);
	for (uint32_t g = 0; g < 2; g++) {
		bool z2 = slice_eq_str(p->groups[g].target, "Service/shop/z2");

		assert_true(asks_for(&t, p, g, "https://n"));
		assert_int_equal(asks_for(&t, p, g, "https://b"), z2);
		assert_int_equal(asks_for(&t, p, g, "https://a"), !z2);
		assert_false(p->groups[g].jwt_optional);
		assert_true(slice_eq_str(p->groups[g].jwt_policy, "SecurityPolicy/shop/n"));
	}
	// Where all ask for the same, the policy says it once.
	p = policy_source(texts_policy(&t, Z, 9090));
	assert_int_equal(p->group_count, 1);
	assert_int_equal(p->provider_count, 2);
	assert_int_equal(p->groups[0].providers, 0);
	texts_close(&t);
}

// One name, two meanings: a rule of the namespace means each Service's own.
static void a_name_means_what_its_service_says(void **state)
{
#define READERS                                                                                    \
	"authorization: {rules: [{name: r, action: Allow, principal: {jwt: {provider: a}}}]}"
	const struct ss_policy *p;
	struct texts t;

	(void)state;
	build(&t, POLICY("n", NAMESPACE, READERS) POLICY("a", SERVICE_Z, JWT("a", "https://a"))
			  POLICY("b", Z2, JWT("a", "https://b")));
	p = policy_source(texts_policy(&t, Z, 8080));
	assert_int_equal(p->broken.len, 0);
	assert_int_equal(p->rule_count, 2);
	assert_int_equal(p->rules[0].groups | p->rules[1].groups, 3);
	assert_int_equal(p->rules[0].groups & p->rules[1].groups, 0);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t group = (uint32_t)__builtin_ctz(p->rules[i].groups);
		bool b = slice_eq_str(p->groups[group].target, "Service/shop/z2");

		assert_true(slice_eq_str(p->rules[i].jwt_provider, b ? "shop/b/a" : "shop/a/a"));
	}
	// One meaning is one rule.
	p = policy_source(texts_policy(&t, Z, 9090));
	assert_int_equal(p->rule_count, 1);
	assert_true(slice_eq_str(p->rules[0].jwt_provider, "shop/a/a"));
	texts_close(&t);
	// A Service without such a provider, and one that is none here.
	build(&t, POLICY("n", NAMESPACE, READERS) POLICY("a", SERVICE_Z, JWT("a", "https://a"))
			  POLICY("b", Z2, DENY_REST));
	assert_true(policy_source(texts_policy(&t, Z, 8080))->broken.len > 0);
	assert_int_equal(policy_source(texts_policy(&t, Z, 9090))->broken.len, 0);
	texts_close(&t);
}

// A tenant's own provider does not open what the platform asks a token for.
static void an_overriding_token_is_asked_for(void **state)
{
	const struct ss_policy *p;
	bool found = false;
	struct texts t;

	(void)state;
	build(&t, CLUSTER("c", "overrides: {" JWT("p", "https://platform") "}")
			  POLICY("a", SERVICE_Z, JWT("t", "https://tenant")));
	p = policy_source(texts_policy(&t, Z, 8080));
	for (uint32_t g = 0; g < p->group_count; g++) {
		if (!slice_starts(p->groups[g].target, SLICE_LIT("ClusterSecurityPolicy/")))
			continue;
		found = true;
		assert_true(asks_for(&t, p, g, "https://platform"));
		assert_false(asks_for(&t, p, g, "https://tenant"));
	}
	assert_true(found);
	texts_close(&t);
}

static void too_many_providers(void **state)
{
	char text[32768];
	size_t used = 0;
	struct texts t;

	(void)state;
	for (int i = 0; i < 33; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used,
			"---\n" OURS "kind: SecurityPolicy\nmetadata: {name: p%d, "
			"namespace: shop}\nspec: {targetRefs: [{group: \"\", " SERVICE_Z
			"}], " JWT("a%d", "https://i") "}\n",
			i, i);
	assert_true(used < sizeof(text));
	texts_open(&t);
	texts_add(&t, WORLD);
	texts_add(&t, text);
	texts_compile(&t);
	assert_int_equal(texts_verdict(&t, X, Z, 22), VERDICT_ALLOW);
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

static void who_is_in_it(void **state)
{
	struct texts t;

	(void)state;
	build(&t, POLICY("a", NAMESPACE,
			 DENY_REST) "---\napiVersion: v1\nkind: Pod\nmetadata: {name: done, "
				    "namespace: shop, uid: "
				    "u-done}\nspec: {nodeName: n1}\nstatus: {phase: Failed, "
				    "podIPs: [{ip: 10.1.2.3}]}\n"
				    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: heir, "
				    "namespace: shop, uid: "
				    "u-heir}\nspec: {nodeName: n1}\nstatus: {phase: Running, "
				    "podIPs: [{ip: "
				    "10.1.2.3}]}\n"
				    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: out, "
				    "namespace: shop, uid: u-out, "
				    "labels: {portcullis.dev/dataplane-mode: none}}\nspec: "
				    "{nodeName: n1}\n"
				    "status: {phase: Running, podIPs: [{ip: 10.1.2.4}]}\n"
				    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: host, "
				    "namespace: shop, uid: "
				    "u-host}\nspec: {nodeName: n1, hostNetwork: true}\n"
				    "status: {phase: Running, podIPs: [{ip: 192.0.2.11}]}\n"
				    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: waiting, "
				    "namespace: shop, uid: "
				    "u-waiting}\nspec: {}\nstatus: {phase: Pending}\n");
	assert_int_equal(t.findings.errors, 0);
	// A finished pod's address is its heir's.
	assert_true(slice_eq_str(texts_pod(&t, "10.1.2.3")->record.name, "heir"));
	assert_null(snapshot_workload_by_uid(t.snapshot, SLICE_LIT("u-done")));
	assert_null(snapshot_workload_by_uid(t.snapshot, SLICE_LIT("u-waiting")));
	assert_false(texts_pod(&t, "10.1.2.4")->record.enrolled);
	assert_int_equal(texts_pod(&t, "10.1.2.4")->record.policy_count, 0);
	assert_null(texts_pod(&t, "192.0.2.11"));
	const struct workload *host = snapshot_workload_by_uid(t.snapshot, SLICE_LIT("u-host"));

	assert_true(host->record.host_network && !host->record.enrolled);
	texts_close(&t);
}

static void endpoints_name_their_pods(void **state)
{
	struct texts t;

	(void)state;
	build(&t,
	      "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
	      "metadata: {name: z-1, namespace: shop, labels: {kubernetes.io/service-name: z}}\n"
	      "addressType: IPv4\nports: [{name: web, port: 8080}, {name: metrics, port: 9090}]\n"
	      "endpoints: [{addresses: [" Z "], targetRef: {kind: Pod, name: z, uid: u-z}}, "
	      "{addresses: [203.0.113.5], conditions: {ready: false}}]\n");
	const struct ss_service *s =
		snapshot_service_by_name(t.snapshot, SLICE_LIT("shop"), SLICE_LIT("z"));

	assert_int_equal(s->port_count, 2);
	assert_int_equal(s->ports[0].endpoint_count, 2);
	assert_int_equal(s->ports[1].endpoints[0].port, 9090);
	assert_true(slice_eq_str(s->ports[0].endpoints[0].workload_uid, "u-z"));
	assert_true(slice_eq_str(s->ports[0].endpoints[0].node, "n1"));
	assert_int_equal(s->ports[0].endpoints[1].workload_uid.len, 0);
	assert_false(s->ports[0].endpoints[1].ready);
	texts_close(&t);
}

// Whatever pod a slice says that an address is: policies are those of the pod that would be reached, and
// what is a pod's that nobody knows is nobody's to be passed on to.
static void endpoints_go_by_address(void **state)
{
#define ENDPOINT(ip, name, uid)                                                                    \
	"{addresses: [" ip "], targetRef: {kind: Pod, name: " name ", uid: " uid "}}"
	struct texts t;

	(void)state;
	build(&t,
	      POD("y", "thief", "u-thief", X, "app: thief") POD(
		      "shop", "twin", "u-z", "10.1.2.9",
		      "app: twin") "---\napiVersion: v1\nkind: Pod\nmetadata: {name: host, "
				   "namespace: shop, uid: u-host}\nspec: {nodeName: n1, "
				   "hostNetwork: "
				   "true}\nstatus: {phase: Running, podIPs: [{ip: 192.0.2.11}]}\n"
				   "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
				   "metadata: {name: z-1, namespace: shop, labels: "
				   "{kubernetes.io/service-name: z}}\n"
				   "addressType: IPv4\nports: [{name: web, port: "
				   "8080}]\nendpoints: [" ENDPOINT(LONE, "z", "u-z") ", " ENDPOINT("10.9.9.9", "ghost", "u-ghost") ", " ENDPOINT(
					   "192.0.2.11", "host",
					   "u-host") ", " ENDPOINT(X, "x",
								   "u-x") ", " ENDPOINT(Z, "z",
											"u-z") ", "
											       "{ad"
											       "dre"
											       "sse"
											       "s: "
											       "[20"
											       "3."
											       "0."
											       "113"
											       ".5]"
											       "}]"
											       "\n");
	const struct ss_service *s =
		snapshot_service_by_name(t.snapshot, SLICE_LIT("shop"), SLICE_LIT("z"));
	const struct ss_service_port *port = &s->ports[0];

	// Left out: the ghost, the pod with a disputed address, and the one with a disputed UID.
	assert_int_equal(port->endpoint_count, 3);
	assert_true(slice_eq_str(port->endpoints[0].workload_uid, "u-lone"));
	assert_true(addr_eq(port->endpoints[1].addr, addr_from_v4(0xc000020b)));
	assert_int_equal(port->endpoints[1].workload_uid.len, 0);
	assert_true(addr_eq(port->endpoints[2].addr, addr_from_v4(0xcb007105)));
	texts_close(&t);
}

// A target port by name that the pod does not declare: its EndpointSlice knows the number.
static void a_named_port_of_the_slice(void **state)
{
#define NAMED(ports)                                                                               \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: named, namespace: shop}\n"           \
	"spec: {clusterIP: 10.96.0.7, selector: {app: lone}, ports: [{name: p, port: 80, "         \
	"targetPort: api}]}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"          \
	"metadata: {name: named-1, namespace: shop, labels: {kubernetes.io/service-name: "         \
	"named}}\n"                                                                                \
	"addressType: IPv4\nports: [" ports "]\nendpoints: [{addresses: [" LONE "]}]\n"
	static const struct row rows[] = {
		{NAMED("{name: p, port: 7071}")
			 POLICY("a", "kind: Service, name: named", DENY_REST),
		 X, LONE, 7071, VERDICT_DENY},
		{NAMED("{name: other, port: 7071}")
			 POLICY("a", "kind: Service, name: named", DENY_REST),
		 X, LONE, 7071, VERDICT_ALLOW},
	};

	(void)state;
	ASK(rows);
}

// Pods with equal policies share a record, and equal objects give equal bytes.
static void records_are_shared_and_deterministic(void **state)
{
	struct texts t, u;
	uint32_t policies = 0;

	(void)state;
	build(&t, POLICY("a", NAMESPACE, DENY_REST));
	build(&u, POLICY("a", NAMESPACE, DENY_REST));
	assert_ptr_equal(texts_policy(&t, Z, 22), texts_policy(&t, LONE, 22));
	assert_int_equal(t.compiled->count, u.compiled->count);
	for (uint32_t i = 0; i < t.compiled->count; i++) {
		assert_true(slice_eq(t.compiled->sections[i].bytes, u.compiled->sections[i].bytes));
		policies += t.compiled->sections[i].name.kind == SECTION_POLICIES;
	}
	assert_int_equal(policies, 1);
	texts_close(&t);
	texts_close(&u);
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
		       "{value: /a%2fb}}}]}"),
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

static void paths_are_compared_in_canonical_form(void **state)
{
	struct texts t;

	(void)state;
	build(&t, POLICY("a", SERVICE_Z,
			 "authorization: {defaultAction: Allow, rules: [{action: Deny, operation: "
			 "{path: "
			 "{value: //x/../%61dmin}}}]}"));
	assert_int_equal(t.findings.errors, 0);
	assert_true(slice_eq_str(policy_source(texts_policy(&t, Z, 8080))->rules[0].paths[0].value,
				 "/admin"));
	texts_close(&t);
}

// Two running pods claim one address: neither may have the other's name.
static void a_disputed_address_is_nobodys(void **state)
{
	struct texts t;

	(void)state;
	build(&t, POD("y", "thief", "u-thief", X, "app: thief"));
	assert_int_equal(t.findings.errors, 2);
	assert_null(texts_pod(&t, X));
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
		cmocka_unit_test(providers_join_by_name),
		cmocka_unit_test(every_service_gets_its_token),
		cmocka_unit_test(a_name_means_what_its_service_says),
		cmocka_unit_test(an_overriding_token_is_asked_for),
		cmocka_unit_test(too_many_providers),
		cmocka_unit_test(the_oldest_of_a_level),
		cmocka_unit_test(audit_refuses_nothing),
		cmocka_unit_test(who_is_in_it),
		cmocka_unit_test(endpoints_name_their_pods),
		cmocka_unit_test(endpoints_go_by_address),
		cmocka_unit_test(a_named_port_of_the_slice),
		cmocka_unit_test(records_are_shared_and_deterministic),
		cmocka_unit_test(audit_opens_nothing),
		cmocka_unit_test(what_is_not_said_is_deny),
		cmocka_unit_test(no_more_groups_than_there_are_bits),
		cmocka_unit_test(nothing_is_read_loosely),
		cmocka_unit_test(paths_are_compared_in_canonical_form),
		cmocka_unit_test(a_disputed_address_is_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
