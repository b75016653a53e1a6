// SPDX-License-Identifier: GPL-3.0-or-later
// struct rules_config to rule set; see render.h and README.md. The order of the rules is the design: it
// was tried beside kube-proxy in both of its modes, with SYN cookies, with connections that were open
// before, and with the proxy killed (tests/netns/rules_*.sh say so scenario by scenario).
#include "iptables/render.h"

#include <stdio.h>

#define NOT_FROM_LOOPBACK "! -i lo -p tcp"
#define FIRST_SYN	  "-p tcp --syn"
#define LATER_SEGMENT	  "-p tcp ! --syn"

const char *table_name(enum table t)
{
	static const char *const names[] = {[TABLE_FILTER] = "filter",
					    [TABLE_NAT] = "nat",
					    [TABLE_MANGLE] = "mangle",
					    [TABLE_RAW] = "raw"};

	return names[t];
}

static void add_jump(struct render_jump *out, uint32_t *count, const char *hook, const char *match)
{
	out[*count].hook = hook;
	snprintf(out[*count].match, sizeof(out[*count].match), "%s", match);
	(*count)++;
}

uint32_t render_jumps(const struct rules_config *c, enum table t,
		      struct render_jump out[RENDER_JUMPS_MAX])
{
	char ours[64];
	uint32_t count = 0;

	snprintf(ours, sizeof(ours), "-p tcp -m mark --mark 0x%x/0x%x", c->routing.mark,
		 c->routing.mark_mask);
	switch (t) {
	case TABLE_RAW:
		add_jump(out, &count, "PREROUTING", NOT_FROM_LOOPBACK);
		add_jump(out, &count, "OUTPUT", ours);
		break;
	case TABLE_MANGLE:
		add_jump(out, &count, "PREROUTING", NOT_FROM_LOOPBACK);
		if (c->backstop)
			add_jump(out, &count, "FORWARD", "-p tcp");
		break;
	case TABLE_NAT:
		add_jump(out, &count, "PREROUTING", ours);
		add_jump(out, &count, "POSTROUTING", ours);
		break;
	case TABLE_FILTER:
		add_jump(out, &count, "INPUT", ours);
		add_jump(out, &count, "OUTPUT", ours);
		break;
	case TABLE_COUNT:
		break;
	}
	return count;
}

static void put_rule(struct buf *b, const char *chain, const char *rest)
{
	buf_printf(b, "-A " RENDER_CHAIN_PREFIX "%s %s\n", chain, rest);
}

static void put_ports(struct buf *b, struct port_range r)
{
	if (r.min == r.max)
		buf_printf(b, "%u", r.min);
	else
		buf_printf(b, "%u:%u", r.min, r.max);
}

static void put_node_ports(struct buf *b, const struct rules_config *c, const char *chain,
			   const char *target)
{
	buf_printf(b, "-A " RENDER_CHAIN_PREFIX "%s -p tcp -m multiport --dports ", chain);
	for (uint32_t i = 0; i < c->node_port_count; i++) {
		if (i > 0)
			buf_put_u8(b, ',');
		put_ports(b, c->node_ports[i]);
	}
	buf_printf(b, " %s\n", target);
}

static void put_networks(struct buf *b, const struct network_list *list, enum family f,
			 const char *chain, const char *target)
{
	char text[ADDR_TEXT_MAX + 4];

	for (uint32_t i = 0; i < list->count; i++) {
		if (rules_config_family_of(list->items[i]) == f)
			buf_printf(b, "-A " RENDER_CHAIN_PREFIX "%s -d %s %s\n", chain,
				   cidr_format(list->items[i], text), target);
	}
}

// What the operator keeps out comes first and wins over everything.
static void put_excludes(struct buf *b, const struct rules_config *c, enum family f,
			 const char *chain)
{
	char text[ADDR_TEXT_MAX + 4];

	for (uint32_t i = 0; i < c->exclude_count; i++) {
		const struct exclude *e = &c->excludes[i];

		if (e->node || rules_config_family_of(e->network) != f)
			continue;
		buf_printf(b, "-A " RENDER_CHAIN_PREFIX "%s -d %s", chain,
			   cidr_format(e->network, text));
		if (e->ports.min) {
			buf_put_str(b, " -p tcp --dport ");
			put_ports(b, e->ports);
		}
		buf_put_str(b, " -j RETURN\n");
	}
}

