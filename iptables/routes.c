// SPDX-License-Identifier: GPL-3.0-or-later
// Three policy rules and one route over rtnetlink; see routes.h.
#include "iptables/routes.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include "iptables/netlink.h"

#define LOOPBACK_INDEX 1 // of every network namespace

static uint8_t af(enum family f)
{
	return f == FAMILY_V6 ? AF_INET6 : AF_INET;
}

// What one of the three rules is made of; a zero is an absent attribute.
struct rule {
	uint8_t action;
	uint32_t pref;
	uint32_t mark;
	uint32_t mask;
	uint32_t table;
	uint32_t target;
	bool from_loopback;
};

static struct rule rule_wanted(const struct routing *r, uint32_t i)
{
	struct rule rules[RULE_PREFS] = {
		{.action = FR_ACT_GOTO, .target = r->rule_pref + 2, .from_loopback = true},
		{.action = FR_ACT_TO_TBL, .table = r->route_table},
		{.action = FR_ACT_NOP},
	};

	rules[i].pref = r->rule_pref + i;
	if (i < 2) {
		rules[i].mark = r->mark;
		rules[i].mask = r->mark_mask;
	}
	return rules[i];
}

static enum err send_rule(int fd, enum family f, const struct rule *r, bool add)
{
	struct fib_rule_hdr h = {.family = af(f), .action = r->action};
	struct netlink_request q;

	netlink_request_init(&q);
	netlink_begin(&q, add ? RTM_NEWRULE : RTM_DELRULE,
		      NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0), &h, sizeof(h));
	netlink_put_u32(&q, FRA_PRIORITY, r->pref);
	if (r->mask) {
		netlink_put_u32(&q, FRA_FWMARK, r->mark);
		netlink_put_u32(&q, FRA_FWMASK, r->mask);
	}
	if (r->table)
		netlink_put_u32(&q, FRA_TABLE, r->table);
	if (r->target)
		netlink_put_u32(&q, FRA_GOTO, r->target);
	if (r->from_loopback)
		netlink_put_str(&q, FRA_IIFNAME, "lo");
	netlink_end(&q);
	return netlink_talk(fd, &q, NULL, NULL);
}

struct rule_search {
	const struct routing *routing;
	enum family family;
	bool found[RULE_PREFS];
	uint32_t foreign; // a preference of ours that holds another's rule
};

static bool rule_is(const struct fib_rule_hdr *h, struct slice a, const struct rule *wanted)
{
	return h->action == wanted->action && h->src_len == 0 && h->dst_len == 0 &&
	       !(h->flags & FIB_RULE_INVERT) &&
	       netlink_u32(netlink_find(a, FRA_FWMARK)) == wanted->mark &&
	       netlink_u32(netlink_find(a, FRA_FWMASK)) == wanted->mask &&
	       netlink_u32(netlink_find(a, FRA_GOTO)) == wanted->target &&
	       (wanted->action != FR_ACT_TO_TBL ||
		netlink_u32(netlink_find(a, FRA_TABLE)) == wanted->table) &&
	       (netlink_find(a, FRA_IIFNAME).len > 0) == wanted->from_loopback;
}

static void on_rule(const struct nlmsghdr *m, void *context)
{
	struct rule_search *s = context;
	const struct fib_rule_hdr *h = NLMSG_DATA(m);
	struct slice a = netlink_attributes(m, sizeof(*h));
	uint32_t i = netlink_u32(netlink_find(a, FRA_PRIORITY)) - s->routing->rule_pref;

	// The kernel gives dumps of every family where it does not check strictly.
	if (m->nlmsg_type != RTM_NEWRULE || h->family != af(s->family) || i >= RULE_PREFS)
		return;
	struct rule wanted = rule_wanted(s->routing, i);

	if (rule_is(h, a, &wanted))
		s->found[i] = true;
	else
		s->foreign = s->routing->rule_pref + i;
}

static enum err find_rules(int fd, const struct routing *r, enum family f, struct rule_search *s)
{
	struct fib_rule_hdr h = {.family = af(f)};
	struct netlink_request q;

	*s = (struct rule_search){.routing = r, .family = f};
	netlink_request_init(&q);
	netlink_begin(&q, RTM_GETRULE, NLM_F_DUMP, &h, sizeof(h));
	netlink_end(&q);
	return netlink_talk(fd, &q, on_rule, s);
}

static enum err send_route(int fd, const struct routing *r, enum family f, bool add)
{
	struct rtmsg h = {.rtm_family = af(f),
			  .rtm_table = RT_TABLE_UNSPEC,
			  .rtm_protocol = RTPROT_STATIC,
			  .rtm_scope = f == FAMILY_V6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_HOST,
			  .rtm_type = RTN_LOCAL};
	struct netlink_request q;

	netlink_request_init(&q);
	netlink_begin(&q, add ? RTM_NEWROUTE : RTM_DELROUTE,
		      NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0), &h, sizeof(h));
	netlink_put_u32(&q, RTA_TABLE, r->route_table);
	netlink_put_u32(&q, RTA_OIF, LOOPBACK_INDEX);
	netlink_end(&q);
	return netlink_talk(fd, &q, NULL, NULL);
}

struct route_search {
	uint32_t table;
	uint8_t family;
	bool found;
	bool foreign;
};

