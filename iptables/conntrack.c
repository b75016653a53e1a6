// SPDX-License-Identifier: GPL-3.0-or-later
// One ctnetlink message; see conntrack.h.
#include "iptables/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>
#include <unistd.h>
#include "iptables/netlink.h"

enum err conntrack_forget_ours(const struct routing *routing, enum family f)
{
	struct nfgenmsg h = {.nfgen_family = f == FAMILY_V6 ? AF_INET6 : AF_INET,
			     .version = NFNETLINK_V0};
	struct netlink_request r;
	int fd;
	enum err err = netlink_open(NETLINK_NETFILTER, NULL, &fd);

	if (err != ERR_OK)
		return err;
	netlink_request_init(&r);
	netlink_begin(&r, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, NLM_F_ACK, &h,
		      sizeof(h));
	netlink_put_be32(&r, CTA_MARK, routing->mark);
	netlink_put_be32(&r, CTA_MARK_MASK, routing->mark_mask);
	netlink_end(&r);
	err = netlink_talk(fd, &r, NULL, NULL);
	close(fd);
	return err == ERR_NOT_FOUND || err == ERR_UNSUPPORTED ? ERR_OK : err;
}
