// SPDX-License-Identifier: GPL-3.0-or-later
// What the node itself must be: kernel, io_uring, interfaces, routes, sysctls. Other programs'
// tables are looked at in preflight_neighbours.c.
#include "iptables/preflight.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "iptables/host.h"
#include "iptables/routes.h"

#define KERNEL_MAJOR_MIN 6
#define KERNEL_MINOR_MIN 1
#define EXAMPLES_MAX	 3 // of one kind of finding

static void check_kernel(struct preflight *p)
{
	struct utsname u;
	int major = 0, minor = 0;

	if (uname(&u) != 0 || sscanf(u.release, "%d.%d", &major, &minor) != 2)
		return;
	if (major < KERNEL_MAJOR_MIN || (major == KERNEL_MAJOR_MIN && minor < KERNEL_MINOR_MIN))
		preflight_add(
			p, SEVERITY_ERROR, "kernel",
			"Linux %s is older than %d.%d, which node-proxy's io_uring needs: keep "
			"this node out of the DaemonSet or upgrade it.",
			u.release, KERNEL_MAJOR_MIN, KERNEL_MINOR_MIN);
}

// The sysctl says what is intended, the call says what is so: seccomp may forbid what it allows.
static void check_io_uring(struct preflight *p)
{
	int64_t disabled = preflight_sysctl("/proc/sys/kernel/io_uring_disabled", 0);
	struct io_uring_params params = {0};

	if (disabled == 2) {
		preflight_add(p, SEVERITY_ERROR, "io_uring",
			      "kernel.io_uring_disabled=2 forbids io_uring to everybody, so "
			      "node-proxy cannot start: set it to 0 (or 1 with "
			      "kernel.io_uring_group naming node-proxy's group).");
		return;
	}
	if (disabled == 1)
		preflight_add(
			p, SEVERITY_WARNING, "io_uring",
			"kernel.io_uring_disabled=1 allows io_uring only to CAP_SYS_ADMIN and "
			"to the group in kernel.io_uring_group: put node-proxy's group there.");
	long fd = syscall(SYS_io_uring_setup, 4, &params);

	if (fd >= 0)
		close((int)fd);
	else if (errno == ENOSYS || errno == EPERM)
		preflight_add(p, SEVERITY_ERROR, "io_uring",
			      "io_uring_setup is refused here (%s): allow it in the container's "
			      "seccomp profile, or in the kernel's configuration.",
			      strerror(errno));
}

// Pods that hang on one bridge are switched, not routed; and with bridge-nf-call-iptables their
// switched packets run through our chains and lose the socket that TPROXY gave them.
static void check_bridge(struct preflight *p, const struct link *bridge)
{
	uint32_t ports = 0;
	int64_t called = preflight_sysctl("/proc/sys/net/bridge/bridge-nf-call-iptables", 0);

	for (uint32_t i = 0; i < p->links.count; i++)
		ports += p->links.items[i].master == bridge->index &&
			 strcmp(p->links.items[i].kind, "veth") == 0;
	if (ports == 0)
		return;
	if (called)
		preflight_add(
			p, SEVERITY_ERROR, "br_netfilter",
			"%u pods hang on bridge %s while net.bridge.bridge-nf-call-iptables=1: "
			"captured connections would hang. This CNI needs capture inside the "
			"pods, which this version does not have; routed veths (Calico, AWS VPC "
			"CNI, kindnet, GKE) work.",
			ports, bridge->name);
	else
		preflight_add(p, SEVERITY_ERROR, "bridge",
			      "%u pods hang on bridge %s and reach each other without passing this "
			      "node's routing, so traffic between them is not captured: use a CNI "
			      "with routed veths, or list %s in uplinks if nothing on it is a pod.",
			      ports, bridge->name, bridge->name);
}

