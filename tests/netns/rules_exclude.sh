#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: what is excluded goes as it went without us: an excluded Service (which kube-proxy turns into
# a pod address that would otherwise be captured), an excluded network, port ranges, IPv6; destinations
# outside the captured ranges; UDP; the tunnel's port from node to node. What is next to it is captured.
source "$(dirname "$0")/lib/rules.sh"

world_up
for mode in iptables nftables; do
	for n in 1 2; do
		in_ns n$n nft flush ruleset
		kube_proxy $n "$mode"
	done
	capture 1 "exclude = ${service4[local]}/32:80 [${service6[local]}/128]:80" \
		"exclude = 10.245.2.0/24:8000-8080"
	capture 2 "exclude = 10.245.2.0/24:8000-8080"
	listener 1
	listener 2
	server b
	server c
	start api lan "${tcp_program[@]}" serve 6443 api-server
	start tunnel n2 "${tcp_program[@]}" serve 14443 tunnel
	start dns b "${tcp_program[@]}" udp-serve 53
	ok_equal "$mode: excluded Service, IPv4" "c sees ${pod4[a]}: hello" "$(ask a "${service4[local]}" 80)"
	ok_equal "$mode: excluded Service, IPv6" "c sees ${pod6[a]}: hello" "$(ask a "${service6[local]}" 80)"
	ok_equal "$mode: another port of it is captured" \
		"${pod4[a]} dialled ${service4[local]}:81: hello" "$(ask a "${service4[local]}" 81)"
	ok_equal "$mode: the pod behind it is captured" \
		"${pod4[a]} dialled ${pod4[c]}:8080: hello" "$(ask a "${pod4[c]}" 8080)"
	ok_equal "$mode: excluded network, port in range" "b sees ${pod4[a]}: hello" "$(ask a "${pod4[b]}" 8080)"
	ok_equal "$mode: excluded network, port out of range" \
		"${pod4[a]} dialled ${pod4[b]}:8081: hello" "$(ask a "${pod4[b]}" 8081)"
	ok_equal "$mode: pod ▶ API server outside the ranges" "api-server sees ${pod4[a]}: hello" \
		"$(ask a "$outside4" 6443)"
	ok_equal "$mode: node ▶ tunnel port of another node" "tunnel sees ${node4[1]}: hello" \
		"$(ask n1 "${node4[2]}" 14443)"
	ok_equal "$mode: UDP ▶ pod of another node" "udp sees ${pod4[a]}" \
		"$(in_ns a "${tcp_program[@]}" udp-ask "${pod4[b]}" 53)"
	for program in listener1 listener2 server-b server-c api tunnel dns; do stop "$program"; done
	rules 1 remove
	rules 2 remove
done
