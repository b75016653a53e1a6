// SPDX-License-Identifier: GPL-3.0-or-later
// compile/compile_reach, model/read_warn: rules that can never match, and targets where nothing is enforced, are
// said; each row has one of them, or none.
#include <stdio.h>
#include "policy-sync/objects.h"

#define POD(name, labels, extra, addresses)                                                        \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name ", namespace: shop, uid: u-" name \
	", labels: {" labels "}}\nspec: {nodeName: n1, serviceAccountName: " name extra            \
	"}\nstatus: {phase: Running, podIPs: [" addresses "]}\n"
#define SERVICE(name, app, ports)                                                                  \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name                               \
	", namespace: shop}\nspec: {selector: {app: " app "}, ports: [" ports "]}\n"

static const char world[] =
	"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: red}}\n"
	// web: both families, 8080 behind 80, and a port that is TLS.
	POD("web", "app: web",
	    ", containers: [{ports: [{name: http, containerPort: 8080}, "
	    "{containerPort: 9090}]}]",
	    "{ip: 10.0.0.1}, {ip: \"fd00::1\"}") SERVICE("web", "web",
							 "{name: http, port: 80, targetPort: http}")
		SERVICE("tls", "tls",
			"{name: plain, port: 80, targetPort: 8080}, {name: https, port: 443, "
			"targetPort: 8443, appProtocol: https}, {name: db, port: 5432, "
			"appProtocol: tcp}") POD("tls", "app: tls", "", "{ip: 10.0.0.2}")
	// old: IPv4 alone; off: not enrolled; host: on its node's network.
	POD("old", "app: old", "", "{ip: 10.0.0.3}") SERVICE("old", "old", "{port: 80}")
		POD("off", "app: off, portcullis.dev/dataplane-mode: none", "", "{ip: 10.0.0.4}")
			POD("host", "app: host", ", hostNetwork: true", "{ip: 192.0.2.1}");

#define TARGET(text) "targetRefs: [{group: \"\", " text "}]"
#define WEB	     TARGET("kind: Service, name: web")
#define TLS	     TARGET("kind: Service, name: tls")
#define OLD	     TARGET("kind: Service, name: old")
#define SHOP	     TARGET("kind: Namespace, name: shop")
#define APP(name)    TARGET("kind: Pod, selector: {matchLabels: {app: " name "}}")
#define RULES(rules) "authorization: {rules: [" rules "]}"
#define DENY(what)   "{name: r, action: Deny, " what "}"
#define ALLOW(what)  "{name: r, action: Allow, " what "}"
#define PORTS(list)  "operation: {ports: [" list "]}"
#define CIDRS(list)  "principal: {clientCIDRs: [" list "]}"
#define SA(ns, name)                                                                               \
	"principal: {sources: [{type: ServiceAccount, serviceAccount: {namespace: " ns             \
	", name: " name "}}]}"
#define ID(id) "principal: {sources: [{type: SPIFFE, spiffe: \"spiffe://" id "\"}]}"

