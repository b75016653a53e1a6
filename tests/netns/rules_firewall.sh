#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: capture works on a host whose firewall lets in and out only what connection tracking knows as
# ESTABLISHED, drops what it calls INVALID, and masquerades whatever leaves: captured packets are
# untracked, so they are accepted ahead of it, and the pod behind still sees the client's address.
source "$(dirname "$0")/lib/rules.sh"

world_up
kube_proxy 1 iptables
for tool in iptables-nft ip6tables-nft; do
	for chain in INPUT OUTPUT; do
		in_ns n1 $tool -A $chain -m conntrack --ctstate INVALID -j DROP
		in_ns n1 $tool -A $chain -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
		in_ns n1 $tool -A $chain -p ipv6-icmp -j ACCEPT
		in_ns n1 $tool -P $chain DROP
	done
	in_ns n1 $tool -A OUTPUT -m conntrack --ctstate NEW -j ACCEPT
	in_ns n1 $tool -t nat -A POSTROUTING -j MASQUERADE
done
capture 1
listener 1 "${service4[local]}:80=${pod4[c]}:8080" "[${service6[local]}]:80=[${pod6[c]}]:8080"
server c
ok_equal "ClusterIP" "${pod4[a]} dialled ${service4[remote]}:80: hello" "$(ask a "${service4[remote]}" 80)"
ok_equal "NodePort" "$outside4 dialled ${node4[1]}:30080: hello" "$(ask lan "${node4[1]}" 30080)"
ok_equal "delivered, IPv4" "c sees ${pod4[a]}: hello" "$(ask a "${service4[local]}" 80)"
ok_equal "delivered, IPv6" "c sees ${pod6[a]}: hello" "$(ask a "${service6[local]}" 80)"
in_ns n1 sysctl -qw net.ipv4.tcp_syncookies=2
ok_equal "with SYN cookies" "${pod4[a]} dialled ${service4[remote]}:80: hello" "$(ask a "${service4[remote]}" 80)"
start ssh n1 "${tcp_program[@]}" serve 22 node
ok_equal "the firewall still holds for the node" "timeout" "$(ask lan "${node4[1]}" 22 --timeout=0.3)"
