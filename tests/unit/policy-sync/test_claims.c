// SPDX-License-Identifier: GPL-3.0-or-later
// Whose address it is (design: policy.md): what one Service claims of another's, of a pod's or of a node's it does
// not get, of two claims the older counts, and every one that stands second is said.
#include "policy-sync/shop.h"

#define CLAIM(ns, name, meta, spec, status)                                                        \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: " ns meta "}\n" \
	"spec: {" spec "}\nstatus: {" status "}\n"
#define P80	    "ports: [{name: a, port: 80, targetPort: 8080}]"
#define SINCE(year) ", creationTimestamp: \"" year "-01-01T00:00:00Z\""
#define KUBERNETES                                                                                 \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: kubernetes, " \
	"namespace: default, labels: {kubernetes.io/service-name: kubernetes}}\n"                  \
	"ports: [{name: https, port: 7443}]\nendpoints: [{addresses: [192.0.2.11]}]\n"

struct claimed {
	const char *text;
	uint32_t addr;
	uint16_t port;
	const char *holder; // whose Service answers; "": nobody's
	uint32_t errors;
};

static const struct claimed rows[] = {
	// Somebody else's cluster IP: by external address, by load balancer, as a second cluster IP.
	{CLAIM("y", "evil", "", "clusterIP: 10.96.7.7, externalIPs: [10.96.0.1], " P80, ""),
	 0x0a600001, 80, "z", 1},
	{CLAIM("y", "evil", "", "clusterIP: 10.96.7.7, " P80,
	       "loadBalancer: {ingress: [{ip: 10.96.0.1}]}"),
	 0x0a600001, 80, "z", 1},
	{CLAIM("y", "evil", "", "clusterIPs: [10.96.7.7, 10.96.0.1], " P80, ""), 0x0a600001, 80,
	 "z", 1},
	{CLAIM("y", "evil", SINCE("2020"), "clusterIP: 10.96.7.7, externalIPs: [10.96.0.1], " P80,
	       ""),
	 0x0a600001, 80, "z", 1},
	// ... also at a port that it does not have.
	{CLAIM("y", "evil", "", "externalIPs: [10.96.0.1], ports: [{port: 443}]", ""), 0x0a600001,
	 443, "", 1},
	// Its own is no claim against anybody.
	{CLAIM("y", "good", "", "clusterIP: 10.96.7.7, externalIPs: [10.96.7.7, 203.0.113.1], " P80,
	       ""),
	 0xcb007101, 80, "good", 0},
	// A pod's.
	{CLAIM("y", "evil", "", "clusterIP: 10.96.7.7, externalIPs: [10.1.2.1], " P80, ""),
	 0x0a010201, 80, "", 1},
	{CLAIM("y", "evil", "", "clusterIP: 10.1.2.1, " P80, ""), 0x0a010201, 80, "", 1},
	// A node's: its own ports stay its own.
	{CLAIM("y", "good", "", "externalIPs: [192.0.2.11], " P80, ""), 0xc000020b, 80, "good", 0},
	{CLAIM("y", "evil", "", "externalIPs: [192.0.2.11], ports: [{port: 10250}]", ""),
	 0xc000020b, 10250, "", 1},
	{CLAIM("y", "evil", "", "externalIPs: [192.0.2.11], ports: [{port: 6443}]", ""), 0xc000020b,
	 6443, "", 1},
	{CLAIM("y", "evil", "", "externalIPs: [192.0.2.11], ports: [{port: 14443}]", ""),
	 0xc000020b, 14443, "", 1},
	{KUBERNETES CLAIM("y", "evil", "", "externalIPs: [192.0.2.11], ports: [{port: 7443}]", ""),
	 0xc000020b, 7443, "", 1},
	{CLAIM("y", "evil", "", "clusterIP: 192.0.2.11, " P80, ""), 0xc000020b, 80, "", 1},
	{CLAIM("y", "evil", "", "clusterIP: 10.96.7.7, ports: [{port: 80, nodePort: 10250}]", ""),
	 0xc000020b, 10250, "", 1},
	// Two of a kind: the older one, however they are called.
	{CLAIM("y", "a", SINCE("2025"), "externalIPs: [203.0.113.1], " P80, "")
		 CLAIM("y", "b", SINCE("2024"), "externalIPs: [203.0.113.1], " P80, ""),
	 0xcb007101, 80, "b", 1},
	{CLAIM("y", "a", "", "externalIPs: [203.0.113.1], " P80, "")
		 CLAIM("y", "b", SINCE("2024"), "externalIPs: [203.0.113.1], " P80, ""),
	 0xcb007101, 80, "b", 1},
	{CLAIM("y", "a", SINCE("2025"), "clusterIP: 10.96.8.8, " P80, "")
		 CLAIM("y", "b", SINCE("2024"), "clusterIP: 10.96.8.8, " P80, ""),
	 0x0a600808, 80, "b", 1},
	{CLAIM("y", "a", SINCE("2025"),
	       "clusterIP: 10.96.8.8, ports: [{port: 80, nodePort: 30080}]", "")
		 CLAIM("y", "b", SINCE("2024"),
		       "clusterIP: 10.96.8.9, ports: [{port: 80, nodePort: 30080}]", ""),
	 0xc000020b, 30080, "b", 1},
	// By port: both may have one of an address.
	{CLAIM("y", "a", SINCE("2025"), "externalIPs: [203.0.113.1], ports: [{name: a, port: 81}]",
	       "") CLAIM("y", "b", SINCE("2024"), "externalIPs: [203.0.113.1], " P80, ""),
	 0xcb007101, 81, "a", 0},
	{CLAIM("y", "a", SINCE("2025"),
	       "externalIPs: [203.0.113.1], ports: [{name: a, port: 81}, {name: b, port: 80}]", "")
		 CLAIM("y", "b", SINCE("2024"), "externalIPs: [203.0.113.1], " P80, ""),
	 0xcb007101, 80, "b", 1},
	{CLAIM("y", "a", "",
	       "clusterIP: 10.96.8.8, ports: [{name: a, port: 53, protocol: UDP}], "
	       "externalIPs: [203.0.113.1]",
	       "") CLAIM("y", "b", "", "externalIPs: [203.0.113.1], ports: [{port: 53}]", ""),
	 0xcb007101, 53, "b", 0},
	// No host's.
	{CLAIM("y", "evil", "", "externalIPs: [169.254.169.254], " P80, ""), 0xa9fea9fe, 80, "", 1},
	{CLAIM("y", "evil", "", "externalIPs: [127.0.0.1], " P80, ""), 0x7f000001, 80, "", 1},
	{CLAIM("y", "evil", "", "externalIPs: [0.0.0.0], " P80, ""), 0, 80, "", 1},
};

