// SPDX-License-Identifier: GPL-3.0-or-later
// Dumps of rtnetlink; see host_links.h.
#include "iptables/host_links.h"

#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include "iptables/netlink.h"

bool host_links_is_uplink(const struct rules_config *c, const char *name)
{
	for (uint32_t i = 0; i < c->uplink_count; i++) {
		size_t len = strlen(c->uplinks[i]);
		bool prefix = c->uplinks[i][len - 1] == '+';

		if (prefix ? strncmp(name, c->uplinks[i], len - 1) == 0
			   : strcmp(name, c->uplinks[i]) == 0)
			return true;
	}
	return false;
}

const struct link *host_links_find(const struct links *l, uint32_t index)
{
	for (uint32_t i = 0; i < l->count; i++) {
		if (l->items[i].index == index)
			return &l->items[i];
	}
	return NULL;
}

struct link_walk {
	const struct rules_config *config;
	struct links *links;
};

static void on_link(const struct nlmsghdr *m, void *context)
{
	struct link_walk *w = context;
	const struct ifinfomsg *h = NLMSG_DATA(m);
	struct slice a = netlink_attributes(m, sizeof(*h));
	struct slice name = netlink_find(a, IFLA_IFNAME);
	struct slice kind = netlink_find(netlink_find(a, IFLA_LINKINFO), IFLA_INFO_KIND);

	if (m->nlmsg_type != RTM_NEWLINK || (h->ifi_flags & IFF_LOOPBACK) ||
	    w->links->count == LINKS_MAX || name.len == 0)
		return;
	struct link *l = &w->links->items[w->links->count++];

	*l = (struct link){.index = (uint32_t)h->ifi_index,
			   .master = netlink_u32(netlink_find(a, IFLA_MASTER))};
	snprintf(l->name, sizeof(l->name), "%.*s", SLICE_ARG(name));
	snprintf(l->kind, sizeof(l->kind), "%.*s", SLICE_ARG(kind));
	l->uplink = host_links_is_uplink(w->config, l->name);
}

enum err host_links_load(int route_fd, const struct rules_config *c, struct links *out)
{
	struct link_walk w = {c, out};
	struct ifinfomsg h = {.ifi_family = AF_UNSPEC};
	struct netlink_request q;

	out->count = 0;
	netlink_request_init(&q);
	netlink_begin(&q, RTM_GETLINK, NLM_F_DUMP, &h, sizeof(h));
	netlink_end(&q);
	return netlink_talk(route_fd, &q, on_link, &w);
}

struct route_walk {
	uint8_t family;
	void (*each)(const struct link_route *r, void *context);
	void *context;
};

static void on_route(const struct nlmsghdr *m, void *context)
{
	struct route_walk *w = context;
	const struct rtmsg *h = NLMSG_DATA(m);
	struct slice a = netlink_attributes(m, sizeof(*h));
	struct slice to = netlink_find(a, RTA_DST);
	bool v6 = h->rtm_family == AF_INET6;
	struct link_route r = {.index = netlink_u32(netlink_find(a, RTA_OIF))};

	if (m->nlmsg_type != RTM_NEWROUTE || h->rtm_family != w->family ||
	    h->rtm_type != RTN_UNICAST || h->rtm_table != RT_TABLE_MAIN)
		return;
	if (v6 && to.len == 16)
		memcpy(r.network.addr.bytes, to.ptr, 16);
	else if (!v6)
		r.network.addr = addr_from_v4(to.len == 4 ? netlink_be32(to) : 0);
	r.network.bits = (uint8_t)(h->rtm_dst_len + (v6 ? 0 : 96));
	w->each(&r, w->context);
}

enum err host_links_each_route(int route_fd, enum family f,
			       void (*each)(const struct link_route *r, void *context),
			       void *context)
{
	uint8_t family = f == FAMILY_V6 ? AF_INET6 : AF_INET;
	struct route_walk w = {family, each, context};
	struct rtmsg h = {.rtm_family = family};
	struct netlink_request q;

	netlink_request_init(&q);
	netlink_begin(&q, RTM_GETROUTE, NLM_F_DUMP, &h, sizeof(h));
	netlink_put_u32(&q, RTA_TABLE, RT_TABLE_MAIN);
	netlink_end(&q);
	return netlink_talk(route_fd, &q, on_route, &w);
}

struct mask_walk {
	const struct rules_config *config;
	uint32_t *masks;
};

static void on_rule(const struct nlmsghdr *m, void *context)
{
	struct mask_walk *w = context;
	struct slice a = netlink_attributes(m, sizeof(struct fib_rule_hdr));
	uint32_t pref = netlink_u32(netlink_find(a, FRA_PRIORITY));

	if (m->nlmsg_type == RTM_NEWRULE && pref - w->config->routing.rule_pref >= RULE_PREFS)
		*w->masks |= netlink_u32(netlink_find(a, FRA_FWMASK));
}

enum err host_links_rule_masks(int route_fd, enum family f, const struct rules_config *c,
			       uint32_t *masks)
{
	struct fib_rule_hdr h = {.family = f == FAMILY_V6 ? AF_INET6 : AF_INET};
	struct mask_walk w = {c, masks};
	struct netlink_request q;

	*masks = 0;
	netlink_request_init(&q);
	netlink_begin(&q, RTM_GETRULE, NLM_F_DUMP, &h, sizeof(h));
	netlink_end(&q);
	return netlink_talk(route_fd, &q, on_rule, &w);
}