// A health check's NodePort is the node's own business; a pod that listens on that number is not.
static void put_node_excludes(struct buf *b, const struct rules_config *c, const char *chain)
{
	for (uint32_t i = 0; i < c->exclude_count; i++) {
		if (!c->excludes[i].node)
			continue;
		buf_printf(b, "-A " RENDER_CHAIN_PREFIX "%s -p tcp --dport ", chain);
		put_ports(b, c->excludes[i].ports);
		buf_put_str(b, " -j RETURN\n");
	}
}

// Is this destination ours to capture? The same answer in raw (where it means: untracked) and in
// mangle (where it means: to the proxy), so it is rendered by one function.
//
// Pods and Services are captured by address range, never by a list of known pods: a pod that was
// born this second is captured because nobody had to learn of it. A range may hold the node's own
// addresses (AWS), so what is local to the node is sorted out before.
static void put_scope(struct buf *b, const struct rules_config *c, enum family f,
		      const char *target)
{
	char rest[160];

	put_excludes(b, c, f, "SCOPE");
	put_networks(b, &c->external, f, "SCOPE", target);
	put_rule(b, "SCOPE", "-m addrtype --dst-type LOCAL -g " RENDER_CHAIN_PREFIX "LOCAL");
	put_networks(b, &c->nodes, f, "SCOPE", "-g " RENDER_CHAIN_PREFIX "NODES");
	put_networks(b, &c->capture, f, "SCOPE", target);
	// The node's own addresses: NodePorts only. Other nodes' tunnels arrive here.
	snprintf(rest, sizeof(rest), "-p tcp --dport %u -j RETURN", c->tunnel_port);
	put_rule(b, "LOCAL", rest);
	put_node_excludes(b, c, "LOCAL");
	put_node_ports(b, c, "LOCAL", target);
	// Another node's addresses, dialled by a local pod: that would leave in plaintext.
	for (uint32_t i = 0; i < c->uplink_count; i++) {
		snprintf(rest, sizeof(rest), "-i %s -j RETURN", c->uplinks[i]);
		put_rule(b, "NODES", rest);
	}
	put_node_excludes(b, c, "NODES");
	put_node_ports(b, c, "NODES", target);
}

// No pod has business at a node's tunnel or at policy-sync. It would come there with its node's address
// (masquerade), and its crowd of half-open connections would be taken for that node's.
static void put_guard(struct buf *b, const struct rules_config *c, enum family f)
{
	char rest[160];

	for (uint32_t i = 0; i < c->uplink_count; i++) {
		snprintf(rest, sizeof(rest), "-i %s -j RETURN", c->uplinks[i]);
		put_rule(b, "GUARD", rest);
	}
	put_rule(b, "GUARD", "-m addrtype --dst-type LOCAL -j DROP");
	put_networks(b, &c->nodes, f, "GUARD", "-j DROP");
}

// Runs before connection tracking. Untracked packets are invisible to every DNAT and masquerade that
// follows, whoever wrote it and in whichever framework; kube-proxy's nftables mode heeds nothing else.
static void put_raw(struct buf *b, const struct rules_config *c, enum family f)
{
	char mark[64], rest[160];

	snprintf(mark, sizeof(mark), "-j MARK --set-xmark 0x%x/0x%x", c->routing.mark,
		 c->routing.mark_mask);
	snprintf(rest, sizeof(rest),
		 "-p tcp -m multiport --dports %u,%u -j " RENDER_CHAIN_PREFIX "GUARD",
		 c->tunnel_port, c->sync_port);
	put_rule(b, "PREROUTING", rest);
	put_guard(b, c, f);
	// A segment of a connection that the proxy holds: both legs, and tunnels. A first SYN never belongs to
	// one: where it meets a TIME_WAIT of ours, only TPROXY (mangle) finds the listener for it.
	put_rule(b, "PREROUTING",
		 LATER_SEGMENT " -m socket --transparent -g " RENDER_CHAIN_PREFIX "OURS");
	// The last ACK of a tunnel's SYN-cookie handshake belongs to no socket yet. Its SYN stays tracked:
	// the host's firewall has the say.
	snprintf(rest, sizeof(rest),
		 LATER_SEGMENT " --dport %u -m addrtype --dst-type LOCAL -g " RENDER_CHAIN_PREFIX
			       "OURS",
		 c->tunnel_port);
	put_rule(b, "PREROUTING", rest);
	put_rule(b, "PREROUTING", FIRST_SYN " -j " RENDER_CHAIN_PREFIX "SCOPE");
	put_rule(b, "OURS", mark);
	put_rule(b, "OURS", "-j CT --notrack");
	put_scope(b, c, f, "-j CT --notrack");
	put_rule(b, "OUTPUT", "-j CT --notrack");
}