static void each_address_is_its_owners(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct ss_service *of = NULL;
		const struct ss_service_port *port;
		struct texts t;

		build(&t, rows[i].text);
		port = snapshot_service_port(t.snapshot, addr_from_v4(rows[i].addr), rows[i].port,
					     &of);
		if (!slice_eq_str(port ? of->name : (struct slice){0}, rows[i].holder) ||
		    t.findings.errors != rows[i].errors) {
			(void)texts_found(&t, 0, 0, "", "");
			fail_msg("row %zu: %.*s has it, %u errors", i,
				 SLICE_ARG(port ? of->name : SLICE_LIT("nobody")),
				 t.findings.errors);
		}
		// What is left of a Service that claimed too much is served.
		port = snapshot_service_port(t.snapshot, addr_from_v4(0x0a600001), 80, &of);
		assert_true(port && slice_eq_str(of->name, "z"));
		texts_close(&t);
	}
}

// ---- over time ---------------------------------------------------------------------------------

struct later {
	const char *before, *after; // all that there is, then and now
	uint32_t addr;
	uint16_t port;
	const char *holder;
	uint32_t errors;
};

#define GOOD(spec)	  CLAIM("y", "good", "", spec, "")
#define EVIL(since, spec) CLAIM("evil", "aaa", since, spec, "")

