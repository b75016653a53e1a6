// SPDX-License-Identifier: GPL-3.0-or-later
// compile: which records a snapshot holds (design: policy.md "What a policy protects"): token providers by
// Service, pods and endpoints by address and UID, records shared by equals.
#include "policy-sync/shop.h"

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
	assert_int_equal(p->set_count, 2);
	assert_true(slice_eq(p->sets[0].set_id, p->sets[1].set_id));
	assert_int_equal(p->sets[0].groups | p->sets[1].groups, 3);
	assert_int_equal(p->sets[0].groups & p->sets[1].groups, 0);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t group = (uint32_t)__builtin_ctz(p->sets[i].groups);
		uint32_t provider = (uint32_t)__builtin_ctz(p->sets[i].providers);
		bool b = slice_eq_str(p->groups[group].target, "Service/shop/z2");

		assert_int_equal(p->sets[i].providers, 1u << provider);
		assert_true(slice_eq_str(p->provider_ids[provider], b ? "shop/b/a" : "shop/a/a"));
	}
	// One meaning is one rule.
	p = policy_source(texts_policy(&t, Z, 9090));
	assert_int_equal(p->set_count, 1);
	assert_int_equal(p->sets[0].providers, 0);
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

// The label is the tenant's, the override the platform's.
static void nobody_labels_himself_out_of_an_override(void **state)
{
#define LEAVER POD("shop", "leaver", "u-leaver", "10.1.2.4", "portcullis.dev/dataplane-mode: none")
#define GUARD(mode, selector)                                                                      \
	CLUSTER("guard",                                                                           \
		"mode: " mode ", namespaceSelector: {" selector "}, overrides: {" NOT_X "}")
	static const struct {
		const char *text;
		bool enrolled;
	} rows[] = {
		{LEAVER, false},
		{LEAVER GUARD("Enforce", "matchLabels: {team: red}"), true},
		{LEAVER GUARD("Enforce", ""), true},
		{LEAVER GUARD("Enforce", "matchLabels: {team: blue}"), false},
		{LEAVER GUARD("Audit", ""), false},
		{LEAVER CLUSTER("guard", "namespaceSelector: {}, defaults: {" NOT_X "}"), false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct texts t;

		build(&t, rows[i].text);
		assert_int_equal(t.findings.errors, 0);
		assert_int_equal(texts_pod(&t, "10.1.2.4")->record.enrolled, rows[i].enrolled);
		assert_int_equal(texts_pod(&t, "10.1.2.4")->record.policy_count > 0,
				 rows[i].enrolled);
		assert_int_equal(t.findings.count > 0, rows[i].enrolled);
		texts_close(&t);
	}
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
		cmocka_unit_test(providers_join_by_name),
		cmocka_unit_test(every_service_gets_its_token),
		cmocka_unit_test(a_name_means_what_its_service_says),
		cmocka_unit_test(an_overriding_token_is_asked_for),
		cmocka_unit_test(too_many_providers),
		cmocka_unit_test(who_is_in_it),
		cmocka_unit_test(nobody_labels_himself_out_of_an_override),
		cmocka_unit_test(endpoints_name_their_pods),
		cmocka_unit_test(endpoints_go_by_address),
		cmocka_unit_test(a_named_port_of_the_slice),
		cmocka_unit_test(records_are_shared_and_deterministic),
		cmocka_unit_test(a_disputed_address_is_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
