// SPDX-License-Identifier: GPL-3.0-or-later
// model/read*: Kubernetes' kinds as the API server writes them, and ours with everything that can be wrong
// with them.
#include <stdio.h>
#include "policy-sync/objects.h"

static void pods(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t, "apiVersion: v1\nkind: Pod\n"
		      "metadata: {name: a, namespace: shop, uid: u1, labels: {app: a, "
		      "portcullis.dev/dataplane-mode: none}, managedFields: [{manager: x}]}\n"
		      "spec: {nodeName: n1, containers: [{name: c, ports: [{name: web, "
		      "containerPort: 8080}, {containerPort: 9}]}]}\n"
		      "status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, "
		      "{ip: \"fd00::1\"}]}\n"
		      "---\n"
		      "apiVersion: v1\nkind: Pod\nmetadata: {name: b, namespace: shop, uid: u2}\n"
		      "spec: {nodeName: n1, hostNetwork: true, serviceAccountName: b}\n"
		      "status: {phase: Succeeded, podIP: 10.0.0.2}\n");
	assert_int_equal(t.findings.count, 0);
	assert_int_equal(t.model->pods.count, 2);
	const struct pod *a = t.model->pods.items[0], *b = t.model->pods.items[1];

	assert_true(slice_eq_str(a->service_account, "default"));
	assert_int_equal(a->addr_count, 2);
	assert_int_equal(a->mode, DATAPLANE_NONE);
	assert_false(a->terminal || a->host_network);
	assert_int_equal(a->port_count, 1);
	assert_int_equal(a->ports[0].port, 8080);
	assert_true(b->terminal && b->host_network);
	assert_int_equal(b->addr_count, 1);
	texts_close(&t);
}

static void services(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(
		&t,
		"apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\n"
		"spec: {clusterIP: 10.9.0.1, clusterIPs: [10.9.0.1, \"fd00:9::1\"], "
		"externalIPs: [192.0.2.1], sessionAffinity: ClientIP, "
		"internalTrafficPolicy: Local, selector: {app: a}, ports: [{name: web, port: 80, "
		"targetPort: web, appProtocol: kubernetes.io/h2c}, {port: 53, protocol: UDP}, "
		"{name: n, port: 81, targetPort: 8081, nodePort: 30081}, {name: same, port: 82}]}\n"
		"status: {loadBalancer: {ingress: [{hostname: a.example}, {ip: 192.0.2.2}]}}\n"
		"---\n"
		"apiVersion: v1\nkind: Service\nmetadata: {name: headless, namespace: shop}\n"
		"spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 80}]}\n"
		"---\n"
		"apiVersion: v1\nkind: Service\nmetadata: {name: elsewhere, namespace: shop}\n"
		"spec: {type: ExternalName, externalName: example.com}\n");
	assert_int_equal(t.findings.count, 0);
	assert_int_equal(t.model->services.count, 2);
	const struct service_object *a = t.model->services.items[0];
	const struct service_object *h = t.model->services.items[1];

	assert_int_equal(a->addr_count, 4);
	assert_int_equal(a->affinity_timeout_s, 10800);
	assert_true(a->internal_local);
	assert_false(a->external_local);
	assert_true(slice_eq_str(a->ports[0].target_name, "web"));
	assert_int_equal(a->ports[0].protocol, APP_PROTOCOL_HTTP2);
	assert_false(a->ports[1].tcp);
	assert_int_equal(a->ports[2].target, 8081);
	assert_int_equal(a->ports[2].node_port, 30081);
	assert_int_equal(a->ports[3].target, 82);
	assert_int_equal(h->addr_count, 0);
	texts_close(&t);
}

