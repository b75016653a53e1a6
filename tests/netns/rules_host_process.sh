#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: what the node's own processes send is never captured: kubelet's probes of local pods, a host
# process that dials a ClusterIP. (A host process of another node is: rules_inbound.sh.) And the node's
# own servers are reached by pods and from outside as before.
source "$(dirname "$0")/lib/rules.sh"

world_up
for mode in iptables nftables; do
	in_ns n1 nft flush ruleset
	kube_proxy 1 "$mode"
	capture 1
	listener 1
	server b
	server c
	start ssh n1 "${tcp_program[@]}" serve 22 node
	ok_equal "$mode: node ▶ its pod, IPv4" "c sees ${node4[1]}: hello" "$(ask n1 "${pod4[c]}" 8080)"
	ok_like "$mode: node ▶ its pod, IPv6" "c sees fd00:78::11: hello" "$(ask n1 "${pod6[c]}" 8080)"
	ok_equal "$mode: node ▶ ClusterIP" "c sees ${node4[1]}: hello" "$(ask n1 "${service4[local]}" 80)"
	ok_equal "$mode: node ▶ ClusterIP of a remote pod" "b sees ${node4[1]}: hello" \
		"$(ask n1 "${service4[remote]}" 80)"
	ok_equal "$mode: node ▶ its own NodePort" "c sees ${node4[1]}: hello" \
		"$(ask n1 "${node4[1]}" 30081)"
	ok_equal "$mode: outside ▶ node" "node sees $outside4: hello" "$(ask lan "${node4[1]}" 22)"
	ok_equal "$mode: pod ▶ node" "node sees ${pod4[a]}: hello" "$(ask a "${node4[1]}" 22)"
	ok_equal "$mode: the proxy saw none of them" "0" "$(grep -c dialled "$work/listener1.log" || true)"
	for program in listener1 server-b server-c ssh; do stop "$program"; done
	rules 1 remove
done
