#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: capture works while the kernel answers every SYN with a cookie, as it does under load. The
# last ACK of such a handshake belongs to no socket and has to be tracked, because it might be of an
# old connection; kube-proxy's nftables mode then rewrites it, unless the binding (table portcullis)
# came first. With "only first SYNs go to TPROXY" it would be forwarded to the pod in plaintext.
source "$(dirname "$0")/lib/rules.sh"

world_up
server b
count_in_pod b
in_ns n1 sysctl -qw net.ipv4.tcp_syncookies=2
for mode in iptables nftables; do
	in_ns n1 nft flush ruleset
	kube_proxy 1 "$mode"
	capture 1
	listener 1
	for _ in 1 2 3; do
		ok_equal "$mode: ClusterIP, IPv4" \
			"${pod4[a]} dialled ${service4[remote]}:80: hello" "$(ask a "${service4[remote]}" 80)"
	done
	ok_equal "$mode: ClusterIP, IPv6" \
		"${pod6[a]} dialled [${service6[remote]}]:80: hello" "$(ask a "${service6[remote]}" 80)"
	ok_equal "$mode: pod address" \
		"${pod4[a]} dialled ${pod4[b]}:8080: hello" "$(ask a "${pod4[b]}" 8080)"
	ok_equal "$mode: NodePort from outside" \
		"$outside4 dialled ${node4[1]}:30080: hello" "$(ask lan "${node4[1]}" 30080)"
	stop listener1
	rules 1 remove
	ok_equal "$mode: removal leaves no trace in connection tracking" "" \
		"$(in_ns n1 conntrack -L -p tcp --mark 0x500000/0xf00000 2>/dev/null)"
done
ok_like "cookies were in fact sent" "[1-9]*" \
	"$(in_ns n1 nstat -asz TcpExtSyncookiesRecv | awk '/Recv/ { print $2 }')"
ok_equal "no TCP packet reached the pod" "0" "$(packets_in_pod b)"