static void endpoint_slices(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t,
		  "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		  "metadata: {name: a-1, namespace: shop, labels: "
		  "{kubernetes.io/service-name: a}}\n"
		  "addressType: IPv4\nports: [{name: web, port: 8080}, {name: any, port: null}]\n"
		  "endpoints:\n"
		  "- addresses: [10.0.0.1]\n"
		  "- addresses: [10.0.0.2]\n"
		  "  conditions: {ready: false, serving: true, terminating: true}\n"
		  "  targetRef: {kind: Pod, name: p, uid: u}\n"
		  "  nodeName: n1\n"
		  "---\n"
		  "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		  "metadata: {name: loose, namespace: shop}\naddressType: IPv4\n");
	assert_int_equal(t.findings.count, 0);
	assert_int_equal(t.model->slices.count, 1); // the loose one belongs to no Service
	const struct endpoint_slice *s = t.model->slices.items[0];

	assert_int_equal(s->port_count, 1);
	assert_true(s->endpoints[0].ready && s->endpoints[0].serving);
	assert_false(s->endpoints[0].terminating);
	assert_true(!s->endpoints[1].ready && s->endpoints[1].serving);
	assert_true(s->endpoints[1].terminating);
	assert_true(slice_eq_str(s->endpoints[1].pod_uid, "u"));
	assert_true(slice_eq_str(s->endpoints[1].node, "n1"));
	texts_close(&t);
}

static void nodes_lists_and_strangers(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t, "apiVersion: v1\nitems:\n"
		      "- apiVersion: v1\n  kind: Node\n  metadata: {name: n1, labels: "
		      "{topology.kubernetes.io/zone: z1}}\n"
		      "  status: {addresses: [{type: Hostname, address: n1}, {type: InternalIP, "
		      "address: 192.0.2.11}, {type: ExternalIP, address: 198.51.100.1}]}\n"
		      "- apiVersion: v1\n  kind: Namespace\n  metadata: {name: shop, labels: "
		      "{portcullis.dev/dataplane-mode: enabled}}\n"
		      "- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: d}\n"
		      "kind: List\n"
		      "---\n"
		      "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\n"
		      "metadata: {name: theirs}\nspec: {anything: goes}\n");
	assert_int_equal(t.findings.count, 1); // whoever wrote it has to know
	assert_int_equal(t.findings.errors, 0);
	assert_int_equal(t.model->nodes.count, 1);
	assert_int_equal(t.model->namespaces.count, 1);
	assert_int_equal(t.model->policies.count, 0); // another vendor's kind of the same name
	const struct node_object *n = t.model->nodes.items[0];
	const struct namespace_object *ns = t.model->namespaces.items[0];

	assert_int_equal(n->addr_count, 1);
	assert_true(slice_eq_str(n->zone, "z1"));
	assert_int_equal(ns->mode, DATAPLANE_ENABLED);
	texts_close(&t);
}

// Every row is wrong in one place; the policy is kept, broken, with its target.
static void wrong_rules(void **state)
{
	static const struct {
		const char *text, *field, *part;
		uint32_t column;
	} rows[] = {
		{"{action: allow}", "spec.authorization.rules[0].action", "is \"allow\"", 16},
		{"{name: a}", "spec.authorization.rules[0].action", "is required", 7},
		{"{action: Deny, actoin: x}", "spec.authorization.rules[0].actoin", "", 30},
		{"{action: Deny, principal: {clientCIDRs: [10.0.0.1/8]}}",
		 "spec.authorization.rules[0].principal.clientCIDRs[0]", "10.0.0.1/8", 48},
		{"{action: Deny, principal: {sources: [{type: Robot}]}}",
		 "spec.authorization.rules[0].principal.sources[0].type", "is \"Robot\"", 51},
		{"{action: Deny, principal: {sources: [{type: SPIFFE, spiffe: x}]}}",
		 "spec.authorization.rules[0].principal.sources[0].spiffe", "spiffe://", 67},
		{"{action: Deny, operation: {path: {type: RegularExpression, value: /a}}}",
		 "spec.authorization.rules[0].operation.path.type", "not supported yet", 47},
		{"{action: Deny, operation: {path: {value: admin}}}",
		 "spec.authorization.rules[0].operation.path.value", "begin with /", 48},
		{"{action: Deny, operation: {ports: [0]}}",
		 "spec.authorization.rules[0].operation.ports[0]", "1 to 65535", 42},
		{"{action: Deny, principal: {jwt: {claims: []}}}",
		 "spec.authorization.rules[0].principal.jwt.provider", "is required", 39},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024];
		struct texts t;

		snprintf(text, sizeof(text), RULE("%s"), rows[i].text);
		texts_open(&t);
		texts_add(&t, text);
		if (!texts_found(&t, 8, rows[i].column, rows[i].field, rows[i].part))
			fail_msg("row %zu: %s", i, rows[i].text);
		assert_int_equal(t.model->policies.count, 1);
		const struct security_policy *p = t.model->policies.items[0];

		assert_true(p->broken.len > 0);
		assert_int_equal(p->target_count, 1);
		assert_int_equal(p->targets[0].kind, TARGET_SERVICE);
		texts_close(&t);
	}
}

