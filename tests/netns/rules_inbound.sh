#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: what comes from another node, or from outside, for a local pod is captured at the pod's node,
# with the pod as original destination; replies of the pod to a connection that the proxy dialled from
# the client's address come back to the proxy; and a pod is captured from its first packet on: nothing
# has to learn of it first.
source "$(dirname "$0")/lib/rules.sh"

world_up
server b
capture 2
listener 2 "${pod4[b]}:8080=${pod4[b]}:8080" "[${pod6[b]}]:8080=[${pod6[b]}]:8080"

ok_equal "pod of another node ▶ pod, IPv4: captured, and the server sees the client pod" \
	"b sees ${pod4[a]}: hello" "$(ask a "${pod4[b]}" 8080)"
ok_equal "pod of another node ▶ pod, IPv6" "b sees ${pod6[a]}: hello" "$(ask a "${pod6[b]}" 8080)"
ok_equal "outside ▶ pod" "b sees $outside4: hello" "$(ask lan "${pod4[b]}" 8080)"
ok_equal "all three passed the proxy" "3" "$(grep -c dialled "$work/listener2.log")"
ok_equal "host process of another node ▶ pod, another port" \
	"${node4[1]} dialled ${pod4[b]}:9999: hello" "$(ask n1 "${pod4[b]}" 9999)"

# A client knocks without pause while a pod is born whose server already runs: the pod could answer the
# first packet that its node routes to it.
new4=10.245.2.77 new6=fd00:245:2::77
namespace_up new
count_in_pod new
server new
start knock a "${tcp_program[@]}" knock "$new4" 8080 300
within 5 has_more_lines "$work/knock.log" 50
pod_attach new 2 "$new4" "$new6"
within 20 grep -q finished "$work/knock.log"
ok_equal "a new pod: the proxy answered every knock before and after its birth" \
	"300 dialled" "$(grep -v -e ready -e finished "$work/knock.log" | sort | uniq -c | xargs)"
ok_equal "a new pod: no TCP packet reached it past the proxy" "0" "$(packets_in_pod new)"
ok_equal "a new pod: reachable, for the node itself dials it" "new sees ${node4[2]}: hello" \
	"$(ask n2 "$new4" 8080)"
