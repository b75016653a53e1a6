// SPDX-License-Identifier: GPL-3.0-or-later
// IPT_SO_GET_INFO of each table; see legacy.h.
#include "iptables/legacy.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/hash.h"
#include "iptables/render.h"
// The kernel's headers, behind netinet/in.h.
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

// ipt_getinfo and ip6t_getinfo have one layout.
_Static_assert(sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo), "one layout");

static uint64_t stamp_family(int fd, int level, int option, uint64_t stamp)
{
	for (int t = 0; t < TABLE_COUNT; t++) {
		struct ipt_getinfo info = {0};
		socklen_t len = sizeof(info);

		snprintf(info.name, sizeof(info.name), "%s", table_name((enum table)t));
		if (getsockopt(fd, level, option, &info, &len) < 0)
			info = (struct ipt_getinfo){0};
		stamp = hash_bytes(slice_make(&info, sizeof(info)), stamp);
	}
	return stamp;
}

uint64_t legacy_stamp(void)
{
	int v4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	int v6 = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	uint64_t stamp = 0;

	if (v4 >= 0) {
		stamp = stamp_family(v4, SOL_IP, IPT_SO_GET_INFO, stamp);
		close(v4);
	}
	if (v6 >= 0) {
		stamp = stamp_family(v6, SOL_IPV6, IP6T_SO_GET_INFO, stamp);
		close(v6);
	}
	return stamp;
}
