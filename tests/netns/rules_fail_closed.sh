#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: after kill -9 of the proxy nothing reaches a pod: neither new connections, nor the segments of
# connections that were open, nor segments that belong to nothing. Packets are counted in the pod's own
# network namespace.
source "$(dirname "$0")/lib/rules.sh"

for mode in iptables nftables; do
	world_up
	for n in 1 2; do
		kube_proxy $n "$mode"
		capture $n
	done
	server b
	server c
	listener 2 "${pod4[b]}:8080=${pod4[b]}:8080"
	listener 1 "${service4[local]}:80=${pod4[c]}:8080" "[${service6[local]}]:80=[${pod6[c]}]:8080"

	hold open4 a "${service4[local]}" 80
	hold open6 a "${service6[local]}" 80
	ok_equal "$mode: an open connection works" "c sees ${pod4[a]}: one" "$(say open4 one)"
	ok_equal "$mode: an open connection works, IPv6" "c sees ${pod6[a]}: one" "$(say open6 one)"

	# As at a kill -9 together with a lost link: no FIN and no RST of the dying proxy helps. The pod's
	# side of its connections is closed by what the kernel sends; only then is counted.
	stop listener1 KILL
	stop listener2 KILL
	within 5 no_connections c
	count_in_pod c
	count_in_pod b

	ok_false "$mode: the open connection is answered by nobody" grep -q sees <(say open4 two)
	ok_false "$mode: nor the other" grep -q sees <(say open6 two)
	ok_equal "$mode: new connection to a ClusterIP" "timeout" "$(ask a "${service4[local]}" 80 --timeout=0.3)"
	ok_equal "$mode: new connection to a ClusterIP of a pod on another node" "timeout" \
		"$(ask a "${service4[remote]}" 80 --timeout=0.3)"
	ok_equal "$mode: new connection to a pod" "timeout" "$(ask a "${pod4[c]}" 8080 --timeout=0.3)"
	ok_equal "$mode: new connection to a pod, IPv6" "timeout" "$(ask a "${pod6[c]}" 8080 --timeout=0.3)"
	ok_equal "$mode: from outside to a pod" "timeout" "$(ask lan "${pod4[b]}" 8080 --timeout=0.3)"
	ok_equal "$mode: from outside to a NodePort" "timeout" "$(ask lan "${node4[1]}" 30081 --timeout=0.3)"

	# Segments out of nowhere, to a Service and to pods on both nodes: bare ACK, data, FIN, RST, SYN+ACK.
	for flags in A PA FA R SA; do
		in_ns a "${tcp_program[@]}" stray "${pod4[a]}" 40000 "${service4[local]}" 80 $flags 5
		in_ns a "${tcp_program[@]}" stray "${pod4[a]}" 40001 "${pod4[c]}" 8080 $flags 5
		in_ns a "${tcp_program[@]}" stray "${pod4[a]}" 40002 "${pod4[b]}" 8080 $flags 5
		in_ns a "${tcp_program[@]}" stray "${pod6[a]}" 40003 "${pod6[c]}" 8080 $flags 5
		in_ns lan "${tcp_program[@]}" stray "$outside4" 40004 "${pod4[b]}" 8080 $flags 5
	done
	ok_equal "$mode: TCP packets that reached the pod on the same node" "0" "$(packets_in_pod c)"
	ok_equal "$mode: TCP packets that reached the pod on the other node" "0" "$(packets_in_pod b)"

	# The counters count: the node's own processes do reach the pod.
	ok_equal "$mode: the node itself still reaches its pod" "c sees ${node4[1]}: hello" \
		"$(ask n1 "${pod4[c]}" 8080)"
	ok_false "$mode: and is counted" test "$(packets_in_pod c)" = 0
	world_down
done
