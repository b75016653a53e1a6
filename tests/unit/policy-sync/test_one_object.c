// SPDX-License-Identifier: GPL-3.0-or-later
// One object holds up nobody: every member of every object is given what it may not hold, and each time the
// nodes' reader takes what was compiled, everything else is in it, and what a security policy protects
// is not open.
#include "policy-sync/shop.h"

#define VICTIM "10.1.9.1" // pod that the object at hand is about

// A document with one hole.
struct member {
	const char *name;
	const char *before, *after;
	const char *unit; // what a list repeats; NULL: the hole is one value
};

#define META(kind, name)                                                                           \
	"---\napiVersion: v1\nkind: " kind "\nmetadata: {name: " name ", namespace: victim}\n"
#define POD_OF(uid, spec, status)                                                                  \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: odd, namespace: victim, uid: " uid       \
	"}\nspec: {nodeName: n1, " spec "}\nstatus: {" status "}\n"
#define SERVICE_OF(spec) META("Service", "odd") "spec: {selector: {app: v}, " spec "}\n"
#define SLICE_OF(rest)                                                                             \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: odd, "        \
	"namespace: victim, labels: {kubernetes.io/service-name: plain}}\n" rest "\n"
#define NODE_OF(rest)                                                                              \
	"---\napiVersion: v1\nkind: Node\nmetadata: {name: odd, labels: {"                         \
	"topology.kubernetes.io/zone: " rest "}\n"
#define POLICY_OF(rest)                                                                            \
	"---\n" OURS "kind: SecurityPolicy\nmetadata: {name: odd, namespace: victim}\n"            \
	"spec: {targetRefs: [{group: \"\", kind: Namespace, name: victim}], " rest "}\n"
#define RULE_WITH(rest) POLICY_OF("authorization: {rules: [{name: r, action: Allow, " rest "}]}")
#define LIMIT_OF(rest)                                                                             \
	"---\n" OURS "kind: RateLimitPolicy\nmetadata: {name: odd, namespace: victim}\n"           \
	"spec: {targetRefs: [{group: \"\", kind: Namespace, name: victim}], scope: Node, "         \
	"rules: [" rest "]}\n"
#define JWT_OF(rest) POLICY_OF("jwt: {providers: [" rest "]}")
#define KEYS                                                                                       \
	"localJWKS: {inline: '{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"              \
	"\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}'}"
// The hole: everything before it, everything behind.
#define HOLE "@@"