static void what_is_not_enforced_is_an_error(void **state)
{
	static const char *const fields[] = {"oidc",	  "oauth2",  "apiKeyAuth",
					     "basicAuth", "extAuth", "peerTLS"};

	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		char text[512], field[64];
		struct texts t;

		snprintf(text, sizeof(text), POLICY_HEAD "  %s: {mode: Strict}\n", fields[i]);
		snprintf(field, sizeof(field), "spec.%s", fields[i]);
		texts_open(&t);
		texts_add(&t, text);
		assert_true(texts_found(&t, 6, (uint32_t)strlen(fields[i]) + 5, field,
					"not supported"));
		assert_true(((struct security_policy *)t.model->policies.items[0])->broken.len > 0);
		texts_close(&t);
	}
}

// Whom such a policy was meant for cannot be said: its whole namespace refuses.
static void a_target_that_cannot_be_read(void **state)
{
	static const char *const targets[] = {
		"[{group: \"\", kind: Servce, name: z}]",
		"[{group: \"\", kind: Service}]",
		"[{group: \"\", kind: Namespace, name: other}]",
		"[]",
		"{kind: Service, name: z}",
		"[{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		char text[512];
		struct texts t;

		snprintf(text, sizeof(text),
			 OURS "kind: SecurityPolicy\nmetadata: {name: p, namespace: shop}\n"
			      "spec:\n  targetRefs: %s\n  authorization: {defaultAction: Allow}\n",
			 targets[i]);
		texts_open(&t);
		texts_add(&t, text);
		assert_true(t.findings.errors > 0);
		assert_int_equal(t.model->policies.count, 1);
		const struct security_policy *p = t.model->policies.items[0];

		assert_true(p->broken.len > 0);
		assert_int_equal(p->targets[0].kind, TARGET_NAMESPACE);
		texts_close(&t);
	}
}

static void a_whole_policy(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t, POLICY_HEAD "  mode: Audit\n"
				  "  authorization:\n"
				  "    defaultAction: Allow\n"
				  "    rules:\n"
				  "    - name: first\n"
				  "      action: Deny\n"
				  "      principal:\n"
				  "        sources: [{type: ServiceAccount, serviceAccount: "
				  "{namespace: y, name: x}}, "
				  "{type: Node}]\n"
				  "        clientCIDRs: [10.0.0.0/8]\n"
				  "        headers: [{name: X-Team, values: [red]}]\n"
				  "      operation: {methods: [GET], path: {type: Exact, value: "
				  "/a}, hosts: [A.Example], "
				  "ports: [80]}\n"
				  "    - action: Allow\n");
	assert_int_equal(t.findings.errors, 0);
	const struct security_policy *p = t.model->policies.items[0];
	const struct ss_rule *r = &p->spec.rules[0];

	assert_int_equal(p->mode, MODE_AUDIT);
	assert_true(slice_eq_str(p->title, "SecurityPolicy/shop/p"));
	assert_true(p->spec.has_default && p->spec.default_action == RULE_ALLOW);
	assert_int_equal(p->spec.rule_count, 2);
	assert_int_equal(r->source_count, 2);
	assert_int_equal(r->sources[1].type, SOURCE_NODE);
	assert_true(slice_eq_str(r->headers[0].name, "x-team"));
	assert_true(slice_eq_str(r->hosts[0], "a.example"));
	assert_int_equal(r->paths[0].type, PATH_EXACT);
	// The decision tells rules from defaults by the name: there is always one.
	assert_true(p->spec.rules[1].name.len > 0);
	texts_close(&t);
}