// Files have no API server that dates them: who was there first, whatever a file says of itself.
static const struct later laters[] = {
	{"", EVIL(SINCE("2001"), "clusterIPs: [10.96.7.7, 10.96.0.1], " P80), 0x0a600001, 80, "z",
	 1},
	{GOOD("clusterIP: 10.96.8.8, " P80),
	 EVIL(SINCE("2001"), "clusterIP: 10.96.8.8, " P80) GOOD("clusterIP: 10.96.8.8, " P80),
	 0x0a600808, 80, "good", 1},
	{GOOD("externalIPs: [203.0.113.1], " P80),
	 EVIL(SINCE("2001"), "externalIPs: [203.0.113.1], " P80)
		 GOOD("externalIPs: [203.0.113.1], " P80),
	 0xcb007101, 80, "good", 1},
	{GOOD("clusterIP: 10.96.8.8, ports: [{port: 80, nodePort: 30080}]"),
	 EVIL(SINCE("2001"), "clusterIP: 10.96.8.9, ports: [{port: 80, nodePort: 30080}]")
		 GOOD("clusterIP: 10.96.8.8, ports: [{port: 80, nodePort: 30080}]"),
	 0xc000020b, 30080, "good", 1},
	// A Service that waited claims later than whom it waited for.
	{EVIL("", "clusterIP: 10.96.7.7, " P80) GOOD("clusterIP: 10.96.8.8, " P80),
	 EVIL("", "clusterIPs: [10.96.7.7, 10.96.8.8], " P80) GOOD("clusterIP: 10.96.8.8, " P80),
	 0x0a600808, 80, "good", 1},
	{EVIL("", "externalIPs: [203.0.113.2], " P80) GOOD("externalIPs: [203.0.113.1], " P80),
	 EVIL("", "externalIPs: [203.0.113.1], " P80) GOOD("externalIPs: [203.0.113.1], " P80),
	 0xcb007101, 80, "good", 1},
	// ... and whoever adds one keeps what it had.
	{GOOD("externalIPs: [203.0.113.1], " P80),
	 EVIL("", "externalIPs: [203.0.113.1], " P80)
		 GOOD("externalIPs: [203.0.113.9, 203.0.113.1], " P80),
	 0xcb007101, 80, "good", 1},
	// What goes frees what it had.
	{GOOD("externalIPs: [203.0.113.1], " P80),
	 CLAIM("y", "heir", "", "externalIPs: [203.0.113.1], " P80, ""), 0xcb007101, 80, "heir", 0},
};

// The world that was there before, and what it is now.
static void build_later(struct texts *t, const char *before, const char *after)
{
	struct texts old;

	build(&old, before);
	texts_open(t);
	t->model->before = old.model;
	t->model->made_unix_ms = old.model->made_unix_ms + 1;
	texts_add(t, WORLD);
	texts_add(t, after);
	t->model->before = NULL;
	texts_close(&old);
	texts_compile(t);
}

static void who_came_first_keeps_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(laters) / sizeof(laters[0]); i++) {
		const struct ss_service *of = NULL;
		const struct ss_service_port *port;
		struct texts t;

		build_later(&t, laters[i].before, laters[i].after);
		port = snapshot_service_port(t.snapshot, addr_from_v4(laters[i].addr),
					     laters[i].port, &of);
		if (!slice_eq_str(port ? of->name : (struct slice){0}, laters[i].holder) ||
		    t.findings.errors != laters[i].errors) {
			(void)texts_found(&t, 0, 0, "", "");
			fail_msg("row %zu: %.*s has it, %u errors", i,
				 SLICE_ARG(port ? of->name : SLICE_LIT("nobody")),
				 t.findings.errors);
		}
		texts_close(&t);
	}
}

#define SLICE_OF(ns, service, port)                                                                \
	CLAIM(ns, service, "", "clusterIP: 10.96.7.7, ports: [{port: 80}]", "")                    \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: e, "          \
	"namespace: " ns ", labels: {kubernetes.io/service-name: " service                         \
	"}}\nports: [{port: " port "}]\n"                                                          \
	"endpoints: [{addresses: [192.0.2.11]}, {addresses: [203.0.113.5]}]\n"