static const struct member members[] = {
	{"pod.name", "---\napiVersion: v1\nkind: Pod\nmetadata: {namespace: victim, uid: u, name: ",
	 "}\nspec: {nodeName: n1}\nstatus: {podIPs: [{ip: 10.1.9.2}]}\n", NULL},
	{"pod.namespace", "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, uid: u, namespace: ",
	 "}\nspec: {nodeName: n1}\nstatus: {podIPs: [{ip: 10.1.9.2}]}\n", NULL},
	{"pod.uid", "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: victim, uid: ",
	 "}\nspec: {nodeName: n1}\nstatus: {podIPs: [{ip: 10.1.9.2}]}\n", NULL},
	{"pod.node",
	 "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: victim, uid: u}\n"
	 "spec: {nodeName: ",
	 "}\nstatus: {podIPs: [{ip: 10.1.9.2}]}\n", NULL},
	{"pod.account",
	 "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: victim, uid: u}\n"
	 "spec: {nodeName: n1, serviceAccountName: ",
	 "}\nstatus: {podIPs: [{ip: 10.1.9.2}]}\n", NULL},
	{"pod.label",
	 "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: victim, uid: u, "
	 "labels: {a: ",
	 "}}\nspec: {nodeName: n1}\nstatus: {podIPs: [{ip: 10.1.9.2}]}\n", NULL},
	{"pod.podIP",
	 "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: victim, uid: u}\n"
	 "spec: {nodeName: n1}\nstatus: {podIPs: [{ip: 10.1.9.2}, {ip: ",
	 "}]}\n", NULL},
	{"pod.podIPs",
	 "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: victim, uid: u}\n"
	 "spec: {nodeName: n1}\nstatus: {podIPs: [",
	 "]}\n", "{ip: 10.1.9.2}"},
	{"pod.port",
	 "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: victim, uid: u}\n"
	 "spec: {nodeName: n1, containers: [{ports: [{name: a, containerPort: ",
	 "}]}]}\nstatus: {podIPs: [{ip: 10.1.9.2}]}\n", NULL},
	{"pod.ports",
	 "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: victim, uid: u}\n"
	 "spec: {nodeName: n1, containers: [{ports: [",
	 "]}]}\nstatus: {podIPs: [{ip: 10.1.9.2}]}\n", "{name: a, containerPort: 1}"},
	{"node.name", "---\napiVersion: v1\nkind: Node\nmetadata: {name: ",
	 "}\nstatus: {addresses: [{type: InternalIP, address: 192.0.2.77}]}\n", NULL},
	{"node.zone", NODE_OF(""), "}\nstatus: {addresses: []}\n", NULL},
	{"node.address",
	 "---\napiVersion: v1\nkind: Node\nmetadata: {name: odd}\nstatus: {addresses: "
	 "[{type: InternalIP, address: 192.0.2.77}, {type: InternalIP, address: ",
	 "}]}\n", NULL},
	{"node.addresses",
	 "---\napiVersion: v1\nkind: Node\nmetadata: {name: odd}\nstatus: {addresses: [", "]}\n",
	 "{type: InternalIP, address: 192.0.2.77}"},
	{"namespace.name", "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ", "}\n", NULL},
	{"service.name", "---\napiVersion: v1\nkind: Service\nmetadata: {namespace: victim, name: ",
	 "}\nspec: {clusterIP: 10.96.9.9, ports: [{port: 80}]}\n", NULL},
	{"service.namespace", "---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: ",
	 "}\nspec: {clusterIP: 10.96.9.9, ports: [{port: 80}]}\n", NULL},
	{"service.clusterIP",
	 META("Service", "odd") "spec: {ports: [{port: 80}], clusterIP: ", "}\n", NULL},
	{"service.clusterIPs", META("Service", "odd") "spec: {ports: [{port: 80}], clusterIPs: [",
	 "]}\n", "10.96.9.9"},
	{"service.externalIP",
	 META("Service", "odd") "spec: {clusterIP: 10.96.9.9, ports: [{port: 80}], externalIPs: [",
	 "]}\n", NULL},
	{"service.ingress",
	 META("Service", "odd") "spec: {clusterIP: 10.96.9.9, ports: [{port: 80}]}\n"
				"status: {loadBalancer: {ingress: [{ip: ",
	 "}]}}\n", NULL},
	{"service.ports", SERVICE_OF("clusterIP: 10.96.9.9, ports: ["), "", NULL},
	{"service.port.name",
	 META("Service", "odd") "spec: {clusterIP: 10.96.9.9, ports: [{port: 80, name: ", "}]}\n",
	 NULL},
	{"service.port.port",
	 META("Service", "odd") "spec: {clusterIP: 10.96.9.9, ports: [{port: ", "}]}\n", NULL},
	{"service.port.target",
	 META("Service", "odd") "spec: {clusterIP: 10.96.9.9, ports: [{port: 80, targetPort: ",
	 "}]}\n", NULL},
	{"service.nodePort",
	 META("Service", "odd") "spec: {clusterIP: 10.96.9.9, ports: [{port: 80, nodePort: ",
	 "}]}\n", NULL},
	{"service.appProtocol",
	 META("Service", "odd") "spec: {clusterIP: 10.96.9.9, ports: [{port: 80, appProtocol: ",
	 "}]}\n", NULL},
	{"service.portlist", META("Service", "odd") "spec: {clusterIP: 10.96.9.9, ports: [", "]}\n",
	 "{port: 80, name: a}"},
	{"service.affinity",
	 META("Service",
	      "odd") "spec: {clusterIP: 10.96.9.9, ports: [{port: 80}], sessionAffinity: "
		     "ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: ",
	 "}}}\n", NULL},
	{"service.ranges",
	 META("Service", "odd") "spec: {clusterIP: 10.96.9.9, ports: [{port: 80}], "
				"loadBalancerSourceRanges: [",
	 "]}\n", "10.0.0.0/8"},
	{"slice.address", SLICE_OF("ports: [{port: 80}]\nendpoints: [{addresses: ["), "", NULL},
	{"slice.addr", SLICE_OF("ports: [{port: 80}]") "endpoints: [{addresses: [", "]}]\n", NULL},
	{"slice.node",
	 SLICE_OF("ports: [{port: 80}]") "endpoints: [{addresses: [203.0.113.5], nodeName: ",
	 "}]\n", NULL},
	{"slice.pod",
	 SLICE_OF("ports: [{port: 80}]") "endpoints: [{addresses: [" VICTIM "], targetRef: {kind: "
					 "Pod, name: v, uid: ",
	 "}}]\n", NULL},
	{"slice.port",
	 SLICE_OF("endpoints: [{addresses: [203.0.113.5]}]") "ports: [{port: ", "}]\n", NULL},
	{"slice.portname",
	 SLICE_OF("endpoints: [{addresses: [203.0.113.5]}]") "ports: [{port: 80, name: ", "}]\n",
	 NULL},
	{"slice.ports", SLICE_OF("endpoints: [{addresses: [203.0.113.5]}]") "ports: [", "]\n",
	 "{port: 80}"},
	{"slice.endpoints", SLICE_OF("ports: [{port: 80}]") "endpoints: [", "]\n",
	 "{addresses: [203.0.113.5]}"},
	{"policy.name", "---\n" OURS "kind: SecurityPolicy\nmetadata: {namespace: victim, name: ",
	 "}\nspec: {targetRefs: [{group: \"\", kind: Namespace, name: victim}], " DENY_REST "}\n",
	 NULL},
	{"policy.targets",
	 "---\n" OURS "kind: SecurityPolicy\nmetadata: {name: odd, namespace: victim}\n"
	 "spec: {" DENY_REST ", targetRefs: [",
	 "]}\n", "{group: \"\", kind: Namespace, name: victim}"},
	{"policy.section",
	 "---\n" OURS "kind: SecurityPolicy\nmetadata: {name: odd, namespace: victim}\n"
	 "spec: {" DENY_REST
	 ", targetRefs: [{group: \"\", kind: Service, name: plain, sectionName: ",
	 "}]}\n", NULL},
	{"rule.name", POLICY_OF("authorization: {rules: [{action: Deny, name: " HOLE "}]}"), "",
	 NULL},
	{"rule.rules", POLICY_OF("authorization: {rules: [" HOLE "]}"), "",
	 "{name: r, action: Allow, principal: {clientCIDRs: [192.0.2.0/24]}}"},
	{"rule.spiffe", RULE_WITH("principal: {sources: [{type: SPIFFE, spiffe: " HOLE "}]}"), "",
	 NULL},
	{"rule.account",
	 RULE_WITH("principal: {sources: [{type: ServiceAccount, serviceAccount: {namespace: y, "
		   "name: " HOLE "}}]}"),
	 "", NULL},
	{"rule.accountspace",
	 RULE_WITH("principal: {sources: [{type: ServiceAccount, serviceAccount: {name: y, "
		   "namespace: " HOLE "}}]}"),
	 "", NULL},
	{"rule.sources", RULE_WITH("principal: {sources: [" HOLE "]}"), "", "{type: Node}"},
	{"rule.cidr", RULE_WITH("principal: {clientCIDRs: [" HOLE "]}"), "", NULL},
	{"rule.cidrs", RULE_WITH("principal: {clientCIDRs: [" HOLE "]}"), "", "192.0.2.0/24"},
	{"rule.header", RULE_WITH("principal: {headers: [{name: " HOLE ", values: [a]}]}"), "",
	 NULL},
	{"rule.headervalue", RULE_WITH("principal: {headers: [{name: a, values: [" HOLE "]}]}"), "",
	 NULL},
	{"rule.headervalues", RULE_WITH("principal: {headers: [{name: a, values: [" HOLE "]}]}"),
	 "", "b"},
	{"rule.headers", RULE_WITH("principal: {headers: [" HOLE "]}"), "",
	 "{name: a, values: [b]}"},
	{"rule.method", RULE_WITH("operation: {methods: [" HOLE "]}"), "", NULL},
	{"rule.methods", RULE_WITH("operation: {methods: [" HOLE "]}"), "", "GET"},
	{"rule.path", RULE_WITH("operation: {paths: [{type: Exact, value: " HOLE "}]}"), "", NULL},
	{"rule.paths", RULE_WITH("operation: {paths: [" HOLE "]}"), "", "{type: Exact, value: /a}"},
	{"rule.host", RULE_WITH("operation: {hosts: [" HOLE "]}"), "", NULL},
	{"rule.hosts", RULE_WITH("operation: {hosts: [" HOLE "]}"), "", "a.example"},
	{"rule.port", RULE_WITH("operation: {ports: [" HOLE "]}"), "", NULL},
	{"rule.ports", RULE_WITH("operation: {ports: [" HOLE "]}"), "", "81"},
	{"rule.provider", RULE_WITH("principal: {jwt: {provider: " HOLE ", scopes: [a]}}"), "",
	 NULL},
	{"rule.claim",
	 POLICY_OF("jwt: {providers: [{name: a, issuer: 'https://i', " KEYS
		   "}]}, authorization: {rules: [{name: r, action: Allow, principal: {jwt: "
		   "{provider: a, claims: [{name: " HOLE ", values: [a]}]}}}]}"),
	 "", NULL},
	{"rule.claims",
	 POLICY_OF("jwt: {providers: [{name: a, issuer: 'https://i', " KEYS
		   "}]}, authorization: {rules: [{name: r, action: Allow, principal: {jwt: "
		   "{provider: a, claims: [" HOLE "]}}}]}"),
	 "", "{name: g, values: [a]}"},
	{"rule.claimless",
	 RULE_WITH("principal: {jwt: {provider: \"\", claims: [{name: " HOLE ", values: [a]}]}}"),
	 "", NULL},
	{"rule.scopes",
	 POLICY_OF("jwt: {providers: [{name: a, issuer: 'https://i', " KEYS
		   "}]}, authorization: {rules: [{name: r, action: Allow, principal: {jwt: "
		   "{provider: a, scopes: [" HOLE "]}}}]}"),
	 "", "s"},
	{"jwt.name", JWT_OF("{issuer: 'https://i', " KEYS ", name: " HOLE "}"), "", NULL},
	{"jwt.issuer", JWT_OF("{name: a, " KEYS ", issuer: " HOLE "}"), "", NULL},
	{"jwt.audience", JWT_OF("{name: a, issuer: 'https://i', " KEYS ", audiences: [" HOLE "]}"),
	 "", NULL},
	{"jwt.audiences", JWT_OF("{name: a, issuer: 'https://i', " KEYS ", audiences: [" HOLE "]}"),
	 "", "b"},
	{"jwt.providers", JWT_OF(HOLE), "", "{name: a, issuer: 'https://i', " KEYS "}"},
	{"limit.name", LIMIT_OF("{limit: {requests: 1, unit: Minute}, name: " HOLE "}"), "", NULL},
	{"limit.requests", LIMIT_OF("{name: r, limit: {unit: Minute, requests: " HOLE "}}"), "",
	 NULL},
	{"limit.rules", LIMIT_OF(HOLE), "", "{name: r, limit: {requests: 1, unit: Minute}}"},
};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