#define HAS(what)  "{name: r, action: Deny, principal: {" what "}}"
#define DOES(what) "{name: r, action: Deny, operation: {" what "}}"
#define SA(ns, name)                                                                               \
	HAS("sources: [{type: ServiceAccount, serviceAccount: {namespace: " ns ", name: " name     \
	    "}}]")
#define SPIFFE(id) HAS("sources: [{type: SPIFFE, spiffe: \"" id "\"}]")
#define AND	   "\n    - "
static const struct {
	const char *text, *field, *part; // field NULL: nothing to say
	uint32_t line;
} sayings[] = {
	{SA("y", "x"), NULL, NULL, 0},
	{SA("y", "\"*\""), NULL, NULL, 0},
	{SA("\"*\"", "x"), "principal.sources[0].serviceAccount.namespace", "nobody", 8},
	{SA("Shop", "x"), "principal.sources[0].serviceAccount.namespace", "\"Shop\"", 8},
	{SA("y", "x_y"), "principal.sources[0].serviceAccount.name", "\"x_y\"", 8},
	{SA("y", "x-"), "principal.sources[0].serviceAccount.name", "\"x-\"", 8},
	{SPIFFE("spiffe://cluster.local/ns/y/sa/x"), NULL, NULL, 0},
	{SPIFFE("spiffe://cluster.local/ns/y/*"), NULL, NULL, 0},
	{SPIFFE("spiffe://cluster.local/ns/y*"), "principal.sources[0].spiffe", "nobody", 8},
	{SPIFFE("spiffe://Cluster.local/ns/y/sa/x"), "principal.sources[0].spiffe", "nobody", 8},
	{HAS("sources: [{type: Gateway}]"), "principal.sources[0].type", "no Gateways", 8},
	{HAS("clientCIDRs: [10.0.0.0/8, 10.1.0.0/16]"), "principal.clientCIDRs[1]",
	 "entry 0 covers", 8},
	{HAS("clientCIDRs: [10.1.0.0/16, 192.0.2.0/24, 10.1.0.0/16]"), "principal.clientCIDRs[2]",
	 "entry 0 covers", 8},
	{HAS("clientCIDRs: [10.1.0.0/16, \"::/0\", 10.2.0.0/16]"), NULL, NULL, 0},
	{HAS("clientCIDRs: [127.0.0.0/8]"), "principal.clientCIDRs[0]", "nobody", 8},
	{HAS("clientCIDRs: [0.0.0.0/0]"), NULL, NULL, 0},
	{DOES("hosts: [a.example, \"*.b.example\"]"), NULL, NULL, 0},
	{DOES("hosts: [A.Example]"), "operation.hosts[0]", "as \"a.example\"", 8},
	{DOES("hosts: [\"a.example:8080\"]"), "operation.hosts[0]", "as \"a.example\"", 8},
	{DOES("hosts: [\"*.B.example.\"]"), "operation.hosts[0]", "as \"*.b.example\"", 8},
	{DOES("methods: [GET, PUT, GET]"), "operation.methods[2]", "twice", 8},
	{DOES("path: {value: /a/../b}"), "operation.path.value", "say \"/b\"", 8},
	{DOES("path: {value: /%61dmin}"), "operation.path.value", "say \"/admin\"", 8},
	{DOES("path: {value: /a%20b}"), NULL, NULL, 0},
	{DOES("path: {value: /api/queues/%2F/q}"), NULL, NULL, 0},
	{DOES("path: {value: /@scope%2fname}"), NULL, NULL, 0},
	// Of two rules.
	{SA("y", "x") AND "{name: r, action: Deny}", "name", "called r too", 9},
	{SA("y", "x") AND "{name: s, action: Deny, principal: {sources: [{type: "
			  "ServiceAccount, serviceAccount: {namespace: y, name: x}}]}}",
	 "", "rule r says that already", 9},
	{SA("y", "\"*\"") AND "{name: s, action: Allow, principal: {sources: [{type: "
			      "ServiceAccount, serviceAccount: {namespace: y, name: x}}]}, "
			      "operation: {methods: [GET]}}",
	 "", "rule r denies all of that", 9},
	{SA("y", "x") AND "{name: s, action: Allow, principal: {sources: [{type: "
			  "ServiceAccount, serviceAccount: {namespace: y, name: \"*\"}}]}}",
	 NULL, NULL, 0},
	{DOES("paths: [{value: /a}]") AND "{name: s, action: Allow, operation: {paths: "
					  "[{value: /a/b}]}}",
	 "", "rule r denies all of that", 9},
	{DOES("paths: [{value: /a}]") AND "{name: s, action: Allow, operation: {paths: "
					  "[{value: /ab}]}}",
	 NULL, NULL, 0},
	{HAS("jwt: {provider: p, scopes: [a]}") AND
	 "{name: s, action: Allow, principal: {jwt: {provider: p, scopes: [a, b]}}}",
	 "", "rule r denies all of that", 9},
	{HAS("jwt: {provider: p, scopes: [a, b]}") AND
	 "{name: s, action: Allow, principal: {jwt: {provider: p, scopes: [a]}}}",
	 NULL, NULL, 0},
	// A Deny rule behind an Allow rule wins all the same.
	{"{name: s, action: Allow, operation: {methods: [GET]}}" AND DOES("methods: [GET]"), "-0",
	 "rule r denies all of that", 8},
};