// The backstop: whatever is about to be forwarded to a pod was neither captured nor excluded. It is
// the one place that knows the route ("a local pod is a non-uplink interface with a route to it"),
// so a pod outside capture_cidrs, a host port's DNAT or a forgotten load balancer address ends here
// instead of reaching the pod unpoliced.
static void put_backstop(struct buf *b, const struct rules_config *c, enum family f)
{
	char rest[192], text[ADDR_TEXT_MAX + 4];

	snprintf(rest, sizeof(rest),
		 "-m conntrack --ctstate RELATED,ESTABLISHED -m connmark ! --mark 0x%x/0x%x "
		 "-j RETURN",
		 c->routing.mark, c->routing.mark_mask);
	put_rule(b, "FORWARD", rest);
	for (uint32_t i = 0; i < c->uplink_count; i++) {
		snprintf(rest, sizeof(rest), "-o %s -j RETURN", c->uplinks[i]);
		put_rule(b, "FORWARD", rest);
	}
	put_excludes(b, c, f, "FORWARD");
	// An excluded Service has become a pod by now: ask what was dialled.
	for (uint32_t i = 0; i < c->exclude_count; i++) {
		const struct exclude *e = &c->excludes[i];

		if (e->node || rules_config_family_of(e->network) != f)
			continue;
		buf_printf(b, "-A " RENDER_CHAIN_PREFIX "FORWARD -m conntrack --ctorigdst %s",
			   cidr_format(e->network, text));
		if (e->ports.min) {
			buf_put_str(b, " --ctorigdstport ");
			put_ports(b, e->ports);
		}
		buf_put_str(b, " -j RETURN\n");
	}
	put_rule(b, "FORWARD", "-j DROP");
}

static void put_mangle(struct buf *b, const struct rules_config *c, enum family f)
{
	const char *loopback = f == FAMILY_V6 ? "::1" : "127.0.0.1";
	char rest[192];

	snprintf(rest, sizeof(rest), "-m mark --mark 0x%x/0x%x -j ACCEPT", c->routing.mark,
		 c->routing.mark_mask);
	put_rule(b, "PREROUTING", rest); // marked in raw a moment ago
	put_rule(b, "PREROUTING",
		 LATER_SEGMENT " -m socket --transparent -j " RENDER_CHAIN_PREFIX
			       "OURS"); // in case raw was flushed
	// Connections from before us, and direct ones (to the API server, to the world). A tracked
	// segment that went to the proxy carries our connmark: without this a pod could open a hole
	// for itself with a bare ACK, which tracking takes for an old connection.
	snprintf(rest, sizeof(rest),
		 "-m conntrack --ctstate RELATED,ESTABLISHED -m connmark ! --mark 0x%x/0x%x "
		 "-j RETURN",
		 c->routing.mark, c->routing.mark_mask);
	put_rule(b, "PREROUTING", rest);
	put_rule(b, "PREROUTING", "-j " RENDER_CHAIN_PREFIX "SCOPE");
	snprintf(rest, sizeof(rest), "-j MARK --set-xmark 0x%x/0x%x", c->routing.mark,
		 c->routing.mark_mask);
	put_rule(b, "OURS", rest);
	put_rule(b, "OURS", "-j ACCEPT");
	put_scope(b, c, f, "-j " RENDER_CHAIN_PREFIX "CAPTURE");
	// All TCP, not only first SYNs: the last ACK of a SYN-cookie handshake, and every stray
	// segment after the proxy died, would be forwarded past it in plaintext otherwise.
	// Without a listener TPROXY drops.
	snprintf(rest, sizeof(rest), "-j CONNMARK --set-xmark 0x%x/0x%x", c->routing.mark,
		 c->routing.mark_mask);
	put_rule(b, "CAPTURE", rest);
	snprintf(rest, sizeof(rest),
		 "-p tcp -j TPROXY --on-ip %s --on-port %u --tproxy-mark 0x%x/0x%x", loopback,
		 c->capture_port, c->routing.mark, c->routing.mark_mask);
	put_rule(b, "CAPTURE", rest);
	if (c->backstop)
		put_backstop(b, c, f);
}