// A Service leads to no port that nodes keep to themselves; the API server's own does.
static void a_nodes_own_ports_are_no_endpoints(void **state)
{
	static const struct {
		const char *text;
		uint32_t endpoints;
	} ports[] = {
		{SLICE_OF("y", "s", "14443"), 1},
		{SLICE_OF("y", "s", "15001"), 1},
		{SLICE_OF("y", "s", "9443"), 1},
		{SLICE_OF("y", "s", "15020"), 1},
		{SLICE_OF("y", "s", "10250"), 1},
		{SLICE_OF("y", "s", "8080"), 2},
		{SLICE_OF("default", "kubernetes", "6443"), 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		const struct ss_service *of = NULL;
		const struct ss_service_port *port;
		struct texts t;

		build(&t, ports[i].text);
		port = snapshot_service_port(t.snapshot, addr_from_v4(0x0a600707), 80, &of);
		assert_non_null(port);
		assert_int_equal(port->endpoint_count, ports[i].endpoints);
		assert_int_equal(t.findings.errors, 2 - ports[i].endpoints);
		texts_close(&t);
	}
}

struct pod_later {
	const char *before, *after, *addr;
	const char *holder; // whose UID the address has; "": no pod's
	uint32_t errors;
};

#define HEIR(phase)                                                                                \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: first, namespace: y, uid: u-first}\n"    \
	"spec: {nodeName: n1}\nstatus: {phase: " phase ", podIPs: [{ip: 10.1.7.7}]}\n"
#define SECOND(ip) POD("y", "a", "u-a", ip, "app: a")

static const struct pod_later pod_laters[] = {
	// The pod that had it keeps it, and whoever waited is no older for that.
	{"", SECOND(Z), Z, "u-z", 1},
	{SECOND("10.1.7.8"), SECOND(Z), Z, "u-z", 1},
	{SECOND("10.1.7.8") HEIR("Running"), SECOND("10.1.7.7") HEIR("Running"), "10.1.7.7",
	 "u-first", 1},
	// Nobody knows who was first.
	{HEIR("Running") SECOND("10.1.7.7"), HEIR("Running") SECOND("10.1.7.7"), "10.1.7.7", "", 2},
	// What ended, or went, has heirs at once, and does not come back as the older one.
	{HEIR("Running"), HEIR("Failed") SECOND("10.1.7.7"), "10.1.7.7", "u-a", 0},
	{HEIR("Running"), SECOND("10.1.7.7"), "10.1.7.7", "u-a", 0},
	{HEIR("Failed") SECOND("10.1.7.7"), HEIR("Running") SECOND("10.1.7.7"), "10.1.7.7", "u-a",
	 1},
	// Services and nodes keep theirs.
	{"", SECOND("10.96.0.1"), "10.96.0.1", "", 1},
	{"", SECOND("192.0.2.11"), "192.0.2.11", "", 1},
	// ... and pods from Services that come later.
	{"", EVIL(SINCE("2001"), "clusterIP: " Z ", " P80), Z, "u-z", 1},
	// A UID is as an address.
	{"", POD("y", "a", "u-z", "10.1.7.8", "app: a"), Z, "u-z", 1},
};

static void a_pod_keeps_its_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pod_laters) / sizeof(pod_laters[0]); i++) {
		const struct ss_service *of = NULL;
		const struct workload *pod;
		struct texts t;

		build_later(&t, pod_laters[i].before, pod_laters[i].after);
		pod = texts_pod(&t, pod_laters[i].addr);
		if (!slice_eq_str(pod ? pod->record.uid : (struct slice){0},
				  pod_laters[i].holder) ||
		    t.findings.errors != pod_laters[i].errors) {
			(void)texts_found(&t, 0, 0, "", "");
			fail_msg("row %zu: %.*s has it, %u errors", i,
				 SLICE_ARG(pod ? pod->record.uid : SLICE_LIT("nobody")),
				 t.findings.errors);
		}
		assert_non_null(
			snapshot_service_port(t.snapshot, addr_from_v4(0x0a600001), 80, &of));
		texts_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_came_first_keeps_it),
		cmocka_unit_test(a_pod_keeps_its_address),
		cmocka_unit_test(a_nodes_own_ports_are_no_endpoints),
		cmocka_unit_test(each_address_is_its_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
