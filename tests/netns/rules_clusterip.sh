#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: a pod that dials a ClusterIP reaches the proxy with the ClusterIP as original destination and
# its own address as peer, beside kube-proxy in iptables and in nftables mode (whose DNAT sees the same
# packets), IPv4 and IPv6; the pod behind it sees the client pod's address; and a pod address dialled
# directly is captured just so. Without the untracking in raw, each of the ClusterIP checks hangs.
source "$(dirname "$0")/lib/rules.sh"

world_up
for mode in iptables nftables; do
	# Afresh, so that one mode's chains cannot help the other.
	in_ns n1 nft flush ruleset
	kube_proxy 1 "$mode"
	server b
	server c
	ok_equal "$mode: before us, kube-proxy translates" "b sees ${pod4[a]}: hello" \
		"$(ask a "${service4[remote]}" 80 --source-port=44444)"
	capture 1
	listener 1 "${service4[local]}:80=${pod4[c]}:8080" "[${service6[local]}]:80=[${pod6[c]}]:8080"

	ok_equal "$mode: IPv4 ClusterIP is the original destination" \
		"${pod4[a]} dialled ${service4[remote]}:80: hello" "$(ask a "${service4[remote]}" 80)"
	ok_equal "$mode: IPv6 ClusterIP is the original destination" \
		"${pod6[a]} dialled [${service6[remote]}]:80: hello" "$(ask a "${service6[remote]}" 80)"
	ok_equal "$mode: IPv4 pod address on another node" \
		"${pod4[a]} dialled ${pod4[b]}:8080: hello" "$(ask a "${pod4[b]}" 8080)"
	ok_equal "$mode: IPv6 pod address on the same node" \
		"${pod6[a]} dialled [${pod6[c]}]:8080: hello" "$(ask a "${pod6[c]}" 8080)"
	ok_equal "$mode: delivered on the same node, IPv4, the server sees the client pod" \
		"c sees ${pod4[a]}: hello" "$(ask a "${service4[local]}" 80)"
	ok_equal "$mode: delivered on the same node, IPv6, the server sees the client pod" \
		"c sees ${pod6[a]}: hello" "$(ask a "${service6[local]}" 80)"

	# Untracked: no DNAT and no masquerade of anybody's can touch them, and the two legs of one
	# connection on one node cannot be taken for each other.
	ok_equal "$mode: connection tracking knows none of them" "" \
		"$(in_ns n1 conntrack -L -p tcp -s "${pod4[a]}" 2>/dev/null | grep -v sport=4444 || true)"

	rules 1 remove
	stop listener1
	ok_equal "$mode: after us, kube-proxy translates again" "b sees ${pod4[a]}: hello" \
		"$(ask a "${service4[remote]}" 80 --source-port=44445)"
	stop server-b
	stop server-c
done
