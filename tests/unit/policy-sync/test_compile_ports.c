// SPDX-License-Identifier: GPL-3.0-or-later
// On which ports of a pod a Service's policy is: those that its traffic takes, by EndpointSlices and by the
// target port alike, and of TCP alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "policy-sync/shop.h"

#define PORTED "10.1.2.9"
#define POD_WITH(containers)                                                                       \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: ported, namespace: shop, uid: "          \
	"u-ported, "                                                                               \
	"labels: {app: ported}}\nspec: {nodeName: n1, serviceAccountName: ported, " containers     \
	"}\nstatus: {phase: Running, podIPs: [{ip: " PORTED "}]}\n"
#define SERVICE_TO(ports)                                                                          \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: ported, namespace: shop}\n"          \
	"spec: {clusterIP: 10.96.0.8, selector: {app: ported}, ports: [" ports "]}\n"
#define SLICE_OF(name, ports, address)                                                             \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " name        \
	", namespace: shop, labels: {kubernetes.io/service-name: ported}}\n"                       \
	"addressType: IPv4\nports: [" ports "]\nendpoints: [{addresses: [" address "]}]\n"
#define CLOSED	POLICY("a", "kind: Service, name: ported", DENY_REST)
#define METRICS "{name: m, port: 80, targetPort: metrics}"

#define UDP_FIRST                                                                                  \
	POD_WITH("containers: [{name: a, ports: [{name: metrics, containerPort: 9125, protocol: "  \
		 "UDP}]}, {name: b, ports: [{name: metrics, containerPort: 9090}]}]")
#define SIDECARS                                                                                   \
	POD_WITH("initContainers: [{name: once, ports: [{name: metrics, containerPort: 1}]}, "     \
		 "{name: "                                                                         \
		 "side, restartPolicy: Always, ports: [{name: metrics, containerPort: 9091}]}], "  \
		 "containers: [{name: c}]")
#define PLAIN POD_WITH("containers: [{name: c, ports: [{name: metrics, containerPort: 9090}]}]")

static void a_named_port_is_that_of_tcp(void **state)
{
	static const struct row rows[] = {
		{UDP_FIRST SERVICE_TO(METRICS) CLOSED, X, PORTED, 9090, VERDICT_DENY},
		{UDP_FIRST SERVICE_TO(METRICS) CLOSED, X, PORTED, 9125, VERDICT_ALLOW},
		{SIDECARS SERVICE_TO(METRICS) CLOSED, X, PORTED, 9091, VERDICT_DENY},
		{SIDECARS SERVICE_TO(METRICS) CLOSED, X, PORTED, 1, VERDICT_ALLOW},
		// The Service's own UDP port leads no TCP traffic anywhere.
		{UDP_FIRST SERVICE_TO("{name: m, port: 80, targetPort: metrics, protocol: UDP}")
			 CLOSED,
		 X, PORTED, 9090, VERDICT_ALLOW},
	};

	(void)state;
	ASK(rows);
}

static void slices_and_target_port_both_count(void **state)
{
	static const struct row rows[] = {
		{PLAIN SERVICE_TO(METRICS) SLICE_OF("s", "{name: m, port: 7000}", PORTED) CLOSED, X,
		 PORTED, 7000, VERDICT_DENY},
		{PLAIN SERVICE_TO(METRICS) SLICE_OF("s", "{name: m, port: 7000}", PORTED) CLOSED, X,
		 PORTED, 9090, VERDICT_DENY},
		{PLAIN SERVICE_TO("{name: m, port: 80, targetPort: 8080}")
			 SLICE_OF("s", "{name: m, port: 7000}", PORTED) CLOSED,
		 X, PORTED, 7000, VERDICT_DENY},
		// Of a UDP port by the same name, nothing.
		{PLAIN SERVICE_TO(METRICS)
			 SLICE_OF("s", "{name: m, port: 7000, protocol: UDP}", PORTED) CLOSED,
		 X, PORTED, 7000, VERDICT_ALLOW},
		// Another pod's slice, with that pod's number, is no port of this one.
		{PLAIN SERVICE_TO(METRICS) SLICE_OF("s", "{name: m, port: 7000}", LONE) CLOSED, X,
		 PORTED, 7000, VERDICT_ALLOW},
	};

	(void)state;
	ASK(rows);
}

// The pod names no such port and no slice names the pod yet: wherever the Service leads to.
static void who_is_in_no_slice_is_closed_everywhere(void **state)
{
	static const struct row rows[] = {
		{POD_WITH("containers: [{name: c}]") SERVICE_TO(METRICS)
			 SLICE_OF("s", "{name: m, port: 7000}", LONE) CLOSED,
		 X, PORTED, 7000, VERDICT_DENY},
	};

	(void)state;
	ASK(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_named_port_is_that_of_tcp),
		cmocka_unit_test(slices_and_target_port_both_count),
		cmocka_unit_test(who_is_in_no_slice_is_closed_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