static const struct {
	const char *kind, *target, *rest;
	const char *field, *part; // NULL: nothing to say
} rows[] = {
	// Ports are those of pods.
	{"SecurityPolicy", WEB, RULES(DENY(PORTS("8080"))), NULL, NULL},
	{"SecurityPolicy", WEB, RULES(DENY(PORTS("80"))),
	 "spec.authorization.rules[0].operation.ports[0]", "no pod of the targets has this port"},
	{"SecurityPolicy", WEB, RULES(DENY(PORTS("8080, 9"))),
	 "spec.authorization.rules[0].operation.ports[1]", "no pod of the targets"},
	{"SecurityPolicy", APP("web"), RULES(DENY(PORTS("80"))),
	 "spec.authorization.rules[0].operation.ports[0]", "no pod of the targets"},
	{"SecurityPolicy", APP("web"), RULES(DENY(PORTS("9090, 8080"))), NULL, NULL},
	{"SecurityPolicy", APP("off"), RULES(DENY(PORTS("80"))), "spec.targetRefs[0].selector",
	 "1 of its 1 pods is not enrolled"}, // which ports it has, nobody knows
	{"SecurityPolicy", TARGET("kind: Service, name: tls, sectionName: plain"),
	 RULES(DENY(PORTS("8443"))), "spec.authorization.rules[0].operation.ports[0]",
	 "no pod of the targets"},
	{"SecurityPolicy", TLS, RULES(DENY(PORTS("8443"))), NULL, NULL},
	{"SecurityPolicy",
	 "targetRefs: [{group: \"\", kind: Service, name: web}, {group: \"\", kind: Service, name: "
	 "old}]",
	 RULES(DENY(PORTS("8080, 80"))), NULL, NULL},
	{"SecurityPolicy",
	 "targetRefs: [{group: \"\", kind: Service, name: web}, {group: \"\", kind: Service, name: "
	 "gone}]",
	 RULES(DENY(PORTS("80"))), "spec.targetRefs[1].name", "there is no Service gone"},
	// Requests on ports that have none.
	{"SecurityPolicy", TLS, RULES(DENY("operation: {methods: [GET]}")),
	 "spec.authorization.rules[0]", "port 443 of Service tls has appProtocol https"},
	{"SecurityPolicy", TLS, RULES(DENY("operation: {methods: [GET], ports: [5432]}")),
	 "spec.authorization.rules[0]", "port 5432 of Service tls has appProtocol tcp"},
	{"SecurityPolicy", TLS, RULES(DENY("operation: {methods: [GET], ports: [8080]}")), NULL,
	 NULL},
	{"SecurityPolicy", TARGET("kind: Service, name: tls, sectionName: plain"),
	 RULES(DENY("operation: {methods: [GET]}")), NULL, NULL},
	{"SecurityPolicy", TARGET("kind: Service, name: tls, sectionName: https"),
	 "jwt: {providers: [{name: a, localJWKS: {inline: '{\"keys\":[{" ED25519 "}]}'}}]}",
	 "spec.jwt", "none can be read there"},
	{"SecurityPolicy", APP("tls"), RULES(DENY("operation: {hosts: [a.example]}")),
	 "spec.authorization.rules[0]", "none can be read there"},
	{"RateLimitPolicy", TARGET("kind: Service, name: tls, sectionName: db"),
	 "scope: Node, rules: [{name: r, clientSelectors: [{methods: [GET]}], limit: {requests: 1, "
	 "unit: "
	 "Hour}}]",
	 "spec.rules[0]", "none can be read there"},
	// Families of addresses.
	{"SecurityPolicy", WEB, RULES(ALLOW(CIDRS("10.0.0.0/8"))),
	 "spec.authorization.rules[0].principal.clientCIDRs", "comes by IPv6 is not matched"},
	{"SecurityPolicy", WEB, RULES(DENY(CIDRS("\"fd00::/8\""))),
	 "spec.authorization.rules[0].principal.clientCIDRs", "comes by IPv4 is not matched"},
	{"SecurityPolicy", WEB, RULES(DENY(CIDRS("10.0.0.0/8, \"fd00::/8\""))), NULL, NULL},
	{"SecurityPolicy", WEB,
	 RULES("{action: Deny, " CIDRS("10.0.0.0/8") "}, {action: Deny, " CIDRS(
		 "\"fd00::/8\"") "}"),
	 NULL, NULL},
	{"SecurityPolicy", OLD, RULES(DENY(CIDRS("10.0.0.0/8"))), NULL, NULL},
	{"SecurityPolicy",
	 "targetRefs: [{group: \"\", kind: Service, name: web}, {group: \"\", kind: Pod, selector: "
	 "{matchLabels: {app: web}}}]",
	 RULES(DENY(CIDRS("10.0.0.0/8"))), "spec.authorization.rules[0].principal.clientCIDRs",
	 "comes by IPv6 is not matched"},
	{"ClusterSecurityPolicy", "namespaceSelector: {}",
	 "defaults: {authorization: {rules: [" DENY(CIDRS("10.0.0.0/8")) "]}}",
	 "spec.defaults.authorization.rules[0].principal.clientCIDRs",
	 "comes by IPv6 is not matched"},
	{"ClusterSecurityPolicy", "namespaceSelector: {}",
	 "defaults: {authorization: {rules: [" DENY(CIDRS("10.0.0.0/8, \"fd00::/8\"")) "]}}", NULL,
	 NULL},
	{"RateLimitPolicy", WEB,
	 "scope: Node, rules: [{name: r, clientSelectors: [{sourceCIDR: {value: 0.0.0.0/0}}], "
	 "limit: "
	 "{requests: 1, unit: Hour}}]",
	 "spec.rules[0]", "comes by IPv6"},
	{"RateLimitPolicy", WEB,
	 "scope: Node, rules: [{name: r, clientSelectors: [{sourceCIDR: {value: 0.0.0.0/0}}], "
	 "limit: "
	 "{requests: 1, unit: Hour}}, {name: s, limit: {requests: 1, unit: Hour}}]",
	 NULL, NULL},
	// Where nothing is enforced.
	{"SecurityPolicy", APP("host"), RULES(DENY(SA("shop", "web"))),
	 "spec.targetRefs[0].selector",
	 "1 of its 1 pods is not enrolled, or on the host's network (host first)"},
	{"SecurityPolicy", SHOP, RULES(DENY(SA("shop", "web"))), "spec.targetRefs[0].name",
	 "2 of its 5 pods are not enrolled"},
	{"RateLimitPolicy", APP("off"),
	 "scope: Node, rules: [{name: r, limit: {requests: 1, unit: Hour}}]",
	 "spec.targetRefs[0].selector", "not enrolled"},
	// Who asks.
	{"SecurityPolicy", WEB, RULES(ALLOW(SA("shop", "tls"))), NULL, NULL},
	{"SecurityPolicy", WEB, RULES(ALLOW(SA("shop", "\"*\""))), NULL, NULL},
	{"SecurityPolicy", WEB, RULES(ALLOW(SA("shop", "frontend"))),
	 "spec.authorization.rules[0].principal.sources[0]", "no pod runs as shop/frontend"},
	{"SecurityPolicy", WEB, RULES(ALLOW(SA("shp", "\"*\""))),
	 "spec.authorization.rules[0].principal.sources[0]", "no pod runs as shp/*"},
	{"SecurityPolicy", WEB, RULES(ALLOW(ID("cluster.local/ns/shop/sa/tls"))), NULL, NULL},
	{"SecurityPolicy", WEB, RULES(ALLOW(ID("cluster.local/ns/shop/sa/tsl"))),
	 "spec.authorization.rules[0].principal.sources[0]", "no pod runs as shop/tsl"},
	{"SecurityPolicy", WEB, RULES(ALLOW("principal: {sources: [{type: Node}]}")), NULL, NULL},
	{"ClusterSecurityPolicy", "namespaceSelector: {matchLabels: {team: red}}",
	 "defaults: {authorization: {defaultAction: Deny}}", NULL, NULL},
	{"ClusterSecurityPolicy",
	 "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}",
	 "defaults: {authorization: {defaultAction: Deny}}", NULL, NULL},
	{"ClusterSecurityPolicy", "namespaceSelector: {matchLabels: {team: blue}}",
	 "defaults: {authorization: {defaultAction: Deny}}", "spec.namespaceSelector",
	 "selects no namespace"},
	// What no request has.
	{"SecurityPolicy", WEB, RULES(DENY("operation: {path: {value: \"/admin/*\"}}")),
	 "spec.authorization.rules[0].operation.path.value", "paths have no wildcards"},
	{"SecurityPolicy", WEB, RULES(DENY("principal: {headers: [{name: \"x team\", value: a}]}")),
	 "spec.authorization.rules[0].principal.headers[0].name",
	 "no name that a header field can have"},
	{"SecurityPolicy", WEB,
	 RULES(DENY("principal: {headers: [{name: \"x-team:\", value: a}]}")),
	 "spec.authorization.rules[0].principal.headers[0].name",
	 "no name that a header field can have"},
	{"SecurityPolicy", WEB, RULES(DENY("operation: {methods: [CONNECT]}")),
	 "spec.authorization.rules[0].operation.methods[0]", "is let in"},
};