static const char *const values[] = {
	"",
	"\"\"",
	"a",
	"'*'",
	"\"a\\0b\"",
	"\"\\x01\\n\"",
	"\"\\u202e\"",
	"0",
	"1",
	"65535",
	"65536",
	"-1",
	"18446744073709551616",
	"0.0.0.0",
	"'::'",
	"127.0.0.1",
	"'::1'",
	"224.0.0.1",
	"'ff02::1'",
	"169.254.1.1",
	"'fe80::1'",
	"'::ffff:10.1.9.2'",
	"10.1.9.2",
	"'::ffff:192.0.2.77'",
	"255.255.255.255",
	"'::ffff:10.1.1.1'",
	"0.0.0.0/0",
	"'::/0'",
	"'::ffff:0.0.0.0/96'",
	"10.1.2.1",
	"10.96.0.1",
	"null",
	"{}",
	"[]",
};
#define VALUES (sizeof(values) / sizeof(values[0]))

static const size_t lengths[] = {63, 64, 65, 253, 254, 255, 256, 512, 513, 600, 2049, 4097, 16385};
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))
static const int counts[] = {2, 16, 17, 64, 65, 255, 256, 257, 1025, 4097};
#define COUNTS (sizeof(counts) / sizeof(counts[0]))

static const char base[] = WORLD POLICY("deny", NAMESPACE, DENY_REST) POD(
	"victim", "v", "u-v", VICTIM,
	"app: v") "---\napiVersion: v1\nkind: Service\nmetadata: {name: plain, namespace: victim}\n"
		  "spec: {clusterIP: 10.96.9.1, selector: {app: v}, ports: [{name: web, port: "
		  "80}]}\n";

