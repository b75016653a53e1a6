// SPDX-License-Identifier: GPL-3.0-or-later
// For the tests of compile: a small cluster of two namespaces, the words of its policies, and tables of who
// asks whom.
#pragma once

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
#define Z2	   "kind: Service, name: z2"
#define DENY_REST  "authorization: {defaultAction: Deny}"
#define ALLOW_REST "authorization: {defaultAction: Allow}"
#define RULE_OF(action, account)                                                                   \
	"{name: r-" account ", action: " action ", principal: {sources: [{type: ServiceAccount, "  \
	"serviceAccount: {namespace: y, name: " account "}}]}}"
#define ONLY_X "authorization: {rules: [" RULE_OF("Allow", "x") "]}"
#define NOT_X  "authorization: {defaultAction: Allow, rules: [" RULE_OF("Deny", "x") "]}"

static inline void build(struct texts *t, const char *policies)
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

static inline void ask_rows(const struct row *rows, size_t count)
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