// What is well formed and yet says nothing. Columns are those of the values; a rule stands in line 8.
static void warnings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sayings) / sizeof(sayings[0]); i++) {
		char text[1024], field[128], message[512] = "";
		struct texts t;

		snprintf(text, sizeof(text), RULE("%s"), sayings[i].text);
		texts_open(&t);
		texts_add(&t, text);
		bool first = sayings[i].line == 8;
		const char *rest =
			sayings[i].field && sayings[i].field[0] != '-' ? sayings[i].field : "";

		snprintf(field, sizeof(field), "spec.authorization.rules[%d]%s%s", first ? 0 : 1,
			 rest[0] ? "." : "", rest);
		if (t.findings.count > 0)
			snprintf(message, sizeof(message), "%.*s",
				 SLICE_ARG(t.findings.list[0].message));
		if (t.findings.errors > 0 || t.findings.count != (sayings[i].field != NULL) ||
		    (sayings[i].field && (t.findings.list[0].line != sayings[i].line ||
					  !slice_eq_str(t.findings.list[0].field, field) ||
					  !strstr(message, sayings[i].part)))) {
			(void)texts_found(&t, 0, 0, "", "");
			fail_msg("row %zu: %s", i, sayings[i].text);
		}
		texts_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pods),
		cmocka_unit_test(services),
		cmocka_unit_test(endpoint_slices),
		cmocka_unit_test(nodes_lists_and_strangers),
		cmocka_unit_test(wrong_rules),
		cmocka_unit_test(what_is_not_enforced_is_an_error),
		cmocka_unit_test(a_target_that_cannot_be_read),
		cmocka_unit_test(a_whole_policy),
		cmocka_unit_test(warnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