static void check_links(struct preflight *p)
{
	for (uint32_t i = 0; i < p->config->uplink_count; i++) {
		bool found = false;

		for (uint32_t j = 0; !found && j < p->links.count; j++) {
			struct rules_config one = {.uplink_count = 1};

			memcpy(one.uplinks[0], p->config->uplinks[i], IFNAMSIZ);
			found = host_links_is_uplink(&one, p->links.items[j].name);
		}
		if (!found)
			preflight_add(
				p, SEVERITY_WARNING, "uplinks",
				"no interface is called %s, which uplinks names: correct it, or "
				"ignore this if the interface comes later.",
				p->config->uplinks[i]);
	}
	for (uint32_t i = 0; i < p->links.count; i++) {
		const struct link *l = &p->links.items[i];

		if (l->uplink || l->master)
			continue;
		if (strcmp(l->kind, "bridge") == 0)
			check_bridge(p, l);
		if (strcmp(l->kind, "veth") != 0)
			preflight_add(
				p, SEVERITY_WARNING, "uplinks",
				"interface %s (%s) is not in uplinks and no pod's veth either: "
				"TCP that comes by it is taken for a pod's, and TCP to it is "
				"dropped. Add it to uplinks if no pod is behind it.",
				l->name, *l->kind ? l->kind : "device");
	}
}

struct route_check {
	struct preflight *preflight;
	const struct network_list *capture;
	uint32_t outside;
};

static bool is_covered(const struct network_list *list, struct cidr network)
{
	for (uint32_t i = 0; i < list->count; i++) {
		if (list->items[i].bits <= network.bits &&
		    cidr_contains(list->items[i], network.addr))
			return true;
	}
	return false;
}

static void check_route(const struct link_route *r, void *context)
{
	struct route_check *k = context;
	struct preflight *p = k->preflight;
	const struct link *l = host_links_find(&p->links, r->index);
	uint8_t whole = addr_is_v4(r->network.addr) ? 96 : 0;
	char text[ADDR_TEXT_MAX + 4];

	if (!l || l->uplink || addr_is_link_local(r->network.addr) ||
	    addr_is_multicast(r->network.addr))
		return;
	if (r->network.bits == whole) {
		preflight_add(
			p, SEVERITY_ERROR, "uplinks",
			"the default route leads through %s, which is not in uplinks: everything "
			"from outside would be taken for a local pod's. Add %s to uplinks.",
			l->name, l->name);
		return;
	}
	if (is_covered(k->capture, r->network) || ++k->outside > EXAMPLES_MAX)
		return;
	preflight_add(p, p->config->backstop ? SEVERITY_WARNING : SEVERITY_ERROR, "capture_cidrs",
		      "%s is routed to %s but lies outside capture_cidrs: TCP to it %s. Add the "
		      "pods' range to capture_cidrs, or to exclude.",
		      cidr_format(r->network, text), l->name,
		      p->config->backstop ? "is dropped (backstop = on)"
					  : "reaches it past all policy (backstop = off)");
}

static void check_routes(struct preflight *p)
{
	for (int f = 0; f < FAMILY_COUNT; f++) {
		struct route_check k = {.preflight = p, .capture = &p->config->capture};
		struct reason why = {""};

		if (!host_has_family((enum family)f))
			continue;
		if (host_links_each_route(p->rules->route_fd, (enum family)f, check_route, &k) !=
		    ERR_OK)
			preflight_add(p, SEVERITY_WARNING, "routes",
				      "the %s routes cannot be read.", family_name((enum family)f));
		if (routes_check(p->rules->route_fd, &p->config->routing, (enum family)f, &why) ==
		    ERR_EXISTS)
			preflight_add(p, SEVERITY_ERROR, "routing", "%s.", why.text);
	}
}

// Known to break TPROXY elsewhere; see routes.h for why not here.
static void check_reverse_path(struct preflight *p)
{
	bool strict = preflight_sysctl("/proc/sys/net/ipv4/conf/all/rp_filter", 0) == 1 ||
		      preflight_sysctl("/proc/sys/net/ipv4/conf/default/rp_filter", 0) == 1;

	if (strict && preflight_sysctl("/proc/sys/net/ipv4/conf/all/src_valid_mark", 0))
		preflight_add(
			p, SEVERITY_INFO, "rp_filter",
			"net.ipv4.conf.all.src_valid_mark=1 with rp_filter=1: ip rule %u keeps "
			"captured packets from being dropped as martians; do not remove it.",
			p->config->routing.rule_pref);
}

void preflight_host(struct preflight *p)
{
	check_kernel(p);
	check_io_uring(p);
	check_links(p);
	check_routes(p);
	check_reverse_path(p);
}