// The nodes' reader, as on a node. The text is the finding.
static bool applied(struct texts *t, struct reason *why)
{
	struct snapshot_section *sections[SNAPSHOT_SECTIONS_MAX] = {0};
	enum err e = compile_model(t->model, &t->findings, &t->compiled);
	uint32_t n = 0;

	if (e)
		return err_because(e, why, "not compiled: %s", err_name(e)) == ERR_OK;
	for (; !e && n < t->compiled->count; n++) {
		struct section_ref ref = {.name = t->compiled->sections[n].name,
					  .bytes = (uint32_t)t->compiled->sections[n].bytes.len};

		e = snapshot_section_new(ref, t->compiled->sections[n].bytes, &sections[n], why);
	}
	if (!e)
		e = snapshot_new((struct generation){1, 1}, sections, n, SLICE_LIT("n1"),
				 &t->snapshot, why);
	for (uint32_t i = 0; i < n; i++)
		snapshot_section_unref(sections[i]);
	return !e;
}

// What says of itself that everybody may come is right in its way. An address of another pod's neither of
// them has; what kubelets say of pods and nodes counts before a Service's claim.
static bool is_meant(const struct member *m, const char *value)
{
	static const struct {
		const char *member, *value;
	} rows[] = {
		{"rule.account", "'*'"},
		{"rule.cidr", "0.0.0.0/0"},
		{"rule.cidr", "'::ffff:0.0.0.0/96'"},
		{"rule.cidr", "'::ffff:10.1.1.1'"},
		{"pod.podIP", "'::ffff:10.1.1.1'"},
		{"pod.podIP", "10.1.2.1"},
		{"pod.podIP", "10.96.0.1"},
		{"node.address", "10.96.0.1"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strncmp(m->name, rows[i].member, strlen(rows[i].member)) == 0 &&
		    strcmp(value, rows[i].value) == 0)
			return true;
	}
	return false;
}