static void on_route(const struct nlmsghdr *m, void *context)
{
	struct route_search *s = context;
	const struct rtmsg *h = NLMSG_DATA(m);
	struct slice a = netlink_attributes(m, sizeof(*h));

	if (m->nlmsg_type != RTM_NEWROUTE || h->rtm_family != s->family ||
	    netlink_u32(netlink_find(a, RTA_TABLE)) != s->table)
		return;
	if (h->rtm_type == RTN_LOCAL && h->rtm_dst_len == 0 &&
	    netlink_u32(netlink_find(a, RTA_OIF)) == LOOPBACK_INDEX)
		s->found = true;
	else
		s->foreign = true;
}

static enum err find_route(int fd, const struct routing *r, enum family f, struct route_search *s)
{
	struct rtmsg h = {.rtm_family = af(f)};
	struct netlink_request q;
	enum err err;

	*s = (struct route_search){.table = r->route_table, .family = af(f)};
	netlink_request_init(&q);
	netlink_begin(&q, RTM_GETROUTE, NLM_F_DUMP, &h, sizeof(h));
	netlink_put_u32(&q, RTA_TABLE, r->route_table);
	netlink_end(&q);
	err = netlink_talk(fd, &q, on_route, s);
	return err == ERR_NOT_FOUND ? ERR_OK : err; // no such table yet
}

enum err routes_check(int fd, const struct routing *r, enum family f, struct reason *why)
{
	struct rule_search rules;
	struct route_search route;
	enum err err = find_rules(fd, r, f, &rules);

	if (err == ERR_OK)
		err = find_route(fd, r, f, &route);
	if (err != ERR_OK)
		return err_because(err, why, "%s: routing rules cannot be read: %s", family_name(f),
				   strerror(errno));
	if (rules.foreign)
		return err_because(
			ERR_EXISTS, why,
			"%s: ip rule %u belongs to somebody else; set rule_pref to three "
			"free preferences below the CNI's rules",
			family_name(f), rules.foreign);
	if (route.foreign)
		return err_because(ERR_EXISTS, why,
				   "%s: route table %u holds somebody else's routes; set "
				   "route_table to a free one",
				   family_name(f), r->route_table);
	for (uint32_t i = 0; i < RULE_PREFS; i++) {
		if (!rules.found[i])
			return err_because(ERR_NOT_FOUND, why, "%s: ip rule %u is missing",
					   family_name(f), r->rule_pref + i);
	}
	if (!route.found)
		return err_because(ERR_NOT_FOUND, why, "%s: the route of table %u is missing",
				   family_name(f), r->route_table);
	return ERR_OK;
}

enum err routes_put(int fd, const struct routing *r, enum family f, struct reason *why)
{
	struct rule_search rules;
	struct route_search route;
	enum err err = routes_check(fd, r, f, why);

	if (err != ERR_NOT_FOUND)
		return err;
	err = find_rules(fd, r, f, &rules);
	if (err == ERR_OK)
		err = find_route(fd, r, f, &route);
	// The route before the rule that leads to it, the jump over it before that.
	if (err == ERR_OK && !route.found)
		err = send_route(fd, r, f, true);
	for (uint32_t i = 0; err == ERR_OK && i < RULE_PREFS; i++) {
		static const uint32_t order[RULE_PREFS] = {2, 0, 1};
		struct rule wanted = rule_wanted(r, order[i]);

		if (!rules.found[order[i]])
			err = send_rule(fd, f, &wanted, true);
	}
	if (err != ERR_OK)
		return err_because(err, why, "%s: routing rules cannot be added: %s",
				   family_name(f), strerror(errno));
	return ERR_OK;
}

enum err routes_remove(int fd, const struct routing *r, enum family f, struct reason *why)
{
	enum err err = ERR_OK;

	for (uint32_t i = 0; err == ERR_OK && i < RULE_PREFS; i++) {
		// The lookup before the jump over it: the proxy's replies must not loop meanwhile.
		static const uint32_t order[RULE_PREFS] = {1, 0, 2};
		struct rule one = rule_wanted(r, order[i]);

		err = send_rule(fd, f, &one, false);
		if (err == ERR_NOT_FOUND)
			err = ERR_OK;
	}
	if (err == ERR_OK)
		err = send_route(fd, r, f, false);
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err_because(err, why, "%s: routing rules cannot be removed: %s",
				   family_name(f), strerror(errno));
	return ERR_OK;
}

enum err routes_events_open(int *fd)
{
	static const uint32_t groups[] = {RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_IPV4_ROUTE,
					  RTNLGRP_IPV6_ROUTE, 0};

	return netlink_open(NETLINK_ROUTE, groups, fd);
}

// Routes come and go with every pod; a rule, or a loss in our table, is rare.
static bool event_matters(const struct nlmsghdr *m, const struct routing *r)
{
	if (m->nlmsg_type == RTM_NEWRULE || m->nlmsg_type == RTM_DELRULE)
		return true;
	struct slice a = netlink_attributes(m, sizeof(struct rtmsg));

	return m->nlmsg_type == RTM_DELROUTE &&
	       netlink_u32(netlink_find(a, RTA_TABLE)) == r->route_table;
}

#define DRAIN_READS_MAX 1024

bool routes_events_drain(int fd, const struct routing *r)
{
	static _Alignas(struct nlmsghdr) uint8_t bytes[32768];
	bool matters = false;

	for (int i = 0; i < DRAIN_READS_MAX; i++) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return matters || errno == ENOBUFS;
		struct slice rest = slice_make(bytes, (size_t)n);

		for (const struct nlmsghdr *m; (m = netlink_next(&rest));)
			matters = matters || event_matters(m, r);
	}
	return matters;
}
