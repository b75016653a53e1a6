#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: connections that were open before the rules came go on, in both directions, untouched:
# through a ClusterIP that kube-proxy translated, from pod to pod on one node and across nodes, from
# outside through a NodePort, and from the node to its pod. New connections beside them are captured.
source "$(dirname "$0")/lib/rules.sh"

for mode in iptables nftables; do
	world_up
	kube_proxy 1 "$mode"
	kube_proxy 2 "$mode"
	server b
	server c
	hold clusterip a "${service4[remote]}" 80
	hold clusterip6 a "${service6[remote]}" 80
	hold same_node a "${service4[local]}" 80
	hold pod a "${pod4[b]}" 8080
	hold node_port lan "${node4[2]}" 30080
	hold kubelet n1 "${pod4[c]}" 8080
	for c in clusterip clusterip6 same_node pod node_port kubelet; do
		ok_like "$mode: $c before" "[bc] sees *: one" "$(say $c one)"
	done
	for n in 1 2; do
		capture $n
		listener $n
	done
	for round in two three; do
		for c in clusterip clusterip6 same_node pod node_port kubelet; do
			ok_like "$mode: $c after, $round" "[bc] sees *: $round" "$(say $c $round)"
		done
	done
	ok_equal "$mode: the proxies saw none of them" "0" \
		"$(cat "$work"/listener?.log | grep -c dialled || true)"
	ok_equal "$mode: a new connection is captured" \
		"${pod4[a]} dialled ${service4[remote]}:80: hello" "$(ask a "${service4[remote]}" 80)"
	# Applying again is no new beginning.
	rules 1 apply >"$work/again.log" 2>&1
	ok_like "$mode: clusterip after a second apply" "b sees *: four" "$(say clusterip four)"
	rules 1 remove
	rules 2 remove
	ok_like "$mode: clusterip after removal" "b sees *: five" "$(say clusterip five)"
	world_down
done