static void what_can_never_match(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024];
		struct texts t;

		snprintf(text, sizeof(text),
			 OURS "kind: %s\nmetadata: {name: p%s}\nspec: {%s, %s}\n", rows[i].kind,
			 rows[i].kind[0] == 'C' ? "" : ", namespace: shop", rows[i].target,
			 rows[i].rest);
		texts_open(&t);
		texts_add(&t, world);
		texts_add(&t, text);
		texts_compile(&t);
		const struct diagnostic *d = t.findings.list;
		bool good = t.findings.count == (rows[i].field != NULL);

		if (good && rows[i].field)
			good = d->severity == SEVERITY_WARNING && d->line == 4 &&
			       slice_eq_str(d->field, rows[i].field) &&
			       memmem(d->message.ptr, d->message.len, rows[i].part,
				      strlen(rows[i].part));
		if (!good) {
			(void)texts_found(&t, 0, 0, "", "");
			fail_msg("row %zu: %s, %s", i, rows[i].target, rows[i].rest);
		}
		texts_close(&t);
	}
}

// A pipeline checks policies before there is a cluster.
static void nothing_is_known_without_pods(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t,
		  OURS "kind: SecurityPolicy\nmetadata: {name: p, namespace: shop}\nspec: {" SHOP
		       ", " RULES(ALLOW(SA("shop", "frontend"))) "}\n");
	texts_compile(&t);
	assert_int_equal(t.findings.count, 0);
	texts_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_can_never_match),
		cmocka_unit_test(nothing_is_known_without_pods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