const char *const *render_chains(enum table t)
{
	static const char *const raw[] = {"PREROUTING", "GUARD", "SCOPE",  "LOCAL",
					  "NODES",	"OURS",	 "OUTPUT", NULL};
	static const char *const mangle[] = {"PREROUTING", "SCOPE",   "LOCAL",	 "NODES",
					     "OURS",	   "CAPTURE", "FORWARD", NULL};
	static const char *const nat[] = {"PREROUTING", "POSTROUTING", NULL};
	static const char *const filter[] = {"INPUT", "OUTPUT", NULL};
	static const char *const *const chains[TABLE_COUNT] = {[TABLE_RAW] = raw,
							       [TABLE_MANGLE] = mangle,
							       [TABLE_NAT] = nat,
							       [TABLE_FILTER] = filter};

	return chains[t];
}

void render_table(const struct rules_config *c, enum family f, enum table t, struct slice old_jumps,
		  struct buf *out)
{
	struct render_jump jumps[RENDER_JUMPS_MAX];
	uint32_t count = render_jumps(c, t, jumps);

	buf_printf(out, "*%s\n", table_name(t));
	// With --noflush a declared chain is emptied, or made.
	for (const char *const *chain = render_chains(t); *chain; chain++)
		buf_printf(out, ":" RENDER_CHAIN_PREFIX "%s - [0:0]\n", *chain);
	buf_put_slice(out, old_jumps);
	for (uint32_t i = 0; i < count; i++)
		buf_printf(out, "-I %s 1 %s -j " RENDER_CHAIN_PREFIX "%s\n", jumps[i].hook,
			   jumps[i].match, jumps[i].hook);
	switch (t) {
	case TABLE_RAW:
		put_raw(out, c, f);
		break;
	case TABLE_MANGLE:
		put_mangle(out, c, f);
		break;
	case TABLE_NAT: // the second cure, for what was tracked nevertheless
		put_rule(out, "PREROUTING", "-j ACCEPT");
		put_rule(out, "POSTROUTING", "-j ACCEPT");
		break;
	case TABLE_FILTER: // untracked is never ESTABLISHED, which is all that many firewalls let in
		put_rule(out, "INPUT", "-j ACCEPT");
		put_rule(out, "OUTPUT", "-j ACCEPT");
		break;
	case TABLE_COUNT:
		break;
	}
	buf_put_str(out, "COMMIT\n");
}

void render_routing(const struct rules_config *c, enum family f, struct buf *out)
{
	const char *ip = f == FAMILY_V6 ? "ip -6" : "ip -4";
	const char *daddr = f == FAMILY_V6 ? "ip6 daddr" : "ip daddr";

	buf_printf(out, "%s rule add pref %u fwmark 0x%x/0x%x iif lo goto %u\n", ip,
		   c->routing.rule_pref, c->routing.mark, c->routing.mark_mask,
		   c->routing.rule_pref + 2);
	buf_printf(out, "%s rule add pref %u fwmark 0x%x/0x%x lookup %u\n", ip,
		   c->routing.rule_pref + 1, c->routing.mark, c->routing.mark_mask,
		   c->routing.route_table);
	buf_printf(out, "%s rule add pref %u nop\n", ip, c->routing.rule_pref + 2);
	buf_printf(out, "%s route add local default dev lo table %u\n", ip, c->routing.route_table);
	buf_printf(out,
		   "nft add table %s portcullis '{ chain prerouting { type nat hook prerouting "
		   "priority -149; meta mark & 0x%x == 0x%x dnat to %s; }; }'\n",
		   f == FAMILY_V6 ? "ip6" : "ip", c->routing.mark_mask, c->routing.mark, daddr);
}
