#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: nodeIP:NodePort is captured before kube-proxy's DNAT, from outside (the outside client's
# address is kept) and from a pod, also when the pod dials another node's address; a load balancer's
# address is captured although the node holds it; a health check's NodePort and other ports of the node
# are left to the node.
source "$(dirname "$0")/lib/rules.sh"

world_up
for mode in iptables nftables; do
	in_ns n1 nft flush ruleset
	kube_proxy 1 "$mode"
	capture 1 'exclude = node:32000' 'external_cidrs = 203.0.113.7/32'
	listener 1
	start health n1 "${tcp_program[@]}" serve 32000 node
	start kubelet n1 "${tcp_program[@]}" serve 10250 node
	start other n2 "${tcp_program[@]}" serve 22 other-node

	ok_equal "$mode: outside ▶ NodePort, IPv4" \
		"$outside4 dialled ${node4[1]}:30080: hello" "$(ask lan "${node4[1]}" 30080)"
	ok_equal "$mode: outside ▶ NodePort, IPv6" \
		"$outside6 dialled [${node6[1]}]:30080: hello" "$(ask lan "${node6[1]}" 30080)"
	ok_equal "$mode: pod ▶ NodePort of its node" \
		"${pod4[a]} dialled ${node4[1]}:30081: hello" "$(ask a "${node4[1]}" 30081)"
	ok_equal "$mode: pod ▶ NodePort of another node" \
		"${pod6[a]} dialled [${node6[2]}]:30080: hello" "$(ask a "${node6[2]}" 30080)"

	in_ns n1 ip addr add 203.0.113.7/32 dev lo
	ip -n "$prefix-lan" route replace 203.0.113.7 via "${node4[1]}"
	ok_equal "$mode: outside ▶ load balancer address that the node holds" \
		"$outside4 dialled 203.0.113.7:443: hello" "$(ask lan 203.0.113.7 443)"
	in_ns n1 ip addr del 203.0.113.7/32 dev lo

	ok_equal "$mode: a health check's NodePort is the node's" \
		"node sees $outside4: hello" "$(ask lan "${node4[1]}" 32000)"
	ok_equal "$mode: pod ▶ kubelet of its node is not captured" \
		"node sees ${pod4[a]}: hello" "$(ask a "${node4[1]}" 10250)"
	ok_equal "$mode: pod ▶ another port of another node is not captured" \
		"other-node sees ${pod4[a]}: hello" "$(ask a "${node4[2]}" 22)"

	for program in listener1 health kubelet other; do stop "$program"; done
	rules 1 remove
done