static const char *fault(struct texts *t, const struct member *m, struct reason *why)
{
	bool policy = strncmp(m->name, "rule.", 5) == 0 || strncmp(m->name, "policy.", 7) == 0 ||
		      strncmp(m->name, "jwt.", 4) == 0;
	const struct ss_service *of;

	if (!applied(t, why))
		return why->text;
	of = snapshot_service_by_name(t->snapshot, SLICE_LIT("shop"), SLICE_LIT("z"));
	if (!of || !texts_pod(t, Z) || !texts_pod(t, X))
		return "an object beside it is missing";
	if (!snapshot_service_port(t->snapshot, addr_from_v4(0x0a600001), 80, &of) ||
	    !slice_eq_str(of->name, "z"))
		return "a Service's address is another's";
	if (texts_verdict(t, X, Z, 8080) != VERDICT_DENY)
		return "a policy beside it is not enforced";
	// A document that does not say what it is: nothing is published at a start, what was holds later.
	if (policy && !t->model->incomplete &&
	    (!texts_pod(t, VICTIM) || texts_verdict(t, X, VICTIM, 80) == VERDICT_ALLOW))
		return "what it protects is open";
	return NULL;
}

static uint32_t faults;

static void try(const struct member *m, const char *value, const char *called)
{
	const char *hole = strstr(m->before, HOLE), *wrong;
	struct reason why = {0};
	struct texts t;
	struct buf text;

	if (is_meant(m, value))
		return;
	buf_init_growing(&text, 8u << 20);
	buf_put_str(&text, base);
	if (hole) {
		buf_put(&text, m->before, (size_t)(hole - m->before));
		buf_put_str(&text, value);
		buf_put_str(&text, hole + strlen(HOLE));
	} else {
		buf_put_str(&text, m->before);
		buf_put_str(&text, value);
		buf_put_str(&text, m->after);
	}
	texts_open(&t);
	load_text(t.model, "test.yaml", buf_slice(&text), &t.findings);
	wrong = fault(&t, m, &why);
	if (wrong) {
		print_message("%s = %s: %s\n", m->name, called, wrong);
		faults++;
	}
	texts_close(&t);
	buf_deinit(&text);
}

static void no_value_holds_up_another(void **state)
{
	char text[20000];

	(void)state;
	for (size_t i = 0; i < MEMBERS; i++) {
		for (size_t k = 0; k < VALUES; k++)
			try(&members[i], values[k], values[k]);
		for (size_t k = 0; k < LENGTHS; k++) {
			char called[40];

			memset(text, 'a', lengths[k]);
			text[lengths[k]] = 0;
			snprintf(called, sizeof(called), "%zu letters", lengths[k]);
			try(&members[i], text, called);
		}
	}
	assert_int_equal(faults, 0);
}

static void no_list_holds_up_another(void **state)
{
	(void)state;
	for (size_t i = 0; i < MEMBERS; i++) {
		for (size_t k = 0; members[i].unit && k < COUNTS; k++) {
			char called[40];
			struct buf list;

			buf_init_growing(&list, 4u << 20);
			for (int n = 0; n < counts[k]; n++)
				buf_printf(&list, "%s%s", n ? ", " : "", members[i].unit);
			buf_put(&list, "", 1);
			assert_int_equal(list.err, ERR_OK);
			snprintf(called, sizeof(called), "%d of one", counts[k]);
			try(&members[i], (const char *)list.ptr, called);
			buf_deinit(&list);
		}
	}
	assert_int_equal(faults, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_value_holds_up_another),
		cmocka_unit_test(no_list_holds_up_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
